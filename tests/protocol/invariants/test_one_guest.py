"""A guest that runs twice, or without the current permit, breaks `one_guest`."""

import attrs
import pytest

from protocol.invariants import violations
from protocol.records import Permit
from protocol.truth import BootTruth
from tests.protocol.invariants.killers import (
    Killer,
    always,
    at_rest,
    broken,
    change,
    drop,
    guest,
    more_guests,
    prove,
)
from tests.protocol.invariants.worlds import EU_H2, US, US_H3, active, settled, stopped, verify_resize
from tests.protocol.invariants.worlds import guest as guest_of

#: Without volumes, so that only the guest itself is one too many.
SECOND = attrs.evolve(guest_of(US, "h3", runs=True, is_volume_backed=False, permit=1), volumes=(), boots=())
FALLING = (BootTruth(host="h1", permit=2, number=1), BootTruth(host="h1", permit=1, number=2))
TWICE = (BootTruth(host="h1", permit=1, number=1), BootTruth(host="h2", permit=1, number=2))

KILLERS = (
    always("it runs on two hosts", active, more_guests(SECOND)),
    always("it runs at its source and at its target", verify_resize, guest("h1", is_running=True)),
    always("it runs by an old permit", active, change(Permit, number=2)),
    always("its permit was returned", active, change(Permit, holder=None)),
    always("another host holds its permit", active, change(Permit, holder=EU_H2)),
    always("a host of that name in another cell holds it", active, change(Permit, holder="api!us/host:h1")),
    always("it runs and the ledger knows of no permit", active, drop(Permit)),
    always("its disk was started by an older permit after a newer", active, guest("h1", boots=FALLING)),
    always("one permit started it on two hosts", active, guest("h1", boots=TWICE)),
    always(
        "two disks tell of one permit on two hosts",
        verify_resize,
        guest("h1", boots=(BootTruth(host="h1", permit=1, number=1), BootTruth(host="h1", permit=2, number=2))),
    ),
    at_rest("nobody holds the permit of a stopped server", stopped, change(Permit, holder=None)),
    at_rest("another host holds the permit of a stopped server", stopped, change(Permit, holder=US_H3)),
)


@pytest.mark.parametrize("killer", KILLERS, ids=str)
def test_each_killer_breaks_one_guest(killer: Killer) -> None:
    """The invariant sees each way in which a guest can run where it may not."""
    prove(killer, "one_guest")


def test_permits_may_skip_numbers_and_start_a_guest_often() -> None:
    """A permit that was issued and never used leaves a gap; one that is kept starts the guest again and again."""
    boots = tuple(BootTruth(host="h1", permit=permit, number=n) for n, permit in enumerate((1, 1, 4, 4), start=1))
    truth = guest("h1", boots=boots, permit=4)(change(Permit, number=4)(settled()))
    assert broken(truth, is_at_rest=True) == set()


def test_a_guest_that_runs_twice_is_called_so() -> None:
    """One of the two never has the permit; that there are two must be said all the same."""
    texts = [violation.text for violation in violations(more_guests(SECOND)(active()), is_at_rest=False)]
    assert "runs on h1 and h3 at once" in texts
