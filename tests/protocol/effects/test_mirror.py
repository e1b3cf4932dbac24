"""The root's mirror: whatever order news comes in, it ends at the newest, and never goes back on the way."""

from __future__ import annotations

from typing import Any, Final

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.cell_path import CellPath
from protocol.draft import News
from protocol.effects.news import news_of_record
from protocol.messages import mirror as say
from protocol.messages import root
from protocol.mirroring import DEVICES_GONE_MAX, FAULTS_MAX, mirror_of, mirrored_device, mirrored_fault
from protocol.records import (
    BlockDevice,
    Fault,
    Mapping,
    Mirror,
    MirroredDevice,
    MirroredFault,
    Record,
)
from protocol.states import PowerState
from tests.protocol.effects.ledger import Ledger
from tests.protocol.effects.lives import DEVICE, EU, FAULT, HOME, SERVER, US, Cell, Event, Life, deliveries

MIRROR: Final = (Mirror, MirroredDevice, MirroredFault)


def mirror(*, cell: str = EU, generation: int = 1, version: int = 1) -> Mirror:
    return attrs.evolve(mirror_of(SERVER, cell), generation=generation, version=version)


def update(**fields: Any) -> say.UpdateMirror:
    return say.UpdateMirror(mirror=mirror(**fields))


def destroy(*, cell: str = EU, generation: int = 1, version: int = 1) -> say.DestroyMirror:
    return say.DestroyMirror(server="s1", cell=cell, generation=generation, version=version)


# --- one record --------------------------------------------------------------------------------------------

TOLD: Final = [*(update(generation=g, version=v) for g in (1, 2) for v in (1, 2, 3)), destroy(generation=1, version=4)]


@pytest.mark.proves("R72", "R73", "R74", "R75", "R76", "R77", "R78")
@given(st.permutations(TOLD * 2))
def test_old_news_never_overwrites_new(told: list[Any]) -> None:
    """Otherwise than Nova: what may overwrite what is said by how new it is, for all states, not by some of these."""
    ledger = Ledger(HOME)
    for each in told:
        ledger.do(each)
    assert ledger.all(Mirror) == [mirror(generation=2, version=3)]


@pytest.mark.proves("R79")
@given(st.permutations([*TOLD, destroy(generation=2, version=4)] * 2))
def test_what_is_destroyed_is_not_revived_by_what_comes_late(told: list[Any]) -> None:
    """It leaves a tombstone, whether or not the root had heard of it before."""
    ledger = Ledger(HOME)
    for each in told:
        ledger.do(each)
    assert [(row.is_gone, row.generation, row.version) for row in ledger.all(Mirror)] == [(True, 2, 4)]


@pytest.mark.proves("R79")
def test_news_of_a_server_that_is_gone_is_no_news() -> None:
    """Of a server without a mapping nothing is written, and of one without a mirror nothing need be destroyed."""
    parts = say.TellFault(fault=mirrored_fault(FAULT, SERVER, EU)), told_device()
    for command in (update(), destroy(), *parts):
        ledger = Ledger()
        ledger.do(command)
        assert ledger.rows == {}


def test_a_tombstone_is_forgotten_when_nothing_older_is_taken_any_more() -> None:
    """With the commit that leaves it behind; what comes later from that cell is dropped all the same."""
    taken = attrs.evolve(HOME, conversation="c")
    ledger = Ledger(taken)
    ledger.do(destroy(cell=US, generation=1, version=5))
    assert len(ledger.all(Mirror)) == 1
    commit = root.CommitHome(
        server="s1", conversation="c", source=CellPath.parse(EU), target=CellPath.parse(US), generation=1
    )
    ledger.do(commit)
    assert ledger.all(Mirror) == []
    for late in (update(generation=1, version=9), destroy(generation=1, version=10), told_device()):
        ledger.do(late)
    assert [kind for kind, _ in ledger.rows] == [Mapping]


def test_everything_told_of_a_server_goes_with_its_mapping() -> None:
    """When it is let go and has no home: from then on nothing of it is taken."""
    ledger = Ledger(attrs.evolve(HOME, conversation="c"))
    for command in (update(), told_device(), say.TellFault(fault=mirrored_fault(FAULT, SERVER, EU))):
        ledger.do(command)
    ledger.do(root.ForgetHome(server="s1", conversation="c"))
    ledger.do(root.ReleaseServer(server="s1", conversation="c"))
    assert ledger.rows == {}


