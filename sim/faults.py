"""The vocabulary of faults: what can go wrong in a simulated world, and a plan of what does.

A fault is a value.  A plan is a tuple of them, which a seed, Hypothesis, a scenario or a person writes, which travels
as JSON, and from which the shrinker takes one after the other away.
"""

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import attrs

from protocol.bodies import from_plain, to_plain
from protocol.errors import InvalidValue


class Family(StrEnum):
    """What a fault befalls; tells what its `where`, `other` and `point` mean."""

    MESSAGE = "message"  # Frames from process `where` to process `other`, with a message of method `point` in it.
    LINK = "link"  # All that process `where` says to process `other`; a link of cells is one of their `link` processes.
    BROKER = "broker"  # The broker of cell `where`; of one queue there, `other`.
    PROCESS = "process"  # Process `where`; a crash at a point: when the conversation passes `point`.
    CLOCK = "clock"  # The wall clock of process `where`.
    STORE = "store"  # The store of process `where`.
    DRIVER = "driver"  # Call `point` of the hypervisor of host process `where`.
    PARTNER = "partner"  # Call `point` of the image or volume store (`where`: image or volume).


class FaultKind(StrEnum):
    """Every way in which the simulated world fails."""

    LOSE = "lose"
    DOUBLE = "double"
    DOUBLE_LATE = "double_late"
    DELAY = "delay"
    REORDER = "reorder"
    CONFIRM_LOST = "confirm_lost"
    CUT = "cut"
    CUT_ONE_WAY = "cut_one_way"
    BROKER_RESTART = "broker_restart"
    BROKER_WIPE = "broker_wipe"
    UNROUTABLE = "unroutable"
    CONSUMER_GONE = "consumer_gone"
    HALF_OPEN = "half_open"
    CRASH = "crash"
    CRASH_AT = "crash_at"
    CRASH_ALL = "crash_all"
    PAUSE = "pause"
    PAUSE_AT = "pause_at"
    USURP = "usurp"
    MACHINE_DOWN = "machine_down"
    HOST_GONE = "host_gone"
    CLOCK_DRIFT = "clock_drift"
    CLOCK_JUMP = "clock_jump"
    STORE_SLOW = "store_slow"
    STORE_ERROR = "store_error"
    STORE_UNSURE = "store_unsure"
    STORE_FULL = "store_full"
    FSYNC_LOST = "fsync_lost"
    DRIVER_REFUSES = "driver_refuses"
    DRIVER_DIRTY = "driver_dirty"
    DRIVER_SLOW = "driver_slow"
    GUEST_DIES = "guest_dies"
    PARTNER_REFUSES = "partner_refuses"
    PARTNER_UNSURE = "partner_unsure"
    PARTNER_SLOW = "partner_slow"


@attrs.frozen(kw_only=True)
class Meaning:
    """What a kind of fault does, and when one that fired also mattered."""

    family: Family
    text: str
    matters: str


