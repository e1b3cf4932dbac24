"""`migration retry`: a conversation that waits tries again now, and whoever asks hears what came of it."""

from __future__ import annotations

from typing import Final

import anyio
import pytest

from protocol.errors import NotFound, NothingToRetry, Unavailable
from protocol.messages.orders import Retried, RetryConversation
from sim import Scenario
from sim.scenario import Move

HOURS_S: Final = 3 * 3600.0


async def retried(s: Scenario, move: Move, *, budget_s: float = 30.0) -> Retried:
    return await s.call("conductor", RetryConversation(conversation=move.conversation), budget_s=budget_s)


def waits_for(s: Scenario, move: Move) -> str:
    return next(each.waits_for or "" for each in s.truth.conversations() if each.conversation == move.conversation)


async def moved(s: Scenario) -> None:
    await s.create("web", host="h1", volume="data")
    await (await s.resize("web", host="h2")).done()


def test_what_a_dead_host_parks_is_tried_again_in_vain_until_the_host_is_back() -> None:
    """The answer says what it still waits for; once the host runs again, one retry is enough."""

    async def story(s: Scenario) -> None:
        await moved(s)
        s.kill("h1", down_s=HOURS_S)
        confirm = await s.confirm("web")
        await s.wait(300)
        assert waits_for(s, confirm).startswith("destroy_source_guest at api!c1/host:h1")
        vain = await retried(s, confirm)
        assert not vain.went_on
        assert vain.is_trying or "host:h1" in (vain.waits_for or "")
        assert "host:h1" in vain.waited_for
        s.heal()
        await s.wait(5)
        if not confirm.ended:
            assert (await retried(s, confirm)).went_on
        await confirm.done()
        await s.quiet()
        s.check()

    Scenario.run(story)


def test_a_pause_is_cut_short() -> None:
    """After many tries the pauses are long; what was mended in one goes on when it is told, not when that is over."""

    async def story(s: Scenario) -> None:
        await moved(s)
        s.fail("h1", "destroy", times=0)
        confirm = await s.confirm("web")
        await s.wait(300)
        still = await retried(s, confirm)
        assert (still.went_on, still.is_trying) == (False, False)
        assert "destroy" in (still.waits_for or "")
        s.heal()
        began_s = anyio.current_time()
        again = await retried(s, confirm)
        assert (again.went_on, again.waits_for, again.waited_for) == (True, None, still.waits_for)
        assert anyio.current_time() - began_s < 1
        await confirm.done()
        assert anyio.current_time() - began_s < 5
        await s.quiet()
        s.check()

    Scenario.run(story)


def test_what_waits_for_nothing_cannot_be_tried_again() -> None:
    """Of an unknown id, of one under way and of one that has ended the errors say which it is."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        with pytest.raises(NotFound, match="there is no conversation nothing"):
            await s.call("conductor", RetryConversation(conversation="nothing"))
        held = s.hold("h2", at="spawn_target/do/before_send")
        move = await s.resize("web", host="h2")
        await held.reached()
        with pytest.raises(NothingToRetry, match=f"resize {move.conversation} of server web is under way"):
            await retried(s, move)
        held.let_go()
        await move.done()
        await s.quiet()
        with pytest.raises(NothingToRetry, match="is over: it waits for nothing"):
            await retried(s, move)

    Scenario.run(story)


def test_only_the_conductor_that_has_it_tries_again() -> None:
    """Another one says so, and whoever asks may ask again: they share one queue."""

    async def story(s: Scenario) -> None:
        await moved(s)
        s.fail("h1", "destroy", times=0)
        confirm = await s.confirm("web")
        await s.wait(300)
        said: list[Retried | str] = []
        for _ in range(20):
            try:
                said.append(await retried(s, confirm))
            except Unavailable as error:
                said.append(str(error))
        refused = {each for each in said if isinstance(each, str)}
        assert [each for each in refused if "another conductor has it" not in each] == []
        assert refused, "the other one never took a retry from the queue"
        assert len([each for each in said if isinstance(each, Retried)]) > 0
        s.heal()
        await confirm.done()
        await s.quiet()
        s.check()

    Scenario.run(story, conductors=2)
