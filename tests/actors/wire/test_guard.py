"""The transport guard, over coroutines that fail as the client library does."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from socket import gaierror
from typing import Any, cast

import anyio
import pytest
from aio_pika.exceptions import (
    AMQPConnectionError,
    ChannelClosed,
    ChannelInvalidStateError,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
    ConnectionClosed,
    DeliveryError,
    PublishError,
)
from aiormq.abc import AbstractChannel, DeliveredMessage
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from actors.wire.guard import REASON_CHARS_MAX, Refused, Subject, guard
from protocol.errors import CellferryError, Overflow, TransportLost, Unroutable

SUBJECT = Subject(cell="api!eu", broker="127.0.0.1:5672", queue="host:h1", messages_max=7)
RETURN = Basic.Return(reply_code=312, reply_text="NO_ROUTE", exchange="", routing_key="host:h1")
CHANNEL = cast("AbstractChannel", None)  # It is carried along, and never used.
RETURNED = DeliveredMessage(delivery=RETURN, header=ContentHeader(), body=b"", channel=CHANNEL)

pytestmark = pytest.mark.anyio


async def fail(error: BaseException | type[BaseException]) -> None:
    """Fail one step later, as an answer off the network would make us."""
    await anyio.lowlevel.checkpoint()
    raise error


def as_the_library_raises(cause: OSError) -> AMQPConnectionError:
    """Wrap an error of a socket as the library does."""
    error = AMQPConnectionError(*cause.args)
    error.__cause__ = cause
    return error


async def guarded(call: Coroutine[Any, Any, None]) -> None:
    await guard(call, subject=SUBJECT, deadline_s=5.0)


async def test_a_result_passes_through() -> None:
    """What the library returns is returned."""

    async def answer() -> str:
        return "answer"

    assert await guard(answer(), subject=SUBJECT, deadline_s=5.0) == "answer"


@pytest.mark.parametrize(
    ("error", "expected", "text"),
    [
        (PublishError(RETURNED, RETURN), Unroutable, "the queue host:h1 of cell api!eu does not exist"),
        (ChannelNotFoundEntity("no queue"), Unroutable, "the queue host:h1 of cell api!eu does not exist"),
        (DeliveryError(None, Basic.Nack(delivery_tag=1)), Overflow, "the queue host:h1 of cell api!eu is full at 7"),
        (ChannelPreconditionFailed("inequivalent arg"), Refused, "inequivalent arg"),
        (ChannelClosed(404, "gone"), Refused, "gone"),
        (ChannelInvalidStateError("closed"), TransportLost, "ChannelInvalidStateError: closed"),
        (ConnectionClosed(320, "shutdown"), TransportLost, "shutdown"),
        (AMQPConnectionError(), TransportLost, "AMQPConnectionError"),
        (as_the_library_raises(ConnectionRefusedError(111, "Call failed")), TransportLost, "5672: connection refused"),
        (as_the_library_raises(gaierror(-2, "Name not known")), TransportLost, "5672: name not known"),
        (ConnectionResetError("reset by peer"), TransportLost, "reset by peer"),
        (OSError("no route to host"), TransportLost, "no route to host"),
        (TimeoutError(), TransportLost, "no answer"),
        (Exception(), TransportLost, "127.0.0.1:5672: Exception"),
        (asyncio.CancelledError(), TransportLost, "cancelled the call by itself"),
        (asyncio.CancelledError, TransportLost, "cancelled the call by itself"),
    ],
)
async def test_each_failure_of_the_library_becomes_our_own(
    error: BaseException, expected: type[CellferryError], text: str
) -> None:
    """An unroutable frame, a full queue, a refusal and a lost broker are told apart."""
    with pytest.raises(CellferryError) as caught:
        await guarded(fail(error))
    assert type(caught.value) is expected
    assert text in str(caught.value)


async def test_a_mistake_of_ours_is_no_transport_error() -> None:
    """A wrong argument shows as what it is."""
    with pytest.raises(ValueError, match="Invalid value for queue"):
        await guarded(fail(ValueError("Invalid value for queue")))


async def test_a_call_that_never_returns_ends_at_its_deadline() -> None:
    """No call waits longer than it may."""
    started = anyio.current_time()
    with pytest.raises(TransportLost, match="no answer within 5 s"):
        await guarded(anyio.sleep_forever())
    assert anyio.current_time() - started == pytest.approx(5.0)


async def test_a_leaked_cancellation_does_not_end_a_task_in_silence() -> None:
    """A task group hears of it as an error; unguarded, it would take the task for cancelled on purpose."""

    async def with_a_child(child: Coroutine[Any, Any, None]) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: child)

    await with_a_child(fail(asyncio.CancelledError))  # Nobody hears of it.
    with pytest.raises(ExceptionGroup) as caught:
        await with_a_child(guarded(fail(asyncio.CancelledError)))
    assert caught.group_contains(TransportLost)


async def test_a_cancelled_scope_is_obeyed() -> None:
    """A cancellation that was asked for by a scope passes the guard and is swallowed by that scope alone."""
    reached: list[str] = []

    async def call() -> None:
        await guarded(anyio.sleep_forever())
        reached.append("past the guard")

    with anyio.move_on_after(1) as scope:
        await call()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call)
        await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    assert scope.cancelled_caught
    assert reached == []


async def test_a_cancelled_task_is_obeyed() -> None:
    """A native cancellation, as at the end of the loop, passes the guard."""
    errors: list[BaseException] = []

    async def call() -> None:
        try:
            await guarded(anyio.sleep_forever())
        except BaseException as error:
            errors.append(error)
            raise

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call)
        await anyio.lowlevel.checkpoint()
        (task,) = (info for info in anyio.get_running_tasks() if info.name and "call" in info.name)
        next(each for each in asyncio.all_tasks() if id(each) == task.id).cancel()
    assert [type(error) for error in errors] == [asyncio.CancelledError]


async def test_a_call_that_fails_while_it_is_cancelled_is_cancelled() -> None:
    """When both happen at once, the cancellation that was asked for wins over the leaked one."""

    async def call() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise asyncio.CancelledError

    with anyio.move_on_after(1) as scope:
        await guarded(call())
    assert scope.cancelled_caught


async def test_a_reason_is_cut_to_its_limit() -> None:
    """A peer's words are not repeated without end."""
    with pytest.raises(TransportLost) as caught:
        await guarded(fail(OSError("x" * 10_000)))
    assert len(caught.value.reason) < REASON_CHARS_MAX + 50
