"""The invariants together: none is vacuous, none is broken by a whole world, none judges what is being moved."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import attrs
import pytest

from protocol.invariants import INVARIANTS, verdict, violations
from protocol.invariants.findings import nothing
from protocol.records import (
    Fault,
    Host,
    HostMapping,
    Image,
    Mirror,
    MirroredDevice,
    Notification,
    Record,
    Volume,
)
from protocol.states import Goal
from protocol.truth import Truth
from tests.protocol.invariants.killers import Killer, broken
from tests.protocol.invariants.worlds import OTHER, ROOT, WORLDS, S, conversation

NAMES = (
    "one_home", "one_guest", "no_loss", "no_leaks", "attachments",
    "records_agree", "one_answer", "gather_exact", "progress", "accounting", "apart",
)  # fmt: skip
EVERY_WORLD = pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.__name__)
World = Callable[[], Truth]


def killers(invariant: str) -> tuple[Killer, ...]:
    """Give the killers that the invariant's own test has."""
    found: tuple[Killer, ...] = import_module(f"tests.protocol.invariants.test_{invariant}").KILLERS
    return found


def test_there_are_so_many_and_each_says_what_it_promises() -> None:
    """The design names ten, and groups have one; each has a text of one sentence."""
    assert tuple(INVARIANTS) == NAMES
    for name, invariant in INVARIANTS.items():
        assert invariant.name == name
        assert invariant.text.endswith(".")
        assert ". " not in invariant.text


@pytest.mark.parametrize("name", NAMES)
def test_no_invariant_is_without_killers(name: str) -> None:
    """Whatever an invariant asks, always or at rest, some change makes it answer no."""
    invariant = INVARIANTS[name]
    has_killers = {is_at_rest: any(k.is_at_rest is is_at_rest for k in killers(name)) for is_at_rest in (False, True)}
    assert has_killers == {False: invariant.always is not nothing, True: invariant.at_rest is not nothing}
    assert any(not killer.also for killer in killers(name)), "each can be broken alone"


@EVERY_WORLD
def test_a_whole_world_breaks_nothing(world: World) -> None:
    """A server that runs, is stopped or waits in VERIFY_RESIZE, on an image or a volume, is as all want it."""
    assert violations(world(), is_at_rest=True) == ()
    assert set(verdict(world(), is_at_rest=True).values()) == {True}


def test_a_world_without_servers_breaks_nothing() -> None:
    """There is nothing to be wrong with."""
    empty = WORLDS[0]()
    cells = tuple(attrs.evolve(cell, rows=()) for cell in empty.cells)
    assert violations(Truth(root=ROOT, cells=cells, partners=(), image_files=(), guests=()), is_at_rest=True) == ()


@pytest.mark.parametrize("killer", [killer for name in NAMES for killer in killers(name)], ids=str)
def test_a_violation_names_its_invariant_and_says_what_is_wrong(killer: Killer) -> None:
    """A verdict is read by people: each violation has a subject and a text, and the verdict says no accordingly."""
    truth = killer.edit(killer.world())
    found = violations(truth, is_at_rest=killer.is_at_rest)
    assert found
    for violation in found:
        assert violation.subject
        assert violation.text
        assert not verdict(truth, is_at_rest=killer.is_at_rest)[violation.invariant]


#: What these find at rest is of the deployment, or is about the conversation itself: a parked one excuses nothing.
OF_ALL = {"no_leaks", "progress"}


@pytest.mark.parametrize(
    "killer",
    [killer for name in NAMES if name not in OF_ALL for killer in killers(name) if killer.is_at_rest],
    ids=str,
)
def test_a_server_that_is_being_moved_is_not_judged_as_if_it_rested(killer: Killer) -> None:
    """What would be wrong at rest is nobody's fault while a parked conversation still works on that server."""
    truth = killer.edit(killer.world())
    parked = tuple(
        attrs.evolve(
            conversation(f"parked-{server}", Goal.RESIZE, epoch=9),
            server=server,
            is_ended=False,
            is_closed=False,
            waits_for="a host that does not answer",
        )
        for server in (S, OTHER)
    )
    assert broken(attrs.evolve(truth, conversations=(*truth.conversations, *parked)), is_at_rest=True) == set()


# --- nothing that matters can change unnoticed --------------------------------------------------------------

#: What may come and go: history, and what belongs to no server here.
FREE: dict[type[Record], Callable[[Any], bool]] = {
    Notification: lambda _: True,
    Fault: lambda _: True,
    HostMapping: lambda _: True,
    Host: lambda host: host.name != "h1",
    # Of the hidden record: no listing shows it.
    Mirror: lambda mirror: mirror.task_state is not None,
    MirroredDevice: lambda device: device.attachment == "a2",
    Image: lambda image: image.server is None,
    Volume: lambda volume: volume.id == "v2",
}


def without(truth: Truth, gone: Record) -> Truth:
    cells = (attrs.evolve(cell, rows=tuple(row for row in cell.rows if row is not gone)) for cell in truth.cells)
    partners = tuple(row for row in truth.partners if row is not gone)
    return attrs.evolve(truth, cells=tuple(cells), partners=partners)


def matters(row: Record) -> bool:
    free = FREE.get(type(row))
    return free is None or not free(row)


@EVERY_WORLD
def test_no_row_can_vanish_unnoticed(world: World) -> None:
    """Each row that a server needs is asked for by some invariant."""
    truth = world()
    for row in filter(matters, truth.all(Record)):
        assert violations(without(truth, row), is_at_rest=True), row


@EVERY_WORLD
def test_no_row_of_a_server_can_appear_in_another_cell_unnoticed(world: World) -> None:
    """A copy of anything that a cell has of a server is a leak in a cell that is no part of its life."""
    truth = world()
    asia = attrs.evolve(truth.cells[0], path=ROOT.child("asia"), rows=())
    rows = [row for cell in truth.cells if cell.path != ROOT for row in cell.rows if not isinstance(row, Host)]
    for row in rows:
        strayed = attrs.evolve(truth, cells=(*truth.cells, attrs.evolve(asia, rows=(row,))))
        assert violations(strayed, is_at_rest=True), row
