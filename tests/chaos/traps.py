"""Traps for a process: points at which it kills itself, as `kill -9` would, or for once does not do what it should.

A trap is a file in the deployment's directory, so that whoever sets it needs no way into the process.  Each is sprung
once, by whichever process passes its point first.  What passes which point is also written down, one file a process.
"""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Final

import attrs

from actors.ops.system import SystemClock

DIE: Final = "die"
#: The inbox does not know a command that it has carried out.
FORGET: Final = "forget"
#: The hypervisor refuses.
REFUSE: Final = "refuse"


@attrs.frozen(kw_only=True)
class Trap:
    """Where it is set: which role, which server, which point; and what happens there."""

    who: str  # A role as its task names it, without the number of a replica.
    server: str
    point: str
    deed: str = DIE


@attrs.frozen(kw_only=True)
class Sprung:
    """That a trap was sprung: by which process, and when by the machine's clock."""

    by: str
    pid: int
    at_us: int


class Traps:
    """The traps of one deployment."""

    def __init__(self, directory: Path) -> None:
        self._set = directory / "chaos" / "set"
        self._sprung = directory / "chaos" / "sprung"
        self._passed = directory / "chaos" / "passed"
        for each in (self._set, self._sprung, self._passed):
            each.mkdir(parents=True, exist_ok=True)
        self._count = 0

    # --- for who sets them ---------------------------------------------------------------------------------------

    def set(self, trap: Trap) -> str:
        """Set a trap; give the name by which to ask for it."""
        self._count += 1
        name = f"{self._count:05}"
        hidden = self._set.parent / name
        hidden.write_text(json.dumps(attrs.asdict(trap)))
        hidden.rename(self._set / name)
        return name

    def sprung(self, name: str) -> Sprung | None:
        """Tell who sprang a trap; None: nobody has."""
        path = self._sprung / name
        return Sprung(**json.loads(path.read_text())) if path.exists() else None

    def clear(self) -> None:
        """Take away what was not sprung."""
        for path in self._set.iterdir():
            path.unlink(missing_ok=True)

    def passed(self, server: str) -> dict[tuple[str, str], list[str]]:
        """List the points that each process has passed for a server, in order: by its role, and its own name."""
        found: dict[tuple[str, str], list[str]] = {}
        for path in sorted(self._passed.iterdir()):
            for line in path.read_text().splitlines():
                who, whose, point = line.split(" ")
                if whose == server:
                    found.setdefault((who, path.name), []).append(point)
        return found

    # --- for who walks into them ---------------------------------------------------------------------------------

    def find(self, who: str, server: str, point: str) -> str | None:
        """Give the name of a trap that is set there."""
        here = {"who": who, "server": server, "point": point}
        for name in sorted(path.name for path in self._set.iterdir()):
            try:
                trap = json.loads((self._set / name).read_text())
            except FileNotFoundError:  # Another process has just walked into it.
                continue
            if all(trap[field] == value for field, value in here.items()):
                return name
        return None

    def spring(self, name: str, by: str) -> str | None:
        """Take a trap away and say who sprang it; give its deed, or None when another was faster."""
        claimed = self._set.parent / f"{name}.claimed"
        try:
            (self._set / name).rename(claimed)
        except FileNotFoundError:
            return None
        hidden = claimed.with_suffix(".sprung")
        hidden.write_text(json.dumps({"by": by, "pid": os.getpid(), "at_us": SystemClock().now_us()}))
        hidden.rename(self._sprung / name)
        return str(json.loads(claimed.read_text())["deed"])

    def note(self, by: str, who: str, server: str, point: str) -> None:
        """Write down that a point was passed."""
        name = by.replace("/", ".").replace(":", "-")
        with (self._passed / name).open("a") as file:
            file.write(f"{who} {server} {point}\n")


class Walker:
    """A process that says what it passes, and dies where it must."""

    def __init__(self, traps: Traps, *, role: str, name: str) -> None:
        self._traps = traps
        self._role = role
        self._name = name

    def passes(self, server: str, point: str) -> str | None:
        """Pass a point: die there if so it must be; else give the deed of the trap that was there."""
        self._traps.note(self._name, self._role, server, point)
        name = self._traps.find(self._role, server, point)
        deed = self._traps.spring(name, self._name) if name else None
        if deed == DIE:
            os.kill(os.getpid(), signal.SIGKILL)
        return deed
