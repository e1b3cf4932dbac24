"""Chooses what a diagram shows of a history: the servers and the time around the breach, and no more than helps."""

from collections.abc import Iterable, Iterator
from typing import Final

import attrs

from sim.cases.case import Breach
from sim.diagram.lanes import lanes_of, process_of_host
from sim.diagram.picture import USERS, Arrow, Bar, BarKind, Fate, Mark, MarkKind, Picture
from sim.diagram.thinning import KILLED_BY, thinned, touched
from sim.diagram.wording import epochs_of, wish
from sim.history import Answered, Called, Fired, Journaled, Line, Looked, Ordered, Started, TakenOver
from sim.telling.account import Account, Arrival, Conversation, Exchange, Message, Spell, give_account, in_plain_words

#: Copies that follow each other within this time are told as one.
CLOSE_S: Final = 1.0
#: When there are more exchanges than this, so many plain ones in a row and more are told in one line.
DETAILED_MAX: Final = 28
PLAIN_MIN: Final = 4
#: ... but this many next to what is not plain are shown, for a reader to find his way.
SHOWN_BESIDE: Final = 1
STEPS_NAMED_MAX: Final = 40
CONDUCTOR: Final = "/conductor"


@attrs.frozen(kw_only=True)
class Focus:
    """Which servers, and which lines of the history."""

    servers: frozenset[str]
    first: int
    last: int

    def shows(self, line: Line) -> bool:
        """Tell whether a line is within the time shown."""
        return self.first <= line.number <= self.last


def compose(lines: Iterable[Line], *, breach: Breach | None = None, servers: Iterable[str] = ()) -> Picture:
    """Choose what to show: of the breach when there is one, and else of everything."""
    account = give_account(lines)
    focus = focus_on(account, breach, frozenset(servers))
    bars = tuple(_bars(account, focus))
    guests = {bar.lane for bar in bars if bar.kind is BarKind.GUEST}
    items = sorted(_Composer(account, focus, breach).items(), key=lambda item: item.begin)
    items = thinned(items, known=guests)
    used = {lane for item in items for lane in touched(item)} | guests
    epochs = {item.epoch for item in items if isinstance(item, Arrow) and item.epoch}
    names = epochs_of(account)
    return Picture(
        title=_title(breach, focus), lanes=lanes_of(used), items=tuple(items),
        bars=tuple(bar for bar in bars if bar.lane in used),
        epochs={epoch: names.get(epoch, "of no conversation here") for epoch in sorted(epochs)},
    )  # fmt: skip


def focus_on(account: Account, breach: Breach | None, servers: frozenset[str] = frozenset()) -> Focus:
    """Look at the breach's server, from the conversation before the first fault that mattered on."""
    last = breach.step if breach else max((line.number for line in account.lines), default=0)
    if breach and not servers and breach.server in account.servers:
        servers = frozenset({breach.server})
    servers = servers or frozenset(account.servers)
    of_them = [each for each in account.conversations.values() if each.server in servers and each.line.number <= last]
    fired = [line.number for line in account.fired if line.number <= last]
    struck = min(fired, default=last)
    first = min((each.line.number for each in of_them if each.is_open_at(min(struck, last))), default=None)
    if first is None and breach and of_them:
        first = max(each.line.number for each in of_them)
    begin = min(first if first is not None else 0, max(0, struck - 1))  # What was struck is told just before.
    asked = (
        line.number
        for line, answered in account.orders
        if line.number <= begin and _of(line, servers) and (answered is None or answered.number >= begin)
    )
    return Focus(servers=servers, first=min(asked, default=begin) if breach else 0, last=last)


def _of(line: Line, servers: frozenset[str]) -> bool:
    return isinstance(line.what, Ordered) and line.what.order.server in servers


def _title(breach: Breach | None, focus: Focus) -> str:
    servers = ", ".join(sorted(focus.servers))
    return f"{breach.invariant} does not hold for {breach.server}" if breach else f"What happened to {servers}"


def _bars(account: Account, focus: Focus) -> Iterator[Bar]:
    for spell in account.spells:
        if spell.begin.number > focus.last or (spell.end and spell.end.number < focus.first):
            continue
        if spell.kind == "guest" and spell.server not in focus.servers:
            continue
        end = spell.end.number if spell.end and spell.end.number <= focus.last else None
        lane = _place(account, spell)
        yield Bar(begin=spell.begin.number, end=end, lane=lane, kind=BarKind(spell.kind), server=spell.server)


def _place(account: Account, spell: Spell) -> str:
    return process_of_host(account, spell.place) if spell.kind == "guest" else spell.place


