"""Allocations that do not add up, or exceed a host, break `accounting`."""

import attrs
import pytest

from protocol.records import Allocation, Host, Mapping, Server
from tests.protocol.invariants.killers import Killer, add, always, at_rest, change, drop, prove
from tests.protocol.invariants.worlds import (
    BIG,
    EU,
    MOVE,
    SMALL,
    US,
    active,
    allocation,
    verify_resize,
    verify_resize_volume_backed,
    volume_backed,
)

KILLERS = (
    always("a host gives more processors than it has", active, change(Host, {"name": "h1"}, vcpus=0)),
    always("a host gives more memory than it has", active, change(Host, {"name": "h1"}, memory_mb=511)),
    always("a host gives more disk than it has", active, change(Host, {"name": "h1"}, disk_gb=4)),
    always("a held place is counted too", verify_resize, change(Host, {"name": "h1"}, vcpus=0)),
    always("a host that is none gives something", active, drop(Host, {"name": "h1"})),
    always("a host of another cell gives something", active, drop(Allocation),
            add(allocation("s1", "h1", SMALL), at=US)),
    at_rest("a server has more than its flavor", active, change(Allocation, vcpus=2)),
    at_rest("a server has less than its flavor", active, change(Allocation, memory_mb=256)),
    at_rest("a volume-backed server takes disk", volume_backed, change(Allocation, disk_gb=5)),
    at_rest("a place is held by the new flavor", verify_resize, change(Allocation, at=EU, memory_mb=1024)),
    at_rest("a volume-backed server's held place takes disk", verify_resize_volume_backed,
            change(Allocation, {"consumer": MOVE}, disk_gb=5)),
    at_rest("a server has nothing", active, drop(Allocation), also=("no_leaks",)),
    always("a server counts for another project", active, change(Mapping, project="q")),
    always("a server counts for nobody", active, change(Mapping, project="")),
    always("a server counts for less than its processors", active, change(Mapping, vcpus=0)),
    always("a server counts for less than its memory", active, change(Mapping, memory_mb=511)),
    at_rest("a server counts for more than its processors", active, change(Mapping, vcpus=2)),
    at_rest("a server counts for more than its memory", active, change(Mapping, memory_mb=1024)),
    at_rest("a server that may go back to more counts for what it has", verify_resize,
            change(Server, old_flavor=attrs.evolve(BIG, memory_mb=4096), at=US), also=("records_agree",)),
    at_rest("a server has its flavor twice", active, add(allocation(MOVE, "h1", SMALL), at=EU), also=("no_leaks",)),
)  # fmt: skip


@pytest.mark.parametrize("killer", KILLERS, ids=str)
def test_each_killer_breaks_accounting(killer: Killer) -> None:
    """The invariant sees what is given twice, too much, too little, or by nobody."""
    prove(killer, "accounting")
