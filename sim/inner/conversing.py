"""One conversation on the inner level: `actors.kernel.conversation`, as a generator on the agenda.

It yields how long it sleeps, in seconds, or the questions that it waits for, and gets back what came of each.  A crash
drops it; whoever comes next reads the journals.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import attrs

from actors.kernel.conversation import ENDED
from actors.kernel.pauses import CALL_BUDGET_S, GATHER_BUDGET_S, PATIENCE_S, backoff_s
from protocol.bodies import encode_body
from protocol.errors import CellferryError, StaleEpoch, StoreUnavailable, report, revive
from protocol.journal import Entry, Kind
from protocol.moves.plans import PLANS
from protocol.requests import Close, Form
from protocol.saga import CloseAll, Finish, Over, Plan, Release, Send, may_be_aborted, next_command, no_objection
from sim.inner.agenda import NS_PER_S
from sim.inner.coding import reply_of
from sim.inner.fences import is_fenced, stand_in
from sim.inner.memory import Command, Reply

if TYPE_CHECKING:
    from protocol.cell_path import Address
    from protocol.requests import Request
    from sim.inner.conductor import Conductor
    from sim.inner.setting import Setting

#: What a conversation waits for: a time to pass, or the answers to questions.
Talking = Generator["float | tuple[Asking, ...]", "tuple[Reply, ...] | None", Any]


@attrs.frozen(kw_only=True, eq=False)
class Asking:
    """A question to be asked once."""

    to: Address
    request: Request[Any]
    server: str
    epoch: int
    about: str
    command: Command | None = None
    budget_s: float = CALL_BUDGET_S


class Run:
    """One conversation on its way to its end, as this replica carries it out."""

    def __init__(self, conductor: Conductor, conversation: str) -> None:
        self.conversation = conversation
        self._conductor = conductor
        self._setting = conductor.setting
        self._journals = conductor.journals
        self._journal = conductor.journals.read(conversation)
        self._plan: Plan = PLANS[self._journal.goal]
        self._epoch = 0
        self._is_swept = False
        self.talking = self._talk()

    def _talk(self) -> Talking:
        yield from self._steadily(self._carry_out)
        self._conductor.sweep()

    def _steadily(self, work: Any) -> Talking:
        tries = 0
        while True:
            try:
                yield from work()
            except StoreUnavailable:
                yield self._pause_s("store", tries)
                tries += 1
            else:
                return

    def _carry_out(self) -> Talking:
        self._epoch = self._journals.epoch(self.conversation, owner=self._conductor.owner)
        self._journal = self._journals.read(self.conversation)
        while True:
            if self._is_to_end():
                yield from self._write(self._entry(Kind.ABORTED, None, self._ends_for or b""))
            decision = next_command(self._plan, self._journal)
            match decision:
                case Send():
                    yield from self._exchange(decision)
                case Finish(ending=ending):
                    yield from self._write(self._entry(Kind.END, None, encode_body(ending)))
                case CloseAll(receivers=found):
                    yield from self._close(found)
                case Release(address=address, request=request):
                    yield from self._insist("release", (address,), request, epoch=0)
                    yield from self._write(self._entry(Kind.RELEASED, None, b""))
                    if self._is_swept:
                        self._check_store()
                        self._journals.swept(self.conversation)
                case Over():
                    return

    # --- one step ----------------------------------------------------------------------------------------------

    def _exchange(self, send: Send) -> Talking:
        last = self._journal.entries[-1]
        mine = (Kind.INTENT, send.step.name, send.attempt, send.is_undo)
        if (last.kind, last.step, last.attempt, last.is_undo) != mine:
            if send.pause_s:
                self._park(f"{send.step.name}: there was nothing to choose; it is tried again")
                yield send.pause_s
            yield from self._write(self._entry(Kind.INTENT, send, b""))
        outcome = yield from self._answer(send)
        if outcome is ENDED:
            return
        if isinstance(outcome, CellferryError):
            yield from self._write(self._entry(Kind.REFUSED, send, self._reported(outcome)))
            return
        done = self._entry(Kind.DONE, send, outcome.body)
        objection = None
        if not send.is_undo and send.step.objection is not no_objection:
            story = attrs.evolve(send.story, journal=self._journal.followed_by(done))
            objection = send.step.objection(story, outcome.value)
        if objection is not None:
            done = self._entry(Kind.REFUSED, send, self._reported(objection))
        yield from self._write(done)

    def _answer(self, send: Send) -> Talking:
        tries, since_ns = 0, self._setting.agenda.now_ns
        while True:
            waited_s = (self._setting.agenda.now_ns - since_ns) / NS_PER_S
            asking = self._asking(send, waited_s)
            replies = yield (asking,)
            assert replies is not None, "a question gets a reply"
            reply = replies[0]
            if not reply.is_error:
                return reply
            error = revive(reply.value)
            if error.is_retryable:
                found = yield from stand_in(
                    send, root=self._conductor.cell, epoch=self._epoch, ask=Asking, now_ns=self._setting.agenda.now_ns
                )
                if isinstance(found, Reply):
                    return found
                error = found or error
            patience_ns = (PATIENCE_S if send.step.patience_s is None else send.step.patience_s) * NS_PER_S
            is_patient = error.is_retryable and self._setting.agenda.now_ns - since_ns < patience_ns
            if isinstance(error, StaleEpoch):
                # Whoever still has his conversation asks under the next epoch.
                self._renew()
            elif not send.must_succeed and not is_patient:
                outcome = send.step.outcome(send.story, error)
                return outcome if isinstance(outcome, CellferryError) else reply_of(outcome)
            self._park(f"{send.step.name} at {send.address}: {error}")
            if self._is_to_end():
                return ENDED
            yield self._pause_s(asking.about, tries)
            tries += 1

    @property
    def _ends_for(self) -> bytes | None:
        return self._journals.kept[self.conversation].ends_for

    def _is_to_end(self) -> bool:
        return self._ends_for is not None and may_be_aborted(self._plan, self._journal)

    def _asking(self, send: Send, waited_s: float) -> Asking:
        server = self._journal.server
        is_broadcast = type(send.request).METHOD.form is Form.BROADCAST
        key = str(send.key)
        if send.step.is_read:
            command, epoch = None, 0
        else:
            command, epoch = Command(send.key, key, server, self._epoch, send.request), self._epoch
        return Asking(
            to=send.address, request=send.request, server=server, epoch=epoch, about=key, command=command,
            budget_s=GATHER_BUDGET_S if is_broadcast else send.step.budget_s(CALL_BUDGET_S, waited_s=waited_s),
        )  # fmt: skip

    def _renew(self) -> None:
        self._check_store()
        self._epoch = self._journals.renew(self.conversation, owner=self._conductor.owner)

    # --- the end -----------------------------------------------------------------------------------------------

    def _close(self, found: tuple[Address, ...]) -> Talking:
        self._renew()
        lowest_open = self._journals.lowest_open(but=self.conversation)
        self._is_swept = lowest_open > self._epoch
        self._journals.kept[self.conversation].receivers = found
        request = Close(server=self._journal.server, conversation=self.conversation, lowest_open=lowest_open)
        yield from self._insist("close", found, request, epoch=self._epoch)
        yield from self._write(self._entry(Kind.CLOSED, None, b""))

    def _insist(self, what: str, found: tuple[Address, ...], request: Request[Any], *, epoch: int) -> Talking:
        """Send what is no step until everybody has done it."""
        left, tries = found, 0
        while left:
            questions = tuple(self._plain(what, to, request, epoch) for to in left)
            replies = yield questions
            assert replies is not None, "questions get replies"
            failed = [(to, reply) for to, reply in zip(left, replies, strict=True) if reply.is_error]
            for to, _ in tuple(failed):
                about = f"{what}:{self.conversation}:{tries}"
                if (yield from is_fenced(to, root=self._conductor.cell, ask=Asking, about=about)):
                    failed = [each for each in failed if each[0] != to]
            left = tuple(to for to, _ in failed)
            if failed:
                self._park(f"{what} at {failed[0][0]}: {revive(failed[0][1].value)}")
                yield self._pause_s(what, tries)
            tries += 1

    def _plain(self, what: str, to: Address, request: Request[Any], epoch: int) -> Asking:
        about = f"{what}:{self.conversation}:{to}"
        return Asking(to=to, request=request, server=self._journal.server, epoch=epoch, about=about)

    # --- the journal -------------------------------------------------------------------------------------------

    def _write(self, entry: Entry) -> Talking:
        is_unsure = self._check_store()
        self._journal = self._journals.append(self.conversation, entry, by=self._conductor.name)
        if is_unsure:
            raise self._setting.unsure(self._conductor.name)
        if self._conductor.is_struck(entry, self._journal):
            yield 0.0

    def _entry(self, kind: Kind, send: Send | None, payload: bytes) -> Entry:
        return Entry(
            seq=len(self._journal.entries),
            epoch=self._epoch,
            kind=kind,
            at_us=self._setting.now_us(),
            step=send.step.name if send else "",
            attempt=send.attempt if send else 0,
            is_undo=send.is_undo if send else False,
            payload=payload,
        )

    def _park(self, waits_for: str) -> None:
        self._journals.epoch(self.conversation, owner=self._conductor.owner)
        self._check_store()
        self._journals.park(self.conversation, waits_for)

    def _check_store(self) -> bool:
        return self._setting.check_store(self._conductor.name)

    def _reported(self, error: CellferryError) -> bytes:
        return encode_body(report(error, cell=str(self._conductor.cell)))

    def _pause_s(self, what: str, tries: int) -> float:
        return pause_s(self._setting, self.conversation, what, tries)


def pause_s(setting: Setting, who: str, what: str, tries: int) -> float:
    """Tell how long to wait before the next try: doubling, with jitter, up to a limit."""
    jitter = setting.chance.uniform("pause", who, what, tries)
    return backoff_s(tries, jitter)
