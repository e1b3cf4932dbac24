"""How much a store holds of what is under way, counted for the figures: never through an actor."""

from typing import Final

import attrs
from sqlalchemy import case, func, select

from actors.kernel.ports import Connection
from actors.store.statements import Statement
from actors.store.tables import CONVERSATIONS, ENTRIES, INBOX, METADATA
from protocol.journal import Kind

_PERMITS: Final = METADATA.tables["permits"]
_INBOX: Final = Statement(select(INBOX.c.state, func.count().label("rows")).group_by(INBOX.c.state))
_HELD: Final = Statement(select(func.count(_PERMITS.c.holder).label("held"), func.count().label("all")))
_OPEN: Final = Statement(
    select(
        CONVERSATIONS.c.goal,
        func.max(case((CONVERSATIONS.c.waits_for.is_not(None), 1), else_=0)).label("parked"),
        func.max(case((ENTRIES.c.kind == Kind.END.value, 1), else_=0)).label("ended"),
        func.max(ENTRIES.c.at_us).label("last_us"),
    )
    .select_from(CONVERSATIONS.join(ENTRIES, ENTRIES.c.conversation == CONVERSATIONS.c.conversation))
    .where(CONVERSATIONS.c.is_closed.is_(False))
    .group_by(CONVERSATIONS.c.conversation, CONVERSATIONS.c.goal)
)
_UNSWEPT: Final = Statement(
    select(func.count())
    .select_from(CONVERSATIONS)
    .where(CONVERSATIONS.c.is_closed, CONVERSATIONS.c.is_swept.is_(False))
)


@attrs.frozen(kw_only=True)
class InboxStanding:
    """How many commands an actor remembers, and how many of them it has not answered yet."""

    rows: int
    unfinished: int


@attrs.frozen(kw_only=True)
class JournalStanding:
    """The open conversations by goal and state, when the one that stands still longest last wrote; the unswept."""

    open: dict[tuple[str, ...], float]
    oldest_us: int | None
    unswept: int


def inbox_standing(connection: Connection) -> InboxStanding:
    """Count the inbox of an actor."""
    rows = {row.state: row.rows for row in _INBOX.all(connection)}
    return InboxStanding(rows=sum(rows.values()), unfinished=rows.get("accepted", 0))


def permits_standing(connection: Connection) -> dict[tuple[str, ...], float]:
    """Count the root's permits, by whether somebody holds them."""
    row = _HELD.one(connection)
    return {("held",): float(row.held), ("returned",): float(row.all - row.held)}


def journal_standing(connection: Connection) -> JournalStanding:
    """Count the conversations of all conductors."""
    found: dict[tuple[str, ...], float] = {}
    oldest_us: int | None = None
    for row in _OPEN.all(connection):
        state = "closing" if row.ended else "under_way"
        labels = (row.goal, "parked" if row.parked else state)
        found[labels] = found.get(labels, 0.0) + 1.0
        oldest_us = row.last_us if oldest_us is None else min(oldest_us, row.last_us)
    return JournalStanding(open=found, oldest_us=oldest_us, unswept=int(_UNSWEPT.one(connection)[0]))
