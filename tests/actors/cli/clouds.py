"""A small cloud for tests of the command line, and what a run of the demo may leave behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

from tests.tidy_rules import ROOT

#: Four cells, one of them two levels deep; one host in each but the root.
CLOUD: Final = """
driver = "process"

[[cells]]
path = "api"
[[cells]]
path = "api!eu"
[[cells]]
path = "api!eu!eu-1"
[[cells]]
path = "api!us"

[[hosts]]
name = "h1"
cell = "api!eu!eu-1"
vcpus = 8
memory_mb = 16384
disk_gb = 100
[[hosts]]
name = "h2"
cell = "api!us"
vcpus = 8
memory_mb = 8192
disk_gb = 100
[[hosts]]
name = "h3"
cell = "api!eu"
vcpus = 8
memory_mb = 4096
disk_gb = 100

[[flavors]]
name = "tiny"
vcpus = 1
memory_mb = 512
disk_gb = 1
[[flavors]]
name = "small"
vcpus = 1
memory_mb = 1024
disk_gb = 10

[[images]]
name = "cirros"
size_bytes = 4096

[[volumes]]
name = "data"
size_gb = 1
[[volumes]]
name = "root"
size_gb = 1
[[volumes]]
name = "extra"
size_gb = 1
"""

#: Marks every process of a run, and those that these start in turn.
MARK: Final = "CELLFERRY_TEST_RUN"
VARYING: Final = frozenset({"wire", "store", "counter_before", "counter_after"})
UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def write_cloud(directory: Path, text: str = CLOUD) -> Path:
    """Write a cloud's file."""
    path = directory / "cloud.toml"
    path.write_text(text)
    return path


def environment(directory: Path) -> dict[str, str]:
    """Make the environment of a run: files below the directory, and the directory as the mark."""
    (directory / "tmp").mkdir(exist_ok=True)
    return {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(directory / "tmp"), MARK: str(directory)}


def demo(directory: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the demo to its end."""
    with started(directory, *options) as process:
        said, complained = process.communicate()
        return subprocess.CompletedProcess(process.args, process.returncode, said, complained)


def command(*options: str, of: str = "demo") -> list[str]:
    """Write the command that runs the demo, or another."""
    return [sys.executable, "-m", "actors", of, *options]


@contextmanager
def started(directory: Path, *options: str, of: str = "demo") -> Iterator[subprocess.Popen[str]]:
    """Start a command as a shell does, in a process group of its own, and end whatever is left of it."""
    with subprocess.Popen(  # noqa: S603 - a command of our own, without a shell
        command(*options, of=of), env=environment(directory), cwd=directory, text=True, process_group=0,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()
            for pid in processes(directory):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def read_until(stream: IO[str] | None, word: str) -> None:
    """Read what a run says until it says that word."""
    assert stream is not None
    seen = []
    for line in stream:
        seen.append(line)
        if word in line:
            return
    raise AssertionError(f"{word} was never said:\n{''.join(seen)}")


def processes(directory: Path) -> tuple[int, ...]:
    """List the living processes that bear the mark of a run: it is inherited, whoever starts them."""
    wanted = f"{MARK}={directory}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return tuple(found)


def files(directory: Path) -> tuple[str, ...]:
    """List what runs have left in their temporary directory."""
    return tuple(str(path) for path in (directory / "tmp").rglob("*"))


def numbered(text: str) -> str:
    """Replace each generated id by a number, in the order of appearance."""
    seen: dict[str, str] = {}
    return UUID.sub(lambda match: seen.setdefault(match[0], f"id-{len(seen)}"), text)


def compared(text: str) -> Any:
    """Give what two runs' documents must agree in: not the ids themselves, times, counters, and over what they ran."""
    return _without(json.loads(numbered(text)), lambda name: name in VARYING or name.endswith("_us"))


def _without(value: Any, is_left_out: Callable[[str], bool]) -> Any:
    if isinstance(value, dict):
        return {name: _without(each, is_left_out) for name, each in value.items() if not is_left_out(name)}
    if isinstance(value, list):
        return [_without(each, is_left_out) for each in value]
    return value
