"""What heals the root's mirror, in each cell's store and in the root's: who changed lately, who is told of again."""

from typing import Any, Final

import attrs
from sqlalchemy import Select, bindparam, delete, func, select

from actors.kernel.handlers import Transactional
from actors.kernel.ports import Connection
from actors.store.effects import outgoing
from actors.store.outbox import enqueue
from actors.store.records import load, to_record
from actors.store.statements import Statement
from actors.store.tables import METADATA
from protocol.draft import need
from protocol.effects.news import news_of_deleted, news_of_record
from protocol.effects.registry import Moment
from protocol.healing import LISTED_MAX
from protocol.messages import sync
from protocol.mirroring import newest_faults
from protocol.records import BlockDevice, DeletedServer, Fault, Mapping, Mirror, Server
from protocol.requests import in_page

#: Lower than the version of any record: whatever the cell has, it tells.
UNHEARD: Final = -1
MISSING: Final = -2

_SERVERS: Final = METADATA.tables["servers"]
_DELETED: Final = METADATA.tables["deleted_servers"]
_MAPPINGS: Final = METADATA.tables["mappings"]
_MIRRORS: Final = METADATA.tables["mirrors"]


# --- in a cell ---------------------------------------------------------------------------------------------

_CHANGED: Final = Statement(
    select(_SERVERS.c.uuid)
    .where(_SERVERS.c.updated_at_us >= bindparam("since"))
    .order_by(_SERVERS.c.updated_at_us.desc(), _SERVERS.c.uuid)
    .limit(bindparam("most"))
)
_DELETED_SINCE: Final = Statement(
    select(_DELETED.c.uuid)
    .where(_DELETED.c.deleted_at_us >= bindparam("since"))
    .order_by(_DELETED.c.deleted_at_us.desc(), _DELETED.c.uuid)
    .limit(bindparam("most"))
)
_FORGET: Final = Statement(delete(_DELETED).where(_DELETED.c.deleted_at_us < bindparam("before")))


def changed_since(connection: Connection, since_us: int) -> tuple[str, ...]:
    """List the servers that changed, or were deleted, then or later; what was deleted before is forgotten."""
    _FORGET.run(connection, before=since_us)
    changed = _CHANGED.scalars(connection, since=since_us, most=LISTED_MAX)
    return (*changed, *_DELETED_SINCE.scalars(connection, since=since_us, most=LISTED_MAX))


def tell_again(connection: Connection, servers: tuple[str, ...], cell: str) -> int:
    """Put all that a cell has of these servers into the outbox again; tell how many it has, or had until lately."""
    return sum(_tell(connection, server, cell) is not None for server in servers)


def _tell(connection: Connection, server: str, cell: str) -> bool | None:
    """Tell of a server: give whether it is there, None if nothing is known of it."""
    record, devices, faults = _record(connection, server)
    if record is not None:
        told = news_of_record(record, devices, faults, cell=cell)
    elif deleted := load(connection, (need(DeletedServer, uuid=server),)):
        told = tuple(news_of_deleted(row, cell=cell) for row in deleted if isinstance(row, DeletedServer))
    else:
        return None
    enqueue(connection, tuple(map(outgoing, told)))
    return record is not None


def _record(
    connection: Connection, server: str
) -> tuple[Server | None, tuple[BlockDevice, ...], tuple[Fault, ...]]:  # fmt: skip
    rows = load(connection, (need(Server, uuid=server), need(BlockDevice, server=server), need(Fault, server=server)))
    devices = tuple(row for row in rows if isinstance(row, BlockDevice))
    faults = tuple(row for row in rows if isinstance(row, Fault))
    return next((row for row in rows if isinstance(row, Server)), None), devices, faults


def _page(kind: Any, when: Any, *, has_project: bool) -> Select[Any]:
    found = select(kind.c.uuid).where(kind.c.uuid > bindparam("after"), when >= bindparam("since"))
    if has_project:
        found = found.where(kind.c.project == bindparam("whose"))
    return found.order_by(kind.c.uuid).limit(bindparam("most"))


_PAGES: Final = {
    (is_deleted, has_project): Statement(_page(kind, when, has_project=has_project))
    for is_deleted, kind, when in (
        (False, _SERVERS, _SERVERS.c.updated_at_us),
        (True, _DELETED, _DELETED.c.deleted_at_us),
    )
    for has_project in (False, True)
}


