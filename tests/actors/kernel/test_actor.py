"""An actor carries each command out exactly once, answers whatever happens, and lives on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import attrs
import pytest

from actors.kernel.handlers import Transactional
from actors.kernel.mailbox import MAILBOX_MAX
from actors.kernel.post import Stamp
from actors.kernel.supervisor import supervise
from actors.store.inbox import WINDOW
from protocol.envelope import Key, answer
from protocol.errors import (
    Conflict,
    InternalError,
    Stale,
    StaleEpoch,
    Superseded,
    Unavailable,
    UnknownMethod,
)
from protocol.requests import Done, Poison
from tests.actors.kernel.rig import (
    ACTOR,
    QUEUE,
    Count,
    Counted,
    Rig,
    Sleeper,
    Slow,
    Uncount,
    asked,
    close,
    count,
    refusal,
    stamp,
)

if TYPE_CHECKING:
    from actors.kernel.ports import Connection
    from actors.kernel.post import Post
    from protocol.effects.registry import Moment

pytestmark = pytest.mark.anyio
COUNTING = Transactional(request=Count, run=count)


class Moody:
    """A handler that counts or refuses, as it is told."""

    def __init__(self, *moods: Exception | None) -> None:
        self.moods = list(moods)
        self.moments: list[Moment] = []

    def run(self, connection: Connection, request: Any, moment: Moment) -> Counted:
        counted = count(connection, request, moment)
        mood = self.moods.pop(0) if self.moods else None
        if mood is not None:
            raise mood
        return counted

    def undo(self, _connection: Connection, _request: Uncount, moment: Moment) -> Done:
        self.moments.append(moment)
        return Done()


def handlers(moody: Moody) -> tuple[Transactional, Transactional]:
    return Transactional(request=Count, run=moody.run), Transactional(request=Uncount, run=moody.undo)


@pytest.mark.proves("Q9")
async def test_a_command_takes_effect_once_and_is_answered_alike_each_time() -> None:
    """Under one key, one effect: asked again later, and by two copies in one frame."""
    rig = Rig()
    async with rig.serving(COUNTING) as (_, caller):
        first = await caller.call(ACTOR, Count(), stamp=stamp())
        assert await caller.call(ACTOR, Count(), stamp=stamp()) == first == Counted(number=1)
        copy = asked(caller, Count(), stamp("other"))
        await rig.frame(copy, copy)
        await anyio.sleep(1)
        assert await rig.counted() == 2
        assert await caller.call(ACTOR, Count(), stamp=stamp("other")) == Counted(number=2)


async def test_the_refusal_of_a_plain_call_is_remembered_and_leaves_no_effect() -> None:
    """What was refused once is refused for ever under that key, though it would be taken now."""
    rig, moody = Rig(), Moody(Conflict(server="s1", action="count", reason="busy"))
    plain = Stamp(server="s1", key=Key.plain("user", 1))
    async with rig.serving(*handlers(moody)) as (_, caller):
        first = await refusal(caller, Count(), plain)
        again = await refusal(caller, Count(), plain)
        assert isinstance(first, Conflict)
        assert str(first) == str(again)
        assert await rig.counted() == 0


async def test_the_refusal_of_a_step_is_no_outcome_that_lasts() -> None:
    """A step that must succeed is asked again until it does: its refusal is not remembered."""
    rig, moody = Rig(), Moody(Conflict(server="s1", action="count", reason="busy"))
    async with rig.serving(*handlers(moody)) as (_, caller):
        assert isinstance(await refusal(caller, Count(), stamp()), Conflict)
        assert await rig.counted() == 0
        assert await caller.call(ACTOR, Count(), stamp=stamp()) == Counted(number=1)


async def test_a_refusal_for_a_reason_that_may_pass_is_no_outcome() -> None:
    """The same key is tried again when its asker does."""
    rig, moody = Rig(), Moody(Unavailable(what="it", reason="busy"))
    async with rig.serving(*handlers(moody)) as (_, caller):
        assert isinstance(await refusal(caller, Count(), stamp()), Unavailable)
        assert await caller.call(ACTOR, Count(), stamp=stamp()) == Counted(number=1)


async def test_an_undo_is_never_refused_for_good() -> None:
    """An undo must come to its end: its refusals are not remembered, and neither is the tombstone it rolled back."""
    rig = Rig()
    refusing = Moody(Conflict(server="s1", action="undo", reason="not yet"))
    undoing = Transactional(request=Count, run=refusing.run)
    async with rig.serving(undoing) as (_, caller):
        assert isinstance(await refusal(caller, Count(), stamp(is_undo=True)), Conflict)
        assert await caller.call(ACTOR, Count(), stamp=stamp(is_undo=True)) == Counted(number=1)


async def test_what_was_undone_before_it_came_is_superseded() -> None:
    """The undo of what never came leaves a tombstone, changes nothing and says so to the handler."""
    rig, moody = Rig(), Moody()
    async with rig.serving(*handlers(moody)) as (_, caller):
        await caller.call(ACTOR, Uncount(), stamp=stamp(is_undo=True))
        assert [moment.undoes_nothing for moment in moody.moments] == [True]
        assert isinstance(await refusal(caller, Count(), stamp()), Superseded)
        assert await rig.counted() == 0


async def test_what_was_undone_after_it_was_done_stays_undone() -> None:
    """The undo knows that there is something to clean, and a late copy of the execute is superseded."""
    rig, moody = Rig(), Moody()
    async with rig.serving(*handlers(moody)) as (_, caller):
        await caller.call(ACTOR, Count(), stamp=stamp())
        await caller.call(ACTOR, Uncount(), stamp=stamp(is_undo=True))
        assert [moment.undoes_nothing for moment in moody.moments] == [False]
        assert isinstance(await refusal(caller, Count(), stamp()), Superseded)


async def test_the_undo_of_a_refused_command_finds_nothing_to_clean() -> None:
    """A refusal's transaction left nothing, and the undo is told so."""
    rig, moody = Rig(), Moody(Conflict(server="s1", action="count", reason="busy"))
    async with rig.serving(*handlers(moody)) as (_, caller):
        await refusal(caller, Count(), stamp())
        await caller.call(ACTOR, Uncount(), stamp=stamp(is_undo=True))
        assert [moment.undoes_nothing for moment in moody.moments] == [True]


