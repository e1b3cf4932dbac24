"""The transport guard: every call of aio-pika goes through it, and ends in a result or in one of our own errors."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Awaitable
from typing import Final, TypeVar

import anyio
import attrs
from aio_pika.exceptions import (
    CONNECTION_EXCEPTIONS,
    AMQPError,
    ChannelClosed,
    ChannelNotFoundEntity,
    DeliveryError,
    PublishError,
)

from protocol.errors import Overflow, TransportLost, Unroutable

T = TypeVar("T")

REASON_CHARS_MAX: Final = 512


class Refused(TransportLost):
    """The broker refused the call itself and closed its channel; the connection is well."""


@attrs.frozen(kw_only=True)
class Subject:
    """What a call is about, for the error that it may end in."""

    cell: str
    broker: str
    queue: str = ""
    messages_max: int = 0

    def lost(self, reason: str) -> TransportLost:
        """Say that the broker was lost; `reason` never holds a password."""
        return TransportLost(cell=self.cell, reason=f"{self.broker}: {reason[:REASON_CHARS_MAX]}")

    def refused(self, reason: str) -> Refused:
        """Say that the broker will not do it."""
        return Refused(cell=self.cell, reason=f"{self.broker}: {reason[:REASON_CHARS_MAX]}")

    def unroutable(self) -> Unroutable:
        """Say that the queue does not exist."""
        return Unroutable(cell=self.cell, queue=self.queue)

    def overflow(self) -> Overflow:
        """Say that the queue is full."""
        return Overflow(what=f"the queue {self.queue} of cell {self.cell}", limit=self.messages_max)


async def guard(call: Awaitable[T], *, subject: Subject, deadline_s: float) -> T:
    """Await a call of aio-pika for `deadline_s` at most, and translate how it fails.

    aio-pika leaks `CancelledError` when a connection is lost.  Nobody asked for that cancellation, yet a task group
    takes it for one, and the actor ends in silence.  Here it becomes `TransportLost`; a real one passes through.
    """
    try:
        with anyio.fail_after(deadline_s):
            return await call
    except asyncio.CancelledError:
        if _is_cancellation_requested():
            raise
        raise subject.lost("the client library cancelled the call by itself") from None
    except TimeoutError:
        raise subject.lost(f"no answer within {deadline_s:g} s") from None
    except Exception as error:
        _translate(error, subject)
        raise


def _is_cancellation_requested() -> bool:
    task = asyncio.current_task()
    return (task is not None and task.cancelling() > 0) or anyio.current_effective_deadline() == -math.inf


def _translate(error: Exception, subject: Subject) -> None:
    match error:
        case PublishError() | ChannelNotFoundEntity():
            raise subject.unroutable() from error
        case DeliveryError():  # The broker answered with a nack: `reject-publish` does that.
            raise subject.overflow() from error
        case ChannelClosed():
            raise subject.refused(_describe(error)) from error
        case _ if isinstance(error, CONNECTION_EXCEPTIONS) or type(error) is Exception:
            # aiormq fails what is pending with a bare `Exception` when a connection ends without a reason.
            raise subject.lost(_describe(error)) from error
        case _:
            return


def _describe(error: Exception) -> str:
    cause = error.__cause__
    if isinstance(cause, OSError) and not isinstance(cause, AMQPError) and cause.errno is not None:
        # In words: the client library gives no more of it than numbers.
        text = os.strerror(cause.errno) if cause.errno > 0 else cause.strerror or ""
        return text[:1].lower() + text[1:]
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
