"""Handlers made of effects: load the rows, decide purely, save the changes, all in the kernel's transaction."""

from collections.abc import Callable, Iterable
from typing import Any

from actors.kernel.handlers import Transactional
from actors.kernel.ports import Connection, Outgoing
from actors.store.outbox import enqueue
from actors.store.records import carry_out
from protocol.bodies import encode_body
from protocol.draft import Changes
from protocol.effects.news import News
from protocol.effects.registry import Moment
from protocol.requests import Request

Tell = Callable[[Changes, Moment], tuple[News, ...]]


def _tell_nobody(_changes: Changes, _moment: Moment) -> tuple[News, ...]:
    return ()


def effect_handlers(requests: Iterable[type[Request[Any]]], *, tell: Tell = _tell_nobody) -> tuple[Transactional, ...]:
    """Make a handler for each request that has an effect; `tell` says whom a change is news to."""

    def run(connection: Connection, request: Request[Any], moment: Moment) -> object:
        changes, reply = carry_out(connection, request, moment)
        enqueue(connection, tuple(_outgoing(item) for item in tell(changes, moment)))
        return reply

    return tuple(Transactional(request=request, run=run) for request in requests)


def _outgoing(item: News) -> Outgoing:
    return Outgoing(
        id=item.id, target=item.target, method=type(item.request).METHOD.name, server=item.server,
        body=encode_body(item.request), about=item.about, rank=item.rank,
    )  # fmt: skip
