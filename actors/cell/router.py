"""Passes messages on: to actors of this cell, to neighbours, and for broadcasts to all and back in one list."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING, Final, assert_never

import anyio
import attrs

from actors.kernel.frames import take_apart
from actors.kernel.ports import Queue
from actors.kernel.post import LINK, Post, Stamp
from actors.kernel.workers import Workers
from protocol import routing
from protocol.cell_path import Address
from protocol.envelope import Broadcast, Response, Targeted, passed
from protocol.errors import CellferryError, CellTimeout, Forbidden, Overflow, Unreachable, report
from protocol.errors_wire import encode_error
from protocol.gather import CellAnswer, Gather, decode_answers, encode_answers
from protocol.methods import METHODS, direction_of
from protocol.requests import Form, Way

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.abc import TaskStatus

    from actors.kernel.ports import Delivery, Events, Ids, Wire
    from actors.kernel.workers import Starter
    from protocol.cell_path import CellPath
    from protocol.envelope import Envelope

PREFETCH: Final = 64
#: How many broadcasts are remembered, so that a doubled one runs once.
SEEN_MAX: Final = 4096
#: How many broadcasts may be waited for at a time.
GATHERINGS_MAX: Final = 1024


@attrs.frozen(kw_only=True)
class Neighbours:
    """The cells over one edge."""

    parent: CellPath | None
    children: tuple[CellPath, ...]

    @property
    def all(self) -> tuple[CellPath, ...]:
        """Both kinds."""
        return self.children if self.parent is None else (self.parent, *self.children)


def inbound(neighbour: CellPath, here: CellPath) -> Queue:
    """Name the one queue that `here` keeps for what `neighbour` sends."""
    return Queue(here, f"from:{neighbour}")


def _require_may_travel(envelope: Envelope, via: CellPath) -> None:
    """Refuse what no neighbour has any business to send: what never leaves a cell, or comes in another form."""
    request = METHODS.get(envelope.method)
    if request is None or isinstance(envelope, Response):
        return
    reason = ""
    if request.METHOD.way is Way.NONE:
        reason = "it never leaves its cell"
    elif isinstance(envelope, Broadcast) is not (request.METHOD.form is Form.BROADCAST):
        reason = f"it is {request.METHOD.form}"
    elif isinstance(envelope, Broadcast) and direction_of(envelope.method) not in {None, envelope.direction}:
        reason = f"it only goes {request.METHOD.way}"
    if reason:
        raise Forbidden(sender=str(via), method=envelope.method, reason=reason)


@attrs.define
class _Gathering:
    """A broadcast call whose answers are being collected here."""

    gather: Gather
    changed: anyio.Event = attrs.field(factory=anyio.Event)

    def update(self, gather: Gather) -> bool:
        self.gather = gather
        self.changed.set()
        return gather.accepted


class _RouterPost(Post):
    """The router's own post: answers to broadcasts go to their gatherings, of which each takes several."""

    def __init__(self, *, me: Address, replies: str, wire: Wire, ids: Ids, events: Events) -> None:
        super().__init__(me=me, replies=replies, wire=wire, ids=ids, events=events)
        self.gatherings: dict[bytes, _Gathering] = {}

    def take(self, response: Response) -> bool:
        gathering = self.gatherings.get(response.answers)
        if gathering is None:
            return super().take(response)
        neighbour = response.source.cell
        if response.is_error:
            return gathering.update(gathering.gather.fail(neighbour, response.body))
        try:
            answers = decode_answers(response.body)
        except CellferryError as error:
            body = encode_error(report(error, cell=str(self.me.cell)))
            return gathering.update(gathering.gather.fail(neighbour, body))
        return gathering.update(gathering.gather.arrive(neighbour, answers))


