"""What a host does with its guests.  Every method may run again after a crash and then changes nothing more.

A guest is only ever started under a permit that is in this host's store; the permit is given up in the same
transaction that stores the answer "stopped", after the guest is off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from actors.compute.drivers.base import Boot, GuestMemory, GuestSpec, NetworkInfo, Power, VolumeConnection
from actors.compute.drivers.imaging import without_boots
from actors.store.records import load, save
from protocol.draft import Changes, need
from protocol.errors import AlreadyExists, GuestNotFound, InvalidState, PermitRefused, VolumeUnreachable
from protocol.messages import hosts as say
from protocol.messages import live
from protocol.messages.consoles import GuestConsole, ShowConsole
from protocol.messages.wiring import AppliedNetwork, AppliedPorts, PortAddress
from protocol.records import HeldPermit
from protocol.requests import Done
from protocol.states import PowerState

if TYPE_CHECKING:
    from actors.compute.drivers.base import Driver, GuestState
    from actors.kernel.ports import Connection, Store
    from actors.partners.ports import ImageFiles, VolumeFiles
    from protocol.effects.registry import Moment
    from protocol.messages import rebuilding
    from protocol.messages.live import ReceiveGuest, RestoreGuest

    Holding = say.SpawnGuest | say.ResumeGuest | RestoreGuest | ReceiveGuest
    from protocol.messages.imaging import CaptureDisk
    from protocol.messages.wiring import ApplyNetwork, FindNetwork


#: What a guest is held in: only one that is on can be.
HELD: Final = frozenset({PowerState.PAUSED, PowerState.SUSPENDED})


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

    def hold(self, connection: Connection, request: Holding, moment: Moment) -> None:
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

    def give_back_saved(
        self, connection: Connection, request: live.SaveGuest, saved: live.SavedGuest, _moment: Moment
    ) -> live.SavedGuest:
        """Store that the permit is given back, of a guest that ran."""
        former = HeldPermit(server=request.server, number=None, former_power=PowerState.RUNNING)
        self._put(connection, former)
        return saved

    def settle_resumed(
        self,
        connection: Connection,
        request: say.ResumeGuest | live.RestoreGuest,
        report: say.GuestReport,
        moment: Moment,
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
        """Let the guest be what it was.  A guest that never was there was what refused the stop."""
        guest = await self._driver.guest(request.server)
        if guest is None:
            return say.GuestReport(power_state=PowerState.NOSTATE, permit=None)
        is_held = request.state in HELD
        if guest.is_defined and not moment.undoes_nothing and (guest.power.is_on or not is_held):
            await self._bring(request)
        return await self._show(request.server)

    async def _bring(self, request: say.ResumeGuest | say.PowerGuest) -> None:
        """Have the guest run, or hold it; to leave it off, nothing is done."""
        match request.state:
            case PowerState.RUNNING:
                await self._driver.power_on(request.server, permit=request.permit)
            case PowerState.PAUSED:
                await self._driver.pause(request.server)
            case PowerState.SUSPENDED:
                await self._driver.suspend(request.server)
            case _:
                pass

    async def power(self, request: say.PowerGuest, moment: Moment) -> say.GuestReport:
        """Have the guest run, be off or be held; as the undo of what never happened, only tell how it is."""
        if moment.undoes_nothing:
            guest = await self._driver.guest(request.server)
            return _report(guest) if guest else say.GuestReport(power_state=PowerState.NOSTATE, permit=None)
        if request.state is PowerState.SHUTDOWN:
            await self._driver.power_off(request.server)
        else:
            check_held_state(await self._show(request.server), request)
            await self._bring(request)
        return await self._show(request.server)

    async def show(self, request: say.ShowGuest, _moment: Moment) -> say.GuestReport:
        """Tell how the guest is."""
        return await self._show(request.server)

    async def find(self, request: say.FindGuest, _moment: Moment) -> say.GuestHoldings:
        """Tell what there is of a server, if anything."""
        return holdings_of(await self._driver.guest(request.server))

    async def console(self, request: ShowConsole, _moment: Moment) -> GuestConsole:
        """Tell where the guest can be spoken to."""
        found = await self._driver.console(request.server)
        return GuestConsole(kind=found.kind, address=found.address, port=found.port)

    # --- disks and volumes -----------------------------------------------------------------------------------

    async def snapshot(self, request: say.SnapshotGuest, _moment: Moment) -> say.SnapshotTaken:
        """Put the root disk into the image store."""
        digest = await self._images.write(request.image, self._driver.snapshot(request.server))
        return say.SnapshotTaken(size_bytes=digest.size_bytes, sha256=digest.sha256)

    async def capture(self, request: CaptureDisk, _moment: Moment) -> say.SnapshotTaken:
        """Put the root disk into the image store as it is at an instant, for others to be made of."""
        chunks = without_boots(self._driver.live_snapshot(request.server))
        digest = await self._images.write(request.image, chunks)
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

    # --- moving while it runs --------------------------------------------------------------------------------

    async def save(self, request: live.SaveGuest, _moment: Moment) -> live.SavedGuest:
        """Stop the guest where it is, and give its memory."""
        await self._store.transact(self._check_saving, request)
        return saved_of(await self._driver.save(request.server))

    def _check_saving(self, connection: Connection, request: live.SaveGuest) -> None:
        held = self._held(connection, request.server)
        if held is None or held.number != request.permit:
            reason = f"host {self._host} does not hold it"
            raise PermitRefused(server=request.server, number=request.permit, reason=reason)

    async def restore(self, request: live.RestoreGuest, moment: Moment) -> say.GuestReport:
        """Let the guest go on, if it was stopped to be saved."""
        guest = await self._driver.guest(request.server)
        if guest is None or not guest.is_defined:
            return say.GuestReport(power_state=PowerState.NOSTATE, permit=None)
        if not moment.undoes_nothing:
            await self._driver.restore(request.server, permit=request.permit)
        return await self._show(request.server)

    async def receive_disk(self, request: live.ReceiveDisk, _moment: Moment) -> Done:
        """Make the disk of a guest that is to come, and the guest, off."""
        await self._driver.spawn(self._spec(request))
        return Done()

    async def receive(self, request: live.ReceiveGuest, _moment: Moment) -> say.GuestReport:
        """Let the guest go on here."""
        return _report(await self._driver.receive(self._spec(request), memory_of(request.memory)))

    # --- another disk ----------------------------------------------------------------------------------------

    async def prepare_disk(self, request: rebuilding.PrepareDisk, _moment: Moment) -> Done:
        """Make another root disk beside the guest's."""
        await self._driver.prepare_disk(request.server, request.image)
        return Done()

    async def replace_disk(self, request: rebuilding.ReplaceDisk, _moment: Moment) -> Done:
        """Put the prepared disk in the place of the guest's."""
        await self._driver.replace_disk(request.server)
        return Done()

    async def restore_disk(self, request: rebuilding.RestoreDisk, _moment: Moment) -> Done:
        """Have the guest's disk be the one that it was before."""
        await self._driver.restore_disk(request.server)
        return Done()

    async def keep_disk(self, request: rebuilding.KeepDisk, _moment: Moment) -> Done:
        """Remove the disk that was set aside."""
        await self._driver.keep_disk(request.server)
        return Done()

    # --- network ---------------------------------------------------------------------------------------------

    async def apply_network(self, request: ApplyNetwork, _moment: Moment) -> Done:
        """Apply the guest's ports again, or tell it of them."""
        await self._driver.apply_network(request.server, network_of(request))
        return Done()

    async def find_network(self, request: FindNetwork, _moment: Moment) -> AppliedNetwork:
        """Tell what was last done about the guest's network."""
        return applied_network(await self._driver.networks(request.server))

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

    def _spec(self, request: say.SpawnGuest | say.ReattachGuest | live.ReceiveDisk | live.ReceiveGuest) -> GuestSpec:
        return GuestSpec(
            server=request.server, name=request.name, vcpus=request.flavor.vcpus,
            memory_mb=request.flavor.memory_mb, disk_gb=request.flavor.disk_gb, image=request.image or None,
            volumes=tuple(self._connection(place) for place in request.volumes), permit=request.permit,
            is_powered_on=request.is_powered_on,
        )  # fmt: skip


