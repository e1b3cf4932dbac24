"""What each task of a process is doing just now: for the log's lines, and handed on with every message.

Without OpenTelemetry's SDK a trace that somebody else has begun still passes through: messages carry it on.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

import attrs

from actors.kernel.traces import NoTraces, Stepped
from protocol.cell_path import host_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from protocol.cell_path import Address
    from protocol.envelope import Context, Header

#: W3C Trace Context, version 00: trace, parent, flags.
TRACE_PARENT: Final = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")


@attrs.frozen
class Handled:
    """A message that is being carried out."""

    envelope: Header
    by: Address


_DOING: ContextVar[Handled | Stepped | None] = ContextVar("doing", default=None)


class Scopes(NoTraces):
    """Traces that only know what is being done."""

    def carried(self, context: Context) -> Context:
        """Give it the request and the trace of the message that is being carried out."""
        parent = _trace_parent()
        return self.with_parent(context, parent) if parent or _request() else context

    def with_parent(self, context: Context, trace_parent: str) -> Context:
        """Complete a context; what it says already it goes on saying."""
        if context.trace_parent and context.request_id:
            return context
        parent = context.trace_parent or trace_parent
        return attrs.evolve(context, request_id=context.request_id or _request(), trace_parent=parent)

    @contextmanager
    def handling(self, envelope: Header, by: Address) -> Iterator[None]:
        """Know of it, while it lasts."""
        token = _DOING.set(Handled(envelope, by))
        try:
            yield
        finally:
            _DOING.reset(token)

    @contextmanager
    def stepping(self, stepped: Stepped) -> Iterator[str]:
        """Know of it, while it lasts."""
        parent = _trace_parent() or stepped.former
        token = _DOING.set(attrs.evolve(stepped, former=parent))
        try:
            yield parent
        finally:
            _DOING.reset(token)


def doing() -> dict[str, str]:
    """Tell what this task is doing, as far as that is known: the context of a log's line."""
    found: dict[str, str] = {}
    match _DOING.get():
        case Handled(envelope=envelope, by=by):
            key = envelope.key
            found = {
                "request": envelope.context.request_id, "trace": trace_of(envelope.context.trace_parent),
                "cell": str(by.cell), "host": host_of(by) or "", "server": envelope.server,
                "conversation": key.scope if key is not None and not key.is_plain else "",
            }  # fmt: skip
        case Stepped() as step:
            found = {
                "trace": trace_of(step.former), "cell": str(step.to.cell), "host": host_of(step.to) or "",
                "server": step.server, "conversation": step.conversation,
            }  # fmt: skip
        case None:
            pass
    return {name: value for name, value in found.items() if value}


def trace_of(trace_parent: str) -> str:
    """Give the id of a trace; empty for what is no trace parent."""
    match = TRACE_PARENT.fullmatch(trace_parent)
    return match[1] if match else ""


def _trace_parent() -> str:
    match _DOING.get():
        case Handled(envelope=envelope):
            return envelope.context.trace_parent
        case Stepped(former=former):
            return former
        case None:
            return ""


def _request() -> str:
    now = _DOING.get()
    return now.envelope.context.request_id if isinstance(now, Handled) else ""
