"""The engine of conversations over small plans of any shape: what it sends next, and how it goes back."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import attrs
from hypothesis import given
from hypothesis import strategies as st

from protocol.bodies import encode_body
from protocol.cell_path import Address, CellPath
from protocol.errors import CallTimeout, ErrorReport, HypervisorFailed, NotFound, NoValidHost, report
from protocol.journal import Entry, Journal, Kind
from protocol.requests import Done, Poison
from protocol.saga import (
    TRY_S_MIN,
    CloseAll,
    Decision,
    Finish,
    Over,
    Plan,
    Release,
    Send,
    Step,
    Story,
    next_command,
)
from protocol.states import Goal

ROOT: Final = CellPath.parse("api")
#: More than any plan of these needs.
DECISIONS_MAX: Final = 400


def at(number: int) -> Callable[[Story], Address]:
    """Give each step an actor of its own."""
    return lambda _story: Address(ROOT, f"actor-{number}")


@attrs.frozen
class Shape:
    """What a plan consists of: its steps before, in and after an attempt, which only read, and which one settles.

    Those that are done several times have none, one or two times; a plan with attempts has none of them.
    """

    before: int
    in_attempt: int
    after: int
    reads: frozenset[int]
    settles: int
    repeated: frozenset[int] = frozenset()

    def times(self, number: int) -> Callable[[Story], int] | None:
        """Tell how often a step is done, if that is not once."""
        is_repeated = number in self.repeated and not self.in_attempt
        return (lambda _story: number % 3) if is_repeated else None

    def plan(self) -> Plan:
        """Make it."""
        attempt = range(self.before, self.before + self.in_attempt)
        total = self.before + self.in_attempt + self.after
        return Plan(
            name="any", version=1, arbiter=lambda _story: Address(ROOT, "cell"),
            release=lambda story: Poison(server=story.server),
            steps=tuple(
                Step(
                    name=f"step_{number}", row="-", at=at(number),
                    run=lambda story: Poison(server=story.server), in_attempt=number in attempt,
                    is_read=number in self.reads, settles=number == self.settles % total, times=self.times(number),
                )
                for number in range(total)
            ),
        )  # fmt: skip


SHAPES: Final = st.builds(
    Shape,
    before=st.integers(1, 3), in_attempt=st.integers(0, 3), after=st.integers(1, 4),
    reads=st.frozensets(st.integers(1, 9), max_size=3), settles=st.integers(4, 9),
    repeated=st.frozensets(st.integers(1, 9), max_size=4),
)  # fmt: skip


@attrs.frozen
class Told:
    """A conversation carried out to its end: every command in order, and the journal."""

    plan: Plan
    sent: tuple[Send, ...]
    journal: Journal
    last: Decision

    @property
    def executes(self) -> list[Send]:
        return [send for send in self.sent if not send.is_undo]

    @property
    def undos(self) -> list[Send]:
        return [send for send in self.sent if send.is_undo]


def entry(journal: Journal, kind: Kind, send: Send | None = None, payload: bytes = b"") -> Entry:
    """Write an entry about a command."""
    return Entry(
        seq=len(journal.entries), epoch=1, kind=kind, at_us=0, step=send.step.name if send else "",
        attempt=send.attempt if send else 0, is_undo=send.is_undo if send else False, payload=payload,
    )  # fmt: skip


def begun() -> Journal:
    """Begin a conversation."""
    first = Entry(seq=0, epoch=1, kind=Kind.BEGIN, at_us=0, payload=encode_body(Done()))
    return Journal(conversation="c", server="s", goal=Goal.RESIZE, entries=(first,))


def tell(shape: Shape, refusals: list[bool], *, choices: int = 2) -> Told:
    """Carry a conversation out: commands that may fail are refused as the list says, and none once it is empty."""
    plan, journal, left, sent = shape.plan(), begun(), list(refusals), []
    first = next((step for step in plan.steps if step.in_attempt), None)
    for _ in range(DECISIONS_MAX):
        decision = next_command(plan, journal)
        match decision:
            case Send():
                sent.append(decision)
                journal = journal.followed_by(entry(journal, Kind.INTENT, decision))
                is_refused = not decision.must_succeed and bool(left) and left.pop(0)
                has_no_choice = decision.step is first and decision.attempt > choices and not decision.is_undo
                if is_refused or has_no_choice:
                    payload = encode_body(refusal(decision))
                    journal = journal.followed_by(entry(journal, Kind.REFUSED, decision, payload))
                else:
                    journal = journal.followed_by(entry(journal, Kind.DONE, decision, encode_body(Done())))
            case Finish(ending=ending):
                journal = journal.followed_by(entry(journal, Kind.END, payload=encode_body(ending)))
            case CloseAll():
                journal = journal.followed_by(entry(journal, Kind.CLOSED))
            case Release():
                journal = journal.followed_by(entry(journal, Kind.RELEASED))
            case Over():
                return Told(plan, tuple(sent), journal, decision)
    raise AssertionError(f"no end after {DECISIONS_MAX} decisions")


def refusal(send: Send) -> ErrorReport:
    """Refuse a command, by an error that names it."""
    if send.step.in_attempt and send.attempt > 1:
        return report(NoValidHost(server="s", reason=str(send.key)), cell="api")
    return report(HypervisorFailed(server="s", host="h", action=send.step.name, reason=str(send.key)), cell="api")


#: Commands are mostly carried out, or the later steps would never be reached.
REFUSALS: Final = st.lists(st.booleans(), max_size=24) | st.lists(
    st.sampled_from([False, False, False, True]), max_size=24
)


def _ended_well(told: Told) -> bool:
    done = {(each.step, each.attempt) for each in told.journal.entries if each.kind is Kind.DONE and not each.is_undo}
    attempt = max((number for _, number in done), default=0)
    story = Story(told.journal, attempt)
    return all((step.name, number) in done for step in told.plan.steps for number in step.numbers(story))


@given(SHAPES, REFUSALS)
def test_undos_come_in_the_reverse_order_of_the_intents(shape: Shape, refusals: list[bool]) -> None:
    """Within each stretch of undoing, what was intended last is undone first."""
    told = tell(shape, refusals)
    intended: list[tuple[str, int]] = []
    for send in told.sent:
        name = (send.step.name, send.attempt)
        if not send.is_undo:
            intended.append(name)
            continue
        undoable = [each for each in intended if not told.plan.step(each[0]).is_read]
        assert name == undoable[-1]
        intended = intended[: intended.index(name)]


@given(SHAPES, REFUSALS)
def test_a_conversation_that_fails_has_undone_every_intent_first(shape: Shape, refusals: list[bool]) -> None:
    """Of whatever attempt; only what changes nothing is left alone, and a read is never undone."""
    told = tell(shape, refusals)
    undone = {(send.step.name, send.attempt) for send in told.undos}
    intended = {(send.step.name, send.attempt) for send in told.executes if not send.step.is_read}
    assert undone <= intended
    if not _ended_well(told):
        assert undone == intended


@given(SHAPES, REFUSALS)
def test_nothing_is_undone_once_it_is_settled(shape: Shape, refusals: list[bool]) -> None:
    """From the settling step's success on every command is one that must succeed, and no undo."""
    told = tell(shape, refusals)
    done = {each.step for each in told.journal.entries if each.kind is Kind.DONE and not each.is_undo}
    settling = [number for number, send in enumerate(told.sent) if send.step.settles and send.step.name in done]
    if settling and _ended_well(told):
        later = told.sent[settling[-1] + 1 :]
        assert all(send.must_succeed and not send.is_undo for send in later)


