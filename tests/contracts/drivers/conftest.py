"""The contract of hypervisor drivers is run over each of them: guests in memory, and guests that are processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.compute.drivers.base import Driver
from sim.clock import SimLoop
from sim.ports import VirtualClock
from tests.guests import (
    IMAGE,
    IMAGE_BYTES,
    Cloud,
    MemoryCloud,
    ProcessCloud,
    chunked,
)


@pytest.fixture(params=["memory", "process"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def anyio_backend(kind: str) -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": SimLoop} if kind == "memory" else {}


@pytest.fixture
def cloud(kind: str, tmp_path: Path) -> Iterator[Cloud]:
    if kind == "memory":
        yield MemoryCloud(VirtualClock())
        return
    processes = ProcessCloud(tmp_path)
    yield processes
    processes.close()


@pytest.fixture
async def h1(cloud: Cloud) -> Driver:
    await cloud.images.write(IMAGE, chunked(IMAGE_BYTES))
    return cloud.driver("h1")
