"""Routers pass each message to where it is for and to nobody else, and answer for what they cannot pass."""

from __future__ import annotations

from typing import Final

import anyio
import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.cell.router import inbound
from actors.kernel.ports import Queue
from protocol.bodies import decode_body
from protocol.cell_path import Address, CellPath
from protocol.envelope import Broadcast, Direction, Targeted, answer
from protocol.errors import (
    CallTimeout,
    CellTimeout,
    TooManyHops,
    UnknownCell,
    UnknownMethod,
    Unreachable,
    Unroutable,
)
from sim.clock import run
from tests.actors.cell.forest import Forest, answers, broadcast, call, error_of
from tests.strategies import NOVA_TREE, Tree, trees

pytestmark = pytest.mark.anyio
ROOT: Final = CellPath.parse("api")
CHILD2, CHILD3 = ROOT.child("child2"), ROOT.child("child3")
GRAND1, GRAND2, GRAND3 = CHILD2.child("grand1"), CHILD3.child("grand2"), CHILD3.child("grand3")
few = settings(max_examples=max(10, settings().max_examples // 4))


def ordered(tree: Tree, cell: CellPath, deaf: frozenset[CellPath]) -> list[CellPath]:
    """List whom a gather from above must represent: children first, in configured order; a deaf cell hides its own."""
    if cell in deaf:
        return [cell]
    return [*(each for child in tree.children(cell) for each in ordered(tree, child, deaf)), cell]


# --- targeted ----------------------------------------------------------------------------------------------


@pytest.mark.proves("R1", "R2", "R5", "R7", "R10", "R11", "R13", "R14")
@few
@given(tree=trees(12), data=st.data())
def test_a_call_reaches_exactly_its_target_and_is_answered(tree: Tree, data: st.DataObject) -> None:
    """From any cell to any other, over the common ancestor, and nobody else gets it."""
    source, target = data.draw(st.sampled_from(tree.cells)), data.draw(st.sampled_from(tree.cells))

    async def main() -> None:
        forest = Forest(tree)
        async with forest.asking(source) as asker:
            response = await asker.ask(call(asker, Address(target, "cell")))
            assert decode_body(response.body, str) == str(target)
            assert forest.runs == [target]
            assert (len(asker.calls), forest.dead(target)) == (0, [])

    run(main)


@pytest.mark.proves("R17")
async def test_a_call_to_a_cell_that_is_not_there_is_answered_by_the_last_that_is() -> None:
    """The error names the missing neighbour, and comes at once."""
    forest = Forest(NOVA_TREE)
    async with forest.asking(GRAND1) as asker:
        error = error_of(await asker.ask(call(asker, Address(CHILD3.child("nobody"), "cell"))))
        assert isinstance(error, UnknownCell)
        assert (error.at, error.remote_cell) == (str(CHILD3), str(CHILD3))
        assert anyio.current_time() < 1


async def test_a_call_to_a_mailbox_that_is_not_there_is_answered() -> None:
    """The error may pass: its actor may be about to start."""
    forest = Forest(NOVA_TREE)
    async with forest.asking(ROOT) as asker:
        error = error_of(await asker.ask(call(asker, Address(GRAND2, "host:h9"))))
        assert isinstance(error, Unroutable)
        assert error.is_retryable


@pytest.mark.proves("R16", "Q1")
@pytest.mark.parametrize("hops_max", range(1, 6))
async def test_a_call_beyond_its_hop_limit_runs_nowhere(hops_max: int) -> None:
    """The limit counts the source's cell: this target is the fifth."""
    forest = Forest(NOVA_TREE)
    async with forest.asking(GRAND1) as asker:
        response = await asker.ask(call(asker, Address(GRAND3, "cell"), hops_max=hops_max))
        if hops_max == 5:
            assert not response.is_error
        else:
            assert isinstance(error_of(response), TooManyHops)
        assert forest.runs == [GRAND3] * (hops_max == 5)


async def test_a_cast_that_leads_nowhere_is_counted_only() -> None:
    """Nobody waits for an answer, and the router lives on."""
    forest = Forest(NOVA_TREE)
    async with forest.asking(ROOT) as asker:
        lost = attrs.evolve(call(asker, Address(ROOT.child("nobody"), "cell")), call=False, reply_to="")
        await asker.send(lost)
        await anyio.sleep(1)
        assert forest.events.counts["message_refused"] == 1
        assert not (await asker.ask(call(asker, Address(GRAND3, "cell")))).is_error


@pytest.mark.proves("Q23")
async def test_an_answer_that_leads_nowhere_is_counted_only() -> None:
    """The asker's cell is gone; its answer is not answered in turn."""
    forest = Forest(NOVA_TREE)
    async with forest.asking(ROOT) as asker:
        stray = attrs.evolve(call(asker, Address(GRAND3, "cell")), reply_to="replies:nobody:0")
        await asker.send(stray)
        await anyio.sleep(1)
        assert forest.runs == [GRAND3]
        assert forest.events.counts["message_refused"] == 1


# --- authority ---------------------------------------------------------------------------------------------


def forged(asker_call: Targeted | Broadcast, kind: str) -> Targeted | Broadcast:
    """Make of a call by `api!child2` what that cell may not send."""
    way = (CHILD2,)
    match kind:
        case "another's route":
            route: tuple[CellPath, ...] = (CHILD3,)
            return attrs.evolve(asker_call, source=Address(CHILD3, "cell"), route=route)
        case "a route in circles":
            return attrs.evolve(asker_call, route=(CHILD2, ROOT, CHILD2))
        case "what only parents send":
            return attrs.evolve(asker_call, method="begin_task", route=way)
        case "what never leaves its cell":
            return attrs.evolve(asker_call, method="issue_permit", route=way)
        case _:
            return attrs.evolve(asker_call, method="find_room", route=way)


@pytest.mark.parametrize(
    "kind",
    ["another's route", "a route in circles", "what only parents send", "what never leaves its cell", "one to all"],
)
async def test_a_neighbour_that_sends_what_it_may_not_is_not_served(kind: str) -> None:
    """It is a dead letter, counted; the good envelopes of the same frame pass."""
    forest = Forest(NOVA_TREE)
    async with forest.asking(ROOT), forest.post(CHILD2, "liar").open() as liar:
        good = call(liar, Address(ROOT, "cell"))
        await forest.frame(inbound(CHILD2, ROOT), forged(call(liar, Address(ROOT, "cell")), kind), good, b"junk")
        await anyio.sleep(1)
        assert forest.runs == [ROOT]
        assert forest.dead(ROOT) == ["forbidden"]
        assert forest.events.counts["dead_letter"] == 1


@pytest.mark.parametrize("method", ["issue_permit", "begin_task", "update_mirror", "find_room"])
async def test_a_child_cannot_broadcast_what_it_may_not_send(method: str) -> None:
    """Neither a method for one actor, nor one that never leaves its cell, nor one that only goes down."""
    forest = Forest(NOVA_TREE)
    async with forest.asking(ROOT), forest.post(GRAND1, "liar").open() as liar:
        await liar.send(broadcast(liar, direction=Direction.UP, method=method))
        await anyio.sleep(20)
        assert ROOT not in forest.runs
        assert CHILD2 not in forest.runs
        assert forest.dead(CHILD2) == ["forbidden"]


async def test_a_parent_may_broadcast_what_is_declared_so() -> None:
    """A declared broadcast passes down all edges."""
    forest = Forest(NOVA_TREE)
    async with forest.asking(ROOT) as asker:
        assert len(answers(await asker.ask(broadcast(asker, method="find_room")))) == len(NOVA_TREE.cells)


async def test_an_actor_cannot_pretend_that_its_message_came_from_elsewhere() -> None:
    """What enters by the own cell's queue begins in this cell."""
    forest = Forest(NOVA_TREE)
    async with forest.asking(ROOT), forest.post(CHILD2, "liar").open() as liar:
        await forest.frame(Queue(ROOT, "link"), call(liar, Address(GRAND3, "cell")))
        await anyio.sleep(1)
        assert (forest.runs, forest.dead(ROOT)) == ([], ["forbidden"])


async def test_one_bad_envelope_spoils_none_of_a_router_s_frame() -> None:
    """The good ones are passed on, and the frame is a dead letter with the reason of the first bad one."""
    forest = Forest(NOVA_TREE)
    async with forest.asking(ROOT) as asker:
        good = [call(asker, Address(cell, "cell")) for cell in (GRAND2, GRAND3)]
        await forest.frame(Queue(ROOT, "link"), good[0], b"junk", good[1])
        await anyio.sleep(1)
        assert sorted(forest.runs) == [GRAND2, GRAND3]
        assert forest.dead(ROOT) == ["malformed"]


@pytest.mark.proves("Q23")
async def test_what_can_go_nowhere_and_has_no_asker_is_a_dead_letter() -> None:
    """A cast to a cell that is not there, one that is too far away, and an answer to nobody's cell (Q23)."""
    forest = Forest(NOVA_TREE)
    async with forest.asking(ROOT) as asker:
        nowhere = attrs.evolve(call(asker, Address(CHILD2.child("gone"), "cell")), call=False, reply_to="")
        too_far = attrs.evolve(call(asker, Address(GRAND1, "cell"), hops_max=2), call=False, reply_to="")
        lost = answer(
            attrs.evolve(nowhere, source=Address(CHILD3.child("gone"), "cell"), route=(CHILD3.child("gone"),)),
            id=forest.ids.new(), source=asker.me, body=b"", is_error=False,
            to=Address(CHILD3.child("gone"), "replies:cell:0"),
        )  # fmt: skip
        for envelope in (nowhere, too_far, lost):
            await asker.send(envelope)
        await anyio.sleep(1)
        assert (forest.dead(CHILD2), forest.dead(CHILD3)) == (["no_route", "too_many_hops"], ["no_route"])
        assert forest.runs == []


async def test_nothing_is_for_a_link_itself() -> None:
    """It would be passed on to the link that has just taken it, for ever."""
    forest = Forest(NOVA_TREE)
    async with forest.asking(ROOT) as asker:
        with pytest.raises(UnknownMethod):
            raise error_of(await asker.ask(call(asker, Address(ROOT, "link"))))
        with pytest.raises(UnknownMethod):
            raise error_of(await asker.ask(call(asker, Address(CHILD2, "link"))))


async def test_an_answer_of_somebody_who_was_not_asked_is_a_dead_letter() -> None:
    """However well he knows the question; the asker goes on waiting for who was asked."""
    forest = Forest(NOVA_TREE, mute=frozenset({GRAND1}))
    async with forest.asking(ROOT) as asker, forest.post(CHILD3, "liar").open() as liar:
        asked = attrs.evolve(call(asker, Address(GRAND1, "cell")), budget_s=2)

        async def lie() -> None:
            await anyio.sleep(1)
            await liar.send(answer(asked, id=liar.ids.new(), source=liar.me, body=b"", is_error=False))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lie)
            with pytest.raises(CallTimeout):
                await asker.ask(asked)
        assert forest.dead(ROOT) == ["forbidden"]


# --- gathers -----------------------------------------------------------------------------------------------


@pytest.mark.proves("R21", "R22", "Q4", "Q13", "Q14", "Q24")
@few
@given(tree=trees(12), data=st.data(), include_self=st.booleans())
def test_a_gather_represents_each_cell_exactly_once(tree: Tree, data: st.DataObject, *, include_self: bool) -> None:
    """In configured order; a deaf cell hides what is below it under one time-out, a mute one only itself."""
    source = data.draw(st.sampled_from(tree.cells))
    others = [cell for cell in tree.cells if cell != source]
    some = st.frozensets(st.sampled_from(others), max_size=3) if others else st.just(frozenset[CellPath]())
    deaf, mute = data.draw(some), data.draw(some)

    async def main() -> None:
        forest = Forest(tree, deaf=deaf, mute=mute)
        async with forest.asking(source) as asker:
            given = answers(await asker.ask(broadcast(asker, include_self=include_self)))
            expected = ordered(tree, source, deaf)
            assert [answer.cell for answer in given] == (expected if include_self else expected[:-1])
            for answer in given:
                if answer.cell in deaf | mute:
                    assert isinstance(error_of(answer), CellTimeout)
                else:
                    assert decode_body(answer.body, str) == str(answer.cell)
            heard = [cell for cell in expected if cell not in deaf and (include_self or cell != source)]
            assert sorted(forest.runs) == sorted(heard)
            assert anyio.current_time() < 10

    run(main)


@pytest.mark.proves("R9", "R20")
async def test_a_gather_up_asks_every_cell_above() -> None:
    """The root first, for each hop adds its own answer last."""
    forest = Forest(NOVA_TREE)
    async with forest.asking(GRAND1) as asker:
        given = answers(await asker.ask(broadcast(asker, direction=Direction.UP)))
        assert [answer.cell for answer in given] == [ROOT, CHILD2, GRAND1]


@pytest.mark.proves("R23")
@pytest.mark.parametrize(("hops_max", "cells"), [(1, 1), (2, 5), (3, 8)])
async def test_a_gather_at_its_hop_limit_is_only_shorter(hops_max: int, cells: int) -> None:
    """It is no error, and no cell beyond it runs anything."""
    forest = Forest(NOVA_TREE)
    async with forest.asking(ROOT) as asker:
        given = answers(await asker.ask(broadcast(asker, hops_max=hops_max)))
        assert len(given) == len(forest.runs) == cells
        assert not any(answer.is_error for answer in given)


@pytest.mark.proves("Q6")
async def test_a_neighbour_that_cannot_be_sent_to_is_unreachable() -> None:
    """One error named for it, at once; all other answers are kept."""
    forest = Forest(NOVA_TREE)
    async with forest.asking(ROOT) as asker:
        await forest.wire.purge(inbound(ROOT, CHILD3))
        given = answers(await asker.ask(broadcast(asker)))
        assert [answer.cell for answer in given if answer.is_error] == [CHILD3]
        assert isinstance(error_of(next(answer for answer in given if answer.is_error)), Unreachable)
        assert len(given) == 6
        assert anyio.current_time() < 1


@pytest.mark.proves("Q9")
async def test_a_doubled_broadcast_runs_once() -> None:
    """Its copy is counted, and the one answer is whole."""
    forest = Forest(NOVA_TREE)
    async with forest.asking(ROOT) as asker:
        asked = broadcast(asker)
        await forest.frame(Queue(ROOT, "link"), asked)
        given = answers(await asker.ask(asked))
        assert len(given) == len(forest.runs) == len(NOVA_TREE.cells)
        assert forest.events.counts["broadcast_doubled"] == 1


@pytest.mark.proves("Q5", "Q11")
async def test_an_inner_hop_gives_up_before_the_outer_one_does() -> None:
    """Each deeper cell has less time than the one above, and the asker more than all of them."""
    forest = Forest(NOVA_TREE, mute=frozenset({GRAND1}))
    async with forest.asking(ROOT) as asker:
        given = answers(await asker.ask(broadcast(asker, budget_s=4)))
        assert [answer.cell for answer in given if answer.is_error] == [GRAND1]
        assert forest.budgets_s[GRAND1] < forest.budgets_s[CHILD2] < forest.budgets_s[ROOT] < 4
        assert anyio.current_time() < 4


@pytest.mark.proves("R21", "Q7")
async def test_a_broadcast_cast_runs_in_each_cell_and_is_answered_by_none() -> None:
    """It spreads as a call does; a neighbour that is away is counted."""
    forest = Forest(NOVA_TREE)
    async with forest.asking(ROOT) as asker:
        await forest.wire.purge(inbound(ROOT, CHILD2))
        await asker.send(broadcast(asker, is_call=False, include_self=False))
        await anyio.sleep(1)
        assert len(forest.runs) == 5
        assert forest.events.counts["message_refused"] == 1
        assert len(asker.calls) == 0


async def test_a_gather_whose_own_actor_is_mute_says_so() -> None:
    """The source's own cell is timed out like any other."""
    forest = Forest(NOVA_TREE, mute=frozenset({ROOT}))
    async with forest.asking(ROOT) as asker:
        given = answers(await asker.ask(broadcast(asker)))
        assert [answer.cell for answer in given if answer.is_error] == [ROOT]


async def test_a_gather_over_a_deaf_own_router_times_out() -> None:
    """Where nobody routes at all, the asker's own deadline holds."""
    forest = Forest(NOVA_TREE, deaf=frozenset({ROOT}))
    async with forest.asking(ROOT) as asker:
        await forest.wire.declare(Queue(ROOT, "link"))
        with pytest.raises(CallTimeout):
            await asker.ask(broadcast(asker, budget_s=2))
