"""A volume that is connected twice, or a port that is active twice or elsewhere, breaks `attachments`."""

import pytest

from protocol.records import Attachment, BlockDevice, MirroredDevice, PortBinding
from tests.protocol.invariants.killers import Killer, add, always, at_rest, broken, change, drop, guest, prove
from tests.protocol.invariants.worlds import (
    EU_H1,
    EU_H2,
    OTHER,
    US_H3,
    S,
    active,
    stopped,
    verify_resize,
    volume_backed,
)

KILLERS = (
    always("a volume is connected at source and target", verify_resize, change(Attachment, {"id": "a2"}, host=EU_H1)),
    always("two servers have a volume", active, add(Attachment(id="a9", volume="v1", server=OTHER, host=EU_H2))),
    always("a port is active at source and target", verify_resize, change(PortBinding, is_active=True)),
    always("a guest uses a volume by an empty attachment", active, change(Attachment, host=None)),
    always("a guest uses a volume that was connected elsewhere", active, change(Attachment, host=EU_H2)),
    always("a guest uses a volume of another server", active, change(Attachment, server=OTHER)),
    always("a guest uses its root volume without an attachment", volume_backed, drop(Attachment)),
    always("a guest uses a volume that nobody gave it", active, guest("h1", volumes=("v1", "v2"))),
    at_rest("a stopped server's volume is not connected", stopped, change(Attachment, host=None)),
    at_rest("a stopped server's volume is connected elsewhere", stopped, change(Attachment, host=US_H3)),
    at_rest("its record names another attachment", stopped, change(BlockDevice, attachment="a8"),
            change(MirroredDevice, attachment="a8"), also=("no_leaks",)),
    at_rest("its port is active nowhere", active, change(PortBinding, is_active=False)),
    at_rest("its port is active at the source", verify_resize, change(PortBinding, {"host": "h3"}, is_active=False),
            change(PortBinding, {"host": "h1"}, is_active=True)),
    at_rest("its port has no binding", active, drop(PortBinding), also=("no_leaks",)),
)  # fmt: skip


@pytest.mark.parametrize("killer", KILLERS, ids=str)
def test_each_killer_breaks_attachments(killer: Killer) -> None:
    """The invariant sees each way in which a volume or a port can belong to two, or to nobody."""
    prove(killer, "attachments")


def test_many_empty_attachments_are_harmless() -> None:
    """A move reserves before it lets go: what is not connected can be written by nobody."""
    reserved = add(Attachment(id="a9", volume="v1", server=S), Attachment(id="a8", volume="v1", server=OTHER))
    assert broken(reserved(active()), is_at_rest=False) == set()
