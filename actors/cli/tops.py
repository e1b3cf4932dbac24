"""What moves, and the tree, as one picture: in lines for people, and as plain data for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs
from rich.text import Text

from actors.cli.migrations import state_of
from actors.cli.times import US_A_S, shown_span, shown_time
from actors.cli.trees import drawn, rows_of
from protocol.journal import Kind
from protocol.moves.plans import PLANS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.cli.formats import Row
    from actors.cli.trees import Seen
    from protocol.messages.orders import ConversationLine, Progress

BAR_COLUMNS: Final = 24
ID_CHARS: Final = 8
SERVER_COLUMNS: Final = 18
GOAL_COLUMNS: Final = 12
STATE_COLUMNS: Final = 22
SPAN_COLUMNS: Final = 9
PARKED: Final = "parked"


@attrs.frozen(kw_only=True)
class Moving:
    """A conversation in flight: how far it is, and what it is at, or waits for."""

    line: ConversationLine
    name: str  # Of its server; the start of its id, when nobody told the name.
    state: str
    done: int
    of: int
    is_undoing: bool
    step: str = ""
    actor: str = ""
    since_us: int | None = None  # When its newest entry was written.

    @property
    def is_parked(self) -> bool:
        """Tell whether it waits for something that does not come by itself."""
        return self.line.waits_for is not None and self.line.ending is None


def moving(line: ConversationLine, progress: Progress | None, *, name: str = "") -> Moving:
    """Read off a journal how far a conversation is; without one only its line is known."""
    plan, news = PLANS[line.goal], () if progress is None else progress.news
    done: dict[str, None] = {}
    at: tuple[str, str, bool] = ("", "", False)
    for each in news:
        entry = each.entry
        if entry.kind is Kind.INTENT:
            at = (entry.step, each.actor, entry.is_undo)
        elif entry.kind is Kind.DONE and entry.is_undo:
            done.pop(entry.step, None)
        elif entry.kind is Kind.DONE:
            done[entry.step] = None
    step, actor, is_undoing = at
    ending = line.ending if progress is None else progress.ending
    owes = progress is not None and progress.owes
    state = state_of(ending, is_closed=line.is_closed, owes=owes, waits_for=line.waits_for)
    return Moving(
        line=line, name=name or line.server[:ID_CHARS], state=state, done=len(done), of=len(plan.steps),
        is_undoing=is_undoing, step=step, actor=actor,
        since_us=news[-1].entry.at_us if news else None,
    )  # fmt: skip


def in_order(moves: list[Moving]) -> list[Moving]:
    """Put the parked ones first, then the oldest."""
    return sorted(moves, key=lambda each: (not each.is_parked, each.line.number))


def bar(move: Moving) -> str:
    """Draw how far a conversation is: what is done, and what its plan has at most."""
    filled = BAR_COLUMNS * move.done // max(1, move.of)
    return f"{'█' * filled}{'·' * (BAR_COLUMNS - filled)}"


def picture(seen: Seen, moves: list[Moving], *, more: int, now_us: int) -> Iterator[Text]:
    """Draw everything: moves first, for who looks wants to know what is stuck."""
    parked = sum(move.is_parked for move in moves)
    head = f"{len(moves) + more} in flight, {parked} of them parked" if moves else "nothing is in flight"
    yield Text(f"{shown_time(now_us)}  {head}", style="bold")
    for move in in_order(moves):
        yield _line(move, now_us)
        if move.line.waits_for is not None:
            yield Text(f"    waits for: {move.line.waits_for}", style="red" if move.is_parked else "yellow")
    if more:
        yield Text(f"  and {more} more: cellferry migration list", style="dim")
    yield Text("")
    for line in drawn(seen):
        yield Text(line, style="red" if "MUTE" in line or "link " in line else "")


def _line(move: Moving, now_us: int) -> Text:
    style = "bold red" if move.is_parked else "yellow" if move.is_undoing else "green"
    took = shown_span(now_us - move.line.began_at_us)
    text = Text(f"  {_short(move.name):<{SERVER_COLUMNS}}{move.line.goal.value:<{GOAL_COLUMNS}}")
    text.append(bar(move), style=style)
    text.append(f" {f'{move.done}/{move.of}':>6}  {took:>{SPAN_COLUMNS}}  {move.state:<{STATE_COLUMNS}}")
    if move.step:
        text.append(f" {'undo: ' if move.is_undoing else ''}{move.step} at {move.actor}", style="dim")
    return text


def _short(name: str) -> str:
    return name if len(name) < SERVER_COLUMNS else f"{name[: SERVER_COLUMNS - 2]}…"


def document(seen: Seen, moves: list[Moving], *, more: int, now_us: int) -> dict[str, Any]:
    """Tell everything to a program."""
    return {
        "time": shown_time(now_us),
        "moves": [_row(move, now_us) for move in in_order(moves)],
        "more": more,
        "cells": rows_of(seen),
    }


def _row(move: Moving, now_us: int) -> Row:
    return {
        "id": move.line.conversation,
        "server": move.line.server,
        "name": move.name,
        "kind": move.line.goal.value,
        "state": move.state,
        "parked": move.is_parked,
        "waits_for": move.line.waits_for,
        "steps_done": move.done,
        "steps": move.of,
        "undoing": move.is_undoing,
        "step": move.step or None,
        "actor": move.actor or None,
        "began": shown_time(move.line.began_at_us),
        "still_s": None if move.since_us is None else round(max(0, now_us - move.since_us) / US_A_S, 1),
    }
