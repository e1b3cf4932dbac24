"""What dies is started again, a little later each time, and not for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from actors.kernel.supervisor import RESTARTS_MAX, WITHIN_S, TooManyRestarts, supervise
from actors.ops.events import MemoryEvents

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

pytestmark = pytest.mark.anyio


class Child:
    """Dies after so many seconds each time, then lives."""

    def __init__(self, *lives_s: float) -> None:
        self.lives_s = list(lives_s)
        self.starts_s: list[float] = []

    async def run(self, *, task_status: TaskStatus[Any]) -> None:
        self.starts_s.append(anyio.current_time())
        task_status.started()
        if self.lives_s:
            await anyio.sleep(self.lives_s.pop(0))
            raise RuntimeError("dead")


async def test_a_child_that_dies_is_started_again_a_little_later_each_time() -> None:
    """One second, two, four; and when it lives, or returns, all is well."""
    child, events = Child(0, 0, 0), MemoryEvents()
    await supervise("child", child.run, events)
    assert child.starts_s == [0, 1, 3, 7]
    assert events.counts["child_died"] == 3


async def test_a_child_that_dies_at_once_each_time_is_given_up() -> None:
    """The process that it belongs to should end, and say why."""
    child, events = Child(*[0.0] * 100), MemoryEvents()
    with pytest.raises(TooManyRestarts, match="child died 6 times"):
        await supervise("child", child.run, events)
    assert len(child.starts_s) == RESTARTS_MAX + 1


async def test_a_child_that_dies_now_and_then_is_never_given_up() -> None:
    """Only deaths within the window count, for the intensity and for the pause alike."""
    child, events = Child(*[WITHIN_S] * 20), MemoryEvents()
    await supervise("child", child.run, events)
    assert child.starts_s == [number * (WITHIN_S + 1) for number in range(21)]


async def test_a_child_is_started_for_its_supervisor_s_caller_once() -> None:
    """Whoever waits for the start goes on with the first one; a death before it says so is a death like others."""
    child, events = Child(0, 0), MemoryEvents()
    async with anyio.create_task_group() as tasks:
        await tasks.start(supervise, "child", child.run, events)
        assert len(child.starts_s) == 1
