"""The root's mirror: it mends itself from whatever it was set back to, and a listing never leaves a server out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import attrs
import pytest

from protocol.healing import Healing
from protocol.invariants import violations
from protocol.messages.changes import ChangeServer, ServerChange
from protocol.messages.root import FindHome, ListServers
from protocol.messages.servers import Origin
from protocol.messages.sync import SyncServers
from protocol.mirroring import mirror_of
from protocol.records import BlockDevice, Mirror, MirroredDevice, MirroredFault, Server
from sim import Scenario
from sim.history import Handed
from tests.scenarios.endings import at_rest

if TYPE_CHECKING:
    from protocol.records import Record
    from sim.cases.layout import Layout

HEALING: Final = Healing(interval_s=10, batch=2, window_s=120)
SERVERS: Final = ("web", "db", "old")
#: Both rounds over all servers, once, and the news on its way.
HEALED_S: Final = HEALING.interval_s * (math.ceil(len(SERVERS) / HEALING.batch) + 1) + 2.0
MIRROR: Final = (Mirror, MirroredDevice, MirroredFault)


def healing(layout: Layout) -> Layout:
    """Have the mirror of a cloud heal."""
    return attrs.evolve(layout, healing=HEALING)


def told(s: Scenario) -> tuple[Record, ...]:
    """Give all that the root has been told."""
    return tuple(row for kind in MIRROR for row in s.truth.in_cell("api", kind))


async def settle(s: Scenario) -> None:
    """Make servers of every kind, one of them with a volume, one with a fault, one that has moved."""
    for server, host in zip(SERVERS, ("h1", "h2", "h3"), strict=True):
        await s.create(server, host=host, volume=f"{server}-data")
    s.fail("h2", "spawn")
    await (await s.resize("web", host="h2")).over()
    s.heal()
    await (await s.resize("db", host="h1")).done()
    await (await s.confirm("db")).done()


def is_whole(s: Scenario) -> bool:
    """Tell whether the mirror is what the homes have."""
    mirrors = {row.server: row for row in s.truth.listing()}
    for server in SERVERS:
        mapping, home = s.truth.mapping(server), s.truth.home(server)
        assert mapping is not None
        assert home is not None
        mirror = mirrors.get(server)
        if mirror is None or attrs.evolve(mirror, devices_since=0) != mirror_of(home, str(mapping.cell)):
            return False
    devices = {(row.server, row.volume) for row in s.truth.in_cell("api", MirroredDevice) if not row.is_gone}
    return devices == {(row.server, row.volume) for row in s.truth.block_devices()}


async def check_listing(s: Scenario) -> None:
    """Ask for the listing and for each server: once each, from the cell where it is found."""
    listed = (await s.call("api", ListServers())).servers
    assert sorted(each.server for each in listed) == sorted(SERVERS)
    for each in listed:
        assert (await s.call("api", FindHome(server=each.server))).mapping.cell == each.cell


@pytest.mark.proves("R131")
def test_a_root_restored_from_an_older_image_has_its_mirror_back_in_bounded_time() -> None:
    """Emptied, it heals; at every instant meanwhile each server is listed once, and found where it is listed."""

    async def story(s: Scenario) -> None:
        await settle(s)
        await s.quiet()
        s.unplant("api", *told(s))
        assert not is_whole(s)
        waited_s = 0.0
        while not is_whole(s):
            await check_listing(s)
            await s.wait(1.0)
            waited_s += 1.0
            assert waited_s <= HEALED_S
        assert {row.server for row in s.truth.in_cell("api", MirroredFault)} == {"web"}
        await at_rest(s)

    Scenario.run(story, arrange=healing)


def test_a_mirror_from_before_is_healed_of_what_changed_long_ago() -> None:
    """What no cell tells again by itself, for it is too old, the root asks for."""

    async def story(s: Scenario) -> None:
        await settle(s)
        await s.quiet()
        before = told(s)
        await (await s.detach("old", volume="old-data")).done()
        await (await s.migrate("db", host="h3")).done()
        await (await s.confirm("db")).done()
        await s.wait(2.0 * HEALING.window_s)
        s.unplant("api", *told(s))
        s.plant("api", *before)
        assert not is_whole(s)
        await s.wait(HEALED_S)
        assert is_whole(s)
        await at_rest(s)

    Scenario.run(story, arrange=healing)


def test_healing_changes_nothing_in_a_mirror_that_has_all() -> None:
    """However often it is told again."""

    async def story(s: Scenario) -> None:
        await settle(s)
        await s.quiet()
        before = told(s)
        await s.wait(3.0 * HEALED_S)
        assert told(s) == before
        await at_rest(s)

    Scenario.run(story, arrange=healing)


def test_a_server_that_its_cell_has_no_record_of_is_listed_as_missing_until_the_record_is_there_again() -> None:
    """It is found out in its turn, and never dropped."""

    async def story(s: Scenario) -> None:
        await settle(s)
        await s.quiet()
        home = s.truth.mapping("old")
        assert home is not None
        lost = [*s.truth.in_cell(str(home.cell), Server, "old"), *s.truth.in_cell(str(home.cell), BlockDevice, "old")]
        s.unplant(str(home.cell), *lost)
        await s.wait(HEALED_S)
        listed = {each.server: each for each in (await s.call("api", ListServers())).servers}
        assert [each.server for each in listed.values() if each.is_missing] == ["old"]
        await check_listing(s)
        s.plant(str(home.cell), *lost)
        await s.wait(HEALED_S)
        assert is_whole(s)
        await at_rest(s)

    Scenario.run(story, arrange=healing)


@pytest.mark.proves("R84")
def test_a_sync_has_every_cell_tell_what_was_asked_for_again() -> None:
    """The living and those deleted lately, of a project, since some time, a page at once."""

    async def story(s: Scenario) -> None:
        await settle(s)
        await (await s.delete("old")).done()
        await s.quiet()
        s.unplant("api", *told(s))
        for wish, total in (
            (SyncServers(project="nobody"), (0, 0)),
            (SyncServers(since_us=2**62), (0, 0)),
            (SyncServers(is_deleted=True), (0, 1)),
            (SyncServers(is_deleted=False), (2, 0)),
            (SyncServers(), (2, 1)),
        ):
            replies = [each.reply for each in await s.gather(wish)]
            assert None not in replies
            found = [(each.told, each.gone) for each in replies if each is not None]
            assert (sum(told for told, _ in found), sum(gone for _, gone in found)) == total, wish
        await s.quiet()
        assert {row.server for row in s.truth.listing()} == {"web", "db"}
        await at_rest(s)

    Scenario.run(story)


def test_a_server_whose_record_is_lost_can_be_deleted_and_leaves_nothing() -> None:
    """Its guest, where the ledger of permits has it; ports, attachments and places go too: Nova's bug 1479941."""

    async def story(s: Scenario) -> None:
        await settle(s)
        await s.quiet()
        home = s.truth.mapping("old")
        assert home is not None
        assert s.truth.running("old") == ("h3",)
        s.unplant(str(home.cell), *s.truth.in_cell(str(home.cell), Server, "old"))
        # From here on its home shows it no times, as some invariant says: that is what is mended.
        await (await s.delete("old")).done()
        await s.quiet()
        assert sorted(each.server for each in (await s.call("api", ListServers())).servers) == ["db", "web"]
        assert violations(s.truth.all, is_at_rest=True) == ()
        assert s.truth.running("old") == ()

    Scenario.run(story)


@pytest.mark.proves("R71", "R74")
def test_what_is_for_the_top_goes_straight_there_with_all_that_the_cells_record_is_the_truth_of() -> None:
    """Through the links between, and past the cells there: none of them is asked whether it is the top."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        change = ServerChange(metadata={"tier": "front"}, tags=("blue",), description="shop")
        user = Origin(request_id="r", user="u", project="project")
        await s.call("api/conductor", ChangeServer(id="c1", server="web", change=change, origin=user))
        await at_rest(s)
        [row] = s.truth.listing("web")
        assert (row.metadata, row.tags, row.cell) == ({"tier": "front"}, ("blue",), "api!eu!eu-1")
        handed = (line.what for line in s.stage.history.lines if isinstance(line.what, Handed))
        told = [(each.queue, note) for each in handed for note in each.notes if note.method == "update_mirror"]
        called = {queue for queue, note in told if note.kind == "call"}
        assert {queue for queue in called if queue.endswith("/cell")} == {"api/cell"}
        assert any(note.route == ("api!eu!eu-1", "api!eu") for _, note in told)

    Scenario.run(story, cells=("api", "api!eu", "api!eu!eu-1"), hosts={"h1": "api!eu!eu-1"})
