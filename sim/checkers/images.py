"""Oracles over images: what root disks are made from, and which images users keep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol.effects.images import ACTIVE
from protocol.invariants.standing import fenced, settled
from protocol.journal import Kind
from protocol.messages.orders import CreateServer, ImageServer, RebuildServer
from protocol.moves.parties import Brief
from protocol.records import Image
from protocol.saga import read
from protocol.states import Goal
from sim.checkers.chronicle import host_of
from sim.checkers.oracle import Oracle
from sim.history import Called, GuestOff, GuestOn, Happening, Journaled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from protocol.messages.orders import Order
    from protocol.truth import Truth
    from sim.checkers.chronicle import Chronicle, Tale
    from sim.checkers.oracle import Accuse, Ear

#: What has a disk come from another image, or go back to one that came from another.
TRAVELS: Final = frozenset({Goal.RESIZE, Goal.MIGRATE, Goal.REVERT, Goal.LIVE_MIGRATE})


def _order(tale: Tale) -> Order | None:
    payload = tale.entries[0].payload
    return read(payload, Brief).order if payload else None


class ExchangedOff(Oracle):
    """A root disk takes another one's place only while its guest is off."""

    name = "exchanged_off"
    letters = "S6"

    def __init__(self, chronicle: Chronicle, accuse: Accuse) -> None:
        super().__init__(chronicle, accuse)
        self._running: set[tuple[str, str]] = set()  # Servers, and the hosts on which their guests run.

    def ears(self) -> Mapping[type[Happening], Ear]:
        """Hear of guests and of calls of hypervisors."""
        return {GuestOn: self._on, GuestOff: self._off, Called: self._called}

    def _on(self, what: GuestOn) -> None:
        self._running.add((what.server, what.host))

    def _off(self, what: GuestOff) -> None:
        self._running.discard((what.server, what.host))

    def _called(self, what: Called) -> None:
        host = host_of(what.where) or what.where
        if what.call == "replace_disk" and not what.error and (what.about, host) in self._running:
            self.accuse(what.about, f"its root disk on {host} is exchanged, and its guest runs")


class DiskOfImage(Oracle):
    """A server has the root disk that was made of the image its user named last, and its record names that."""

    name = "disk_of_image"
    letters = "E3, M6"

    def __init__(self, chronicle: Chronicle, accuse: Accuse) -> None:
        super().__init__(chronicle, accuse)
        self._named: dict[str, str] = {}  # What users have had root disks made from, successfully.
        self._travelled: set[str] = set()  # Servers whose disks have come along as other images since.

    def ears(self) -> Mapping[type[Happening], Ear]:
        """Hear of entries."""
        return {Journaled: self._journaled}

    def _journaled(self, what: Journaled) -> None:
        tale = self.chronicle.tales[what.conversation]
        if what.entry.kind is not Kind.END or not tale.is_success:
            return
        order = _order(tale)
        if isinstance(order, CreateServer | RebuildServer):
            self._named[what.server] = order.image
            self._travelled.discard(what.server)
        elif what.goal in TRAVELS:
            self._travelled.add(what.server)
        elif what.goal is Goal.DELETE:
            self._named.pop(what.server, None)

    def at_rest(self, truth: Truth, *, healed_for_s: float) -> None:  # noqa: ARG002 - Holds however long it was.
        """Compare records and root disks with what was named."""
        made = {(guest.server, str(guest.cell), guest.host): guest.image for guest in truth.guests}
        off = fenced(truth)
        for standing in settled(truth):
            server, named = standing.server, self._named.get(standing.server)
            if not named:
                continue
            if standing.record.image != named:
                self.accuse(server, f"was made from {named}, and its record says {standing.record.image}")
            image = made.get((server, *standing.home.place))
            if server not in self._travelled and standing.record.host not in off and image != named:
                self.accuse(server, f"was made from {named}, and its root disk from {image}")


class ImagesKept(Oracle):
    """Of each server there are just the images that its users have had made, but for those that were rotated away."""

    name = "images_kept"
    letters = "M6, L3"

    def __init__(self, chronicle: Chronicle, accuse: Accuse) -> None:
        super().__init__(chronicle, accuse)
        self._kept: dict[str, dict[str, list[str]]] = {}  # By server and type, the oldest first; snapshots: no type.

    def ears(self) -> Mapping[type[Happening], Ear]:
        """Hear of entries."""
        return {Journaled: self._journaled}

    def _journaled(self, what: Journaled) -> None:
        entry = what.entry
        if entry.kind is not Kind.DONE or entry.is_undo or what.goal not in {Goal.SNAPSHOT, Goal.BACKUP}:
            return
        order = _order(self.chronicle.tales[what.conversation])
        if not isinstance(order, ImageServer):
            return
        kept = self._kept.setdefault(what.server, {}).setdefault(order.backup_type, [])
        if entry.step == "publish_snapshot":
            kept.append(order.image)
        elif entry.step == "rotate_backups":
            del kept[: max(0, len(kept) - order.rotation)]

    def at_rest(self, truth: Truth, *, healed_for_s: float) -> None:  # noqa: ARG002 - Holds however long it was.
        """Compare the images that there are with those."""
        there: dict[str, set[str]] = {}
        for image in truth.all(Image):
            if image.source and image.status == ACTIVE:
                there.setdefault(image.source, set()).add(image.id)
        for server in sorted({*there, *self._kept}):
            if self.chronicle.open_of(server):
                continue
            kept = {image for images in self._kept.get(server, {}).values() for image in images}
            for name in sorted(kept - there.get(server, set())):
                self.accuse(server, f"its image {name} is gone, and nobody has rotated it away")
            for name in sorted(there.get(server, set()) - kept):
                self.accuse(server, f"its image {name} is there, and nobody has had it made, or it was rotated away")
