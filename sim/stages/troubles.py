"""Faults as a person calls them: which call of whom fails, and how; each becomes faults of the simulator's plan."""

from __future__ import annotations

from enum import StrEnum
from itertools import count
from typing import TYPE_CHECKING, Final

import attrs

from protocol.errors import InvalidValue
from protocol.methods import METHODS
from protocol.moves.plans import PLANS
from sim.cases.places import DRIVER_CALLS, PARTNER_CALLS
from sim.faults import Fault, FaultKind
from sim.refusals import Refusal
from sim.stages.names import actor_of, one_of

if TYPE_CHECKING:
    from protocol.records import Record
    from sim.cases.layout import Layout


class How(StrEnum):
    """In which way a call fails."""

    REFUSES = "refuses"  # Before it has done anything.
    DIRTY = "dirty"  # It does its work, or half of it, and then fails.
    ANSWER_LOST = "answer_lost"  # It does its work, and nobody hears of it.
    LATE = "late"  # It does its work, but much later than anybody waits.


#: Which commands make a host call its hypervisor.
ASKED_BY: Final = {
    "spawn": ("spawn_guest", "receive_disk"),
    "define": ("reattach_guest",),
    "power_on": ("resume_guest", "power_guest"),
    "power_off": ("stop_guest", "power_guest"),
    "pause": ("resume_guest", "power_guest"),
    "suspend": ("resume_guest", "power_guest"),
    "snapshot": ("snapshot_guest",),
    "live_snapshot": ("capture_disk",),
    "connect_volume": ("connect_volume",),
    "disconnect_volume": ("disconnect_volume",),
    "copy_volume": ("copy_volume",),
    "apply_network": ("apply_network",),
    "save": ("save_guest",),
    "restore": ("restore_guest",),
    "receive": ("receive_guest",),
    "prepare_disk": ("prepare_disk",),
    "replace_disk": ("replace_disk",),
    "restore_disk": ("restore_disk",),
    "keep_disk": ("keep_disk",),
    "undefine": ("detach_guest",),
    "destroy": ("destroy_guest",),
}
_DRIVER: Final = {
    How.REFUSES: FaultKind.DRIVER_REFUSES,
    How.DIRTY: FaultKind.DRIVER_DIRTY,
    How.LATE: FaultKind.DRIVER_SLOW,
}
_PARTNER: Final = {
    How.REFUSES: FaultKind.PARTNER_REFUSES,
    How.DIRTY: FaultKind.PARTNER_UNSURE,
    How.ANSWER_LOST: FaultKind.PARTNER_UNSURE,
    How.LATE: FaultKind.PARTNER_SLOW,
}
_STORE: Final = {
    How.REFUSES: FaultKind.STORE_ERROR,
    How.DIRTY: FaultKind.STORE_UNSURE,
    How.ANSWER_LOST: FaultKind.STORE_UNSURE,
    How.LATE: FaultKind.STORE_SLOW,
}


def _checked(call: str) -> str:
    steps = (step.name for plan in PLANS.values() for step in plan.steps)
    return one_of("call", call, (*DRIVER_CALLS, *METHODS, *steps))


class Troubles:
    """Makes faults, and names each differently."""

    def __init__(self, layout: Layout) -> None:
        """Make faults for a cloud."""
        self._layout = layout
        self._numbers = count(1)

    def name(self, kind: FaultKind) -> str:
        """Name one more fault of a kind."""
        return f"{kind}-{next(self._numbers)}"

    def fault(
        self, kind: FaultKind, *, where: str = "", other: str = "", point: str = "", times: int = 0, amount_s: float = 0
    ) -> Fault:
        """Make a fault that strikes at every occasion; `times`: at so many only."""
        return Fault(
            kind=kind, name=self.name(kind), where=where, other=other, point=point, times=times,
            amount_s=amount_s,
        )  # fmt: skip

    def of_call(self, where: str, call: str, *, how: How, times: int, late_s: float) -> tuple[Fault, ...] | Refusal:
        """Have a call fail: one of a hypervisor, of the image or volume store, or a command of any actor."""
        process = actor_of(self._layout, where)
        if where in self._layout.hosts and call in DRIVER_CALLS:
            if how is How.ANSWER_LOST:
                return self._of_answers(FaultKind.LOSE, process, ASKED_BY[call], times=times)
            return (self.fault(_DRIVER[how], where=process, point=call, times=times, amount_s=late_s),)
        if call in PARTNER_CALLS.get(where, ()):
            return (self.fault(_PARTNER[how], where=where, point=call, times=times, amount_s=late_s),)
        if how in {How.REFUSES, How.DIRTY}:
            return Refusal(process=process, call=_checked(call), how=how.value, times=times)
        if call not in METHODS:
            rule = "of the answer to a command, name the method, as docs/reference/methods.md does"
            raise InvalidValue(name="call", value=call, rule=rule)
        kind = FaultKind.LOSE if how is How.ANSWER_LOST else FaultKind.DELAY
        return self._of_answers(kind, process, (call,), times=times, amount_s=late_s)

    def of_save(self, where: str, record: type[Record], *, how: How, times: int, late_s: float) -> tuple[Fault, ...]:
        """Have a store fail whenever it saves a record of a class."""
        process, point = actor_of(self._layout, where), f"write {record.TABLE}"
        return (self.fault(_STORE[how], where=process, point=point, times=times, amount_s=late_s),)

    def _of_answers(
        self, kind: FaultKind, process: str, methods: tuple[str, ...], *, times: int, amount_s: float = 0
    ) -> tuple[Fault, ...]:
        """Have answers of an actor lost or late; whichever of the methods comes first counts for all."""
        first, *others = (
            self.fault(kind, where=process, point=method, times=times, amount_s=amount_s) for method in methods
        )
        return (first, *(attrs.evolve(fault, name=first.name) for fault in others))