def check_held_state(found: say.GuestReport, request: say.PowerGuest) -> None:
    """Refuse to hold a guest that is off: it has died, and waiting for it is vain."""
    if request.state in HELD and found.power_state is PowerState.SHUTDOWN:
        raise InvalidState(
            kind="guest", name=request.server, field="power_state", found=found.power_state.name, expected="RUNNING"
        )


def _report(guest: GuestState) -> say.GuestReport:
    power = PowerState(guest.power if guest.is_defined else Power.SHUTDOWN)
    witness = guest.witness
    return say.GuestReport(
        power_state=power, permit=guest.permit, counter=witness.counter if witness else 0,
        boots=witness.boots_total if witness else 0,
    )  # fmt: skip


def holdings_of(guest: GuestState | None) -> say.GuestHoldings:
    """Say what there is of a server by what its hypervisor has."""
    if guest is None:
        return say.GuestHoldings()
    is_running = guest.power.is_on
    return say.GuestHoldings(is_defined=guest.is_defined, is_running=is_running, has_disk=guest.has_disk)


def network_of(request: ApplyNetwork) -> NetworkInfo:
    """Say what a hypervisor is to apply."""
    ports = tuple((each.port, each.address) for each in request.ports)
    return NetworkInfo(by=request.by, ports=ports, is_reset=request.is_reset)


def applied_network(found: tuple[NetworkInfo, ...]) -> AppliedNetwork:
    """Say what a hypervisor has applied."""
    told = {
        each.is_reset: AppliedPorts(
            by=each.by, ports=tuple(PortAddress(port=port, address=address) for port, address in each.ports)
        )
        for each in found
    }
    return AppliedNetwork(reset=told.get(True, AppliedPorts()), injected=told.get(False, AppliedPorts()))


def saved_of(memory: GuestMemory) -> live.SavedGuest:
    """Say what a guest had in its memory."""
    starts = (live.GuestStart(host=boot.host, permit=boot.permit, number=boot.number) for boot in memory.boots)
    return live.SavedGuest(counter=memory.counter, starts=tuple(starts))


def memory_of(saved: live.SavedGuest) -> GuestMemory:
    """Say what a guest is to have in its memory."""
    boots = (Boot(host=start.host, permit=start.permit, number=start.number) for start in saved.starts)
    return GuestMemory(counter=saved.counter, boots=tuple(boots))
