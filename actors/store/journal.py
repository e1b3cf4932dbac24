"""The journals of conversations, their leases, and the one counter from which all epochs come."""

from typing import Final

from sqlalchemy import bindparam, delete, func, insert, select, update

from actors.kernel.leases import slot_of
from actors.kernel.ports import Connection, Holder, Lease
from actors.store.statements import Statement
from actors.store.tables import CONVERSATIONS, COUNTERS, ENTRIES, LEASES
from protocol.errors import NotFound, StaleEpoch
from protocol.journal import Entry, Journal, Kind
from protocol.moves.queueing import Other
from protocol.states import Goal
from protocol.truth import ConversationTruth

_ROW: Final = select(CONVERSATIONS)
_IS_IT: Final = CONVERSATIONS.c.conversation == bindparam("which")
_OPEN: Final = CONVERSATIONS.c.is_closed.is_(False)
_CHANGE: Final = update(CONVERSATIONS).where(_IS_IT)

_FIND: Final = Statement(_ROW.where(_IS_IT))
_LOCK: Final = Statement(
    select(
        CONVERSATIONS.c.server,
        CONVERSATIONS.c.owner,
        CONVERSATIONS.c.epoch,
        CONVERSATIONS.c.waits_for,
        CONVERSATIONS.c.ends_for,
        CONVERSATIONS.c.is_closed,
    )
    .where(_IS_IT)
    .with_for_update()
)
_ALL: Final = Statement(_ROW.order_by(CONVERSATIONS.c.first_epoch))
_OPEN_ONES: Final = Statement(
    select(CONVERSATIONS.c.conversation, CONVERSATIONS.c.waits_for).where(_OPEN).order_by(CONVERSATIONS.c.first_epoch)
)
_HELD_BY: Final = Statement(
    select(CONVERSATIONS.c.conversation)
    .where(_OPEN, CONVERSATIONS.c.owner == bindparam("by"))
    .order_by(CONVERSATIONS.c.first_epoch)
)
_HOLDERS: Final = Statement(
    select(CONVERSATIONS.c.owner, LEASES.c.beats, func.count().label("held"))
    .select_from(CONVERSATIONS.outerjoin(LEASES, LEASES.c.owner == CONVERSATIONS.c.owner))
    .where(_OPEN)
    .group_by(CONVERSATIONS.c.owner, LEASES.c.beats)
    .order_by(CONVERSATIONS.c.owner)
)
_OTHERS: Final = Statement(
    select(CONVERSATIONS.c.conversation, CONVERSATIONS.c.goal)
    .where(_OPEN, CONVERSATIONS.c.server == bindparam("about"), CONVERSATIONS.c.conversation != bindparam("but"))
    .order_by(CONVERSATIONS.c.first_epoch)
)
_END: Final = Statement(_CHANGE.values(ends_for=bindparam("cause")))
_LOWEST_OPEN: Final = Statement(
    select(func.min(CONVERSATIONS.c.first_epoch)).where(_OPEN, CONVERSATIONS.c.conversation != bindparam("but"))
)
_UNSWEPT: Final = Statement(
    select(CONVERSATIONS.c.conversation).where(
        CONVERSATIONS.c.is_closed, CONVERSATIONS.c.is_swept.is_(False), CONVERSATIONS.c.epoch < bindparam("lowest")
    )
)
_BEGIN: Final = Statement(insert(CONVERSATIONS))
_GO_ON: Final = Statement(_CHANGE.values(waits_for=None, is_closed=bindparam("is_over")))
_TAKE_OVER: Final = Statement(_CHANGE.values(owner=bindparam("by"), epoch=bindparam("under")))
_PARK: Final = Statement(_CHANGE.values(waits_for=bindparam("reason")))
_SWEPT: Final = Statement(_CHANGE.values(is_swept=True))

_KEEP: Final = Statement(
    lambda insert: (
        insert(LEASES)
        .values(owner=bindparam("by"), beats=1)
        .on_conflict_do_update(index_elements=["owner"], set_={"beats": LEASES.c.beats + 1})
    )
)
_LET_GO: Final = Statement(delete(LEASES).where(LEASES.c.owner == bindparam("by")))
_KEEPERS: Final = Statement(select(LEASES.c.owner))
_BEATS: Final = Statement(select(LEASES.c.beats).where(LEASES.c.owner == bindparam("by")))

