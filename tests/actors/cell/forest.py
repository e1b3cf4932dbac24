"""A tree of cells with their routers over the memory wire, and in each a cell actor that says where it is."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import anyio
import attrs

from actors.cell.router import Neighbours, Router, inbound
from actors.kernel.ports import Delivery, Queue
from actors.kernel.post import Post
from actors.ops.events import MemoryEvents
from actors.wire.memory import MemoryWire
from protocol.bodies import encode_body
from protocol.cell_path import Address, CellPath, replies_of
from protocol.codec import decode, decode_frame, encode, encode_frame
from protocol.envelope import Broadcast, Direction, Envelope, Key, Response, Targeted
from protocol.errors import CellferryError, Conflict, report, revive
from protocol.errors_wire import decode_error
from protocol.gather import CellAnswer, decode_answers
from protocol.requests import Done, Form, Method, Request, Role
from sim.ports import SerialIds
from tests.strategies import Tree

HOPS_MAX: Final = 64


@attrs.frozen(kw_only=True)
class Where(Request[Done]):
    """Say where you are."""

    METHOD = Method(name="where", at=Role.CELL, form=Form.BROADCAST)


class Forest:
    """The tree; cells of `deaf` run no router, the actors of `mute` never answer, those of `failing` with an error."""

    def __init__(
        self, tree: Tree, *, deaf: frozenset[CellPath] = frozenset(), mute: frozenset[CellPath] = frozenset(),
        failing: frozenset[CellPath] = frozenset(),
    ) -> None:  # fmt: skip
        self.tree, self.deaf, self.mute, self.failing = tree, deaf, mute, failing
        self.wire, self.ids, self.events = MemoryWire(), SerialIds(), MemoryEvents()
        self.runs: list[CellPath] = []
        self.budgets_s: dict[CellPath, float] = {}
        self.keys: list[Key | None] = []

    def post(self, cell: CellPath, mailbox: str) -> Post:
        """Make an actor's way to all others."""
        return Post(
            me=Address(cell, mailbox),
            replies=replies_of(mailbox, "0"),
            wire=self.wire,
            ids=self.ids,
            events=self.events,
        )

    @asynccontextmanager
    async def asking(self, cell: CellPath) -> AsyncIterator[Post]:
        """Run all routers and cell actors, and give an asker in one cell."""
        async with anyio.create_task_group() as tasks, self.post(cell, "client").open() as asker:
            for each in self.tree.cells:
                await self._declare(each)
                await tasks.start(self._serve, each)
                if each not in self.deaf:
                    await tasks.start(self.router(each).run)
            yield asker
            tasks.cancel_scope.cancel()

    def router(self, cell: CellPath) -> Router:
        """Make a cell's router."""
        neighbours = Neighbours(parent=self.tree.parent(cell), children=self.tree.children(cell))
        return Router(
            here=cell, neighbours=neighbours, slot="0", wire=self.wire, ids=self.ids, events=self.events
        )  # fmt: skip

    async def _declare(self, cell: CellPath) -> None:
        for neighbour in self.tree.neighbours(cell):
            await self.wire.declare(inbound(neighbour, cell))

    async def _serve(self, cell: CellPath, *, task_status: Any) -> None:
        queue = Queue(cell, "cell")
        await self.wire.declare(queue)
        post = self.post(cell, "cell")
        async with (
            post.open(),
            anyio.create_task_group() as tasks,
            self.wire.consume(queue, partial(self._take, post, tasks), prefetch=100),
        ):
            task_status.started()
            await anyio.sleep_forever()

    def _take(self, post: Post, tasks: anyio.abc.TaskGroup, delivery: Delivery) -> None:
        for data in decode_frame(delivery.frame):
            envelope = decode(data)
            assert isinstance(envelope, Targeted)
            self.runs.append(post.me.cell)
            self.budgets_s[post.me.cell] = envelope.budget_s
            self.keys.append(envelope.key)
            if post.me.cell in self.failing:
                error = Conflict(server="s", action="be found", reason=f"{post.me.cell} fails")
                tasks.start_soon(post.refuse, envelope, report(error, cell=str(post.me.cell)))
            elif post.me.cell not in self.mute:
                answer = partial(post.answer, envelope, encode_body(str(post.me.cell)), is_error=False)
                tasks.start_soon(answer)
        delivery.ack()

    async def frame(self, queue: Queue, *envelopes: Envelope | bytes) -> None:
        """Put a frame into a queue, as a neighbour or a liar would."""
        parts = [part if isinstance(part, bytes) else encode(part) for part in envelopes]
        await self.wire.send(queue, encode_frame(parts))

    def dead(self, cell: CellPath) -> list[str]:
        """Tell why frames were rejected in a cell."""
        return [letter.reason for letter in self.wire.dead_letters(cell)]


def call(asker: Post, to: Address, *, hops_max: int = HOPS_MAX, method: str = "where") -> Targeted:
    """Make a call to one address."""
    return attrs.evolve(asker.targeted(to, method, encode_body(Where()), budget_s=10), hops_max=hops_max)


def broadcast(
    asker: Post, *, direction: Direction = Direction.DOWN, hops_max: int = HOPS_MAX, include_self: bool = True,
    budget_s: float = 10.0, method: str = "where", is_call: bool = True,
) -> Broadcast:  # fmt: skip
    """Make a broadcast."""
    return Broadcast(
        id=asker.ids.new(), method=method, context=attrs.evolve(call(asker, asker.me).context), source=asker.me,
        route=(asker.me.cell,), call=is_call, reply_to=asker.replies.name if is_call else "", budget_s=budget_s,
        body=encode_body(Where()), direction=direction, include_self=include_self, hops_max=hops_max,
    )  # fmt: skip


def answers(response: Response) -> tuple[CellAnswer, ...]:
    """Read what the cells answered."""
    assert not response.is_error
    return decode_answers(response.body)


def error_of(response: Response | CellAnswer) -> CellferryError:
    """Read an answer that is an error."""
    assert response.is_error, response
    return revive(decode_error(response.body))
