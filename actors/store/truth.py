"""What a store holds, read for the truth: never through an actor."""

from actors.kernel.ports import Connection
from actors.store import journal
from actors.store.inbox import remembered
from actors.store.outbox import count
from actors.store.records import load
from protocol.draft import need
from protocol.records import Record
from protocol.truth import ConversationTruth, Memory


def all_rows(connection: Connection, records: tuple[type[Record], ...]) -> tuple[Record, ...]:
    """Read every row of these classes, in the order of their keys."""
    rows = load(connection, tuple(need(record) for record in records))
    return tuple(sorted(rows, key=lambda row: (row.TABLE, row.key)))


def memory(connection: Connection, actor: str) -> Memory:
    """Read what an actor remembers of commands, and how many of its messages wait."""
    return remembered(connection, actor, count(connection))


def conversations(connection: Connection) -> tuple[ConversationTruth, ...]:
    """Read how far each conversation is."""
    return journal.conversations(connection)
