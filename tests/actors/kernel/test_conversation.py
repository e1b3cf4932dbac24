"""Conversations come to their end, whatever dies, refuses or is away, and say what they wait for until then."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import anyio
import attrs
import pytest

from actors.kernel.conversation import Conversations
from actors.kernel.handlers import Transactional
from actors.kernel.leases import LEASE_S
from actors.kernel.pauses import CALL_BUDGET_S, PATIENCE_S
from actors.store.journal import SqlJournals, conversations
from actors.store.sqlite import InlineStore, open_inline
from actors.store.tables import CONDUCTOR_TABLES
from protocol.cell_path import Address
from protocol.effects.registry import Moment
from protocol.errors import Conflict, StoreUnavailable, Unavailable
from protocol.journal import Ending, Entry, Journal, Kind, ending_of
from protocol.requests import Done, Poison
from protocol.saga import Plan, Step, Story
from protocol.states import Goal
from protocol.truth import ConversationTruth
from sim.ports import SeededRandom, VirtualClock
from tests.actors.kernel.rig import ACTOR, CELL, Count, Rig, Uncount, count

pytestmark = pytest.mark.anyio
JOURNALS: Final = SqlJournals()
ELSEWHERE: Final = Address(CELL, "host:h2")
Run = Callable[[Story], Count]


def step(name: str, *, at: Address = ACTOR, run: Run | None = None, settles: bool = False) -> Step:
    """Make a step that counts, and uncounts when it is undone."""
    return Step(
        name=name, row="-", at=lambda _story: at, run=run or (lambda story: Count(server=story.server)),
        undo=lambda story: Uncount(server=story.server), settles=settles,
    )  # fmt: skip


def plan(*steps: Step) -> Plan:
    """Make a plan whose arbiter is the actor itself."""
    return Plan(
        name="test", version=1, steps=steps, arbiter=lambda _story: ACTOR,
        release=lambda story: Poison(server=story.server),
    )  # fmt: skip


class Play:
    """A conductor's conversations, and the actor that they speak with."""

    def __init__(self, *steps: Step, store: InlineStore | None = None) -> None:
        self.rig = Rig()
        self.store = store or open_inline(CONDUCTOR_TABLES)
        self.plan = plan(*steps)
        self.moods: list[Exception | None] = []
        self.undone = 0
        self.handlers = (Transactional(request=Count, run=self._count), Transactional(request=Uncount, run=self._undo))

    def _count(self, connection: Any, request: Count, moment: Any) -> Any:
        mood = self.moods.pop(0) if self.moods else None
        if mood is not None:
            raise mood
        return count(connection, request, moment)

    def _undo(self, _connection: Any, _request: Uncount, moment: Moment) -> Done:
        self.undone += not moment.undoes_nothing
        return Done()

    @asynccontextmanager
    async def conducting(self, owner: str = "a") -> AsyncIterator[tuple[Conversations, anyio.abc.TaskGroup]]:
        """Run a replica of the conductor; leaving kills it."""
        post = self.rig.post(f"conductor-{owner}")
        async with post.open(), anyio.create_task_group() as tasks:
            conversing = Conversations(
                post=post, store=self.store, journals=JOURNALS, clock=VirtualClock(), random=SeededRandom(1),
                owner=owner, plan_of=lambda _goal: self.plan,
            )  # fmt: skip
            yield conversing, tasks
            tasks.cancel_scope.cancel()

    async def begun(self, conversing: Conversations, name: str = "c1", server: str = "s1") -> str:
        """Write the beginning of a conversation, and name it."""
        lease = conversing.lease(name, server)
        await self.store.transact(partial(JOURNALS.begin, lease=lease, goal=Goal.RESIZE, payload=b"", at_us=0))
        return name

    async def told(self) -> list[tuple[str, str, bool]]:
        """Tell the journal: what, which step, undone or not."""
        journal = await self.store.transact(JOURNALS.read, "c1")
        return [(entry.kind.value, entry.step, entry.is_undo) for entry in journal.entries]

    async def truth(self, name: str = "c1") -> ConversationTruth:
        """Tell how a conversation stands."""
        [found] = [each for each in await self.store.transact(conversations) if each.conversation == name]
        return found


