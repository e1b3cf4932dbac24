"""Planted bugs on the way of messages: answers, broadcasts, routes."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import anyio
import attrs

from actors.cell import gate
from actors.cell.gathering import RouterPost
from actors.cell.router import Router
from actors.kernel import post
from actors.kernel.calls import Calls
from actors.kernel.post import Post
from protocol.bodies import encode_body
from protocol.cell_path import Address
from protocol.codec import encode, encode_frame
from protocol.envelope import Broadcast, Context, Targeted, answer, passed
from protocol.errors import Unroutable
from protocol.gather import Gather
from protocol.messages.root import UnregisterHost
from sim.brokers.wire import SimWire
from sim.cases.portfolio import CALM, DOUBLED, LOST, UNROUTED
from tests.planted.planting import Level, Patch, bug

LOOP = (Level.LOOP,)


@bug("outcomes_true", number="12", mix=LOST, levels=LOOP, since=38)
def takes_any_answer_for_its_own(patch: Patch) -> None:
    """A late answer is given to whoever waits now."""
    resolve = Calls.resolve

    def anyhow(self: Any, response: Any) -> bool:
        waiting = [call for call, pending in self._pending.items() if pending.answer is None]
        if response.answers not in waiting and waiting:
            response = attrs.evolve(response, answers=waiting[0])
        return resolve(self, response)

    patch.setattr(Calls, "resolve", anyhow)


@bug("one_answer", mix=LOST, levels=LOOP)
def waits_for_ever(patch: Patch) -> None:
    """A call has no deadline."""

    async def ask(self: Any, envelope: Any) -> Any:
        pending = self.calls.open(envelope.id, until_s=anyio.current_time() + envelope.budget_s)
        try:
            await self.send(envelope)
            await pending.arrived.wait()
        finally:
            self.calls.close(envelope.id)
        return pending.answer

    patch.setattr(Post, "ask", ask)


@bug("broadcast_once", number="21", mix=DOUBLED, levels=LOOP, since=2)
def forgets_broadcasts(patch: Patch) -> None:
    """A cell carries a broadcast out as often as it comes."""
    broadcast = Router.__dict__["_broadcast"]

    async def again(self: Any, envelope: Any) -> None:
        self._seen.clear()
        await broadcast(self, envelope)

    patch.setattr(Router, "_broadcast", again)


@bug("one_answer_a_cell", number="21", mix=CALM, levels=LOOP)
def answers_a_broadcast_twice(patch: Patch) -> None:
    """A cell's link gives the answers of its side of the tree twice."""

    async def twice(self: Any, envelope: Any, body: bytes, *, is_error: bool) -> None:
        for _ in range(2 if isinstance(envelope, Broadcast) else 1):
            await Post.answer(self, envelope, body, is_error=is_error)

    patch.setattr(RouterPost, "answer", twice)


@bug("gather_exact", number="21", mix=CALM)
def counts_its_own_answer_twice(patch: Patch) -> None:
    """The root lists its own answer to a broadcast twice."""
    merged = Gather.merged

    def doubled(self: Any) -> Any:
        answers = merged(self)
        return (*answers, answers[-1]) if self.here.parent is None else answers

    patch.setattr(Gather, "merged", doubled)


@bug("hops", number="21", mix=CALM, levels=LOOP)
def enters_itself_twice(patch: Patch) -> None:
    """A cell notes twice on an envelope that it has come there."""
    patch.setattr(gate, "passed", lambda envelope, here: passed(passed(envelope, here), here))


@bug("passed_on", number="19", mix=UNROUTED, levels=LOOP)
def takes_unroutable_for_sent(patch: Patch) -> None:
    """A frame that the broker returned, because its queue is gone, counts as sent."""
    send = SimWire.send

    async def anyhow(self: Any, queue: Any, frame: bytes) -> None:
        with suppress(Unroutable):
            await send(self, queue, frame)

    patch.setattr(SimWire, "send", anyhow)


@bug("answers_reach_asker", mix=CALM, levels=LOOP)
def answers_somebody_else(patch: Patch) -> None:
    """The answer to a taking of a server goes to the queue of another actor of the root."""

    def astray(envelope: Any, **named: Any) -> Any:
        made = answer(envelope, **named)
        is_taken = envelope.method == "take_server"
        return attrs.evolve(made, target=Address(made.target.cell, "replies:image:0")) if is_taken else made

    patch.setattr(post, "answer", astray)


@bug("sender_vouched", number="22", mix=CALM, levels=LOOP)
def believes_what_a_message_says_of_its_sender(patch: Patch) -> None:
    """A link takes the neighbour from the message, and not from the queue it came by; a cell speaks for its sibling."""
    admit = gate.Gate.admit

    def by_its_word(self: Any, envelope: Any, *, via: Any) -> Any:
        return admit(self, envelope, via=None if via is None else envelope.route[-1])

    patch.setattr(gate.Gate, "admit", by_its_word)
    lie_about_a_sibling(patch)


def lie_about_a_sibling(patch: Patch) -> None:
    """Have the links of cells that were taken over say, with all that they send up, that a sibling lost a host."""
    send = SimWire.send

    async def with_a_lie(self: Any, queue: Any, frame: bytes) -> None:
        await send(self, queue, frame)
        if queue.cell.parent is None and self.process.name == f"{queue.name.removeprefix('from:')}/link":
            root, sibling = queue.cell, queue.cell.child("sibling")
            request = UnregisterHost(host="h4", cell=sibling)
            lie = Targeted(
                id=(2**100 + self.ground.number()).to_bytes(16), method=request.METHOD.name,
                context=Context(request_id=""), source=Address(sibling, "cell"), route=(sibling,), budget_s=10.0,
                body=encode_body(request), target=Address(root, "cell"),
            )  # fmt: skip
            await send(self, queue, encode_frame([encode(lie)]))

    patch.setattr(SimWire, "send", with_a_lie)
