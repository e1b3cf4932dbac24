"""What a host does with its guests.  Every method may run again after a crash and then changes nothing more.

A guest is only ever started under a permit that is in this host's store; the permit is given up in the same
transaction that stores the answer "stopped", after the guest is off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from actors.compute.drivers.base import GuestSpec, Power, VolumeConnection
from actors.store.records import load, save
from protocol.draft import Changes, need
from protocol.errors import AlreadyExists, GuestNotFound, PermitRefused, VolumeUnreachable
from protocol.messages import hosts as say
from protocol.records import HeldPermit
from protocol.requests import Done
from protocol.states import PowerState

if TYPE_CHECKING:
    from actors.compute.drivers.base import Driver, GuestState
    from actors.kernel.ports import Connection, Store
    from actors.partners.ports import ImageFiles, VolumeFiles
    from protocol.effects.registry import Moment


class Guests:
    """The guests of one host."""

    def __init__(self, host: str, *, store: Store, driver: Driver, images: ImageFiles, volumes: VolumeFiles) -> None:
        self._host = host
        self._store = store
        self._driver = driver
        self._images = images
        self._volumes = volumes

    # --- proofs ----------------------------------------------------------------------------------------------

    async def prove_target(self, request: say.ProveTarget, _moment: Moment) -> Done:
        """Refuse unless the server could come here."""
        await self._reach(request.volumes)
        if await self._driver.guest(request.server) is not None:
            raise AlreadyExists(kind="guest", name=f"{request.server} (on host {self._host})")
        return Done()

    async def prove_source(self, request: say.ProveSource, _moment: Moment) -> Done:
        """Refuse unless the server could come back here."""
        await self._reach(request.volumes)
        guest = await self._driver.guest(request.server)
        if not request.is_volume_backed and (guest is None or not guest.has_disk):
            raise GuestNotFound(server=request.server, host=self._host)
        return Done()

    async def _reach(self, places: tuple[say.VolumePlace, ...]) -> None:
        for place in places:
            if not await self._volumes.exists(place.volume):
                raise VolumeUnreachable(volume=place.volume, host=self._host)

    # --- permits ---------------------------------------------------------------------------------------------

    def hold(self, connection: Connection, request: say.SpawnGuest | say.ResumeGuest, moment: Moment) -> None:
        """Store that this host holds a permit."""
        if moment.undoes_nothing:
            return
        held = self._held(connection, request.server)
        if held is not None and held.number is not None and held.number > request.permit:
            reason = f"host {self._host} has had {held.number}"
            raise PermitRefused(server=request.server, number=request.permit, reason=reason)
        former = held.former_power if held else None
        self._put(connection, HeldPermit(server=request.server, number=request.permit, former_power=former))

    def hold_again(self, connection: Connection, request: say.ReattachGuest, _moment: Moment) -> None:
        """Store that this host holds the permit with which the server comes back."""
        if request.holds_permit:
            self._put(connection, HeldPermit(server=request.server, number=request.permit))

    def check_held(self, connection: Connection, request: say.PowerGuest, moment: Moment) -> None:
        """Refuse to touch a guest whose permit is not here."""
        if moment.undoes_nothing:
            return
        held = self._held(connection, request.server)
        if held is None or held.number != request.permit:
            reason = f"host {self._host} does not hold it"
            raise PermitRefused(server=request.server, number=request.permit, reason=reason)

    def give_back(
        self, connection: Connection, request: say.StopGuest, report: say.GuestReport, _moment: Moment
    ) -> say.GuestReport:
        """Store that the permit is given back."""
        self._put(connection, HeldPermit(server=request.server, number=None, former_power=report.power_state))
        return report

    def settle_resumed(
        self, connection: Connection, request: say.ResumeGuest, report: say.GuestReport, moment: Moment
    ) -> say.GuestReport:
        """Forget what the guest was before the stop that is undone now."""
        if not moment.undoes_nothing:
            self._put(connection, HeldPermit(server=request.server, number=request.permit))
        return report

    def forget(self, connection: Connection, request: say.DestroyGuest, _done: Done, _moment: Moment) -> Done:
        """Forget the server's permit with its guest."""
        if held := self._held(connection, request.server):
            save(connection, Changes(drops=(held,)))
        return Done()

    def _held(self, connection: Connection, server: str) -> HeldPermit | None:
        rows = load(connection, (need(HeldPermit, server=server),))
        return next((row for row in rows if isinstance(row, HeldPermit)), None)

    def _put(self, connection: Connection, held: HeldPermit) -> None:
        save(connection, Changes(puts=(held,)))

    # --- life ------------------------------------------------------------------------------------------------

    async def spawn(self, request: say.SpawnGuest, _moment: Moment) -> say.GuestReport:
        """Make the guest."""
        return _report(await self._driver.spawn(self._spec(request)))

    async def destroy(self, request: say.DestroyGuest, _moment: Moment) -> Done:
        """Remove the guest and its disk."""
        await self._driver.destroy(request.server)
        return Done()

    async def stop(self, request: say.StopGuest, _moment: Moment) -> say.GuestReport:
        """Power the guest off; report what it was before, which outlives a crash in between."""
        guest = await self._driver.guest(request.server)
        if guest is None or not guest.is_defined:
            raise GuestNotFound(server=request.server, host=self._host)
        former = await self._store.transact(self._note_power, request, PowerState(guest.power))
        await self._driver.power_off(request.server)
        report = await self._show(request.server)
        return attrs.evolve(report, power_state=former, permit=None)

    def _note_power(self, connection: Connection, request: say.StopGuest, power: PowerState) -> PowerState:
        held = self._held(connection, request.server)
        if held is None or held.number != request.permit:
            reason = f"host {self._host} does not hold it"
            raise PermitRefused(server=request.server, number=request.permit, reason=reason)
        if held.former_power is None:
            self._put(connection, attrs.evolve(held, former_power=power))
            return power
        return held.former_power

    async def resume(self, request: say.ResumeGuest, moment: Moment) -> say.GuestReport:
        """Let the guest run again, if it did.  A guest that never was there was what refused the stop."""
        guest = await self._driver.guest(request.server)
        if guest is None:
            return say.GuestReport(power_state=PowerState.NOSTATE, permit=None)
        if request.is_powered_on and guest.is_defined and not moment.undoes_nothing:
            await self._driver.power_on(request.server, permit=request.permit)
        return await self._show(request.server)

    async def power(self, request: say.PowerGuest, moment: Moment) -> say.GuestReport:
        """Power the guest on or off; as the undo of what never happened, only tell how it is."""
        if moment.undoes_nothing:
            guest = await self._driver.guest(request.server)
            return _report(guest) if guest else say.GuestReport(power_state=PowerState.NOSTATE, permit=None)
        if request.is_powered_on:
            await self._driver.power_on(request.server, permit=request.permit)
        else:
            await self._driver.power_off(request.server)
        return await self._show(request.server)

    async def show(self, request: say.ShowGuest, _moment: Moment) -> say.GuestReport:
        """Tell how the guest is."""
        return await self._show(request.server)

    # --- disks and volumes -----------------------------------------------------------------------------------

    async def snapshot(self, request: say.SnapshotGuest, _moment: Moment) -> say.SnapshotTaken:
        """Put the root disk into the image store."""
        digest = await self._images.write(request.image, self._driver.snapshot(request.server))
        return say.SnapshotTaken(size_bytes=digest.size_bytes, sha256=digest.sha256)

    async def detach(self, request: say.DetachGuest, _moment: Moment) -> Done:
        """Forget the guest, keep its disk."""
        await self._driver.undefine(request.server)
        return Done()

    async def reattach(self, request: say.ReattachGuest, _moment: Moment) -> say.GuestReport:
        """Put the guest back over its kept disk."""
        return _report(await self._driver.define(self._spec(request)))

    async def connect(self, request: say.ConnectVolume, _moment: Moment) -> Done:
        """Give the guest a volume."""
        await self._reach((request.place,))
        await self._driver.connect_volume(request.server, self._connection(request.place))
        return Done()

    async def disconnect(self, request: say.DisconnectVolume, _moment: Moment) -> Done:
        """Take a volume from the guest; one that has no guest any more has let go of it."""
        if await self._driver.guest(request.server) is not None:
            await self._driver.disconnect_volume(request.server, request.volume)
        return Done()

    async def copy(self, request: say.CopyVolume, _moment: Moment) -> Done:
        """Have the guest write to a copy of a volume, too."""
        await self._reach((request.place,))
        await self._driver.copy_volume(request.server, request.volume, self._connection(request.place))
        return Done()

    async def _show(self, server: str) -> say.GuestReport:
        guest = await self._driver.guest(server)
        if guest is None:
            raise GuestNotFound(server=server, host=self._host)
        return _report(guest)

    def _connection(self, place: say.VolumePlace) -> VolumeConnection:
        return VolumeConnection(
            volume=place.volume, attachment=place.attachment, device=place.device,
            path=self._volumes.path(place.volume), boot_index=place.boot_index,
        )  # fmt: skip

    def _spec(self, request: say.SpawnGuest | say.ReattachGuest) -> GuestSpec:
        return GuestSpec(
            server=request.server, name=request.name, vcpus=request.flavor.vcpus,
            memory_mb=request.flavor.memory_mb, disk_gb=request.flavor.disk_gb, image=request.image or None,
            volumes=tuple(self._connection(place) for place in request.volumes), permit=request.permit,
            is_powered_on=request.is_powered_on,
        )  # fmt: skip


def _report(guest: GuestState) -> say.GuestReport:
    power = PowerState(guest.power if guest.is_defined else Power.SHUTDOWN)
    witness = guest.witness
    return say.GuestReport(
        power_state=power, permit=guest.permit, counter=witness.counter if witness else 0,
        boots=witness.boots_total if witness else 0,
    )  # fmt: skip
