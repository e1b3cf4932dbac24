"""What has no transactions is made so exactly once all the same: accepted first, acknowledged, then made so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from actors.kernel.handlers import Ensuring
from actors.kernel.post import Stamp
from protocol.errors import Conflict, PermitRefused, Superseded, Unavailable
from protocol.requests import Done
from tests.actors.kernel.rig import ACTOR, QUEUE, Counted, Pull, Push, Rig, asked, count, refusal, stamp

if TYPE_CHECKING:
    from actors.kernel.ports import Connection
    from protocol.effects.registry import Moment

pytestmark = pytest.mark.anyio
TAKES_S = 10


class Lever:
    """Something outside: it stays pulled once it was, however often it is pulled."""

    def __init__(self, *moods: Exception | None, refusals: int = 0) -> None:
        self.is_pulled = False
        self.story: list[str] = []
        self.moods = list(moods)
        self.refusals = refusals
        self.handlers = (
            Ensuring(request=Pull, accept=self.accept, ensure=self.pull, settle=self.settle),
            Ensuring(request=Push, ensure=self.push),
        )

    def accept(self, _connection: Connection, _request: Pull, _moment: Moment) -> None:
        if self.refusals:
            self.refusals -= 1
            raise PermitRefused(server="s1", number=1, reason="not now")

    async def pull(self, _request: Pull, _moment: Moment) -> None:
        self.story.append("pulls")
        await anyio.sleep(TAKES_S)
        mood = self.moods.pop(0) if self.moods else None
        if mood is not None:
            raise mood
        self.is_pulled = True
        self.story.append("pulled")

    def settle(self, connection: Connection, request: Pull, _result: None, moment: Moment) -> Counted:
        return count(connection, request, moment)  # type: ignore[arg-type]  # only its server is read

    async def push(self, _request: Push, _moment: Moment) -> Done:
        self.story.append("pushed")
        self.is_pulled = False
        return Done()


async def test_it_is_acknowledged_when_it_is_durable_and_answered_when_it_is_done() -> None:
    """Killed in between, it goes on by itself; nothing is lost, done twice or answered differently."""
    rig, lever = Rig(), Lever()
    async with rig.serving(*lever.handlers) as (_, caller):
        await rig.frame(asked(caller, Pull(), stamp()))
        await anyio.sleep(TAKES_S / 2)
        assert [name for name, _ in (await rig.memory()).keys] == ["c1:1:do:execute"]
        assert lever.story == ["pulls"]
    left: list[object] = []
    async with rig.wire.consume(QUEUE, left.append, prefetch=1):
        await anyio.sleep(1)
    assert left == [], "it was acknowledged: only the store knows of it"
    async with rig.serving(*lever.handlers) as (_, caller):
        assert lever.is_pulled, "it is reconciled before anything is taken"
        assert await caller.call(ACTOR, Pull(), stamp=stamp()) == Counted(number=1)
    assert lever.story == ["pulls", "pulls", "pulled"]


async def test_what_was_not_accepted_when_the_actor_died_comes_again() -> None:
    """A message that nobody has made durable stays in its queue."""
    rig, lever = Rig(), Lever()
    async with rig.post("client").open() as caller:
        await rig.wire.declare(QUEUE)
        await rig.frame(asked(caller, Pull(), stamp()))
    async with rig.serving(*lever.handlers):
        await anyio.sleep(2 * TAKES_S)
    assert (lever.is_pulled, await rig.counted()) == (True, 1)


async def test_a_copy_that_comes_while_it_is_worked_on_is_answered_alike() -> None:
    """Two copies at once make one effect and two equal answers."""
    rig, lever = Rig(), Lever()
    async with rig.serving(*lever.handlers) as (_, caller), anyio.create_task_group() as tasks:
        answers: list[Counted] = []

        async def ask() -> None:
            answers.append(await caller.call(ACTOR, Pull(), stamp=stamp()))

        tasks.start_soon(ask)
        tasks.start_soon(ask)
        await anyio.sleep(3 * TAKES_S)
        assert answers == [Counted(number=1)] * 2
    assert lever.story == ["pulls", "pulled"]


async def test_a_failure_that_may_pass_leaves_it_open_for_the_next_try() -> None:
    """The same key is worked on again, and after a restart it is without being asked."""
    rig, lever = Rig(), Lever(Unavailable(what="it", reason="busy"), Unavailable(what="it", reason="busy"))
    async with rig.serving(*lever.handlers) as (_, caller):
        assert isinstance(await refusal(caller, Pull(), stamp()), Unavailable)
        assert isinstance(await refusal(caller, Pull(), stamp()), Unavailable)
    async with rig.serving(*lever.handlers) as (_, caller):
        assert lever.is_pulled
        assert await caller.call(ACTOR, Pull(), stamp=stamp()) == Counted(number=1)


async def test_a_failure_for_good_leaves_its_undo_something_to_clean() -> None:
    """It may have failed half-way: the undo runs, and a late copy is superseded."""
    rig, lever = Rig(), Lever(Conflict(server="s1", action="pull", reason="stuck"))
    async with rig.serving(*lever.handlers) as (_, caller):
        assert isinstance(await refusal(caller, Pull(), stamp()), Conflict)
        await caller.call(ACTOR, Push(), stamp=stamp(is_undo=True))
        assert isinstance(await refusal(caller, Pull(), stamp()), Superseded)
    assert lever.story == ["pulls", "pushed"]


async def test_a_failure_for_good_may_be_tried_again() -> None:
    """A step that can only go forward is asked again until it is done, by the one who asks as by a restart."""
    rig, lever = Rig(), Lever(Conflict(server="s1", action="pull", reason="stuck"))
    async with rig.serving(*lever.handlers) as (_, caller):
        assert isinstance(await refusal(caller, Pull(), stamp()), Conflict)
        assert await caller.call(ACTOR, Pull(), stamp=stamp()) == Counted(number=1)
    assert lever.story == ["pulls", "pulls", "pulled"]


async def test_a_wish_that_is_refused_leaves_nothing_to_clean() -> None:
    """Refused before it was begun, its undo finds nothing."""
    rig, lever = Rig(), Lever(refusals=1)
    async with rig.serving(*lever.handlers) as (_, caller):
        assert isinstance(await refusal(caller, Pull(), stamp()), PermitRefused)
        await caller.call(ACTOR, Push(), stamp=stamp(is_undo=True))
    assert lever.story == []


async def test_an_undo_waits_behind_the_execute_that_is_running() -> None:
    """The key is busy until it is done; then it is undone, and a late copy is superseded."""
    rig, lever = Rig(), Lever()
    async with rig.serving(*lever.handlers) as (_, caller):
        await rig.frame(asked(caller, Pull(), stamp()))
        await caller.call(ACTOR, Push(), stamp=stamp(is_undo=True))
        assert lever.story == ["pulls", "pulled", "pushed"]
        assert not lever.is_pulled
        assert isinstance(await refusal(caller, Pull(), stamp()), Superseded)


async def test_the_undo_of_what_never_came_touches_nothing() -> None:
    """There is nothing outside to be cleaned; the execute that comes late is superseded."""
    rig, lever = Rig(), Lever()
    async with rig.serving(*lever.handlers) as (_, caller):
        assert await caller.call(ACTOR, Push(), stamp=stamp(is_undo=True)) == Done()
        assert isinstance(await refusal(caller, Pull(), stamp()), Superseded)
    assert lever.story == []


async def test_without_a_key_it_is_made_so_each_time_it_is_asked() -> None:
    """A read or an announcement needs no memory."""
    rig, lever = Rig(), Lever()
    async with rig.serving(*lever.handlers) as (_, caller):
        for number in (1, 2):
            assert await caller.call(ACTOR, Pull(), stamp=Stamp(server="s1")) == Counted(number=number)
        assert (await rig.memory()).keys == ()


async def test_our_own_mistake_leaves_it_open_and_the_actor_starts_all_the_same() -> None:
    """A handler that breaks after a restart costs one event, and the others are served."""
    rig, lever = Rig(), Lever(ZeroDivisionError("oh"), ZeroDivisionError("again"))
    async with rig.serving(*lever.handlers) as (_, caller):
        await refusal(caller, Pull(), stamp())
    async with rig.serving(*lever.handlers) as (_, caller):
        assert rig.events.counts["handler_failed"] == 2
        assert await caller.call(ACTOR, Pull(), stamp=stamp()) == Counted(number=1)
