"""What people list comes a page at a time: each line once, in order, whatever the size of the page."""

from __future__ import annotations

from typing import Final

import pytest

from actors.kernel.ports import Connection, Lease
from actors.store.journal import SqlJournals
from actors.store.listings import conversation_page, migration_page, server_page
from actors.store.records import save
from actors.store.sqlite import InlineStore, open_inline
from actors.store.tables import CONDUCTOR_TABLES, ROOT_TABLES
from protocol.draft import Changes
from protocol.effects.registry import Moment
from protocol.journal import Entry, Kind
from protocol.messages.orders import ListConversations
from protocol.messages.root import PageServers
from protocol.messages.servers import ListMigrations
from protocol.records import Mapping, Migration, Mirror
from protocol.states import Goal, MigrationStatus, PowerState, VmState

pytestmark = pytest.mark.anyio

MOMENT: Final = Moment(now_us=0, cell="api", key="")
JOURNALS: Final = SqlJournals()
SIZES: Final = pytest.mark.parametrize("size", [1, 2, 3, 7, 1_000_000])


def mirror(number: int, cell: str, *, is_gone: bool = False) -> Mirror:
    """Make what a cell has told of a server."""
    return Mirror(
        server=f"s{number}", cell=cell, generation=1, version=1, name=f"name-{number % 2}", vm_state=VmState.ACTIVE,
        task_state=None, power_state=PowerState.RUNNING, host="h1", flavor="tiny", is_gone=is_gone,
    )  # fmt: skip


async def servers_known() -> InlineStore:
    """Make a root with six servers, each known to two cells; one is gone, and one has no home yet."""
    store = open_inline(ROOT_TABLES)
    homes = {1: "a", 2: "b", 3: "a", 4: "b", 5: "a", 6: None}
    rows = [Mapping(server=f"s{number}", cell=home, generation=1) for number, home in homes.items()]
    mirrors = [mirror(number, cell, is_gone=number == 4) for number in homes for cell in ("a", "b")]
    await store.transact(save, Changes(puts=(*rows, *mirrors)))
    return store


@SIZES
async def test_servers_come_once_each_from_their_home(size: int) -> None:
    """Page by page: in the order of ids, hidden copies left out; what its home says is gone is shown all the same."""
    store = await servers_known()
    found: list[tuple[str, str]] = []
    is_last = False
    while not is_last:
        request = PageServers(after=found[-1][0] if found else "", limit=size)
        page = await store.transact(server_page, request, MOMENT)
        found.extend((line.mirror.server, line.mirror.cell) for line in page.lines)
        is_last = page.is_last
    assert found == [("s1", "a"), ("s2", "b"), ("s3", "a"), ("s4", "b"), ("s5", "a")]
    store.close()


async def test_servers_are_found_by_name_and_by_the_start_of_an_id() -> None:
    """Both leave all others out."""
    store = await servers_known()
    named = await store.transact(server_page, PageServers(limit=9, name="name-0"), MOMENT)
    begun = await store.transact(server_page, PageServers(limit=9, id_start="s3"), MOMENT)
    assert [line.mirror.server for line in named.lines] == ["s2"]  # Of s4 nothing is known any more, nor its name.
    assert [line.mirror.server for line in begun.lines] == ["s3"]
    store.close()


@SIZES
async def test_moves_come_newest_first_also_those_of_one_instant(size: int) -> None:
    """Each once, whichever page it is on."""
    store = open_inline(ROOT_TABLES)
    moves = tuple(
        Migration(
            uuid=f"m{number}", server=f"s{number % 2}", kind=Goal.MIGRATE, status=MigrationStatus.FINISHED,
            source_cell="a", source_host="h1", old_flavor="tiny", new_flavor="tiny", created_at_us=number // 3,
            updated_at_us=9,
        )
        for number in range(8)
    )  # fmt: skip
    await store.transact(save, Changes(puts=moves))
    found: list[Migration] = []
    while True:
        last = found[-1] if found else None
        before = (last.created_at_us, last.uuid) if last else (9, "")
        request = ListMigrations(before_us=before[0], before_id=before[1], limit=size)
        page = (await store.transact(migration_page, request, MOMENT)).migrations
        found.extend(page)
        if not page:
            break
    assert [move.uuid for move in found] == [f"m{number}" for number in reversed(range(8))]
    of_one = await store.transact(migration_page, ListMigrations(before_us=9, limit=9, server="s1"), MOMENT)
    assert [move.uuid for move in of_one.migrations] == ["m7", "m5", "m3", "m1"]
    store.close()


def _begin(connection: Connection, number: int) -> None:
    lease = Lease(conversation=f"c{number}", server=f"s{number % 2}", owner="me")
    JOURNALS.begin(connection, lease, goal=Goal.STOP, payload=b"", at_us=number)


async def test_conversations_come_newest_first_with_what_they_wait_for() -> None:
    """Of all or of one server, open ones alone or all, before a number or from the newest."""
    store = open_inline(CONDUCTOR_TABLES)
    for number in range(5):
        await store.transact(_begin, number)
    await store.transact(JOURNALS.park, "c2", "a host")
    await store.transact(JOURNALS.append, "c4", Entry(seq=1, epoch=5, kind=Kind.RELEASED, at_us=9))

    async def listed(request: ListConversations) -> list[str]:
        return [line.conversation for line in (await store.transact(conversation_page, request)).lines]

    assert await listed(ListConversations(limit=3)) == ["c4", "c3", "c2"]
    assert await listed(ListConversations(limit=9, is_open=True)) == ["c3", "c2", "c1", "c0"]
    assert await listed(ListConversations(limit=9, server="s1")) == ["c3", "c1"]
    assert await listed(ListConversations(limit=9, id_start="c2")) == ["c2"]
    assert await listed(ListConversations(limit=9, before=2)) == ["c0"]
    (line,) = (await store.transact(conversation_page, ListConversations(limit=1, id_start="c2"))).lines
    assert (line.waits_for, line.began_at_us, line.ending) == ("a host", 2, None)
    store.close()
