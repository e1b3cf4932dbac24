"""What users have servers' guests do in a scenario, and an operation that was asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from protocol.errors import CellferryError, revive
from sim.cases.workload import Act
from sim.stages.outcomes import Outcome, answer_to, ending_of, is_over, outcomes_of

if TYPE_CHECKING:
    from sim.cases.workload import Op
    from sim.stages.stage import Stage


class Move:
    """An operation that a user asked for, and what becomes of it."""

    def __init__(self, stage: Stage, op: Op) -> None:
        """Follow an operation that was placed."""
        self._stage = stage
        self.name = op.name
        self.server = op.server
        self.conversation, self._refusal = answer_to(stage.history, op.request_id)

    async def over(self) -> Move:
        """Wait until nothing of it is left to do, however it ends; one that was refused is over."""
        if self.conversation:
            await self._stage.over(self.conversation)
        return self

    async def done(self) -> Move:
        """Wait until it is over, and insist that it succeeded."""
        await self.over()
        assert not self.error, f"{self.name} failed: {self.error}: {self.cause or 'it was refused'}"
        return self

    @property
    def ended(self) -> bool:
        """Whether nothing of it is left to do."""
        return not self.conversation or is_over(self._stage.history, self.conversation)

    @property
    def error(self) -> str:
        """The code of the error with which it was refused or failed; empty when there is none, or none yet."""
        return self._refusal or (self.cause.code if self.cause is not None else "")

    @property
    def cause(self) -> CellferryError | None:
        """The error with which it failed after it was accepted."""
        ending = ending_of(self._stage.history, self.conversation)
        return revive(ending.cause) if ending is not None and ending.cause is not None else None

    @property
    def journal(self) -> tuple[Outcome, ...]:
        """What came of its steps and their undos, in order."""
        return outcomes_of(self._stage.history, self.conversation)


class Powering(ABC):
    """The part of a scenario in which guests are started, stopped and held."""

    @abstractmethod
    async def _place(self, act: Act, server: str, **fields: Any) -> Move:
        """Have a user place an order."""

    async def start(self, server: str) -> Move:
        """Begin to start a server that is stopped."""
        return await self._place(Act.START, server)

    async def stop(self, server: str) -> Move:
        """Begin to stop a server."""
        return await self._place(Act.STOP, server)

    async def reboot(self, server: str) -> Move:
        """Begin to reboot a server."""
        return await self._place(Act.REBOOT, server)

    async def pause(self, server: str) -> Move:
        """Begin to pause a server."""
        return await self._place(Act.PAUSE, server)

    async def unpause(self, server: str) -> Move:
        """Begin to have a paused server go on."""
        return await self._place(Act.UNPAUSE, server)

    async def suspend(self, server: str) -> Move:
        """Begin to suspend a server."""
        return await self._place(Act.SUSPEND, server)

    async def resume(self, server: str) -> Move:
        """Begin to have a suspended server go on."""
        return await self._place(Act.RESUME, server)

    async def soft_delete(self, server: str) -> Move:
        """Begin to delete a server so that it can be restored."""
        return await self._place(Act.SOFT_DELETE, server)

    async def restore(self, server: str) -> Move:
        """Begin to restore a server that was softly deleted."""
        return await self._place(Act.RESTORE, server)
