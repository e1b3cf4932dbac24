"""`cellferry group`: servers that are to be on different hosts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from actors.cli.configuring import config_option
from actors.cli.failures import NotThere
from actors.cli.formats import Shape, shape_options, show_fields, show_rows
from actors.cli.speaking import ADMIN, Session, speak
from protocol.messages.groups import CreateGroup, DeleteGroup, ListGroups, ShowGroup
from protocol.records import ServerGroup
from protocol.states import Policy

if TYPE_CHECKING:
    from actors.cli.formats import Row

LISTED: Final = ("id", "name", "policy")


@click.group()
def group() -> None:
    """Keep servers on different hosts, wherever they move."""


@group.command()
@click.argument("name")
@click.option("--policy", type=click.Choice([each.value for each in Policy]), default=Policy.ANTI_AFFINITY.value,
              show_default=True, help="What is asked of where its servers are.")  # fmt: skip
@config_option()
@shape_options
def create(*, name: str, policy: str, config: Path, shape: Shape) -> None:
    """Make a group, called NAME; servers are made in it by `server create --group`."""

    async def work(session: Session) -> None:
        made = ServerGroup(
            id=session.client.fresh_id("server group", name), name=name, project=ADMIN, policy=Policy(policy)
        )
        show_fields(session.out, row_of(await session.client.call(session.client.root, CreateGroup(group=made))), shape)

    speak(config, work)


@group.command("list")
@config_option()
@shape_options
def list_(*, config: Path, shape: Shape) -> None:
    """List groups, by name."""

    async def work(session: Session) -> None:
        found = [row_of(each) async for each in groups(session)]
        show_rows(session.out, sorted(found, key=itemgetter("name", "id")), shape, usual=LISTED)

    speak(config, work)


@group.command()
@click.argument("which", metavar="GROUP")
@config_option()
@shape_options
def show(*, which: str, config: Path, shape: Shape) -> None:
    """Show a group, by its name or id: its servers, and the hosts that are kept for each."""

    async def work(session: Session) -> None:
        use = await session.look(ShowGroup(id=(await find(session, which)).id))
        members = [f"{member.server} on {', '.join(member.hosts) or 'no host yet'}" for member in use.members]
        show_fields(session.out, row_of(use.group) | {"servers": members}, shape)

    speak(config, work)


@group.command()
@click.argument("which", metavar="GROUP")
@config_option()
def delete(*, which: str, config: Path) -> None:
    """Delete a group that has no servers."""

    async def work(session: Session) -> None:
        found = await find(session, which)
        await session.client.call(session.client.root, DeleteGroup(id=found.id))
        session.out.print(f"group {found.name} is gone")

    speak(config, work)


async def groups(session: Session) -> AsyncIterator[ServerGroup]:
    """Give all groups, page by page."""
    after = ""
    while True:
        page = await session.look(ListGroups(after=after))
        for each in page.groups:
            yield each
        if not page.next_after:
            return
        after = page.next_after


async def find(session: Session, text: str) -> ServerGroup:
    """Find a group by its name or id; raise `NotThere`."""
    async for each in groups(session):
        if text in {each.name, each.id}:
            return each
    raise NotThere(f"there is no group {text}; list them with: cellferry group list")


def row_of(found: ServerGroup) -> Row:
    """Make a row of a listing."""
    return {"id": found.id, "name": found.name, "policy": found.policy.value, "project": found.project}