@given(SHAPES, REFUSALS)
def test_no_two_commands_have_one_key(shape: Shape, refusals: list[bool]) -> None:
    """Each attempt's commands have keys of their own, and each execute and its undo differ in just that."""
    told = tell(shape, refusals)
    keys = [send.key for send in told.sent]
    assert len(set(keys)) == len(keys)
    executes = {send.key for send in told.executes}
    assert all(attrs.evolve(send.key, is_undo=False) in executes for send in told.undos)
    assert all((send.attempt > 0) is (send.step.in_attempt or send.step.times is not None) for send in told.sent)


@given(SHAPES, REFUSALS)
def test_the_same_journal_gives_the_same_decision(shape: Shape, refusals: list[bool]) -> None:
    """At every point, also where an intent is written and no outcome: then the very same command is sent again."""
    told = tell(shape, refusals)
    sent = iter(told.sent)
    for count in range(1, len(told.journal.entries) + 1):
        journal = attrs.evolve(told.journal, entries=told.journal.entries[:count])
        first, again = next_command(told.plan, journal), next_command(shape.plan(), journal)
        assert type(first) is type(again)
        if isinstance(first, Send) and isinstance(again, Send):
            assert (first.key, first.address) == (again.key, again.address)
            if journal.entries[-1].kind is Kind.INTENT:
                assert first.key == next(sent).key


