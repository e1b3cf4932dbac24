"""What the process driver and its guests tell each other: the files of a guest's directory, and processes in /proc.

Standard library only: the guest program uses it too.  The directory of a guest holds

- `disk`             its own root disk, laid out as `disk.py` says; none when its root disk is a volume
- `disk.prepared`    another root disk, which is to take its place; `disk.former`: the one that had it before
- `definition.json`  what the driver wants of it; written by drivers only
- `running.json`     the process that runs it, and how much of the definition it follows; written by that process only
- `memory.json`      what it knows that was stopped where it was, to go on from there
- `network.json`     its ports as they were last applied, and as it was last told of them
- `console.log`      what it said when it failed
- `port.json`        where the process that runs it can be spoken to, and how much was said; written by that one only
- `saved.json`       where the guest was when it was suspended; written by its process before that ends

The guest's process holds a lock on the directory itself for as long as it lives: a second one ends at once.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from actors.compute.drivers.disk import Boot, GuestMemory

DEFINITION: Final = "definition.json"
RUNNING: Final = "running.json"
DISK: Final = "disk"
CONSOLE: Final = "console.log"
NETWORK: Final = "network.json"
MEMORY: Final = "memory.json"
PREPARED: Final = "disk.prepared"
FORMER: Final = "disk.former"
PORT: Final = "port.json"
SAVED: Final = "saved.json"

#: How the guest program's first process ends: what became of the start.
BOOTED: Final = 0
FAILED: Final = 1
LOCKED: Final = 75
UNWANTED: Final = 76


# Dataclasses, not attrs classes, because the guest program runs without third-party packages.
@dataclass(frozen=True, kw_only=True, slots=True)
class VolumeConnection:
    """A volume as a host reaches it for a guest."""

    volume: str
    attachment: str
    device: str
    path: str  # Where the volume's bytes are.
    boot_index: int | None = None  # 0: it is the root disk.

    @property
    def is_root(self) -> bool:
        """Whether the guest boots from it."""
        return self.boot_index == 0


def read_memory(home: Path) -> GuestMemory | None:
    """Read what a guest knows that was stopped where it was."""
    try:
        fields = json.loads((home / MEMORY).read_bytes())
    except FileNotFoundError:
        return None
    return GuestMemory(counter=fields["counter"], boots=tuple(Boot(**boot) for boot in fields["boots"]))


def encode_memory(memory: GuestMemory) -> bytes:
    """Give the file's content."""
    return json.dumps(asdict(memory)).encode()


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkInfo:
    """The ports of a guest, each with its hardware address, as a host has applied them or told the guest of them."""

    by: str  # What had it done.
    ports: tuple[tuple[str, str], ...]
    is_reset: bool

    @classmethod
    def read(cls, home: Path) -> tuple[NetworkInfo, ...]:
        """Read what was last done of either."""
        try:
            told = json.loads((home / NETWORK).read_bytes())
        except FileNotFoundError:
            return ()
        return tuple(cls(**{**each, "ports": tuple((port, mac) for port, mac in each["ports"])}) for each in told)


def encode_networks(infos: tuple[NetworkInfo, ...]) -> bytes:
    """Give the file's content."""
    return json.dumps([asdict(info) for info in infos], indent=1).encode()


@dataclass(frozen=True, kw_only=True, slots=True)
class Definition:
    """What a driver wants of a guest."""

    server: str
    name: str
    host: str
    vcpus: int
    memory_mb: int
    disk_gb: int
    image: str | None
    volumes: tuple[VolumeConnection, ...]
    permit: int
    tick_s: float
    revision: int = 1
    is_wanted: bool = False  # Whether it is to run.  A start that comes late reads this under the lock, and ends.
    is_paused: bool = False
    is_handed: bool = False  # It is to write its memory down, for another host to go on from.
    is_resumed: bool = False  # It goes on from its memory: that is no start.
    is_quiet: bool = False  # It runs, and writes nothing, while a volume of its is copied.
    is_saved: bool = False  # It is to save where it is, and end.

    def encode(self) -> bytes:
        """Give the file's content."""
        return json.dumps(asdict(self), indent=1).encode()

    @classmethod
    def read(cls, home: Path) -> Definition | None:
        """Read a guest's definition; None when it is not defined."""
        try:
            fields = json.loads((home / DEFINITION).read_bytes())
        except FileNotFoundError:
            return None
        return cls(**{**fields, "volumes": tuple(VolumeConnection(**volume) for volume in fields["volumes"])})

    def root(self, home: Path) -> Path | None:
        """Tell where the root disk's bytes are to be; None when nothing to boot from is connected."""
        if self.image is not None:
            return home / DISK
        return next((Path(volume.path) for volume in self.volumes if volume.is_root), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    """What the process of a guest says of itself."""

    pid: int
    started: int
    machine_boot: str
    permit: int
    revision: int
    volumes: tuple[str, ...]

    def encode(self) -> bytes:
        """Give the file's content."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def read(cls, home: Path) -> Running | None:
        """Read what was last said; whether that process still lives is another question."""
        try:
            fields = json.loads((home / RUNNING).read_bytes())
            return cls(**{**fields, "volumes": tuple(fields["volumes"])})
        except (FileNotFoundError, ValueError, TypeError, KeyError):  # Nothing, or another program's file.
            return None

    def state(self) -> str | None:
        """Tell the process's state as one letter of /proc; None when it has ended, or its number is another's now."""
        found = process_state(self.pid)
        if found is None or found[1] != self.started or machine_boot() != self.machine_boot:
            return None
        return found[0]


@dataclass(frozen=True, kw_only=True, slots=True)
class Spoken:
    """Where a guest listens, which process of it that is, and how many bytes went in and out there."""

    pid: int
    address: str
    port: int
    bytes_in: int = 0
    bytes_out: int = 0

    def encode(self) -> bytes:
        """Give the file's content."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def read(cls, home: Path) -> Spoken | None:
        """Read what was last said."""
        try:
            return cls(**json.loads((home / PORT).read_bytes()))
        except (FileNotFoundError, ValueError, TypeError):
            return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Saved:
    """Where a guest was when it was suspended."""

    permit: int
    counter: int

    def encode(self) -> bytes:
        """Give the file's content."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def read(cls, home: Path) -> Saved | None:
        """Read where the guest was; None when it is not suspended."""
        try:
            return cls(**json.loads((home / SAVED).read_bytes()))
        except (FileNotFoundError, ValueError, TypeError):
            return None


def machine_boot() -> str:
    """Tell which boot of the machine this is: start times of processes count from it."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def process_state(pid: int) -> tuple[str, int] | None:
    """Tell a process's state and when it started; None when there is none, or only its exit code is left."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()  # The command's name, in parentheses, may hold anything.
    return None if fields[0] in "ZX" else (fields[0], int(fields[19]))
