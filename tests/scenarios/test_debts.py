"""What a confirm or a revert still has to clean up is owed: shown, tried again, and nobody waits for it."""

from __future__ import annotations

from typing import Final

import pytest

from protocol.records import Server
from protocol.states import MigrationStatus, VmState
from sim import Scenario
from sim.scenario import Move
from sim.stages.inner import InnerStage
from sim.stages.loop import LoopStage

HOURS_S: Final = 3 * 3600.0
STAGES: Final = pytest.mark.parametrize("on", [LoopStage, InnerStage])


def debt(s: Scenario) -> str | None:
    mapping = s.truth.mapping("web")
    assert mapping is not None
    return mapping.debt


def is_over(move: Move) -> bool:
    return move.ended


def waits_for(s: Scenario) -> list[str]:
    return [each.waits_for or "" for each in s.truth.conversations("web") if not each.is_closed]


def state(s: Scenario) -> VmState:
    home = s.truth.home("web")
    assert home is not None
    return home.vm_state


async def moved(s: Scenario) -> None:
    await s.create("web", host="h1", volume="data")
    await (await s.resize("web", host="h2")).done()


def test_a_confirm_is_done_although_the_source_host_is_away_for_hours() -> None:
    """The server is active with its move confirmed; every act but a move is accepted, and the debt says what it is."""

    async def story(s: Scenario) -> None:
        await moved(s)
        s.kill("h1", down_s=HOURS_S)
        confirm = await s.confirm("web")
        await s.wait(60)
        assert not confirm.error
        assert not is_over(confirm)
        assert state(s) is VmState.ACTIVE
        assert [move.status for move in s.truth.migrations("web")][-1] is MigrationStatus.CONFIRMED
        assert waits_for(s)[0].startswith("destroy_source_guest at api!c1/host:h1")
        await (await s.stop("web")).done()
        await (await s.start("web")).done()
        await (await s.attach("web", "extra")).done()
        await (await s.detach("web", "data")).done()
        assert s.truth.running("web") == ("h2",)
        # Volumes and ports at the source do not wait for its host.
        assert {each.volume for each in s.truth.attachments("web")} == {"extra"}
        assert {each.host for each in s.truth.bindings("web")} == {"h2"}
        await s.wait(HOURS_S)
        await s.quiet()
        assert is_over(confirm)
        assert debt(s) is None
        assert list(s.truth.servers("web")) == ["api!c2"]
        s.check()

    Scenario.run(story)


def test_a_debt_is_followed_by_a_new_move_only_when_it_is_paid() -> None:
    """Until then the move is refused; afterwards it goes as any other."""

    async def story(s: Scenario) -> None:
        await moved(s)
        s.kill("h1", down_s=600)
        await s.confirm("web")
        await s.wait(60)
        for refused in (await s.resize("web", host="h3"), await s.migrate("web", host="h3")):
            assert refused.error == "conflict"
        assert s.truth.running("web") == ("h2",)
        await s.wait(700)
        assert debt(s) is None
        await (await s.migrate("web", host="h1")).done()
        await (await s.confirm("web")).done()
        assert s.truth.running("web") == ("h1",)
        await s.quiet()
        s.check()

    Scenario.run(story)


def test_a_revert_is_done_although_the_target_host_is_away_when_it_is_to_clean_up() -> None:
    """The server runs again where it came from, and is used; what the target has left goes when it is back."""

    async def story(s: Scenario) -> None:
        await moved(s)
        s.kill("h2", at="owe/do/after_record", down_s=600)
        revert = await s.revert("web")
        await s.wait(60)
        assert not is_over(revert)
        assert state(s) is VmState.ACTIVE
        assert s.truth.running("web") == ("h1",)
        assert waits_for(s)[0].startswith("destroy_target_guest at api!c2/host:h2")
        await (await s.stop("web")).done()
        assert (await s.resize("web", host="h3")).error == "conflict"
        await s.wait(700)
        await s.quiet()
        assert is_over(revert)
        assert debt(s) is None
        assert set(s.truth.servers("web")) == {"api!c1"}
        s.check()

    Scenario.run(story)


def test_what_cleans_up_does_not_let_go_of_a_server_that_another_has_taken() -> None:
    """While a stop stands still in the middle, the debt is paid and closed; the stop still has the server."""

    async def story(s: Scenario) -> None:
        await moved(s)
        s.kill("h1", down_s=40)
        confirm = await s.confirm("web")
        await s.wait(20)
        s.kill("h2", at="power/do/before_send", down_s=90)
        stop = await s.stop("web")
        await s.wait(75)
        assert is_over(confirm)
        mapping = s.truth.mapping("web")
        assert mapping is not None
        assert (mapping.debt, mapping.conversation) == (None, stop.conversation)
        assert (await s.start("web")).error == "conflict"
        await stop.done()
        assert s.truth.running("web") == ()
        await s.quiet()
        s.check()

    Scenario.run(story)


@STAGES
def test_a_host_that_will_not_destroy_holds_up_nobody(on: type[LoopStage | InnerStage]) -> None:
    """On both levels: the debt is asked again until it is paid, the server is its user's meanwhile."""

    async def story(s: Scenario) -> None:
        await moved(s)
        s.fail("h1", "destroy", times=6)
        confirm = await s.confirm("web")
        await s.wait(8)
        assert not is_over(confirm)
        assert state(s) is VmState.ACTIVE
        await (await s.stop("web")).done()
        assert (await s.migrate("web", host="h3")).error == "conflict"
        await confirm.done()
        await (await s.start("web")).done()
        await s.quiet()
        assert s.truth.running("web") == ("h2",)
        assert len(s.truth.rows(Server, "web")) == 1
        s.check()

    Scenario.run(story, on=on)