MEANINGS: Final[Mapping[FaultKind, Meaning]] = {
    FaultKind.LOSE: Meaning(
        family=Family.MESSAGE, text="a frame is confirmed to its sender and then lost",
        matters="somebody waited for what was lost",
    ),
    FaultKind.DOUBLE: Meaning(
        family=Family.MESSAGE, text="a frame arrives twice, the second right behind the first",
        matters="both copies reached a consumer",
    ),
    FaultKind.DOUBLE_LATE: Meaning(
        family=Family.MESSAGE, text="a frame arrives again `amount_s` later",
        matters="the late copy reached a consumer",
    ),
    FaultKind.DELAY: Meaning(
        family=Family.MESSAGE, text="a frame arrives `amount_s` late",
        matters="its sender had asked again, or given up",
    ),
    FaultKind.REORDER: Meaning(
        family=Family.MESSAGE, text="a frame is overtaken by those sent within the next `amount_s`",
        matters="a later frame of the same sender and queue arrived before it",
    ),
    FaultKind.CONFIRM_LOST: Meaning(
        family=Family.MESSAGE, text="the queue takes the frame, and its sender is told that the broker went away",
        matters="the frame was handed to a consumer all the same",
    ),
    FaultKind.CUT: Meaning(
        family=Family.LINK, text="nothing passes between two processes, either way, for `for_s`",
        matters="a frame was held up or refused",
    ),
    FaultKind.CUT_ONE_WAY: Meaning(
        family=Family.LINK, text="nothing passes from one process to another for `for_s`",
        matters="a frame was held up or refused",
    ),
    FaultKind.BROKER_RESTART: Meaning(
        family=Family.BROKER, text="a broker goes away and is back, with its durable queues, after `for_s`",
        matters="it held a frame, or somebody sent to it meanwhile",
    ),
    FaultKind.BROKER_WIPE: Meaning(
        family=Family.BROKER, text="a broker is back after `for_s` with none of its queues and messages",
        matters="a frame that had been confirmed was lost with it",
    ),
    FaultKind.UNROUTABLE: Meaning(
        family=Family.BROKER, text="a queue is deleted, with what is in it; its consumers make it again after `for_s`",
        matters="a frame was returned to its sender, or lost",
    ),
    FaultKind.CONSUMER_GONE: Meaning(
        family=Family.BROKER, text="a queue hands nothing out for `for_s`, until its consumer misses its self-ping",
        matters="a frame waited for it",
    ),
    FaultKind.HALF_OPEN: Meaning(
        family=Family.LINK, text="a process's connection hangs: its sends end in TransportLost after `for_s` only",
        matters="a send hung",
    ),
    FaultKind.CRASH: Meaning(
        family=Family.PROCESS, text="a process is killed, and started again after `for_s`",
        matters="it had work: an open conversation, an unsettled message or an accepted command",
    ),
    FaultKind.CRASH_AT: Meaning(
        family=Family.PROCESS, text="a process is killed when a conversation passes `point`, and started after `for_s`",
        matters="the conversation that passed the point was open",
    ),
    FaultKind.CRASH_ALL: Meaning(
        family=Family.PROCESS, text="every process is killed at once, and started again after `for_s`",
        matters="a conversation was open",
    ),
    FaultKind.PAUSE: Meaning(
        family=Family.PROCESS, text="a process stands still for `for_s`, as in a long garbage collection",
        matters="a step of it was ready and had to wait",
    ),
    FaultKind.PAUSE_AT: Meaning(
        family=Family.PROCESS, text="a process stands still for `for_s` from when a conversation passes `point`",
        matters="a step of it was ready and had to wait",
    ),
    FaultKind.USURP: Meaning(
        family=Family.PROCESS, text="the conductor stands still for `for_s`, and a second one takes over meanwhile",
        matters="the first went on with a conversation that was not its own any more",
    ),
    FaultKind.MACHINE_DOWN: Meaning(
        family=Family.PROCESS, text="the machine of host `where` loses its power, and boots again after `for_s`",
        matters="a guest was running there, or a conversation was open",
    ),
    FaultKind.HOST_GONE: Meaning(
        family=Family.PROCESS,
        text="the machine of host `where` loses its power, is fenced `amount_s` later, boots after `for_s`, unfenced",
        matters="a guest was running there, or a conversation was open",
    ),
    FaultKind.CLOCK_DRIFT: Meaning(
        family=Family.CLOCK, text="a wall clock gains `amount_s` in every second for `for_s`", matters="it was read",
    ),
    FaultKind.CLOCK_JUMP: Meaning(
        family=Family.CLOCK, text="a wall clock jumps by `amount_s`, which may be negative", matters="it was read",
    ),
    FaultKind.STORE_SLOW: Meaning(
        family=Family.STORE, text="each commit takes `amount_s` longer to become durable", matters="a commit waited",
    ),
    FaultKind.STORE_ERROR: Meaning(
        family=Family.STORE, text="a transaction is undone and fails with StoreUnavailable",
        matters="the transaction would have changed something",
    ),
    FaultKind.STORE_UNSURE: Meaning(
        family=Family.STORE, text="a transaction is committed, and its caller gets StoreUnavailable",
        matters="the transaction changed something",
    ),
    FaultKind.STORE_FULL: Meaning(
        family=Family.STORE, text="every transaction that writes fails with StoreUnavailable for `for_s`",
        matters="a transaction that writes was refused",
    ),
    FaultKind.FSYNC_LOST: Meaning(
        family=Family.STORE, text="a process is killed between its commit and the fsync: the commit is lost with it",
        matters="the commit had changed something",
    ),
    FaultKind.DRIVER_REFUSES: Meaning(
        family=Family.DRIVER, text="a call of a hypervisor fails before it does anything",
        matters="the call would have changed something",
    ),
    FaultKind.DRIVER_DIRTY: Meaning(
        family=Family.DRIVER, text="a call of a hypervisor does its work and then fails",
        matters="it changed something",
    ),
    FaultKind.DRIVER_SLOW: Meaning(
        family=Family.DRIVER, text="a call of a hypervisor takes `amount_s`, past its caller's deadline",
        matters="whoever asked had asked again, or given up",
    ),
    FaultKind.GUEST_DIES: Meaning(
        family=Family.DRIVER, text="a running guest stops by itself", matters="a guest was running there",
    ),
    FaultKind.PARTNER_REFUSES: Meaning(
        family=Family.PARTNER, text="a call of the image or volume store fails before it does anything",
        matters="it was refused",
    ),
    FaultKind.PARTNER_UNSURE: Meaning(
        family=Family.PARTNER, text="a call of the image or volume store does its work and then fails",
        matters="it changed something",
    ),
    FaultKind.PARTNER_SLOW: Meaning(
        family=Family.PARTNER, text="a call of the image or volume store takes `amount_s`",
        matters="whoever asked had asked again, or given up",
    ),
}  # fmt: skip


