"""The engine of conversations: what to do next, read off the journal alone.  Knows nothing of servers.

`next_command(plan, journal)` is pure, and resuming after a crash is no special path: it is the only path.
A step is one command to one actor.  Its intent is in the journal before the command leaves, its outcome before the
next one does.  Steps of an *attempt* may be refused, undone alone and tried again with another choice; any other
refusal before the settling step's success undoes everything that has an intent, in reverse.  From the settling
step's success on the conversation only goes forward.

The server is let go last, when every receiver has closed: were it let go before, the next conversation could begin
under an epoch below that of the closing, and be fenced by it.  A conversation that only cleans up lets it go earlier,
by a step of its plan: whoever of the two the other's closing fences asks again under the next epoch, and both get on.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeVar

import attrs

from protocol.bodies import decode_body
from protocol.cell_path import Address
from protocol.envelope import Key
from protocol.errors import CellferryError, ErrorReport
from protocol.ids import derived_id
from protocol.journal import Ending, Entry, Journal, Kind
from protocol.requests import Poison, Request

ATTEMPTS_MAX: Final = 8
VALUES_MAX: Final = 1024
#: The shortest time that a try is given.
TRY_S_MIN: Final = 1.0
T = TypeVar("T")


@attrs.frozen
class Story:
    """What steps may know: the order, and the replies that the journal holds, as of one attempt."""

    journal: Journal
    attempt: int

    @property
    def server(self) -> str:
        """The server that the conversation is about."""
        return self.journal.server

    @property
    def conversation(self) -> str:
        """The conversation's id."""
        return self.journal.conversation

    def order(self, cls: type[T]) -> T:
        """Give what was asked for."""
        return read(self.journal.entries[0].payload, cls)

    def find(self, step: str, cls: type[T], *, is_undo: bool = False) -> T | None:
        """Give the reply to a step (or to its undo), if there is one."""
        found = self.payload(step, is_undo=is_undo)
        return None if found is None else read(found, cls)

    def payload(self, step: str, *, is_undo: bool = False) -> bytes | None:
        """Give the reply to a step (or to its undo) as the journal holds it, if there is one."""
        done = self.journal.facts.done
        found = done.get((step, self.attempt, is_undo)) or done.get((step, 0, is_undo))
        return None if found is None else found.payload

    def reply(self, step: str, cls: type[T]) -> T:
        """Give the reply to a step that must have been done."""
        found = self.find(step, cls)
        assert found is not None, f"{step} is not done"
        return found

    def id_of(self, *parts: str) -> str:
        """Make the id of something that this attempt of the conversation makes."""
        return derived_id(self.conversation, str(self.attempt), *parts)

    @property
    def cause(self) -> ErrorReport:
        """Give the first cause of what is being undone."""
        return _first_cause(self.journal)


#: What payloads decode to, the newest last.  Every step reads the same few replies again; their values are frozen.
_VALUES: Final[dict[tuple[bytes, Any], Any]] = {}


def read(payload: bytes, cls: type[T]) -> T:
    """Decode a reply that is asked for again and again; the value is shared, and must be frozen."""
    found = _VALUES.get((payload, cls))
    if found is None:
        found = decode_body(payload, cls)
        know(payload, cls, found)
    return found


def know(payload: bytes, cls: type[T], value: T) -> None:
    """Have `read` know what a payload decodes to: whoever has just encoded it need not do it again."""
    if len(_VALUES) >= VALUES_MAX:
        # The oldest goes, not the one unused for longest: a conversation reads what it was told not long ago.
        _VALUES.pop(next(iter(_VALUES)), None)
    _VALUES[payload, cls] = value


def always(_: Story) -> bool:
    """Say that a step is part of every conversation of its plan."""
    return True


def as_it_came(_story: Story, error: CellferryError) -> CellferryError:
    """Have a step refused with the error itself."""
    return error


def no_objection(_story: Story, _reply: Any) -> CellferryError | None:
    """Accept whatever a step answers."""
    return None


@attrs.frozen(kw_only=True)
class Retries:
    """How often a choice that had nothing to choose from is made anew, and how long after the last time."""

    times: int = 0
    pause_s: float = 0.0


NO_RETRIES: Final = Retries()


def no_retries(_: Story) -> Retries:
    """End the attempts with the first choice that has nothing left to choose from."""
    return NO_RETRIES


