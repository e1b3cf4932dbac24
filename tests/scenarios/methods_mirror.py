"""What cells tell the root of their records, and are asked to tell again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.messages.mirror import DestroyMirror, TellDevice, TellDeviceGone, TellFault, UpdateMirror
from protocol.messages.sync import SyncServers
from protocol.records import Mirror, MirroredDevice, MirroredFault
from tests.scenarios.every_method import CELLS, DEEP, shows

if TYPE_CHECKING:
    from sim import Scenario


@shows(UpdateMirror)
async def update_mirror(s: Scenario) -> None:
    await s.create("web", host="h1")
    await s.quiet()
    [told] = s.truth.in_cell("api", Mirror, "web")
    assert (told.cell, told.host, told.vm_state) == (DEEP, "h1", "active")


@shows(DestroyMirror)
async def destroy_mirror(s: Scenario) -> None:
    await s.create("web", host="h1")
    await (await s.resize("web", host="h4")).done()
    await (await s.confirm("web")).done()
    await s.quiet()
    assert [told.cell for told in s.truth.in_cell("api", Mirror, "web") if not told.is_gone] == ["api!us"]


@shows(TellFault)
async def tell_fault(s: Scenario) -> None:
    await s.create("web", host="h1")
    s.fail("h4", "spawn")
    await (await s.resize("web", host="h4")).over()
    await s.quiet()
    [fault] = s.truth.in_cell("api", MirroredFault, "web")
    assert (fault.cell, fault.code) == (DEEP, "hypervisor_failed")


@shows(TellDevice)
async def tell_device(s: Scenario) -> None:
    await s.create("web", host="h1", volume="data")
    await s.quiet()
    assert [(each.cell, each.volume) for each in s.truth.in_cell("api", MirroredDevice, "web")] == [(DEEP, "data")]


@shows(TellDeviceGone)
async def tell_device_gone(s: Scenario) -> None:
    await s.create("web", host="h1", volume="data")
    await (await s.detach("web", volume="data")).done()
    await s.quiet()
    assert [each.is_gone for each in s.truth.in_cell("api", MirroredDevice, "web")] == [True]


@shows(SyncServers)
async def sync_servers(s: Scenario) -> None:
    await s.create("web", host="h1")
    await s.quiet()
    s.unplant("api", *s.truth.in_cell("api", Mirror))
    answers = await s.gather(SyncServers())
    assert {answer.cell: answer.reply.told for answer in answers if answer.reply} == {
        cell: int(cell == DEEP) for cell in CELLS
    }
    await s.quiet()
    assert [told.cell for told in s.truth.in_cell("api", Mirror, "web")] == [DEEP]
