"""Leases on the inner level: `actors.kernel.leases`, on the agenda.

It lasts as long as the process's run; what is due while the process stands still is done when it goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.kernel.leases import Lookout, slot_of
from actors.kernel.supervisor import PAUSE_FIRST_S
from actors.kernel.sweeper import IDLE_S
from protocol.errors import StoreUnavailable
from sim.inner.sweeping import SWEEP

if TYPE_CHECKING:
    from actors.kernel.ports import Holder
    from sim.inner.conductor import Conductor


class Tending:
    """The lease of one life of a replica, and its watch over those of the others."""

    def __init__(self, conductor: Conductor) -> None:
        self._conductor = conductor
        self._journals = conductor.journals
        self._owner = conductor.owner
        self._lookout = Lookout(self._owner)
        self._swept_s = conductor.setting.agenda.now_s

    def begin(self) -> None:
        """Go on with what this slot had, then keep, look and take over."""
        try:
            for holder in self._journals.holders():
                if slot_of(holder.owner) == slot_of(self._owner):
                    self._take(holder)
        except StoreUnavailable:
            # As under a supervisor, it begins once more.
            self._conductor.note("leases_wait", self._owner)
            self._conductor.process.later(PAUSE_FIRST_S, self.begin)
        else:
            self._conductor.note("leases_watched", self._owner)
            self._tend()

    def _tend(self) -> None:
        now_s = self._conductor.setting.agenda.now_s
        if now_s - self._swept_s >= IDLE_S:
            self._swept_s = now_s
            self._conductor.sweep()
        if self._journals.open:
            try:
                self._keep_and_look(now_s)
            except StoreUnavailable as error:
                self._conductor.note("leases_wait", str(error))  # What is left is done the next time.
        self._conductor.process.later(self._lookout.pause_s(now_s), self._tend)

    def _keep_and_look(self, now_s: float) -> None:
        holders = self._journals.holders()
        for mine in holders:
            if mine.owner == self._owner:
                self._check_store()
                self._journals.keep(self._owner)
                self._pick_up(mine)
        for holder in self._lookout.over(holders, now_s):
            self._take(holder)

    def _take(self, holder: Holder) -> None:
        for conversation in self._journals.held_by(holder.owner):
            self._check_store()
            if self._journals.take(conversation, owner=self._owner, holder=holder):
                self._conductor.adopt(conversation)

    def _pick_up(self, mine: Holder) -> None:
        running = self._conductor.running
        if mine.count > len(running) - (SWEEP in running):
            for conversation in self._journals.held_by(self._owner):
                self._conductor.adopt(conversation)

    def _check_store(self) -> None:
        setting, name = self._conductor.setting, self._conductor.name
        if setting.check_store(name):
            raise setting.unsure(name)
