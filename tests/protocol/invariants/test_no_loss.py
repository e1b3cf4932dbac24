"""A disk or volume that is nowhere, or older than what was seen on it, breaks `no_loss`."""

import attrs
import pytest

from protocol.records import BlockDevice, Image, Volume
from protocol.truth import Truth, VolumeTruth, Witnessed
from tests.protocol.invariants.killers import (
    Killer,
    add,
    always,
    at_rest,
    broken,
    change,
    drop,
    every,
    evolve,
    guest,
    no_guest,
    prove,
)
from tests.protocol.invariants.worlds import S, active, stopped, verify_resize, volume_backed

SNAPSHOT = Image(id="snap", name="web-resize-temp", status="active", server=S)
UNCHECKED = attrs.evolve(SNAPSHOT, status="queued")
FILED = evolve(image_files=("img", "snap"))
NO_DISK = guest("h1", has_disk=False)


def volumes(counter: int, writer: str | None = S) -> tuple[VolumeTruth, ...]:
    return (VolumeTruth(volume="v1", writer=writer, counter=counter),)


KILLERS = (
    always("its disk is gone", active, NO_DISK),
    always("only an image that nobody has checked is left", active, NO_DISK, add(UNCHECKED), FILED),
    always("only the row of a checked image is left", active, NO_DISK, add(SNAPSHOT)),
    always("only another server's disk is left", active, guest("h1", server="s2"), also=("attachments", "one_guest")),
    always("its root volume has no bytes", volume_backed, evolve(volumes=())),
    always("its volume is gone", active, drop(Volume, {"id": "v1"})),
    always("no volume is its root", volume_backed, change(BlockDevice, boot_index=1)),
    at_rest("its disk is older than what was seen", active, guest("h1", counter=29)),
    at_rest("its disk is the image again", active, guest("h1", counter=0)),
    at_rest("its root volume is older than what was seen", volume_backed, evolve(volumes=volumes(29))),
    at_rest("its volume is older than what was seen", active, evolve(volumes=volumes(29))),
    at_rest("its volume is blank", active, evolve(volumes=volumes(0, None))),
    at_rest("its volume's bytes are gone", active, evolve(volumes=())),
    at_rest("the disk was left at the source", verify_resize, guest("h3", has_disk=False), also=("no_leaks",)),
    at_rest(
        "the disk that a revert needs is gone",
        verify_resize,
        no_guest("h1"),
        also=("no_leaks",),
    ),
)


@pytest.mark.parametrize("killer", KILLERS, ids=str)
def test_each_killer_breaks_no_loss(killer: Killer) -> None:
    """The invariant sees each way in which bytes can be lost."""
    prove(killer, "no_loss")


def on_its_way() -> Truth:
    """A move after the snapshot was checked, if the source's disk broke just then."""
    return every(NO_DISK, add(SNAPSHOT), FILED)(active())


def test_a_checked_image_is_a_copy() -> None:
    """What a move carries along counts as long as its row says that it was verified and its file is there."""
    assert "no_loss" not in broken(on_its_way(), is_at_rest=False)


def test_a_volume_that_another_server_wrote_since_is_not_lost() -> None:
    """Counters of different servers cannot be compared: the newer owner's write is the newest."""
    given_away = evolve(volumes=volumes(3, "s2"))(stopped())
    assert broken(given_away, is_at_rest=True) == set()


def test_what_was_seen_of_a_server_that_is_gone_binds_nobody() -> None:
    """A server without a mapping has no disk to be judged by."""
    seen = evolve(witnessed=(Witnessed(server="s9", volume=None, counter=99),))(active())
    assert broken(seen, is_at_rest=True) == set()