ENDED: Final = [("end", "", False), ("closed", "", False), ("released", "", False)]


async def test_each_step_is_written_before_and_after_and_the_end_reaches_every_receiver() -> None:
    """Intent, outcome, in order; then the end, the closing, and the server is let go: nobody remembers anything."""
    play = Play(step("one"), step("two"))
    async with play.rig.serving(*play.handlers), play.conducting() as (conversing, tasks):
        conversing.start(await play.begun(conversing), tasks)
        await anyio.sleep(5)
        steps = [(kind, name, False) for name in ("one", "two") for kind in ("intent", "done")]
        assert await play.told() == [("begin", "", False), *steps, *ENDED]
        assert await play.rig.counted() == 2
        assert (await play.rig.memory()).keys == ()
        assert not conversing.is_running("c1")
        assert (await play.truth()).is_closed


async def test_an_actor_that_is_away_is_waited_for_and_the_waiting_can_be_seen() -> None:
    """Parked with the reason, asked again under the same key, and then it goes on and waits for nothing."""
    play = Play(step("one"))
    async with play.conducting() as (conversing, tasks):
        conversing.start(await play.begun(conversing), tasks)
        await anyio.sleep(20)
        assert "one at api!eu/host:h1: the queue" in ((await play.truth()).waits_for or "")
        assert (await conversing.read("c1"))[1] == (await play.truth()).waits_for
        async with play.rig.serving(*play.handlers):
            await anyio.sleep(60)
            assert await play.rig.counted() == 1
            assert (await play.truth()).waits_for is None


async def test_who_is_woken_tries_again_at_once() -> None:
    """The pause before the next try is over when somebody says so; nobody else is woken."""
    play = Play(step("one"))
    async with play.conducting() as (conversing, tasks):
        conversing.start(await play.begun(conversing), tasks)
        await anyio.sleep(100)  # By now a pause takes 15 to 30 seconds.
        async with play.rig.serving(*play.handlers):
            began_s = anyio.current_time()
            while await play.rig.counted() == 0 and anyio.current_time() < began_s + 15:
                assert conversing.wake("c1")
                await anyio.sleep(0.1)
            assert anyio.current_time() < began_s + 1
            await anyio.sleep(5)
            assert not conversing.wake("c1")


async def test_an_answer_that_is_lost_is_asked_for_again_and_counts_once() -> None:
    """The call times out, the key is the same, and the inbox answers."""
    play = Play(step("one"))
    async with play.conducting() as (conversing, tasks):
        replies = conversing._post.replies  # noqa: SLF001 - where its answers come to, to be lost
        async with play.rig.serving(*play.handlers):
            await play.rig.wire.purge(replies)
            conversing.start(await play.begun(conversing), tasks)
            await anyio.sleep(10)
            assert play.rig.events.counts["answer_lost"] == 1
        assert await play.rig.counted() == 1
    async with play.rig.serving(*play.handlers), play.conducting() as (conversing, tasks):
        await conversing.resume(tasks)
        await anyio.sleep(60)
        assert (await play.rig.counted(), (await play.truth()).is_closed) == (1, True)


async def test_a_refusal_undoes_in_reverse_what_has_an_intent() -> None:
    """It is written with its cause, and the ending tells it."""
    play = Play(step("one"), step("two"))
    play.moods = [None, Conflict(server="s1", action="count", reason="busy")]
    async with play.rig.serving(*play.handlers), play.conducting() as (conversing, tasks):
        conversing.start(await play.begun(conversing), tasks)
        await anyio.sleep(5)
        undos = [(kind, name, True) for name in ("two", "one") for kind in ("intent", "done")]
        assert (await play.told())[4:] == [("refused", "two", False), *undos, *ENDED]
        ending = ending_of(await play.store.transact(JOURNALS.read, "c1"))
        assert ending is not None
        assert ending.cause is not None
        assert (ending.is_success, ending.cause.code) == (False, "conflict")


