"""One order is one trace: from who places it, over conductor and cells, to the hosts; through a takeover, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from actors.kernel.metrics import CALLS, CONVERSATIONS, ENVELOPES_RECEIVED, ENVELOPES_SENT, LINK_UP, STEP_RETRIES, STEPS
from actors.kernel.post import Stamp
from actors.kernel.traces import Stepped
from actors.ops import otel
from actors.ops.otel import Spans, traces
from actors.ops.scopes import TRACE_PARENT, Scopes, trace_of
from protocol.cell_path import Address
from protocol.envelope import Context, Key
from protocol.errors import CellferryError
from protocol.journal import Kind
from protocol.moves.plans import PLANS
from protocol.states import Goal
from tests import clouds
from tests.actors.ops.seen_world import SeenWorld

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

pytestmark = pytest.mark.anyio

PARENT: Final = f"00-{'a' * 32}-{'b' * 16}-01"


def ids(span: ReadableSpan) -> tuple[int, int]:
    """Give the ids of a span's trace and of itself."""
    assert span.context is not None
    return span.context.trace_id, span.context.span_id


def named(spans: tuple[ReadableSpan, ...], name: str) -> list[ReadableSpan]:
    return [span for span in spans if span.name == name]


def about(span: ReadableSpan, name: str) -> Any:
    return (span.attributes or {}).get(f"cellferry.{name}")


async def test_an_order_is_one_connected_trace_from_its_user_to_the_hosts() -> None:
    """Every span but the user's own has its parent in the trace; steps, calls and what actors do are all there."""
    world = SeenWorld()
    async with clouds.cloud(clouds.create(), world=world):
        world.spans()
        await world.client.finish(clouds.resize())
        await world.quiet()
        spans = world.spans()
        (order,) = [span for span in named(spans, "move_server") if span.kind is SpanKind.INTERNAL]
        own = [span for span in spans if ids(span)[0] == ids(order)[0]]
        known = {ids(span)[1] for span in own}
        assert order.parent is None
        assert all(span.parent is not None and span.parent.span_id in known for span in own if span is not order)

        steps = {span.name for span in own if about(span, "step")}
        assert steps == {step.name for step in PLANS[Goal.RESIZE].steps} & steps >= {"take", "stop_guest", "commit"}
        served = {(about(span, "cell"), about(span, "host")) for span in own if span.kind is SpanKind.SERVER}
        assert served >= {("api", None), ("api!eu", None), ("api!us", None), ("api!eu", "h1"), ("api!us", "h4")}
        assert {about(span, "server") for span in own if about(span, "host")} == {clouds.SERVER}
        assert not [span for span in own if span.status.status_code is StatusCode.ERROR]


async def test_no_call_that_is_nobodys_begins_a_trace() -> None:
    """What cells and hosts tell each other by themselves would bury what users asked for."""
    world = SeenWorld()
    async with clouds.cloud(world=world):
        world.spans()
        await world.quiet()
        assert world.spans() == ()
        assert world.meters.value(CALLS, "list_hosts", "answered") > 0


async def test_another_conductor_goes_on_with_the_trace_and_points_at_the_attempt_before() -> None:
    """The journal has each step's trace: of one that a crash cut short, the second try is linked to the first."""
    world = SeenWorld()
    async with clouds.cloud(clouds.create(), world=world):
        world.spans()
        accepted = await world.client.order(clouds.resize())
        world.machines.kill("api/conductor", down_s=1.0)
        progress = await world.client.watch(accepted, seen=0)
        while not progress.is_closed:
            progress = await world.client.watch(accepted, seen=len(progress.news))
        spans = world.spans()
        (order,) = [span for span in named(spans, "move_server") if span.kind is SpanKind.INTERNAL]
        steps = [span for span in spans if about(span, "step")]
        assert {ids(span)[0] for span in steps} == {ids(order)[0]}
        assert len({about(span, "conversation") for span in steps}) == 1
        earlier = {ids(span) for span in steps}
        again = [span for span in steps if span.links]
        assert again, "the step that was cut short was done again"
        for span in again:
            (link,) = span.links
            assert (link.context.trace_id, link.context.span_id) in earlier


