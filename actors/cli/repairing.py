"""`cellferry server repair`: what is left over of a server is shown, and removed if that is asked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from actors.cli.configuring import config_option
from actors.cli.failures import NotThere
from actors.cli.following import finish
from actors.cli.formats import Shape, shape_options, show_rows
from actors.cli.servers import origin
from actors.cli.speaking import Session, speak
from protocol.journal import Journal
from protocol.messages.orders import RepairServer
from protocol.moves import repair as repairing
from protocol.saga import Story
from protocol.states import Goal

if TYPE_CHECKING:
    from actors.cli.formats import Row
    from protocol.invariants.no_leaks import Trace
    from protocol.messages.orders import Progress
    from protocol.moves.leftovers import Findings

LISTED: Final = ("state", "what", "where", "why")
#: An id in full: of a server that is gone nobody knows more.
ID_CHARS: Final = 36


@click.command()
@click.argument("which", metavar="SERVER")
@click.option("--apply", "is_applied", is_flag=True, help="Remove it; without, it is only shown.")
@click.option("--disks", "has_disks", is_flag=True,
              help="Also the guests and disks of a server that has no home any more.")  # fmt: skip
@click.option("--timeout", type=click.FloatRange(min=0.1), metavar="SECONDS", help="How long at most.")
@config_option()
@shape_options
def repair(*, which: str, is_applied: bool, has_disks: bool, timeout: float | None, config: Path, shape: Shape) -> None:
    """Show what is left over of a server anywhere, whatever it came from; with --apply remove it.

    A server that is gone is named by its id in full.
    """

    async def work(session: Session) -> None:
        line = await session.find_server(which)
        server, name = (line.mirror.server, line.mirror.name) if line else (which, which)
        if line is None and len(which) != ID_CHARS:
            raise NotThere(f"there is no server {which}; name one that is gone by its id in full")
        order = RepairServer(server=server, is_applied=is_applied, has_disks=has_disks, origin=origin(session))
        accepted = await session.client.order(order)
        progress = await finish(session, accepted, what="repair", name=name, timeout_s=timeout)
        found = findings_of(progress, accepted.conversation, server)
        show_rows(session.out, rows_of(found, is_applied=is_applied), shape, usual=LISTED)
        session.progress.print(summary(found, which, is_applied=is_applied))

    speak(config, work)


def findings_of(progress: Progress, conversation: str, server: str) -> Findings:
    """Read what a repair has found off its journal, as it did itself."""
    entries = tuple(news.entry for news in progress.news)
    journal = Journal(conversation=conversation, server=server, goal=Goal.REPAIR, entries=entries)
    return repairing.findings(Story(journal, 1))


def rows_of(found: Findings, *, is_applied: bool) -> list[Row]:
    """Make the rows of a listing: what is to go or gone, what stays, what is missing, and who did not answer."""
    state = "removed" if is_applied else "left over"
    return [
        *(_row(state, trace) for trace in found.left),
        *(_row("kept", kept.trace, kept.why) for kept in found.kept),
        *(_row("missing", trace, "the server should have it") for trace in found.missing),
        *({"state": "not seen", "what": "host", "where": host, "why": "it did not answer"} for host in found.unseen),
        *({"state": "not seen", "what": "host", "where": host, "why": "it is fenced"} for host in found.fenced),
    ]


def _row(state: str, trace: Trace, why: str = "") -> Row:
    what, where = words(trace)
    return {"state": state, "what": what, "where": where, "why": why or None}


def words(trace: Trace) -> tuple[str, str]:
    """Say what a trace is, and where."""
    found = trace[0].replace("_", " "), " ".join(trace[1:])
    match trace:
        case ("part of a record", cell, table):
            found = f"rows of {table} without a record", cell
        case ("mirror", cell):
            found = "news of a record that is gone", f"root, of {cell}"
        case ("allocation" | "claim" as what, cell, host, of):
            found = f"{what} ({of})", f"host {host} of {cell}"
        case ("binding", port, host):
            found = f"binding of port {port}", f"host {host}"
        case ("attachment", volume, id_):
            found = f"attachment {id_}", f"volume {volume}"
        case ("guest" | "disk" as what, cell, host):
            found = what, f"host {host} of {cell}"
        case _:
            pass
    return found


def summary(found: Findings, which: str, *, is_applied: bool) -> str:
    """Say what it comes to, and what to do next."""
    said = [_counted(found, is_applied=is_applied)]
    if found.left and not is_applied:
        said.append(f"remove that with: cellferry server repair {which} --apply")
    if found.unseen:
        said.append("what hosts have that did not answer is not known: repair again when they are back, or fence them")
    return "; ".join(said)


def _counted(found: Findings, *, is_applied: bool) -> str:
    counts = {"removed" if is_applied else "left over": found.left, "kept": found.kept, "missing": found.missing}
    return ", ".join(f"{len(each)} {what}" for what, each in counts.items() if each) or "nothing is left over"
