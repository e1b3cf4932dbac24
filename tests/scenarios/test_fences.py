"""A host that is gone for ever: its operator says so, and what waits for it goes on without it."""

from __future__ import annotations

from typing import Final

from protocol.messages.hosts import StartAnew
from protocol.records import HostFence, OwedAct
from protocol.states import MigrationStatus, Owed, PowerState, VmState
from sim import Scenario
from sim.history import Noted
from sim.scenario import Move
from tests.scenarios.endings import at_rest

GONE_S: Final = 1e6


def is_over(move: Move) -> bool:
    return move.ended


def state(s: Scenario) -> tuple[VmState, PowerState]:
    home = s.truth.home("web")
    assert home is not None
    return home.vm_state, home.power_state


def owed(s: Scenario) -> set[tuple[str, Owed]]:
    return {(row.host, row.act) for row in s.truth.rows(OwedAct)}


def refusals(move: Move) -> list[str]:
    return [each.step for each in move.journal if each.outcome == "host_fenced" and each.step != "end"]


async def boot(s: Scenario, host: str) -> None:
    """Have a machine that is down come back: everything else that was to last ends with it."""
    s.heal()
    await s.wait(30)
    assert s.truth.guests("web") is not None, host


async def moved(s: Scenario, *, is_volume_backed: bool = False) -> None:
    await s.create("web", host="h1", is_volume_backed=is_volume_backed)
    await (await s.resize("web", host="h2")).done()


def test_a_confirm_whose_source_host_is_gone_for_ever_ends_when_that_is_fenced() -> None:
    """The debt is paid without the host, which still owes the disk; when it comes back after all, it destroys it."""

    async def story(s: Scenario) -> None:
        await moved(s)
        s.lose_machine("h1", down_s=GONE_S)
        confirm = await s.confirm("web")
        await s.wait(300)
        assert not is_over(confirm)
        await s.fence("h1")
        await confirm.done()
        assert owed(s) == {("h1", Owed.DESTROY)}
        await (await s.migrate("web", host="h3")).done()
        await boot(s, "h1")
        assert {guest.host for guest in s.truth.guests("web")} == {"h1", "h2", "h3"}
        await s.unfence("h1")
        await s.wait(30)
        assert {guest.host for guest in s.truth.guests("web")} == {"h2", "h3"}
        assert not s.truth.rows(HostFence)
        assert not s.truth.rows(OwedAct)
        await (await s.confirm("web")).done()
        await (await s.migrate("web", host="h1")).done()
        await s.quiet()
        s.check()

    Scenario.run(story, hosts=3)


def test_a_fenced_host_that_boots_again_starts_nothing_and_answers_no_command_until_it_is_unfenced() -> None:
    """A start is refused by name; what was sent to it before the fence lies in its queue, and stays void."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        await (await s.stop("web")).done()
        s.lose_machine("h1", down_s=GONE_S)
        start = await s.start("web")
        await s.wait(20)
        await s.fence("h1")
        await start.over()
        assert start.error == "host_fenced"
        await boot(s, "h1")
        await s.wait(120)
        assert s.truth.running("web") == ()
        again = await s.start("web")
        await again.over()
        assert again.error == "host_fenced"
        await s.unfence("h1")
        await s.wait(60)
        assert s.truth.running("web") == ()
        await (await s.start("web")).done()
        assert s.truth.running("web") == ("h1",)
        await s.quiet()
        s.check()

    Scenario.run(story)


def test_a_server_on_a_volume_leaves_a_host_that_is_gone_for_ever() -> None:
    """The stop counts, the permit goes on, and the host that comes back finds that it has lost the guest."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1", is_volume_backed=True)
        s.lose_machine("h1", down_s=GONE_S)
        await s.fence("h1")
        await (await s.migrate("web", host="h2")).done()
        assert s.truth.running("web") == ("h2",)
        await boot(s, "h1")
        await s.unfence("h1")
        await s.wait(60)
        assert s.truth.running("web") == ("h2",)
        await (await s.revert("web")).done()
        assert s.truth.running("web") == ("h1",)
        await s.quiet()
        s.check()

    Scenario.run(story)


