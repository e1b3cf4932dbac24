"""Hypervisors that take their time, fail, and go on with what a killed host's actor had asked of them."""

from __future__ import annotations

import asyncio
import copy
from contextlib import aclosing, suppress
from contextvars import Context
from typing import TYPE_CHECKING, Any, Final, TypeVar

import anyio
import attrs

from actors.compute.drivers.base import GRACE_S
from protocol.errors import CellferryError, GuestBusy, HypervisorFailed
from sim.edges.calls import CHANGES, DURATIONS_S
from sim.edges.outside import Outside, Turn, live
from sim.faults import FaultKind
from sim.history import GuestOff, GuestOn

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

    from actors.compute.drivers.base import (
        ConsolePort,
        GuestMemory,
        GuestSpec,
        GuestState,
        NetworkInfo,
        Traffic,
        Uptime,
        VolumeConnection,
    )
    from actors.compute.drivers.memory import MemoryDriver
    from sim.chance import Chance
    from sim.history import History
    from sim.injector import Injector
    from sim.process import Process

T = TypeVar("T")

GOES_ON: Final = 0.5
BUSY: Final = 0.5
HALF: Final = 0.5


class SimDriver:
    """The hypervisor of one host, which outlives the host's actor; each process gets its own view of it.

    When a process is killed, a call of its in progress goes on in the hypervisor or not, by keyed chance; what is
    certain is that nobody hears of it.
    """

    def __init__(
        self, inner: MemoryDriver, process_name: str, *, history: History, injector: Injector, chance: Chance,
        durations: Mapping[str, tuple[float, float]] = DURATIONS_S, scale: float = 1.0,
    ) -> None:  # fmt: skip
        """Wrap the guests of the host whose actor is `process_name`; `scale` stretches the durations, 0: instantly."""
        self.inner = inner
        self._name = process_name
        self._host = process_name.rpartition(":")[2]
        self._outside = Outside(
            place=process_name, where=self._host, durations={**DURATIONS_S, **durations}, scale=scale, history=history,
            injector=injector, chance=chance,
        )  # fmt: skip
        self._locks: dict[str, anyio.Lock] = {}
        self._going_on: list[asyncio.Task[None]] = []
        self._losses = [0]  # Of power, of the one machine that all views are of.
        self.process: Process | None = None

    def for_process(self, process: Process) -> SimDriver:
        """Give the hypervisor as a process calls it."""
        view = copy.copy(self)
        view.process = process
        return view

    # --- the truth, and accidents ------------------------------------------------------------------------------

    def inspect(self) -> tuple[GuestState, ...]:
        """Tell what guests, and what remains of guests, there are, now."""
        return self.inner.inspect()

    def kill_guest(self, server: str) -> bool:
        """Let a guest die by itself; tell whether one was running."""
        before = self._state(server)
        if not _is_on(before):
            return False
        self.inner.kill(server)
        self._note_power(server, before)
        return True

    def lose_power(self) -> None:
        """Lose what is under way: no hypervisor goes on with anything on a machine that is off."""
        self._losses[0] += 1

    # --- the port ----------------------------------------------------------------------------------------------

    async def guests(self) -> tuple[GuestState, ...]:
        """List all."""
        return await self._call("guests", "", self.inner.guests)

    async def console(self, server: str) -> ConsolePort:
        """Tell where the guest can be spoken to: nothing is done to it, so nothing fails."""
        await live(self.process)
        return await self.inner.console(server)

    async def traffic(self, server: str) -> Traffic | None:
        """Read the counters of the guest's port."""
        await live(self.process)
        return await self.inner.traffic(server)

    async def uptime(self) -> Uptime:
        """Tell how long the machine has been up: it is asked, and not the hypervisor, so nothing fails."""
        await live(self.process)
        return await self.inner.uptime()

    async def guest(self, server: str) -> GuestState | None:
        """Find one."""
        return await self._call("guest", server, lambda: self.inner.guest(server))

    async def spawn(self, spec: GuestSpec) -> GuestState:
        """Make the disk if there is none, then the guest."""
        return await self._call("spawn", spec.server, lambda: self.inner.spawn(spec), lambda: self._half_spawn(spec))

    async def define(self, spec: GuestSpec) -> GuestState:
        """Make the guest over the disk that is there."""
        half = attrs.evolve(spec, is_powered_on=False)
        return await self._call("define", spec.server, lambda: self.inner.define(spec), lambda: self.inner.define(half))

    async def power_on(self, server: str, *, permit: int) -> None:
        """Start the guest."""
        await self._call("power_on", server, lambda: self.inner.power_on(server, permit=permit))

    async def power_off(self, server: str, *, grace_s: float = GRACE_S) -> None:
        """Stop the guest."""
        await self._call("power_off", server, lambda: self.inner.power_off(server, grace_s=grace_s))

    async def pause(self, server: str) -> None:
        """Hold the guest."""
        await self._call("pause", server, lambda: self.inner.pause(server))

    async def unpause(self, server: str) -> None:
        """Let the guest go on."""
        await self._call("unpause", server, lambda: self.inner.unpause(server))

    async def suspend(self, server: str) -> None:
        """Save where the guest is, and end it; one that breaks off may have held it, and saved nothing."""
        await self._call("suspend", server, lambda: self.inner.suspend(server), lambda: self.inner.pause(server))

    async def snapshot(self, server: str) -> AsyncGenerator[bytes, None]:
        """Give the disk; a process that was killed reads no further."""
        async for chunk in self._disk("snapshot", server, self.inner.snapshot):
            yield chunk

    async def live_snapshot(self, server: str) -> AsyncGenerator[bytes, None]:
        """Give the disk as it is at an instant."""
        async for chunk in self._disk("live_snapshot", server, self.inner.live_snapshot):
            yield chunk

    async def _disk(
        self, call: str, server: str, read: Callable[[str], AsyncGenerator[bytes, None]]
    ) -> AsyncGenerator[bytes, None]:
        turn = self._outside.turn(call, server)
        await live(self.process)
        self._refuse(turn)
        await self._outside.wait(turn, self._outside.pace(turn, slow=FaultKind.DRIVER_SLOW), self.process)
        try:
            async with aclosing(read(server)) as chunks:
                async for chunk in chunks:
                    await live(self.process)
                    yield chunk
        except CellferryError as error:
            self._outside.called(turn, process=self._name, error=error.code)
            raise
        self._outside.called(turn, process=self._name)

    async def connect_volume(self, server: str, connection: VolumeConnection) -> None:
        """Give the guest a volume."""
        await self._call("connect_volume", server, lambda: self.inner.connect_volume(server, connection))

    async def disconnect_volume(self, server: str, volume: str) -> None:
        """Take a volume from the guest."""
        await self._call("disconnect_volume", server, lambda: self.inner.disconnect_volume(server, volume))

    async def copy_volume(self, server: str, volume: str, connection: VolumeConnection) -> None:
        """Copy a volume, and have the guest write to both."""
        await self._call("copy_volume", server, lambda: self.inner.copy_volume(server, volume, connection))

    async def save(self, server: str) -> GuestMemory:
        """Stop the guest where it is."""
        return await self._call("save", server, lambda: self.inner.save(server))

    async def restore(self, server: str, *, permit: int) -> None:
        """Let it go on."""
        await self._call("restore", server, lambda: self.inner.restore(server, permit=permit))

    async def receive(self, spec: GuestSpec, memory: GuestMemory) -> GuestState:
        """Let it go on here."""
        return await self._call("receive", spec.server, lambda: self.inner.receive(spec, memory))

    async def prepare_disk(self, server: str, image: str) -> None:
        """Make another disk."""
        await self._call("prepare_disk", server, lambda: self.inner.prepare_disk(server, image))

    async def replace_disk(self, server: str) -> None:
        """Put it in the guest's disk's place."""
        await self._call("replace_disk", server, lambda: self.inner.replace_disk(server))

    async def restore_disk(self, server: str) -> None:
        """Put the former one there again."""
        await self._call("restore_disk", server, lambda: self.inner.restore_disk(server))

    async def keep_disk(self, server: str) -> None:
        """Forget the former one."""
        await self._call("keep_disk", server, lambda: self.inner.keep_disk(server))

    async def apply_network(self, server: str, info: NetworkInfo) -> None:
        """Apply the guest's ports again, or tell it of them."""
        await self._call("apply_network", server, lambda: self.inner.apply_network(server, info))

    async def networks(self, server: str) -> tuple[NetworkInfo, ...]:
        """Tell what was last done about them."""
        return await self._call("networks", server, lambda: self.inner.networks(server))

    async def undefine(self, server: str) -> None:
        """Stop and forget the guest, keep its disk."""
        await self._call(
            "undefine", server, lambda: self.inner.undefine(server), lambda: self.inner.power_off(server)
        )  # fmt: skip

    async def destroy(self, server: str) -> None:
        """Stop and forget the guest and its disk."""
        await self._call("destroy", server, lambda: self.inner.destroy(server), lambda: self.inner.undefine(server))

    # --- a call ------------------------------------------------------------------------------------------------

    async def _call(
        self, call: str, server: str, act: Callable[[], Awaitable[T]], half: Callable[[], Awaitable[Any]] | None = None
    ) -> T:
        """Let a call take its time, do it, and tell whoever still lives."""
        turn, losses = self._outside.turn(call, server), self._losses[0]
        await live(self.process)
        self._refuse(turn)
        pace = self._outside.pace(turn, slow=FaultKind.DRIVER_SLOW)
        due_s = anyio.current_time() + pace.takes_s
        try:
            await self._outside.wait(turn, pace, self.process)
            if turn.call in CHANGES:
                self._outside.calling(turn, process=self._name)
            await live(self.process)
            result = await self._act(turn, act, half)
        except anyio.get_cancelled_exc_class():
            self._go_on(turn, act, half, due_s=due_s, losses=losses)
            raise
        await live(self.process)
        return result

    def _refuse(self, turn: Turn) -> None:
        fault = self._outside.strike(FaultKind.DRIVER_REFUSES, turn)
        if fault is None:
            return
        would_change = CHANGES.get(turn.call, _never)(self._state(turn.about))
        self._outside.note(fault, turn, mattered=would_change, process=self._name)
        is_busy = self._outside.hits(BUSY, "busy", turn)
        error = GuestBusy(server=turn.about, host=self._host, reason="the hypervisor is busy") if is_busy else None
        failure = error or self._failure(turn, "the hypervisor refused")
        self._outside.called(turn, process=self._name, error=failure.code)
        raise failure

    async def _act(self, turn: Turn, act: Callable[[], Awaitable[T]], half: Callable[[], Awaitable[Any]] | None) -> T:
        """Do what a call is for, one at a time for a server, and record it."""
        if turn.call not in CHANGES:
            result = await act()
            self._outside.called(turn, process=self._name)
            return result
        async with self._locks.setdefault(turn.about, anyio.Lock()):
            before = self._state(turn.about)
            try:
                return await self._do(turn, act, half, before)
            except CellferryError as error:
                self._outside.called(turn, process=self._name, error=error.code)
                raise
            finally:
                self._note_power(turn.about, before)

    async def _do(
        self,
        turn: Turn,
        act: Callable[[], Awaitable[T]],
        half: Callable[[], Awaitable[Any]] | None,
        before: GuestState | None,
    ) -> T:
        fault = self._outside.strike(FaultKind.DRIVER_DIRTY, turn)
        if fault is None:
            result = await act()
            self._outside.called(turn, process=self._name)
            return result
        try:
            await (half if half is not None and self._outside.hits(HALF, "half", turn) else act)()
        finally:
            has_changed = _lasting(self._state(turn.about)) != _lasting(before)
            self._outside.note(fault, turn, mattered=has_changed, process=self._name)
        raise self._failure(turn, "it broke off")

    async def _half_spawn(self, spec: GuestSpec) -> None:
        """Make the disk and no guest, where there is neither."""
        before = self._state(spec.server)
        if before is not None and before.is_defined:
            await self.inner.spawn(spec)
            return
        await self.inner.spawn(attrs.evolve(spec, is_powered_on=False))
        await self.inner.undefine(spec.server)

    def _failure(self, turn: Turn, reason: str) -> HypervisorFailed:
        return HypervisorFailed(server=turn.about, host=self._host, action=turn.call, reason=reason)

    # --- what a killed process had asked for -------------------------------------------------------------------

    def _go_on(
        self,
        turn: Turn,
        act: Callable[[], Awaitable[Any]],
        half: Callable[[], Awaitable[Any]] | None,
        *,
        due_s: float,
        losses: int,
    ) -> None:
        if self.process is None or not self.process.is_cut or turn.call not in CHANGES:
            return
        if not self._outside.hits(GOES_ON, "goes on", turn):
            return
        loop = asyncio.get_running_loop()

        def start() -> None:
            if self._losses[0] > losses:
                return
            self._going_on.append(loop.create_task(self._finish(turn, act, half), name=f"{self._name} {turn}"))

        # In a context of its own: the hypervisor is no part of the process that was killed.
        loop.call_at(due_s, start, context=Context())

    async def _finish(
        self, turn: Turn, act: Callable[[], Awaitable[Any]], half: Callable[[], Awaitable[Any]] | None
    ) -> None:
        self._outside.history.reach("hypervisor_went_on")
        with suppress(CellferryError):
            await self._act(turn, act, half)

    # --- guests ------------------------------------------------------------------------------------------------

    def _state(self, server: str) -> GuestState | None:
        return next((state for state in self.inner.inspect() if state.server == server), None)

    def _note_power(self, server: str, before: GuestState | None) -> None:
        after = self._state(server)
        if _is_on(after) and not _is_on(before):
            assert after is not None
            self._outside.history.record(
                GuestOn(process=self._name, host=self._host, server=server, permit=after.permit or 0)
            )
        elif _is_on(before) and not _is_on(after):
            self._outside.history.record(GuestOff(process=self._name, host=self._host, server=server))


def _never(_state: GuestState | None) -> bool:
    return False


def _is_on(state: GuestState | None) -> bool:
    """Tell whether a guest runs; one that is paused has not stopped."""
    return state is not None and state.power.is_on


def _lasting(state: GuestState | None) -> GuestState | None:
    """Leave out what a guest changes by itself."""
    return attrs.evolve(state, witness=None) if state is not None else None