def sync_servers(connection: Connection, request: sync.SyncServers, moment: Moment) -> sync.Synced:
    """Tell a page of servers again, by id."""
    limit = in_page(request.limit)
    kinds = (False, True) if request.is_deleted is None else (request.is_deleted,)
    found = {
        server
        for is_deleted in kinds
        for server in _PAGES[is_deleted, bool(request.project)].scalars(
            connection, after=request.after, since=request.since_us, whose=request.project, most=limit + 1
        )
    }
    page = sorted(found)[:limit]
    there = [_tell(connection, server, moment.cell) for server in page]
    return sync.Synced(told=there.count(True), gone=there.count(False), last=page[-1] if len(found) > limit else "")


def audit_servers(connection: Connection, request: sync.AuditServers, moment: Moment) -> sync.Audited:
    """Compare what the root has with what there is; tell again what it has otherwise."""
    lacking, told = [], 0
    for held in request.held:
        record, devices, faults = _record(connection, held.server)
        if record is None:
            lacking.append(held.server)
            continue
        parts = len(devices) + len(newest_faults(faults))
        if (held.generation, held.version, held.parts) != (record.generation, record.version, parts):
            enqueue(connection, tuple(map(outgoing, news_of_record(record, devices, faults, cell=moment.cell))))
            told += 1
    return sync.Audited(lacking=tuple(lacking), told=told)


def mirror_handlers() -> tuple[Transactional, ...]:
    """Make the handlers by which a cell tells again."""
    return (
        Transactional(request=sync.SyncServers, run=sync_servers),
        Transactional(request=sync.AuditServers, run=audit_servers),
    )


# --- in the root -------------------------------------------------------------------------------------------

_HOMES: Final = Statement(
    select(*_MAPPINGS.c)
    .where(
        _MAPPINGS.c.server > bindparam("after"),
        _MAPPINGS.c.cell.is_not(None),
        _MAPPINGS.c.conversation.is_(None),
        _MAPPINGS.c.debt.is_(None),
    )
    .order_by(_MAPPINGS.c.server)
    .limit(bindparam("most"))
)
_HEARD: Final = Statement(
    select(*_MIRRORS.c).where(_MIRRORS.c.server == bindparam("which"), _MIRRORS.c.is_gone.is_(False))
)
_COUNTS: Final = tuple(
    Statement(
        select(func.count())
        .select_from(METADATA.tables[name])
        .where(METADATA.tables[name].c.server == bindparam("which"), METADATA.tables[name].c.cell == bindparam("where"))
        .where(*([METADATA.tables[name].c.is_gone.is_(False)] if name == "mirrored_devices" else []))
    )
    for name in ("mirrored_devices", "mirrored_faults")
)


@attrs.frozen(kw_only=True)
class Audit:
    """What the root has of some servers, by cell; `last`: the one to go on behind, none at the end of all."""

    held: dict[str, tuple[sync.Held, ...]]
    last: str


def audit_page(connection: Connection, after: str, limit: int) -> Audit:
    """Read what the root has of servers that nobody works on, by id."""
    held: dict[str, tuple[sync.Held, ...]] = {}
    mappings = [to_record(Mapping, row) for row in _HOMES.all(connection, after=after, most=limit)]
    for mapping in mappings:
        heard = {row.cell: row for row in (to_record(Mirror, row) for row in _heard(connection, mapping.server))}
        for cell in {str(mapping.cell): None, **dict.fromkeys(heard)}:
            held[cell] = (*held.get(cell, ()), _held(connection, mapping, cell, heard.get(cell)))
    return Audit(held=held, last=mappings[-1].server if len(mappings) == limit else "")


def _heard(connection: Connection, server: str) -> Any:
    return _HEARD.all(connection, which=server)


def _held(connection: Connection, mapping: Mapping, cell: str, mirror: Mirror | None) -> sync.Held:
    if mirror is None:
        return sync.Held(server=mapping.server, generation=mapping.generation, version=UNHEARD, parts=0)
    version = MISSING if mirror.is_missing else mirror.version
    parts = sum(counts.one(connection, which=mapping.server, where=cell)[0] for counts in _COUNTS)
    return sync.Held(server=mapping.server, generation=mirror.generation, version=version, parts=parts)
