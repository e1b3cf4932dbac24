"""What a transaction wants to send: written with it, and kept until the receiver itself has acknowledged it."""

from typing import Final

from sqlalchemy import delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from actors.kernel.ports import Connection, Outgoing
from actors.store.tables import OUTBOX
from protocol.cell_path import Address

BATCH_MAX: Final = 64


def enqueue(connection: Connection, rows: tuple[Outgoing, ...]) -> None:
    """Write messages that are to go out once this transaction is committed."""
    if not rows:
        return
    last = connection.execute(select(func.max(OUTBOX.c.seq))).scalar() or 0
    for number, row in enumerate(rows, start=1):
        insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        connection.execute(
            insert(OUTBOX)
            .values(
                id=row.id, seq=last + number, target=str(row.target), method=row.method, server=row.server,
                body=row.body,
            )
            .on_conflict_do_nothing(index_elements=["id"])
        )  # fmt: skip


def waiting(connection: Connection) -> tuple[Outgoing, ...]:
    """List the oldest messages that nobody has acknowledged yet, in order."""
    rows = connection.execute(select(OUTBOX).order_by(OUTBOX.c.seq).limit(BATCH_MAX))
    return tuple(
        Outgoing(id=row.id, target=Address.parse(row.target), method=row.method, server=row.server, body=row.body)
        for row in rows
    )


def count(connection: Connection) -> int:
    """Count the messages that nobody has acknowledged yet."""
    return int(connection.execute(select(func.count()).select_from(OUTBOX)).scalar_one())


def retire(connection: Connection, message: str) -> None:
    """Forget a message that its receiver has acknowledged."""
    connection.execute(delete(OUTBOX).where(OUTBOX.c.id == message))
