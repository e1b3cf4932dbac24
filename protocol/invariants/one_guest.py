"""One guest: a server's guest runs at most once, and only where the current permit is."""

from protocol.invariants.findings import Findings, checker
from protocol.invariants.standing import fenced, holder, settled
from protocol.records import Permit
from protocol.truth import GuestTruth, Truth


@checker("one_guest")
def check(truth: Truth) -> Findings:
    """Ask hypervisors who runs, the ledger who may, and the disks who did."""
    permits = {permit.server: permit for permit in truth.of_root(Permit)}
    off = fenced(truth)
    hosts: dict[str, list[str]] = {}
    for guest in truth.guests:
        if not guest.is_running:
            continue
        hosts.setdefault(guest.server, []).append(guest.host)
        if guest.host in off:
            yield guest.server, f"runs on {guest.host}, which is fenced"
        permit = permits.get(guest.server)
        if permit is None or (permit.holder, permit.number) != (holder(guest.cell, guest.host), guest.permit):
            yield guest.server, f"runs on {guest.host} by permit {guest.permit}, and the ledger has {permit}"
    for server, running in hosts.items():
        if len(running) > 1:
            yield server, f"runs on {' and '.join(running)} at once"
    yield from _booted(truth.guests)


def _booted(guests: tuple[GuestTruth, ...]) -> Findings:
    """Read the boots on the disks: they tell of guests that ran when nobody was looking."""
    hosts: dict[tuple[str, int], str] = {}
    for guest in guests:
        numbers = [boot.permit for boot in guest.boots]
        if numbers != sorted(numbers):
            yield guest.server, f"its disk on {guest.host} was started by permits {numbers}, in this order"
        for boot in guest.boots:
            host = hosts.setdefault((guest.server, boot.permit), boot.host)
            if host != boot.host:
                yield guest.server, f"was started by permit {boot.permit} on {host} and on {boot.host}"


@checker("one_guest")
def check_at_rest(truth: Truth) -> Findings:
    """Ask that the home's host, and nobody else, holds the permit: running or stopped, the server can go on there."""
    permits = {permit.server: permit for permit in truth.of_root(Permit)}
    for standing in settled(truth):
        permit = permits.get(standing.server)
        if permit is None or permit.holder != holder(*standing.home.place):
            yield standing.server, f"is on {holder(*standing.home.place)}, and the ledger has {permit}"
