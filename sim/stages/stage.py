"""What every stage offers to a scenario, so that one story can be played on several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from actors.compute.drivers.base import GuestState
    from protocol.cell_path import CellPath
    from protocol.truth import Truth
    from sim.cases.layout import Layout
    from sim.cases.workload import Op
    from sim.faults import Fault
    from sim.history import History

T = TypeVar("T")


class NotOffered(Exception):
    """A story asked for something that its stage does not have."""

    def __init__(self, stage: object, what: str) -> None:
        super().__init__(f"{type(stage).__name__} does not offer {what}; play the story on a LoopStage")


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

    async def wait(self, for_s: float) -> None:
        """Let time pass."""
        ...

    async def quiet(self) -> None:
        """Return when nothing is left to do; raise `TimeoutError` when that never comes."""
        ...

    async def register_volume(self, volume: str) -> None:
        """Make a blank volume."""
        ...

    def add(self, fault: Fault) -> None:
        """Let a fault loose."""
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