async def test_every_actor_can_be_told_to_poison_a_step() -> None:
    """`Poison` is the undo of a step that leaves nothing."""
    rig = Rig()
    async with rig.serving(COUNTING) as (_, caller):
        assert await caller.call(ACTOR, Poison(server="s1"), stamp=stamp(is_undo=True)) == Done()
        assert isinstance(await refusal(caller, Count(), stamp()), Superseded)


async def test_a_lower_epoch_than_the_last_effect_s_is_stale() -> None:
    """A command of a former owner is refused, is no outcome, and other servers are not its affair."""
    rig = Rig()
    async with rig.serving(COUNTING) as (_, caller):
        await caller.call(ACTOR, Count(), stamp=stamp("one", epoch=7))
        assert isinstance(await refusal(caller, Count(), stamp("two", epoch=6)), StaleEpoch)
        assert await caller.call(ACTOR, Count(), stamp=stamp("two", epoch=7)) == Counted(number=2)
        await caller.call(ACTOR, Count(server="s2"), stamp=stamp("three", epoch=6, server="s2"))


async def test_a_closed_conversation_is_forgotten_and_its_late_commands_are_refused() -> None:
    """The memory ends behind the lowest open epoch, and what is below it can touch nothing any more."""
    rig = Rig()
    async with rig.serving(COUNTING) as (_, caller):
        await caller.call(ACTOR, Count(), stamp=stamp(epoch=3))
        assert len((await rig.memory()).keys) == 1
        await caller.call(ACTOR, close(lowest_open=5), stamp=Stamp(server="s1", epoch=4))
        assert (await rig.memory()).keys == ()
        assert isinstance(await refusal(caller, Count(), stamp(epoch=3)), StaleEpoch)
        assert isinstance(await refusal(caller, Count(), stamp("late", epoch=4)), StaleEpoch)
        assert await caller.call(ACTOR, Count(), stamp=stamp(epoch=5)) == Counted(number=2)


async def test_plain_calls_are_remembered_in_a_window() -> None:
    """Within it a call is known, below it a call is stale, and no more than the window is kept."""
    rig = Rig()

    async def call(caller: Post, number: int) -> Counted:
        return await caller.call(ACTOR, Count(), stamp=Stamp(server="s1", key=Key.plain("me", number)))

    async with rig.serving(COUNTING) as (_, caller):
        assert await call(caller, 1) == await call(caller, 1) == Counted(number=1)
        assert await call(caller, WINDOW) == Counted(number=2)
        assert await call(caller, 1) == Counted(number=1)
        assert await call(caller, WINDOW + 1) == Counted(number=3)
        with pytest.raises(Stale):
            await call(caller, 1)
        assert await call(caller, 2) == Counted(number=4)


async def test_what_cannot_be_handled_is_answered_with_its_error() -> None:
    """An unknown method and a body that does not fit are the asker's mistakes, each with its name."""
    rig = Rig()
    async with rig.serving(COUNTING) as (_, caller):
        assert isinstance(await refusal(caller, Uncount(), Stamp()), UnknownMethod)
        misfit = attrs.evolve(asked(caller, Count(), Stamp()), body=b"\x01")
        given = await caller.ask(misfit)
        assert given.is_error
        assert b"malformed" in given.body


async def test_our_own_mistake_is_answered_with_its_traceback_and_costs_nobody_the_actor() -> None:
    """What a handler does not declare becomes `InternalError`, is counted, and the next message is handled."""
    rig, moody = Rig(), Moody(ZeroDivisionError("oh"))
    async with rig.serving(*handlers(moody)) as (_, caller):
        error = await refusal(caller, Count(), stamp())
        assert isinstance(error, InternalError)
        assert "in run" in (error.remote_traceback or "")
        assert rig.events.counts["handler_failed"] == 1
        assert await caller.call(ACTOR, Count(), stamp=stamp()) == Counted(number=1)


