"""What stores and hypervisors hold is counted as it is, and what is away is told and keeps its last figures."""

from __future__ import annotations

from typing import Any, Final

import pytest

from actors.kernel.metrics import (
    CONVERSATIONS_OPEN,
    GUESTS,
    INBOX_ROWS,
    INBOX_UNFINISHED,
    JOURNAL_LAG,
    JOURNAL_UNSWEPT,
    PERMITS,
    TRANSACTIONS,
)
from actors.kernel.ports import Command, Connection, Lease
from actors.ops.events import MemoryEvents
from actors.ops.meters import MemoryMeters
from actors.sampling import Sampled, Sampler, broker_findings
from actors.store.inbox import SqlInbox
from actors.store.journal import SqlJournals
from actors.store.metered import MeteredStore
from actors.store.records import save
from actors.store.sqlite import open_inline
from actors.store.tables import CONDUCTOR_TABLES, ROOT_TABLES
from protocol.draft import Changes
from protocol.envelope import Key
from protocol.errors import NotFound, StoreUnavailable
from protocol.journal import Entry, Kind
from protocol.records import Permit
from protocol.states import Goal
from sim.ports import VirtualClock
from tests import clouds

pytestmark = pytest.mark.anyio

JOURNALS: Final = SqlJournals()
INBOX: Final = SqlInbox()
S: Final = 1_000_000


def begin(
    connection: Connection, name: str, goal: Goal, *kinds: Kind, at_us: int, waits_for: str | None = None
) -> None:
    """Open a conversation, with these entries after its first."""
    lease = Lease(conversation=name, server=name, owner="me")
    journal = JOURNALS.begin(connection, lease, goal=goal, payload=b"", at_us=at_us)
    for seq, kind in enumerate(kinds, start=1):
        JOURNALS.append(connection, name, Entry(seq=seq, epoch=journal.epoch, kind=kind, at_us=at_us + seq))
    if waits_for is not None:
        JOURNALS.park(connection, name, waits_for)


class Away:
    """A store that is away, or not."""

    def __init__(self, store: Any) -> None:
        self.store, self.is_away = store, False

    async def transact(self, work: Any, /, *arguments: Any, **named: Any) -> Any:
        if self.is_away:
            raise StoreUnavailable(store="s", reason="gone")
        return await self.store.transact(work, *arguments, **named)


def sampler(*sampled: Sampled, meters: MemoryMeters, events: MemoryEvents | None = None) -> Sampler:
    return Sampler(sampled, events=events or MemoryEvents(meters=meters), clock=VirtualClock(), every_s=15.0)


async def test_conversations_are_counted_by_goal_and_state() -> None:
    """Open ones only; the lag is that of the one that has stood still longest; what is over and unswept is counted."""
    store, meters = open_inline(CONDUCTOR_TABLES), MemoryMeters()
    now_us = VirtualClock().now_us()
    over = (Kind.END, Kind.CLOSED, Kind.RELEASED)
    await store.transact(begin, "a", Goal.RESIZE, Kind.INTENT, at_us=now_us - 30 * S)
    await store.transact(begin, "b", Goal.RESIZE, Kind.INTENT, at_us=now_us - 40 * S, waits_for="a host")
    await store.transact(begin, "c", Goal.CONFIRM, Kind.END, at_us=now_us - 5 * S)
    await store.transact(begin, "d", Goal.DELETE, *over, at_us=now_us - 900 * S)
    await sampler(Sampled(name="c", role="conductor", store=store, has_journal=True), meters=meters).sample()
    states = {("resize", "under_way"): 1, ("resize", "parked"): 1, ("confirm", "closing"): 1, ("delete", "closing"): 0}
    assert {labels: meters.value(CONVERSATIONS_OPEN, *labels) for labels in states} == states
    assert meters.value(JOURNAL_LAG) == pytest.approx(40, abs=0.1)
    assert meters.value(JOURNAL_UNSWEPT) == 1
    store.close()