MISSING: Final = say.NoteMissing(server="s1", cell=EU, generation=1, version=1)


def test_a_server_that_its_home_lacks_is_marked_until_it_is_heard_of_again() -> None:
    """Also if nothing was heard of it at all: it is never left out."""
    ledger = Ledger(HOME, mirror())
    ledger.do(MISSING)
    assert ledger.do(root.ListServers()).servers == (attrs.evolve(mirror(), is_missing=True),)
    ledger.do(update())
    assert ledger.do(root.ListServers()).servers == (mirror(),)
    empty = Ledger(HOME)
    empty.do(attrs.evolve(MISSING, version=-1))
    assert [each.is_missing for each in empty.do(root.ListServers()).servers] == [True]
    empty.do(update())
    assert empty.do(root.ListServers()).servers == (mirror(),)


@pytest.mark.parametrize(
    "rows",
    [(), (attrs.evolve(HOME, conversation="c"), mirror()), (attrs.evolve(HOME, debt="c"), mirror()),
     (HOME, mirror(version=2)), (attrs.evolve(HOME, cell=US, generation=2), mirror(version=2))],
)  # fmt: skip
def test_what_somebody_works_on_or_has_changed_since_is_not_marked(rows: tuple[Any, ...]) -> None:
    """The answer is about what was: it is asked for again."""
    ledger = Ledger(*rows)
    before = dict(ledger.rows)
    ledger.do(MISSING)
    assert ledger.rows == before


def test_a_record_that_a_cell_lacks_where_the_server_does_not_live_is_forgotten() -> None:
    """With a tombstone while older news of that generation may still be taken."""
    part = mirrored_device(DEVICE, SERVER, EU)
    behind = Ledger(attrs.evolve(HOME, cell=US, generation=2), mirror(), part)
    behind.do(MISSING)
    assert [kind for kind, _ in behind.rows] == [Mapping]
    ahead = Ledger(attrs.evolve(HOME, cell=US), mirror(), part)
    ahead.do(MISSING)
    assert [row.is_gone for row in ahead.all(Mirror)] == [True]
    assert ahead.all(MirroredDevice) == []


# --- faults and block devices ------------------------------------------------------------------------------


def told_device(device: BlockDevice = DEVICE, *, create: bool | None = None, version: int = 1) -> say.TellDevice:
    return say.TellDevice(device=mirrored_device(device, attrs.evolve(SERVER, version=version), EU), create=create)


def gone(version: int, **named: str) -> say.TellDeviceGone:
    return say.TellDeviceGone(server="s1", cell=EU, generation=1, version=version, **named)


def devices(ledger: Ledger) -> list[tuple[str, str, str]]:
    return [(row.id, row.volume, row.device) for row in ledger.all(MirroredDevice) if not row.is_gone]


@pytest.mark.proves("R82")
def test_a_fault_is_written_once_and_only_the_newest_are_kept() -> None:
    """Otherwise than Nova: it keeps its id, the same in every cell, by which a doubled one is known; old ones go."""
    faults = [attrs.evolve(FAULT, id=f"f{n:02}", created_at_us=n) for n in range(FAULTS_MAX + 3)]
    ledger = Ledger(HOME)
    for fault in (*faults, *faults):
        ledger.do(say.TellFault(fault=mirrored_fault(fault, SERVER, EU)))
    assert [row.id for row in ledger.all(MirroredFault)] == [each.id for each in faults[3:]]


@pytest.mark.proves("R92", "R93")
def test_a_block_device_is_created_or_updated_as_its_sender_asks() -> None:
    """None: either way; true: only a new one, and one that is known stays as it is."""
    ledger = Ledger(HOME)
    ledger.do(told_device(create=True))
    ledger.do(told_device(attrs.evolve(DEVICE, volume="v2"), version=2, create=True))
    assert devices(ledger) == [("d1", "v1", "/dev/vdb")]
    ledger.do(told_device(attrs.evolve(DEVICE, volume="v2"), version=2))
    ledger.do(told_device(attrs.evolve(DEVICE, id="d2", device="/dev/vdc"), version=3))
    assert devices(ledger) == [("d1", "v2", "/dev/vdb"), ("d2", "v1", "/dev/vdc")]