@attrs.frozen(kw_only=True)
class Step:
    """One exchange with one actor, and its way back."""

    name: str
    row: str  # The row of the reference's tables that it serves.
    at: Callable[[Story], Address]
    run: Callable[[Story], Request[Any]]
    #: None: it leaves nothing to clean, and its undo only poisons it.
    undo: Callable[[Story], Request[Any]] | None = None
    when: Callable[[Story], bool] = always
    #: Reads an answer as a refusal (a choice with nothing to choose from).
    objection: Callable[[Story, Any], CellferryError | None] = no_objection
    in_attempt: bool = False
    #: Of the first step of an attempt, the choice: whether it is made anew when there was nothing to choose.
    retries: Callable[[Story], Retries] = no_retries
    #: How many times it is done, each with a number of its own: the attempt of the story tells which.  None: once.
    #: A plan that does something several times makes no attempts.
    times: Callable[[Story], int] | None = None
    is_read: bool = False  # Changes nothing anywhere: needs no key and no undo.
    settles: bool = False
    #: For how long at most it is asked again while its outcome is unknown; None: as long as others are.
    patience_s: float | None = None
    #: Says what it means that its outcome stayed unknown, when it may be refused for that: the error that it is refused
    #: with; or, of a read that the conversation can do without, the reply that stands for the answer.
    unanswered: Callable[[Story, CellferryError], Any] = as_it_came

    def budget_s(self, most_s: float, *, waited_s: float) -> float:
        """Tell how long one try may take: of a read half of its own patience at most, and never longer than that lasts.

        So an answer that is lost once uses nothing up.
        """
        if not self.is_read or self.patience_s is None:
            return most_s
        return min(most_s, max(min(self.patience_s / 2, self.patience_s - waited_s), TRY_S_MIN))

    def outcome(self, story: Story, error: CellferryError) -> Any:
        """Give the error that it is refused with; or the reply that stands for an answer which did not come."""
        return self.unanswered(story, error) if error.is_retryable else error

    def numbers(self, story: Story) -> Iterable[int]:
        """Give the number of each time that it is done; 0: it is done once, and has none."""
        if self.times is None:
            return (story.attempt if self.in_attempt else 0,)
        return range(1, self.times(story) + 1)


@attrs.frozen(kw_only=True)
class Plan:
    """The steps of a conversation, in order."""

    name: str
    version: int
    steps: tuple[Step, ...]
    #: Who decides which conversation has the server, and how it is asked to let it go; asking twice is harmless.
    arbiter: Callable[[Story], Address]
    release: Callable[[Story], Request[Any]]

    _by_name: Mapping[str, Step] = attrs.field(init=False, eq=False, repr=False)
    #: The names of the steps from whose success on it only goes forward.
    settling: frozenset[str] = attrs.field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        """Index the steps."""
        assert not any(each.in_attempt for each in self.steps) or all(each.times is None for each in self.steps)
        object.__setattr__(self, "_by_name", {step.name: step for step in self.steps})
        object.__setattr__(self, "settling", frozenset(step.name for step in self.steps if step.settles))

    def step(self, name: str) -> Step:
        """Give the step of that name."""
        return self._by_name[name]


@attrs.frozen(kw_only=True)
class Send:
    """A command is to be sent (again): the execute of a step, or its undo."""

    step: Step
    story: Story
    attempt: int
    is_undo: bool
    address: Address
    request: Request[Any]
    key: Key
    must_succeed: bool  # A refusal changes nothing: it is to be sent until it is done.
    pause_s: float = 0.0  # It is not to be begun before that has passed.


@attrs.frozen
class Finish:
    """Nothing is left to do but to write the outcome."""

    ending: Ending


@attrs.frozen
class CloseAll:
    """The outcome is written; every receiver is to forget the conversation."""

    receivers: tuple[Address, ...]


@attrs.frozen(kw_only=True)
class Release:
    """Nobody can be fenced by this conversation any more; the arbiter is to let the server go."""

    address: Address
    request: Request[Any]


@attrs.frozen
class Over:
    """Nothing is left of the conversation but its journal."""


Decision = Send | Finish | CloseAll | Release | Over


def next_command(plan: Plan, journal: Journal) -> Decision:
    """Read off the journal what is next."""
    last = journal.entries[-1]
    if last.kind is Kind.RELEASED:
        return Over()
    if last.kind is Kind.CLOSED:
        story = Story(journal, _attempt(journal))
        return Release(address=plan.arbiter(story), request=plan.release(story))
    if last.kind is Kind.END:
        return CloseAll(receivers(plan, journal))
    if journal.facts.aborted is not None:
        return _undo_all(plan, journal)
    refusal = _refusal(plan, journal)
    if refusal is None:
        return _forward(plan, journal, _attempt(journal))
    return _backward(plan, journal, refusal)


def receivers(plan: Plan, journal: Journal) -> tuple[Address, ...]:
    """Name every actor that may have got a command of this conversation, each once."""
    written = (entry for entry in journal.facts.intents.values() if not plan.step(entry.step).is_read)
    return tuple(dict.fromkeys(address_of(plan, journal, entry) for entry in written))


