"""What a server's own cell is asked to have done with it, and what has become of the server then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from protocol.messages import instances as say
from protocol.messages.changes import ServerChange, UpdateFromApi
from protocol.messages.orders import PowerServer
from protocol.messages.servers import Origin
from protocol.messages.wiring import AppliedPorts, FindNetwork
from protocol.states import Goal, PowerState, VmState
from sim.cases.workload import IMAGE, SMALL
from sim.stages.loop import WorldStage
from tests.scenarios.every_method import CELLS, DEEP, shows

if TYPE_CHECKING:
    from sim import Scenario

USER: Final = Origin(request_id="r", user="u", project="project")
#: So long a guest runs before something is done with its disk, and so far the simulator's count in a second.
RUNS_S: Final = 5.0
PER_S: Final = 50


async def there(s: Scenario) -> None:
    """Have a server in the cell of the third level."""
    await s.create("web", host="h1")


async def ask(s: Scenario, request: say.Ask | say.AskOrder, *, key: str = "asker:1") -> None:
    """Ask its cell, and wait until it is done."""
    handed = await s.call(DEEP, request, server="web", key=key)
    await s.quiet()
    ended = next(each for each in s.truth.conversations("web") if each.conversation == handed.conversation)
    assert ended.is_closed


def now_s(s: Scenario) -> float:
    """Tell the time, in seconds since some beginning."""
    assert isinstance(s.stage, WorldStage)
    return s.stage.world.time.now_ns() / 1e9


def state(s: Scenario) -> VmState:
    """Tell what the server is, by its cell's record."""
    return s.truth.servers("web")[DEEP].vm_state


def kept(s: Scenario) -> dict[str, str]:
    """Name the images that were made of servers and whose bytes are there."""
    images = {image.id: image.name for image in s.truth.images() if image.source}
    assert images.keys() <= set(s.truth.image_files())
    return images


@shows(say.AskStop, pytest.mark.proves("R53"))
async def ask_stop(s: Scenario) -> None:
    await there(s)
    await ask(s, say.AskStop(server="web", origin=USER))
    assert (state(s), s.truth.running("web")) == (VmState.STOPPED, ())


@shows(say.AskStart, pytest.mark.proves("R52"))
async def ask_start(s: Scenario) -> None:
    await there(s)
    await (await s.stop("web")).done()
    await ask(s, say.AskStart(server="web", origin=USER))
    assert (state(s), s.truth.running("web")) == (VmState.ACTIVE, ("h1",))


@shows(say.AskReboot, pytest.mark.proves("R55"))
async def ask_reboot(s: Scenario) -> None:
    await there(s)
    await (await s.stop("web")).done()
    await ask(s, say.AskReboot(server="web", origin=USER, is_hard=True))
    assert (state(s), s.truth.running("web")) == (VmState.ACTIVE, ("h1",))


@shows(say.AskPause, pytest.mark.proves("R61"))
async def ask_pause(s: Scenario) -> None:
    await there(s)
    await ask(s, say.AskPause(server="web", origin=USER))
    assert (state(s), s.truth.guests("web")[0].power) == (VmState.PAUSED, PowerState.PAUSED)


@shows(say.AskUnpause, pytest.mark.proves("R62"))
async def ask_unpause(s: Scenario) -> None:
    await there(s)
    await (await s.pause("web")).done()
    await ask(s, say.AskUnpause(server="web", origin=USER))
    assert (state(s), s.truth.guests("web")[0].power) == (VmState.ACTIVE, PowerState.RUNNING)


@shows(say.AskSuspend, pytest.mark.proves("R56"))
async def ask_suspend(s: Scenario) -> None:
    await there(s)
    await ask(s, say.AskSuspend(server="web", origin=USER))
    assert (state(s), s.truth.guests("web")[0].power) == (VmState.SUSPENDED, PowerState.SUSPENDED)


@shows(say.AskResume, pytest.mark.proves("R57"))
async def ask_resume(s: Scenario) -> None:
    await there(s)
    await (await s.suspend("web")).done()
    await ask(s, say.AskResume(server="web", origin=USER))
    assert (state(s), s.truth.guests("web")[0].power) == (VmState.ACTIVE, PowerState.RUNNING)
    assert [boot.number for boot in s.truth.disks("web")["h1"].boots] == [1]


@shows(say.AskSoftDelete, pytest.mark.proves("R60"))
async def ask_soft_delete(s: Scenario) -> None:
    await there(s)
    await ask(s, say.AskSoftDelete(server="web", origin=USER))
    assert (state(s), s.truth.running("web")) == (VmState.SOFT_DELETED, ())
    await (await s.restore("web")).done()
    assert (state(s), s.truth.running("web")) == (VmState.ACTIVE, ("h1",))


@shows(say.AskResize, pytest.mark.proves("R63"))
async def ask_resize(s: Scenario) -> None:
    await there(s)
    await ask(s, say.AskResize(server="web", origin=USER, flavor=SMALL, host="h2"))
    assert (state(s), s.truth.running("web")) == (VmState.RESIZED, ("h2",))


@shows(say.AskConfirm, pytest.mark.proves("R66"))
async def ask_confirm(s: Scenario) -> None:
    await there(s)
    await (await s.resize("web", host="h2")).done()
    await ask(s, say.AskConfirm(server="web", origin=USER))
    assert (state(s), s.truth.servers("web")[DEEP].flavor) == (VmState.ACTIVE, SMALL)


