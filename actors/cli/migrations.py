"""`cellferry migration`: what moves, and every other conversation, are doing, have done, and wait for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from actors.cli.configuring import config_option
from actors.cli.failures import NotThere
from actors.cli.following import follow, screen_on
from actors.cli.formats import Shape, print_table, shape_options, show_fields, show_rows
from actors.cli.speaking import LOOK_S, Session, speak
from actors.cli.times import shown_span, shown_time
from protocol.bodies import decode_body
from protocol.errors import ErrorReport, revive
from protocol.errors_wire import decode_error
from protocol.journal import Kind
from protocol.messages.orders import Accepted, ConversationLine, ListConversations
from protocol.messages.servers import ListMigrations, MigrationPage
from protocol.requests import PAGE_MAX
from protocol.states import Goal

if TYPE_CHECKING:
    from actors.cli.formats import Row
    from protocol.messages.orders import Progress, Retried, StepNews
    from protocol.records import Migration

MOVES: Final = (Goal.RESIZE, Goal.MIGRATE)
LISTED: Final = ("id", "server", "kind", "status", "source", "target", "created", "waits_for")
NEWEST_US: Final = 2**62
#: How many open conversations are looked through for what moves wait for.
OPEN_MAX: Final = 500


@click.group()
def migration() -> None:
    """Watch moves and other conversations, and have one try again."""


@migration.command("list")
@click.option("--limit", type=click.IntRange(1, PAGE_MAX), default=100, show_default=True, help="So many at most.")
@click.option("--marker", metavar="ID", help="Begin behind this move: the last one of the page before.")
@click.option("--server", "which", metavar="SERVER", help="Only moves of this server.")
@config_option()
@shape_options
def list_(*, limit: int, marker: str | None, which: str | None, config: Path, shape: Shape) -> None:
    """List moves, newest first: each once, whichever cells have a record of it."""

    async def work(session: Session) -> None:
        server = (await session.server(which)).mirror.server if which else ""
        moves = await newest(session, await _marked(session, marker), limit=limit, server=server)
        reasons = await _reasons(session)
        show_rows(session.out, [row_of(move, reasons) for move in moves], shape, usual=LISTED)
        if len(moves) == limit:
            session.progress.print(f"there may be more; go on with: --marker {moves[-1].uuid}")

    speak(config, work)


async def _marked(session: Session, marker: str | None) -> Migration | None:
    """Find the move that a page begins behind; raise `NotThere`."""
    if marker is None:
        return None
    line = await _find(session, marker)
    moves = await newest(session, None, limit=PAGE_MAX, server=line.server)
    marked = next((move for move in moves if move.uuid == line.conversation), None)
    if marked is None:
        raise NotThere(f"{marker} is no move that a cell knows; list them with: cellferry migration list")
    return marked


async def newest(session: Session, before: Migration | None, *, limit: int, server: str) -> list[Migration]:
    """Ask all cells; of a move that two cells know, the younger record tells.  Cells that are away are named."""
    before_us, before_id = (NEWEST_US, "") if before is None else (before.created_at_us, before.uuid)
    request = ListMigrations(before_us=before_us, before_id=before_id, limit=limit, server=server)
    gathered = await session.client.gather(request, budget_s=LOOK_S)
    found: dict[str, Migration] = {}
    for answer in gathered.answers:
        if answer.is_error:
            error = revive(decode_error(answer.body))
            session.progress.print(f"warning: no answer from cell {answer.cell} and below: {error}")
            continue
        for move in decode_body(answer.body, MigrationPage).migrations:
            known = found.get(move.uuid)
            if known is None or known.updated_at_us < move.updated_at_us:
                found[move.uuid] = move
    return sorted(found.values(), key=lambda move: (move.created_at_us, move.uuid), reverse=True)[:limit]


async def _reasons(session: Session) -> dict[str, str]:
    """Tell what the open conversations wait for, by conversation and by server."""
    page = await session.look(ListConversations(limit=OPEN_MAX, is_open=True), at="conductor")
    waiting = [line for line in page.lines if line.waits_for is not None]
    return {name: str(line.waits_for) for line in waiting for name in (line.conversation, line.server)}


def row_of(move: Migration, reasons: dict[str, str]) -> Row:
    """Make a row of a listing."""
    return {
        "id": move.uuid,
        "server": move.server,
        "kind": move.kind.value,
        "status": move.status.value,
        "source": f"{move.source_cell}/{move.source_host}",
        "target": f"{move.target_cell}/{move.target_host}" if move.target_host else None,
        "old_flavor": move.old_flavor,
        "new_flavor": move.new_flavor,
        "created": shown_time(move.created_at_us),
        "updated": shown_time(move.updated_at_us),
        "waits_for": reasons.get(move.uuid) or reasons.get(move.server),
    }


# --- one of them -------------------------------------------------------------------------------------------


@migration.command()
@click.argument("which", metavar="MIGRATION")
@config_option()
@shape_options
def show(*, which: str, config: Path, shape: Shape) -> None:
    """Show a move or another conversation, step by step: by its id, the start of that, or its server."""

    async def work(session: Session) -> None:
        line = await _find(session, which)
        progress = await session.client.watch(_accepted(line), seen=0)
        steps = steps_of(progress)
        fields = fields_of(line, progress, now_us=session.clock.now_us())
        if shape.form != "table":
            show_fields(session.out, fields | {"steps": steps}, shape)
            return
        show_fields(session.out, fields, shape)
        if not shape.columns:
            heads = ("step", "actor", "attempt", "started", "took", "outcome")
            print_table(session.out, heads, [[row[head] for head in heads] for row in steps], title="Steps")

    speak(config, work)


@migration.command()
@click.argument("which", metavar="MIGRATION")
@config_option()
def watch(*, which: str, config: Path) -> None:
    """Follow a move or another conversation to the end of all clean-up, a line a step."""

    async def work(session: Session) -> None:
        line = await _find(session, which)
        with screen_on(session.out) as screen:
            screen.begin(line.server, f"{line.goal} {line.conversation}")
            progress = await follow(session, _accepted(line), screen, to_the_end=True)
        session.out.print(state_of(line.ending if progress.ending is None else progress.ending, is_closed=True))

    speak(config, work)


@migration.command()
@click.argument("which", metavar="MIGRATION")
@config_option()
def retry(*, which: str, config: Path) -> None:
    """Have a move or another conversation that waits try again now, and tell what comes of it."""

    async def work(session: Session) -> None:
        line = await _find(session, which)
        retried = await session.client.retry(line.conversation)
        session.out.print(f"{line.goal} {line.conversation} {come_of(retried)}")

    speak(config, work)


def come_of(retried: Retried) -> str:
    """Say what came of trying again."""
    if retried.went_on and retried.waits_for is None:
        return f"goes on; it waited for: {retried.waited_for}"
    if retried.went_on:
        return f"went on, and waits for: {retried.waits_for}"
    if retried.is_trying:
        return f"is at it, without an answer yet; it waited for: {retried.waited_for}"
    return f"has tried again, and still waits for: {retried.waits_for}"


async def _find(session: Session, text: str) -> ConversationLine:
    """Find a conversation by its id or the start of that, else the newest of a server; raise `NotThere`."""
    page = await session.look(ListConversations(id_start=text, limit=2), at="conductor")
    if len(page.lines) > 1 and text:
        raise NotThere(f"{text} is the start of more than one id, {page.lines[0].conversation} among them; write more")
    if page.lines:
        return page.lines[0]
    server = await session.find_server(text)
    if server is None:
        what = f"there is no move or other conversation {text}, nor a server of that name or id"
        raise NotThere(f"{what}; list moves with: cellferry migration list")
    page = await session.look(ListConversations(server=server.mirror.server, limit=1), at="conductor")
    if not page.lines:
        raise NotThere(f"nothing was ever asked of server {text}; list moves with: cellferry migration list")
    return page.lines[0]


def _accepted(line: ConversationLine) -> Accepted:
    return Accepted(conversation=line.conversation, server=line.server)


def fields_of(line: ConversationLine, progress: Progress, *, now_us: int) -> Row:
    """Tell how a conversation stands."""
    ending = progress.ending or line.ending
    cause = ending.cause if ending else None
    return {
        "id": line.conversation,
        "kind": line.goal.value,
        "server": line.server,
        "state": state_of(ending, is_closed=progress.is_closed, owes=progress.owes, waits_for=line.waits_for),
        "began": shown_time(line.began_at_us),
        "ended": shown_time(line.ended_at_us),
        "took": shown_span((line.ended_at_us or now_us) - line.began_at_us),
        "waits_for": line.waits_for,
        "cause": cause.message if cause else None,
    }


def state_of(ending: object, *, is_closed: bool, owes: bool = False, waits_for: str | None = None) -> str:
    """Say in a word how a conversation stands."""
    is_good = bool(getattr(ending, "is_success", False))
    if ending is not None and is_closed:
        return "done" if is_good else "failed, and undone"
    if owes:
        return "done, and cleaning up"
    if waits_for is not None:
        return "parked"
    return "under way" if ending is None else "closing"


def steps_of(progress: Progress) -> list[Row]:
    """Make a row of each step: who did it, when, how long it took, and what came of it."""
    rows: dict[tuple[str, int, bool], Row] = {}
    began_us: dict[tuple[str, int, bool], int] = {}
    for news in progress.news:
        entry = news.entry
        exchange = (entry.step, entry.attempt, entry.is_undo)
        if entry.kind is Kind.INTENT and exchange not in rows:
            began_us[exchange] = entry.at_us
            rows[exchange] = _row(news)
        elif entry.kind in {Kind.DONE, Kind.REFUSED} and exchange in rows:
            rows[exchange]["took"] = shown_span(entry.at_us - began_us[exchange])
            is_done = entry.kind is Kind.DONE
            why = "" if is_done else f"refused: {decode_body(entry.payload, ErrorReport).message}"
            rows[exchange]["outcome"] = "done" if is_done else why
    return list(rows.values())


def _row(news: StepNews) -> Row:
    entry = news.entry
    return {
        "step": f"undo: {entry.step}" if entry.is_undo else entry.step,
        "actor": news.actor,
        "attempt": entry.attempt or None,
        "started": shown_time(entry.at_us),
        "took": None,
        "outcome": "under way",
    }
