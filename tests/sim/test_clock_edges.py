"""The edges of virtual time: it says who waits when nothing can go on, and refuses the world outside."""

from __future__ import annotations

import asyncio
import logging
import math
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import pytest

from sim.clock import Deadlock, NotSimulated, SimLoop, run


def loop_running() -> SimLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimLoop)
    return loop


# What cannot go on.


def test_a_deadlock_names_every_waiting_task_and_its_place() -> None:
    """The report has each task's name and the coroutine, file and line in which it waits."""

    async def wait_for(event: anyio.Event) -> None:
        await event.wait()

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(wait_for, anyio.Event(), name="left")
            group.start_soon(wait_for, anyio.Event(), name="right")
            await anyio.sleep(3)

    with pytest.raises(Deadlock) as caught:
        run(main)
    report = str(caught.value)
    line = wait_for.__code__.co_firstlineno + 1
    assert "at 3.000000000 s" in report
    for name in ("left", "right"):
        (wait,) = (each for each in report.splitlines() if each.startswith(f"- {name} waits in "))
        assert f"wait_for ({__file__}:{line})" in wait
        assert "Event.wait (" in wait
    assert f"main ({__file__}:" in report


def test_sleeping_for_ever_alone_is_a_deadlock() -> None:
    """Sleeping for ever is a timer at infinity, to which time must not jump."""
    with pytest.raises(Deadlock, match="sleep_forever"):
        run(anyio.sleep_forever)


@pytest.mark.anyio
async def test_an_exception_in_a_callback_reaches_the_handler() -> None:
    """A handler that was set gets the exception; the loop goes on."""
    loop, seen = loop_running(), list[object]()
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _loop, context: seen.append(context.get("exception")))
    loop.call_soon(math.sqrt, -1)
    await anyio.sleep(1)
    loop.set_exception_handler(before)
    assert [type(error) for error in seen] == [ValueError]


def test_an_exception_in_a_callback_is_logged_when_nobody_handles_it(caplog: pytest.LogCaptureFixture) -> None:
    """The default handler logs it with its traceback."""

    async def main() -> None:
        loop_running().call_soon(math.sqrt, -1)
        await anyio.sleep(1)

    with caplog.at_level(logging.ERROR):
        run(main)
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[0] is ValueError


# The outside world.


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("reach_out", "instead"),
    [
        pytest.param(lambda: asyncio.open_connection("127.0.0.1", 9), "use the memory wire", id="connect"),
        pytest.param(lambda: asyncio.start_server(print, "127.0.0.1"), "use the memory wire", id="listen"),
        pytest.param(lambda: anyio.create_udp_socket(local_host="127.0.0.1"), "use the memory wire", id="datagrams"),
        pytest.param(lambda: anyio.getaddrinfo("localhost", 9), "use the memory wire", id="names"),
        pytest.param(lambda: anyio.wait_readable(0), "use the memory wire", id="descriptors"),
        pytest.param(lambda: anyio.run_process([sys.executable, "-V"]), "use the memory driver", id="process"),
        pytest.param(lambda: anyio.run_process("true"), "use the memory driver", id="shell"),
        pytest.param(lambda: asyncio.to_thread(int), "call it inline", id="executor"),
    ],
)
async def test_the_outside_world_is_refused(reach_out: Callable[[], Any], instead: str) -> None:
    """Sockets, processes and executors raise, and the error names what to do instead."""
    with pytest.raises(NotSimulated, match=instead):
        await reach_out()


@pytest.mark.anyio
async def test_signals_are_refused() -> None:
    """A simulation cannot be steered by signals."""
    with pytest.raises(NotSimulated, match="cancel a scope"), anyio.open_signal_receiver(signal.SIGTERM):
        pass


def intrude(loop: SimLoop) -> list[NotSimulated]:
    """Call into a loop from a thread that is not its own, and return what that thread got for it."""
    refusals: list[NotSimulated] = []

    def call() -> None:
        try:
            loop.call_soon_threadsafe(print)
        except NotSimulated as refusal:
            refusals.append(refusal)

    with ThreadPoolExecutor(max_workers=1) as others:  # As a library would: our own threads are refused at once.
        others.submit(call)
    return refusals


def test_another_thread_is_refused_and_stops_the_loop() -> None:
    """Both sides learn of it: the thread that called, and whoever runs the loop."""
    refusals: list[NotSimulated] = []

    async def main() -> None:
        refusals.extend(intrude(loop_running()))
        await anyio.sleep_forever()

    with pytest.raises(NotSimulated, match="no other threads"):
        run(main)
    assert len(refusals) == 1


def test_a_thread_that_meant_to_wake_the_loop_is_blamed_and_not_a_deadlock() -> None:
    """What the loop reports is the cause; it can go on afterwards."""
    loop = SimLoop()
    assert len(intrude(loop)) == 1
    with pytest.raises(NotSimulated, match="no other threads"):
        loop.run_until_complete(loop.create_future())
    loop.run_until_complete(anyio.sleep(1))
    loop.close()


def test_the_own_thread_may_call_threadsafe() -> None:
    """Libraries that always call threadsafe keep working when no thread is involved."""

    async def main() -> str:
        loop, future = loop_running(), loop_running().create_future()
        loop.call_soon_threadsafe(future.set_result, "done")
        return str(await future)

    assert run(main) == "done"


def test_a_closed_loop_refuses_work_and_closes_again_in_peace() -> None:
    """Closing is final and may be repeated."""
    loop = SimLoop()
    loop.close()
    loop.close()
    assert loop.is_closed()
    with pytest.raises(RuntimeError, match="closed"):
        loop.call_soon(print)


@pytest.mark.anyio
async def test_a_loop_neither_closes_nor_starts_another_while_it_runs() -> None:
    """Two loops cannot share a thread at one time."""
    loop, other = loop_running(), SimLoop()
    assert loop.is_running()
    with pytest.raises(RuntimeError, match="Cannot close"):
        loop.close()
    with pytest.raises(RuntimeError, match="another loop"):
        other.run_until_complete(other.create_future())
    assert not other.is_running()
    with pytest.raises(NotSimulated, match="run_until_complete"):
        loop.stop()
