"""A deployment that stays, over a real broker: its file, its life, and what is left in the broker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

from tests.actors.cli.clouds import CLOUD, command, environment, read_until, started, write_cloud
from tests.own_services import OwnRabbitMQ

STOP_S_MAX: Final = 60.0
#: Runs a command line, and gives its exit code, what it printed and what it complained of.
Run: TypeAlias = Callable[..., tuple[int, str, str]]


def write_deployment(directory: Path, broker: OwnRabbitMQ, *, store: str = "", moves: str = "") -> Path:
    """Write the file of a deployment over this broker; `moves` is a setting of how servers move."""
    settings = ["[deployment]", f'wire = "{broker.url}"', 'directory = "data"', 'prefix = "cellferry-e2e"']
    settings.extend([f'store = "{store}"'] if store else [])
    settings.extend(["[moves]", moves] if moves else [])
    return write_cloud(directory, CLOUD + "\n" + "\n".join(settings) + "\n")


@contextmanager
def deployed(directory: Path, config: Path, *options: str, role: str = "all") -> Iterator[subprocess.Popen[str]]:
    """Run a deployment: from when it is ready until the context is left, when it is told to stop and must obey."""
    with started(directory, role, "--config", str(config), *options, of="run") as run:
        read_until(run.stdout, "ready: ")
        yield run
        end(run)


def end(run: subprocess.Popen[str], by: signal.Signals = signal.SIGTERM) -> None:
    """Tell a run to stop, which it must do in order."""
    os.kill(run.pid, by)
    said, complained = run.communicate(timeout=STOP_S_MAX)
    assert run.returncode == 0, complained
    assert said == "stopped\n"


def cellferry(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    name, *others = arguments
    return subprocess.run(  # noqa: S603 - a command of our own, without a shell
        command(*others, of=name), env=environment(directory), cwd=directory, text=True, capture_output=True,
        check=False,
    )  # fmt: skip


def answering(directory: Path) -> Callable[..., Any]:
    """Give what runs a command that must succeed, and tells what it answered."""

    def answered(*arguments: str) -> Any:
        run = cellferry(directory, *arguments, "-f", "json")
        assert run.returncode == 0, run.stderr
        return json.loads(run.stdout)

    return answered


def shown_until(answered: Callable[..., Any], which: str, **wanted: str) -> Any:
    """Show a conversation, or the newest one of a server, until it has these values."""
    while True:
        shown = answered("migration", "show", which)
        if wanted.items() <= shown.items():
            return shown