async def test_a_refusal_marks_the_spans_on_its_way() -> None:
    """Who looks for what went wrong finds where it did."""
    world = SeenWorld()
    async with clouds.cloud(clouds.create(), world=world):
        world.spans()
        with pytest.raises(CellferryError):
            await world.client.finish(clouds.resize(host="nowhere"))
        marked = [span for span in world.spans() if span.status.status_code is StatusCode.ERROR]
        assert {span.kind for span in marked} >= {SpanKind.SERVER, SpanKind.CLIENT, SpanKind.INTERNAL}


async def test_without_the_sdk_a_trace_that_others_began_passes_through() -> None:
    """From the envelope of an order to those of its steps, and into the journal; with none begun, none is."""
    world = SeenWorld(has_sdk=False)
    async with clouds.cloud(clouds.create(), world=world):
        post = world.ports.post(world.layout.root, "client", slot="traced")
        async with post.open():
            order = clouds.resize()
            context = Context(request_id="req-9", trace_parent=PARENT)
            stamp = Stamp(server=order.server, key=Key.plain("traced", 1), context=context)
            accepted = await post.call(Address(world.layout.root, "conductor"), order, stamp=stamp)
        await world.quiet()
        progress = await world.client.watch(accepted, seen=0)
        intents = [news.entry.payload for news in progress.news if news.entry.kind is Kind.INTENT]
        assert {trace_of(payload.decode()) for payload in intents} == {"a" * 32}
    assert world.spans() == ()


async def test_the_figures_of_a_move_are_those_of_its_plan() -> None:
    """Steps, calls, envelopes and the conversation are counted where they happen, by names that are declared."""
    world = SeenWorld()
    async with clouds.cloud(clouds.create(), clouds.resize(), world=world):
        assert world.meters.value(CONVERSATIONS, "resize", "done") == 1
        assert world.meters.value(STEPS, "seal_source", "execute", "done") == 1
        assert {labels[0] for labels in world.meters.labels(STEPS)} <= {
            step.name for plan in PLANS.values() for step in plan.steps
        }
        assert world.meters.labels(STEP_RETRIES) == set()
        assert world.meters.value(CALLS, "spawn_guest", "answered") == world.meters.value(
            ENVELOPES_RECEIVED, "host", "spawn_guest"
        )
        assert world.meters.value(ENVELOPES_SENT, "conductor", "spawn_guest") == 2
        assert world.meters.value(LINK_UP, "api", "api!eu") == 1


def test_who_asks_for_no_spans_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK is only used when its own variables say where spans go."""
    for name in otel.WISHES:
        monkeypatch.delenv(name, raising=False)
    assert type(traces()) is Scopes
    asked: list[str] = []
    monkeypatch.setattr(otel, "_configure", lambda: asked.append("configured"))
    monkeypatch.setenv(otel.WISHES[0], "none")
    assert (type(traces()), asked) == (Spans, ["configured"])


def test_what_a_step_hands_on_is_a_trace_parent() -> None:
    """As W3C writes it, and whatever else stands in a journal begins a trace of its own."""
    world = SeenWorld()
    spans = Spans(world.provider.get_tracer("test"))
    for former, is_kept in ((PARENT, True), ("no trace", False), ("00-" + "0" * 32 + "-" + "b" * 16 + "-01", False)):
        step = Stepped(
            conversation="c", server="s", goal="resize", step="take", attempt=0, is_undo=False,
            to=Address.parse("api/cell"), former=former,
        )  # fmt: skip
        with spans.stepping(step) as parent:
            assert TRACE_PARENT.fullmatch(parent)
            assert (trace_of(parent) == "a" * 32) == is_kept
    assert not trace.get_current_span().get_span_context().is_valid