def address_of(plan: Plan, journal: Journal, entry: Entry) -> Address:
    """Tell which actor an entry is about."""
    return plan.step(entry.step).at(Story(journal, entry.attempt or _attempt(journal)))


def is_settled(plan: Plan, journal: Journal) -> bool:
    """Tell whether the conversation can only go forward."""
    return not plan.settling.isdisjoint(journal.facts.names)


def may_be_aborted(plan: Plan, journal: Journal) -> bool:
    """Tell whether a conversation can still be told to end: it is under way, forward, and may be undone."""
    is_over = journal.entries[-1].kind in {Kind.END, Kind.CLOSED, Kind.RELEASED}
    if is_over or journal.facts.aborted is not None or is_settled(plan, journal):
        return False
    refusal = _refusal(plan, journal)
    return refusal is None or not _ends_attempts(plan, journal, refusal)


def _forward(plan: Plan, journal: Journal, attempt: int) -> Decision:
    story = Story(journal, attempt)
    done = journal.facts.done
    for step in plan.steps:
        for numbered in step.numbers(story):
            if (step.name, numbered, False) not in done and step.when(story):
                own = story if step.times is None else Story(journal, numbered)
                return _send(step, own, numbered, is_undo=False, must_succeed=is_settled(plan, journal))
    return Finish(Ending(is_success=True))


def _backward(plan: Plan, journal: Journal, refusal: Entry) -> Decision:
    if _ends_attempts(plan, journal, refusal):
        return _undo_all(plan, journal)
    for entry in _to_undo(plan, journal):
        if entry.attempt == refusal.attempt:
            return _undo(plan, journal, entry)
    decision = _forward(plan, journal, refusal.attempt + 1)
    if isinstance(decision, Send) and decision.step.name == refusal.step:
        # It is the choice itself that was refused: what there is to choose from changes with time.
        pause_s = decision.step.retries(Story(journal, refusal.attempt)).pause_s
        return attrs.evolve(decision, pause_s=pause_s)
    return decision


def _ends_attempts(plan: Plan, journal: Journal, refusal: Entry) -> bool:
    step = plan.step(refusal.step)
    if not step.in_attempt or refusal.attempt >= ATTEMPTS_MAX:
        return True
    if next(each for each in plan.steps if each.in_attempt) is not step:
        return False
    # Only a choice with nothing left to choose from ends the attempts, unless it is to be made anew.
    refused = sum(each.kind is Kind.REFUSED and each.step == step.name for each in journal.entries)
    return refused > step.retries(Story(journal, refusal.attempt)).times


def _undo_all(plan: Plan, journal: Journal) -> Decision:
    for entry in _to_undo(plan, journal):
        return _undo(plan, journal, entry)
    return Finish(Ending(is_success=False, cause=_first_cause(journal)))


def _undo(plan: Plan, journal: Journal, entry: Entry) -> Send:
    story = Story(journal, entry.attempt or _attempt(journal))
    return _send(plan.step(entry.step), story, entry.attempt, is_undo=True, must_succeed=True)


def _send(step: Step, story: Story, numbered: int, *, is_undo: bool, must_succeed: bool) -> Send:
    if not is_undo:
        request = step.run(story)
    elif step.undo is None:
        request = Poison(server=story.server)
    else:
        request = step.undo(story)
    return Send(
        step=step,
        story=story,
        attempt=numbered,
        is_undo=is_undo,
        address=step.at(story),
        request=request,
        key=Key(scope=story.conversation, attempt=numbered, step=step.name, is_undo=is_undo),
        must_succeed=must_succeed,
    )


def _to_undo(plan: Plan, journal: Journal) -> Iterator[Entry]:
    done = journal.facts.done
    for entry in reversed(tuple(journal.facts.intents.values())):
        if (entry.step, entry.attempt, True) not in done and not plan.step(entry.step).is_read:
            yield entry


def _attempt(journal: Journal) -> int:
    return journal.facts.attempt or 1


def _first_cause(journal: Journal) -> ErrorReport:
    aborted = journal.facts.aborted
    first = aborted or next(entry for entry in journal.entries if entry.kind is Kind.REFUSED)
    return read(first.payload, ErrorReport)


def _refusal(plan: Plan, journal: Journal) -> Entry | None:
    """Give the refusal that is being dealt with: the last one, unless a later attempt has begun since."""
    entry = journal.facts.refusal
    if entry is None or not plan.step(entry.step).in_attempt:
        return entry
    return entry if _attempt(journal) == entry.attempt else None
