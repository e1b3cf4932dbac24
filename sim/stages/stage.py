"""What every stage offers to a scenario, so that one story can be played on several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from actors.compute.drivers.base import GuestState
    from protocol.cell_path import CellPath
    from protocol.records import Record, ServerGroup
    from protocol.truth import Truth
    from sim.cases.layout import Layout
    from sim.cases.workload import Op
    from sim.faults import Fault
    from sim.history import History
    from sim.refusals import Refusal, Refusals

T = TypeVar("T")


class NotOffered(Exception):
    """A story asked for something that its stage does not have."""

    def __init__(self, stage: object, what: str) -> None:
        super().__init__(f"{type(stage).__name__} does not offer {what}; play the story on a LoopStage")


class Holding(Protocol):
    """An actor that stands still from a point on until it is let go."""

    async def reached(self) -> None:
        """Return when the actor stands still; raise `TimeoutError` when the point is never passed."""
        ...

    @property
    def is_holding(self) -> bool:
        """Whether the actor stands still now."""
        ...

    def let_go(self) -> None:
        """Let the actor go on, or never stop it."""
        ...


class Stage(Protocol):
    """A cloud in which a story happens."""

    layout: Layout
    history: History

    def run(self, play: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Set the cloud up, play to the end, and give what the play returns."""
        ...

    async def place(self, op: Op) -> None:
        """Place an operation; return when it is accepted or refused, which the history then tells."""
        ...

    async def over(self, conversation: str) -> None:
        """Return when a conversation is over; raise `TimeoutError` when that takes longer than anything should."""
        ...

    async def at_once(self, operations: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
        """Have several operations placed at the same time, and give what each returns."""
        ...

    async def wait(self, for_s: float) -> None:
        """Let time pass."""
        ...

    async def quiet(self) -> None:
        """Return when nothing is left to do; raise `TimeoutError` when that never comes."""
        ...

    async def register_volume(self, volume: str) -> None:
        """Make a blank volume."""
        ...

    async def register_group(self, group: ServerGroup) -> None:
        """Make a group of servers."""
        ...

    def add(self, fault: Fault) -> None:
        """Let a fault loose."""
        ...

    def refuse(self, refusal: Refusal) -> None:
        """Have a command of an actor fail from now on."""
        ...

    def refusals(self) -> Refusals:
        """Give the commands that were to fail, and which of them did."""
        ...

    def kill(self, process: str, *, down_s: float) -> None:
        """Kill a process now; it starts again later."""
        ...

    def hold(self, process: str, at: str) -> Holding:
        """Have a process stand still when a conversation passes a point; at `at` empty now."""
        ...

    def plant(self, process: str, *rows: Record) -> None:
        """Write rows straight into the store of a cell or a partner, as no actor would."""
        ...

    def unplant(self, process: str, *rows: Record) -> None:
        """Take rows straight out of the store of a cell or a partner."""
        ...

    async def leave(self, host: str, server: str) -> None:
        """Make a guest of a server that does not run, with a disk of its own, as no actor would."""
        ...

    def heal(self) -> None:
        """End all faults, and mend what they have broken."""
        ...

    def truth(self) -> Truth:
        """Read the truth, never through an actor."""
        ...

    def hypervisors(self) -> dict[str, tuple[GuestState, ...]]:
        """Tell what each host's hypervisor has."""
        ...

    def dead_letters(self, cell: CellPath) -> tuple[str, ...]:
        """Name the reasons of a cell's dead letters, oldest first."""
        ...
