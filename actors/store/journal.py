"""The journals of conversations, their leases, and the one counter from which all epochs come."""

from sqlalchemy import func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from actors.kernel.ports import Connection, Lease
from actors.store.tables import CONVERSATIONS, COUNTERS, ENTRIES
from protocol.errors import NotFound, StaleEpoch
from protocol.journal import Entry, Journal, Kind
from protocol.states import Goal
from protocol.truth import ConversationTruth


class SqlJournals:
    """The kernel's `Journals` port over SQL."""

    def begin(self, connection: Connection, lease: Lease, *, goal: Goal, payload: bytes, at_us: int) -> Journal:
        """Open a conversation under the next epoch; one that is open already is given as it is."""
        found = connection.execute(
            select(CONVERSATIONS.c.conversation).where(CONVERSATIONS.c.conversation == lease.conversation)
        ).scalar()
        if found is not None:
            return self.read(connection, lease.conversation)
        epoch = self.next_epoch(connection)
        connection.execute(
            insert(CONVERSATIONS).values(
                conversation=lease.conversation, server=lease.server, goal=goal.value, owner=lease.owner,
                first_epoch=epoch, epoch=epoch, until_us=lease.until_us, is_closed=False, is_swept=False,
            )
        )  # fmt: skip
        entry = Entry(seq=0, epoch=epoch, kind=Kind.BEGIN, at_us=at_us, payload=payload)
        self._write(connection, lease.conversation, entry)
        return Journal(conversation=lease.conversation, server=lease.server, goal=goal, entries=(entry,))

    def append(self, connection: Connection, conversation: str, entry: Entry) -> None:
        """Write an entry, if the conversation still is at the entry's epoch; else another owner has it.

        With an entry the conversation goes on: it waits for nothing any more.
        """
        row = connection.execute(
            select(CONVERSATIONS).where(CONVERSATIONS.c.conversation == conversation).with_for_update()
        ).one()
        if row.epoch != entry.epoch:
            raise StaleEpoch(server=row.server, epoch=entry.epoch, highest=row.epoch)
        self._write(connection, conversation, entry)
        connection.execute(
            update(CONVERSATIONS)
            .where(CONVERSATIONS.c.conversation == conversation)
            .values(waits_for=None, is_closed=entry.kind is Kind.RELEASED)
        )

    def take_over(self, connection: Connection, conversation: str, *, owner: str, until_us: int) -> Journal:
        """Become the owner of a conversation, under the next epoch."""
        connection.execute(
            update(CONVERSATIONS)
            .where(CONVERSATIONS.c.conversation == conversation)
            .values(owner=owner, epoch=self.next_epoch(connection), until_us=until_us)
        )
        return self.read(connection, conversation)

    def park(self, connection: Connection, conversation: str, waits_for: str | None) -> None:
        """Write what a conversation waits for; None: it goes on."""
        connection.execute(
            update(CONVERSATIONS).where(CONVERSATIONS.c.conversation == conversation).values(waits_for=waits_for)
        )

    def read(self, connection: Connection, conversation: str) -> Journal:
        """Give a conversation's journal."""
        row = connection.execute(
            select(CONVERSATIONS).where(CONVERSATIONS.c.conversation == conversation)
        ).one_or_none()
        if row is None:
            raise NotFound(kind="conversation", name=conversation)
        rows = connection.execute(select(ENTRIES).where(ENTRIES.c.conversation == conversation).order_by(ENTRIES.c.seq))
        entries = tuple(
            Entry(
                seq=each.seq, epoch=each.epoch, kind=Kind(each.kind), at_us=each.at_us, step=each.step,
                attempt=each.attempt, is_undo=each.is_undo, payload=each.payload,
            )
            for each in rows
        )  # fmt: skip
        return Journal(conversation=conversation, server=row.server, goal=Goal(row.goal), entries=entries)

    def epoch(self, connection: Connection, conversation: str, *, owner: str) -> int:
        """Give the epoch that a conversation is at; raise `StaleEpoch` when another owner has it."""
        row = connection.execute(select(CONVERSATIONS).where(CONVERSATIONS.c.conversation == conversation)).one()
        if row.owner != owner:
            # Whatever epoch its former owner had, the new one's is higher.
            raise StaleEpoch(server=row.server, epoch=row.epoch - 1, highest=row.epoch)
        return int(row.epoch)

    def still_open(self, connection: Connection) -> tuple[str, ...]:
        """List the conversations that are not closed, oldest first."""
        statement = select(CONVERSATIONS.c.conversation).where(CONVERSATIONS.c.is_closed.is_(False))
        return tuple(connection.execute(statement.order_by(CONVERSATIONS.c.first_epoch)).scalars())

    def next_epoch(self, connection: Connection) -> int:
        """Take the next number of the one rising counter."""
        dialect = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        statement = dialect(COUNTERS).values(name="epoch", value=1)
        statement = statement.on_conflict_do_update(index_elements=["name"], set_={"value": COUNTERS.c.value + 1})
        return int(connection.execute(statement.returning(COUNTERS.c.value)).scalar_one())

    def lowest_open(self, connection: Connection, *, but: str) -> int:
        """Give the lowest epoch of any conversation that is not closed, `but` left out; none: one that is to come."""
        lowest = connection.execute(
            select(func.min(CONVERSATIONS.c.first_epoch)).where(
                CONVERSATIONS.c.is_closed.is_(False), CONVERSATIONS.c.conversation != but
            )
        ).scalar()
        if lowest is not None:
            return int(lowest)
        return int(connection.execute(select(COUNTERS.c.value)).scalar_one()) + 1

    def unswept(self, connection: Connection, lowest_open: int) -> tuple[Journal, ...]:
        """Give the closed conversations that may be forgotten by all their receivers now, and may not be yet."""
        statement = select(CONVERSATIONS.c.conversation).where(
            CONVERSATIONS.c.is_closed, CONVERSATIONS.c.is_swept.is_(False), CONVERSATIONS.c.epoch < lowest_open
        )
        return tuple(self.read(connection, name) for name in connection.execute(statement).scalars())

    def swept(self, connection: Connection, conversation: str) -> None:
        """Write that every receiver has forgotten a conversation."""
        connection.execute(
            update(CONVERSATIONS).where(CONVERSATIONS.c.conversation == conversation).values(is_swept=True)
        )

    def _write(self, connection: Connection, conversation: str, entry: Entry) -> None:
        connection.execute(
            insert(ENTRIES).values(
                conversation=conversation, seq=entry.seq, epoch=entry.epoch, kind=entry.kind.value, at_us=entry.at_us,
                step=entry.step, attempt=entry.attempt, is_undo=entry.is_undo, payload=entry.payload,
            )
        )  # fmt: skip


def conversations(connection: Connection) -> tuple[ConversationTruth, ...]:
    """Tell how far each conversation is, for the truth."""
    ended = set(connection.execute(select(ENTRIES.c.conversation).where(ENTRIES.c.kind == Kind.END.value)).scalars())
    return tuple(
        ConversationTruth(
            conversation=row.conversation, server=row.server, goal=Goal(row.goal), epoch=row.first_epoch,
            is_ended=row.conversation in ended, is_closed=row.is_closed, waits_for=row.waits_for,
        )
        for row in connection.execute(select(CONVERSATIONS).order_by(CONVERSATIONS.c.first_epoch))
    )  # fmt: skip
