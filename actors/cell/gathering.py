"""Broadcast calls whose answers a router collects, and the post to which these come."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import attrs

from actors.kernel.post import Post
from protocol.errors import CellferryError, report
from protocol.errors_wire import encode_error
from protocol.gather import decode_answers

if TYPE_CHECKING:
    from actors.kernel.ports import Events, Ids, Wire
    from protocol.cell_path import Address
    from protocol.envelope import Broadcast, Response
    from protocol.gather import Gather


@attrs.define
class Gathering:
    """A broadcast call whose answers are being collected here."""

    gather: Gather
    #: Who asked: of several replicas of a neighbour each for itself, when a doubled broadcast came to all of them.
    askers: list[Broadcast]
    changed: anyio.Event = attrs.field(factory=anyio.Event)
    #: What they were answered, once they were.
    answered: bytes | None = None

    def update(self, gather: Gather) -> bool:
        """Go on with more answers; tell whether the last one was taken."""
        self.gather = gather
        self.changed.set()
        return gather.accepted


class RouterPost(Post):
    """The router's own post: answers to broadcasts go to their gatherings, of which each takes several."""

    def __init__(self, *, me: Address, replies: str, wire: Wire, ids: Ids, events: Events) -> None:
        super().__init__(me=me, replies=replies, wire=wire, ids=ids, events=events)
        self.gatherings: dict[bytes, Gathering] = {}

    def take(self, response: Response) -> bool:
        """Take an answer; tell whether it was waited for."""
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
