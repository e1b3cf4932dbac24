"""The guest of the process driver: a program that counts up on its disk.  Run as `python -I -S guest.py DIRECTORY`.

It stands for an operating system.  It survives the driver that started it; what it does is seen on its disk alone.
The first process ends when the guest has booted, or has failed to, and its exit code says which.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Final

# An isolated interpreter looks for modules nowhere but in its own library.
sys.path.append(str(Path(__file__).resolve().parents[3]))

from actors.compute.drivers import domain
from actors.compute.drivers.disk import BLANK, WITNESS_BYTES, DiskWitness, GuestMemory, read_page
from actors.partners import durable

SIGNALS: Final = (signal.SIGTERM, signal.SIGHUP)
TICKS_PER_SYNC: Final = 25
#: Guests are reached from their own machine only.
ADDRESS: Final = "127.0.0.1"
#: So many callers are answered at each tick, and so much is read of what each says.
CALLS_MAX: Final = 16
LINE_BYTES_MAX: Final = 1024


class Medium:
    """A disk or volume that the guest has open."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = os.open(path, os.O_RDWR)
        self._page = read_page(os.pread(self._fd, WITNESS_BYTES, 0)) or BLANK

    @property
    def witness(self) -> DiskWitness:
        """What was last written."""
        return self._page.witness

    def write(self, witness: DiskWitness) -> None:
        """Write the next witness."""
        self._page = self._page.after(witness)
        os.pwrite(self._fd, self._page.encode(), self._page.offset)

    def sync(self) -> None:
        """Make durable what was written."""
        os.fdatasync(self._fd)

    def close(self) -> None:
        """Make durable what was written, and let go."""
        os.fsync(self._fd)
        os.close(self._fd)