def test_a_server_whose_only_disk_is_on_the_fenced_host_stays_its() -> None:
    """Nobody can read the disk: the move is refused by name and undone; when the host is back, the server starts."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1", volume="data")
        s.kill("h1", at="snapshot/do/before_send", down_s=GONE_S)
        move = await s.migrate("web", host="h2")
        await s.wait(60)
        s.lose_machine("h1", down_s=GONE_S)
        await s.fence("h1")
        await move.over()
        assert refusals(move) == ["snapshot"]
        again = await s.migrate("web", host="h2")
        assert (again.conversation, again.error) == ("", "host_fenced"), "from now on it is known at the door"
        home = s.truth.home("web")
        assert home is not None
        assert (home.host, home.task_state, home.vm_state) == ("h1", None, VmState.ACTIVE)
        await boot(s, "h1")
        await s.unfence("h1")
        await s.wait(60)
        assert state(s) == (VmState.STOPPED, PowerState.SHUTDOWN)
        await (await s.start("web")).done()
        assert s.truth.running("web") == ("h1",)
        await s.quiet()
        s.check()

    Scenario.run(story)


def test_a_target_host_that_dies_after_the_guests_stop_and_is_fenced_is_given_up() -> None:
    """The spawn is refused there, everything is undone, and the server runs where it came from, as it was."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1", volume="data")
        s.kill("h2", at="spawn_target/do/before_send", down_s=GONE_S)
        move = await s.resize("web", host="h2")
        await s.wait(60)
        assert not is_over(move)
        assert s.truth.running("web") == ()
        await s.fence("h2")
        await move.over()
        assert move.error == "host_fenced"
        assert s.truth.running("web") == ("h1",)
        assert state(s) == (VmState.ACTIVE, PowerState.RUNNING)
        assert [row.status for row in s.truth.migrations("web")] == [MigrationStatus.ERROR]
        assert owed(s) == {("h2", Owed.DESTROY)}
        await boot(s, "h2")
        await s.unfence("h2")
        await s.wait(60)
        assert [guest.host for guest in s.truth.guests("web")] == ["h1"]
        await (await s.resize("web", host="h2")).done()
        await s.quiet()
        s.check()

    Scenario.run(story)


def test_a_revert_leaves_a_target_host_that_is_gone_for_ever() -> None:
    """The target's stop counts as soon as its host is fenced, and the source's guest runs again."""

    async def story(s: Scenario) -> None:
        await moved(s)
        s.lose_machine("h2", down_s=GONE_S)
        await s.fence("h2")
        await (await s.revert("web")).done()
        assert s.truth.running("web") == ("h1",)
        assert owed(s) == {("h2", act) for act in (Owed.OFF, Owed.DETACH, Owed.DESTROY)}
        await boot(s, "h2")
        await s.unfence("h2")
        await s.wait(60)
        assert [guest.host for guest in s.truth.guests("web")] == ["h1"]
        await s.quiet()
        s.check()

    Scenario.run(story)


def test_a_host_that_was_fenced_though_it_runs_takes_no_more_commands_and_gives_up_what_it_lost() -> None:
    """Its operator was wrong; it hears of the fence, and before it takes commands again its guest is gone."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        await (await s.stop("web")).done()
        await s.fence("h1")
        await s.wait(15)
        start = await s.start("web")
        await start.over()
        assert start.error == "host_fenced"
        await s.unfence("h1")
        await s.wait(30)
        await (await s.start("web")).done()
        await s.quiet()
        s.check()

    Scenario.run(story)


def test_a_host_without_a_fence_that_is_told_to_start_anew_goes_on() -> None:
    """So it is told again whose frame came back: were it to end each time, it would never come to the next message."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        for _ in range(3):
            await s.cast("h1", StartAnew())
            await s.wait(5)
        ends = [line.what for line in s.stage.history.lines if isinstance(line.what, Noted)]
        assert [each for each in ends if each.event == "child_died"] == []
        await (await s.stop("web")).done()
        await s.quiet()
        s.check()

    Scenario.run(story)


def test_no_server_is_sent_to_a_fenced_host() -> None:
    """A move and a create leave it out, although it has most room; one that names it is told why."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        s.lose_machine("h2", down_s=GONE_S)
        await s.fence("h2")
        named = await s.resize("web", host="h2")
        await named.over()
        assert named.error == "no_valid_host"
        assert "host h2 is fenced; unfence it" in str(named.cause)
        move = await s.resize("web")
        await move.done()
        assert s.truth.running("web") == ("h3",)
        assert [each.step for each in move.journal].count("choose_target") == 1
        await boot(s, "h2")
        await s.unfence("h2")
        await s.wait(30)
        await s.quiet()
        s.check()

    Scenario.run(story, hosts=3)


def test_a_server_is_deleted_while_its_host_is_fenced() -> None:
    """Nothing of it is left but what the host owes, and that is paid before the host is let back."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1", volume="data")
        s.lose_machine("h1", down_s=GONE_S)
        delete = await s.delete("web")
        await s.wait(60)
        assert not is_over(delete)
        await s.fence("h1")
        await delete.done()
        assert s.truth.home("web") is None
        assert owed(s) == {("h1", Owed.DESTROY)}
        await boot(s, "h1")
        await s.unfence("h1")
        await s.wait(60)
        assert s.truth.guests("web") == ()
        await s.quiet()
        s.check()

    Scenario.run(story)


def test_a_host_that_was_fenced_in_the_midst_of_a_spawn_keeps_nothing_of_it() -> None:
    """It has forgotten what it was told before its fence was lifted; the undo that comes then looks for itself."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        s.kill("h2", at="driver/spawn/after", down_s=GONE_S)
        move = await s.resize("web", host="h2")
        while not any(guest.host == "h2" for guest in s.truth.guests("web")):
            await s.wait(0.5)
        s.lose_machine("h2", down_s=GONE_S)
        await s.fence("h2")
        while "spawn_target" not in refusals(move):
            await s.wait(0.5)
        s.heal()
        await s.unfence("h2")
        await move.over()
        assert move.error == "host_fenced"
        assert [guest.host for guest in s.truth.guests("web")] == ["h1"]
        await at_rest(s)

    Scenario.run(story)