class _Composer:
    """Makes the items of a picture."""

    def __init__(self, account: Account, focus: Focus, breach: Breach | None) -> None:
        self._account = account
        self._focus = focus
        self._breach = breach
        self._conductor = next(
            (line.what.process for line in account.lines if isinstance(line.what, Journaled)), CONDUCTOR
        )

    def items(self) -> Iterator[Arrow | Mark]:
        """Give everything that is shown, in no order."""
        yield from self._orders()
        yield from self._talk()
        yield from self._endings()
        yield from self._troubles()
        yield from self._guests()
        if self._breach:
            yield self._mark(self._last(), "", MarkKind.BREACH, f"{self._breach.invariant}: {self._breach.text}")

    def _last(self) -> Line:
        return next(line for line in reversed(self._account.lines) if line.number <= self._focus.last)

    def _mark(self, line: Line, lane: str, kind: MarkKind, text: str) -> Mark:
        return Mark(begin=line.number, begin_s=self._account.seconds(line), lane=lane, kind=kind, text=text)

    def _level(self, line: Line, source: str, target: str, text: str) -> Arrow:
        at_s, number = self._account.seconds(line), line.number
        return Arrow(begin=number, begin_s=at_s, end=number, end_s=at_s, source=source, target=target, text=text)

    # --- users -------------------------------------------------------------------------------------------------

    def _orders(self) -> Iterator[Arrow]:
        for asked, answered in self._account.orders:
            if not self._focus.shows(asked) or not _of(asked, self._focus.servers):
                continue
            assert isinstance(asked.what, Ordered)
            order = asked.what.order
            conductor = self._taker(answered)
            yield self._level(asked, USERS, conductor, f"{wish(order)} {order.server}")
            if answered and self._focus.shows(answered) and isinstance(answered.what, Answered):
                error = answered.what.error
                text = f"refused: {error}" if error else "accepted"
                level = self._level(answered, conductor, USERS, text)
                yield attrs.evolve(level, is_answer=True, is_error=bool(error))

    def _taker(self, answered: Line | None) -> str:
        """Name the conductor that took an order, if that is known: there may be two."""
        known = isinstance(answered.what, Answered) and answered.what.conversation if answered else ""
        conversation = self._account.conversations.get(known or "")
        return conversation.line.what.process if conversation else self._conductor

    # --- exchanges ---------------------------------------------------------------------------------------------

    def _talk(self) -> Iterator[Arrow | Mark]:
        shown = [
            each
            for each in self._account.exchanges
            if each.server in self._focus.servers and self._focus.shows(each.line)
        ]
        by_conversation: dict[str, list[Exchange]] = {}
        for each in shown:
            by_conversation.setdefault(each.conversation, []).append(each)
        for exchanges in by_conversation.values():
            for is_dull, group in _groups(exchanges, self._focus):
                if is_dull and len(shown) > DETAILED_MAX:
                    yield self._skipped(group)
                else:
                    for exchange in group:
                        yield from self._exchange(exchange)

    def _skipped(self, group: list[Exchange]) -> Mark:
        names = [each.name for each in group]
        more = f" and {len(names) - STEPS_NAMED_MAX} more" if len(names) > STEPS_NAMED_MAX else ""
        ends = max((each.outcome.number, self._account.seconds(each.outcome)) for each in group if each.outcome)
        what = f"{group[0].goal}: {len(names)} steps as on a good day, until {ends[1]:.2f} s"
        text = f"{what}: {', '.join(names[:STEPS_NAMED_MAX])}{more}"
        return self._mark(group[0].line, "", MarkKind.SKIPPED, text)

    def _exchange(self, exchange: Exchange) -> Iterator[Arrow | Mark]:
        if not exchange.commands:
            yield from self._unheard(exchange)
            return
        yield from self._commands(exchange)
        yield from self._answers(exchange)

    def _unheard(self, exchange: Exchange) -> Iterator[Arrow | Mark]:
        """Tell an exchange of which the history has no messages by what its two ends wrote."""
        told = [line for line in (*exchange.looks, *exchange.effects) if self._focus.shows(line)]
        asker = exchange.line.what.process
        done = exchange.outcome if exchange.outcome and self._focus.shows(exchange.outcome) else None
        text = f"{exchange.goal}: {exchange.name}" if not told else exchange.name
        if not told:
            result = "" if done is None else f", refused: {exchange.error}" if exchange.error else ", done"
            yield self._mark(exchange.line, asker, MarkKind.NOTE, f"{exchange.name}{result}")
            return
        receiver, at_s = told[0].what.process, self._account.seconds
        yield Arrow(
            begin=exchange.line.number, begin_s=at_s(exchange.line), end=told[0].number, end_s=at_s(told[0]),
            source=asker, target=receiver, text=text, epoch=exchange.epoch, is_undo=exchange.is_undo,
        )  # fmt: skip
        if done is not None:
            yield Arrow(
                begin=told[-1].number, begin_s=at_s(told[-1]), end=done.number, end_s=at_s(done), source=receiver,
                target=asker, text=_reply_text(exchange), epoch=exchange.epoch, is_answer=True,
                is_undo=exchange.is_undo, is_error=bool(exchange.error),
            )  # fmt: skip

    def _commands(self, exchange: Exchange) -> Iterator[Arrow | Mark]:
        sent = [message for message in exchange.commands if self._focus.shows(message.line)]
        if not sent:
            return
        verdicts = _verdicts(exchange)
        # Of many retries the first and the last tell the story.
        between = sent[1:-1] if len(sent) > 3 else []  # noqa: PLR2004 - three arrows are still easy to read
        for message in sent:
            if message not in between:
                again = "" if message is sent[0] else " (asked again)"
                verdict = verdicts.get(message.note.id, "")
                yield from self._arrows(message, f"{exchange.name}{again}{verdict}", exchange)
        if between:
            first_s, last_s = (self._account.seconds(between[place].line) for place in (0, -1))
            text = f"asks {len(between)} times more, from {first_s:.1f} s to {last_s:.1f} s"
            yield self._mark(between[0].line, between[0].sender, MarkKind.NOTE, text)

    def _answers(self, exchange: Exchange) -> Iterator[Arrow | Mark]:
        sent = [message for message in exchange.answers if self._focus.shows(message.line)]
        text = _reply_text(exchange)
        shown: Message | None = None
        for message in sent:
            # A command that came twice is answered twice: the second answer, right behind, says nothing new.
            if shown is None or not shown.arrivals or not self._is_close(shown.line, message.line):
                yield from self._arrows(message, text if message.note.is_error else "", exchange)
                shown = message

    def _arrows(self, message: Message, text: str, exchange: Exchange) -> Iterator[Arrow | Mark]:
        arrivals = [arrival for arrival in message.arrivals if self._focus.shows(arrival.line)]
        base = Arrow(
            begin=message.line.number, begin_s=self._account.seconds(message.line), end=None, end_s=None,
            source=message.sender, target=_receiver(message), text=text, epoch=message.note.epoch,
            is_answer=bool(message.note.answers), is_undo=exchange.is_undo, is_error=message.note.is_error,
        )  # fmt: skip
        if not arrivals:
            is_lost = message.lost is not None and self._focus.shows(message.lost)
            yield attrs.evolve(base, fate=Fate.LOST if is_lost else Fate.OPEN)
        for first, copies in self._bundles(arrivals):
            if first.is_again:
                yield self._mark(first.line, first.process, MarkKind.NOTE, f"{exchange.name}: handed out again")
                continue
            is_late = first is not arrivals[0]
            often = f" (came {copies} times)" if copies > 1 else " (another copy)" if is_late else ""
            yield attrs.evolve(
                base, end=first.line.number, end_s=self._account.seconds(first.line), target=first.process,
                fate=Fate.DOUBLED if often else Fate.ARRIVED, text=f"{text}{often}",
            )  # fmt: skip

    def _bundles(self, arrivals: list[Arrival]) -> Iterator[tuple[Arrival, int]]:
        """Tell of copies that arrive right behind each other as one, and how many they are."""
        bundle: list[Arrival] = []
        for arrival in arrivals:
            if bundle and (arrival.is_again or not self._is_close(bundle[-1].line, arrival.line)):
                yield bundle[0], len(bundle)
                bundle = []
            bundle.append(arrival)
        if bundle:
            yield bundle[0], len(bundle)

    def _is_close(self, earlier: Line, later: Line) -> bool:
        return self._account.seconds(later) - self._account.seconds(earlier) <= CLOSE_S

    # --- what else happened ------------------------------------------------------------------------------------

    def _endings(self) -> Iterator[Mark]:
        for conversation in self._account.conversations.values():
            if conversation.server not in self._focus.servers:
                continue
            for line in conversation.takeovers:
                if self._focus.shows(line) and isinstance(line.what, TakenOver) and not _is_over(conversation, line):
                    text = f"takes over {conversation.goal}, epoch {line.what.epoch}"
                    yield self._mark(line, line.what.process, MarkKind.NOTE, text)
            ended = conversation.ended()
            if ended and self._focus.shows(ended[0]):
                line, ending = ended
                how = "is done" if ending.is_success else f"is undone: {ending.cause.code if ending.cause else '?'}"
                yield self._mark(line, line.what.process, MarkKind.NOTE, f"{conversation.goal} {how}")

    def _troubles(self) -> Iterator[Mark]:
        killed = {
            (spell.place, spell.begin.at_ns): spell.begin
            for spell in self._account.spells
            if spell.kind == BarKind.DOWN and self._focus.shows(spell.begin)
        }
        causes = {(line.what.process, line.at_ns): line.what for line in self._account.fired}
        for place, line in killed.items():
            cause = causes.get(place)
            text = f"{KILLED_BY}{cause.fault.name}" if isinstance(cause, Fired) else "is killed"
            yield self._mark(line, place[0], MarkKind.CRASH, text)
        for line in self._account.lines:
            if not self._focus.shows(line):
                continue
            match line.what:
                case Fired(fault=fault, process=process, text=text, mattered=mattered):
                    lane = process or self._lane_of(fault.where) if mattered else process
                    if (lane, line.at_ns) in killed:
                        continue
                    yield self._mark(line, lane, MarkKind.FAULT, f"{fault.name}: {in_plain_words(fault, text)}")
                case Started(process=process, run=run) if run > 1:
                    yield self._mark(line, process, MarkKind.START, f"starts again (run {run})")
                case Called(where=where, call=call, about=about, error=error) if error and self._concerns(about):
                    lane = process_of_host(self._account, where)
                    yield self._mark(line, lane, MarkKind.ERROR, f"{call} fails: {error}")
                case _:
                    pass

    def _guests(self) -> Iterator[Mark]:
        for spell in self._account.spells:
            if spell.kind != BarKind.GUEST or spell.server not in self._focus.servers:
                continue
            lane = process_of_host(self._account, spell.place)
            if self._focus.shows(spell.begin):
                text = f"guest of {spell.server} runs, permit {spell.permit}"
                yield self._mark(spell.begin, lane, MarkKind.NOTE, text)
            if spell.end and self._focus.shows(spell.end):
                yield self._mark(spell.end, lane, MarkKind.NOTE, f"guest of {spell.server} is off")

    def _concerns(self, about: str) -> bool:
        return about in self._focus.servers or about not in self._account.servers

    def _lane_of(self, where: str) -> str:
        if "/" in where and not where.endswith("*"):
            return where
        cell, _, mailbox = self._conductor.partition("/")
        if where in {"image", "volume"}:
            return f"{cell}/{where}"
        return f"{where}/cell" if where and not where.endswith("*") else f"{cell}/{mailbox}"