async def test_what_waited_beyond_its_budget_is_not_begun() -> None:
    """A message whose asker has given up while it stood behind another is answered as expired, and runs nowhere."""
    rig = Rig()
    slow = Sleeper()
    async with rig.serving(slow.handler) as (_, caller):
        await rig.frame(
            asked(caller, Slow(), Stamp(server="s1")), asked(caller, Slow(), Stamp(server="s1"), budget_s=1)
        )
        await anyio.sleep(20)
        assert slow.runs == 1
        assert rig.events.counts["answer_unwanted"] == 2


async def test_a_cast_is_carried_out_and_not_answered() -> None:
    """Nobody is told of its end."""
    rig = Rig()
    async with rig.serving(COUNTING) as (_, caller):
        await caller.cast(ACTOR, Count())
        await anyio.sleep(1)
        assert await rig.counted() == 1
        assert rig.events.counts["answer_unwanted"] == 0


async def test_an_answer_that_cannot_be_sent_is_counted() -> None:
    """Where the asker's queue is gone, the actor goes on: the asker will ask again."""
    rig = Rig()
    async with rig.serving(COUNTING) as (_, caller):
        lost = attrs.evolve(asked(caller, Count(), stamp()), reply_to="replies:nobody:0")
        await rig.frame(lost)
        await anyio.sleep(1)
        assert rig.events.counts["answer_lost"] == 1
        assert await caller.call(ACTOR, Count(), stamp=stamp()) == Counted(number=1)


# --- frames ------------------------------------------------------------------------------------------------


async def test_one_bad_envelope_spoils_none_of_its_frame() -> None:
    """The good ones before and behind it are handled, and the frame becomes a dead letter with its reason."""
    rig = Rig()
    async with rig.serving(COUNTING) as (_, caller):
        await rig.frame(asked(caller, Count(), stamp("one")), b"junk", asked(caller, Count(), stamp("two")))
        await anyio.sleep(1)
        assert await rig.counted() == 2
        assert rig.dead() == ["malformed"]


@pytest.mark.parametrize("frame", [b"", b"junk", b"\x90"], ids=repr)
async def test_a_frame_that_is_none_is_a_dead_letter(frame: bytes) -> None:
    """It is rejected, and the actor lives on."""
    rig = Rig()
    async with rig.serving(COUNTING) as (_, caller):
        await rig.wire.send(QUEUE, frame)
        assert await caller.call(ACTOR, Count(), stamp=stamp()) == Counted(number=1)
        assert rig.dead() == ["malformed"]


async def test_an_actor_takes_targeted_envelopes_only() -> None:
    """An answer in a mailbox is a dead letter."""
    rig = Rig()
    async with rig.serving(COUNTING) as (_, caller):
        call = asked(caller, Count(), Stamp())
        given = answer(call, id=rig.ids.new(), source=ACTOR, body=b"", is_error=False)
        await rig.frame(given, asked(caller, Count(), stamp()))
        await anyio.sleep(1)
        assert (await rig.counted(), rig.dead()) == (1, ["malformed"])


async def test_a_full_mailbox_takes_what_fits_and_no_more() -> None:
    """The rest is a dead letter with its reason, and the actor stands as soon as it can go on."""
    rig, slow = Rig(), Sleeper()
    async with rig.serving(slow.handler) as (_, caller):
        for _ in range(4):
            await rig.frame(*[asked(caller, Slow(), Stamp(server="s1")) for _ in range(MAILBOX_MAX // 4)])
        await rig.frame(asked(caller, Slow(), Stamp(server="s1")))
        await anyio.sleep(1)
        assert rig.dead() == ["overflow"]
        assert slow.runs == 1


# --- restarts ----------------------------------------------------------------------------------------------


async def test_an_actor_that_was_restarted_serves_what_it_held_when_it_died() -> None:
    """The messages that it had not settled come again, and so do later ones about the same server."""
    rig, slow, dies = Rig(), Sleeper(), anyio.Event()

    async def fragile() -> None:
        if not dies.is_set():
            await dies.wait()
            raise RuntimeError("killed")

    async with rig.post("client").open() as caller, anyio.create_task_group() as tasks:

        async def child(*, task_status: Any) -> None:
            async with post.open():
                await actor.run(task_status=task_status)

        post = rig.post("host:h1")
        actor = rig.actor(post, slow.handler, background=(fragile,))
        await tasks.start(supervise, "h1", child, rig.events)
        await rig.frame(asked(caller, Slow(), Stamp(server="s1")), asked(caller, Slow(), Stamp(server="s1")))
        await anyio.sleep(5)
        dies.set()
        await anyio.sleep(60)
        assert rig.events.counts["child_died"] == 1
        assert slow.ended == 2
        assert await caller.call(ACTOR, Slow(), stamp=Stamp(server="s1")) == Done()
        tasks.cancel_scope.cancel()