async def test_what_stays_unknown_is_undone_once_patience_is_over() -> None:
    """Not before, and not when the conversation may only go forward."""
    play = Play(step("one"))
    play.moods = [Unavailable(what="it", reason="busy")] * 1000
    async with play.rig.serving(*play.handlers), play.conducting() as (conversing, tasks):
        conversing.start(await play.begun(conversing), tasks)
        await anyio.sleep(PATIENCE_S - 5)
        assert ("refused", "one", False) not in await play.told()
        await anyio.sleep(60)
        assert ("refused", "one", False) in await play.told()
        assert (play.undone, (await play.truth()).waits_for) == (0, None), "the undo finds nothing to clean"
        assert (await play.truth()).is_closed


async def test_behind_the_settling_step_nothing_is_given_up() -> None:
    """It is asked again for as long as it takes, also when it was refused for good."""
    play = Play(step("one", settles=True), step("two"))
    play.moods = [None, *[Unavailable(what="it", reason="busy")] * 10]
    async with play.rig.serving(*play.handlers), play.conducting() as (conversing, tasks):
        conversing.start(await play.begun(conversing), tasks)
        await anyio.sleep(600)
        assert await play.rig.counted() == 2
        assert not any(kind == "refused" or is_undo for kind, _, is_undo in await play.told())


async def test_a_conversation_that_another_conductor_has_taken_is_given_up() -> None:
    """The former owner writes nothing more and counts that it lost it; the new one ends it, with no double effect."""
    play = Play(step("one"), step("two", at=ELSEWHERE))
    async with play.rig.serving(*play.handlers), play.conducting("a") as (first, tasks):
        first.start(await play.begun(first), tasks)
        await anyio.sleep(5)
        play.plan = plan(step("one"), step("two"))
        async with play.conducting("b") as (second, others):
            await second.resume(others)
            await anyio.sleep(LEASE_S + 1)
            assert (await play.truth()).is_closed
        await anyio.sleep(60)
        assert play.rig.events.counts["conversation_lost"] == 1
        assert await play.rig.counted() == 2
        assert not first.is_running("c1")


async def test_two_conductors_never_share_an_epoch() -> None:
    """One that begins to carry a conversation out when another has it already stands back."""
    play = Play(step("one"))
    async with play.rig.serving(*play.handlers), play.conducting("a") as (first, tasks):
        await play.begun(first)
        await play.store.transact(JOURNALS.take_over, "c1", owner="b")
        first.start("c1", tasks)
        await anyio.sleep(5)
        assert play.rig.events.counts["conversation_lost"] == 1
        assert await play.rig.counted() == 0


async def test_a_read_is_given_up_when_its_own_patience_is_over_and_says_what_that_means() -> None:
    """Not with the error that it was known by, which would have whoever hears it ask again."""
    silent = attrs.evolve(
        step("ask", at=ELSEWHERE), is_read=True, patience_s=7.0, unanswered=lambda _story, error: Conflict(
            server="s1", action="count", reason=f"nobody is there: {error.code}"
        ),
    )  # fmt: skip
    play = Play(silent, step("two"))
    async with play.rig.serving(*play.handlers), play.conducting() as (conversing, tasks):
        conversing.start(await play.begun(conversing), tasks)
        since_s = anyio.current_time()
        news, _waits_for = await conversing.changed("c1", seen=2)
        assert 7.0 <= anyio.current_time() - since_s < CALL_BUDGET_S
        assert news.entries[-1].kind is Kind.REFUSED
        while (ending := ending_of(news)) is None:
            news, _waits_for = await conversing.changed("c1", seen=len(news.entries))
        assert ending.cause is not None
        assert ending.cause.message.endswith("nobody is there: unroutable")
        assert await play.rig.counted() == 0


async def test_a_mistake_in_one_conversation_does_not_end_the_others() -> None:
    """It is parked with the mistake as its reason; its neighbour comes to its end."""

    def breaks(story: Story) -> Count:
        if story.server == "s1":
            raise ZeroDivisionError("oh")
        return Count(server=story.server)

    play = Play(step("one", run=breaks))
    async with play.rig.serving(*play.handlers), play.conducting() as (conversing, tasks):
        conversing.start(await play.begun(conversing), tasks)
        conversing.start(await play.begun(conversing, "c2", "s2"), tasks)
        await anyio.sleep(5)
        assert "a mistake of cellferry: ZeroDivisionError" in ((await play.truth()).waits_for or "")
        assert (await play.truth("c2")).is_closed
        assert play.rig.events.counts["conversation_failed"] == 1


