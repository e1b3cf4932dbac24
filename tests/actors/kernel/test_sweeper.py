"""What conversations leave behind is swept, whoever left it: asked again where it was away, and each told once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import anyio
import pytest

from actors.kernel.actor import Actor
from actors.kernel.conversation import Conversations
from actors.kernel.handlers import Transactional
from actors.kernel.ports import Closing, Connection, Lease
from actors.kernel.post import Post, Stamp
from actors.kernel.sweeper import IDLE_S
from actors.store.inbox import SqlInbox
from actors.store.journal import SqlJournals
from actors.store.sqlite import InlineStore, open_inline
from actors.store.tables import CONDUCTOR_TABLES, HOST_TABLES
from actors.store.truth import memory
from protocol.cell_path import Address
from protocol.envelope import Key
from protocol.errors import StoreUnavailable
from protocol.journal import Entry, Kind
from protocol.requests import Poison
from protocol.saga import Plan, Step
from protocol.states import Goal
from sim.ports import SeededRandom, VirtualClock
from tests.actors.kernel.rig import CELL, Count, Rig, count

pytestmark = pytest.mark.anyio
JOURNALS: Final = SqlJournals()
#: The receivers, each by the step that goes there.
AT: Final = {"one": Address(CELL, "host:h1"), "two": Address(CELL, "host:h2")}


def step(name: str, to: Address) -> Step:
    """Make a step that counts there."""
    return Step(name=name, row="-", at=lambda _story: to, run=lambda story: Count(server=story.server))


PLAN: Final = Plan(
    name="test",
    version=1,
    steps=tuple(step(name, to) for name, to in AT.items()),
    arbiter=lambda _story: AT["one"],
    release=lambda story: Poison(server=story.server),
)


class NotingInbox(SqlInbox):
    """An inbox that notes which conversations it was told are over."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def close(self, connection: Connection, closing: Closing) -> None:
        """Note it, and close."""
        self.told.append(closing.conversation)
        super().close(connection, closing)


class AwayOnce(InlineStore):
    """A store that is away when it is first asked what there is to sweep."""

    is_back = False

    async def transact(self, work: Any, /, *arguments: Any, **named: Any) -> Any:
        """Run `work`, or say that nobody can."""
        if work == JOURNALS.unswept and not self.is_back:
            self.is_back = True
            raise StoreUnavailable(store="conductor", reason="away")
        return await super().transact(work, *arguments, **named)


class Scene:
    """A conductor, and two receivers that remember what conversations have left."""

    def __init__(self, store: InlineStore | None = None) -> None:
        self.rig = Rig()
        self.store = store or open_inline(CONDUCTOR_TABLES)
        self.stores = {name: open_inline(HOST_TABLES) for name in AT}
        self.inboxes = {name: NotingInbox() for name in AT}

    @asynccontextmanager
    async def receiving(self, *names: str) -> AsyncIterator[Post]:
        """Run the receivers of these steps, and give a caller."""
        caller = self.rig.post("client")
        async with caller.open(), anyio.create_task_group() as tasks:
            for name in names:
                post = self.rig.post(AT[name].mailbox)
                await tasks.start(self._serve, name, post)
            yield caller
            tasks.cancel_scope.cancel()

    async def _serve(self, name: str, post: Post, *, task_status: Any) -> None:
        async with post.open():
            actor = Actor(
                post=post, store=self.stores[name], inbox=self.inboxes[name], clock=VirtualClock(),
                handlers=(Transactional(request=Count, run=count),), background=(),
            )  # fmt: skip
            await actor.run(task_status=task_status)

    @asynccontextmanager
    async def conducting(self, owner: str = "a") -> AsyncIterator[tuple[Conversations, anyio.abc.TaskGroup]]:
        """Run a conductor that has just been started; leaving kills it."""
        post = self.rig.post(f"conductor-{owner}")
        async with post.open(), anyio.create_task_group() as tasks:
            conversing = Conversations(
                post=post, store=self.store, journals=JOURNALS, clock=VirtualClock(), random=SeededRandom(1),
                owner=owner, plan_of=lambda _goal: PLAN,
            )  # fmt: skip
            await conversing.resume(tasks)
            yield conversing, tasks
            tasks.cancel_scope.cancel()

    async def leave(self, caller: Post, conversation: str, *steps: str) -> None:
        """Carry a conversation's steps out, and die between its last entry and the sweep."""
        lease = Lease(conversation=conversation, server="s1", owner="a")
        journal = await self.store.transact(
            partial(JOURNALS.begin, lease=lease, goal=Goal.RESIZE, payload=b"", at_us=0)
        )
        entries = [(kind, step) for step in steps for kind in (Kind.INTENT, Kind.DONE)]
        for kind, step in (*entries, (Kind.END, ""), (Kind.CLOSED, ""), (Kind.RELEASED, "")):
            if kind is Kind.DONE:
                key = Key(scope=conversation, attempt=0, step=step, is_undo=False)
                await caller.call(AT[step], Count(), stamp=Stamp(server="s1", key=key, epoch=journal.epoch))
            entry = Entry(seq=len(journal.entries), epoch=journal.epoch, kind=kind, at_us=0, step=step)
            await self.store.transact(JOURNALS.append, conversation, entry)
            journal = journal.followed_by(entry)

    async def remembered(self, step: str) -> int:
        """Count the keys that a receiver remembers."""
        return len((await self.stores[step].transact(memory, str(AT[step]))).keys)

    async def unswept(self) -> list[str]:
        """Name the conversations of which something may be remembered yet."""
        return [each.conversation for each in await self.store.transact(JOURNALS.unswept, 1_000)]


