"""Spans by OpenTelemetry, where its SDK is installed and told where to send them: one a call, one a step.

The SDK is an extra (`cellferry[otel]`), and its own variables (`OTEL_...`) say everything; without it, and without
them, nothing here is used and a trace that others began only passes through.
"""

from __future__ import annotations

import importlib.util
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace
from opentelemetry.context import Context as OtelContext
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from actors.ops.scopes import TRACE_PARENT, Scopes
from protocol.cell_path import host_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.trace import Tracer

    from actors.kernel.traces import Stepped
    from protocol.cell_path import Address
    from protocol.envelope import Context, Header

NAME: Final = "cellferry"
#: Any of these says where spans go.
WISHES: Final = ("OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
CONFIGURATOR: Final = "opentelemetry.sdk._configuration"


class Spans(Scopes):
    """Traces whose spans go to a tracer, on top of knowing what is being done."""

    def __init__(self, tracer: Tracer) -> None:
        """Give spans to the tracer."""
        self._tracer = tracer

    def carried(self, context: Context) -> Context:
        """Give it the span that is open, which is part of the trace that the message brought."""
        parent = _text_of(trace.get_current_span().get_span_context())
        return super().carried(context) if not parent else self.with_parent(context, parent)

    @contextmanager
    def opening(self, name: str) -> Iterator[None]:
        """Open a span of its own; what it calls is part of it."""
        with self._tracer.start_as_current_span(name, kind=SpanKind.INTERNAL):
            yield

    @contextmanager
    def calling(self, method: str, to: object) -> Iterator[None]:
        """Open a span, within the one that is open."""
        if not trace.get_current_span().get_span_context().is_valid:
            yield
            return
        about = {"rpc.system": NAME, "rpc.method": method, "cellferry.to": str(to)}
        with self._tracer.start_as_current_span(f"call {method}", kind=SpanKind.CLIENT, attributes=about):
            yield

    @contextmanager
    def handling(self, envelope: Header, by: Address) -> Iterator[None]:
        """Open a span, within the one that the message names; a message of no trace has none."""
        parent = _context_of(envelope.context.trace_parent)
        with super().handling(envelope, by):
            if parent is None:
                # Whatever was open where this task was made is not what it works for.
                with trace.use_span(trace.INVALID_SPAN):
                    yield
                return
            about = {"rpc.system": NAME, "rpc.method": envelope.method, **_place(by), **_server(envelope.server)}
            within = trace.set_span_in_context(NonRecordingSpan(parent), OtelContext())
            with self._tracer.start_as_current_span(
                envelope.method, context=within, kind=SpanKind.SERVER, attributes=about
            ):
                yield

    @contextmanager
    def stepping(self, stepped: Stepped) -> Iterator[str]:
        """Open a span in the order's trace, linked to the last attempt at the same step."""
        current = trace.get_current_span().get_span_context()
        former, same = _context_of(stepped.former), _context_of(stepped.same)
        # After a takeover nothing is open here: the journal says whose trace it is.
        parent = current if current.is_valid or former is None else former
        within = trace.set_span_in_context(NonRecordingSpan(parent), OtelContext())
        way = "undo" if stepped.is_undo else "execute"
        about: dict[str, Any] = {
            "cellferry.conversation": stepped.conversation, "cellferry.goal": stepped.goal,
            "cellferry.step": stepped.step, "cellferry.way": way, "cellferry.attempt": stepped.attempt,
            **_place(stepped.to), **_server(stepped.server),
        }  # fmt: skip
        name = f"undo {stepped.step}" if stepped.is_undo else stepped.step
        links = [] if same is None else [Link(same)]
        with (
            self._tracer.start_as_current_span(name, context=within, attributes=about, links=links) as span,
            super().stepping(stepped),
        ):
            yield _text_of(span.get_span_context())

    def failed(self, why: str) -> None:
        """Mark the span that is open."""
        trace.get_current_span().set_status(Status(StatusCode.ERROR, why))


def traces() -> Scopes:
    """Give what this process notes: spans, when the SDK is there and its variables say where they go."""
    if not any(os.environ.get(name) for name in WISHES) or importlib.util.find_spec("opentelemetry.sdk") is None:
        return Scopes()
    _configure()
    return Spans(trace.get_tracer(NAME))


def _configure() -> None:
    """Have the SDK read its own variables, as `opentelemetry-instrument` has it do."""
    os.environ.setdefault("OTEL_SERVICE_NAME", NAME)
    importlib.import_module(CONFIGURATOR)._OTelSDKConfigurator().configure()  # noqa: SLF001 - what its own command calls


def _context_of(text: str) -> SpanContext | None:
    match = TRACE_PARENT.fullmatch(text)
    if match is None:
        return None
    flags = TraceFlags(int(match[3], 16))
    return SpanContext(trace_id=int(match[1], 16), span_id=int(match[2], 16), is_remote=True, trace_flags=flags)


def _text_of(context: SpanContext) -> str:
    if not context.is_valid:
        return ""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def _place(by: Address) -> dict[str, str]:
    host = host_of(by)
    return {"cellferry.cell": str(by.cell), **({} if host is None else {"cellferry.host": host})}


def _server(server: str) -> dict[str, str]:
    return {"cellferry.server": server} if server else {}