def _is_over(conversation: Conversation, line: Line) -> bool:
    ended = conversation.ended()  # The sweep after it, too, takes a new epoch; that is no takeover of anybody's work.
    return ended is not None and ended[0].number < line.number


def _groups(exchanges: list[Exchange], focus: Focus) -> Iterator[tuple[bool, list[Exchange]]]:
    """Part what is plain and may be told in one line from what is to be seen."""
    is_told = [not (each.is_plain and each.outcome and focus.shows(each.outcome)) for each in exchanges]
    seen = [any(is_told[max(0, n - SHOWN_BESIDE) : n + SHOWN_BESIDE + 1]) for n in range(len(exchanges))]
    group: list[Exchange] = []
    for place, exchange in enumerate(exchanges):
        if group and seen[place] != seen[place - 1]:
            yield not seen[place - 1] and len(group) >= PLAIN_MIN, group
            group = []
        group.append(exchange)
    if group:
        yield not seen[-1] and len(group) >= PLAIN_MIN, group


def _verdicts(exchange: Exchange) -> dict[str, str]:
    """Tell of each command what its receiver made of it, where that was not just to carry it out."""
    found: dict[str, str] = {}
    arrived = sorted(
        (arrival.line.number, message.note.id, arrival.process)
        for message in exchange.commands
        for arrival in message.arrivals
    )
    for line in exchange.looks:
        before = [each for each in arrived if each[0] < line.number and each[2] == line.what.process]
        if before and isinstance(line.what, Looked) and line.what.verdict != "fresh":
            found[before[-1][1]] = f" ({VERDICTS.get(line.what.verdict, f'refused: {line.what.verdict}')})"
    return found


VERDICTS: Final = {"known": "known: the same answer again", "accepted": "is being worked on"}


def _receiver(message: Message) -> str:
    cell, _, mailbox = message.note.target.partition("/")
    if mailbox.startswith("replies:"):
        mailbox = mailbox.removeprefix("replies:").rpartition(":")[0]
    return f"{cell}/{mailbox}" if mailbox else message.sender


def _reply_text(exchange: Exchange) -> str:
    return f"refused: {exchange.error}" if exchange.error else ""
