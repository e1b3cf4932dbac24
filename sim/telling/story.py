"""A run told in plain sentences, for somebody who sees cellferry for the first time."""

import math
from collections.abc import Iterator
from typing import Final

import attrs

from protocol.invariants import INVARIANTS
from sim.cases.case import Breach, Case, Outcome
from sim.cases.workload import Act, Op
from sim.checkers import ORACLES
from sim.commands.levels import Ran
from sim.diagram.composing import Focus, focus_on
from sim.diagram.wording import wish
from sim.faults import MEANINGS, Fault
from sim.history import Answered, Called, Fired, Line, Looked, Ordered
from sim.telling.account import Account, Exchange, give_account, in_plain_words
from sim.telling.holdings import holdings

#: More sentences than this nobody reads: those in the middle go.
SENTENCES_MAX: Final = 20
FIRST: Final = 6
FAULTS_MAX: Final = 12
OPS_MAX: Final = 12


@attrs.frozen(kw_only=True)
class _Sentence:
    """A sentence, and the line of the history at which it belongs."""

    number: int
    text: str


def tell(run: Ran) -> str:
    """Tell a run as Markdown: what did not hold, what was planned, what happened, and what everybody held then."""
    case, breach = run.outcome.case, run.outcome.first
    account = give_account(run.history.lines)
    focus = focus_on(account, breach)
    sentences = _shortened(sorted(_Teller(account, focus).sentences(), key=lambda each: each.number))
    parts = [
        _heading(case, breach),
        "",
        *_verdict(run.outcome, account),
        "",
        "## What was planned",
        "",
        *_plan(case),
        "",
        "## What happened",
        "",
        "Times are seconds of virtual time since the begin of the phase with faults.",
        "",
        *(f"{number}. {sentence.text}" for number, sentence in enumerate(sentences, start=1)),
        "",
        "## What everybody held then",
        "",
        *(f"- {held}" for held in holdings(run.history.lines, at=focus.last, servers=sorted(focus.servers))),
    ]
    return "\n".join(parts) + "\n"


def promise_of(name: str) -> str:
    """Give the sentence that an invariant or oracle promises; empty for a name that is neither."""
    if name in INVARIANTS:
        return INVARIANTS[name].text
    return " ".join(ORACLES[name].text().split()) if name in ORACLES else ""


def _heading(case: Case, breach: Breach | None) -> str:
    return f"# `{breach.invariant}` does not hold for {breach.server}" if breach else f"# Seed {case.seed}: all holds"


def _verdict(outcome: Outcome, account: Account) -> Iterator[str]:
    breach, case = outcome.first, outcome.case
    world = f"{case.cells} cells, {case.hosts} hosts, seed {case.seed}, strategy {case.strategy}"
    if breach is None:
        yield f"In a world of {world}, every invariant and oracle held over {outcome.steps} lines of history."
        return
    if promise := promise_of(breach.invariant):
        yield f"The promise: {promise}"
        yield ""
    line = next((line for line in account.lines if line.number == breach.step), None)
    when = f" at {account.seconds(line):.2f} s" if line else ""
    yield f"In a world of {world}, line {breach.step} of the history{when} broke it: {breach.text}."
    others = sorted({other.invariant for other in outcome.breaches} - {breach.invariant})
    if others:
        yield f"Later these did not hold either: {', '.join(others)}."


# --- what was planned --------------------------------------------------------------------------------------


def _plan(case: Case) -> Iterator[str]:
    for op in case.setup:
        yield f"- Before any fault {_asked(op)}."
    yield from (f"- {_asked(op)[0].upper()}{_asked(op)[1:]}{_when(op)}." for op in case.ops[:OPS_MAX])
    if len(case.ops) > OPS_MAX:
        yield f"- ... and {len(case.ops) - OPS_MAX} operations more."
    yield from (f"- Fault {_fault(fault)}." for fault in case.faults[:FAULTS_MAX])
    if len(case.faults) > FAULTS_MAX:
        yield f"- ... and {len(case.faults) - FAULTS_MAX} faults more."
    if not case.faults:
        yield "- No fault was planned."


