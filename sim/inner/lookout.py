"""What a host sees its guests do by themselves: `actors.compute.lookout`, over a hypervisor of values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actors.compute.drivers.base import Power
from actors.compute.lookout import BUDGET_S, LOOK_S, boots_of
from protocol.errors import CallTimeout, CellferryError, report
from protocol.messages.power import ExpectedGuest, ExpectGuest, NoteGuestOff
from protocol.records import HeldPermit
from sim.inner.memory import Reply
from sim.inner.patience import Patience

if TYPE_CHECKING:
    from actors.compute.drivers.base import GuestState
    from protocol.requests import Request
    from sim.inner.cells import Cell
    from sim.inner.hosts import Host
    from sim.inner.messages import Question


class Lookout:
    """Watches the guests that a host holds the permits of; one question at a time."""

    def __init__(self, host: Host, ask: Cell) -> None:
        self.process = host.process
        self.cell = host.cell
        self._host = host
        self._asks = ask
        self._known: dict[str, int] = {}
        self._off: list[GuestState] = []  # What is still to be told at this look, the one that is asked about first.
        self._asked: Question | None = None
        self._patience = Patience(self.process, host.setting.agenda, is_asked=self.waits_for, give_up=self._give_up)
        self.process.when_crashed.append(self._forget)
        self.process.when_started.append(self._begin)
        self._begin()

    def _forget(self) -> None:
        self._known, self._off, self._asked = {}, [], None

    def _begin(self) -> None:
        self.process.later(LOOK_S, self._look)

    def _look(self) -> None:
        if not self._host.is_ready:
            self._begin()
            return
        off = [guest for guest in self._host.hypervisor.off() if self._holds(guest.server)]
        self._known = {guest.server: self._known.get(guest.server, -1) for guest in off}
        self._off = [guest for guest in off if self._known[guest.server] != boots_of(guest)]
        self._go_on()

    def _holds(self, server: str) -> bool:
        held = self._host.rows.find(HeldPermit, server)
        return held is not None and held.number is not None

    def _go_on(self) -> None:
        if self._off:
            self._ask(ExpectGuest(server=self._off[0].server, host=self._host.host))
        else:
            self._begin()

    def _ask(self, request: Request[Any]) -> None:
        server = self._off[0].server
        cell = self._asks
        self._asked = self._host.setting.network.ask(
            self, request, to=cell.process, cell=cell.cell, receive=cell.receive, server=server, budget_s=BUDGET_S,
            about=f"{request.METHOD.name}:{self._host.host}:{server}:{self._host.setting.agenda.now_ns}",
        )  # fmt: skip
        self._patience.begin(self._asked)

    # --- answers -----------------------------------------------------------------------------------------------

    def waits_for(self, question: Question) -> bool:
        """Tell whether the answer to a question is still waited for."""
        return self._asked is question

    def take(self, question: Question, reply: Reply) -> None:
        """Take what the cell says."""
        if self._asked is not question:
            return
        self._asked = None
        if reply.is_error:
            self._off.clear()
        elif not isinstance(reply.value, ExpectedGuest):
            self._off.pop(0)
        elif not self._is_told(self._off[0], reply.value):
            return
        self._go_on()

    def _is_told(self, found: GuestState, expected: ExpectedGuest) -> bool:
        """Do what follows from how a guest should be; tell whether nothing more is to be asked about it."""
        guest = self._host.hypervisor.guest(found.server)
        is_off = guest is not None and guest.is_defined and guest.power is Power.SHUTDOWN
        if expected.is_settled and is_off and guest is not None and boots_of(guest) == boots_of(found):
            if expected.is_running:
                self._ask(NoteGuestOff(server=found.server, host=self._host.host, version=expected.version))
                return False
            self._known[found.server] = boots_of(guest)
        self._off.pop(0)
        return True

    def fail(self, question: Question, error: CellferryError) -> None:
        """Hear that a question went nowhere."""
        self.take(question, Reply(report(error, cell=str(self.cell)), b"", is_error=True))

    def _give_up(self, question: Question) -> None:
        waited_s = question.budget_s
        self.fail(question, CallTimeout(address=question.mailbox.name, method=question.method, waited_s=waited_s))
