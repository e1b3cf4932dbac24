"""A cell that is asked for builds hands each on to the root, which takes it as a user's order and no more."""

from __future__ import annotations

from typing import Final

import attrs
import pytest

from protocol.cell_path import Address, CellPath
from protocol.effects.building import build_key
from protocol.effects.instances import conversation_of
from protocol.errors import InvalidName, InvalidValue
from protocol.messages import building as say
from protocol.messages.handing import PassBuild, TakeBuild
from protocol.messages.orders import CreateServer
from protocol.requests import Done
from tests.protocol.effects.test_instances import EU, KEY, TINY, USER, do

ROOT: Final = CellPath.parse("api")
BUILD: Final = say.BuildInstances(
    servers=tuple(say.NewServer(server=name, name=name.upper()) for name in ("s1", "s2")),
    flavor=TINY, image="i", origin=USER,
)  # fmt: skip


def order(server: str) -> CreateServer:
    """Give the order of one of them, as its cell hands it on."""
    return CreateServer(
        server=server, name=server.upper(), flavor=TINY, image="i", volumes=(), host=None, origin=USER,
        within=CellPath.parse(EU),
    )  # fmt: skip


@pytest.mark.proves("R26", "R27")
def test_each_of_them_is_handed_on_to_be_built_in_that_cell_and_its_conversation_named() -> None:
    """All in one transaction; the older form is the same for one, whatever cell its order may name."""
    reply, written, told = do(BUILD)
    keys = [build_key(EU, str(KEY), name) for name in ("s1", "s2")]
    assert reply == say.Building(conversations=tuple(map(conversation_of, keys)))
    assert written == ((), ())
    assert [(each.target, each.server, each.request) for each in told] == [
        (Address(ROOT, "cell"), name, PassBuild(asked=str(KEY), order=order(name))) for name in ("s1", "s2")
    ]
    older = say.ScheduleRunInstance(order=attrs.evolve(order("s1"), within=ROOT))
    assert do(older)[2][0].request == told[0].request


@pytest.mark.parametrize(("cell", "is_admin"), [(EU, False), ("api", True)])
def test_the_root_takes_it_under_the_key_that_was_promised(cell: str, *, is_admin: bool) -> None:
    """From a cell below nobody comes as an administrator: no cell can make anybody one."""
    asked = attrs.evolve(order("s1"), within=CellPath.parse(cell))
    reply, written, (told,) = do(PassBuild(asked=str(KEY), order=asked), cell="api", key=None, sender=cell)
    assert (reply, written) == (Done(), ((), ()))
    assert told.key == build_key(cell, str(KEY), "s1")
    assert conversation_of(told.key) == do(BUILD, cell=cell)[0].conversations[0]
    assert told.target == Address(ROOT, "conductor")
    assert told.request == TakeBuild(order=attrs.evolve(asked, origin=attrs.evolve(USER, is_admin=is_admin)))


@pytest.mark.parametrize("asked", ["", "x", "c1:1:begin:execute"])
def test_a_build_under_what_is_no_plain_key_is_refused_by_the_root_too(asked: str) -> None:
    """Whatever a cell sends: it would not be taken once."""
    with pytest.raises((InvalidValue, InvalidName)):
        do(PassBuild(asked=asked, order=order("s1")), cell="api", key=None, sender=EU)


@pytest.mark.parametrize("cell", ["api", "api!us", "api!eu!eu-1"])
def test_a_build_comes_from_the_very_cell_that_it_is_for(cell: str) -> None:
    """From its cell's own mailbox; and what is for no cell comes from none."""
    passed = PassBuild(asked=str(KEY), order=order("s1"))
    itself = Address(CellPath.parse(EU), "cell")
    assert passed.may_come_from(itself)
    for source in (Address(CellPath.parse(cell), "cell"), Address(CellPath.parse(EU), "visitor")):
        assert not passed.may_come_from(source)
    assert not attrs.evolve(passed, order=attrs.evolve(passed.order, within=None)).may_come_from(itself)
