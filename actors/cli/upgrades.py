"""`cellferry upgrade check`: whether this version can run what there is, with the exit codes that scripts know."""

from __future__ import annotations

import os
import sys
import traceback
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio
import attrs
import click

from actors.cli.brokers import findings_of, servers, tool_of, tool_options
from actors.cli.configs import beyond
from actors.cli.configuring import config_option, deployment_in, given
from actors.cli.databases import ABSENT, AWAY, REFUSED, look, opened, places
from actors.cli.failures import failure_of
from actors.cli.formats import Shape, shape_options, show_rows
from actors.cli.output import console_for
from actors.deployment import Duty
from actors.ops.settings import examine
from actors.store.journal import SqlJournals, open_ones
from actors.store.revisions import State
from protocol.errors import CellferryError
from protocol.moves.plans import PLANS
from protocol.pins import NEWEST
from protocol.saga import next_command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.cli.management import ManagementAPI
    from actors.cli.rabbitmqctl import RabbitMQCtl
    from actors.deployment import Deployment, Place
    from actors.kernel.ports import Connection
    from actors.ops.settings import Cloud

COLUMNS: Final = ("check", "result", "details")
#: What ends the check itself, as with the services that Nova's code is known from.
CRASHED: Final = 255
#: How many of several things are named.
NAMED_MAX: Final = 3


class Verdict(IntEnum):
    """What comes of a check, and by the gravest the exit code."""

    SUCCESS = 0
    WARNING = 1
    FAILURE = 2


@attrs.frozen(kw_only=True)
class Result:
    """What one check found, with the next step where there is one."""

    check: str
    verdict: Verdict
    details: str = ""


@click.group()
def upgrade() -> None:
    """See whether this version can run a deployment: before an upgrade, and after it."""


@upgrade.command()
@config_option()
@tool_options
@shape_options
def check(*, config: Path, node: str, api: str, shape: Shape) -> None:
    """Check settings, databases, brokers, the pin, and conversations that are open.  Nothing is changed.

    Exit code 0: all is right; 1: there are warnings; 2: something fails; 255: the check itself broke.
    """
    try:
        results = list(_results(config, tool_of(api, node)))
    except Exception as error:  # noqa: BLE001 - the edge: scripts tell a failed check from a broken one by the code
        known = failure_of(error)
        if known is None:
            traceback.print_exc()
            sys.exit(CRASHED)
        results = [Result(check="settings", verdict=Verdict.FAILURE, details=known.text)]
    rows = [{"check": each.check, "result": each.verdict.name.lower(), "details": each.details} for each in results]
    show_rows(console_for(sys.stdout), rows, shape, usual=COLUMNS)
    sys.exit(max(each.verdict for each in results))


def _results(config: Path, tool: RabbitMQCtl | ManagementAPI) -> Iterator[Result]:
    reading = examine(config, variables=os.environ, options=given())
    problems = [*reading.problems, *(beyond(config, reading.cloud) if reading.cloud else ())]
    if reading.cloud is None or problems:
        yield _of("settings", [str(problem) for problem in problems], Verdict.FAILURE)
        return
    yield Result(check="settings", verdict=Verdict.SUCCESS)
    deployment = deployment_in(config, reading.cloud)
    yield from databases(deployment)
    yield brokers(deployment, tool)
    yield pin(reading.cloud)
    yield from open_conversations(deployment)


def databases(deployment: Deployment) -> Iterator[Result]:
    """Check of which revision each database is, as far as this machine sees them."""
    found = [anyio.run(look, task, place) for task, place in places(deployment)]
    wrong = [each for each in found if each.state in REFUSED]
    if wrong:
        what = [f"{each.task} is {each.state}{f' ({each.error})' if each.error else ''}" for each in wrong]
        next_step = "; cellferry db check lists them" if any(each.state == AWAY for each in wrong) else ""
        next_step = "; say: cellferry db upgrade" if any(each.state == State.BEHIND for each in wrong) else next_step
        yield _of("databases", what, Verdict.FAILURE, next_step)
        return
    larger = [str(each.task) for each in found if each.state == State.EXPANDED]
    if larger:
        yield _of("databases", larger, Verdict.WARNING, ": expanded for a later version; install that")
        return
    absent = sum(each.state == ABSENT for each in found)
    details = f"{absent} of {len(found)} are not on this machine, or new" if absent else ""
    yield Result(check="databases", verdict=Verdict.SUCCESS, details=details)


