"""What was seen on disks and volumes before, so that it can be asked for later; a revert discards the target's disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from protocol.invariants.standing import Home, Standing, settled
from protocol.journal import Kind
from protocol.messages.hosts import GuestReport
from protocol.messages.live import SavedGuest
from protocol.saga import read
from protocol.states import Goal
from protocol.truth import Truth, VolumeTruth, Witnessed
from sim.history import Happening, Journaled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sim.checkers.chronicle import Chronicle, Tale
    from sim.checkers.oracle import Ear


#: The step by which a move has the guest stop at its source.
STOPS: Final = {Goal.RESIZE: "stop_guest", Goal.MIGRATE: "stop_guest", Goal.LIVE_MIGRATE: "save_guest"}


class Witnesses:
    """The counters that somebody has seen on a server's root disk and on volumes, as far as they still count."""

    def __init__(self, chronicle: Chronicle) -> None:
        self._chronicle = chronicle
        self._roots: dict[str, int] = {}
        self._volumes: dict[str, VolumeTruth] = {}
        # Volumes whose server counts anew, and what was on them when that was first looked at: it will be overwritten.
        self._outdated: dict[str, int | None] = {}
        self._left: dict[str, int] = {}  # What servers had on their own disk when a move stopped them at the source.

    def ears(self) -> Mapping[type[Happening], Ear]:
        """Tell what it wants to hear of."""
        return {Journaled: self._journaled}

    def witnessed(self) -> tuple[Witnessed, ...]:
        """Give what must still be there."""
        roots = (Witnessed(server=server, volume=None, counter=counter) for server, counter in self._roots.items())
        volumes = (
            Witnessed(server=seen.writer or "", volume=seen.volume, counter=seen.counter)
            for seen in self._volumes.values()
        )
        return (*roots, *volumes)

    def see(self, truth: Truth) -> None:
        """Remember what is on the disks of settled servers, and on all volumes."""
        written = {volume.volume: volume for volume in truth.volumes}
        disks = {(guest.server, str(guest.cell), guest.host): guest.counter for guest in truth.guests if guest.has_disk}
        for standing in settled(truth):
            self._raise(standing.server, _root(standing, disks, written))
        for volume in truth.volumes:
            if self._is_outdated(volume):
                continue
            seen = self._volumes.get(volume.volume)
            # Another server that has it now counts for itself.
            if volume.writer and (seen is None or seen.writer != volume.writer or seen.counter < volume.counter):
                self._volumes[volume.volume] = volume

    def _raise(self, server: str, counter: int) -> None:
        self._roots[server] = max(self._roots.get(server, 0), counter)

    def _journaled(self, what: Journaled) -> None:
        entry, tale = what.entry, self._chronicle.tales[what.conversation]
        match entry.kind:
            case Kind.BEGIN if what.goal is Goal.CREATE:
                self._lower(what.server, 0)
            case Kind.DONE if entry.step == "stop_guest" and not entry.is_undo:
                self._stopped(tale, read(entry.payload, GuestReport).counter)
            case Kind.DONE if entry.step == "save_guest" and not entry.is_undo:
                self._stopped(tale, read(entry.payload, SavedGuest).counter)
            case Kind.END if what.goal is Goal.REBUILD and tale.is_success:
                self._lower(what.server, 0)
            case Kind.END if what.goal is Goal.REVERT and tale.is_success:
                self._reverted(what.server)
            case Kind.END if what.goal in STOPS and not tale.is_success and tale.has(Kind.DONE, STOPS[what.goal]):
                # A guest whose start nobody heard of has run at the target meanwhile, and is no more.
                self._reverted(what.server)

    def _stopped(self, tale: Tale, counter: int) -> None:
        self._raise(tale.server, counter)
        self._left.pop(tale.server, None)
        if tale.has(Kind.INTENT, "create_snapshot"):
            self._left[tale.server] = counter

    def _reverted(self, server: str) -> None:
        """Ask for no more than the source had; a root disk that is a volume goes back as it is."""
        if server in self._left:
            self._lower(server, self._left[server])

    def _lower(self, server: str, counter: int) -> None:
        # What a guest writes on its volumes is its root disk's counter: when that falls, so do these, by new writes.
        self._roots[server] = min(self._roots.get(server, counter), counter)
        for name, seen in self._volumes.items():
            if seen.writer == server and seen.counter > counter:
                self._volumes[name] = attrs.evolve(seen, counter=counter)
                self._outdated[name] = None

    def _is_outdated(self, volume: VolumeTruth) -> bool:
        """Tell whether nobody has written to a volume since its server began to count anew."""
        if volume.volume not in self._outdated:
            return False
        known = self._outdated[volume.volume]
        if known in {None, volume.counter}:
            self._outdated[volume.volume] = volume.counter
            return True
        del self._outdated[volume.volume]
        return False


def _root(standing: Standing, disks: dict[tuple[str, str, str], int], written: dict[str, VolumeTruth]) -> int:
    home: Home = standing.home
    if not home.is_volume_backed:
        return disks.get((home.server, *home.place), 0)
    volume = written.get(home.root_volume or "")
    return volume.counter if volume else 0