@pytest.mark.parametrize("dies_after", range(1, 12))
async def test_a_conductor_that_dies_at_any_entry_is_followed_by_one_that_ends_it_alike(dies_after: int) -> None:
    """Resumed from the journal: the same effects, once each, and the same end."""
    play = Play(step("one"), step("two"), step("three"))
    play.moods = [None, None, Conflict(server="s1", action="count", reason="busy")]
    async with play.rig.serving(*play.handlers):
        async with play.conducting() as (conversing, tasks):
            conversing.start(await play.begun(conversing), tasks)
            await conversing.changed("c1", seen=dies_after)
        async with play.conducting() as (conversing, tasks):
            await conversing.resume(tasks)
            await anyio.sleep(60)
        assert (await play.rig.counted(), play.undone) == (2, 2)
        told = list(dict.fromkeys(await play.told()))
        assert told[-len(ENDED) :] == ENDED
        assert (await play.rig.memory()).keys == ()


class FlakyStore(InlineStore):
    """A store that is away now and then: sometimes before it commits, sometimes after."""

    def __init__(self) -> None:
        super().__init__()
        self.transactions = 0

    async def transact(self, work: Any, /, *arguments: Any, **named: Any) -> Any:
        """Run `work`, or do not, or do and say that it is unknown."""
        self.transactions += 1
        if self.transactions % 9 == 3:
            raise StoreUnavailable(store="flaky", reason="before")
        value = await super().transact(work, *arguments, **named)
        if self.transactions % 11 == 0:
            raise StoreUnavailable(store="flaky", reason="after")
        return value


async def test_a_store_that_is_away_now_and_then_ends_no_conversation() -> None:
    """It is read again, for what was last written may be there or not, and goes on from there."""
    play = Play(step("one"), step("two"))
    store = FlakyStore()
    async with play.rig.serving(*play.handlers), play.conducting() as (conversing, tasks):
        await InlineStore.transact(store, CONDUCTOR_TABLES.create_all)
        await play.begun(conversing)
        await InlineStore.transact(store, partial(_begin, conversing=conversing))
        conversing._store = store  # noqa: SLF001 - it became flaky when the conversation had begun
        conversing.start("c1", tasks)
        await anyio.sleep(3600)
        play.store = store
        found = await InlineStore.transact(store, conversations)
        assert [each.is_closed for each in found] == [True]
        assert await play.rig.counted() == 2
        assert play.rig.events.counts["conversation_waits"] > 0
        assert play.rig.events.counts["conversation_failed"] == 0


def _begin(connection: Any, conversing: Conversations) -> None:
    JOURNALS.begin(connection, conversing.lease("c1", "s1"), goal=Goal.RESIZE, payload=b"", at_us=0)


async def test_who_watches_hears_of_each_entry_whoever_writes_it_and_is_held_up_where_there_is_none() -> None:
    """The replica that carries it out tells at once; any other looks into the store, but not all the time."""
    play = Play(step("one"))
    async with (
        play.rig.serving(*play.handlers),
        play.conducting("a") as (first, tasks),
        play.conducting("b") as (other, _),
    ):
        await play.begun(first)
        with anyio.move_on_after(10):
            await other.changed("c1", seen=1)
        assert anyio.current_time() >= 10, "nothing is new"
        first.start("c1", tasks)
        first.start("c1", tasks)
        news, _waits_for = await first.changed("c1", seen=1)
        assert [entry.kind for entry in news.entries[1:]] == [Kind.INTENT]
        while news.entries[-1].kind is not Kind.RELEASED:
            news, _waits_for = await other.changed("c1", seen=len(news.entries))
        again, _waits_for = await other.changed("c1", seen=len(news.entries))
        assert again == news, "what is over has no more news, and whoever asks is not held up"


def test_a_journal_without_an_end_has_none() -> None:
    """The ending is an entry like others."""
    begun = Entry(seq=0, epoch=1, kind=Kind.BEGIN, at_us=0)
    assert ending_of(Journal(conversation="c1", server="s1", goal=Goal.RESIZE, entries=(begun,))) is None
    assert Ending(is_success=True).cause is None
