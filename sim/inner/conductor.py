"""The conductor of the inner level: takes orders and asks others on behalf of its conversations."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import attrs

from actors.conductor.actor import DECIDED_S, LET_IN_S, ORDERS
from actors.kernel.conversation import FOLLOW_S
from protocol.bodies import encode_body
from protocol.cell_path import Address
from protocol.errors import (
    CallTimeout,
    CellferryError,
    StaleEpoch,
    Unavailable,
    report,
    revive,
)
from protocol.ids import derived_id
from protocol.journal import Entry, Journal
from protocol.messages import orders as say
from protocol.messages.changes import ChangeServer
from protocol.messages.handing import TakeBuild, TakeOrder
from protocol.moves.parties import brief_of
from protocol.moves.queueing import TurnAway, admit, ended_by
from protocol.requests import Form
from sim.history import Journaled, Noted
from sim.inner.actors import Actor, Ensuring, Working
from sim.inner.changing import Changing
from sim.inner.chores import Doing
from sim.inner.conversing import Asking, Run
from sim.inner.memory import Reply
from sim.inner.patience import Patience
from sim.inner.sweeping import SWEEP, Sweep
from sim.inner.tending import Tending
from sim.points import AFTER_SEND, of_key, point_of

if TYPE_CHECKING:
    from protocol.effects.registry import Moment
    from protocol.requests import Request
    from sim.inner.gathering import Link
    from sim.inner.journals import Journals
    from sim.inner.messages import Question
    from sim.inner.setting import Setting

LOST: Final = "conversation_lost"
#: How often the decision about an order is looked for, of a conversation that this replica carries out.
LOOK_S: Final = 0.005


@attrs.define(eq=False)
class _Waiting:
    """A conversation that waits for answers."""

    run: Run | Sweep
    replies: list[Reply | None]
    left: int


class Conductor(Actor):
    """One replica of the conductor."""

    def __init__(
        self, me: Address, setting: Setting, *, name: str, journals: Journals, actors: dict[Address, Actor], link: Link
    ) -> None:
        super().__init__(me, setting, name=name)
        self.journals = journals
        self.actors = actors
        self.link = link
        self.running: dict[str, Run | Sweep] = {}  # By conversation; the sweep is among them.
        self.lost = 0  # Conversations that another conductor had taken over.
        self._given_up: set[str] = set()
        self._asked: dict[int, tuple[_Waiting, int]] = {}
        self._patience = Patience(self.process, setting.agenda, is_asked=self.waits_for, give_up=self._give_up)
        self.process.when_crashed.append(self._drop_all)
        self.process.when_started.insert(0, self.resume)

    def _drop_all(self) -> None:
        self.running.clear()
        self._given_up.clear()
        self._asked.clear()

    # --- orders ------------------------------------------------------------------------------------------------

    @cached_property
    def ensurings(self) -> dict[type[Request[Any]], Ensuring]:
        """List what users ask."""
        handed = Ensuring(
            accept=lambda request, moment: self._begin(request.order, moment), ensure=self._take_handed,
            is_resumed=False,
        )  # fmt: skip
        asked = Ensuring(accept=self._begin, ensure=self._take, is_resumed=False)
        return {**dict.fromkeys(ORDERS, asked), TakeOrder: handed, TakeBuild: handed}

    def receive(self, question: Question) -> None:
        """Take a question; a change of a record waits for nothing else about its server."""
        if isinstance(question.request, ChangeServer):
            Changing(self, question, question.request).begin()
        else:
            super().receive(question)

    def _begin(self, order: Any, moment: Moment) -> None:
        goal, conversation = order.goal, derived_id(moment.key)
        others = self.journals.others(order.server, but=conversation)
        admission = admit(goal, server=order.server, others=others)
        if isinstance(admission, TurnAway):
            raise admission.error
        for other in admission.ends:
            cause = ended_by(order.server, other.goal, conversation)
            self.journals.kept[other.conversation].ends_for = encode_body(report(cause, cell=str(self.cell)))
        crossing = self.setting.layout.crossing
        payload = encode_body(brief_of(self.cell, order, is_queued=bool(admission.ends), crossing=crossing))
        self.journals.begin(
            conversation, server=order.server, goal=goal, owner=self.owner, payload=payload,
            at_us=moment.now_us,
        )  # fmt: skip

    def _take(self, order: Any, moment: Moment) -> Working:
        conversation = derived_id(moment.key)
        if self.journals.kept[conversation].owner == self.owner:
            self.start(conversation)
        since_s = self.setting.agenda.now_s
        while (decided := self.journals.verdict(conversation)) is None:
            if self.setting.agenda.now_s - since_s >= DECIDED_S:
                reason = self.journals.kept[conversation].waits_for or "it is not decided yet"
                raise Unavailable(what=f"conversation {conversation}", reason=reason)
            yield self._pause_s(conversation)
        since_s = self.setting.agenda.now_s
        while decided.is_open and self.setting.agenda.now_s - since_s < LET_IN_S:
            yield self._pause_s(conversation)
            decided = self.journals.verdict(conversation) or decided
        if decided.refusal is not None:
            raise revive(decided.refusal)
        return say.Accepted(conversation=conversation, server=order.server)

    def _take_handed(self, request: TakeOrder | TakeBuild, moment: Moment) -> Working:
        conversation = derived_id(moment.key)
        if self.journals.kept[conversation].owner == self.owner:
            self.start(conversation)
        yield 0.0
        return say.Accepted(conversation=conversation, server=request.order.server)

    def _pause_s(self, conversation: str) -> float:
        return LOOK_S if conversation in self.running else FOLLOW_S

    # --- conversations -----------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Begin as a process does that is started."""
        for begin in self.process.when_started:
            begin()

    @property
    def owner(self) -> str:
        """Name this very life of the replica."""
        return f"{self.name}#{self.process.run}"

    def resume(self) -> None:
        """Go on with what this slot had; from now on, take over what others let lie, and sweep after all."""
        self.sweep()
        self.process.later(0.0, Tending(self).begin)
        root = self.actors[Address(self.cell, "cell")]
        for chore, after_us in self.setting.layout.waits.chores():
            Doing(self, root, chore, after_us=after_us).begin()

    def adopt(self, conversation: str) -> None:
        """Carry out what is this replica's, unless a mistake of ours has ended it."""
        if conversation not in self._given_up:
            self.start(conversation)

    def start(self, conversation: str) -> None:
        """Go on with a conversation, unless this replica does already."""
        if conversation not in self.running:
            run = self.running[conversation] = Run(self, conversation)
            self.go_on(run, None)

    def sweep(self) -> None:
        """Sweep now, or again as soon as the sweep that is under way is over."""
        sweep = self.running.get(SWEEP)
        if isinstance(sweep, Sweep) and not sweep.is_pausing:
            sweep.is_woken = True
            return
        following = Sweep(self, tries=sweep.tries if isinstance(sweep, Sweep) else 0)
        self.running[SWEEP] = following
        self.go_on(following, None)

    def go_on(self, run: Run | Sweep, replies: tuple[Reply, ...] | None) -> None:
        """Let a conversation go on until it waits again."""
        if self.running.get(run.conversation) is not run:
            return
        try:
            waits_for = run.talking.send(replies)
        except StopIteration:
            self.running.pop(run.conversation, None)
        except StaleEpoch as error:
            self.running.pop(run.conversation, None)
            self.note(LOST, f"{run.conversation}: {error}")
        except Exception as error:  # noqa: BLE001  a mistake in one conversation must not end the others
            self.running.pop(run.conversation, None)
            self.note("conversation_failed", f"{run.conversation}: {error!r}")
            if isinstance(run, Run):
                self._given_up.add(run.conversation)
                self.journals.park(run.conversation, f"a mistake of cellferry: {error!r}")
        else:
            if isinstance(waits_for, tuple):
                self._ask_all(run, waits_for)
            else:
                self.process.later(waits_for, self.go_on, run, None)

    def note(self, event: str, detail: str) -> None:
        """Note what a conductor counts."""
        self.lost += event == LOST
        self.setting.history.record(Noted(process=self.name, event=event, detail=detail))

    def is_struck(self, entry: Entry, journal: Journal) -> bool:
        """Pass the point that a journal entry is; tell whether this process was struck at it."""
        if not self.setting.has_points:
            return False
        line = Journaled(
            process=self.name, conversation=journal.conversation, server=journal.server, goal=journal.goal, entry=entry
        )
        self.setting.pass_point(point_of(line), self.name)
        return not self.process.is_going

    # --- asking ------------------------------------------------------------------------------------------------

    def _ask_all(self, run: Run | Sweep, questions: tuple[Asking, ...]) -> None:
        waiting = _Waiting(run, [None] * len(questions), len(questions))
        for number, asking in enumerate(questions):
            question = self._ask(asking)
            self._asked[question.serial] = waiting, number
            self._patience.begin(question)
        if self.setting.has_points:
            for asking in questions:
                if asking.command is not None:
                    self.setting.pass_point(of_key(asking.command.text, AFTER_SEND), self.name)

    def _ask(self, asking: Asking) -> Question:
        if type(asking.request).METHOD.form is Form.BROADCAST:
            link = self.link
            return self.setting.network.ask(
                self, asking.request, to=link.process, cell=link.cell, receive=link.receive, about=asking.about,
                budget_s=asking.budget_s,
            )  # fmt: skip
        actor = self.actors[asking.to]
        return self.setting.network.ask(
            self, asking.request, to=actor.process, cell=actor.cell, receive=actor.receive, about=asking.about,
            budget_s=asking.budget_s, server=asking.server, epoch=asking.epoch, command=asking.command,
        )  # fmt: skip

    def waits_for(self, question: Question) -> bool:
        """Tell whether the answer to a question is still waited for."""
        return question.serial in self._asked

    def take(self, question: Question, reply: Reply) -> None:
        """Take the answer to a question; the conversation goes on when it was the last one that it waits for."""
        found = self._asked.pop(question.serial, None)
        if found is None:
            return
        waiting, number = found
        waiting.replies[number] = reply
        waiting.left -= 1
        if not waiting.left:
            self.go_on(waiting.run, tuple(waiting.replies))  # type: ignore[arg-type]  # none is missing any more

    def fail(self, question: Question, error: CellferryError) -> None:
        """Hear that a question went nowhere."""
        self.take(question, Reply(report(error, cell=str(self.cell)), b"", is_error=True))

    def _give_up(self, question: Question) -> None:
        address = question.mailbox.name
        self.fail(question, CallTimeout(address=address, method=question.method, waited_s=question.budget_s))
