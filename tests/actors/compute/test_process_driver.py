"""What only real processes can do to a driver: die, linger, race, and leave their numbers to others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import anyio
import anyio.abc
import pytest

from actors.compute.drivers import domain
from actors.compute.drivers.base import Driver, GuestState, Power
from actors.compute.drivers.domain import Definition, Running
from actors.compute.drivers.home import GUEST_PROGRAM, GuestHome
from actors.compute.drivers.process import ProcessDriver, inspect
from actors.compute.drivers.processes import GuestProcess
from protocol.errors import HypervisorFailed
from tests.guests import (
    IMAGE,
    IMAGE_BYTES,
    SERVER,
    ProcessCloud,
    chunked,
    connection,
    counts,
    found,
    is_off,
    spec,
    until,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend(real_loop: str) -> str:
    return real_loop


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[ProcessCloud]:
    processes = ProcessCloud(tmp_path)
    yield processes
    processes.close()


@pytest.fixture
async def h1(cloud: ProcessCloud) -> ProcessDriver:
    await cloud.images.write(IMAGE, chunked(IMAGE_BYTES))
    return cloud.driver("h1")


def home(cloud: ProcessCloud) -> Path:
    return cloud.home("h1") / SERVER


async def start_by_hand(cloud: ProcessCloud) -> anyio.abc.Process:
    """Start the guest program as a driver does, and do not wait for it."""
    command = [sys.executable, "-I", "-S", str(GUEST_PROGRAM), str(home(cloud))]
    return await anyio.open_process(command, stdin=None, stdout=None, stderr=None)


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def boots(cloud: ProcessCloud) -> int:
    witness = found(cloud, "h1").witness
    return witness.boots_total if witness else 0


def feign(cloud: ProcessCloud, pid: int, *, started: int | None = None, machine_boot: str | None = None) -> None:
    """Write that the guest runs as some process, as the file would say when that process got the guest's number."""
    running = running_as(pid)
    running = replace(running, started=started or running.started, machine_boot=machine_boot or running.machine_boot)
    (home(cloud) / domain.RUNNING).write_bytes(running.encode())


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """Run a process that is no guest, and that is not reaped when it ends."""
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def running_as(pid: int) -> Running:
    """Say what a guest of that number would say of itself."""
    state = domain.process_state(pid)
    assert state is not None
    return Running(pid=pid, started=state[1], machine_boot=domain.machine_boot(), permit=1, revision=1, volumes=())


