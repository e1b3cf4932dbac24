"""The contract of hypervisor drivers is run over each: guests in memory, simulated ones, and guests as processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.compute.drivers.base import Driver
from actors.compute.drivers.memory import MemoryDriver
from actors.partners.ports import ImageFiles
from sim.chance import Chance
from sim.clock import SimLoop
from sim.edges.hypervisor import SimDriver
from sim.history import History
from sim.injector import Injector
from sim.ports import VirtualClock
from sim.process import Process
from tests.guests import (
    IMAGE,
    IMAGE_BYTES,
    Cloud,
    MemoryCloud,
    ProcessCloud,
    chunked,
)


class SimCloud(MemoryCloud):
    """Hosts in memory whose hypervisors take their time, and know which process calls them."""

    def driver(self, host: str, *, images: ImageFiles | None = None) -> Driver:
        """Give a new process's view of the host's hypervisor."""
        inner = super().driver(host, images=images)
        assert isinstance(inner, MemoryDriver)
        history, chance = History(lambda: 0), Chance(0)
        injector = Injector((), chance=chance, history=history)
        # As slow as they are where nothing counts on time: the guests here are to count little meanwhile.
        driver = SimDriver(inner, f"api/host:{host}", history=history, injector=injector, chance=chance, scale=0.001)
        return driver.for_process(Process(f"api/host:{host}"))


@pytest.fixture(params=["memory", "sim", "process"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def anyio_backend(kind: str) -> tuple[str, dict[str, Any]]:
    return "asyncio", {} if kind == "process" else {"loop_factory": SimLoop}


@pytest.fixture
def cloud(kind: str, tmp_path: Path) -> Iterator[Cloud]:
    if kind != "process":
        yield MemoryCloud(VirtualClock()) if kind == "memory" else SimCloud(VirtualClock())
        return
    processes = ProcessCloud(tmp_path)
    yield processes
    processes.close()


@pytest.fixture
async def h1(cloud: Cloud) -> Driver:
    await cloud.images.write(IMAGE, chunked(IMAGE_BYTES))
    return cloud.driver("h1")
