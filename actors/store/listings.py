"""What people list, a page at a time: servers at the root, moves in their cells, conversations at the conductor."""

from functools import cache
from typing import Any, Final

from sqlalchemy import Integer, Select, bindparam, func, select

from actors.kernel.handlers import Transactional
from actors.kernel.ports import Connection
from actors.store.records import to_record
from actors.store.statements import Statement
from actors.store.tables import CONVERSATIONS, ENTRIES, METADATA
from protocol.bodies import decode_body
from protocol.cell_path import SEPARATOR
from protocol.effects.registry import Moment
from protocol.journal import Ending, Kind
from protocol.messages import creates, orders, root, servers
from protocol.mirroring import shown
from protocol.moves.parties import Brief
from protocol.records import Mapping, Migration, Mirror
from protocol.requests import in_page
from protocol.states import Goal

#: Larger than the number of any conversation.
NEWEST: Final = 2**62
#: So many creates are looked through for one, the newest first.
CREATES_MAX: Final = 1_000


def listing_handlers(*, is_root: bool) -> tuple[Transactional, ...]:
    """Make the handlers of a cell's listings; the root has more of them."""
    of_all = (Transactional(request=servers.ListMigrations, run=migration_page),)
    of_root = (
        Transactional(request=root.PageServers, run=server_page),
        Transactional(request=root.CountServersBelow, run=servers_below),
    )
    return (*of_all, *of_root) if is_root else of_all


# --- the root's servers ------------------------------------------------------------------------------------


def _starts(column: Any) -> Any:
    """Match ids by their start: none has a sign above `~`, and every one begins with nothing."""
    return (column >= bindparam("start")) & (column < bindparam("start_end"))


@cache
def _servers(*, is_named: bool) -> Statement:
    mirrors, mappings = METADATA.tables["mirrors"], METADATA.tables["mappings"]
    is_home = (mappings.c.server == mirrors.c.server) & (mappings.c.cell == mirrors.c.cell)
    # Those too of which nothing was heard: what has a home is never left out.
    found = (
        select(*mirrors.c, *mappings.c)
        .select_from(mappings.outerjoin(mirrors, is_home))
        .where(mappings.c.cell.is_not(None), mappings.c.server > bindparam("after"), _starts(mappings.c.server))
    )
    if is_named:
        found = found.where(mirrors.c.name == bindparam("which"), mirrors.c.is_gone.is_(False))
    return Statement(found.order_by(mappings.c.server).limit(bindparam("most")))


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
    return root.ServerPage(lines=tuple(map(_server_line, rows[:limit])), is_last=len(rows) <= limit)


def _server_line(row: Any) -> root.ServerLine:
    width = len(METADATA.tables["mirrors"].c)
    mapping = to_record(Mapping, row[width:])
    mirror = to_record(Mirror, row[:width]) if row[0] is not None else None
    return root.ServerLine(mirror=shown(mapping, mirror), goal=mapping.goal, conversation=mapping.conversation)


@cache
def _below() -> Statement:
    mappings = METADATA.tables["mappings"]
    # Not by an order of texts, which is another one in each database.
    begins = func.substr(mappings.c.cell, 1, bindparam("chars", type_=Integer)) == bindparam("start")
    found = select(func.count(), func.min(mappings.c.server))
    return Statement(found.where((mappings.c.cell == bindparam("top")) | begins))


def servers_below(connection: Connection, request: root.CountServersBelow, _moment: Moment) -> root.ServersBelow:
    """Count the servers of a part of the tree."""
    top = str(request.cell)
    start = f"{top}{SEPARATOR}"
    count, first = _below().one(connection, top=top, start=start, chars=len(start))
    return root.ServersBelow(count=int(count), first=first or "")


# --- a cell's migrations -----------------------------------------------------------------------------------


@cache
def _migrations(*, is_of_one: bool, is_of_host: bool, has_status: bool) -> Statement:
    table = METADATA.tables["migrations"]
    made, is_lower = table.c.created_at_us, table.c.uuid < bindparam("before_id")
    found = select(table).where((made < bindparam("before")) | ((made == bindparam("before")) & is_lower))
    if is_of_one:
        found = found.where(table.c.server == bindparam("which"))
    if is_of_host:
        found = found.where((table.c.source_host == bindparam("at")) | (table.c.target_host == bindparam("at")))
    if has_status:
        found = found.where(table.c.status == bindparam("status"))
    return Statement(found.order_by(table.c.created_at_us.desc(), table.c.uuid.desc()).limit(bindparam("most")))


def migration_page(connection: Connection, request: servers.ListMigrations, _moment: Moment) -> servers.MigrationPage:
    """Give a cell's own records; another cell may have a record of the same move."""
    status = request.status
    wanted = _migrations(is_of_one=bool(request.server), is_of_host=bool(request.host), has_status=status is not None)
    rows = wanted.all(
        connection,
        before=request.before_us,
        before_id=request.before_id,
        which=request.server,
        at=request.host,
        status=status and status.value,
        most=in_page(request.limit),
    )
    return servers.MigrationPage(migrations=tuple(to_record(Migration, row) for row in rows))


# --- the conductor's conversations -------------------------------------------------------------------------


@cache
def _conversations(*, is_of_one: bool, is_open: bool, is_create: bool = False) -> Statement:
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
    if is_create:
        found = found.add_columns(begin.c.payload.label("brief")).where(CONVERSATIONS.c.goal == Goal.CREATE.value)
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


def find_create(connection: Connection, request: creates.FindCreate) -> creates.FoundCreate:
    """Find the newest create of a server by its name or its id's start, among so many."""
    rows = _conversations(is_of_one=False, is_open=False, is_create=True).all(
        connection, most=CREATES_MAX, before=NEWEST, start="", start_end="~"
    )
    for row in rows:
        order = decode_body(row.brief, Brief).order
        assert isinstance(order, orders.CreateServer), "a create carries out no other order"
        if request.means(order):
            return creates.FoundCreate(created=creates.Created(order=order, line=_line(row)))
    return creates.FoundCreate(created=None)
