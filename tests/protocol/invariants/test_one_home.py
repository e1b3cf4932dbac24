"""A server that is shown twice, nowhere, or otherwise than its home has it, breaks `one_home`."""

import attrs
import pytest

from protocol.records import Fault, Mapping, Mirror, MirroredDevice, Server
from protocol.states import VmState
from tests.protocol.invariants.killers import Killer, add, always, at_rest, change, drop, prove
from tests.protocol.invariants.worlds import EU, OTHER, ROOT, US, S, active, record, verify_resize

VISIBLE_COPY = attrs.evolve(record(US, "h3", runs=True, is_volume_backed=False), host=None)
FAULT = Fault(id="f", server=S, code="c", message="m", created_at_us=1)

KILLERS = (
    always("the mapping names a cell without a record", active, change(Mapping, cell=str(US))),
    always("the mapping names a cell that is none", active, change(Mapping, cell="api!asia")),
    always("the home's record is gone", active, drop(Server)),
    always("the cell lists a server twice", active, add(record(EU, "h1", runs=True, is_volume_backed=False), at=EU)),
    at_rest("a second cell shows it too", active, add(VISIBLE_COPY, at=US)),
    at_rest(
        "both of a move's records are visible",
        verify_resize,
        change(Server, at=EU, is_hidden=False),
        also=("no_leaks", "progress"),
    ),
    at_rest("its home hides it", active, change(Server, is_hidden=True), also=("no_leaks",)),
    at_rest("a record without a mapping", active, add(attrs.evolve(VISIBLE_COPY, uuid=OTHER), at=US)),
    at_rest("a mapping that never got a home", active, add(Mapping(server=OTHER, cell=None, generation=0), at=ROOT)),
    at_rest("the root was told an older version", active, change(Mirror, version=6)),
    at_rest("the root was told another state", active, change(Mirror, vm_state=VmState.STOPPED)),
    at_rest("the root was told that it is gone", active, change(Mirror, is_gone=True)),
    at_rest("the root was told nothing", active, drop(Mirror)),
    at_rest("the root was not told of a block device", active, drop(MirroredDevice)),
    at_rest("the root was told of another volume", active, change(MirroredDevice, volume="v9")),
    at_rest("the root was not told of a fault", active, add(FAULT, at=EU)),
    at_rest("its record is of an older generation", active, change(Mapping, generation=2)),
)


@pytest.mark.parametrize("killer", KILLERS, ids=str)
def test_each_killer_breaks_one_home(killer: Killer) -> None:
    """The invariant sees each way in which a server can have no home, or two."""
    prove(killer, "one_home")
