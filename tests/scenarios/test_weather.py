"""What a scenario's author can have go wrong: each fault strikes as it was called, as often as was said."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from protocol.records import Migration, Server
from sim import Scenario
from sim.faults import Fault, FaultKind
from tests.scenarios.endings import at_rest, kinds

# --- calls that fail ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "kind"),
    [("refuses", FaultKind.STORE_ERROR), ("answer_lost", FaultKind.STORE_UNSURE), ("late", FaultKind.STORE_SLOW)],
)
def test_a_save_of_a_record_fails_once_in_that_cell_only(how: str, kind: FaultKind) -> None:
    """The fault strikes the transaction that writes the record, once, and the move gets over it."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        s.fail_save("api!c2", Migration, how=how)
        await (await s.resize("web", host="h2")).done()
        assert kinds(s) == [(kind, True)]
        assert s.truth.fired()[0].process == "api!c2/cell"
        assert s.truth.executions("web", "copy_records") == 1
        await at_rest(s)

    Scenario.run(story)


def test_a_save_of_another_record_does_not_fail() -> None:
    """A store that is to fail for flavors of migrations takes servers."""

    async def story(s: Scenario) -> None:
        s.fail_save("api!c1", Migration)
        await s.create("web", host="h1")
        assert kinds(s) == []
        s.fail_save("api!c1", Server)
        await (await s.stop("web")).done()
        assert kinds(s) == [(FaultKind.STORE_ERROR, True)]

    Scenario.run(story)


@pytest.mark.parametrize(("actor", "call"), [("network", "bind_ports"), ("volume", "reserve_attachments")])
@pytest.mark.parametrize("how", ["refuses", "dirty"])
def test_a_command_of_a_partner_fails_once_and_the_next_attempt_is_made(actor: str, call: str, how: str) -> None:
    """Refused, or failing when it is done: one attempt is undone, and the other host is taken."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1", volume="data")
        s.fail(actor, call, how=how)
        move = await (await s.resize("web")).done()
        outcomes = [(each.attempt, each.is_undo, each.outcome) for each in move.journal if each.step == call]
        assert outcomes == [(1, False, "conflict"), (1, True, "done"), (2, False, "done")]
        built = s.truth.executions("web", call) - 1  # The create has a step of that name, or none.
        assert (built, s.truth.executions("web", call, is_undo=True)) == (call == "reserve_attachments", 1)
        await at_rest(s)

    Scenario.run(story)


def test_a_command_that_fails_for_ever_does_so_until_healed() -> None:
    """Each attempt is refused, and the move with them; after the healing it succeeds."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        s.fail("network", "bind_ports", times=0)
        move = await (await s.resize("web")).over()
        assert move.error == "conflict"
        assert [each.attempt for each in move.journal if each.outcome == "conflict"][:2] == [1, 2]
        s.heal()
        await (await s.resize("web")).done()
        await at_rest(s)

    Scenario.run(story)


def test_an_answer_that_is_late_changes_nothing() -> None:
    """The host is asked again in the meantime, and has done it once."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        s.fail("h2", "spawn", how="late", late_s=80)
        s.fail("h1", "stop_guest", how="late", late_s=50)
        await (await s.resize("web", host="h2")).done()
        assert {kind for kind, _ in kinds(s)} == {FaultKind.DRIVER_SLOW, FaultKind.DELAY}
        assert s.truth.executions("web", "spawn_target") == 1
        await at_rest(s)

    Scenario.run(story)


# --- links and processes -----------------------------------------------------------------------------------


def test_a_cut_one_way_lets_the_other_way_pass() -> None:
    """What is asked is done though no answer comes back; healed, the answer is given again."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h2")
        s.cut("api!c2", "api", one_way=True)
        stop = await s.stop("web")
        await s.wait(60)
        assert s.truth.executions("web", "begin") == 1
        assert s.truth.running("web") == ("h2",)
        assert not stop.ended
        s.heal()
        await stop.done()
        assert s.truth.executions("web", "begin") == 1
        await at_rest(s)

    Scenario.run(story)


def test_messages_are_lost_as_often_as_was_said() -> None:
    """Two answers of the host are lost, no more."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        await (await s.resize("web", host="h2")).done()
        s.lose("h1", "api!c1", times=2)
        await (await s.confirm("web")).done()
        assert kinds(s) == [(FaultKind.LOSE, True)] * 2
        await at_rest(s)

    Scenario.run(story)


@pytest.mark.parametrize(
    ("say", "kind"),
    [
        (lambda s: s.delay("api!c2", "h2", 40, times=1), FaultKind.DELAY),
        (lambda s: s.double("api!c2", "h2", times=1), FaultKind.DOUBLE),
        (lambda s: s.double("api", "api!c2", times=1, late_s=9), FaultKind.DOUBLE_LATE),
        (lambda s: s.reorder("api", "api!c2", within_s=60), FaultKind.REORDER),
        (lambda s: s.mute("h2", times=1), FaultKind.LOSE),
        (lambda s: s.jump_clock("api!c2", 3600), FaultKind.CLOCK_JUMP),
    ],
)
def test_what_is_said_of_a_link_or_clock_happens_once(say: Callable[[Scenario], None], kind: FaultKind) -> None:
    """The fault strikes once and makes a difference, and the move gets over it."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        await (await s.resize("web", host="h2")).done()
        await s.quiet()
        say(s)
        await (await s.confirm("web")).done()
        await (await s.stop("web")).done()
        await s.wait(120)
        assert kinds(s) == [(kind, True)]
        await at_rest(s)

    Scenario.run(story)


def test_several_actors_are_killed_at_a_point_and_now() -> None:
    """Each dies once, and is there again after its time."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        s.kill("h1", "api!c1", at="stop_guest/do/after_effect", down_s=7)
        await (await s.resize("web", host="h2")).done()
        assert kinds(s) == [(FaultKind.CRASH_AT, True)] * 2
        s.kill("conductor", "image", down_s=20_000)
        with pytest.raises(TimeoutError, match="process api/image is down; process api/conductor is down"):
            await s.quiet()
        s.heal()
        await at_rest(s)

    Scenario.run(story)


def test_an_actor_that_is_held_does_nothing_until_it_is_let_go() -> None:
    """The cell has got the command, and carries it out only afterwards."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        held = s.hold("api!c2", at="claim_target/do/after_send")
        move = await s.resize("web", host="h2")
        await held.reached()
        await s.wait(20)
        assert held.is_holding
        assert s.truth.executions("web", "claim_target") == 0
        held.let_go()
        await move.done()
        assert s.truth.executions("web", "claim_target") == 1
        await at_rest(s)

    Scenario.run(story)


def test_a_hold_that_is_let_go_before_its_point_holds_nobody() -> None:
    """The point is passed, and nobody stands still."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        held = s.hold("api!c2", at="claim_target/do/after_send")
        held.let_go()
        await (await s.resize("web", host="h2")).done()
        assert not held.is_holding

    Scenario.run(story)


def test_any_fault_of_the_vocabulary_can_be_let_loose() -> None:
    """A broker that loses its data in the middle of a move loses no move."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1", volume="data")
        move = await s.resize("web", host="h2")
        s.inject(Fault(kind=FaultKind.BROKER_WIPE, name="wipe", where="api!c2", at_s=3, for_s=4))
        s.inject(Fault(kind=FaultKind.GUEST_DIES, name="dies", where="api!c1/host:h1"))
        await move.done()
        assert {kind for kind, _ in kinds(s)} == {FaultKind.BROKER_WIPE, FaultKind.GUEST_DIES}
        await at_rest(s)

    Scenario.run(story)
