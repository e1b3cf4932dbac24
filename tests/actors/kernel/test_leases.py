"""Leases: whoever has died or stands still is followed within the lease and a second, and nobody else is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.kernel.conversation import Conversations
from actors.kernel.leases import LEASE_S, TAKEN_MAX, TEND_S, Lookout
from actors.kernel.ports import Holder, Lease
from actors.store.journal import SqlJournals
from actors.store.sqlite import InlineStore, open_inline
from actors.store.tables import CONDUCTOR_TABLES
from protocol.errors import StoreUnavailable
from protocol.saga import Plan, Story
from protocol.states import Goal
from sim.ports import SeededRandom, VirtualClock
from tests.actors.kernel.rig import Count, Rig
from tests.actors.kernel.test_conversation import plan, step

pytestmark = pytest.mark.anyio
JOURNALS: Final = SqlJournals()
#: What a lease that is seen a little after it was renewed is taken over within.
IN_TIME_S: Final = LEASE_S + 1.0


class Replicas:
    """Conductors over one store, whose conversations never come to their end: their only receiver is away."""

    def __init__(self, *, is_broken: bool = False) -> None:
        self.rig = Rig()
        self.store = open_inline(CONDUCTOR_TABLES)
        self.plan: Plan = plan(step("one", run=_breaks if is_broken else None))

    @asynccontextmanager
    async def running(self, owner: str, store: InlineStore | None = None) -> AsyncIterator[Conversations]:
        """Run one; leaving kills it."""
        post = self.rig.post(f"conductor-{owner.replace('#', '-')}")
        async with post.open(), anyio.create_task_group() as tasks:
            conversing = Conversations(
                post=post, store=store or self.store, journals=JOURNALS, clock=VirtualClock(),
                random=SeededRandom(1), owner=owner, plan_of=lambda _goal: self.plan,
            )  # fmt: skip
            await conversing.resume(tasks)
            yield conversing
            tasks.cancel_scope.cancel()

    async def begin(self, owner: str, *names: str) -> None:
        """Write the beginnings of conversations, and tell nobody."""
        for name in names:
            lease = Lease(conversation=name, server=name, owner=owner)
            await self.store.transact(partial(JOURNALS.begin, lease=lease, goal=Goal.RESIZE, payload=b"", at_us=0))

    async def owners(self) -> dict[str, int]:
        """Tell who has how many conversations."""
        return {holder.owner: holder.count for holder in await self.store.transact(JOURNALS.holders)}

    async def followed(self, owner: str) -> float:
        """Wait until an owner has nothing any more; tell how long that took."""
        since_s = anyio.current_time()
        while owner in await self.owners():  # noqa: ASYNC110 - another actor's rows are looked at, nobody tells of them
            await anyio.sleep(0.01)
        return anyio.current_time() - since_s


def _breaks(_story: Story) -> Count:
    raise ZeroDivisionError("oh")


@pytest.mark.parametrize("dies_at_s", [0.1, 0.83, 0.9, 3.0, 7.77])
async def test_a_dead_owner_is_followed_within_the_lease_and_a_second(dies_at_s: float) -> None:
    """Whenever between two renewals it dies; and not before its lease is over, as far as the other has seen it."""
    replicas = Replicas()
    async with replicas.running("b#1"):
        async with replicas.running("a#1"):
            await replicas.begin("a#1", "c1", "c2")
            await anyio.sleep(dies_at_s)
        took_s = await replicas.followed("a#1")
        assert LEASE_S - TEND_S - 0.1 <= took_s <= IN_TIME_S
        assert await replicas.owners() == {"b#1": 2}


async def test_an_owner_that_lives_is_left_alone() -> None:
    """However long its conversations wait, and whatever the wall clocks say: nobody reads them for this."""
    replicas = Replicas()
    async with replicas.running("a#1"), replicas.running("b#1"):
        await replicas.begin("a#1", "c1")
        await anyio.sleep(3600)
        assert await replicas.owners() == {"a#1": 1}
        assert replicas.rig.events.counts["conversation_taken"] == 0


async def test_two_watchers_take_each_conversation_over_once() -> None:
    """One of them wins each: so many epochs were taken, and no more."""
    replicas = Replicas()
    names = [f"c{number}" for number in range(2 * TAKEN_MAX)]
    async with replicas.running("b#1"), replicas.running("c#1"):
        await replicas.begin("a#1", *names)
        await replicas.followed("a#1")
        owners = await replicas.owners()
        assert sum(owners.values()) == len(names)
        assert replicas.rig.events.counts["conversation_taken"] == len(names)
        assert await replicas.store.transact(JOURNALS.next_epoch) == 2 * len(names) + 1


async def test_a_slot_that_is_started_again_has_at_once_what_it_had_and_its_former_self_has_lost_it() -> None:
    """The two are told apart: the former self, which only stood still, finds out as it writes, and lets go."""
    replicas = Replicas()
    async with replicas.running("a#1") as former:
        await replicas.begin("a#1", "c1")
        await anyio.sleep(2)
        async with replicas.running("a#2"):
            assert await replicas.owners() == {"a#2": 1}
            await anyio.sleep(60)
            assert await replicas.owners() == {"a#2": 1}
            assert replicas.rig.events.counts["conversation_lost"] == 1
            assert not former.is_running("c1")


async def test_an_orderly_stop_is_followed_at_once() -> None:
    """Its lease is given up, and the next look of another finds that."""
    replicas = Replicas()
    async with replicas.running("b#1"):
        async with replicas.running("a#1") as stopped:
            await replicas.begin("a#1", "c1")
            await anyio.sleep(10)
        await stopped.let_go()
        assert await replicas.followed("a#1") <= TEND_S + 0.1


async def test_a_conversation_of_ones_own_that_nobody_told_of_is_carried_out() -> None:
    """A store may have written what it said it had not: the beginning is there, and its owner lives."""
    replicas = Replicas()
    async with replicas.running("a#1") as conversing:
        await replicas.begin("a#1", "c1")
        await anyio.sleep(1)
        assert conversing.is_running("c1")


async def test_what_a_mistake_of_ours_ended_is_tried_once_by_each_owner_and_not_all_the_time() -> None:
    """It stays parked with the mistake as its reason, its lease is kept, and nobody takes it from hand to hand."""
    replicas = Replicas(is_broken=True)
    async with replicas.running("b#1"):
        async with replicas.running("a#1"):
            await replicas.begin("a#1", "c1")
            await anyio.sleep(600)
            assert replicas.rig.events.counts["conversation_failed"] == 1
        await anyio.sleep(600)
        assert replicas.rig.events.counts["conversation_failed"] == 2
        assert await replicas.owners() == {"b#1": 1}


class Away(InlineStore):
    """A store that is away for a while."""

    is_away = False

    async def transact(self, work: Any, /, *arguments: Any, **named: Any) -> Any:
        """Run `work`, or say that nobody can."""
        if self.is_away:
            raise StoreUnavailable(store="conductor", reason="away")
        return await super().transact(work, *arguments, **named)


async def test_a_store_that_is_away_puts_a_takeover_off_and_loses_none() -> None:
    """Nobody can tell then who lives; when it is back, he who is dead is followed."""
    replicas = Replicas()
    store = Away()
    await store.transact(CONDUCTOR_TABLES.create_all)
    replicas.store = store
    async with replicas.running("b#1") as left:
        await replicas.begin("a#1", "c1")
        await anyio.sleep(2)
        store.is_away = True
        await anyio.sleep(60)
        await left.let_go()
        store.is_away = False
        assert await replicas.followed("a#1") <= IN_TIME_S
        assert replicas.rig.events.counts["leases_wait"] >= 10


# --- what a watcher makes of what it sees ------------------------------------------------------------------------


def holders(beats: dict[str, int | None]) -> tuple[Holder, ...]:
    """Make owners with one conversation each."""
    return tuple(Holder(owner=owner, beats=count, count=1) for owner, count in beats.items())


@given(st.lists(st.tuples(st.floats(0.01, 2.0), st.booleans()), min_size=1, max_size=40))
def test_a_lease_is_over_when_it_was_seen_unchanged_for_its_whole_time_and_only_then(
    looks: list[tuple[float, bool]],
) -> None:
    """For any pauses between looks, and any renewals between them."""
    lookout = Lookout("me")
    now_s, beats, since_s = 100.0, 1, 100.0
    lookout.over(holders({"a": beats, "me": 1}), now_s)
    for pause_s, is_renewed in looks:
        now_s += pause_s
        if is_renewed:
            beats, since_s = beats + 1, now_s
        over = lookout.over(holders({"a": beats, "me": 1}), now_s)
        assert bool(over) is (now_s - since_s >= LEASE_S)
        assert 0 < lookout.pause_s(now_s) <= TEND_S


def test_who_is_seen_for_the_first_time_or_again_has_a_whole_lease_before_him_but_who_gave_it_up_has_none() -> None:
    """A watcher that has only just started knows nothing of how long others have been silent."""
    lookout = Lookout("me")
    assert lookout.over(holders({"a": 7}), 1000.0) == ()
    assert lookout.over((), 1003.0) == ()
    assert lookout.over(holders({"a": 7, "b": None}), 1006.0) == holders({"b": None})
    assert lookout.over(holders({"a": 7}), 1011.0) == holders({"a": 7})
