"""Processes of the inner level: they crash, come back, stand still and go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from sim.inner.agenda import Agenda


class Process:
    """One process: what it has to do later is dropped when it crashes, and waits while it stands still."""

    def __init__(self, name: str, agenda: Agenda) -> None:
        self.name = name
        self.run = 1
        self.is_up = True
        self.is_paused = False
        self.held = 0  # How much had to wait since it stands still.
        self._agenda = agenda
        self._mail: list[Callable[[], None]] = []
        self._kept: list[tuple[int, Callable[..., None], tuple[object, ...]]] = []
        self.when_crashed: list[Callable[[], None]] = []
        self.when_started: list[Callable[[], None]] = []

    @property
    def is_going(self) -> bool:
        """Tell whether it does anything right now."""
        return self.is_up and not self.is_paused

    def later(self, delay_s: float, work: Callable[..., None], *arguments: object) -> None:
        """Do something later, if this very run of the process lives by then."""
        self._agenda.after(delay_s, self._do, self.run, work, arguments)

    def _do(self, run: int, work: Callable[..., None], arguments: tuple[object, ...]) -> None:
        if run != self.run or not self.is_up:
            return
        if self.is_paused:
            self.held += 1
            self._kept.append((run, work, arguments))
            return
        work(*arguments)

    def keep(self, read: Callable[[], None]) -> None:
        """Keep a message until the process goes again: queues outlive those who read them."""
        self.held += 1
        self._mail.append(read)

    def crash(self) -> None:
        """End it here and now: nothing that it had in hand goes on."""
        self.is_up = self.is_paused = False
        self.run += 1
        self._kept.clear()
        for let_go in self.when_crashed:
            let_go()

    def start(self) -> None:
        """Start it again."""
        self.is_up = True
        self.run += 1
        for begin in self.when_started:
            begin()
        self._read_on()

    def pause(self) -> None:
        """Have it stand still."""
        self.is_paused, self.held = True, 0

    def resume(self) -> None:
        """Let it go on, with what was due meanwhile first."""
        self.is_paused = False
        kept, self._kept = self._kept, []
        for run, work, arguments in kept:
            self._agenda.after(0.0, self._do, run, work, arguments)
        self._read_on()

    def _read_on(self) -> None:
        mail, self._mail = self._mail, []
        for read in mail:
            self._agenda.after(0.0, read)