class Console:
    """Where the guest can be spoken to: it tells how far it has counted, and counts what goes in and out."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._listener = socket.create_server((ADDRESS, 0))
        self._listener.setblocking(False)
        self._bytes_in = self._bytes_out = 0
        self._has_news = True

    def answer(self, line: bytes) -> None:
        """Answer whoever has called since; whoever says nothing, or hangs up, is no trouble."""
        for _ in range(CALLS_MAX):
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return  # Nobody is there, or he has gone.
            with caller:
                caller.setblocking(False)
                with suppress(OSError):
                    self._bytes_out += caller.send(line)
                    self._has_news = True
                    self._bytes_in += len(caller.recv(LINE_BYTES_MAX))

    def tell(self) -> None:
        """Say where, and how much, for the driver."""
        if self._has_news:
            address, port = self._listener.getsockname()[:2]
            spoken = domain.Spoken(
                pid=os.getpid(), address=address, port=port, bytes_in=self._bytes_in, bytes_out=self._bytes_out
            )
            durable.replace(self._home / domain.PORT, spoken.encode())
            self._has_news = False


class Guest:
    """A running guest."""

    def __init__(self, home: Path, home_fd: int, definition: domain.Definition, root: Path) -> None:
        self._home = home
        self._home_fd = home_fd
        self._definition = definition
        self._root = Medium(root)
        self._volumes: dict[str, Medium] = {}
        self._memory = domain.read_memory(home) if definition.is_resumed else None
        self._counter = self._memory.counter if self._memory else self._root.witness.counter
        self._console = Console(home)

    def boot(self) -> None:
        """Say who runs, note the boot on the disk, then take the volumes.  Raises `OSError` when one cannot be had.

        To go on where it was is no boot.
        """
        self._report()
        saved = domain.Saved.read(self._home)
        if self._memory is None and saved != domain.Saved(permit=self._definition.permit, counter=self._counter):
            self._root.write(self._root.witness.booted(host=self._definition.host, permit=self._definition.permit))
        self._root.sync()
        for volume in self._definition.volumes:
            self._take(volume)
        self._console.tell()
        # Before it counts on: nobody goes back to where it was.
        durable.remove(self._home / domain.SAVED)
        self._report()

    def run(self) -> None:
        """Count until SIGTERM comes; SIGHUP says that the definition has changed."""
        while (caught := self._wait()) != signal.SIGTERM:
            if caught == signal.SIGHUP:
                self._follow()
                if self._definition.is_saved:
                    return self._save()
            elif os.fstat(self._home_fd).st_nlink == 0:
                return None  # Somebody took the directory away: nobody could ever stop this process.
            elif not (self._definition.is_paused or self._definition.is_quiet):
                self._tick()
                self._console.answer(f"{self._definition.server} {self._counter}\n".encode())
        self._sync()
        return None

    def _save(self) -> None:
        self._sync()
        saved = domain.Saved(permit=self._definition.permit, counter=self._counter)
        durable.replace(self._home / domain.SAVED, saved.encode())

    def _wait(self) -> int | None:
        # Signals are blocked, so that none is lost and none comes in the middle of a tick.
        caught = signal.sigtimedwait(SIGNALS, self._definition.tick_s)
        return caught.si_signo if caught else None

    def _tick(self) -> None:
        self._counter += 1
        for medium in (self._root, *self._volumes.values()):
            self._count(medium)
        if self._counter % TICKS_PER_SYNC == 0:
            self._sync()
            self._console.tell()

    def _count(self, medium: Medium) -> None:
        medium.write(medium.witness.counted(self._counter, writer=self._definition.server))

    def _sync(self) -> None:
        for medium in (self._root, *self._volumes.values()):
            medium.sync()

    def _follow(self) -> None:
        definition = domain.Definition.read(self._home)
        if definition is None:
            return
        self._definition = definition
        for name in self._volumes.keys() - {volume.volume for volume in definition.volumes}:
            self._volumes.pop(name).close()
        for volume in definition.volumes:
            try:
                self._take(volume)
            except OSError:
                traceback.print_exc()  # The driver sees in the report that the volume is not used.
        self._sync()
        if definition.is_handed:
            memory = GuestMemory(counter=self._counter, boots=self._root.witness.boots)
            durable.replace(self._home / domain.MEMORY, domain.encode_memory(memory))
        self._report()

    def _take(self, volume: domain.VolumeConnection) -> None:
        path = Path(volume.path)
        if volume.is_root or (volume.volume in self._volumes and self._volumes[volume.volume].path == path):
            return
        if volume.volume in self._volumes:
            self._volumes.pop(volume.volume).close()
        medium = Medium(path)
        self._count(medium)
        medium.sync()
        self._volumes[volume.volume] = medium

    def _report(self) -> None:
        found = domain.process_state(os.getpid())
        assert found is not None
        roots = [volume.volume for volume in self._definition.volumes if volume.is_root]
        running = domain.Running(
            pid=os.getpid(),
            started=found[1],
            machine_boot=domain.machine_boot(),
            permit=self._definition.permit,
            revision=self._definition.revision,
            volumes=tuple(sorted([*roots, *self._volumes])),
        )
        durable.replace(self._home / domain.RUNNING, running.encode())


def live(home: Path, told_fd: int) -> None:
    """Boot, tell how it went, and run until the end."""

    def tell(code: int) -> None:
        os.write(told_fd, bytes([code]))
        os.close(told_fd)

    home_fd = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
    if not durable.lock(home_fd):
        return tell(domain.LOCKED)
    os.ftruncate(sys.stderr.fileno(), 0)
    # Only now: what the driver wants may have changed since it started this process.
    definition = domain.Definition.read(home) if durable.is_at(home, home_fd) else None
    root = definition.root(home) if definition else None
    if definition is None or root is None or not definition.is_wanted:
        return tell(domain.UNWANTED)
    guest = Guest(home, home_fd, definition, root)
    guest.boot()
    tell(domain.BOOTED)
    guest.run()
    return None


def redirect(home: Path) -> None:
    """Let go of the driver's terminal and folder, and keep what is said on the console."""
    console_fd = os.open(home / domain.CONSOLE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null_fd = os.open(os.devnull, os.O_RDWR)
    for fd, target in ((null_fd, 0), (null_fd, 1), (console_fd, 2)):
        os.dup2(fd, target)
    os.chdir("/")


def main(home: Path) -> int:
    """Start the guest in a session of its own and wait until it has booted."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        told = os.read(reader, 1)
        return told[0] if told else domain.FAILED
    os.close(reader)
    os.setsid()
    redirect(home)
    live(home, writer)
    return domain.BOOTED


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