async def test_what_a_dead_conductor_has_not_swept_the_next_ones_start_sweeps() -> None:
    """It died between the last entry and its sweep: every receiver is told once by whoever comes next."""
    scene = Scene()
    async with scene.receiving("one", "two") as caller:
        await scene.leave(caller, "c1", "one", "two")
        assert [await scene.remembered(step) for step in AT] == [1, 1]
        async with scene.conducting():
            await anyio.sleep(60)
        assert [await scene.remembered(step) for step in AT] == [0, 0]
        assert {name: inbox.told for name, inbox in scene.inboxes.items()} == {"one": ["c1"], "two": ["c1"]}
        assert await scene.unswept() == []


async def test_what_is_away_is_asked_again_and_nobody_else_is_told_twice() -> None:
    """What was left at others is swept at once; what was left where nobody answers, when somebody does."""
    scene = Scene()
    async with scene.receiving("one", "two") as caller:
        await scene.leave(caller, "c1", "two")
        await scene.leave(caller, "c2", "one")
    async with scene.conducting():
        async with scene.receiving("one"):
            await anyio.sleep(120)
            assert (await scene.remembered("one"), await scene.unswept()) == (0, ["c1"])
        async with scene.receiving("one", "two"):
            await anyio.sleep(120)
            assert (await scene.remembered("two"), await scene.unswept()) == (0, [])
    assert (scene.inboxes["one"].told, set(scene.inboxes["two"].told)) == (["c2"], {"c1"})


async def test_a_receiver_of_two_conversations_is_told_once() -> None:
    """Told what the lowest open epoch is, it forgets all that is behind it, whosever it was."""
    scene = Scene()
    async with scene.receiving("one") as caller:
        await scene.leave(caller, "c1", "one")
        await scene.leave(caller, "c2", "one")
        async with scene.conducting():
            await anyio.sleep(60)
        assert (await scene.remembered("one"), await scene.unswept()) == (0, [])
    assert scene.inboxes["one"].told == ["c2"]


async def test_a_conversation_that_is_over_has_what_another_left_swept() -> None:
    """A sweeper that found nothing to do looks again at once when one of its own is over."""
    scene = Scene()
    async with scene.receiving("one", "two") as caller, scene.conducting() as (conversing, tasks):
        await anyio.sleep(60)
        await scene.leave(caller, "c1", "one")
        await anyio.sleep(1)
        assert await scene.unswept() == ["c1"]
        begin = partial(JOURNALS.begin, lease=conversing.lease("c2", "s1"), goal=Goal.RESIZE, payload=b"", at_us=0)
        await scene.store.transact(begin)
        conversing.start("c2", tasks)
        await anyio.sleep(2)
        assert (await scene.remembered("one"), await scene.unswept()) == (0, [])


async def test_what_another_conductor_left_that_never_comes_back_is_swept() -> None:
    """Nobody tells a sweeper of it, so it looks now and then."""
    scene = Scene()
    async with scene.receiving("one", "two") as caller, scene.conducting():
        await anyio.sleep(60)
        await scene.leave(caller, "c1", "one")
        await anyio.sleep(IDLE_S + 1)
        assert (await scene.remembered("one"), await scene.unswept()) == (0, [])


async def test_two_sweepers_at_once_do_no_harm() -> None:
    """Receivers may hear of a closing twice, and forget it once."""
    scene = Scene()
    async with scene.receiving("one", "two") as caller:
        await scene.leave(caller, "c1", "one", "two")
        async with scene.conducting(), scene.conducting("b"):
            await anyio.sleep(60)
    assert ([await scene.remembered(step) for step in AT], await scene.unswept()) == ([0, 0], [])
    assert {name: set(inbox.told) for name, inbox in scene.inboxes.items()} == {"one": {"c1"}, "two": {"c1"}}


async def test_a_store_that_is_away_puts_the_sweep_off() -> None:
    """It is tried again, without anybody being told to."""
    store = AwayOnce()
    await store.transact(CONDUCTOR_TABLES.create_all)
    scene = Scene(store)
    async with scene.receiving("one") as caller:
        await scene.leave(caller, "c1", "one")
        async with scene.conducting():
            await anyio.sleep(60)
        assert (await scene.unswept(), scene.rig.events.counts["sweep_waits"]) == ([], 1)
