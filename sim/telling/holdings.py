"""What each party held when some line of a history was written: journals, mappings, permits, guests, records."""

from collections.abc import Iterable, Iterator
from typing import Final

from protocol.envelope import Key
from protocol.errors import CellferryError
from protocol.journal import Entry, Kind
from sim.history import Broker, Carried, Journaled, Line
from sim.telling.account import Account, Conversation, error_code, give_account

ID_CHARS: Final = 8
#: So many of the latest conversations of a server are told of.
LATEST: Final = 2
TAKES: Final = "take_server"
COMMITS: Final = "commit_home"


def holdings(lines: Iterable[Line], *, at: int, servers: Iterable[str] = ()) -> list[str]:
    """Tell what each party held when the line of that number had been written, a sentence each."""
    account = give_account(line for line in lines if line.number <= at)
    chosen = tuple(servers) or account.servers
    told: list[str] = []
    for server in chosen:
        told += _journals(account, server)
        told += _mapping(account, server)
        told += _guests(account, server)
        told += _records(account, server)
    return [*told, *_processes(account), *_brokers(account)]


def _journals(account: Account, server: str) -> Iterator[str]:
    own = [each for each in account.conversations.values() if each.server == server]
    for conversation in own[-LATEST:]:
        yield f"Journal: the {conversation.goal} of {server} ({conversation.id[:ID_CHARS]}) {_standing(conversation)}."


def _standing(conversation: Conversation) -> str:
    last = conversation.entries[-1].what
    assert isinstance(last, Journaled)
    match last.entry:
        case Entry(kind=Kind.BEGIN):
            return "had begun"
        case Entry(kind=Kind.RELEASED):
            return f"was over: {_ending(conversation)}"
        case Entry(kind=Kind.END | Kind.CLOSED):
            return f"had ended ({_ending(conversation)}) and was telling everybody to forget it"
        case Entry(kind=Kind.INTENT) as entry:
            return f"had intended {_step(entry)}, under epoch {entry.epoch}, and knew of no answer"
        case Entry(kind=Kind.REFUSED) as entry:
            return f"had noted that {_step(entry)} was refused: {error_code(entry.payload)}"
        case entry:
            return f"had noted that {_step(entry)} was done"


def _ending(conversation: Conversation) -> str:
    ended = conversation.ended()
    if ended is None:
        return "without an outcome"
    _, ending = ended
    return (
        "done" if ending.is_success else f"undone because of {ending.cause.code if ending.cause else 'nothing known'}"
    )


def _step(entry: Entry) -> str:
    return f"{'the undo of ' if entry.is_undo else ''}{entry.step}"


def _carried(account: Account, server: str) -> Iterator[tuple[Line, Carried]]:
    for line in account.lines:
        if isinstance(line.what, Carried) and line.what.server == server and not line.what.is_error:
            yield line, line.what


def _mapping(account: Account, server: str) -> Iterator[str]:
    """Tell what the root's row says, by the commands on it that were carried out."""
    holder, moved = "", ""
    for line, what in _carried(account, server):
        if what.method == TAKES:
            holder = "" if _is_over(account, what.key) else _about(account, what.key)
        elif what.method == COMMITS:
            moved = f"; {_about(account, what.key)} had moved it at {account.seconds(line):.2f} s"
    taken = f"was taken for {holder}" if holder else "was free"
    yield f"Mapping: {server} {taken}{moved or '; its home had never moved'}."


def _is_over(account: Account, key: str) -> bool:
    """Tell whether the conversation of a key has let its server go."""
    conversation = account.conversations.get(Key.parse(key).scope)
    last = conversation.entries[-1].what if conversation else None
    return isinstance(last, Journaled) and last.entry.kind is Kind.RELEASED


def _about(account: Account, key: str) -> str:
    try:
        conversation = account.conversations.get(Key.parse(key).scope)
    except CellferryError:
        conversation = None
    return f"the {conversation.goal} ({conversation.id[:ID_CHARS]})" if conversation else f"key {key}"


def _guests(account: Account, server: str) -> Iterator[str]:
    running = [spell for spell in account.spells if spell.kind == "guest" and spell.server == server and not spell.end]
    where = " and ".join(f"on {spell.place} (permit {spell.permit})" for spell in running)
    yield f"Hypervisors: the guest of {server} ran {where}." if where else f"Hypervisors: no guest of {server} ran."


def _records(account: Account, server: str) -> Iterator[str]:
    """Tell what each actor did last for a server: its records are as that left them."""
    last: dict[str, str] = {}
    for line, what in _carried(account, server):
        last[what.process] = f"{_named(what)} at {account.seconds(line):.2f} s (epoch {what.epoch})"
    if last:
        done = "; ".join(f"{process}: {what}" for process, what in sorted(last.items()))
        yield f"Records: what each last carried out for {server}: {done}."


def _named(what: Carried) -> str:
    try:
        key = Key.parse(what.key)
    except CellferryError:
        return what.method
    return f"{'the undo of ' if key.is_undo else ''}{key.step or what.method}"


def _processes(account: Account) -> Iterator[str]:
    for kind, words in (("down", "were down"), ("paused", "stood still")):
        names = [spell.place for spell in account.spells if spell.kind == kind and spell.end is None]
        if names:
            yield f"Processes that {words}: {', '.join(names)}."


def _brokers(account: Account) -> Iterator[str]:
    states: dict[str, str] = {}
    for line in account.lines:
        if isinstance(line.what, Broker):
            states[line.what.cell] = line.what.state
    away = [f"that of {cell} ({state})" for cell, state in states.items() if state != "up"]
    if away:
        yield f"Brokers that were not up: {', '.join(away)}."
