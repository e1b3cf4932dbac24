"""Every method is declared once, documented, and handled by the actors of its role and by no others."""

from __future__ import annotations

from typing import Any, Final

import pytest

from actors.assembly import Ports
from actors.cell.actor import cell_actor
from actors.cell.router import Router
from actors.compute.actor import host_actor
from actors.compute.drivers.memory import MemoryDriver
from actors.conductor.actor import Conductor
from actors.image.actor import image_actor
from actors.kernel.actor import Actor
from actors.network.actor import network_actor
from actors.ops.events import MemoryEvents
from actors.partners.memory import MemoryImages, MemoryVolumes
from actors.store.journal import SqlJournals
from actors.store.sqlite import open_inline
from actors.store.tables import CELL_TABLES
from actors.volume.actor import volume_actor
from actors.wire.memory import MemoryWire
from protocol.bodies import encode_body
from protocol.cell_path import Address, CellPath
from protocol.effects.registry import EFFECTS
from protocol.effects.table import OF_ROOT
from protocol.envelope import Direction
from protocol.messages.capacity import AddHost
from protocol.methods import METHODS, direction_of
from protocol.requests import Close, Form, Request, Role, Way
from sim.ports import SeededRandom, SerialIds, VirtualClock

ROOT: Final = CellPath.parse("api")
EU: Final = CellPath.parse("api!eu")


def handled() -> dict[str, frozenset[str]]:
    """Collect, by each kind of actor, the methods that it handles."""
    clock, store = VirtualClock(), open_inline(CELL_TABLES)
    images, volumes = MemoryImages(), MemoryVolumes()
    ports = Ports(wire=MemoryWire(), clock=clock, ids=SerialIds(), random=SeededRandom(0), events=MemoryEvents())
    common: dict[str, Any] = {"store": store, "inbox": ports.inbox, "clock": clock}
    announcement = AddHost(name="h1", vcpus=1, memory_mb=1, disk_gb=1, availability_zone="az")
    conductor = Conductor(
        post=ports.post(ROOT, "conductor"), journals=SqlJournals(), random=ports.random, owner="o", **common
    )
    actors: dict[str, Actor] = {
        "root": cell_actor(post=ports.post(ROOT, "cell"), random=ports.random, **common),
        "cell": cell_actor(post=ports.post(EU, "cell"), random=ports.random, **common),
        "host": host_actor(
            post=ports.post(EU, "host:h1"), name="h1", driver=MemoryDriver("h1", images, clock, volumes),
            images=images, volumes=volumes, announcement=(Address(EU, "cell"), announcement), **common,
        ),
        "conductor": conductor._actor,  # noqa: SLF001 - an actor tells nobody what it handles
        "image": image_actor(post=ports.post(ROOT, "image"), files=images, **common),
        "volume": volume_actor(post=ports.post(ROOT, "volume"), files=volumes, **common),
        "network": network_actor(post=ports.post(ROOT, "network"), **common),
    }  # fmt: skip
    store.close()
    found = {name: frozenset(actor._handlers) - {"poison"} for name, actor in actors.items()}  # noqa: SLF001 - likewise
    return found | {"link": Router.ANSWERS}


HANDLED: Final = handled()
DECLARED: Final[tuple[type[Request[Any]], ...]] = tuple(METHODS.values())
by_request = pytest.mark.parametrize("request_type", DECLARED, ids=lambda request: request.__name__)


@by_request
def test_a_request_says_what_it_is(request_type: type[Request[Any]]) -> None:
    """A name of its own, a sentence, and a reply type that can be read."""
    assert METHODS[request_type.METHOD.name] is request_type
    assert (request_type.__doc__ or "").rstrip().endswith(".")
    assert isinstance(request_type.reply_type(), type)


@by_request
def test_a_request_is_handled_by_the_actors_of_its_role_and_no_others(request_type: type[Request[Any]]) -> None:
    """So that none is declared in vain, and none is answered by two."""
    name, role = request_type.METHOD.name, request_type.METHOD.at
    by = {actor for actor, methods in HANDLED.items() if name in methods}
    if role is Role.ANY:
        # What every actor does is the kernel's.
        assert by == set()
    elif role is Role.CELL:
        assert by in ({"root", "cell"}, {"root"})
        assert (by == {"root"}) is (request_type.__module__ in OF_ROOT)
    else:
        assert by == {role.value}


def test_no_actor_handles_what_is_not_declared() -> None:
    """Every handler's method is in the table, and every effect's too."""
    assert frozenset().union(*HANDLED.values()) <= frozenset(METHODS)
    assert frozenset(EFFECTS) <= frozenset(DECLARED)


def test_only_what_is_for_every_cell_is_broadcast() -> None:
    """A broadcast goes to the actor of each cell."""
    broadcasts = [request for request in DECLARED if request.METHOD.form is Form.BROADCAST]
    assert broadcasts
    assert all(request.METHOD.at is Role.CELL for request in broadcasts)


@pytest.mark.parametrize(
    ("way", "direction"), [(Way.DOWN, Direction.DOWN), (Way.UP, Direction.UP), (Way.EITHER, None), (Way.NONE, None)]
)
def test_a_way_is_a_direction_or_free(way: Way, direction: Direction | None) -> None:
    """What may go either way, or nowhere, is bound to no direction; so is what this version does not know."""
    for request in DECLARED:
        if request.METHOD.way is way:
            assert direction_of(request.METHOD.name) is direction
    assert direction_of("a_method_of_tomorrow") is None


def test_a_request_is_written_by_its_fields_alone() -> None:
    """The declaration is no part of what travels."""
    assert b"METHOD" not in encode_body(Close(server="s", conversation="c", lowest_open=1))
