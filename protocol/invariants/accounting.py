"""Accounting: hosts give what their servers need and never more than they have; quotas count each server once."""

from collections import Counter

from protocol.effects.capacity import RESOURCES
from protocol.invariants.findings import Findings, checker
from protocol.invariants.standing import Home, Place, busy, homes, located, settled
from protocol.records import Allocation, Flavor, Host
from protocol.truth import Truth


@checker("accounting")
def check(truth: Truth) -> Findings:
    """Ask that no host gives more than it has."""
    hosts = {(cell, host.name): host for cell, host in located(truth, Host)}
    for place, taken in _taken(truth, without=frozenset()).items():
        host = hosts.get(place)
        if host is None:
            yield place[1], f"has allocations in {place[0]}, and is no host of it"
            continue
        for name in RESOURCES:
            if taken[name] > getattr(host, name):
                yield host.name, f"{taken[name]} {name} are allocated, and it has {getattr(host, name)}"
    yield from _counted(truth)


@checker("accounting")
def check_at_rest(truth: Truth) -> Findings:
    """Ask that allocations add up to the flavors of the servers that are there, or may come back."""
    taken = _taken(truth, without=busy(truth))
    due: dict[Place, Counter[str]] = {}
    for standing in settled(truth):
        _add(due, standing.home.place, _need(standing.home, standing.record.flavor))
        if standing.source_place is not None:
            _add(due, standing.source_place, _need(standing.home, standing.record.old_flavor))
    for place in sorted({*taken, *due}):
        allocated, needed = taken.get(place, Counter()), due.get(place, Counter())
        if allocated != needed:
            yield place[1], f"{dict(allocated)} are allocated, and its servers need {dict(needed)}"
    for standing in settled(truth):
        due_counts = _counts(standing.home, is_waiting=standing.move is not None)
        if _of_quota(standing.home) != due_counts:
            yield standing.server, f"{_of_quota(standing.home)} count in its project's quota, and it has {due_counts}"


def _counted(truth: Truth) -> Findings:
    """Ask that each server counts for its project, and for no less than it has, also in the midst of a move."""
    for home in homes(truth):
        if home.mapping.project != home.record.project:
            yield home.server, f"it counts for {home.mapping.project or 'no project'}, and is {home.record.project}'s"
        for counted, due in zip(_of_quota(home), _counts(home, is_waiting=False), strict=True):
            if counted < due:
                yield home.server, f"{_of_quota(home)} count in its project's quota, and it has {due} of one"


def _of_quota(home: Home) -> tuple[int, int]:
    return home.mapping.vcpus, home.mapping.memory_mb


def _counts(home: Home, *, is_waiting: bool) -> tuple[int, int]:
    flavors = [home.record.flavor]
    if is_waiting and home.record.old_flavor is not None:
        flavors.append(home.record.old_flavor)
    return max(flavor.vcpus for flavor in flavors), max(flavor.memory_mb for flavor in flavors)


def _taken(truth: Truth, *, without: frozenset[str]) -> dict[Place, Counter[str]]:
    taken: dict[Place, Counter[str]] = {}
    for cell, row in located(truth, Allocation):
        if row.server not in without:
            _add(taken, (cell, row.host), Counter({name: getattr(row, name) for name in RESOURCES}))
    return taken


def _add(sums: dict[Place, Counter[str]], place: Place, amounts: Counter[str]) -> None:
    sums.setdefault(place, Counter()).update(amounts)


def _need(home: Home, flavor: Flavor | None) -> Counter[str]:
    # Said once more here, on purpose: if the rule that effects allocate by judged itself, it could not be wrong.
    if flavor is None:
        return Counter()
    amounts = {"vcpus": flavor.vcpus, "memory_mb": flavor.memory_mb}
    amounts["disk_gb"] = 0 if home.is_volume_backed else flavor.disk_gb
    amounts["bandwidth_kbps"] = home.record.bandwidth_kbps
    return Counter(amounts)
