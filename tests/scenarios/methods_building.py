"""Builds as cells are asked for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol.messages.building import BuildInstances, NewServer, ScheduleRunInstance
from protocol.messages.orders import CreateServer
from protocol.messages.servers import Origin
from sim.cases.workload import IMAGE, TINY
from tests.scenarios.every_method import DEEP, shows

if TYPE_CHECKING:
    from sim import Scenario

ORIGIN: Final = Origin(request_id="r", user="u", project="p")


@shows(BuildInstances)
async def build_instances(s: Scenario) -> None:
    servers = tuple(NewServer(server=name, name=name) for name in ("one", "two"))
    asked = BuildInstances(servers=servers, flavor=TINY, image=IMAGE, origin=ORIGIN)
    built = await s.call(f"{DEEP}/cell", asked, key="asker:1")
    assert len(set(built.conversations)) == 2
    await s.quiet()
    for each in servers:
        assert s.truth.running(each.server)[0] in {"h1", "h2"}


@shows(ScheduleRunInstance)
async def schedule_run_instance(s: Scenario) -> None:
    order = CreateServer(
        server="one", name="one", flavor=TINY, image=IMAGE, volumes=(), host=None, origin=ORIGIN
    )  # fmt: skip
    await s.call(f"{DEEP}/cell", ScheduleRunInstance(order=order), key="asker:1")
    await s.quiet()
    assert s.truth.running("one")[0] in {"h1", "h2"}
