"""Each step of each move fails in every way there is, for longer than anybody is patient: it is undone, or it waits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

import pytest

from protocol.moves.queueing import DOORS, FIRST_STEP, PROOF
from protocol.saga import Step
from protocol.states import Goal
from sim.stages.loop import LoopStage
from tests.docs.failures_page import SHOWN, section
from tests.docs.generate import REFERENCE
from tests.sagas.doings import DOINGS, Doing
from tests.sagas.failing import FORWARD, Failed, Way, forward, undone
from tests.shares import part

T = TypeVar("T")


def each_of(doings: Iterable[Doing]) -> pytest.MarkDecorator:
    """Ask something of each operation, all in one process: a step is made to fail once, whoever asks how it ends."""
    group = pytest.mark.xdist_group
    return pytest.mark.parametrize(
        "doing", [pytest.param(each, id=each.name, marks=group(f"failing: {each.name}")) for each in doings]
    )


DELETES: Final = tuple(each for each in DOINGS if each.goal is Goal.DELETE)
UNDONE: Final = tuple(each for each in DOINGS if each not in DELETES)
EACH_DOING: Final = each_of(DOINGS)
EACH_UNDONE: Final = each_of(UNDONE)
MOVES: Final = (*DOINGS[:4], *(each for each in DOINGS if each.is_inside and each.goal in {Goal.RESIZE, Goal.REVERT}))
EACH_MOVE: Final = each_of(MOVES)
#: By day, one step or turn in so many of an operation that no page shows.
ONE_IN: Final = 4
#: Here nothing can be undone, so that nobody's patience has an end.
BRIEFLY_S: Final = 45.0
#: After which a step is done all the same: it is asked again.
ONCE: Final = frozenset({Way.UNHEARD_ONCE, Way.REFUSED_ONCE})
#: Reads that the operation can do without.
DISPENSABLE: Final = frozenset({"look_at_host"})
#: Whoever carries the step out says that it does not.
REFUSALS: Final = frozenset({Way.REFUSED_ONCE, Way.REFUSED, Way.DIRTY})


def share(doing: Doing, items: Sequence[T]) -> Sequence[T]:
    """Give all of it of what a page tells; of other operations, by day, an even part."""
    return items if doing in SHOWN else part(items, ONE_IN, since=DOINGS.index(doing))


def bad_ends(step: Step) -> set[str]:
    """Tell how an operation may end whose step has failed: at the door its user hears of it before it is accepted."""
    if step.name in DISPENSABLE:
        return {"done"}
    return {"undone", "refused"} if step.name in {FIRST_STEP, PROOF, *DOORS} else {"undone"}


@EACH_UNDONE
def test_a_step_that_fails_before_there_is_no_way_back_is_undone_however_it_fails(doing: Doing) -> None:
    """All is as before; only an answer that is lost once costs nothing; only a dead owner is waited for."""
    for step in share(doing, doing.backward()):
        for way, failed in undone(doing, step).items():
            assert failed.end in ({"done"} if way is Way.UNHEARD_ONCE else bad_ends(step)), (step.name, way)
            assert not failed.waits or way is Way.DEAD, (step.name, way)
            assert bool(failed.error) is (failed.end != "done")


@each_of(DELETES)
def test_a_delete_is_refused_at_the_door_or_done_whoever_does_not_answer(doing: Doing) -> None:
    """It is never given up: not for as long as it takes until everybody answers."""
    for step in share(doing, doing.backward()):
        for way, failed in undone(doing, step).items():
            assert failed.end == ("refused" if way in REFUSALS else "done"), (step.name, way)
            assert bool(failed.waits) is (way not in REFUSALS | ONCE), (step.name, way)


@EACH_DOING
def test_a_step_that_fails_when_there_is_no_way_back_is_waited_for_and_done(doing: Doing) -> None:
    """While it lasts the conversation says what it waits for; when it is over the move ends, as if nothing had been."""
    for turn in share(doing, range(len(Way))):
        _judge_forward(forward(doing, turn))


@EACH_MOVE
def test_the_real_actors_wait_for_a_step_that_fails_and_do_it(doing: Doing) -> None:
    """The same on the loop, with SQL, codec and routing, for one of the turns and for less long."""
    _judge_forward(forward(doing, 1, on=LoopStage, long_s=BRIEFLY_S))


@each_of(SHOWN)
def test_the_page_of_failures_tells_how_each_of_them_ends(doing: Doing) -> None:
    """What is committed is what has just happened; `make docs` writes it anew."""
    assert section(doing) in (REFERENCE / "failures.md").read_text(encoding="utf-8"), "run make docs"


def _judge_forward(found: dict[str, tuple[Way, Failed]]) -> None:
    assert found
    for step, (way, failed) in found.items():
        assert (failed.end, failed.error) == (FORWARD, ""), step
        assert bool(failed.waits) is (way not in ONCE), (step, way)


@EACH_MOVE
def test_the_real_actors_undo_a_step_that_fails(doing: Doing) -> None:
    """On the loop too, for the last step that may be undone, and the first that is no refusal at the door."""
    steps = doing.backward()[1:]
    for step in dict.fromkeys((steps[0], steps[-1])):
        ends = {way: failed.end for way, failed in undone(doing, step, on=LoopStage).items()}
        assert ends.pop(Way.UNHEARD_ONCE) == "done"
        assert set(ends.values()) <= bad_ends(step), step.name
