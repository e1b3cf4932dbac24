"""Replies as bytes, for journals: each distinct reply is written once."""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import attrs

from protocol.bodies import encode_body
from protocol.errors import report
from protocol.messages.repair import CellHoldings
from protocol.messages.servers import ServerBundle, Sighting
from protocol.records import Server
from protocol.requests import Done
from protocol.saga import know
from sim.inner.memory import Reply

if TYPE_CHECKING:
    from protocol.errors import CellferryError

ENCODED_MAX: Final = 4096
_SCALARS: Final = (str, int, float, bool, type(None))
_UNHASHABLE: Final = (ServerBundle, Sighting, CellHoldings, Server)
_DONE: Final = Reply(Done(), encode_body(Done()), is_error=False)


def reply_of(value: Any) -> Reply:
    """Make the reply that holds a value."""
    if type(value) is Done:
        return _DONE
    return Reply(value, _encoded(value), is_error=False)


def refusal_of(error: CellferryError, *, cell: str) -> Reply:
    """Make the reply that is an error."""
    told = report(error, cell=cell)
    # As the codec writes it: a state that is a text is that text to whoever reads it.
    arguments = {name: value if type(value) in _SCALARS else str(value) for name, value in told.arguments.items()}
    return Reply(attrs.evolve(told, arguments=arguments), b"", is_error=True)


def digest_of(reply: Reply) -> str:
    """Tell one reply from another, in a few characters."""
    if reply.is_error:
        return f"{reply.value.code}"
    return f"{zlib.crc32(reply.body):08x}"


def _encoded(value: Any) -> bytes:
    # What holds a dict (a server's metadata) has no hash.
    return _encode(value) if type(value) in _UNHASHABLE else _encoded_once(value)


@lru_cache(maxsize=ENCODED_MAX)
def _encoded_once(value: Any) -> bytes:
    return _encode(value)


def _encode(value: Any) -> bytes:
    payload = encode_body(value)
    know(payload, type(value), value)
    return payload