@shows(say.AskRevert, pytest.mark.proves("R65"))
async def ask_revert(s: Scenario) -> None:
    await there(s)
    await (await s.resize("web", host="h2")).done()
    await ask(s, say.AskRevert(server="web", origin=USER))
    assert (state(s), s.truth.running("web")) == (VmState.ACTIVE, ("h1",))


@shows(say.AskDelete, pytest.mark.proves("R59"))
async def ask_delete(s: Scenario) -> None:
    await there(s)
    await ask(s, say.AskDelete(server="web", origin=USER))
    assert (s.truth.servers("web"), s.truth.guests("web")) == ({}, ())


@shows(say.AskRebuild)
async def ask_rebuild(s: Scenario) -> None:
    await there(s)
    await s.wait(RUNS_S)
    asked_s = now_s(s)
    await ask(s, say.AskRebuild(server="web", origin=USER, image=IMAGE, change=ServerChange(name="anew")))
    [disk] = s.truth.disks("web").values()
    assert [(boot.host, boot.number) for boot in disk.boots] == [("h1", 1), ("h1", 2)]
    assert disk.counter <= PER_S * (now_s(s) - asked_s + 1), "it counts on where it was"
    assert (s.truth.servers("web")[DEEP].name, s.truth.running("web")) == ("anew", ("h1",))


@shows(say.AskSnapshot, pytest.mark.proves("R69"))
async def ask_snapshot(s: Scenario) -> None:
    await there(s)
    await ask(s, say.AskSnapshot(server="web", origin=USER, image="shot", name="web of today"))
    assert kept(s) == {"shot": "web of today"}
    assert s.truth.running("web") == ("h1",)


@shows(say.AskBackup, pytest.mark.proves("R70"))
async def ask_backup(s: Scenario) -> None:
    await there(s)
    for number in (1, 2, 3):
        day = f"day-{number}"
        backup = say.AskBackup(server="web", origin=USER, image=day, name=day, backup_type="daily", rotation=2)
        await ask(s, backup, key=f"asker:{number}")
    assert kept(s) == {"day-2": "day-2", "day-3": "day-3"}


@shows(say.AskLiveMigrate, pytest.mark.proves("R64"))
async def ask_live_migrate(s: Scenario) -> None:
    await there(s)
    await s.wait(RUNS_S)
    [before] = s.truth.disks("web").values()
    await ask(s, say.AskLiveMigrate(server="web", origin=USER, host="h2"))
    assert (s.truth.servers("web")[DEEP].host, s.truth.running("web")) == ("h2", ("h2",))
    disk = s.truth.disks("web")["h2"]
    assert ([boot.host for boot in disk.boots], disk.counter >= before.counter >= PER_S) == (["h1"], True)


@shows(say.AskResetNetwork, pytest.mark.proves("R67"))
async def ask_reset_network(s: Scenario) -> None:
    await there(s)
    await ask(s, say.AskResetNetwork(server="web", origin=USER))
    found = await s.call("h1", FindNetwork(server="web"), server="web")
    assert [port.port for port in found.reset.ports] == [port.id for port in s.truth.ports("web")]
    assert (bool(found.reset.by), found.injected) == (True, AppliedPorts())


@shows(say.AskInjectNetworkInfo, pytest.mark.proves("R68"))
async def ask_inject_network_info(s: Scenario) -> None:
    await there(s)
    await ask(s, say.AskInjectNetworkInfo(server="web", origin=USER))
    found = await s.call("h1", FindNetwork(server="web"), server="web")
    assert [port.port for port in found.injected.ports] == [port.id for port in s.truth.ports("web")]
    assert (bool(found.injected.by), found.reset) == (True, AppliedPorts())


@shows(say.AskOrder, pytest.mark.proves("R28"))
async def ask_order(s: Scenario) -> None:
    await there(s)
    await ask(s, say.AskOrder(order=PowerServer(server="web", goal=Goal.STOP, origin=USER)))
    assert (state(s), s.truth.running("web")) == (VmState.STOPPED, ())


@shows(say.DeleteEverywhere, pytest.mark.proves("R80"))
async def delete_everywhere(s: Scenario) -> None:
    await there(s)
    answers = await s.gather(say.DeleteEverywhere(server="web", origin=USER), include_self=False, key="asker:1")
    assert {answer.cell for answer in answers if answer.reply and answer.reply.conversation} == {DEEP}
    assert {answer.cell for answer in answers} == {*CELLS} - {"api"}
    await s.quiet()
    assert (s.truth.servers("web"), s.truth.guests("web")) == ({}, ())


@shows(UpdateFromApi, pytest.mark.proves("R50"))
async def update_from_api(s: Scenario) -> None:
    await there(s)
    change = ServerChange(name="new", metadata={"left": "out"})
    request = UpdateFromApi(server="web", change=change, action="a1", origin=USER, vm_states=(VmState.ACTIVE,))
    for _ in range(2):
        await s.call(DEEP, request, server="web")
    record = s.truth.servers("web")[DEEP]
    assert (record.name, record.metadata) == ("new", {})
    assert [row.action for row in s.truth.actions("web") if row.id == "a1"] == ["update"]
