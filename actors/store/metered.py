"""A store whose transactions are measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

import anyio

from actors.kernel.metrics import TRANSACTIONS
from protocol.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.kernel.metrics import Meters
    from actors.kernel.ports import Connection, Store

P = ParamSpec("P")
T = TypeVar("T")


class MeteredStore:
    """Hands each transaction on, and notes how long it took and how it ended."""

    def __init__(self, store: Store, kind: str, meters: Meters) -> None:
        """Measure `store`, which is of that kind."""
        self._store = store
        self._kind = kind
        self._meters = meters

    async def transact(
        self, work: Callable[Concatenate[Connection, P], T], /, *arguments: P.args, **named: P.kwargs
    ) -> T:
        """Run `work` as the store does."""
        since_s, outcome = anyio.current_time(), "undone"
        try:
            value = await self._store.transact(work, *arguments, **named)
            outcome = "committed"
        except StoreUnavailable:
            outcome = "unavailable"
            raise
        finally:
            self._meters.observe(TRANSACTIONS, anyio.current_time() - since_s, self._kind, outcome)
        return value
