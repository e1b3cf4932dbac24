"""Passes messages on: to actors of this cell, to neighbours, and for broadcasts to all and back in one list."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING, Final, assert_never

import anyio
import attrs

from actors.cell.gate import UNGUARDED, Gate, Guard
from actors.cell.gathering import Gathering, RouterPost
from actors.cell.links import Links
from actors.kernel.frames import take_apart
from actors.kernel.leaving import Busy, Leaving
from actors.kernel.metrics import ENVELOPES_RECEIVED, ENVELOPES_REFUSED, LINK_UP, known_method, watched
from actors.kernel.periodic import every
from actors.kernel.ports import Queue
from actors.kernel.post import Stamp
from actors.kernel.workers import Workers
from protocol import routing
from protocol.authority import LINK
from protocol.bodies import encode_body
from protocol.cell_path import Address, replies_of
from protocol.envelope import Broadcast, Response, Targeted, answer_address
from protocol.errors import (
    CellferryError,
    CellTimeout,
    Overflow,
    RouteInconsistent,
    TooManyHops,
    UnknownCell,
    UnknownMethod,
    Unreachable,
    report,
)
from protocol.errors_wire import encode_error
from protocol.gather import CellAnswer, Gather, encode_answers
from protocol.messages.tree import LinksSeen, ListNeighbours, ShowLinks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from anyio.abc import TaskStatus

    from actors.kernel.ports import Delivery, Events, Ids, Wire
    from actors.kernel.workers import Starter
    from protocol.cell_path import CellPath
    from protocol.envelope import Envelope

PREFETCH: Final = 64
#: How many broadcasts are remembered, so that a doubled one runs once.
SEEN_MAX: Final = 4096
#: How many answers are kept for another replica of the neighbour, to which a doubled broadcast came.
OVER_MAX: Final = 32
#: What no other cell could make of an envelope either: without an asker to be told, it is a dead letter.
NO_WAY: Final = (RouteInconsistent, TooManyHops, UnknownCell)
#: How many broadcasts may be waited for at a time.
GATHERINGS_MAX: Final = 1024
#: How long the cell's own actor may take to name its neighbours.
LOOK_BUDGET_S: Final = 5.0


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


class Router:
    """The link role of one cell: what enters and leaves it passes here."""

    #: The methods that are for the link itself; all else is for somebody to whom it passes it.
    ANSWERS: Final = frozenset({ShowLinks.METHOD.name})

    def __init__(
        self, *, here: CellPath, neighbours: Neighbours, slot: str, wire: Wire, ids: Ids, events: Events,
        look_s: float = 0.0, guard: Guard = UNGUARDED,
    ) -> None:  # fmt: skip
        """Begin with these neighbours; every `look_s` the cell is asked which there are, and never when that is 0."""
        self.here = here
        self.neighbours = neighbours
        self._look_s = look_s
        self._changed = anyio.Event()
        self._events = events
        self._post = RouterPost(
            me=Address(here, LINK), replies=replies_of(LINK, slot), wire=wire, ids=ids, events=events
        )
        self._gate = Gate(here, guard)
        self._links = Links(here, wire=wire, events=events)
        self._seen: dict[bytes, None] = {}
        self._over: dict[bytes, Gathering] = {}
        self._leaving = Leaving()
        self._passing, self._gathering = Busy(), Busy()

    def tune(self, *, guard: Guard) -> None:
        """Ask that of neighbours from now on."""
        self._gate.tune(guard)

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Route until cancelled, or asked to leave."""
        self._passing, self._gathering = Busy(), Busy()
        served = self.neighbours
        queues = await self._declare(served)
        async with self._post.open(), anyio.create_task_group() as tasks:
            workers = Workers(tasks)
            if self._look_s:
                tasks.start_soon(self._look)
                tasks.start_soon(self._hear_of_leaving)
            while not self._leaving.is_asked:
                async with self._taking_from(queues, workers):
                    task_status.started()
                    task_status = anyio.TASK_STATUS_IGNORED
                    await self._until_changed(served)
                # What was taken and is not settled comes again: after a change, as after a crash.
                if self.neighbours is not served:
                    served = self.neighbours
                    gone, queues = queues, await self._declare(served)
                    for queue in gone.keys() - queues.keys():
                        await self._post.wire.purge(queue)
            await self._gathering.over()  # Others take what comes meanwhile: a gather may last.
            tasks.cancel_scope.cancel()
        self._leaving.done()

    async def _until_changed(self, served: Neighbours) -> None:
        """Wait until there are other neighbours, or what was taken is passed on because it leaves."""
        while self.neighbours is served and not self._leaving.is_asked:
            await (self._changed.wait() if self._look_s else self._leaving.asked())
        if self._leaving.is_asked:
            await self._passing.over()

    async def leave(self) -> None:
        """Take nothing more, pass on what was taken and answer what is gathered; then `run` returns."""
        await self._leaving.leave()

    async def _hear_of_leaving(self) -> None:
        await self._leaving.asked()
        self._changed.set()

    async def _declare(self, neighbours: Neighbours) -> dict[Queue, CellPath | None]:
        """Make the queues exist that are read here, and tell by which neighbour each is written."""
        # A parent is heard even by a cell that it has let go: how else could it take the cell back?
        above = () if self.here.parent is None else (self.here.parent,)
        heard = dict.fromkeys((*neighbours.all, *above))
        queues = {Queue(self.here, LINK): None, **{inbound(cell, self.here): cell for cell in heard}}
        for queue in queues:
            await self._post.wire.declare(queue)
        return queues

    @contextlib.asynccontextmanager
    async def _taking_from(self, queues: dict[Queue, CellPath | None], workers: Workers) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as consumers:
            reading = watched(self._events.meters, LINK_UP, lambda: self._links.readings(self.neighbours.all))
            consumers.enter_context(reading)
            for queue, via in queues.items():
                receive = partial(self._receive, workers, via)
                await consumers.enter_async_context(self._post.wire.consume(queue, receive, prefetch=PREFETCH))
            yield

    async def _look(self) -> None:
        """Ask the cell now and then which neighbours there are."""
        await every(
            self._look_s, self._read_neighbours, events=self._events, waits="neighbours_not_read", cell=str(self.here)
        )

    async def _read_neighbours(self) -> None:
        found = await self._post.call(Address(self.here, "cell"), ListNeighbours(), budget_s=LOOK_BUDGET_S)
        neighbours = Neighbours(parent=found.parent, children=found.children)
        if neighbours != self.neighbours:
            self._change(neighbours)

    def _change(self, neighbours: Neighbours) -> None:
        for cell in neighbours.all:
            if cell not in self.neighbours.all:
                self._events.emit("neighbour_added", cell=str(self.here), neighbour=str(cell))
        for cell in self.neighbours.all:
            if cell not in neighbours.all:
                self._events.emit("neighbour_removed", cell=str(self.here), neighbour=str(cell))
        self.neighbours = neighbours
        self._changed.set()
        self._changed = anyio.Event()

    def _receive(self, tasks: Starter, via: CellPath | None, delivery: Delivery) -> None:
        if self._leaving.is_asked:
            return  # Not settled, so that another replica gets it when this one is gone.
        queue = f"{self.here} from {via}"
        if (forged := self._gate.check_sender(via, delivery.sender)) is not None:
            self._post.settle(delivery, queue, forged)
            return
        envelopes, failure = take_apart(delivery.frame, partial(self._gate.admit, via=via))
        for envelope in envelopes:
            self._events.meters.add(ENVELOPES_RECEIVED, LINK, known_method(envelope.method))
        settle = partial(self._settle, delivery, queue, failure)
        gathers = [envelope for envelope in envelopes if isinstance(envelope, Broadcast) and envelope.call]
        for envelope in gathers:
            # Not part of its frame: it lasts as long as the slowest cell, and would hold back what comes behind it.
            self._gathering.begin()
            tasks.start_soon(self._pass_gather, envelope, name=f"gather {self.here}")
        others = [envelope for envelope in envelopes if not (isinstance(envelope, Broadcast) and envelope.call)]
        if others:
            self._passing.begin()
            tasks.start_soon(self._pass_all, others, settle, name=f"router {self.here}")
        else:
            settle([])

    def _settle(
        self, delivery: Delivery, queue: str, failure: CellferryError | None, later: list[CellferryError]
    ) -> None:
        self._post.settle(delivery, queue, failure or next(iter(later), None))

    async def _pass_all(self, envelopes: list[Envelope], settle: Callable[[list[CellferryError]], None]) -> None:
        # Side by side, so that one destination that is away does not hold up the others; settled when the next
        # queue of each has taken it.
        dead: list[CellferryError] = []
        with self._passing.doing():
            if len(envelopes) == 1:
                await self._pass(envelopes[0], dead)
            else:
                async with anyio.create_task_group() as tasks:
                    for envelope in envelopes:
                        tasks.start_soon(self._pass, envelope, dead)
            settle(dead)

    async def _pass_gather(self, envelope: Broadcast) -> None:
        with self._gathering.doing():
            await self._pass(envelope, [])

    async def _pass(self, envelope: Envelope, dead: list[CellferryError]) -> None:
        """Pass it on; what can go nowhere, and has nobody to be told, is `dead`."""
        try:
            match envelope:
                case Broadcast():
                    await self._broadcast(envelope)
                case Targeted() | Response():
                    await self._route(envelope)
                case _:
                    assert_never(envelope)
        except CellferryError as error:
            if isinstance(error, NO_WAY) and not envelope.call:
                dead.append(error)
            self._gate.forget(envelope)
            await self._refuse(envelope, error)

    async def _route(self, envelope: Targeted | Response) -> None:
        decision = routing.route(
            here=self.here, target=envelope.target.cell, route=envelope.route, hops_max=envelope.hops_max,
            neighbours=self.neighbours.all,
        )  # fmt: skip
        match decision:
            case routing.Deliver():
                if envelope.target.mailbox == LINK:  # It would come back here for ever.
                    await self._answer_itself(envelope)
                else:
                    await self._post.put(Queue(self.here, envelope.target.mailbox), envelope)
            case routing.Forward(to=neighbour):
                await self._forward(envelope, neighbour)
            case routing.Refuse(error=error):
                raise error
            case _:
                assert_never(decision)

    async def _answer_itself(self, envelope: Targeted | Response) -> None:
        """Answer what the link itself is asked: how its edges stand."""
        if envelope.method not in self.ANSWERS or not isinstance(envelope, Targeted):
            raise UnknownMethod(method=envelope.method, actor=str(envelope.target))
        seen = self._links.look(self.neighbours.all)
        await self._post.answer(envelope, encode_body(LinksSeen(links=seen)), is_error=False)

    async def _forward(self, envelope: Envelope, neighbour: CellPath) -> None:
        try:
            await self._post.put(inbound(self.here, neighbour), envelope)
        except CellferryError as error:
            if not error.is_retryable:
                raise
            self._links.failed(neighbour, error)
            raise Unreachable(cell=str(neighbour), reason=str(error)) from error
        self._links.passed(neighbour)

    async def _refuse(self, envelope: Envelope, error: CellferryError) -> None:
        self._note_refusal(envelope, error)
        if isinstance(envelope, Targeted | Broadcast):
            await self._post.refuse(envelope, report(error, cell=str(self.here)))

    def _note_refusal(self, envelope: Envelope, error: CellferryError) -> None:
        self._events.emit("message_refused", cell=str(self.here), method=envelope.method, error=str(error))
        self._events.meters.add(ENVELOPES_REFUSED, known_method(envelope.method), error.code)

    # --- broadcasts ------------------------------------------------------------------------------------------

    async def _broadcast(self, envelope: Broadcast) -> None:
        if envelope.call and len(self._post.gatherings) >= GATHERINGS_MAX:
            raise Overflow(what=f"the table of broadcasts of {self.here}", limit=GATHERINGS_MAX)
        if envelope.id in self._seen:
            self._events.emit("broadcast_doubled", cell=str(self.here), method=envelope.method)
            await self._answer_again(envelope)
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

    async def _answer_again(self, envelope: Broadcast) -> None:
        """Answer a doubled broadcast only if another replica of the neighbour asks: it waits for itself."""
        gathering = self._post.gatherings.get(envelope.id) or self._over.get(envelope.id)
        if gathering is None or answer_address(envelope) in map(answer_address, gathering.askers):
            return
        gathering.askers.append(envelope)
        if gathering.answered is not None:
            await self._post.answer(envelope, gathering.answered, is_error=False)

    async def _spread(self, envelope: Broadcast, hops: tuple[CellPath, ...], *, is_own: bool) -> None:
        async with anyio.create_task_group() as tasks:
            for hop in hops:
                tasks.start_soon(self._send_on, envelope, hop)
            if is_own:
                cast = attrs.evolve(self._local(envelope, envelope.budget_s), call=False, reply_to="")
                tasks.start_soon(self._post.send, cast)

    async def _send_on(self, envelope: Broadcast, hop: CellPath) -> None:
        try:
            await self._forward(envelope, hop)
        except CellferryError as error:
            self._note_refusal(envelope, error)

    async def _gather(self, envelope: Broadcast, hops: tuple[CellPath, ...], *, is_own: bool) -> None:
        gathering = Gathering(Gather.begin(hops, own=is_own, here=self.here), askers=[envelope])
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
        gathering.answered = encode_answers(gathering.gather.overdue(budget_s).merged())
        gathering.gather = Gather.begin((), own=False, here=self.here)  # What is kept is the answer alone.
        self._over[envelope.id] = gathering
        if len(self._over) > OVER_MAX:
            del self._over[next(iter(self._over))]
        for asker in gathering.askers:
            await self._post.answer(asker, gathering.answered, is_error=False)

    async def _ask_neighbour(self, gathering: Gathering, envelope: Broadcast, hop: CellPath) -> None:
        try:
            await self._forward(envelope, hop)
        except CellferryError as error:
            gathering.update(gathering.gather.fail(hop, encode_error(report(error, cell=str(self.here)))))

    async def _ask_here(self, gathering: Gathering, envelope: Broadcast) -> None:
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
