"""Restarts what dies, with backoff, and gives up when it dies too often: restart intensity as in OTP."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from anyio.abc import TaskStatus

    from actors.kernel.ports import Events

RESTARTS_MAX: Final = 5
#: Longer than all the pauses before the last restart together; else a child that dies at once would do so for ever.
WITHIN_S: Final = 60.0
PAUSE_FIRST_S: Final = 1.0
PAUSE_MAX_S: Final = 16.0


class TooManyRestarts(Exception):
    """A child died more often than its supervisor accepts; the process should end."""


async def supervise(
    name: str, child: Callable[..., Coroutine[Any, Any, None]], events: Events, *,
    task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:  # fmt: skip
    """Run `child` until it returns; run it again, a little later each time, when it raises.

    It is started, for who waits for that, when the child first says that it is.
    """
    deaths: deque[float] = deque()
    is_told = False
    while True:
        try:
            async with anyio.create_task_group() as tasks:
                await tasks.start(child, name=name)
                if not is_told:
                    is_told = True
                    task_status.started()
        except Exception as error:  # Supervision is the one place where any failure is an event like others.
            deaths.append(anyio.current_time())
            while deaths[-1] - deaths[0] > WITHIN_S:
                deaths.popleft()
            events.emit("child_died", child=name, error=repr(error), deaths=len(deaths))
            if len(deaths) > RESTARTS_MAX:
                raise TooManyRestarts(f"{name} died {len(deaths)} times within {WITHIN_S} s") from error
        else:
            return
        await anyio.sleep(min(PAUSE_MAX_S, PAUSE_FIRST_S * 2.0 ** (len(deaths) - 1)))
