"""Waiting for what no event announces: something that another process does to files or to itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
EVERY_S: Final = 0.005


async def poll(attempt: Callable[[], T | None], *, every_s: float = EVERY_S) -> T:
    """Call `attempt` until it gives something, and give that.  The caller sets the deadline."""
    while (result := attempt()) is None:  # noqa: ASYNC110 - another process changes it, and can set no event of ours.
        await anyio.sleep(every_s)
    return result
