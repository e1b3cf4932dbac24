"""Calls of what is outside of the actors, hypervisors and stores of bytes: they take their time, and they fail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from protocol.errors import CellferryError, HypervisorFailed, Unavailable
from sim.faults import FaultKind
from sim.history import Called, GuestOff, GuestOn
from sim.points import driver_point

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from sim.inner.hypervisor import Hypervisor
    from sim.inner.setting import Setting

T = TypeVar("T")

DURATIONS_S: Final = {
    "spawn": (2.0, 8.0),
    "snapshot": (1.0, 5.0),
    "live_snapshot": (1.0, 5.0),
    "power_off": (0.5, 2.0),
    "define": (0.1, 0.5),
    "power_on": (0.1, 0.5),
    "copy_volume": (0.1, 0.5),
    "save": (0.1, 0.5),
    "restore": (0.1, 0.5),
    "receive": (0.1, 0.5),
    "prepare_disk": (2.0, 8.0),
    "replace_disk": (0.1, 0.5),
    "restore_disk": (0.1, 0.5),
    "keep_disk": (0.1, 0.5),
    "undefine": (0.1, 0.5),
    "destroy": (0.1, 0.5),
}
SHORT_S: Final = (0.01, 0.05)


class Partner:
    """The store of images, or that of volumes, as whoever calls it meets it."""

    def __init__(self, name: str, setting: Setting) -> None:
        self._name = name
        self._setting = setting
        self._count = 0

    def call(self, call: str, about: str, work: Callable[[], T], *, by: str) -> Generator[float, None, T]:
        """Call it, and give what it gives."""
        if not self._setting.has_partner_faults:
            yield SHORT_S[0]
            return self._done(call, about, work, by)
        self._count += 1
        if self._strike(FaultKind.PARTNER_REFUSES, call, about) is not None:
            self._note_call(call, about, by, Unavailable.code)
            raise Unavailable(what=self._name, reason=f"{call} was refused")
        slow = self._strike(FaultKind.PARTNER_SLOW, call, about)
        yield SHORT_S[0] + (slow.amount_s if slow else 0.0)
        value = self._done(call, about, work, by)
        if self._strike(FaultKind.PARTNER_UNSURE, call, about) is not None:
            raise Unavailable(what=self._name, reason=f"{call} may have happened")
        return value

    def _done(self, call: str, about: str, work: Callable[[], T], by: str) -> T:
        try:
            value = work()
        except CellferryError as error:
            self._note_call(call, about, by, error.code)
            raise
        self._note_call(call, about, by, "")
        return value

    def _strike(self, kind: FaultKind, call: str, about: str) -> Any:
        fault = self._setting.injector.strike(kind, where=self._name, point=call, about=f"{about} {self._count}")
        if fault is not None:
            self._setting.injector.note(fault, mattered=True, text=f"{self._name} {call} {about}: {kind.value}")
        return fault

    def _note_call(self, call: str, about: str, by: str, error: str) -> None:
        self._setting.history.record(Called(process=by, where=self._name, call=call, about=about, error=error))


class Calls:
    """A host's calls of its hypervisor."""

    def __init__(self, process: str, host: str, hypervisor: Hypervisor, setting: Setting) -> None:
        self._process = process
        self._host = host
        self._hypervisor = hypervisor
        self._setting = setting
        self._under_way: dict[str, tuple[str, Callable[[], Any]]] = {}
        self._counts: dict[tuple[str, str], int] = {}

    def call(
        self, call: str, server: str, work: Callable[[], T], half: Callable[[], Any] | None = None
    ) -> Generator[float, None, T]:
        """Call it, and give what it gives; `half` is what a dirty failure leaves, else it leaves all of it."""
        setting = self._setting
        count = self._counts[call, server] = self._counts.get((call, server), 0) + 1
        if setting.has_points:
            setting.pass_point(driver_point(call, "before"), self._process)
            yield 0.0
        self._check_refusal(call, server, count)
        low, high = DURATIONS_S.get(call, SHORT_S)
        delay_s = setting.chance.between(low, high, "driver", self._process, call, server, count)
        slow = self._strike(FaultKind.DRIVER_SLOW, call, server, count)
        self._under_way[server] = call, work
        yield delay_s + (slow.amount_s if slow else 0.0)
        del self._under_way[server]
        dirty = self._strike(FaultKind.DRIVER_DIRTY, call, server, count)
        if dirty is not None and half is not None:
            self.carry_out(call, server, half, is_dirty=True)
        value = self.carry_out(call, server, work, is_dirty=dirty is not None)
        if setting.has_points:
            setting.pass_point(driver_point(call, "after"), self._process)
            yield 0.0
        return value

    def carry_out(self, call: str, server: str, work: Callable[[], T], *, is_dirty: bool = False) -> T:
        """Have the hypervisor do it now, and note what came of it."""
        ran_by = self._hypervisor.runs_by(server)
        error = ""
        try:
            value = work()
            if is_dirty:
                raise HypervisorFailed(server=server, host=self._host, action=call, reason="it broke off")
        except CellferryError as failure:
            error = failure.code
            raise
        finally:
            self.note_power(server, ran_by)
            self._note_call(call, server, error)
        return value

    def note_power(self, server: str, ran_by: int | None) -> None:
        """Note that a guest runs now, or does not any more."""
        runs_by = self._hypervisor.runs_by(server)
        if runs_by == ran_by:
            return
        history = self._setting.history
        if ran_by is not None:
            history.record(GuestOff(process=self._process, host=self._host, server=server))
        if runs_by is not None:
            history.record(GuestOn(process=self._process, host=self._host, server=server, permit=runs_by))

    def crash(self) -> None:
        """Lose whoever called: what is under way is done by the hypervisor all the same, or is not."""
        under_way, self._under_way = self._under_way, {}
        for server, (call, work) in under_way.items():
            count = self._counts[call, server]
            if self._setting.chance.hits(0.5, "alone", self._process, call, server, count):
                try:
                    self.carry_out(call, server, work)
                except CellferryError:
                    continue

    def _check_refusal(self, call: str, server: str, count: int) -> None:
        if self._strike(FaultKind.DRIVER_REFUSES, call, server, count) is not None:
            self._note_call(call, server, HypervisorFailed.code)
            raise HypervisorFailed(server=server, host=self._host, action=call, reason="it refused")

    def _strike(self, kind: FaultKind, call: str, server: str, count: int) -> Any:
        if not self._setting.has_driver_faults:
            return None
        injector = self._setting.injector
        fault = injector.strike(kind, where=self._process, point=call, about=f"{server} {count}")
        if fault is not None:
            injector.note(fault, mattered=True, text=f"{call} of {server} on {self._host}: {kind.value}")
        return fault

    def _note_call(self, call: str, server: str, error: str) -> None:
        self._setting.history.record(
            Called(process=self._process, where=self._host, call=call, about=server, error=error)
        )
