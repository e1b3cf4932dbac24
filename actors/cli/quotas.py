"""`cellferry quota`: how much projects may have, and what they have."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from actors.cli.configuring import config_option
from actors.cli.formats import Shape, shape_options, show_fields
from actors.cli.speaking import Session, speak
from protocol.messages.quotas import SetQuota, ShowQuota

if TYPE_CHECKING:
    from actors.cli.formats import Row
    from protocol.messages.quotas import QuotaUse

#: What is limited, in the order in which it is shown.
RESOURCES = ("servers", "vcpus", "memory_mb")
AMOUNT = click.IntRange(min=0)


@click.group()
def quota() -> None:
    """Limit how much projects may have."""


@quota.command()
@click.argument("project")
@config_option()
@shape_options
def show(*, project: str, config: Path, shape: Shape) -> None:
    """Show how much a project may have, and what it has."""

    async def work(session: Session) -> None:
        show_fields(session.out, row_of(await session.look(ShowQuota(project=project))), shape)

    speak(config, work)


@quota.command("set")
@click.argument("project")
@click.option("--servers", type=AMOUNT, help="So many servers; without: as many as there is room for.")
@click.option("--vcpus", type=AMOUNT, help="So many processors in all its servers; without: no limit.")
@click.option("--memory-mb", type=AMOUNT, help="So much memory in all its servers; without: no limit.")
@config_option()
@shape_options
def set_(
    *, project: str, servers: int | None, vcpus: int | None, memory_mb: int | None, config: Path, shape: Shape
) -> None:
    """Say how much a project may have; what is not named is not limited.  What it has already stays."""
    request = SetQuota(project=project, servers=servers, vcpus=vcpus, memory_mb=memory_mb)

    async def work(session: Session) -> None:
        show_fields(session.out, row_of(await session.client.call(session.client.root, request)), shape)

    speak(config, work)


def row_of(use: QuotaUse) -> Row:
    """Make a row: of each resource what is used, and the limit."""
    row: Row = {"project": use.quota.project}
    for name in RESOURCES:
        row |= {name: getattr(use, name), f"{name}_limit": getattr(use.quota, name)}
    return row
