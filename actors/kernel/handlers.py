"""The two shapes of handler: transactional, and ensuring.  There are no others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import attrs

from actors.kernel.ports import Connection
from protocol.effects.registry import Moment
from protocol.requests import Request


@attrs.frozen(kw_only=True)
class Transactional:
    """Carried out in one transaction, together with epoch check, inbox and outbox.

    `run(connection, request, moment)` gives the reply or raises a declared error; it may run more than once.
    """

    request: type[Request[Any]]
    run: Callable[[Connection, Any, Moment], Any]


def as_it_is(_connection: Connection, _request: Any, result: Any, _moment: Moment) -> Any:
    """Store nothing of what came of it, and answer with that."""
    return result


@attrs.frozen(kw_only=True)
class Ensuring:
    """Carried out on something that has no transactions: a hypervisor, files, another service, a conversation.

    `accept` stores what is wanted, with the key; then the message is acknowledged.  `ensure` makes it so: it is
    idempotent, for it runs again after a crash.  `settle` stores what came of it, with the reply.
    """

    request: type[Request[Any]]
    ensure: Callable[[Any, Moment], Awaitable[Any]]
    accept: Callable[[Connection, Any, Moment], None] = lambda _connection, _request, _moment: None
    settle: Callable[[Connection, Any, Any, Moment], Any] = as_it_is
    is_resumed: bool = True  # Whether a restart finishes it before messages are taken; else only who asks again does.


Handler: TypeAlias = Transactional | Ensuring
