"""Servers of a group that share a host, and hosts that are kept for nobody or not kept, break `apart`."""

import attrs
import pytest

from protocol.invariants import violations
from protocol.records import GroupPlace, Mapping, ServerGroup
from tests.protocol.invariants.killers import Killer, add, always, at_rest, broken, change, drop, more_guests, prove
from tests.protocol.invariants.worlds import EU, OTHER, ROOT, S, active, settled, verify_resize
from tests.protocol.invariants.worlds import guest as guest_of

MEMBER = Mapping(server=OTHER, cell=None, generation=0, conversation="c2", server_group="g")
#: Of another server, made but not started.
BESIDE = attrs.evolve(
    guest_of(EU, "h1", runs=False, is_volume_backed=True, permit=1), server=OTHER, volumes=(), has_disk=False, boots=()
)

KILLERS = (
    always("a guest of its group is on its host", active, add(MEMBER, at=ROOT), more_guests(BESIDE)),
    always("a guest of its group is on the host that it has gone to", verify_resize, add(MEMBER, at=ROOT),
           more_guests(attrs.evolve(BESIDE, host="h3"))),
    at_rest("its host is not kept for it", active, drop(GroupPlace)),
    at_rest("the host that it may go back to is not kept", verify_resize, drop(GroupPlace, {"host": "h1"})),
    at_rest("a host is kept for it that it has left", active,
            add(GroupPlace(server=S, host="h3", server_group="g", conversation="gone"), at=ROOT)),
    at_rest("a host is kept for a server that is gone", active,
            add(GroupPlace(server=OTHER, host="h3", server_group="g", conversation="gone"), at=ROOT)),
    at_rest("its group is gone", active, drop(ServerGroup)),
)  # fmt: skip


@pytest.mark.parametrize("killer", KILLERS, ids=str)
def test_each_killer_breaks_apart(killer: Killer) -> None:
    """The invariant sees two of a group at one host, and whatever is kept wrongly."""
    prove(killer, "apart")


def test_who_is_in_no_group_or_another_one_may_be_anywhere() -> None:
    """Only members of one group are kept apart, and nothing is kept for who is in none."""
    for group in ("", "other"):
        truth = add(attrs.evolve(MEMBER, server_group=group), at=ROOT)(more_guests(BESIDE)(settled()))
        assert "apart" not in broken(truth, is_at_rest=False)
    alone = drop(GroupPlace)(drop(ServerGroup)(change(Mapping, server_group="")(settled())))
    assert violations(alone, is_at_rest=True) == ()