async def test_an_empty_journal_has_no_lag() -> None:
    """Where nothing is open nothing stands still."""
    store, meters = open_inline(CONDUCTOR_TABLES), MemoryMeters()
    await sampler(Sampled(name="c", role="conductor", store=store, has_journal=True), meters=meters).sample()
    assert (meters.value(JOURNAL_LAG), meters.value(JOURNAL_UNSWEPT)) == (0, 0)
    store.close()


async def test_permits_and_inboxes_are_counted_for_all_actors_of_a_role() -> None:
    """Held and returned; remembered, and not answered yet."""
    stores, meters = [open_inline(ROOT_TABLES) for _ in range(2)], MemoryMeters()
    permits = [Permit(server=f"s{number}", number=1, holder="h1" if number else None) for number in range(3)]
    await stores[0].transact(save, Changes(puts=tuple(permits)))
    for number, store in enumerate(stores):
        key = Key(scope="c", attempt=1, step="take", is_undo=False)
        command = Command(key=key, server="s", epoch=1, method="take_server", body=b"")
        await store.transact(INBOX.accept, command)
        if number:
            await store.transact(INBOX.settle, command, reply=b"", is_error=False)
    sampled = [
        Sampled(name=str(number), role="cell", store=store, is_root=not number) for number, store in enumerate(stores)
    ]
    await sampler(*sampled, meters=meters).sample()
    assert (meters.value(PERMITS, "held"), meters.value(PERMITS, "returned")) == (2, 1)
    assert (meters.value(INBOX_ROWS, "cell"), meters.value(INBOX_UNFINISHED, "cell")) == (2, 1)
    for store in stores:
        store.close()


async def test_guests_are_counted_by_what_they_do() -> None:
    """Of a real host of a simulated cloud: one runs."""
    meters = MemoryMeters()
    async with clouds.cloud(clouds.create()) as world:
        store = world.host_stores[clouds.SOURCE_HOST]
        driver = world.drivers[clouds.SOURCE_HOST]
        await sampler(Sampled(name="h", role="host", store=store, driver=driver), meters=meters).sample()
        assert (meters.value(GUESTS, "running"), meters.value(GUESTS, "shutdown")) == (1, 0)


async def test_what_is_away_is_told_once_and_missed_until_it_answers() -> None:
    """A process whose store does not answer is not ready; nothing of the others is left out for it."""
    meters = MemoryMeters()
    events = MemoryEvents(meters=meters)
    good, store = open_inline(ROOT_TABLES), Away(open_inline(ROOT_TABLES))
    made = sampler(
        Sampled(name="api/cell", role="cell", store=store), Sampled(name="api/image", role="image", store=good),
        meters=meters, events=events,
    )  # fmt: skip
    assert not made.findings()[0].is_good, "it was not asked yet"
    for store.is_away in (True, True, False):
        await made.sample()
        (found,) = made.findings()
        assert (found.is_good, "api/cell" in found.says) == (not store.is_away, store.is_away)
        assert meters.value(INBOX_ROWS, "image") == 0
    assert events.counts["sample_failed"] == 1


async def test_a_transaction_is_measured_by_how_it_ended() -> None:
    """What it gives and what it raises is what the store gives and raises."""
    meters, store = MemoryMeters(), Away(open_inline(ROOT_TABLES))
    measured = MeteredStore(store, "sqlite", meters)

    def work(_connection: Connection, value: int) -> int:
        if value < 0:
            raise NotFound(kind="value", name=str(value))
        return value

    assert await measured.transact(work, 7) == 7
    with pytest.raises(NotFound):
        await measured.transact(work, -1)
    store.is_away = True
    with pytest.raises(StoreUnavailable):
        await measured.transact(work, 7)
    for outcome in ("committed", "undone", "unavailable"):
        assert meters.value(TRANSACTIONS, "sqlite", outcome) == 1


def test_a_broker_that_is_away_is_named_with_its_cell() -> None:
    """And none when all are there."""
    outages = {"api!eu": "connection refused"}
    look = broker_findings(lambda: outages)
    (away,) = look()
    assert (away.is_good, away.says) == (False, "of cell api!eu: connection refused")
    outages.clear()
    assert look()[0].is_good
