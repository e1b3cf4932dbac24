"""Each role of a cloud as an operating-system process of its own, which ends when its parent does."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from subprocess import PIPE
from typing import TYPE_CHECKING, Any, Final

import anyio
import attrs

from actors.assembly import Member
from actors.cli.failures import ProcessDied
from actors.deployment import DRAIN_S_MAX, Duty
from actors.kernel.supervisor import supervise

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from anyio.abc import Process, TaskGroup, TaskStatus

    from actors.deployment import Deployment, Task
    from actors.kernel.ports import Events
    from actors.ops.settings import Cloud

#: What a process writes to its standard output when its actors take messages.
READY: Final = b"ready\n"
START_S_MAX: Final = 60.0
STOP_S_MAX: Final = DRAIN_S_MAX + 5.0
LOG_CHARS_MAX: Final = 2_000
#: Where this very code is: a child runs the same, wherever it is started from.
CODE: Final = Path(__file__).resolve().parents[2]
#: What a child runs, before the options that say which role it has.
PROGRAM: Final = ("-m", "actors", "run")


class Children:
    """The processes of one deployment."""

    def __init__(
        self, deployment: Deployment, tasks: tuple[Task, ...], *, program: tuple[str, ...] = PROGRAM,
        keep: Callable[..., Coroutine[Any, Any, None]] = supervise,
    ) -> None:  # fmt: skip
        """Start nothing yet; later a process of `program` for each of these roles, kept alive by `keep`."""
        self._deployment = deployment
        self._program = program
        self._keep = keep
        self._tasks = tasks
        self._logs = deployment.directory / "logs"
        self._processes: dict[Task, Process] = {}

    async def start(self, tasks: TaskGroup, events: Events) -> None:
        """Start a process for each role, under supervision; return when all take messages."""
        self._logs.mkdir(exist_ok=True)
        with anyio.move_on_after(START_S_MAX):
            # Cells first: whoever comes finds the queues of those that it talks to.
            await self._start([task for task in self._tasks if task.duty is Duty.CELL], tasks, events)
            await self._start([task for task in self._tasks if task.duty is not Duty.CELL], tasks, events)
            return
        raise ProcessDied(f"not all processes came up within {START_S_MAX:g} s{self._last_words()}")

    async def tune(self, cloud: Cloud) -> None:
        """Have every process take up those settings of a cloud that may change, and each that is started later."""
        self._deployment = attrs.evolve(self._deployment, cloud=cloud)
        for process in list(self._processes.values()):
            if process.stdin is not None:
                # One that has just died is started anew, with these settings.
                with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                    await process.stdin.send(self._deployment.encode() + b"\n")

    async def _start(self, wave: list[Task], tasks: TaskGroup, events: Events) -> None:
        async with anyio.create_task_group() as starting:
            for task in wave:
                member = self._member(task)
                starting.start_soon(tasks.start, self._keep, member.name, member.run, events)

    def _member(self, task: Task) -> Member:
        async def run(*, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
            await self._run(task, task_status)

        return Member(name=f"the process of {task}", run=run)

    async def _run(self, task: Task, task_status: TaskStatus[None]) -> None:
        with self._log(task).open("ab") as log:
            # A session of its own: the terminal's Ctrl-C is for the parent, which ends its children in order.
            process = await anyio.open_process(
                self._command(task), stdin=PIPE, stdout=PIPE, stderr=log, env=_environment(), start_new_session=True
            )
        try:
            await self._greet(process, task)
            self._processes[task] = process
            task_status.started()
            code = await process.wait()
            raise ProcessDied(f"the process of {task} ended with code {code}{self._words(task)}")
        finally:
            self._processes.pop(task, None)
            with anyio.CancelScope(shield=True):
                await _stop(process)

    async def _greet(self, process: Process, task: Task) -> None:
        """Tell a process what it is part of, by a pipe since there are passwords in it, and wait until it is ready."""
        assert process.stdin is not None
        assert process.stdout is not None
        heard = b""
        try:
            await process.stdin.send(self._deployment.encode() + b"\n")
            while not heard.endswith(READY):
                heard += await process.stdout.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError) as error:
            raise ProcessDied(f"the process of {task} did not start{self._words(task)}") from error

    def _command(self, task: Task) -> list[str]:
        where = ["--cell", str(task.cell), *(["--host", task.host] if task.host else [])]
        return [
            sys.executable, "-P", *self._program, task.duty, "--child", *where, "--replica", str(task.replica)
        ]  # fmt: skip

    def _log(self, task: Task) -> Path:
        return self._logs / f"{str(task).replace('/', '.').replace(':', '-')}.log"

    def _words(self, task: Task) -> str:
        text = self._log(task).read_text(errors="replace").strip()
        return f":\n{text[-LOG_CHARS_MAX:]}" if text else ""

    def _last_words(self) -> str:
        return next((words for task in self._tasks if (words := self._words(task))), "")


def _environment() -> dict[str, str]:
    paths = (str(CODE), os.environ.get("PYTHONPATH", ""))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}


async def _stop(process: Process) -> None:
    if process.returncode is None:
        process.terminate()
        with anyio.move_on_after(STOP_S_MAX):
            await process.wait()
    if process.returncode is None:
        process.kill()
    await process.aclose()
