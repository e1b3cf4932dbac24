"""What people list, a page at a time: servers at the root, moves in their cells, conversations at the conductor."""

from functools import cache
from typing import Any, Final

from sqlalchemy import Select, bindparam, select

from actors.kernel.handlers import Transactional
from actors.kernel.ports import Connection
from actors.store.records import to_record
from actors.store.statements import Statement
from actors.store.tables import CONVERSATIONS, ENTRIES, METADATA
from protocol.bodies import decode_body
from protocol.effects.registry import Moment
from protocol.journal import Ending, Kind
from protocol.messages import orders, root, servers
from protocol.records import Migration, Mirror
from protocol.requests import in_page
from protocol.states import Goal

#: Larger than the number of any conversation.
NEWEST: Final = 2**62


def listing_handlers(*, is_root: bool) -> tuple[Transactional, ...]:
    """Make the handlers of a cell's listings; the root has one more."""
    of_all = (Transactional(request=servers.ListMigrations, run=migration_page),)
    return (*of_all, Transactional(request=root.PageServers, run=server_page)) if is_root else of_all


# --- the root's servers ------------------------------------------------------------------------------------


def _starts(column: Any) -> Any:
    """Match ids by their start: none has a sign above `~`, and every one begins with nothing."""
    return (column >= bindparam("start")) & (column < bindparam("start_end"))


@cache
def _servers(*, is_named: bool) -> Statement:
    mirrors, mappings = METADATA.tables["mirrors"], METADATA.tables["mappings"]
    is_home = (mappings.c.server == mirrors.c.server) & (mappings.c.cell == mirrors.c.cell)
    found = (
        select(mirrors, mappings.c.goal, mappings.c.conversation)
        .select_from(mirrors.join(mappings, is_home))
        .where(mirrors.c.is_gone.is_(False), mirrors.c.server > bindparam("after"), _starts(mirrors.c.server))
    )
    if is_named:
        found = found.where(mirrors.c.name == bindparam("which"))
    return Statement(found.order_by(mirrors.c.server).limit(bindparam("most")))


def server_page(connection: Connection, request: root.PageServers, _moment: Moment) -> root.ServerPage:
    """Give each server once, from the cell that its mapping names."""
    limit = in_page(request.limit)
    rows = _servers(is_named=request.name is not None).all(
        connection,
        after=request.after,
        which=request.name,
        most=limit + 1,
        start=request.id_start,
        start_end=f"{request.id_start}~",
    )
    lines = tuple(
        root.ServerLine(
            mirror=to_record(Mirror, row[:-2]), goal=Goal(row.goal) if row.goal else None, conversation=row.conversation
        )
        for row in rows[:limit]
    )
    return root.ServerPage(lines=lines, is_last=len(rows) <= limit)


# --- a cell's migrations -----------------------------------------------------------------------------------


@cache
def _migrations(*, is_of_one: bool) -> Statement:
    table = METADATA.tables["migrations"]
    made, is_lower = table.c.created_at_us, table.c.uuid < bindparam("before_id")
    found = select(table).where((made < bindparam("before")) | ((made == bindparam("before")) & is_lower))
    if is_of_one:
        found = found.where(table.c.server == bindparam("which"))
    return Statement(found.order_by(table.c.created_at_us.desc(), table.c.uuid.desc()).limit(bindparam("most")))


def migration_page(connection: Connection, request: servers.ListMigrations, _moment: Moment) -> servers.MigrationPage:
    """Give a cell's own records; another cell may have a record of the same move."""
    rows = _migrations(is_of_one=bool(request.server)).all(
        connection,
        before=request.before_us,
        before_id=request.before_id,
        which=request.server,
        most=in_page(request.limit),
    )
    return servers.MigrationPage(migrations=tuple(to_record(Migration, row) for row in rows))


# --- the conductor's conversations -------------------------------------------------------------------------


@cache
def _conversations(*, is_of_one: bool, is_open: bool) -> Statement:
    begin, end = ENTRIES.alias("begin"), ENTRIES.alias("end_")
    has_begun = (begin.c.conversation == CONVERSATIONS.c.conversation) & (begin.c.seq == 0)
    has_ended = (end.c.conversation == CONVERSATIONS.c.conversation) & (end.c.kind == Kind.END.value)
    found: Select[Any] = (
        select(
            CONVERSATIONS.c.conversation, CONVERSATIONS.c.server, CONVERSATIONS.c.goal, CONVERSATIONS.c.first_epoch,
            CONVERSATIONS.c.is_closed, CONVERSATIONS.c.waits_for, begin.c.at_us.label("began_at_us"),
            end.c.at_us.label("ended_at_us"), end.c.payload,
        )
        .select_from(CONVERSATIONS.join(begin, has_begun).outerjoin(end, has_ended))
        .where(CONVERSATIONS.c.first_epoch < bindparam("before"), _starts(CONVERSATIONS.c.conversation))
    )  # fmt: skip
    if is_of_one:
        found = found.where(CONVERSATIONS.c.server == bindparam("which"))
    if is_open:
        found = found.where(CONVERSATIONS.c.is_closed.is_(False))
    return Statement(found.order_by(CONVERSATIONS.c.first_epoch.desc()).limit(bindparam("most")))


def conversation_page(connection: Connection, request: orders.ListConversations) -> orders.ConversationPage:
    """Give conversations, newest first."""
    rows = _conversations(is_of_one=bool(request.server), is_open=request.is_open).all(
        connection, which=request.server, most=in_page(request.limit),
        before=NEWEST if request.before is None else request.before, start=request.id_start,
        start_end=f"{request.id_start}~",
    )  # fmt: skip
    return orders.ConversationPage(lines=tuple(map(_line, rows)))


def _line(row: Any) -> orders.ConversationLine:
    return orders.ConversationLine(
        conversation=row.conversation, server=row.server, goal=Goal(row.goal), number=row.first_epoch,
        began_at_us=row.began_at_us, ended_at_us=row.ended_at_us,
        ending=None if row.payload is None else decode_body(row.payload, Ending), is_closed=row.is_closed,
        waits_for=row.waits_for,
    )  # fmt: skip
