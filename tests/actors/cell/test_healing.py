"""A cell tells the root again of what changed lately, so many at a time, each in its turn."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING, Final

import attrs
import pytest

from actors.cell.healing import Healer
from actors.kernel.metrics import NO_METERS
from actors.kernel.ports import Connection
from actors.kernel.post import Post
from actors.kernel.traces import NO_TRACES
from actors.store.mirrors import audit_page, audit_servers, changed_since, sync_servers, tell_again
from actors.store.outbox import retire, waiting
from actors.store.records import save
from actors.store.sqlite import InlineStore, open_inline
from actors.store.tables import CELL_TABLES, ROOT_TABLES
from actors.wire.memory import MemoryWire
from protocol.cell_path import Address, CellPath
from protocol.draft import Changes
from protocol.effects.registry import Moment
from protocol.healing import US_PER_S, Healing, shuffled
from protocol.messages.sync import AuditServers, Held, SyncServers
from protocol.mirroring import mirror_of
from protocol.records import BlockDevice, DeletedServer, Fault, Flavor, Mapping, Server
from protocol.states import Goal, VmState

if TYPE_CHECKING:
    from protocol.records import Record

pytestmark = pytest.mark.anyio

CELL: Final = "api!eu"
NOW_S: Final = 10_000
MOMENT: Final = Moment(now_us=NOW_S * US_PER_S, cell=CELL, key="")
HEALING: Final = Healing(interval_s=60, batch=2, window_s=3_600)


class Still:
    """A clock that stands still, chance that always draws the same, and events that nobody reads."""

    meters, traces = NO_METERS, NO_TRACES

    def now_us(self) -> int:
        return NOW_S * US_PER_S

    def uniform(self) -> float:
        return 0.0

    def emit(self, event: str, /, **fields: object) -> None:
        """Note nothing."""

    def new(self) -> bytes:
        return bytes(16)


def server(name: str, *, changed_s: int = NOW_S, project: str = "p", version: int = 1) -> Server:
    return Server(
        uuid=name, name=name, project=project, user="u", flavor=Flavor(name="f", vcpus=1, memory_mb=1, disk_gb=1),
        vm_state=VmState.ACTIVE, version=version, created_at_us=0, updated_at_us=changed_s * US_PER_S,
    )  # fmt: skip


async def holding(*rows: Record, is_root: bool = False) -> InlineStore:
    store = open_inline(ROOT_TABLES if is_root else CELL_TABLES)
    await store.transact(save, Changes(puts=rows))
    return store


def healer(store: InlineStore) -> Healer:
    still = Still()
    post = Post(
        me=Address(CellPath.parse(CELL), "cell"), replies="replies", wire=MemoryWire(), ids=still, events=still
    )  # fmt: skip
    return Healer(post=post, store=store, clock=still, random=still, healing=HEALING, wake=lambda: None)


def _told(connection: Connection) -> list[tuple[str, str]]:
    found = [(row.method, row.server) for row in waiting(connection)]
    for row in waiting(connection):
        retire(connection, row.id)
    return found


async def told(store: InlineStore) -> list[tuple[str, str]]:
    """Give what waits in the outbox, which is empty then."""
    return await store.transact(_told)


@pytest.mark.proves("R131")
async def test_of_three_servers_two_are_told_of_a_run_in_turn() -> None:
    """The list is made anew when it is at its end, once a run at most: 1 and 2, then 3 and 1 of the next round."""
    store = await holding(server("s1"), server("s2"), server("s3"))
    healing = healer(store)
    rounds = []
    for _ in range(3):
        assert await healing.heal() == HEALING.batch
        rounds.append([name for _, name in await told(store)])
    order = cycle(rounds[0] + [({"s1", "s2", "s3"} - {*rounds[0]}).pop()])
    assert [name for names in rounds for name in names] == [next(order) for _ in range(6)]
    store.close()


@pytest.mark.proves("R131")
async def test_what_has_vanished_gives_its_place_to_the_next_and_what_was_deleted_is_told_to_be_gone() -> None:
    """A server that was deleted after it was listed is told as such; one of which nothing is known is passed over."""
    store = await holding(server("s1"), server("s2"), server("s3"))
    healing = healer(store)
    await healing.heal()
    first = [name for _, name in await told(store)]
    last = ({"s1", "s2", "s3"} - {*first}).pop()
    gone = DeletedServer(uuid=first[0], project="p", generation=1, version=2, deleted_at_us=NOW_S * US_PER_S)
    await store.transact(save, Changes(puts=(gone,), drops=(server(last), server(first[0]))))
    assert await healing.heal() == HEALING.batch
    assert sorted(await told(store)) == sorted([("destroy_mirror", first[0]), ("update_mirror", first[1])])
    store.close()


@pytest.mark.proves("R131")
async def test_what_changed_before_the_window_is_not_told_and_what_was_deleted_then_is_forgotten() -> None:
    """So a cell at rest sends nothing; what the root lacks all the same, it asks for."""
    long_ago = NOW_S - HEALING.window_s - 1
    gone = DeletedServer(uuid="s2", project="p", generation=1, version=2, deleted_at_us=long_ago * US_PER_S)
    store = await holding(server("s1", changed_s=long_ago), gone)
    assert await healer(store).heal() == 0
    assert await told(store) == []
    assert await store.transact(changed_since, 0) == ("s1",)
    store.close()


async def test_a_server_is_told_with_its_block_devices_and_faults() -> None:
    """And again no more is waiting: the same news has the same id."""
    device = BlockDevice(id="d1", server="s1", volume="v1", attachment="a1", device="/dev/vdb")
    store = await holding(server("s1"), device, Fault(id="f1", server="s1", code="c", message="m", created_at_us=1))
    for _ in range(2):
        assert await store.transact(tell_again, ("s1", "s9"), CELL) == 1
    assert await told(store) == [("update_mirror", "s1"), ("tell_device", "s1"), ("tell_fault", "s1")]
    store.close()


@pytest.mark.proves("R84")
@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_a_sync_goes_on_behind_its_last_page_until_all_are_told_once(limit: int) -> None:
    """Those of the project that changed since then, and those deleted since; by id."""
    gone = DeletedServer(uuid="s3", project="p", generation=1, version=2, deleted_at_us=NOW_S * US_PER_S)
    others = server("x1", project="q"), server("x2", changed_s=1)
    store = await holding(server("s1"), server("s2"), gone, server("s4"), *others)
    wish = SyncServers(project="p", since_us=NOW_S * US_PER_S, limit=limit)
    found: list[str] = []
    counts = [0, 0]
    while True:
        page = await store.transact(sync_servers, wish, MOMENT)
        counts = [counts[0] + page.told, counts[1] + page.gone]
        found.extend(name for _, name in await told(store))
        if not page.last:
            break
        wish = attrs.evolve(wish, after=page.last)
    assert (found, counts) == (["s1", "s2", "s3", "s4"], [3, 1])
    store.close()


async def test_a_cell_that_is_asked_tells_what_the_root_has_otherwise_and_names_what_it_lacks() -> None:
    """What the root has as it is, is not told again."""
    store = await holding(server("s1", version=4), server("s2", version=4), server("s3", version=4))
    held = [
        Held(server=name, generation=1, version=version, parts=parts)
        for name, version, parts in (("s1", 4, 0), ("s2", 3, 0), ("s3", 4, 1), ("s9", 4, 0))
    ]
    audited = await store.transact(audit_servers, AuditServers(held=tuple(held)), MOMENT)
    assert (audited.lacking, audited.told) == (("s9",), 2)
    assert [name for _, name in await told(store)] == ["s2", "s3"]
    store.close()


async def test_the_root_asks_for_all_that_it_has_and_nobody_works_on_page_by_page() -> None:
    """At home, heard of or not, and wherever else it has heard of a record."""
    homes = [Mapping(server=f"s{number}", cell=CELL, generation=1) for number in range(4)]
    taken = attrs.evolve(homes[3], conversation="c", goal=Goal.RESIZE)
    rows = (mirror_of(server("s0"), CELL), mirror_of(server("s0"), "api!us"), mirror_of(server("s1"), CELL))
    store = await holding(*homes[:3], taken, *rows, Mapping(server="s4", cell=None, generation=0), is_root=True)
    seen: list[tuple[str, str, int]] = []
    after = ""
    while True:
        page = await store.transact(audit_page, after, 2)
        seen.extend((cell, each.server, each.version) for cell, held in page.held.items() for each in held)
        after = page.last
        if not after:
            break
    assert sorted(seen) == [(CELL, "s0", 1), (CELL, "s1", 1), (CELL, "s2", -1), ("api!us", "s0", 1)]
    store.close()


def test_a_shuffle_keeps_all_items() -> None:
    """Each once, in another order."""
    items = tuple("abcdef")
    assert sorted(shuffled(items, lambda: 0.5)) == list(items)
    assert shuffled(items, lambda: 0.0) != items
