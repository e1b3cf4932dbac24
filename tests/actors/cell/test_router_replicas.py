"""Several routers of one cell: a doubled broadcast that comes to more than one, and one that leaves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import anyio
import attrs
import pytest

from actors.cell.router import OVER_MAX, inbound
from actors.kernel.ports import Queue
from protocol.cell_path import Address, CellPath
from protocol.codec import decode, decode_frame
from protocol.envelope import Broadcast, Response
from protocol.requests import Done, Form, Method, Request, Role
from tests.actors.cell.forest import Forest, answers, broadcast, call
from tests.actors.wire.inbox import Inbox
from tests.strategies import NOVA_TREE

pytestmark = pytest.mark.anyio
ROOT: Final = CellPath.parse("api")
CHILD2, CHILD3 = ROOT.child("child2"), ROOT.child("child3")
SIDE: Final = [CHILD3.child("grand2"), CHILD3.child("grand3"), CHILD3]


@attrs.frozen(kw_only=True)
class Pay(Request[Done]):
    """What must not be done twice in a cell."""

    METHOD = Method(name="pay", at=Role.CELL, form=Form.BROADCAST, is_idempotent=False)


@asynccontextmanager
async def replies(forest: Forest, slot: int) -> AsyncIterator[tuple[Inbox, str]]:
    """Listen as another replica of the root's router, and name its queue."""
    queue, inbox = Queue(ROOT, f"replies:link:{slot}"), Inbox(acks=True)
    await forest.wire.declare(queue)
    async with forest.wire.consume(queue, inbox, prefetch=100):
        yield inbox, queue.name


def lists(inbox: Inbox) -> list[list[CellPath]]:
    """Name the cells of each list of answers that has come."""
    found = [decode(data) for frame in inbox.frames for data in decode_frame(frame)]
    return [[answer.cell for answer in answers(each)] for each in found if isinstance(each, Response)]


@pytest.mark.proves("R2", "Q8", "Q9")
async def test_a_broadcast_that_two_replicas_send_on_is_carried_out_once_and_answered_to_each() -> None:
    """One waits for itself as the other does; the same one twice is answered once; later, the answer is still known."""
    forest = Forest(NOVA_TREE)
    async with (
        forest.asking(CHILD2) as asker, replies(forest, 7) as (seven, name7), replies(forest, 8) as (eight, name8),
    ):  # fmt: skip
        asked = attrs.evolve(broadcast(asker), source=Address(ROOT, "client"), route=(ROOT,), reply_to=name7)
        for each in (asked, attrs.evolve(asked, reply_to=name8), asked):
            await forest.frame(inbound(ROOT, CHILD3), each)
        await anyio.sleep(1)
        assert (lists(seven), lists(eight)) == ([SIDE], [SIDE])
        async with replies(forest, 9) as (nine, name9):
            await forest.frame(inbound(ROOT, CHILD3), attrs.evolve(asked, reply_to=name9))
            await anyio.sleep(1)
            assert (len(lists(seven)), lists(nine)) == (1, [SIDE])
        assert sorted(forest.runs) == sorted(SIDE)


async def test_only_so_many_answers_are_kept_for_other_replicas() -> None:
    """What is older is dropped as doubled: nobody is told a time-out that was none."""
    forest = Forest(NOVA_TREE)
    async with forest.asking(CHILD2) as asker, replies(forest, 7) as (seven, name7):
        asked = attrs.evolve(broadcast(asker), source=Address(ROOT, "client"), route=(ROOT,), reply_to=name7)
        many: list[Broadcast] = [attrs.evolve(asked, id=asker.ids.new()) for _ in range(OVER_MAX + 1)]
        for each in many:
            await forest.frame(inbound(ROOT, CHILD3), each)
        await anyio.sleep(1)
        assert len(lists(seven)) == len(many)
        async with replies(forest, 8) as (eight, name8):
            for each in many:
                await forest.frame(inbound(ROOT, CHILD3), attrs.evolve(each, reply_to=name8))
            await anyio.sleep(1)
            assert len(lists(eight)) == OVER_MAX


@pytest.mark.proves("Q9")
async def test_what_may_not_run_twice_is_broadcast_with_a_key_of_its_own() -> None:
    """Two replicas of a cell that both take it ask their actor under one key; the next broadcast has another."""
    forest = Forest(NOVA_TREE)
    async with forest.asking(ROOT) as asker:
        for _ in range(2):
            assert len((await asker.gather(Pay())).answers) == 8
        first, second = forest.keys[0], forest.keys[-1]
        assert first is not None
        assert forest.keys == [first] * 8 + [second] * 8
        assert (first.is_plain, second) == (True, attrs.evolve(first, attempt=2))


@pytest.mark.proves("R142")
async def test_a_router_that_leaves_takes_nothing_more_and_another_takes_its_place() -> None:
    """What comes when it is gone waits in the queue; whoever comes next passes it on."""
    forest = Forest(NOVA_TREE, deaf=frozenset({CHILD2}))
    async with forest.asking(ROOT) as asker, anyio.create_task_group() as tasks:
        to = Address(CHILD2, "cell")
        leaves = forest.router(CHILD2)
        tasks.start_soon(leaves.run)
        assert not (await asker.ask(call(asker, to))).is_error
        await leaves.leave()

        async def come() -> None:
            await anyio.sleep(5)
            assert forest.runs == [CHILD2]
            await tasks.start(forest.router(CHILD2).run)

        tasks.start_soon(come)
        assert not (await asker.ask(call(asker, to))).is_error
        assert forest.runs == [CHILD2, CHILD2]
        tasks.cancel_scope.cancel()