_WRITE: Final = Statement(insert(ENTRIES))
_READ: Final = Statement(select(ENTRIES).where(ENTRIES.c.conversation == bindparam("which")).order_by(ENTRIES.c.seq))
_ENDED: Final = Statement(select(ENTRIES.c.conversation).where(ENTRIES.c.kind == Kind.END.value))

_COUNTER: Final = Statement(select(COUNTERS.c.value))
_COUNT: Final = Statement(
    lambda insert: (
        insert(COUNTERS)
        .values(name="epoch", value=1)
        .on_conflict_do_update(index_elements=["name"], set_={"value": COUNTERS.c.value + 1})
        .returning(COUNTERS.c.value)
    )
)


class SqlJournals:
    """The kernel's `Journals` port over SQL."""

    def begin(self, connection: Connection, lease: Lease, *, goal: Goal, payload: bytes, at_us: int) -> Journal:
        """Open a conversation under the next epoch; one that is open already is given as it is."""
        if _FIND.first(connection, which=lease.conversation) is not None:
            return self.read(connection, lease.conversation)
        epoch = self.next_epoch(connection)
        _BEGIN.run(
            connection, conversation=lease.conversation, server=lease.server, goal=goal.value, owner=lease.owner,
            first_epoch=epoch, epoch=epoch, waits_for=None, ends_for=None, is_closed=False, is_swept=False,
        )  # fmt: skip
        self.keep(connection, lease.owner)  # Whoever had nothing has not renewed it for a while.
        entry = Entry(seq=0, epoch=epoch, kind=Kind.BEGIN, at_us=at_us, payload=payload)
        self._write(connection, lease.conversation, entry)
        return Journal(conversation=lease.conversation, server=lease.server, goal=goal, entries=(entry,))

    def others(self, connection: Connection, server: str, *, but: str) -> tuple[Other, ...]:
        """List the conversations that are open for a server, `but` left out, oldest first."""
        rows = _OTHERS.all(connection, about=server, but=but)
        return tuple(Other(conversation=row.conversation, goal=Goal(row.goal)) for row in rows)

    def end(self, connection: Connection, conversation: str, *, cause: bytes) -> None:
        """Want a conversation to end, for this cause; it hears with what it writes next."""
        _END.run(connection, which=conversation, cause=cause)

    def ends_for(self, connection: Connection, conversation: str) -> bytes | None:
        """Give the cause for which a conversation is to end, if somebody wants that."""
        row = _FIND.one(connection, which=conversation)
        return None if row.ends_for is None else bytes(row.ends_for)

    def append(self, connection: Connection, conversation: str, entry: Entry) -> bytes | None:
        """Write an entry, if the conversation still is at the entry's epoch; else another owner has it.

        With an entry the conversation goes on: it waits for nothing any more.  Gives the cause for which it is to end.
        """
        row = _LOCK.one(connection, which=conversation)
        if row.epoch != entry.epoch:
            raise StaleEpoch(server=row.server, epoch=entry.epoch, highest=row.epoch)
        self._write(connection, conversation, entry)
        is_over = entry.kind is Kind.RELEASED
        if row.waits_for is not None or row.is_closed is not is_over:
            _GO_ON.run(connection, which=conversation, is_over=is_over)
        return None if row.ends_for is None else bytes(row.ends_for)

    def keep(self, connection: Connection, owner: str, *, is_first: bool = False) -> None:
        """Renew the lease of all that an owner has; for the first time, forget those of its slot's earlier lives."""
        if is_first:
            for keeper in _KEEPERS.scalars(connection):
                if slot_of(keeper) == slot_of(owner):
                    _LET_GO.run(connection, by=keeper)
        _KEEP.run(connection, by=owner)

    def let_go(self, connection: Connection, owner: str) -> None:
        """Give the lease up of all that an owner has."""
        _LET_GO.run(connection, by=owner)

    def holders(self, connection: Connection) -> tuple[Holder, ...]:
        """List who has open conversations."""
        return tuple(Holder(owner=row.owner, beats=row.beats, count=row.held) for row in _HOLDERS.all(connection))

    def held_by(self, connection: Connection, owner: str) -> tuple[str, ...]:
        """List the open conversations that an owner has, oldest first."""
        return _HELD_BY.scalars(connection, by=owner)

    def take(self, connection: Connection, conversation: str, *, owner: str, holder: Holder) -> bool:
        """Take a conversation over if it is still the holder's and he has not renewed his lease since he was seen.

        A slot need not wait for its own earlier life.
        """
        row = _LOCK.one(connection, which=conversation)
        is_heir = slot_of(holder.owner) == slot_of(owner)
        is_his = row.owner == holder.owner and not row.is_closed
        if not is_his or not (is_heir or _BEATS.scalar(connection, by=holder.owner) == holder.beats):
            return False
        self.take_over(connection, conversation, owner=owner)
        self.keep(connection, owner)
        return True

    def take_over(self, connection: Connection, conversation: str, *, owner: str) -> None:
        """Become the owner of a conversation, under the next epoch."""
        _TAKE_OVER.run(connection, which=conversation, by=owner, under=self.next_epoch(connection))

    def renew(self, connection: Connection, conversation: str, *, owner: str) -> int:
        """Take the next epoch for a conversation that this owner still has; raise `StaleEpoch` when another has it."""
        self.epoch(connection, conversation, owner=owner)
        self.take_over(connection, conversation, owner=owner)
        return self.epoch(connection, conversation, owner=owner)

    def park(self, connection: Connection, conversation: str, waits_for: str | None) -> None:
        """Write what a conversation waits for; None: it goes on."""
        _PARK.run(connection, which=conversation, reason=waits_for)

    def read(self, connection: Connection, conversation: str) -> Journal:
        """Give a conversation's journal."""
        return self.standing(connection, conversation)[0]

    def standing(self, connection: Connection, conversation: str) -> tuple[Journal, str | None]:
        """Give a conversation's journal, and what it waits for."""
        row = _FIND.first(connection, which=conversation)
        if row is None:
            raise NotFound(kind="conversation", name=conversation)
        entries = tuple(
            Entry(
                seq=each.seq, epoch=each.epoch, kind=Kind(each.kind), at_us=each.at_us, step=each.step,
                attempt=each.attempt, is_undo=each.is_undo, payload=each.payload,
            )
            for each in _READ.all(connection, which=conversation)
        )  # fmt: skip
        journal = Journal(conversation=conversation, server=row.server, goal=Goal(row.goal), entries=entries)
        return journal, row.waits_for

    def epoch(self, connection: Connection, conversation: str, *, owner: str) -> int:
        """Give the epoch that a conversation is at; raise `StaleEpoch` when another owner has it."""
        row = _FIND.one(connection, which=conversation)
        if row.owner != owner:
            # Whatever epoch its former owner had, the new one's is higher.
            raise StaleEpoch(server=row.server, epoch=row.epoch - 1, highest=row.epoch)
        return int(row.epoch)

    def next_epoch(self, connection: Connection) -> int:
        """Take the next number of the one rising counter."""
        return int(_COUNT.one(connection)[0])

    def lowest_open(self, connection: Connection, *, but: str) -> int:
        """Give the lowest epoch of any conversation that is not closed, `but` left out; none: one that is to come."""
        lowest = _LOWEST_OPEN.scalar(connection, but=but)
        if lowest is not None:
            return int(lowest)
        return int(_COUNTER.scalar(connection) or 0) + 1

    def unswept(self, connection: Connection, lowest_open: int) -> tuple[Journal, ...]:
        """Give the closed conversations that may be forgotten by all their receivers now, and may not be yet."""
        names = _UNSWEPT.scalars(connection, lowest=lowest_open)
        return tuple(self.read(connection, name) for name in names)

    def swept(self, connection: Connection, conversation: str) -> None:
        """Write that every receiver has forgotten a conversation."""
        _SWEPT.run(connection, which=conversation)

    def _write(self, connection: Connection, conversation: str, entry: Entry) -> None:
        _WRITE.run(
            connection, conversation=conversation, seq=entry.seq, epoch=entry.epoch, kind=entry.kind.value,
            at_us=entry.at_us, step=entry.step, attempt=entry.attempt, is_undo=entry.is_undo, payload=entry.payload,
        )  # fmt: skip


def open_ones(connection: Connection) -> tuple[tuple[str, str | None], ...]:
    """Name the conversations that are open, whatever their goals, and what each waits for."""
    return tuple((row.conversation, row.waits_for) for row in _OPEN_ONES.all(connection))


def conversations(connection: Connection) -> tuple[ConversationTruth, ...]:
    """Tell how far each conversation is, for the truth."""
    ended = set(_ENDED.scalars(connection))
    return tuple(
        ConversationTruth(
            conversation=row.conversation, server=row.server, goal=Goal(row.goal), epoch=row.first_epoch,
            is_ended=row.conversation in ended, is_closed=row.is_closed, waits_for=row.waits_for,
        )
        for row in _ALL.all(connection)
    )  # fmt: skip
