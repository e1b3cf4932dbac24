"""The picture of `cellferry top`: what is parked comes first, and each bar says how far its conversation is."""

from __future__ import annotations

import io
from typing import Final

import attrs
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from actors.cli.tops import BAR_COLUMNS, Moving, bar, document, in_order, moving, picture
from protocol.journal import Entry, Kind
from protocol.messages.orders import ConversationLine, Progress, StepNews
from protocol.moves.plans import PLANS
from protocol.states import Goal
from tests.actors.cli.test_shown import SEEN

S: Final = 1_000_000
STEPS: Final = [step.name for step in PLANS[Goal.RESIZE].steps]
LINE: Final = ConversationLine(
    conversation="c1", server="0123456789", goal=Goal.RESIZE, number=7, began_at_us=0, ended_at_us=None, ending=None,
    is_closed=False, waits_for=None,
)  # fmt: skip
WAITS: Final = "spawn_target at api!us/host:h4: no answer"


def news(kind: Kind, step: str, *, is_undo: bool = False, at_us: int = 0) -> StepNews:
    entry = Entry(seq=0, epoch=1, kind=kind, at_us=at_us, step=step, attempt=1, is_undo=is_undo)
    return StepNews(entry=entry, actor="api!us/host:h4")


def at(*entries: StepNews, line: ConversationLine = LINE, name: str = "web") -> Moving:
    progress = Progress(news=entries, parked=line.waits_for, ending=None, is_closed=False, owes=False)
    return moving(line, progress, name=name)


def test_a_bar_is_as_long_as_what_is_done_and_not_undone() -> None:
    """A step that was undone is done no more; one whose undo is under way is marked."""
    first, second = STEPS[:2]
    done = at(*(news(Kind.DONE, step) for step in STEPS))
    assert (done.done, bar(done)) == (len(STEPS), "█" * BAR_COLUMNS)
    undoing = at(
        news(Kind.DONE, first), news(Kind.DONE, second), news(Kind.INTENT, second, is_undo=True),
        news(Kind.DONE, second, is_undo=True), news(Kind.INTENT, first, is_undo=True),
    )  # fmt: skip
    assert (undoing.done, undoing.is_undoing, undoing.step) == (1, True, first)
    assert bar(at()) == "·" * BAR_COLUMNS


@given(st.lists(st.tuples(st.integers(0, 99), st.booleans()), unique_by=lambda each: each[0]))
def test_what_is_parked_comes_first_and_then_what_is_oldest(drawn: list[tuple[int, bool]]) -> None:
    """Nothing that is stuck is hidden below what goes on."""
    moves = [
        at(line=attrs.evolve(LINE, number=number, waits_for=WAITS if is_parked else None))
        for number, is_parked in drawn
    ]
    ordered = [(not move.is_parked, move.line.number) for move in in_order(moves)]
    assert ordered == sorted(ordered)
    assert len(ordered) == len(drawn)


def test_the_picture_says_what_is_stuck_and_why_above_the_tree() -> None:
    """In plain lines where it is no terminal that reads them; a program gets the same as values."""
    parked = at(news(Kind.INTENT, "spawn_target", at_us=50 * S), line=attrs.evolve(LINE, number=9, waits_for=WAITS))
    going = at(news(Kind.INTENT, "take"), line=attrs.evolve(LINE, conversation="c2", server="fedcba9876"), name="")
    file = io.StringIO()
    for line in picture(SEEN, [going, parked], more=3, now_us=90 * S):
        Console(file=file, width=200).print(line)
    shown = [line.rstrip() for line in file.getvalue().splitlines()]
    assert shown[0].endswith("5 in flight, 1 of them parked")
    assert shown[1].split()[:2] == ["web", "resize"]
    assert shown[1].endswith("parked                 spawn_target at api!us/host:h4")
    assert shown[2] == f"    waits for: {WAITS}"
    assert shown[3].startswith("  fedcba98")
    assert "and 3 more: cellferry migration list" in shown[4]
    assert any("MUTE" in line for line in shown)

    told = document(SEEN, [going, parked], more=3, now_us=90 * S)
    assert [(move["name"], move["parked"], move["still_s"]) for move in told["moves"]] == [
        ("web", True, 40.0), ("fedcba98", False, 90.0),
    ]  # fmt: skip
    assert {cell["cell"] for cell in told["cells"]} >= {"api", "api!eu", "api!us"}


def test_nothing_in_flight_is_said() -> None:
    """So that an empty picture is not taken for one that is not there yet."""
    assert next(picture(SEEN, [], more=0, now_us=0)).plain.endswith("nothing is in flight")
