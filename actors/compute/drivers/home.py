"""One guest of the process driver: starting it, stopping it, and having it follow its definition."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread

from actors.compute.drivers import domain
from actors.compute.drivers.base import GRACE_S, GuestState, Power
from actors.compute.drivers.domain import Definition, Running, Spoken, VolumeConnection
from actors.compute.drivers.observing import observe, power_of
from actors.compute.drivers.processes import GuestProcess
from actors.compute.drivers.rules import check_permit
from actors.partners import durable
from actors.partners.polling import EVERY_S, poll
from protocol.errors import GuestBusy, GuestNotFound, HypervisorFailed, VolumeUnreachable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actors.compute.drivers.disk import GuestMemory

GUEST_PROGRAM: Final = Path(__file__).with_name("guest.py")
#: How long a guest may take to boot, or to follow a new definition.
OBEY_S: Final = 20.0
#: What is told of the console of a guest that failed: its end.
CONSOLE_CHARS_MAX: Final = 2000


class GuestHome:
    """A guest's directory.  Whatever changes it is called by one driver at a time."""

    def __init__(self, path: Path, *, host: str) -> None:
        self.path = path
        self._host = host

    @property
    def disk(self) -> Path:
        """Where the guest's own root disk is, or would be."""
        return self.path / domain.DISK

    def state(self) -> GuestState:
        """Tell what is there."""
        state = observe(self.path)
        if state is None:
            raise self.not_found()
        return state

    def power(self) -> Power:
        """Tell what the guest's process does."""
        return power_of(self.path, Running.read(self.path))

    def spoken(self) -> Spoken | None:
        """Tell where the guest's process listens; None when it does not run."""
        running, spoken = Running.read(self.path), Spoken.read(self.path)
        if running is None or running.state() is None or spoken is None or spoken.pid != running.pid:
            return None
        return spoken

    def definition(self) -> Definition:
        """Give the guest's definition."""
        definition = Definition.read(self.path)
        if definition is None:
            raise self.not_found()
        return definition

    def define(self, definition: Definition) -> None:
        """Write a definition, of a higher revision than the one before: a guest tells which one it follows."""
        before = Definition.read(self.path)
        self.path.mkdir(exist_ok=True)
        revised = replace(definition, revision=before.revision + 1 if before else 1)
        durable.replace(self.path / domain.DEFINITION, revised.encode())

    def runs(self, *, permit: int) -> bool:
        """Tell whether the guest runs; raise `PermitRefused` unless it does so, or may start, by that permit."""
        running, definition = Running.read(self.path), Definition.read(self.path)
        runs_by = running.permit if running and running.state() else None
        had = definition.permit if definition else None
        check_permit(self.path.name, self._host, permit, runs_by=runs_by, had=had)
        return runs_by is not None

    def check_reach(self, connections: Iterable[VolumeConnection]) -> None:
        """Raise `VolumeUnreachable` unless every volume's bytes are there."""
        for connection in connections:
            if not Path(connection.path).exists():
                raise VolumeUnreachable(volume=connection.volume, host=self._host)

    async def start(self, *, permit: int, is_resumed: bool = False) -> None:
        """Start the guest unless it runs, and return when it has booted; or have it go on from its memory."""
        definition = self.definition()
        if self.runs(permit=permit):
            return
        self.check_reach(definition.volumes)
        root = definition.root(self.path)
        if root is None or not root.exists():
            raise self.not_found()
        self.define(
            replace(
                definition, permit=permit, is_wanted=True, is_paused=False, is_quiet=False, is_handed=False,
                is_resumed=is_resumed, is_saved=False,
            )
        )  # fmt: skip
        if not is_resumed:
            self.forget_memory()
        await self._launch(permit)
        self.forget_memory()

    def forget_memory(self) -> None:
        """Remove what the guest knew: it goes on from there once."""
        (self.path / domain.MEMORY).unlink(missing_ok=True)

    async def save(self) -> GuestMemory:
        """Have the guest stop counting and write its memory down, then end it."""
        if self.process() is not None:
            self.define(replace(self.definition(), is_paused=True, is_handed=True))
            process = self.process()
            if process is not None:
                with process:
                    process.send(signal.SIGCONT)
                    await self._follow(process)
        memory = domain.read_memory(self.path)
        if memory is None or not self.definition().is_handed:
            raise self.busy("it is off")
        await self.stop(grace_s=GRACE_S)
        return memory

    async def _launch(self, permit: int) -> None:
        code = None
        with anyio.move_on_after(OBEY_S):
            code = await _run_guest_program(self.path)
            if code == domain.LOCKED:  # A start that a crashed driver left behind was faster.
                await poll(lambda: True if self.power().is_on else None)
        if code is None or (code == domain.LOCKED and not self.runs(permit=permit)):
            raise self.busy("its start does not end")
        if code not in {domain.BOOTED, domain.LOCKED}:
            reason = f"the guest ended with code {code}: {self._console()}"
            raise HypervisorFailed(server=self.path.name, host=self._host, action="start", reason=reason)

    async def stop(self, *, grace_s: float) -> None:
        """Stop the guest, one that is just starting too, and make what it wrote durable."""
        definition = Definition.read(self.path)
        if definition and definition.is_wanted:
            # First, so that a start on its way reads it and ends.
            self.define(replace(definition, is_wanted=False, is_paused=False, is_saved=False))
        with anyio.move_on_after(OBEY_S + grace_s) as patience:
            while not self.is_free():
                process = self.process()
                if process is None:
                    await anyio.sleep(EVERY_S)  # It has the lock and has not told its number yet.
                    continue
                with process:
                    await process.stop(grace_s=grace_s)
        if patience.cancelled_caught:
            raise self.busy("it does not stop")
        durable.remove(self.path / domain.SAVED)
        if definition:
            await anyio.to_thread.run_sync(_sync_all, self.path, definition)

    async def resume(self) -> None:
        """Let the guest count again, whoever held it."""
        process = self.process()
        if process is None:
            raise self.busy("it is off")
        with process:
            if process.is_held or self.definition().is_paused:
                self.define(replace(self.definition(), is_paused=False))
                process.send(signal.SIGCONT)
                await self._follow(process)

    async def pause(self) -> None:
        """Have the guest stop counting and settle its disk, then hold its process."""
        definition, process = self.definition(), self.process()
        if process is None:
            raise self.busy("it is off")
        with process:
            if process.is_held and definition.is_paused:
                return
            self.define(replace(definition, is_paused=True))
            process.send(signal.SIGCONT)
            await self._follow(process)
        if self.power() is not Power.PAUSED:
            raise self.busy("it ended")

    async def suspend(self) -> None:
        """Have the guest save where it is, and return when its process has ended."""
        definition, process = self.definition(), self.process()
        if process is not None:
            with process:
                self.define(replace(definition, is_paused=False, is_saved=True))
                process.send(signal.SIGCONT)
                await self._follow(process)
                with anyio.move_on_after(OBEY_S):
                    await poll(lambda: True if self.is_free() else None)
        if self.power() is not Power.SUSPENDED:
            raise self.busy("it is off" if process is None else "it does not save where it is")

    async def call_off_suspend(self) -> None:
        """Have a guest go on that was told to save where it is, if it has not done so yet."""
        definition, process = self.definition(), self.process()
        if process is None or not definition.is_saved:
            return
        with process:
            self.define(replace(definition, is_saved=False))
            process.send(signal.SIGCONT)
            await self._follow(process)
        if self.process() is None:
            await poll(lambda: True if self.is_free() else None)

    async def change_volumes(self, volumes: tuple[VolumeConnection, ...]) -> None:
        """Change the definition's volumes; a guest that runs has taken them, or let them go, on return."""
        await self._change(replace(self.definition(), volumes=volumes, is_quiet=False))

    async def quiesce(self) -> None:
        """Have the guest write nothing until its volumes are changed; what it wrote is durable on return."""
        await self._change(replace(self.definition(), is_quiet=True))

    async def _change(self, definition: Definition) -> None:
        self.define(definition)
        process = self.process()
        if process is None:
            return
        with process:
            if definition.is_paused:
                process.send(signal.SIGCONT)  # A guest told to pause does not count, so it may run for a moment.
            await self._follow(process)

    def process(self) -> GuestProcess | None:
        """Take hold of the guest's process."""
        return GuestProcess.find(Running.read(self.path))

    def not_found(self) -> GuestNotFound:
        """Make the error that says that there is no such guest here."""
        return GuestNotFound(server=self.path.name, host=self._host)

    def busy(self, reason: str) -> GuestBusy:
        """Make the error that says why the guest cannot do what was asked."""
        return GuestBusy(server=self.path.name, host=self._host, reason=reason)

    async def _follow(self, process: GuestProcess) -> None:
        """Return when the guest has taken its definition, or has ended; a paused one is held again."""
        definition = self.definition()

        def has_followed() -> bool | None:
            running = Running.read(self.path)
            is_done = running is None or running.state() is None or running.revision >= definition.revision
            return True if is_done else None

        process.send(signal.SIGHUP)
        has_obeyed = None
        with anyio.move_on_after(OBEY_S):
            has_obeyed = await poll(has_followed)
            if definition.is_paused:
                await process.hold()
        if has_obeyed is None:
            raise self.busy("it does not follow its definition")

    def is_free(self) -> bool:
        """Tell whether no process has the guest's lock."""
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            return True
        try:
            return durable.lock(fd)
        finally:
            os.close(fd)

    def _console(self) -> str:
        try:
            return (self.path / domain.CONSOLE).read_text(errors="replace")[-CONSOLE_CHARS_MAX:]
        except FileNotFoundError:
            return ""


async def _run_guest_program(home: Path) -> int:
    """Run the guest program's first process, which ends when the guest has booted and lives on by itself."""
    command = [sys.executable, "-I", "-S", str(GUEST_PROGRAM), str(home)]
    nowhere = subprocess.DEVNULL
    ended = await anyio.run_process(
        command, stdin=nowhere, stdout=nowhere, stderr=nowhere, check=False, start_new_session=True
    )
    return ended.returncode


def _sync_all(home: Path, definition: Definition) -> None:
    """Make durable what a guest wrote that was killed before it could do so."""
    for path in (definition.root(home), *(Path(volume.path) for volume in definition.volumes)):
        if path and path.exists():
            fd = os.open(path, os.O_RDONLY)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
