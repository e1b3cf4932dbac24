"""While the loop runs our own code is refused all real clocks, chance, threads, sockets and processes."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from types import FunctionType
from typing import Any, Final

import anyio
import pytest

from sim.clock import NotSimulated, SimLoop, run
from sim.loop.sealing import SEALED

MODULES: Final = ("time", "uuid", "os", "random", "secrets")
FUNCTIONS: Final = [
    pytest.param(module, name, instead, id=f"{module}.{name}")
    for module, names, instead in SEALED
    for name in names
    if module in MODULES and hasattr(import_module(module), name)
]
REACHING_OUT: Final = [
    pytest.param(lambda: threading.Thread(target=int).start(), "start a task", id="thread"),
    pytest.param(lambda: threading.Timer(0, int).start(), "start a task", id="timer"),
    pytest.param(socket.socket, "use the memory wire", id="socket"),
    pytest.param(lambda: socket.create_connection(("127.0.0.1", 9)), "use the memory wire", id="connection"),
    pytest.param(lambda: socket.create_server(("127.0.0.1", 0)), "use the memory wire", id="server"),
    pytest.param(lambda: socket.getaddrinfo("localhost", 9), "use the memory wire", id="names"),
    pytest.param(lambda: socket.socketpair(socket.AF_UNIX), "use the memory wire", id="pair"),
    pytest.param(lambda: subprocess.Popen([sys.executable, "-V"]), "use the memory driver", id="process"),
    pytest.param(lambda: subprocess.run([sys.executable], check=True), "use the memory driver", id="run"),
    pytest.param(lambda: subprocess.check_output([sys.executable]), "use the memory driver", id="output"),
]


def called_in_simulation(function: Callable[[], Any]) -> Any:
    """Call a function from a task under the loop."""

    async def main() -> Any:
        await anyio.sleep(1)
        return function()

    return run(main)


def as_if_in(module: str, function: Callable[[], Any]) -> Callable[[], Any]:
    """Make a copy of a function that stands in another module."""
    assert isinstance(function, FunctionType)
    return FunctionType(function.__code__, {**function.__globals__, "__name__": module}, closure=function.__closure__)


def read_clock() -> float:
    return float(import_module("time").monotonic())


@pytest.mark.parametrize(("module", "name", "instead"), FUNCTIONS)
def test_clocks_and_chance_are_refused(module: str, name: str, instead: str) -> None:
    """Each function raises in simulation, whatever its arguments, and says what to use instead."""

    def call() -> Any:
        function = getattr(import_module(module), name)
        return function()

    with pytest.raises(NotSimulated, match=f"no {module}.{name}: {instead}"):
        called_in_simulation(call)


@pytest.mark.parametrize(("reach_out", "instead"), REACHING_OUT)
def test_threads_sockets_and_processes_are_refused(reach_out: Callable[[], Any], instead: str) -> None:
    """What would leave the loop raises before it begins."""
    with pytest.raises(NotSimulated, match=instead):
        called_in_simulation(reach_out)


def test_the_list_of_what_is_sealed_is_that_of_the_rule() -> None:
    """No clock and no source of chance that the project bans has been left out."""
    sealed = {f"{module}.{name}" for module, names, _ in SEALED for name in names}
    asked = "time time_ns monotonic monotonic_ns perf_counter perf_counter_ns sleep"
    chance = [name for name in import_module("random").__all__ if name != "Random"]
    secrets = [name for name in import_module("secrets").__all__ if name != "compare_digest"]
    assert {f"time.{name}" for name in asked.split()} <= sealed
    assert {*(f"random.{name}" for name in chance), *(f"secrets.{name}" for name in secrets)} <= sealed
    assert {"uuid.uuid1", "uuid.uuid4", "os.urandom", "threading.Thread.start", "socket.socket.__init__"} <= sealed


@pytest.mark.parametrize("module", ["protocol.journal", "actors.store.sqlite", "sim.world", "tests.sim.any"])
def test_all_our_packages_are_refused(module: str) -> None:
    """The caller's module decides."""
    with pytest.raises(NotSimulated, match=r"no time\.monotonic"):
        called_in_simulation(as_if_in(module, read_clock))


@pytest.mark.parametrize("module", ["library", "logging", "simple.clock", "protocols"])
def test_libraries_may_go_on(module: str) -> None:
    """What they do with a clock does not come back into the run."""
    assert called_in_simulation(as_if_in(module, read_clock)) > 0


def test_logging_works_in_a_simulation(caplog: pytest.LogCaptureFixture) -> None:
    """It stamps each record with a real time."""
    with caplog.at_level(logging.WARNING):
        called_in_simulation(lambda: logging.getLogger("any").warning("seen"))
    assert caplog.messages == ["seen"]


def test_nothing_is_sealed_before_and_after() -> None:
    """Every function and class is the very one it was, also after a run that failed, and between two advances."""
    places = [(import_module(path.partition(".")[0]), path.partition(".")[2], names) for path, names, _ in SEALED]
    owners = [(getattr(module, name) if name else module, names) for module, name, names in places]

    def all_of_them() -> list[Any]:
        return [getattr(owner, name, None) for owner, names in owners for name in names]

    before = all_of_them()
    assert not [each for each in before if hasattr(each, "__wrapped__")]
    with pytest.raises(NotSimulated):
        called_in_simulation(read_clock)
    assert all(one is other for one, other in zip(before, all_of_them(), strict=True))
    loop = SimLoop()
    loop.advance(1)
    assert all(one is other for one, other in zip(before, all_of_them(), strict=True))
    assert read_clock() > 0
    loop.finish()


def test_a_guard_that_somebody_kept_works_as_the_real_thing_afterwards() -> None:
    """A module that is first imported inside a simulation is none the worse for it."""
    kept: Callable[[], float] = called_in_simulation(lambda: import_module("time").monotonic)
    assert kept() > 0


def test_other_threads_keep_their_clocks() -> None:
    """A thread of a library that runs beside the simulation is no part of it."""
    with ThreadPoolExecutor(max_workers=1) as others:
        others.submit(int).result()
        assert called_in_simulation(lambda: others.submit(read_clock).result()) > 0


def test_a_loop_that_has_ended_is_not_held() -> None:
    """A hunt over many seeds does not pile up their loops."""
    loops: list[weakref.ref[SimLoop]] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        loops.append(weakref.ref(loop))
        await anyio.sleep(1)

    run(main)
    gc.collect()
    assert loops[0]() is None