def brokers(deployment: Deployment, tool: RabbitMQCtl | ManagementAPI) -> Result:
    """Check that the broker has what this version needs there: the plan of `cellferry broker plan`."""
    if deployment.secrets is None:
        return Result(check="brokers", verdict=Verdict.SUCCESS, details="all are one user, who makes what is missing")
    chosen = servers(deployment, "")
    if len(chosen) > 1:
        names = ", ".join(server.name for server in chosen)
        details = f"not looked at: there are several ({names}); say: cellferry broker plan --cell CELL"
        return Result(check="brokers", verdict=Verdict.WARNING, details=details)
    try:
        had = tool.export()
    except Exception as error:  # noqa: BLE001 - what keeps it from being known is told, whatever it is
        known = failure_of(error)
        details = f"not known: {known.text if known else repr(error)}"
        return Result(check="brokers", verdict=Verdict.WARNING, details=details)
    missing = [each for each in findings_of(deployment, chosen[0], had) if each.state in {"missing", "differs"}]
    what = [f"{each.thing.kind.value} {each.thing.name} ({each.state})" for each in missing]
    if what:
        return _of("brokers", what, Verdict.FAILURE, "; say: cellferry broker apply")
    return Result(check="brokers", verdict=Verdict.SUCCESS)


def pin(cloud: Cloud) -> Result:
    """Check whether messages are held at an older version than they need be."""
    if cloud.upgrade.version < NEWEST:
        details = (
            f"messages are written as of version {cloud.upgrade.version}, and the newest is {NEWEST}; when no older "
            "process runs, take [upgrade] pin away, and send SIGHUP"
        )
        return Result(check="pin", verdict=Verdict.WARNING, details=details)
    return Result(check="pin", verdict=Verdict.SUCCESS)


def open_conversations(deployment: Deployment) -> Iterator[Result]:
    """Check that this version can go on with what is open, and name what is parked."""
    found: tuple[_Open, ...] = ()
    for task, place in places(deployment):
        is_there = place.path is None or place.path.exists()
        if (
            task.duty is Duty.CONDUCTOR
            and is_there
            and anyio.run(look, task, place).state not in {*REFUSED, State.EMPTY}
        ):
            found = anyio.run(_read, place)
    broken = [f"{each.conversation} ({each.error})" for each in found if each.error]
    parked = [f"{each.conversation} waits for {each.waits_for}" for each in found if each.waits_for]
    if broken:
        yield _of("journals", broken, Verdict.FAILURE, "; let the version that wrote them end them first")
    else:
        yield Result(check="journals", verdict=Verdict.SUCCESS, details=f"{len(found)} open" if found else "")
    if parked:
        yield _of("parked", parked, Verdict.WARNING, "; they are kept, and go on; see: cellferry migration list")
    else:
        yield Result(check="parked", verdict=Verdict.SUCCESS)


@attrs.frozen(kw_only=True)
class _Open:
    """A conversation that is open, and why this version could not say what is next; empty when it can."""

    conversation: str
    waits_for: str
    error: str


async def _read(place: Place) -> tuple[_Open, ...]:
    async with opened(place) as store:
        read: tuple[_Open, ...] = await store.transact(_all_open)
        return read


def _all_open(connection: Connection) -> tuple[_Open, ...]:
    journals, found = SqlJournals(), []
    for conversation, waits_for in open_ones(connection):
        error = ""
        try:
            journal = journals.read(connection, conversation)
            next_command(PLANS[journal.goal], journal)
        except (CellferryError, ValueError, KeyError) as raised:
            error = str(raised) or type(raised).__name__
        found.append(_Open(conversation=conversation, waits_for=waits_for or "", error=error))
    return tuple(found)


def _of(check: str, what: list[str], verdict: Verdict, next_step: str = "") -> Result:
    more = f" and {len(what) - NAMED_MAX} more" if len(what) > NAMED_MAX else ""
    return Result(check=check, verdict=verdict, details=f"{'; '.join(what[:NAMED_MAX])}{more}{next_step}")
