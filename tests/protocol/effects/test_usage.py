"""What counters say is counted once, whatever comes twice, late, or after a start; the root never goes back."""

from __future__ import annotations

import attrs
from hypothesis import given
from hypothesis import strategies as st

from protocol.effects.usage import PERIOD_US
from protocol.messages.top import ListBandwidth, UpdateBandwidth
from protocol.messages.usage import Reading, ReportTraffic
from protocol.records import Bandwidth, BandwidthUse, Flavor, Server
from protocol.states import VmState
from tests.protocol.effects.ledger import MOMENT, Ledger

SERVER = Server(
    uuid="web", name="web", project="p", user="u", flavor=Flavor(name="f", vcpus=1, memory_mb=1, disk_gb=1), host="h1",
    vm_state=VmState.ACTIVE, created_at_us=0, updated_at_us=0,
)  # fmt: skip


def report(boot: int, count: int, *, host: str = "h1") -> ReportTraffic:
    return ReportTraffic(host=host, readings=(Reading(server="web", boot=boot, bytes_in=count, bytes_out=2 * count),))


@given(
    steps=st.lists(st.tuples(st.booleans(), st.integers(0, 9)), min_size=1, max_size=8),
    picks=st.lists(st.integers(0, 7), max_size=8),
)
def test_each_byte_counts_once_however_often_and_late_it_is_reported(
    steps: list[tuple[bool, int]], picks: list[int]
) -> None:
    """After the last report the sum is that of all starts; a report that comes again, or late, adds nothing."""
    boot, count, total, reports = 1, 0, 0, []
    for is_start, more in steps:
        if is_start:
            boot, count = boot + 1, 0
        count, total = count + more, total + more
        reports.append(report(boot, count))
    ledger = Ledger(SERVER)
    seen: list[ReportTraffic] = []
    for command in reports:
        seen.append(command)
        ledger.do(command)
        for pick in picks:
            ledger.do(seen[pick % len(seen)])
    assert sum(row.bytes_in for row in ledger.all(BandwidthUse)) == total
    assert sum(row.bytes_out for row in ledger.all(BandwidthUse)) == 2 * total


@given(order=st.permutations(range(1, 5)))
def test_the_root_keeps_the_newest_in_whatever_order_news_come(order: list[int]) -> None:
    """Old news never overwrites new."""
    ledger = Ledger()
    for version in order:
        row = Bandwidth(
            server="web", cell="api!eu", period="0", begin_us=0, bytes_in=version, bytes_out=0, version=version
        )
        ledger.do(UpdateBandwidth(bandwidth=row))
    assert [row.version for row in ledger.do(ListBandwidth(server="web")).rows] == [4]


def test_a_new_period_counts_from_where_the_last_one_ended() -> None:
    """The counter goes on over midnight; of older periods a cell keeps only the last, for the root has them all."""
    ledger = Ledger(SERVER)
    for day, count in enumerate((10, 25, 25, 60)):
        ledger.do(report(1, count), attrs.evolve(MOMENT, now_us=day * PERIOD_US + 5))
    kept = {row.begin_us // PERIOD_US: row.bytes_in for row in ledger.all(BandwidthUse)}
    assert kept == {1: 15, 3: 35}
    ledger.do(report(1, 70), attrs.evolve(MOMENT, now_us=0))
    assert max(row.bytes_in for row in ledger.all(BandwidthUse)) == 45


def test_only_the_host_that_has_the_server_is_believed() -> None:
    """Another may still have what it has left; one that was hidden, or is not here, counts no more."""
    for ledger in (Ledger(), Ledger(attrs.evolve(SERVER, is_hidden=True)), Ledger(attrs.evolve(SERVER, host="h2"))):
        ledger.do(report(1, 10))
        assert not ledger.all(BandwidthUse)


def test_a_guest_that_comes_from_another_host_without_a_start_counts_on() -> None:
    """Counters are a host's own: they begin anew where it arrives, though it has never stopped."""
    ledger = Ledger(SERVER)
    ledger.do(report(1, 10))
    ledger.rows[Server, SERVER.key] = attrs.evolve(SERVER, host="h2")
    ledger.do(report(1, 10))
    ledger.do(report(1, 4, host="h2"))
    assert [row.bytes_in for row in ledger.all(BandwidthUse)] == [14]
