"""Who is who to a broker: the users of actors and of links, the ways of their frames, and their rights.

Each actor is a user of its cell's broker, and each link one of its neighbour's.  Nobody may configure anything, and
nobody may use the default exchange, by which whoever may write to one queue may write to all.  So frames go
by exchanges of our own:

- `local`, a topic exchange by which actors of a cell reach each other: which of them, the rights on topics say;
- one for each neighbour, of his link's user's very name, bound to the one queue that is kept for him.
"""

from __future__ import annotations

import enum
import re
from typing import Final

import attrs

from actors.kernel.ports import Queue
from actors.wire.topology import Arguments, Topology, dead_letter_queue
from protocol.cell_path import CellPath, replies_of

LOCAL: Final = ".local"
OPERATOR: Final = "operator"
CLIENT: Final = "client"
#: How a cell's queue begins that is kept for one neighbour.
FROM: Final = "from:"
NOTHING: Final = "^$"


@attrs.frozen(kw_only=True)
class Access:
    """How a process gets to a broker: by a URL, and whether the broker knows it from all others."""

    url: str = attrs.field(repr=False)
    is_named: bool = False


def way(topology: Topology, queue: Queue, *, is_named: bool) -> tuple[str, str]:
    """Tell the exchange and the routing key by which a frame gets to a queue."""
    if not is_named:
        return topology.exchange, topology.name(queue)
    if queue.name.startswith(FROM):
        return topology.name(queue), ""
    return local_exchange(topology, queue.cell), queue.name


def local_exchange(topology: Topology, cell: CellPath) -> str:
    """Name the exchange by which the actors of a cell reach each other."""
    return topology.name(Queue(cell, LOCAL))


def user_of(topology: Topology, cell: CellPath, mailbox: str) -> str:
    """Name the user that an actor is to its cell's broker."""
    return topology.name(Queue(cell, mailbox))


def link_user(topology: Topology, source: CellPath, target: CellPath) -> str:
    """Name the user that the link of `source` is to the broker of `target`."""
    return topology.name(Queue(target, f"{FROM}{source}"))


# --- what a broker must have ---------------------------------------------------------------------------------


class Kind(enum.StrEnum):
    """A kind of thing that a broker has, by its name in the broker's own definitions."""

    VHOST = "vhosts"
    USER = "users"
    EXCHANGE = "exchanges"
    QUEUE = "queues"
    BINDING = "bindings"
    PERMISSION = "permissions"
    TOPIC_PERMISSION = "topic_permissions"


@attrs.frozen(kw_only=True)
class Thing:
    """Something that a broker is to have: what tells it from others, and how it is to be."""

    kind: Kind
    vhost: str
    name: str
    #: As the broker's definitions have it; of a user, without his password.
    fields: dict[str, object] = attrs.field(factory=dict, hash=False)


@attrs.frozen(kw_only=True)
class Party:
    """An actor of a cell: whom it may send to there, and the queues that it alone reads."""

    mailbox: str
    reads: tuple[Queue, ...]
    #: Of the names of queues in its cell, those it may send to; empty: all.
    sends: tuple[str, ...] = ()


def things_of(
    topology: Topology, *, cell: CellPath, vhost: str, parties: tuple[Party, ...], neighbours: dict[CellPath, str],
) -> tuple[Thing, ...]:  # fmt: skip
    """List what the broker of a cell must have; `neighbours` by the user that the link of each is."""
    local = local_exchange(topology, cell)
    inbounds = {neighbour: Queue(cell, f"{FROM}{neighbour}") for neighbour in neighbours}
    queues = dict.fromkeys(
        [dead_letter_queue(cell), *(queue for party in parties for queue in party.reads), *inbounds.values()]
    )
    things = [Thing(kind=Kind.VHOST, vhost=vhost, name=vhost), _exchange(vhost, local, "topic")]
    for queue in queues:
        exchange, key = way(topology, queue, is_named=True)
        if exchange != local:
            things.append(_exchange(vhost, exchange, "fanout"))
        things.append(_queue(vhost, topology.name(queue), topology.arguments(queue)))
        things.append(_binding(vhost, exchange, topology.name(queue), key))
    for party in parties:
        things.extend(_actor(topology, cell, vhost, party))
    for neighbour, user in neighbours.items():
        things.append(Thing(kind=Kind.USER, vhost="", name=user))
        things.append(_permission(vhost, user, write=_any_of([topology.name(inbounds[neighbour])])))
    things.extend(_passing(topology, cell, vhost) if cell.parent is None else ())
    things.extend(_operator(topology, cell, vhost, [local, *map(topology.name, inbounds.values())]))
    return tuple(things)


