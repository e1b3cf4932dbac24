"""Handlers made of effects: load the rows, decide purely, save the changes, all in the kernel's transaction."""

from collections.abc import Callable, Iterable
from typing import Any

from actors.kernel.handlers import Transactional
from actors.kernel.ports import Connection, Outgoing
from actors.store.outbox import enqueue
from actors.store.records import carry_out
from protocol.bodies import encode_body
from protocol.draft import Changes, News
from protocol.effects.registry import Moment
from protocol.requests import Request

Tell = Callable[[Changes, Moment], tuple[News, ...]]
Follow = Callable[[Connection, Changes], Changes]


def _tell_nobody(_changes: Changes, _moment: Moment) -> tuple[News, ...]:
    return ()


def _as_it_is(_connection: Connection, changes: Changes) -> Changes:
    return changes


def effect_handlers(
    requests: Iterable[type[Request[Any]]], *, tell: Tell = _tell_nobody, follow: Follow = _as_it_is
) -> tuple[Transactional, ...]:
    """Make a handler for each request that has an effect.

    `follow` changes what must change with it, whichever request it was, and `tell` says whom all that is news to.
    """

    def run(connection: Connection, request: Request[Any], moment: Moment) -> object:
        changes, reply = carry_out(connection, request, moment)
        enqueue(connection, tuple(outgoing(item) for item in tell(changes, moment)))
        enqueue(connection, tuple(map(outgoing, tell(follow(connection, changes), moment))))
        return reply

    return tuple(Transactional(request=request, run=run) for request in requests)


def outgoing(item: News) -> Outgoing:
    """Make a row of the outbox."""
    """Write news as the outbox keeps it."""
    return Outgoing(
        id=item.id, target=item.target, method=type(item.request).METHOD.name, server=item.server,
        body=encode_body(item.request), about=item.about, rank=item.rank, key=item.key,
    )  # fmt: skip