@pytest.mark.proves("R94", "R95")
def test_an_update_alone_finds_a_block_device_by_its_name_and_else_by_its_volume() -> None:
    """The name is compared first; what matches nothing is no news.  The row that is found keeps its id."""
    ledger = Ledger(HOME)
    ledger.do(told_device())
    stranger = attrs.evolve(DEVICE, id="x", device="/dev/vdz", volume="v9")
    ledger.do(told_device(stranger, create=False, version=2))
    assert devices(ledger) == [("d1", "v1", "/dev/vdb")]
    ledger.do(told_device(attrs.evolve(stranger, device="/dev/vdb"), create=False, version=3))
    assert devices(ledger) == [("d1", "v9", "/dev/vdb")]
    ledger.do(told_device(stranger, create=False, version=4))
    assert devices(ledger) == [("d1", "v9", "/dev/vdz")]


@pytest.mark.proves("R96", "R97")
def test_a_block_device_is_destroyed_by_its_id_else_its_name_else_its_volume() -> None:
    """The name wins over the volume; what matches nothing is no error."""
    other = attrs.evolve(DEVICE, id="d2", device="/dev/vdc", volume="v2")
    for named, left in (
        ({"id": "d1"}, ["d2"]), ({"device": "/dev/vdb", "volume": "v2"}, ["d2"]), ({"volume": "v2"}, ["d1"]),
        ({"volume": "v9"}, ["d1", "d2"]), ({"device": "/dev/vdq", "volume": "v1"}, ["d1", "d2"]),
    ):  # fmt: skip
        ledger = Ledger(HOME)
        ledger.do(told_device())
        ledger.do(told_device(other))
        ledger.do(gone(2, **named))
        assert [id_ for id_, *_ in devices(ledger)] == left, named


@given(st.permutations([told_device(), told_device(version=2), gone(3, id="d1", device="/dev/vdb", volume="v1")] * 2))
def test_a_block_device_that_is_gone_stays_gone(told: list[Any]) -> None:
    """Whether or not the root had heard of it before."""
    ledger = Ledger(HOME)
    for each in told:
        ledger.do(each)
    assert devices(ledger) == []


def test_of_many_block_devices_that_are_gone_few_are_remembered() -> None:
    """The others come too late all the same: it is known since when what is unknown is old."""
    ledger = Ledger(HOME)
    ledger.do(update())
    told = [attrs.evolve(DEVICE, id=f"d{n:03}") for n in range(2 * DEVICES_GONE_MAX)]
    for number, device in enumerate(told):
        ledger.do(told_device(device, version=2 * number + 2))
        ledger.do(gone(2 * number + 3, id=device.id))
    assert len(ledger.all(MirroredDevice)) == DEVICES_GONE_MAX
    for number, device in enumerate(told):
        ledger.do(told_device(device, version=2 * number + 2))
    assert devices(ledger) == []


SERVER_THERE: Final = attrs.evolve(SERVER, generation=2, version=70)

# --- across moves ------------------------------------------------------------------------------------------


def _deliver(ledger: Ledger, event: Event, generation: int) -> int:
    if isinstance(event, News):
        ledger.do(event.request)
        return generation
    source, target = map(CellPath.parse, event)
    commit = root.CommitHome(server="s1", conversation="c", source=source, target=target, generation=generation)
    return ledger.do(commit).generation


@pytest.mark.proves("R72", "R73", "R74", "R77", "R79", "R82", "R92", "R96")
@given(deliveries())
def test_in_any_order_across_moves_the_mirror_ends_at_the_newest_and_never_goes_back(
    life: Life,
) -> None:
    """Doubled, late, from both cells, before and behind their commits: at rest it is what the home has."""
    story, events = life
    ledger = Ledger(attrs.evolve(HOME, conversation="c"))
    generation, seen = 1, dict[tuple[type[Record], tuple[str, ...]], int]()
    for event in events:
        generation = _deliver(ledger, event, generation)
        mapping = ledger.all(Mapping)[0]
        [shown] = ledger.do(root.ListServers()).servers
        assert shown.cell == mapping.cell, "listed once, from its home"
        for at, row in ledger.rows.items():
            if isinstance(row, Mirror):
                assert row.rank >= seen.get(at, 0), "it went back"
                seen[at] = row.rank
    home = story.home
    assert home.server is not None
    assert [row for row in ledger.all(Mirror) if row.cell == home.path] == [mirror_of(home.server, home.path)]
    assert not [row for row in ledger.all(Mirror) if row.cell != home.path and not row.is_gone]
    _same_parts(ledger, home)
    parts = (*ledger.all(MirroredDevice), *ledger.all(MirroredFault))
    assert [row for row in parts if row.cell != home.path] == [], "parts of what is gone"


