"""The actor of a compute host: what `actors.compute.guests` does, over a hypervisor of values."""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import attrs

from actors.compute.drivers.base import GuestSpec, GuestState, Power, VolumeConnection
from actors.compute.guests import (
    HELD,
    applied_network,
    check_held_state,
    holdings_of,
    memory_of,
    network_of,
    saved_of,
)
from protocol.cell_path import Address, CellPath, host_mailbox
from protocol.draft import Changes
from protocol.errors import AlreadyExists, GuestNotFound, PermitRefused, VolumeUnreachable
from protocol.messages import hosts as say
from protocol.messages import live, rebuilding
from protocol.messages.imaging import CaptureDisk
from protocol.messages.wiring import ApplyNetwork, FindNetwork
from protocol.records import HeldPermit
from protocol.requests import Done
from protocol.states import PowerState
from sim.inner.actors import Actor, Ensuring, Working
from sim.inner.outside import Calls
from sim.inner.stores import SIZE_BYTES, digest_of_disk

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.compute.drivers.disk import DiskWitness
    from actors.compute.guests import Holding
    from protocol.effects.registry import Moment
    from protocol.requests import Request
    from sim.inner.fences import Start
    from sim.inner.hypervisor import Hypervisor
    from sim.inner.messages import Question
    from sim.inner.setting import Setting
    from sim.inner.stores import Stores