def _asked(op: Op) -> str:
    where = f" on {op.host}" if op.act is Act.CREATE and op.host else f" to {op.host}" if op.host else ""
    volume = f" with volume {op.volume}" if op.volume else ""
    volume += f" for {op.replacement}" if op.replacement else ""
    disk = " from a volume" if op.is_volume_backed else ""
    return f"a user asks to {op.act} {op.server}{where}{disk}{volume} ({op.name})"


def _when(op: Op) -> str:
    return f", {op.at_s:g} s after {op.after} is over" if op.after else f", at {op.at_s:g} s"


def _fault(fault: Fault) -> str:
    about = str(fault).removeprefix(f"{fault.kind} {fault.name}: ")
    text = MEANINGS[fault.kind].text
    for_s = "its time" if math.isinf(fault.for_s) else f"{fault.for_s:g} s"
    for name, value in (("for_s", for_s), ("amount_s", f"{fault.amount_s:g} s"), ("point", fault.point)):
        text = text.replace(f"`{name}`", value)
    return f"{fault.name} ({fault.kind}): {text}; {about}"


# --- what happened -----------------------------------------------------------------------------------------


class _Teller:
    """Makes the sentences of what is in focus."""

    def __init__(self, account: Account, focus: Focus) -> None:
        self._account = account
        self._focus = focus

    def sentences(self) -> Iterator[_Sentence]:
        """Make them all, in no order."""
        yield from self._orders()
        yield from self._exchanges()
        yield from self._conversations()
        yield from self._faults()
        yield from self._spells()
        yield from self._failed_calls()
        yield from self._end()

    def _at(self, line: Line, text: str) -> _Sentence:
        return _Sentence(number=line.number, text=f"At {self._account.seconds(line):.2f} s {text}")

    def _orders(self) -> Iterator[_Sentence]:
        for asked, answered in self._account.orders:
            if not (isinstance(asked.what, Ordered) and self._focus.shows(asked)):
                continue
            order = asked.what.order
            if order.server not in self._focus.servers:
                continue
            yield self._at(asked, f"a user asked to {wish(order)} {order.server}{self._answer(answered)}.")

    def _answer(self, answered: Line | None) -> str:
        if answered is None or not self._focus.shows(answered) or not isinstance(answered.what, Answered):
            return " and had no answer yet"
        return f", which was refused ({answered.what.error})" if answered.what.error else ", which was accepted"

    def _exchanges(self) -> Iterator[_Sentence]:
        by_conversation: dict[str, list[Exchange]] = {}
        for each in self._account.exchanges:
            if each.server in self._focus.servers and self._focus.shows(each.line):
                by_conversation.setdefault(each.conversation, []).append(each)
        for exchanges in by_conversation.values():
            plain: list[Exchange] = []
            for exchange in exchanges:
                if exchange.is_plain and exchange.outcome and self._focus.shows(exchange.outcome):
                    plain.append(exchange)
                    continue
                yield from self._plain(plain)
                plain = []
                yield self._at(exchange.line, self._troubled(exchange))
            yield from self._plain(plain)

    def _plain(self, exchanges: list[Exchange]) -> Iterator[_Sentence]:
        if not exchanges:
            return
        first, last = exchanges[0], exchanges[-1]
        if first is last:
            what = f"step {first.name} of the {first.goal} was done"
        else:
            until = last.outcome or last.line
            what = f"{len(exchanges)} steps of the {first.goal} were done by {self._account.seconds(until):.2f} s"
            what += f", from {first.name} to {last.name}"
        yield self._at(first.line, f"{what}.")

    def _troubled(self, exchange: Exchange) -> str:
        sent = [message for message in exchange.commands if self._focus.shows(message.line)]
        lost = sum(1 for message in (*sent, *exchange.answers) if message.lost and self._focus.shows(message.lost))
        told = [f"the conductor intended {exchange.name} of the {exchange.goal}"]
        if len(sent) > 1:
            told.append(f"asked for it {len(sent)} times")
        if lost:
            told.append(f"{lost} of the messages {'was' if lost == 1 else 'were'} lost")
        told += self._verdicts(exchange)
        told.append(self._outcome(exchange))
        return f"{', '.join(told[:-1])}, and {told[-1]}."

    def _verdicts(self, exchange: Exchange) -> Iterator[str]:
        shown = [line.what for line in exchange.looks if self._focus.shows(line)]
        verdicts = [what.verdict for what in shown if isinstance(what, Looked)]
        for verdict in dict.fromkeys(verdicts):
            if verdict == "known":
                yield f"{verdicts.count(verdict)} of them got the answer of the first time"
            elif verdict not in {"fresh", "accepted"}:
                yield f"{verdicts.count(verdict)} of them was refused as {verdict}"

    def _outcome(self, exchange: Exchange) -> str:
        if exchange.outcome is None or not self._focus.shows(exchange.outcome):
            done = [line for line in exchange.effects if self._focus.shows(line)]
            where = f" though {done[0].what.process} had taken it up" if done else ""
            return f"had no answer{where}"
        at_s = self._account.seconds(exchange.outcome)
        return f"noted at {at_s:.2f} s that it was {f'refused ({exchange.error})' if exchange.error else 'done'}"

    def _conversations(self) -> Iterator[_Sentence]:
        for conversation in self._account.conversations.values():
            if conversation.server not in self._focus.servers:
                continue
            ended = conversation.ended()
            for line in conversation.takeovers:
                if self._focus.shows(line) and (ended is None or line.number < ended[0].number):
                    yield self._at(line, f"{line.what.process} took the {conversation.goal} over.")
            if ended and self._focus.shows(ended[0]):
                line, ending = ended
                cause = ending.cause.code if ending.cause else "?"
                how = "ended well" if ending.is_success else f"ended with everything undone ({cause})"
                yield self._at(line, f"the {conversation.goal} of {conversation.server} {how}.")

    def _faults(self) -> Iterator[_Sentence]:
        struck: dict[str, list[Line]] = {}
        for line in self._account.fired:
            if self._focus.shows(line) and isinstance(line.what, Fired) and line.what.mattered:
                struck.setdefault(line.what.fault.name, []).append(line)
        for name, lines in struck.items():
            what = lines[0].what
            assert isinstance(what, Fired)
            more = f", and {len(lines) - 1} times more until {self._account.seconds(lines[-1]):.2f} s"
            often = more if len(lines) > 1 else ""
            yield self._at(lines[0], f"fault {name} struck: {in_plain_words(what.fault, what.text)}{often}.")

    def _spells(self) -> Iterator[_Sentence]:
        for spell in self._account.spells:
            is_begun, is_ended = (line is not None and self._focus.shows(line) for line in (spell.begin, spell.end))
            if spell.kind == "guest" and spell.server in self._focus.servers:
                if is_begun:
                    text = f"the guest of {spell.server} began to run on {spell.place}, permit {spell.permit}."
                    yield self._at(spell.begin, text)
                if is_ended and spell.end:
                    yield self._at(spell.end, f"the guest of {spell.server} on {spell.place} was off.")
            elif spell.kind == "down" and is_ended and spell.end and self._is_of_interest(spell.place):
                yield self._at(spell.end, f"{spell.place} was up again.")

    def _is_of_interest(self, process: str) -> bool:
        """Tell whether a process takes part in what is told, other than by passing it on."""
        asked = (line.what.process for each in self._account.exchanges for line in each.looks)
        return process.endswith("/conductor") or process in set(asked)

    def _failed_calls(self) -> Iterator[_Sentence]:
        for line in self._account.failed_calls:
            if self._focus.shows(line) and isinstance(line.what, Called):
                what = line.what
                yield self._at(line, f"{what.call} of {what.about} failed at {what.where} ({what.error}).")

    def _end(self) -> Iterator[_Sentence]:
        for line in self._account.broken[:1]:
            yield self._at(line, "the checkers found the breach.")


def _shortened(sentences: list[_Sentence]) -> list[_Sentence]:
    """Leave out the middle of a long story."""
    if len(sentences) <= SENTENCES_MAX:
        return sentences
    left_out = len(sentences) - SENTENCES_MAX + 1
    gap = _Sentence(number=0, text=f"({left_out} sentences are left out here; the trace has everything.)")
    return [*sentences[:FIRST], gap, *sentences[FIRST + left_out :]]
