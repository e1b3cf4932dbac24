"""What a gather makes of answers that are errors, late, doubled, or more than one could wait for."""

from __future__ import annotations

from typing import Final

import anyio
import attrs
import pytest

from actors.cell.router import PREFETCH, inbound
from actors.kernel.ports import Queue
from protocol.bodies import encode_body
from protocol.cell_path import Address, CellPath
from protocol.envelope import Response, Targeted
from protocol.errors import CallTimeout, CellTimeout, Conflict
from protocol.gather import CellAnswer, encode_answers
from tests.actors.cell.forest import Forest, answers, broadcast, call, error_of
from tests.strategies import NOVA_TREE

pytestmark = pytest.mark.anyio
ROOT: Final = CellPath.parse("api")
CHILD1, CHILD2, CHILD3 = (ROOT.child(f"child{number}") for number in (1, 2, 3))
GRAND1, GRAND3 = CHILD2.child("grand1"), CHILD3.child("grand3")
ALL: Final = frozenset(NOVA_TREE.cells)


@pytest.mark.proves("R15", "R24", "R25")
@pytest.mark.parametrize("failing", [ALL, frozenset({CHILD2, GRAND3})], ids=["all", "two"])
async def test_each_cell_that_fails_answers_with_its_own_error(failing: frozenset[CellPath]) -> None:
    """As many errors as cells that fail, each of its own class and cell; the others' answers are there."""
    forest = Forest(NOVA_TREE, failing=failing)
    async with forest.asking(ROOT) as asker:
        given = answers(await asker.ask(broadcast(asker)))
        assert len(given) == 8
        failed = {answer.cell: error_of(answer) for answer in given if answer.is_error}
        assert failed.keys() == failing
        assert all(isinstance(error, Conflict) for error in failed.values())
        assert {error.remote_cell for error in failed.values()} == {str(cell) for cell in failing}


@pytest.mark.proves("R15")
async def test_a_call_that_fails_is_answered_with_the_error_of_that_cell() -> None:
    """Over two hops it is the same class, and names where it was raised."""
    forest = Forest(NOVA_TREE, failing=ALL)
    async with forest.asking(ROOT) as asker:
        error = error_of(await asker.ask(call(asker, Address(GRAND3, "cell"))))
        assert isinstance(error, Conflict)
        assert error.remote_cell == str(GRAND3)


def from_child(asked: Targeted, answers_to: bytes, cell: CellPath, at: CellPath) -> Response:
    """Make the answer of a neighbour to a broadcast."""
    list_of_one = encode_answers((CellAnswer(cell=cell, body=encode_body("forged"), is_error=False),))
    return Response(
        id=asked.id, method="where", context=asked.context, source=Address(cell, "link"), route=(cell,), call=False,
        reply_to="", budget_s=1.0, body=list_of_one, target=Address(at, "replies:link:0"), answers=answers_to,
        is_error=False,
    )  # fmt: skip


@pytest.mark.proves("Q8")
async def test_a_child_that_answers_twice_counts_once_and_for_nobody_else() -> None:
    """Its second list is dropped, and the gather goes on waiting for the others."""
    forest = Forest(NOVA_TREE, deaf=frozenset({CHILD1}), mute=frozenset({GRAND1}))
    async with forest.asking(ROOT) as asker, anyio.create_task_group() as tasks:
        asked = broadcast(asker, budget_s=5)

        async def twice() -> None:
            await anyio.sleep(1)
            for _ in range(2):
                again = from_child(call(asker, asker.me), asked.id, CHILD1, ROOT)
                await forest.frame(Queue(ROOT, "replies:link:0"), again)

        tasks.start_soon(twice)
        given = answers(await asker.ask(asked))
        assert sorted(answer.cell for answer in given) == sorted(NOVA_TREE.cells)
        assert [answer.cell for answer in given if answer.is_error] == [GRAND1]
        assert forest.events.counts["answer_unwanted"] == 1


@pytest.mark.proves("Q2", "Q10")
async def test_an_answer_that_comes_too_late_is_dropped_and_nothing_is_left_of_the_gather() -> None:
    """The child is timed out in its own name; what it says afterwards is counted, and the next gather is whole."""
    forest = Forest(NOVA_TREE, deaf=frozenset({CHILD1}))
    async with forest.asking(ROOT) as asker:
        asked = broadcast(asker, budget_s=2)
        given = answers(await asker.ask(asked))
        late = [error_of(answer) for answer in given if answer.is_error]
        assert [(type(error), error.arguments["cell"]) for error in late] == [(CellTimeout, str(CHILD1))]
        await forest.frame(
            Queue(ROOT, "replies:link:0"), from_child(call(asker, asker.me), asked.id, CHILD1, ROOT)
        )  # fmt: skip
        await anyio.sleep(1)
        assert forest.events.counts["answer_unwanted"] == 1
        assert len(asker.calls) == 0


@pytest.mark.proves("R140", "Q2")
async def test_whoever_waits_for_answers_bars_nobody_else() -> None:
    """More gathers wait than the router takes at a time; calls and their answers pass meanwhile, in both directions."""
    forest = Forest(NOVA_TREE, deaf=frozenset({CHILD1}))
    async with forest.asking(ROOT) as asker, anyio.create_task_group() as tasks:

        async def gather() -> None:
            assert not (await asker.ask(broadcast(asker, budget_s=8))).is_error

        for _ in range(PREFETCH + 1):
            tasks.start_soon(gather)
        await anyio.sleep(1)
        for cell in (GRAND1, GRAND3, ROOT):
            assert not (await asker.ask(call(asker, Address(cell, "cell")))).is_error
        assert anyio.current_time() < 2
        silent = attrs.evolve(call(asker, Address(CHILD1, "cell")), budget_s=1.0)
        with pytest.raises(CallTimeout):
            await asker.ask(silent)


@pytest.mark.proves("R3")
async def test_each_hop_asks_in_its_own_name() -> None:
    """A child answers the cell above it, not the source: the one list is made hop by hop."""
    forest = Forest(NOVA_TREE)
    async with forest.asking(ROOT) as asker:
        await forest.wire.purge(inbound(CHILD2, ROOT))
        given = answers(await asker.ask(broadcast(asker, budget_s=5)))
        assert [answer.cell for answer in given if answer.is_error] == [CHILD2]
        assert GRAND1 in forest.runs