class Host(Actor):
    """One compute host."""

    def __init__(self, name: str, cell: CellPath, setting: Setting, *, hypervisor: Hypervisor, stores: Stores) -> None:
        super().__init__(Address(cell, host_mailbox(name)), setting)
        self.host = name
        self.hypervisor = hypervisor
        self.stores = stores
        self.calls = Calls(self.name, name, hypervisor, setting)
        self.process.when_crashed.append(self.calls.crash)
        self.process.when_crashed.append(self._drop_waiting)
        self.start: Start | None = None  # Its way to ask the root what it may run, once there is one.
        self.is_ready = True
        self._waiting: list[Question] = []  # In its queue, until it is ready.

    # --- starting ----------------------------------------------------------------------------------------------

    def _reconcile(self) -> None:
        """Ask the root what it may run, before it goes on with anything."""
        self.is_ready = False
        assert self.start is not None, "a host that starts has somebody to ask"
        self.start.begin()

    def be_ready(self) -> None:
        """Go on with what was accepted, then read what waits in the queue."""
        self.is_ready = True
        super()._reconcile()
        waiting, self._waiting = self._waiting, []
        for question in waiting:
            question.arrive()

    def receive(self, question: Question) -> None:
        """Take a question, or leave it in the queue."""
        if self.is_ready:
            super().receive(question)
        else:
            self._waiting.append(question)

    def _drop_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for question in waiting:
            question.arrive()

    @cached_property
    def ensurings(self) -> dict[type[Request[Any]], Ensuring]:
        """List all that a host is asked."""
        return {
            say.ProveTarget: Ensuring(ensure=self._prove_target),
            say.ProveSource: Ensuring(ensure=self._prove_source),
            say.SpawnGuest: Ensuring(accept=self._hold, ensure=self._spawn),
            say.DestroyGuest: Ensuring(ensure=self._destroy, settle=self._forget),
            say.StopGuest: Ensuring(ensure=self._stop, settle=self._give_back),
            say.ResumeGuest: Ensuring(accept=self._hold, ensure=self._resume, settle=self._settle_resumed),
            say.SnapshotGuest: Ensuring(ensure=self._snapshot),
            CaptureDisk: Ensuring(ensure=self._capture),
            say.DetachGuest: Ensuring(ensure=self._detach),
            say.ReattachGuest: Ensuring(accept=self._hold_again, ensure=self._reattach),
            say.PowerGuest: Ensuring(accept=self._check_held, ensure=self._power),
            say.ConnectVolume: Ensuring(ensure=self._connect),
            say.CopyVolume: Ensuring(ensure=self._copy),
            say.DisconnectVolume: Ensuring(ensure=self._disconnect),
            live.SaveGuest: Ensuring(ensure=self._save, settle=self._give_back_saved),
            live.RestoreGuest: Ensuring(accept=self._hold, ensure=self._restore, settle=self._settle_resumed),
            live.ReceiveDisk: Ensuring(ensure=self._receive_disk),
            live.ReceiveGuest: Ensuring(accept=self._hold, ensure=self._receive),
            rebuilding.PrepareDisk: Ensuring(ensure=self._prepare_disk),
            rebuilding.ReplaceDisk: Ensuring(ensure=self._replace_disk),
            rebuilding.RestoreDisk: Ensuring(ensure=self._restore_disk),
            rebuilding.KeepDisk: Ensuring(ensure=self._keep_disk),
            ApplyNetwork: Ensuring(ensure=self._apply_network),
            FindNetwork: Ensuring(ensure=self._find_network),
            say.ShowGuest: Ensuring(ensure=self._tell_of),
            say.FindGuest: Ensuring(ensure=self._find),
        }

    # --- proofs ----------------------------------------------------------------------------------------------

    def _prove_target(self, request: say.ProveTarget, _moment: Moment) -> Working:
        yield from self._reach(request.volumes)
        if self.hypervisor.guest(request.server) is not None:
            raise AlreadyExists(kind="guest", name=f"{request.server} (on host {self.host})")
        return Done()

    def _prove_source(self, request: say.ProveSource, _moment: Moment) -> Working:
        yield from self._reach(request.volumes)
        guest = self.hypervisor.guest(request.server)
        if not request.is_volume_backed and (guest is None or not guest.has_disk):
            raise GuestNotFound(server=request.server, host=self.host)
        return Done()

    def _reach(self, places: tuple[say.VolumePlace, ...]) -> Working:
        for place in places:
            exists = partial(self.stores.volumes.__contains__, place.volume)
            if not (yield from self.stores.volume.call("exists", place.volume, exists, by=self.name)):
                raise VolumeUnreachable(volume=place.volume, host=self.host)

    # --- permits ---------------------------------------------------------------------------------------------

    def _hold(self, request: Holding, moment: Moment) -> None:
        if moment.undoes_nothing:
            return
        held = self._held(request.server)
        if held is not None and held.number is not None and held.number > request.permit:
            reason = f"host {self.host} has had {held.number}"
            raise PermitRefused(server=request.server, number=request.permit, reason=reason)
        former = held.former_power if held else None
        self._put(HeldPermit(server=request.server, number=request.permit, former_power=former))

    def _hold_again(self, request: say.ReattachGuest, _moment: Moment) -> None:
        if request.holds_permit:
            self._put(HeldPermit(server=request.server, number=request.permit))

    def _check_held(self, request: say.PowerGuest | say.StopGuest | live.SaveGuest, moment: Moment) -> None:
        if moment.undoes_nothing:
            return
        held = self._held(request.server)
        if held is None or held.number != request.permit:
            reason = f"host {self.host} does not hold it"
            raise PermitRefused(server=request.server, number=request.permit, reason=reason)

    def _give_back(self, request: say.StopGuest, report: say.GuestReport, _moment: Moment) -> say.GuestReport:
        self._put(HeldPermit(server=request.server, number=None, former_power=report.power_state))
        return report

    def _settle_resumed(
        self, request: say.ResumeGuest | live.RestoreGuest, report: say.GuestReport, moment: Moment
    ) -> say.GuestReport:
        if not moment.undoes_nothing:
            self._put(HeldPermit(server=request.server, number=request.permit))
        return report

    def _forget(self, request: say.DestroyGuest, _done: Done, _moment: Moment) -> Done:
        if held := self._held(request.server):
            self.rows.save(Changes(drops=(held,)))
        return Done()

    def _held(self, server: str) -> HeldPermit | None:
        return self.rows.find(HeldPermit, server)

    def _put(self, held: HeldPermit) -> None:
        self.rows.save(Changes(puts=(held,)))

    # --- life ------------------------------------------------------------------------------------------------

    def _spawn(self, request: say.SpawnGuest, _moment: Moment) -> Working:
        return (yield from self._make(self._spec(request)))

    def _make(self, spec: GuestSpec) -> Working:
        if self.hypervisor.needs_image(spec):
            yield from self.stores.image.call("read", spec.image or "", lambda: None, by=self.name)
        half = partial(self.hypervisor.keep_made_disk, spec)
        return _report((yield from self._call("spawn", spec.server, self.hypervisor.spawn, spec, half=half)))

    def _destroy(self, request: say.DestroyGuest, _moment: Moment) -> Working:
        yield from self._call("destroy", request.server, self.hypervisor.destroy, request.server)
        return Done()

    def _stop(self, request: say.StopGuest, moment: Moment) -> Working:
        guest = self.hypervisor.guest(request.server)
        if guest is None or not guest.is_defined:
            raise GuestNotFound(server=request.server, host=self.host)
        former = self._note_power(request, PowerState(guest.power), moment)
        yield from self._call("power_off", request.server, self.hypervisor.stop, request.server)
        report = self._show(request.server)
        return attrs.evolve(report, power_state=former, permit=None)

    def _note_power(self, request: say.StopGuest, power: PowerState, moment: Moment) -> PowerState:
        is_unsure = self.setting.check_store(self.name)
        held = self._held(request.server)
        self._check_held(request, attrs.evolve(moment, undoes_nothing=False))
        assert held is not None, "it was checked"
        if held.former_power is None:
            self._put(attrs.evolve(held, former_power=power))
        if is_unsure:
            raise self.setting.unsure(self.name)
        return held.former_power or power

    def _resume(self, request: say.ResumeGuest, moment: Moment) -> Working:
        guest = self.hypervisor.guest(request.server)
        if guest is None:
            return say.GuestReport(power_state=PowerState.NOSTATE, permit=None)
        is_held = request.state in HELD
        if guest.is_defined and not moment.undoes_nothing and (guest.power.is_on or not is_held):
            yield from self._bring(request)
        return self._show(request.server)

    def _bring(self, request: say.ResumeGuest | say.PowerGuest) -> Working:
        server = request.server
        match request.state:
            case PowerState.RUNNING:
                yield from self._call("power_on", server, self.hypervisor.power_on, server, request.permit)
            case PowerState.PAUSED:
                yield from self._call("pause", server, self.hypervisor.hold, server, Power.PAUSED)
            case PowerState.SUSPENDED:
                half = partial(self.hypervisor.hold, server, Power.PAUSED)
                yield from self._call("suspend", server, self.hypervisor.hold, server, Power.SUSPENDED, half=half)
            case _:
                pass

    def _power(self, request: say.PowerGuest, moment: Moment) -> Working:
        if moment.undoes_nothing:
            guest = self.hypervisor.guest(request.server)
            return _report(guest) if guest else say.GuestReport(power_state=PowerState.NOSTATE, permit=None)
        if request.state is PowerState.SHUTDOWN:
            yield from self._call("power_off", request.server, self._off, request.server)
        else:
            check_held_state(self._show(request.server), request)
            yield from self._bring(request)
        return self._show(request.server)

    def _tell_of(self, request: say.ShowGuest, _moment: Moment) -> Working:
        yield from ()
        return self._show(request.server)

    def _find(self, request: say.FindGuest, _moment: Moment) -> Working:
        yield from ()
        return holdings_of(self.hypervisor.guest(request.server))

    def _off(self, server: str) -> None:
        self.hypervisor.stop(server)

    # --- disks and volumes -----------------------------------------------------------------------------------

    def _snapshot(self, request: say.SnapshotGuest, _moment: Moment) -> Working:
        return (yield from self._keep("snapshot", request, self.hypervisor.snapshot))

    def _capture(self, request: CaptureDisk, _moment: Moment) -> Working:
        return (yield from self._keep("live_snapshot", request, self.hypervisor.live_snapshot))

    def _keep(self, call: str, request: say.SnapshotGuest | CaptureDisk, read: Callable[[str], DiskWitness]) -> Working:
        content = yield from self._call(call, request.server, read, request.server)
        keep = partial(self.stores.images.__setitem__, request.image, content)
        yield from self.stores.image.call("write", request.image, keep, by=self.name)
        return say.SnapshotTaken(size_bytes=SIZE_BYTES, sha256=digest_of_disk(content))

    def _detach(self, request: say.DetachGuest, _moment: Moment) -> Working:
        yield from self._call("undefine", request.server, self.hypervisor.undefine, request.server)
        return Done()

    def _reattach(self, request: say.ReattachGuest, _moment: Moment) -> Working:
        spec = self._spec(request)
        return _report((yield from self._call("define", spec.server, self.hypervisor.define, spec)))

    def _connect(self, request: say.ConnectVolume, _moment: Moment) -> Working:
        yield from self._reach((request.place,))
        connection = _connection(request.place)
        connect = self.hypervisor.connect_volume
        yield from self._call("connect_volume", request.server, connect, request.server, connection)
        return Done()

    def _disconnect(self, request: say.DisconnectVolume, _moment: Moment) -> Working:
        if self.hypervisor.guest(request.server) is not None:
            disconnect = self.hypervisor.disconnect_volume
            yield from self._call("disconnect_volume", request.server, disconnect, request.server, request.volume)
        return Done()

    def _copy(self, request: say.CopyVolume, _moment: Moment) -> Working:
        yield from self._reach((request.place,))
        copy = self.hypervisor.copy_volume
        connection = _connection(request.place)
        yield from self._call("copy_volume", request.server, copy, request.server, request.volume, connection)
        return Done()

    def _save(self, request: live.SaveGuest, moment: Moment) -> Working:
        self._check_held(request, attrs.evolve(moment, undoes_nothing=False))
        return saved_of((yield from self._call("save", request.server, self.hypervisor.save, request.server)))

    def _give_back_saved(self, request: live.SaveGuest, saved: live.SavedGuest, _moment: Moment) -> live.SavedGuest:
        self._put(HeldPermit(server=request.server, number=None, former_power=PowerState.RUNNING))
        return saved

    def _restore(self, request: live.RestoreGuest, moment: Moment) -> Working:
        guest = self.hypervisor.guest(request.server)
        if guest is None or not guest.is_defined:
            return say.GuestReport(power_state=PowerState.NOSTATE, permit=None)
        if not moment.undoes_nothing:
            restore = self.hypervisor.restore
            yield from self._call("restore", request.server, restore, request.server, request.permit)
        return self._show(request.server)

    def _receive_disk(self, request: live.ReceiveDisk, _moment: Moment) -> Working:
        yield from self._make(self._spec(request))
        return Done()

    def _receive(self, request: live.ReceiveGuest, _moment: Moment) -> Working:
        spec, memory = self._spec(request), memory_of(request.memory)
        return _report((yield from self._call("receive", spec.server, self.hypervisor.receive, spec, memory)))

    def _prepare_disk(self, request: rebuilding.PrepareDisk, _moment: Moment) -> Working:
        yield from self.stores.image.call("read", request.image, lambda: None, by=self.name)
        prepare = self.hypervisor.prepare_disk
        yield from self._call("prepare_disk", request.server, prepare, request.server, request.image)
        return Done()

    def _replace_disk(self, request: rebuilding.ReplaceDisk, _moment: Moment) -> Working:
        yield from self._call("replace_disk", request.server, self.hypervisor.replace_disk, request.server)
        return Done()

    def _restore_disk(self, request: rebuilding.RestoreDisk, _moment: Moment) -> Working:
        yield from self._call("restore_disk", request.server, self.hypervisor.restore_disk, request.server)
        return Done()

    def _keep_disk(self, request: rebuilding.KeepDisk, _moment: Moment) -> Working:
        yield from self._call("keep_disk", request.server, self.hypervisor.keep_disk, request.server)
        return Done()

    def _apply_network(self, request: ApplyNetwork, _moment: Moment) -> Working:
        apply = self.hypervisor.apply_network
        yield from self._call("apply_network", request.server, apply, request.server, network_of(request))
        return Done()

    def _find_network(self, request: FindNetwork, _moment: Moment) -> Working:
        yield from ()
        return applied_network(self.hypervisor.networks(request.server))

    def _call(self, call: str, server: str, work: Any, *arguments: Any, half: Any = None) -> Working:
        return (yield from self.calls.call(call, server, partial(work, *arguments), half))

    def _show(self, server: str) -> say.GuestReport:
        guest = self.hypervisor.guest(server)
        if guest is None:
            raise GuestNotFound(server=server, host=self.host)
        return _report(guest)

    def _spec(self, request: say.SpawnGuest | say.ReattachGuest | live.ReceiveDisk | live.ReceiveGuest) -> GuestSpec:
        return GuestSpec(
            server=request.server, name=request.name, vcpus=request.flavor.vcpus,
            memory_mb=request.flavor.memory_mb, disk_gb=request.flavor.disk_gb, image=request.image or None,
            volumes=tuple(map(_connection, request.volumes)), permit=request.permit,
            is_powered_on=request.is_powered_on,
        )  # fmt: skip


def _connection(place: say.VolumePlace) -> VolumeConnection:
    return VolumeConnection(
        volume=place.volume, attachment=place.attachment, device=place.device, path=place.volume,
        boot_index=place.boot_index,
    )  # fmt: skip


def _report(guest: GuestState) -> say.GuestReport:
    witness = guest.witness
    return say.GuestReport(
        power_state=PowerState(guest.power if guest.is_defined else Power.SHUTDOWN),
        permit=guest.permit,
        counter=witness.counter if witness else 0,
        boots=witness.boots_total if witness else 0,
    )
