"""Workers do what a task group does with work, in fewer tasks."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from actors.kernel.workers import IDLE_MAX, Workers

pytestmark = pytest.mark.anyio


class Diary:
    """Notes which task did what."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.tasks: dict[str, int] = {}

    async def work(self, what: str, lasts_s: float = 0.0) -> None:
        """Do something."""
        self.tasks[what] = anyio.get_current_task().id
        await anyio.sleep(lasts_s)
        self.done.append(what)


async def test_work_that_comes_later_is_done_by_the_same_task() -> None:
    """A task that is done waits for the next work, which gets its own arguments."""
    diary = Diary()
    async with anyio.create_task_group() as tasks:
        workers = Workers(tasks)
        for what in "abc":
            workers.start_soon(diary.work, what)
            await anyio.sleep(1)
        tasks.cancel_scope.cancel()
    assert diary.done == ["a", "b", "c"]
    assert len(set(diary.tasks.values())) == 1


async def test_work_that_lasts_holds_up_no_other() -> None:
    """Side by side as in a task group, each in a task of its own, begun in the order of the calls."""
    diary = Diary()
    async with anyio.create_task_group() as tasks:
        workers = Workers(tasks)
        for what, lasts_s in (("slow", 3.0), ("quick", 1.0), ("quicker", 0.5)):
            workers.start_soon(diary.work, what, lasts_s)
        assert diary.tasks == {}
        await anyio.sleep(4)
        tasks.cancel_scope.cancel()
    assert list(diary.tasks) == ["slow", "quick", "quicker"]
    assert diary.done == ["quicker", "quick", "slow"]


async def test_the_tasks_that_wait_are_limited() -> None:
    """After a rush the tasks that are too many end."""
    diary = Diary()
    async with anyio.create_task_group() as tasks:
        before = len(anyio.get_running_tasks())
        workers = Workers(tasks)
        for number in range(IDLE_MAX + 20):
            workers.start_soon(diary.work, str(number))
        await anyio.sleep(1)
        assert len(diary.done) == IDLE_MAX + 20
        assert len(anyio.get_running_tasks()) == before + IDLE_MAX
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("is_used_before", [False, True])
async def test_what_work_raises_ends_the_group(*, is_used_before: bool) -> None:
    """No failure is lost, whether its task is a new one or not."""

    async def fail() -> None:
        raise KeyError("planned")

    async def work() -> None:
        async with anyio.create_task_group() as tasks:
            workers = Workers(tasks)
            if is_used_before:
                workers.start_soon(anyio.lowlevel.checkpoint)
                await anyio.sleep(1)
            workers.start_soon(fail)

    with pytest.raises(ExceptionGroup) as caught:
        await work()
    assert caught.group_contains(KeyError, match="planned")