def _actor(topology: Topology, cell: CellPath, vhost: str, party: Party) -> list[Thing]:
    user, local = user_of(topology, cell, party.mailbox), local_exchange(topology, cell)
    dead = dead_letter_queue(cell).name
    return [
        Thing(kind=Kind.USER, vhost="", name=user),
        _permission(vhost, user, write=_any_of([local]), read=_any_of(map(topology.name, party.reads))),
        _topics(vhost, user, local, write=_any_of([*party.sends, dead], escape=False) if party.sends else ".*"),
    ]


def _passing(topology: Topology, cell: CellPath, vhost: str) -> list[Thing]:
    """A user of the cloud: he has a queue for his answers, of which nothing is known before."""
    user, local = user_of(topology, cell, CLIENT), local_exchange(topology, cell)
    own = f"^{re.escape(topology.name(Queue(cell, replies_of(CLIENT, ''))))}[0-9a-f]+$"
    return [
        Thing(kind=Kind.USER, vhost="", name=user),
        _permission(
            vhost, user, configure=own, write=f"{own}|{_any_of([local])}", read=f"{own}|{_any_of([local])}"
        ),
        _topics(vhost, user, local, write=".*", read=f"^{replies_of(CLIENT, '')}[0-9a-f]+$"),
    ]  # fmt: skip


def _operator(topology: Topology, cell: CellPath, vhost: str, exchanges: list[str]) -> list[Thing]:
    user, local = user_of(topology, cell, OPERATOR), local_exchange(topology, cell)
    dead = topology.name(dead_letter_queue(cell))
    return [
        Thing(kind=Kind.USER, vhost="", name=user),
        _permission(vhost, user, write=_any_of(exchanges), read=_any_of([dead])),
        _topics(vhost, user, local, write=".*"),
    ]


def _any_of(names: object, *, escape: bool = True) -> str:
    assert not isinstance(names, str)
    texts = [re.escape(str(name)) if escape else str(name) for name in names]  # type: ignore[attr-defined]  # an iterable
    return f"^({'|'.join(texts)})$" if len(texts) > 1 else f"^{texts[0]}$"


def _exchange(vhost: str, name: str, kind: str) -> Thing:
    fields = {"type": kind, "durable": True, "auto_delete": False, "arguments": {}}
    return Thing(kind=Kind.EXCHANGE, vhost=vhost, name=name, fields={"name": name, "vhost": vhost, **fields})


def _queue(vhost: str, name: str, arguments: Arguments) -> Thing:
    fields = {"durable": True, "auto_delete": False, "arguments": dict(arguments)}
    return Thing(kind=Kind.QUEUE, vhost=vhost, name=name, fields={"name": name, "vhost": vhost, **fields})


def _binding(vhost: str, source: str, destination: str, key: str) -> Thing:
    fields: dict[str, object] = {
        "source": source, "vhost": vhost, "destination": destination, "destination_type": "queue", "routing_key": key,
        "arguments": {},
    }  # fmt: skip
    return Thing(kind=Kind.BINDING, vhost=vhost, name=f"{source} -> {destination}", fields=fields)


def _permission(
    vhost: str, user: str, *, configure: str = NOTHING, write: str = NOTHING, read: str = NOTHING
) -> Thing:  # fmt: skip
    fields: dict[str, object] = {
        "user": user, "vhost": vhost, "configure": configure, "write": write, "read": read,
    }  # fmt: skip
    return Thing(kind=Kind.PERMISSION, vhost=vhost, name=user, fields=fields)


def _topics(vhost: str, user: str, exchange: str, *, write: str, read: str = NOTHING) -> Thing:
    fields: dict[str, object] = {"user": user, "vhost": vhost, "exchange": exchange, "write": write, "read": read}
    return Thing(kind=Kind.TOPIC_PERMISSION, vhost=vhost, name=f"{user} on {exchange}", fields=fields)
