"""What is done again and again in the background of an actor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from protocol.errors import CellferryError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from actors.kernel.ports import Events


async def every(
    pause_s: float, work: Callable[[], Awaitable[object]], *, events: Events, waits: str, **about: object
) -> None:  # fmt: skip
    """Do `work` for ever, each time `pause_s` after the last.

    What fails is noted as the event `waits`, with what it is `about`, and done the next time.
    """
    while True:
        await anyio.sleep(pause_s)
        try:
            await work()
        except CellferryError as error:
            events.emit(waits, **about, error=str(error))