@given(SHAPES, REFUSALS)
def test_a_refused_attempt_is_undone_alone_and_the_next_one_begins_at_the_choice(
    shape: Shape, refusals: list[bool]
) -> None:
    """As long as there is something to choose, what stands before the attempts is neither undone nor done again."""
    told = tell(shape, refusals)
    if not _ended_well(told):
        return
    assert all(send.step.in_attempt for send in told.undos)
    outside = [send.step.name for send in told.executes if not send.step.in_attempt]
    story = Story(told.journal, 1)
    others = (step for step in told.plan.steps if not step.in_attempt)
    assert outside == [step.name for step in others for _ in step.numbers(story)]
    tried = {send.attempt for send in told.executes if send.step.in_attempt}
    assert tried == set(range(1, len(tried) + 1))


@given(SHAPES, REFUSALS)
def test_a_failed_conversation_ends_with_its_first_cause(shape: Shape, refusals: list[bool]) -> None:
    """Whatever else is refused later, the ending tells what went wrong first."""
    told = tell(shape, refusals)
    causes = [each.payload for each in told.journal.entries if each.kind is Kind.REFUSED]
    [end] = [each for each in told.journal.entries if each.kind is Kind.END]
    assert (causes[0] in end.payload) if not _ended_well(told) else (b"hypervisor_failed" not in end.payload)


@given(SHAPES, REFUSALS)
def test_every_receiver_of_a_command_is_closed_and_the_server_is_let_go_last(
    shape: Shape, refusals: list[bool]
) -> None:
    """Each actor that may have got a command hears of the end, once; what was only read keeps no memory."""
    told = tell(shape, refusals)
    kinds = [each.kind for each in told.journal.entries[-3:]]
    assert kinds == [Kind.END, Kind.CLOSED, Kind.RELEASED]
    ended = attrs.evolve(told.journal, entries=told.journal.entries[:-2])
    decision = next_command(told.plan, ended)
    assert isinstance(decision, CloseAll)
    assert sorted(map(str, decision.receivers)) == sorted(
        {str(send.address) for send in told.executes if not send.step.is_read}
    )


def test_a_try_of_a_read_lasts_no_longer_than_its_patience_and_of_all_else_as_long_as_any() -> None:
    """Whoever waits at the door hears in time; what writes is never cut short, for its outcome must be heard."""
    any_step = Shape(before=1, in_attempt=0, after=1, reads=frozenset(), settles=1).plan().steps[0]
    read = attrs.evolve(any_step, is_read=True, patience_s=15.0)
    waits = (0.0, 10.0, 14.9, 20.0)
    assert [read.budget_s(30.0, waited_s=each) for each in waits] == [7.5, 5.0, TRY_S_MIN, TRY_S_MIN]
    assert attrs.evolve(read, patience_s=None).budget_s(30.0, waited_s=0.0) == 30.0
    assert attrs.evolve(read, patience_s=math.inf).budget_s(30.0, waited_s=900.0) == 30.0
    assert attrs.evolve(read, is_read=False).budget_s(30.0, waited_s=10.0) == 30.0


@given(SHAPES)
def test_a_step_that_is_done_several_times_is_done_in_the_order_of_its_numbers(shape: Shape) -> None:
    """Each time has a number of its own, and the story tells it; the next step comes when all are done."""
    told = tell(shape, [])
    for step in told.plan.steps:
        times = [send for send in told.executes if send.step is step]
        if step.times is not None:
            assert [send.attempt for send in times] == list(range(1, step.times(Story(told.journal, 1)) + 1))
            assert all(send.story.attempt == send.attempt for send in times)
    if not shape.in_attempt:
        steps = [told.plan.steps.index(send.step) for send in told.executes]
        assert steps == sorted(steps)


def test_an_answer_that_a_conversation_can_do_without_has_one_in_its_place() -> None:
    """Of what may succeed when it is asked again; a refusal stays a refusal."""
    story = Story(begun(), 1)
    any_step = Shape(before=1, in_attempt=0, after=1, reads=frozenset(), settles=1).plan().steps[0]
    silent, refused = CallTimeout(address="api/cell", method="any", waited_s=1.0), NotFound(kind="server", name="s")
    spare = attrs.evolve(any_step, unanswered=lambda _story, _error: Done())
    assert (spare.outcome(story, silent), spare.outcome(story, refused)) == (Done(), refused)
    assert (any_step.outcome(story, silent), any_step.outcome(story, refused)) == (silent, refused)
