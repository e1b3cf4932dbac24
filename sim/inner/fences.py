"""Fences on the inner level: what conversations ask the root (`actors.kernel.fences`), and what a host's start does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from actors.compute.starting import BUDGET_S as START_BUDGET_S
from actors.compute.starting import FENCED_PAUSE_S, PAUSE_S
from actors.kernel.fences import BUDGET_S
from protocol.cell_path import Address, host_of
from protocol.draft import Changes
from protocol.errors import CallTimeout, CellferryError, HostFenced, StaleEpoch, report, revive
from protocol.fencing import worth
from protocol.messages.fencing import ConfirmPermits, FindFence, PayOwed, PermitsConfirmed, StandIn
from protocol.records import HeldPermit
from protocol.states import Owed
from sim.history import GuestOff, Renounced
from sim.inner.coding import reply_of
from sim.inner.memory import Command, Reply
from sim.inner.patience import Patience

if TYPE_CHECKING:
    from protocol.cell_path import CellPath
    from protocol.records import OwedAct
    from protocol.requests import Request
    from protocol.saga import Send
    from sim.inner.cells import Cell
    from sim.inner.conversing import Talking
    from sim.inner.hosts import Host
    from sim.inner.messages import Question


def stand_in(send: Send, *, root: CellPath, epoch: int, ask: Any, now_ns: int) -> Talking:
    """Give what a step is worth whose host is fenced: a reply, or an error; None: it is at no fenced host."""
    host = host_of(send.address)
    if host is None:
        return None
    found = worth(send.request, host=host)
    about, to = f"fence:{send.key}:{now_ns}", Address(root, "cell")
    if found is None:
        is_off = yield from is_fenced(send.address, root=root, ask=ask, about=about)
        return HostFenced(host=host, method=type(send.request).METHOD.name) if is_off else None
    server = send.story.server
    request = StandIn(server=server, host=host, acts=found.acts)
    command = Command(send.key, str(send.key), server, epoch, request)
    asking = ask(
        to=to, request=request, server=server, epoch=epoch, about=about, command=command, budget_s=BUDGET_S
    )  # fmt: skip
    replies = yield (asking,)
    assert replies is not None, "a question gets a reply"
    if replies[0].is_error:
        error = revive(replies[0].value)
        return error if isinstance(error, StaleEpoch) else None
    return reply_of(found.reply)


def is_fenced(address: Address, *, root: CellPath, ask: Any, about: str) -> Talking:
    """Tell whether an actor is that of a fenced host; not to be told is no."""
    host = host_of(address)
    if host is None:
        return False
    request = FindFence(host=host)
    asking = ask(
        to=Address(root, "cell"), request=request, server="", epoch=0, about=f"find:{about}", budget_s=BUDGET_S
    )
    replies = yield (asking,)
    assert replies is not None, "a question gets a reply"
    return not replies[0].is_error and replies[0].value.is_fenced


class Start:
    """The start of a host's actor: see `actors.compute.starting`."""

    def __init__(self, host: Host, root: Cell) -> None:
        self.process = host.process
        self.cell = host.cell
        self._host = host
        self._root = root
        self._asked: Question | None = None
        self._patience = Patience(self.process, host.setting.agenda, is_asked=self.waits_for, give_up=self._give_up)
        self.process.when_crashed.append(self._forget)

    def _forget(self) -> None:
        self._asked = None

    def begin(self) -> None:
        """Ask what this host may run."""
        self._ask(ConfirmPermits(host=self._host.me))

    def _ask(self, request: Request[Any]) -> None:
        root, now_ns = self._root, self._host.setting.agenda.now_ns
        self._asked = self._host.setting.network.ask(
            self, request, to=root.process, cell=root.cell, receive=root.receive, budget_s=START_BUDGET_S,
            about=f"{request.METHOD.name}:{self._host.host}:{now_ns}",
        )  # fmt: skip
        self._patience.begin(self._asked)

    # --- answers -----------------------------------------------------------------------------------------------

    def waits_for(self, question: Question) -> bool:
        """Tell whether the answer to a question is still waited for."""
        return self._asked is question

    def take(self, question: Question, reply: Reply) -> None:
        """Take what the root says."""
        if self._asked is not question:
            return
        self._asked = None
        if reply.is_error:
            self.process.later(PAUSE_S, self.begin)
        elif not isinstance(reply.value, PermitsConfirmed):
            self.begin()
        else:
            self._go_on(reply.value)

    def _go_on(self, confirmed: PermitsConfirmed) -> None:
        fence = confirmed.fence
        if fence is None:
            self._give_up_lost(confirmed)
            self._host.be_ready()
        elif fence.lift_epoch is None:
            self.process.later(FENCED_PAUSE_S, self.begin)
        else:
            self._pay(confirmed, fence.lift_epoch)
            self._ask(PayOwed(host=self._host.me, acts=confirmed.owed))

    def fail(self, question: Question, error: CellferryError) -> None:
        """Hear that a question went nowhere."""
        self.take(question, Reply(report(error, cell=str(self.cell)), b"", is_error=True))

    def _give_up(self, question: Question) -> None:
        waited_s = question.budget_s
        self.fail(question, CallTimeout(address=question.mailbox.name, method=question.method, waited_s=waited_s))

    # --- what is owed ------------------------------------------------------------------------------------------

    def _pay(self, confirmed: PermitsConfirmed, epoch: int) -> None:
        for owed in sorted(confirmed.owed, key=lambda owed: list(Owed).index(owed.act)):
            self._do(owed)
        self._give_up_lost(confirmed)
        self._host.memory.renounce(epoch)
        self._host.setting.history.record(Renounced(process=self._host.name, epoch=epoch))
        own = {permit.server: permit.number for permit in confirmed.permits}
        gone = {owed.server for owed in confirmed.owed if owed.act is Owed.DESTROY}
        for held in self._held():
            if held.server in gone and held.server not in own:
                self._host.rows.save(Changes(drops=(held,)))
            elif held.server in own:
                self._host.rows.save(Changes(puts=(HeldPermit(server=held.server, number=own[held.server]),)))

    def _do(self, owed: OwedAct) -> None:
        hypervisor = self._host.hypervisor
        was_on = hypervisor.runs_by(owed.server) is not None
        if owed.act is Owed.OFF:
            hypervisor.stop(owed.server)
        elif owed.act is Owed.DISCONNECT:
            hypervisor.disconnect_volume(owed.server, owed.volume)
        elif owed.act is Owed.KEEP_DISK:
            hypervisor.keep_disk(owed.server)
        elif owed.act is Owed.RESTORE_DISK:
            hypervisor.restore_disk(owed.server)
        elif owed.act is Owed.DETACH:
            hypervisor.undefine(owed.server)
        else:
            hypervisor.destroy(owed.server)
        self._note_off(owed.server, was_on=was_on)

    def _give_up_lost(self, confirmed: PermitsConfirmed) -> None:
        own = {permit.server: permit.number for permit in confirmed.permits}
        for held in self._held():
            if held.number is None or own.get(held.server) == held.number:
                continue
            if held.server not in own:
                was_on = self._host.hypervisor.runs_by(held.server) is not None
                self._host.hypervisor.undefine(held.server)
                self._note_off(held.server, was_on=was_on)
            self._host.rows.save(Changes(puts=(attrs.evolve(held, number=own.get(held.server)),)))

    def _held(self) -> list[HeldPermit]:
        return [row for row in self._host.rows.all(HeldPermit) if isinstance(row, HeldPermit)]

    def _note_off(self, server: str, *, was_on: bool) -> None:
        if was_on and self._host.hypervisor.runs_by(server) is None:
            host = self._host
            host.setting.history.record(GuestOff(process=host.name, host=host.host, server=server))