class Router:
    """The link role of one cell: what enters and leaves it passes here."""

    def __init__(
        self, *, here: CellPath, neighbours: Neighbours, slot: str, wire: Wire, ids: Ids, events: Events
    ) -> None:  # fmt: skip
        self.here = here
        self.neighbours = neighbours
        self._events = events
        self._post = _RouterPost(
            me=Address(here, LINK), replies=f"replies:{LINK}:{slot}", wire=wire, ids=ids, events=events
        )
        self._seen: dict[bytes, None] = {}

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Route until cancelled."""
        wire = self._post.wire
        queues = {Queue(self.here, LINK): None, **{inbound(cell, self.here): cell for cell in self.neighbours.all}}
        for queue in queues:
            await wire.declare(queue)
        async with self._post.open(), anyio.create_task_group() as tasks, contextlib.AsyncExitStack() as consumers:
            workers = Workers(tasks)
            for queue, via in queues.items():
                receive = partial(self._receive, workers, via)
                await consumers.enter_async_context(wire.consume(queue, receive, prefetch=PREFETCH))
            task_status.started()
            await anyio.sleep_forever()

    def _receive(self, tasks: Starter, via: CellPath | None, delivery: Delivery) -> None:
        envelopes, failure = take_apart(delivery.frame, partial(self._admitted, via=via))
        settle = partial(self._post.settle, delivery, f"{self.here} from {via}", failure)
        gathers = [envelope for envelope in envelopes if isinstance(envelope, Broadcast) and envelope.call]
        for envelope in gathers:
            # Not part of its frame: it lasts as long as the slowest cell, and would hold back what comes behind it.
            tasks.start_soon(self._pass, envelope, name=f"gather {self.here}")
        others = [envelope for envelope in envelopes if not (isinstance(envelope, Broadcast) and envelope.call)]
        if others:
            tasks.start_soon(self._pass_all, others, settle, name=f"router {self.here}")
        else:
            settle()

    def _admitted(self, envelope: Envelope, *, via: CellPath | None) -> Envelope:
        direction = envelope.direction if isinstance(envelope, Broadcast) else None
        if isinstance(envelope, Targeted):
            direction = direction_of(envelope.method)
        if via is not None:
            _require_may_travel(envelope, via)
        error = routing.admit(
            here=self.here, via=via, route=envelope.route, direction=direction, method=envelope.method
        )
        if error is not None:
            raise error
        return envelope if via is None else passed(envelope, self.here)

    async def _pass_all(self, envelopes: list[Envelope], settle: Callable[[], None]) -> None:
        # Side by side, so that one destination that is away does not hold up the others; settled when the next
        # queue of each has taken it.
        if len(envelopes) == 1:
            await self._pass(envelopes[0])
        else:
            async with anyio.create_task_group() as tasks:
                for envelope in envelopes:
                    tasks.start_soon(self._pass, envelope)
        settle()

    async def _pass(self, envelope: Envelope) -> None:
        try:
            match envelope:
                case Broadcast():
                    await self._broadcast(envelope)
                case Targeted() | Response():
                    await self._route(envelope)
                case _:
                    assert_never(envelope)
        except CellferryError as error:
            await self._refuse(envelope, error)

    async def _route(self, envelope: Targeted | Response) -> None:
        decision = routing.route(
            here=self.here, target=envelope.target.cell, route=envelope.route, hops_max=envelope.hops_max,
            neighbours=self.neighbours.all,
        )  # fmt: skip
        match decision:
            case routing.Deliver():
                await self._post.put(Queue(self.here, envelope.target.mailbox), envelope)
            case routing.Forward(to=neighbour):
                await self._post.put(inbound(self.here, neighbour), envelope)
            case routing.Refuse(error=error):
                await self._refuse(envelope, error)
            case _:
                assert_never(decision)

    async def _refuse(self, envelope: Envelope, error: CellferryError) -> None:
        self._events.emit("message_refused", at=str(self.here), method=envelope.method, error=str(error))
        if isinstance(envelope, Targeted | Broadcast):
            await self._post.refuse(envelope, report(error, cell=str(self.here)))

    # --- broadcasts ------------------------------------------------------------------------------------------

    async def _broadcast(self, envelope: Broadcast) -> None:
        if envelope.call and len(self._post.gatherings) >= GATHERINGS_MAX:
            raise Overflow(what=f"the table of broadcasts of {self.here}", limit=GATHERINGS_MAX)
        if envelope.id in self._seen:
            self._events.emit("broadcast_doubled", at=str(self.here), method=envelope.method)
            return
        self._seen[envelope.id] = None
        if len(self._seen) > SEEN_MAX:
            del self._seen[next(iter(self._seen))]
        hops = routing.next_hops(
            here=self.here, direction=envelope.direction, route=envelope.route, hops_max=envelope.hops_max,
            parent=self.neighbours.parent, children=self.neighbours.children,
        )  # fmt: skip
        is_own = envelope.include_self or len(envelope.route) > 1
        if envelope.call:
            await self._gather(envelope, hops, is_own=is_own)
        else:
            await self._spread(envelope, hops, is_own=is_own)

    async def _spread(self, envelope: Broadcast, hops: tuple[CellPath, ...], *, is_own: bool) -> None:
        async with anyio.create_task_group() as tasks:
            for hop in hops:
                tasks.start_soon(self._send_on, envelope, hop)
            if is_own:
                cast = attrs.evolve(self._local(envelope, envelope.budget_s), call=False, reply_to="")
                tasks.start_soon(self._post.send, cast)

    async def _send_on(self, envelope: Broadcast, hop: CellPath) -> None:
        try:
            await self._post.put(inbound(self.here, hop), envelope)
        except CellferryError as error:
            self._events.emit("message_refused", at=str(self.here), method=envelope.method, error=str(error))

    async def _gather(self, envelope: Broadcast, hops: tuple[CellPath, ...], *, is_own: bool) -> None:
        gathering = _Gathering(Gather.begin(hops, own=is_own, here=self.here))
        self._post.gatherings[envelope.id] = gathering
        budget_s = routing.inner_budget(envelope.budget_s)
        onward = attrs.evolve(envelope, reply_to=self._post.replies.name, budget_s=routing.inner_budget(budget_s))
        try:
            async with anyio.create_task_group() as tasks:
                for hop in hops:
                    tasks.start_soon(self._ask_neighbour, gathering, onward, hop)
                if is_own:
                    tasks.start_soon(self._ask_here, gathering, onward)
                with anyio.move_on_after(budget_s):
                    while not gathering.gather.is_complete:
                        await gathering.changed.wait()
                        gathering.changed = anyio.Event()
                tasks.cancel_scope.cancel()
        finally:
            del self._post.gatherings[envelope.id]
        merged = gathering.gather.overdue(budget_s).merged()
        await self._post.answer(envelope, encode_answers(merged), is_error=False)

    async def _ask_neighbour(self, gathering: _Gathering, envelope: Broadcast, hop: CellPath) -> None:
        try:
            await self._post.put(inbound(self.here, hop), envelope)
        except CellferryError as error:
            reason = Unreachable(cell=str(hop), reason=str(error))
            gathering.update(gathering.gather.fail(hop, encode_error(report(reason, cell=str(self.here)))))

    async def _ask_here(self, gathering: _Gathering, envelope: Broadcast) -> None:
        try:
            response = await self._post.ask(self._local(envelope, envelope.budget_s))
            mine = CellAnswer(cell=self.here, body=response.body, is_error=response.is_error)
        except CellferryError:
            late = CellTimeout(cell=str(self.here), waited_s=envelope.budget_s)
            mine = CellAnswer(cell=self.here, body=encode_error(report(late, cell=str(self.here))), is_error=True)
        gathering.update(gathering.gather.own(mine))

    def _local(self, envelope: Broadcast, budget_s: float) -> Targeted:
        stamp = Stamp(server=envelope.server, key=envelope.key, epoch=envelope.epoch, context=envelope.context)
        to = Address(self.here, "cell")
        return self._post.targeted(to, envelope.method, envelope.body, stamp=stamp, budget_s=budget_s)
