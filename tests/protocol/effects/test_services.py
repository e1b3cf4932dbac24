"""What cells keep of services: heard of, disabled, forgotten, and never another story than their hosts tell."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import ComputeHostNotFound, InvalidValue, NotFound
from protocol.messages.capacity import AddHost, FindRoom
from protocol.messages.nodes import FindNode, ListNodes, NodeStats, ShowNodeStats
from protocol.messages.services import DeleteService, FindService, ListServices, ReportService, UpdateService
from protocol.records import Allocation, Host, Service
from tests.protocol.effects.ledger import MOMENT, Ledger

NAMES = st.sampled_from(["h1", "h2"])
ADD = st.builds(
    AddHost, name=NAMES, vcpus=st.just(4), memory_mb=st.just(8), disk_gb=st.just(9), availability_zone=st.just("")
)
UPDATE = st.builds(UpdateService, host=NAMES, is_enabled=st.booleans())
ALLOCATION = Allocation(consumer="s", host="h1", server="s", vcpus=1, memory_mb=2, disk_gb=3)


@given(acts=st.lists(st.one_of(ADD, UPDATE, st.builds(ReportService, host=NAMES), NAMES), max_size=8))
def test_a_host_is_enabled_exactly_as_its_service_is(acts: list[AddHost | UpdateService | ReportService | str]) -> None:
    """Whatever is told, in any order; and nobody else is offered room."""
    ledger = Ledger()
    for act in acts:
        try:
            command = act if not isinstance(act, str) else DeleteService(id=ledger.do(FindService(host=act)).id)
            ledger.do(command)
        except ComputeHostNotFound:
            continue
    services = {row.host: row.is_enabled for row in ledger.all(Service)}
    assert services == {row.name: row.is_enabled for row in ledger.all(Host)}
    room = ledger.do(FindRoom(vcpus=1, memory_mb=1, disk_gb=1))
    assert {host.host for host in room.hosts} == {host for host, is_enabled in services.items() if is_enabled}


def test_a_report_is_counted_and_dated_and_changes_nothing_else() -> None:
    """By the cell's clock; an unknown host is told so."""
    ledger = Ledger()
    ledger.do(AddHost(name="h1", vcpus=1, memory_mb=1, disk_gb=1, availability_zone=""))
    ledger.do(UpdateService(host="h1", is_enabled=False, reason="why"))
    ledger.do(ReportService(host="h1", version=7), attrs.evolve(MOMENT, now_us=99))
    found = ledger.do(FindService(host="h1"))
    assert (found.report_count, found.last_seen_us, found.created_at_us, found.version) == (2, 99, 1, 7)
    assert (found.is_enabled, found.disabled_reason) == (False, "why")
    [line] = ledger.do(ListServices(version=7, binary="compute"), attrs.evolve(MOMENT, now_us=100)).services
    assert line.heard_ago_us == 1
    assert ledger.do(ListServices(), attrs.evolve(MOMENT, now_us=1)).services[0].heard_ago_us == 0
    for command in (ReportService(host="h2"), FindService(host="h1", binary="network")):
        with pytest.raises(ComputeHostNotFound):
            ledger.do(command)
    with pytest.raises(NotFound):
        ledger.do(DeleteService(id="none"))


@pytest.mark.parametrize(("is_enabled", "reason"), [(True, "why"), (False, "x" * 256)])
def test_a_reason_is_short_and_of_what_is_disabled(reason: str, *, is_enabled: bool) -> None:
    """Refused at birth."""
    with pytest.raises(InvalidValue):
        UpdateService(host="h1", is_enabled=is_enabled, reason=reason)


def test_another_service_of_a_host_is_not_its_hosts_switch() -> None:
    """Only the compute service is: others come and go beside it."""
    ledger = Ledger(
        Host(name="h1", vcpus=4, memory_mb=8, disk_gb=9, availability_zone=""), ALLOCATION,
        Service(id="other", host="h1", binary="network", created_at_us=0, last_seen_us=0),
    )  # fmt: skip
    ledger.do(UpdateService(host="h1", binary="network", is_enabled=False))
    assert ledger.all(Host)[0].is_enabled
    ledger.do(DeleteService(id="other"))
    assert len(ledger.all(Host)) == 1
    assert not ledger.all(Service)


def test_statistics_are_of_enabled_nodes_and_say_what_is_allocated() -> None:
    """A sum over nothing is nothing."""
    one = Host(name="h1", vcpus=4, memory_mb=8, disk_gb=9, availability_zone="")
    ledger = Ledger(one, attrs.evolve(one, name="h2", is_enabled=False), ALLOCATION)
    expected = NodeStats(nodes=1, vcpus=4, memory_mb=8, disk_gb=9, vcpus_used=1, memory_mb_used=2, disk_gb_used=3)
    assert ledger.do(ShowNodeStats()) == expected
    assert NodeStats().plus(expected) == expected
    assert [node.host for node in ledger.do(ListNodes()).nodes] == ["h1", "h2"]
    assert ledger.do(FindNode(node="h2")).is_enabled is False
