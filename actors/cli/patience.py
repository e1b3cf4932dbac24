"""Starts while a broker or a database is away: says so, and tries again until it is there."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final, TypeVar

import anyio

from actors.cli.failures import named
from protocol.errors import StoreUnavailable, TransportLost

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from contextlib import AbstractAsyncContextManager

    from actors.deployment import Deployment
    from actors.ops.notify import Notifier
    from actors.seeing import Seeing

T = TypeVar("T")
PAUSE_FIRST_S: Final = 0.5
PAUSE_MAX_S: Final = 10.0
#: How much longer than its pause a try may take before a service manager may think that it hangs.
TRY_S_MAX: Final = 60.0
#: Where another one can be named.
WHERE: Final = "under [deployment]"


@asynccontextmanager
async def patiently(
    opening: Callable[[], AbstractAsyncContextManager[T]], *, deployment: Deployment, seeing: Seeing,
    notifier: Notifier,
) -> AsyncGenerator[T]:  # fmt: skip
    """Open what stands on brokers and databases; while one is away, close what was opened, wait, and try again.

    Once it is open, what they do is the matter of who uses them.
    """
    async with AsyncExitStack() as stack:
        pause_s = PAUSE_FIRST_S
        opened: T | None = None
        while opened is None:
            try:
                opened = await stack.enter_async_context(opening())
            except* (TransportLost, StoreUnavailable) as group:
                # Without passwords: the words of a command that ends by it.
                why = str(named(group, deployment, wire=WHERE, store=WHERE))
                seeing.events.emit("process_waits", process=seeing.process, error=why, pause_s=pause_s)
                notifier.waits(why, for_s=pause_s + TRY_S_MAX)
                await anyio.sleep(pause_s)
                pause_s = min(PAUSE_MAX_S, 2.0 * pause_s)
        yield opened
