"""Apart: servers of a group are on different hosts, and the root keeps for each the hosts that it may need."""

from protocol.invariants.findings import Findings, checker
from protocol.invariants.standing import busy, settled
from protocol.records import GroupPlace, Mapping, ServerGroup
from protocol.truth import Truth


@checker("apart")
def check(truth: Truth) -> Findings:
    """Ask that no host has guests of two servers of a group, whether they run or not."""
    groups = {mapping.server: mapping.server_group for mapping in truth.of_root(Mapping) if mapping.server_group}
    first: dict[tuple[str, str], str] = {}
    for guest in truth.guests:
        if guest.is_defined and guest.server in groups:
            other = first.setdefault((groups[guest.server], guest.host), guest.server)
            if other != guest.server:
                yield guest.server, f"it is on {guest.host} with {other}, which is in its group"


@checker("apart")
def check_at_rest(truth: Truth) -> Findings:
    """Ask that each member has the places that it is at, or may go back to, and nobody else has any."""
    working = busy(truth)
    due = {
        (standing.server, place[1])
        for standing in settled(truth)
        if standing.home.mapping.server_group
        for place in (standing.home.place, standing.source_place)
        if place is not None
    }
    kept = {(row.server, row.host) for row in truth.of_root(GroupPlace) if row.server not in working}
    for server, host in sorted(kept - due):
        yield server, f"host {host} is kept for it, and it is not there"
    for server, host in sorted(due - kept):
        yield server, f"host {host} is not kept for it"
    known = {group.id for group in truth.of_root(ServerGroup)}
    for standing in settled(truth):
        group = standing.home.mapping.server_group
        if group and group not in known:
            yield standing.server, f"there is no group {group}"
