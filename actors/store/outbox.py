"""What a transaction wants to send: written with it, and kept until the receiver itself has acknowledged it."""

from typing import Final

from sqlalchemy import bindparam, delete, func, select

from actors.kernel.ports import Connection, Outgoing
from actors.store.statements import Statement
from actors.store.tables import OUTBOX
from protocol.cell_path import Address
from protocol.envelope import Key

BATCH_MAX: Final = 64

_LAST: Final = Statement(select(func.max(OUTBOX.c.seq)))
_ENQUEUE: Final = Statement(lambda insert: insert(OUTBOX).on_conflict_do_nothing(index_elements=["id"]))
_OLDEST: Final = Statement(select(OUTBOX).order_by(OUTBOX.c.seq).limit(BATCH_MAX))
_COUNT: Final = Statement(select(func.count()).select_from(OUTBOX))
_SUPERSEDE: Final = Statement(
    delete(OUTBOX).where(OUTBOX.c.about == bindparam("topic"), OUTBOX.c.rank <= bindparam("highest"))
)
_RETIRE: Final = Statement(delete(OUTBOX).where(OUTBOX.c.id == bindparam("id")))


def enqueue(connection: Connection, rows: tuple[Outgoing, ...]) -> None:
    """Write messages that are to go out once this transaction is committed, in place of older news of the same."""
    if not rows:
        return
    last = _LAST.scalar(connection) or 0
    for number, row in enumerate(rows, start=1):
        if row.about:
            # One that is on its way just now will find itself retired already.
            _SUPERSEDE.run(connection, topic=row.about, highest=row.rank)
        _ENQUEUE.run(
            connection, id=row.id, seq=last + number, target=str(row.target), method=row.method, server=row.server,
            body=row.body, about=row.about, rank=row.rank, key=str(row.key) if row.key else None,
        )  # fmt: skip


def waiting(connection: Connection) -> tuple[Outgoing, ...]:
    """List the oldest messages that nobody has acknowledged yet, in order."""
    return tuple(
        Outgoing(
            id=row.id,
            target=Address.parse(row.target),
            method=row.method,
            server=row.server,
            body=row.body,
            about=row.about,
            rank=row.rank,
            key=Key.parse(row.key) if row.key else None,
        )
        for row in _OLDEST.all(connection)
    )


def count(connection: Connection) -> int:
    """Count the messages that nobody has acknowledged yet."""
    return int(_COUNT.one(connection)[0])


def retire(connection: Connection, message: str) -> None:
    """Forget a message that its receiver has acknowledged."""
    _RETIRE.run(connection, id=message)
