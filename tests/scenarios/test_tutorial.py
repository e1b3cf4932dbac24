"""The tutorial "find a bug" works as it stands: each of its commands is run, in a copy of the product."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import anyio
import attrs

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "tutorial" / "find-a-bug.md"
PATCH: Final = re.compile(r"^```diff\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHELL: Final = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SIMULATOR: Final = ".venv/bin/cellferry sim "
#: The command as it is installed, but of the copy: the folder that it is run in comes first.
OF_THE_COPY: Final = (sys.executable, "-c", "from sim.commands.cli import sim; sim()")

#: Spawned processes of a hunt load the whole product, each.


@attrs.frozen
class Said:
    """What a command said, and how it ended."""

    command: str
    text: str
    exit_code: int


def commands(page: str) -> Iterator[str]:
    """List the commands that a reader types, in order."""
    for match in SHELL.finditer(page):
        yield from match[1].splitlines()


def arguments(command: str) -> tuple[str, ...]:
    """Write a command as it is run in the copy."""
    if command.startswith(SIMULATOR):
        return (*OF_THE_COPY, *shlex.split(command.removeprefix(SIMULATOR)))
    return tuple(shlex.split(command))


async def follow(page: str, folder: Path) -> list[Said]:
    """Type every command of the page."""
    said = []
    for command in commands(page):
        done = await anyio.run_process(arguments(command), cwd=folder, check=False)
        said.append(Said(command, (done.stdout + done.stderr).decode(), done.returncode))
    return said


def test_the_tutorial_finds_its_bug_replays_it_and_is_rid_of_it(tmp_path: Path) -> None:
    """Hunted down, shrunk to one fault, replayed twice with the bug, and gone twice without it."""
    page = PAGE.read_text(encoding="utf-8")
    for package in ("protocol", "actors", "sim"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    [patch] = PATCH.findall(page)
    (tmp_path / "bug.patch").write_text(patch, encoding="utf-8")
    applied, hunted, inner, outer, undone, *mended = anyio.run(follow, page, tmp_path)
    assert applied.exit_code == undone.exit_code == 0, applied.text + undone.text
    assert hunted.exit_code == inner.exit_code == outer.exit_code == 1, hunted.text
    for said in (hunted, inner, outer):
        assert "no_leaks" in said.text, said.text
    assert "same breach at the same line" in inner.text
    assert (tmp_path / "sim-report" / "case.json").read_text(encoding="utf-8").count('"kind"') == 1
    assert "left behind: disk" in (tmp_path / "sim-report" / "story.md").read_text(encoding="utf-8")
    assert [said.exit_code for said in mended] == [0, 0], [said.text for said in mended]


def test_a_patch_of_the_tutorial_is_six_lines_at_most() -> None:
    """So short is a bug that the simulator needs a minute for."""
    [patch] = PATCH.findall(PAGE.read_text(encoding="utf-8"))
    assert len([line for line in patch.splitlines() if line[:3] not in {"---", "+++"}]) <= 6