@attrs.frozen(kw_only=True)
class Fault:
    """One thing that goes wrong.  Seconds count from the begin of the run's fault phase."""

    kind: FaultKind
    name: str  # Keys its chances: it stays the same when other faults are taken away.
    at_s: float = 0.0
    for_s: float = math.inf  # How long it may strike, or how long what it does lasts (see its meaning).
    where: str = ""  # Empty: anywhere.  Also a pattern: `*` at its end stands for any rest.
    other: str = ""
    point: str = ""
    chance: float = 1.0  # Of striking at each occasion.
    amount_s: float = 0.0
    skip: int = 0  # So many occasions pass first.
    times: int = 1  # Then it strikes at most so often; 0: without limit.

    def __attrs_post_init__(self) -> None:
        """Refuse what could never strike."""
        if not 0.0 <= self.chance <= 1.0:
            raise InvalidValue(name="chance", value=self.chance, rule="it must be from 0 to 1")
        if self.at_s < 0 or self.for_s < 0 or self.skip < 0 or self.times < 0:
            raise InvalidValue(name=self.name, value=self.at_s, rule="at_s, for_s, skip and times are never negative")

    @property
    def family(self) -> Family:
        """What the fault befalls."""
        return MEANINGS[self.kind].family

    def matches(self, *, where: str, other: str, point: str) -> bool:
        """Tell whether this place is the fault's."""
        return _fits(self.where, where) and _fits(self.other, other) and _fits(self.point, point)

    def is_at(self, point: str) -> bool:
        """Tell whether this is the fault's point."""
        return _fits(self.point, point)

    def __str__(self) -> str:
        """Tell what goes wrong, in a line."""
        place = " > ".join(part for part in (self.where, self.other) if part) or "anywhere"
        point = f" at {self.point}" if self.point else ""
        until = "" if math.isinf(self.for_s) else f" for {self.for_s:g} s"
        chance = "" if self.chance >= 1 else f", chance {self.chance:.2f}"
        return f"{self.kind} {self.name}: {place}{point} from {self.at_s:g} s{until}{chance}"


def _fits(pattern: str, text: str) -> bool:
    return not pattern or pattern == text or (pattern.endswith("*") and text.startswith(pattern[:-1]))


Plan = tuple[Fault, ...]


def plan_to_plain(plan: Plan) -> list[dict[str, object]]:
    """Write a plan as JSON has it: of each fault what differs from the default."""
    default = to_plain(Fault(kind=FaultKind.LOSE, name=""))
    return [
        {name: value for name, value in to_plain(fault).items() if name in {"kind", "name"} or value != default[name]}
        for fault in plan
    ]


def plan_from_plain(plain: list[dict[str, object]]) -> Plan:
    """Read a plan back."""
    return tuple(from_plain({**to_plain(Fault(kind=FaultKind.LOSE, name="")), **fault}, Fault) for fault in plain)