def _same_parts(ledger: Ledger, home: Cell) -> None:
    devices_ = [row for row in ledger.all(MirroredDevice) if not row.is_gone]
    heard = {row.id for row in (*devices_, *ledger.all(MirroredFault)) if row.cell == home.path}
    assert heard == set(home.parts), "its faults and block devices"


@pytest.mark.proves("R79")
def test_what_a_later_record_has_is_not_forgotten_with_the_record_before_it() -> None:
    """A copy that is undone and made anew: news of the second overtakes the end of the first."""
    first, second = 4, 70
    ledger = Ledger(HOME)
    ledger.do(update(cell=US, generation=2, version=first))
    ledger.do(say.TellDevice(device=mirrored_device(DEVICE, SERVER_THERE, US)))
    ledger.do(destroy(cell=US, generation=2, version=first + 1))
    ledger.do(update(cell=US, generation=2, version=second))
    assert devices(ledger) == [("d1", "v1", "/dev/vdb")]


def test_the_end_of_a_record_that_was_never_heard_of_takes_what_was_heard_of_its_parts() -> None:
    """Seen with the link cut: only the last news of a record is told, and by then its server had moved on."""
    ledger = Ledger(attrs.evolve(HOME, conversation="c"))
    there = attrs.evolve(SERVER, generation=2)
    ledger.do(say.TellFault(fault=mirrored_fault(FAULT, there, US)))
    ledger.do(say.TellDevice(device=mirrored_device(DEVICE, there, US)))
    for source, target, generation in ((EU, US, 1), (US, EU, 2)):
        at = {"source": CellPath.parse(source), "target": CellPath.parse(target)}
        ledger.do(root.CommitHome(server="s1", conversation="c", generation=generation, **at))
    ledger.do(destroy(cell=US, generation=2, version=9))
    assert [kind for kind, _ in ledger.rows] == [Mapping]


@given(deliveries(), st.data())
def test_a_record_told_again_as_a_whole_mends_a_mirror_from_before_or_with_rows_lost_and_then_changes_nothing_more(
    life: Life, data: st.DataObject
) -> None:
    """Whatever the root was restored to, the home's record told once is all that it takes."""
    story, events = life
    ledger = Ledger(attrs.evolve(HOME, conversation="c"))
    generation, images = 1, [dict(ledger.rows)]
    for event in events:
        generation = _deliver(ledger, event, generation)
        images.append(dict(ledger.rows))
    before = data.draw(st.sampled_from(images))
    lost = data.draw(st.sets(st.sampled_from(sorted(before, key=str))))
    restored = Ledger(*ledger.all(Mapping), *(row for at, row in before.items() if at not in lost and at[0] in MIRROR))
    home = story.home
    assert home.server is not None
    told = [row for row in home.parts.values() if isinstance(row, BlockDevice)]
    faults = [row for row in home.parts.values() if isinstance(row, Fault)]
    whole = news_of_record(home.server, tuple(told), tuple(faults), cell=home.path)
    for item in whole:
        restored.do(item.request)
    assert [row for row in restored.all(Mirror) if row.cell == home.path] == [mirror_of(home.server, home.path)]
    _same_parts(restored, home)
    mended = dict(restored.rows)
    for item in whole:
        restored.do(item.request)
    assert restored.rows == mended


# --- listing -----------------------------------------------------------------------------------------------


def test_a_listing_shows_each_server_once_where_its_mapping_says() -> None:
    """The copy in the other cell and what has no mapping are left out; what was not heard of, or is gone, is shown."""
    rows = (mirror(), mirror(cell=US))
    assert Ledger(HOME, *rows).do(root.ListServers()).servers == (mirror(),)
    assert Ledger(*rows).do(root.ListServers()).servers == ()
    for unheard in (Ledger(HOME), Ledger(HOME, attrs.evolve(mirror(), is_gone=True))):
        [shown] = unheard.do(root.ListServers()).servers
        assert (shown.server, shown.cell, shown.vm_state, shown.power_state) == ("s1", EU, None, PowerState.NOSTATE)