def is_listed(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


# --- whose process it is ---------------------------------------------------------------------------------------


async def test_a_guest_has_a_session_of_its_own_and_is_no_child_of_its_driver(cloud: ProcessCloud, h1: Driver) -> None:
    """Neither a signal to the driver's group nor the driver's end reaches the guest, and none waits to be reaped."""
    await h1.spawn(spec())
    pid = cloud.running("h1").pid
    assert os.getsid(pid) == pid
    assert parent(pid) != os.getpid()
    await h1.power_off(SERVER)
    assert domain.process_state(pid) is None


async def test_a_guest_survives_the_sudden_end_of_its_driver_s_process(cloud: ProcessCloud, h1: Driver) -> None:
    """A process that spawns a guest and is killed by SIGKILL leaves it running, and another driver stops it."""
    await h1.spawn(spec(is_powered_on=False))
    program = (
        "import anyio, os, pathlib, sys\n"
        "from actors.compute.drivers.process import ProcessDriver\n"
        "from actors.partners.memory import MemoryImages\n"
        "driver = ProcessDriver('h1', pathlib.Path(sys.argv[1]), MemoryImages(), 0.005)\n"
        f"anyio.run(lambda: driver.power_on('{SERVER}', permit=1))\n"
        "os.kill(os.getpid(), 9)\n"
    )
    root = str(Path(__file__).parents[3])
    ended = await anyio.run_process(
        [sys.executable, "-c", program, str(cloud.home("h1"))], cwd=root, check=False, env={**os.environ}
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    await counts(cloud, "h1")
    await h1.power_off(SERVER)
    assert is_off(cloud, "h1")


@pytest.mark.parametrize(("started", "machine_boot"), [(1, None), (None, "another")])
async def test_a_process_that_took_a_guest_s_number_is_not_the_guest(
    cloud: ProcessCloud,
    h1: Driver,
    stranger: subprocess.Popen[bytes],
    started: int | None,
    machine_boot: str | None,
) -> None:
    """A process in the file with another start time or machine boot is no guest, and no call touches it."""
    await h1.spawn(spec(is_powered_on=False))
    feign(cloud, stranger.pid, started=started, machine_boot=machine_boot)
    assert is_off(cloud, "h1")
    await h1.power_off(SERVER, grace_s=0)
    await h1.power_on(SERVER, permit=1)
    await counts(cloud, "h1")
    assert cloud.running("h1").pid != stranger.pid
    await h1.destroy(SERVER)
    assert stranger.poll() is None


async def test_a_process_that_has_ended_and_is_not_reaped_is_off(
    cloud: ProcessCloud, h1: Driver, stranger: subprocess.Popen[bytes]
) -> None:
    """A zombie runs nothing."""
    await h1.spawn(spec(is_powered_on=False))
    feign(cloud, stranger.pid)
    assert found(cloud, "h1").power is Power.RUNNING
    stranger.kill()
    await until(lambda: is_off(cloud, "h1"))
    assert is_listed(stranger.pid)


# --- never twice -----------------------------------------------------------------------------------------------


async def test_starts_that_race_boot_one_guest(cloud: ProcessCloud, h1: Driver) -> None:
    """Of many starts at once, of the program itself and by drivers, one boots."""
    await h1.spawn(spec(is_powered_on=False))
    wanted = replace(_definition(cloud), is_wanted=True)
    (home(cloud) / domain.DEFINITION).write_bytes(wanted.encode())
    programs = [await start_by_hand(cloud) for _ in range(4)]
    async with anyio.create_task_group() as group:
        for _ in range(3):
            driver = cloud.driver("h1")
            group.start_soon(lambda each: each.power_on(SERVER, permit=1), driver)
    assert {await program.wait() for program in programs} <= {domain.BOOTED, domain.LOCKED}
    assert boots(cloud) == 1
    assert found(cloud, "h1").power is Power.RUNNING
    await h1.power_off(SERVER)
    assert is_off(cloud, "h1")


async def test_a_start_that_comes_after_the_stop_boots_nothing(cloud: ProcessCloud, h1: Driver) -> None:
    """The program of a crashed driver's start, let go only now, finds that it is not wanted."""
    await h1.spawn(spec())
    await h1.power_off(SERVER)
    before = found(cloud, "h1").witness
    assert await (await start_by_hand(cloud)).wait() == domain.UNWANTED
    assert (found(cloud, "h1").witness, is_off(cloud, "h1")) == (before, True)


async def test_a_stop_outruns_a_start_on_its_way(cloud: ProcessCloud, h1: Driver) -> None:
    """Whenever in a forgotten start the stop comes, the guest is off when it returns, and stays off."""
    await h1.spawn(spec(is_powered_on=False))
    guest = GuestHome(home(cloud), host="h1")
    phases: tuple[Callable[[int], bool], ...] = (
        lambda _: True,
        lambda _: (home(cloud) / domain.CONSOLE).exists(),  # Just before it takes the lock.
        lambda _: guest.power() is not Power.SHUTDOWN,
        lambda before: boots(cloud) > before,
    )
    for has_come in phases:
        (home(cloud) / domain.CONSOLE).unlink(missing_ok=True)
        guest.define(replace(_definition(cloud), is_wanted=True))
        program = await start_by_hand(cloud)
        await until(partial(has_come, boots(cloud)))
        await h1.power_off(SERVER)
        assert is_off(cloud, "h1")
        await program.wait()
        assert is_off(cloud, "h1")
        await until(guest.is_free)  # A start that finds itself unwanted lets go of the lock only as it ends.


async def test_drivers_of_one_directory_take_turns(cloud: ProcessCloud, h1: Driver) -> None:
    """Two drivers that spawn and destroy at once end in one of the two, whole."""
    other = cloud.driver("h1")
    for _ in range(5):
        async with anyio.create_task_group() as group:
            group.start_soon(h1.spawn, spec())
            group.start_soon(other.destroy, SERVER)
        states = cloud.truth("h1")
        assert [state.power for state in states] in ([], [Power.RUNNING])
        await h1.destroy(SERVER)
    assert list(cloud.home("h1").iterdir()) == []


def _definition(cloud: ProcessCloud) -> Definition:
    definition = Definition.read(home(cloud))
    assert definition is not None
    return definition


# --- accidents -------------------------------------------------------------------------------------------------


async def test_a_half_made_disk_of_a_crashed_spawn_is_made_again(cloud: ProcessCloud, h1: Driver) -> None:
    """What a spawn left when its host died is no disk; the next spawn makes a whole one, and nothing else is left."""
    home(cloud).mkdir()
    (home(cloud) / ".disk.partial").write_bytes(b"half of" * 100_000)
    left = found(cloud, "h1")
    assert (left.is_defined, left.has_disk, left.witness) == (False, False, None)
    await h1.spawn(spec(is_powered_on=False))
    assert b"".join([chunk async for chunk in h1.snapshot(SERVER)]).endswith(IMAGE_BYTES)
    assert not (home(cloud) / ".disk.partial").exists()


async def test_what_a_crashed_spawn_left_is_destroyed(cloud: ProcessCloud, h1: Driver) -> None:
    """The undo of a spawn that died in the middle leaves nothing, not even a lock."""
    home(cloud).mkdir()
    (home(cloud) / ".disk.partial").write_bytes(b"half")
    await h1.destroy(SERVER)
    assert list(cloud.home("h1").iterdir()) == []


async def test_a_guest_held_by_a_stranger_is_paused_and_can_be_stopped(cloud: ProcessCloud, h1: Driver) -> None:
    """A guest stopped by a signal from outside shows as paused, goes on when asked, and powers off."""
    await h1.spawn(spec())
    calls: tuple[Callable[[], Awaitable[None]], ...] = (
        lambda: h1.power_on(SERVER, permit=1),
        lambda: h1.unpause(SERVER),
    )
    for call in calls:
        os.kill(cloud.running("h1").pid, signal.SIGSTOP)
        await until(lambda: found(cloud, "h1").power is Power.PAUSED)
        await call()
        await counts(cloud, "h1")
    os.kill(cloud.running("h1").pid, signal.SIGSTOP)
    await h1.power_off(SERVER)
    assert is_off(cloud, "h1")


async def test_a_guest_without_grace_is_killed(cloud: ProcessCloud, h1: Driver) -> None:
    """Power off without grace ends the guest at once, and no count that was seen is lost."""
    await h1.spawn(spec())
    await counts(cloud, "h1")
    seen = found(cloud, "h1").witness
    await h1.power_off(SERVER, grace_s=0)
    after = found(cloud, "h1")
    assert after.power is Power.SHUTDOWN
    assert seen is not None
    assert after.witness is not None
    assert after.witness.counter >= seen.counter


@pytest.fixture
def stubborn() -> Iterator[subprocess.Popen[bytes]]:
    """Run a process that will not end when it is asked to."""
    with subprocess.Popen(
        ["/bin/sh", "-c", "trap '' TERM; echo ready; read never"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process
        process.kill()


@pytest.mark.proves("R106", "R107")
async def test_a_process_that_ignores_the_request_is_killed(stubborn: subprocess.Popen[bytes]) -> None:
    """When the grace is over, ending is no longer the process's choice."""
    process = GuestProcess.find(running_as(stubborn.pid))
    assert process is not None
    with process:
        assert await process.stop(grace_s=0.05)
    assert stubborn.wait() == -signal.SIGKILL
    assert GuestProcess.find(process.running) is None


async def test_a_guest_ends_when_its_directory_is_taken_away(cloud: ProcessCloud, h1: Driver) -> None:
    """A process that nobody could find any more does not run on."""
    await h1.spawn(spec())
    running = cloud.running("h1")
    _take_away(home(cloud))
    await until(lambda: running.state() is None)


def _take_away(directory: Path) -> None:
    for file in directory.iterdir():
        file.unlink()
    directory.rmdir()


async def test_a_guest_that_cannot_boot_says_why(cloud: ProcessCloud, h1: Driver) -> None:
    """The end of the guest's console is in the error, and the guest is off."""
    await h1.spawn(spec(is_powered_on=False))
    (home(cloud) / domain.DISK).unlink()
    (home(cloud) / domain.DISK).mkdir()
    with pytest.raises(HypervisorFailed, match="IsADirectoryError"):
        await h1.power_on(SERVER, permit=1)
    (home(cloud) / domain.DISK).rmdir()
    assert is_off(cloud, "h1")


async def test_a_reader_never_meets_a_torn_witness(cloud: ProcessCloud, h1: Driver) -> None:
    """The truth, read at any moment while the guest writes, only rises."""
    await cloud.volumes.create("v1", 1 << 20)
    await h1.spawn(spec(volumes=(connection(cloud.volumes, "v1"),)))
    seen: list[GuestState] = []

    def has_counted() -> bool:
        seen.extend(state for _ in range(50) for state in inspect(cloud.home("h1")))
        return len({state.witness for state in seen}) > 10

    await until(has_counted)
    counters = [state.witness.counter for state in seen if state.witness]
    assert len(counters) == len(seen)
    assert counters == sorted(counters)
    assert {len(state.witness.boots) for state in seen if state.witness} == {1}


async def test_a_guest_answers_on_its_console_and_counts_what_is_said(cloud: ProcessCloud, h1: ProcessDriver) -> None:
    """Its own process listens: whoever calls hears how far it has counted; somebody who hangs up is no trouble."""
    await h1.spawn(spec())
    console = await h1.console(SERVER)
    async with await anyio.connect_tcp(console.address, console.port):
        pass
    async with await anyio.connect_tcp(console.address, console.port) as caller:
        await caller.send(b"hello\n")
        said = await caller.receive()
    server, count = said.decode().split()
    assert (server, int(count) > 0) == (SERVER, True)

    def has_counted() -> bool:
        spoken = domain.Spoken.read(home(cloud))
        return spoken is not None and spoken.bytes_out >= len(said)

    await until(has_counted)
    traffic = await h1.traffic(SERVER)
    assert traffic is not None
    assert traffic.bytes_out >= len(said)
    await h1.power_off(SERVER)
    with pytest.raises(OSError):  # noqa: PT011 - whichever way the system says that nobody listens
        await anyio.connect_tcp(console.address, console.port)
