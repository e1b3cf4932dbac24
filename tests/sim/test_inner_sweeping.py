"""The sweeper of the inner level does what that of the real conductor does: see `tests.actors.kernel.test_sweeper`."""

from __future__ import annotations

from typing import Final

from actors.kernel.sweeper import IDLE_S
from protocol.cell_path import Address
from protocol.journal import Entry, Kind
from protocol.states import Goal
from sim.cases.layout import Layout
from sim.cases.workload import Act, Op
from sim.history import Closed
from sim.inner.world import InnerWorld

CONDUCTOR: Final = "api/conductor"
CREATE: Final = Op(name="create", act=Act.CREATE, server="s1", host="h1")


def world_with(*left: str, receivers: tuple[str, ...] = ("h1",)) -> InnerWorld:
    """Make a world in which the conductor died between the last entries of conversations and its sweep."""
    world = InnerWorld(Layout.tree(cells=2, hosts=2), seed=1)
    world.add_image("image")
    for conversation in left:
        leave(world, conversation, *receivers)
    return world


def leave(world: InnerWorld, conversation: str, *receivers: str) -> None:
    """Have a conversation come to its end, and nobody sweep after it."""
    world.store.begin(conversation, server="s9", goal=Goal.RESIZE, owner=CONDUCTOR, payload=b"", at_us=0)
    world.store.kept[conversation].receivers = tuple(host(world, name) for name in receivers)
    epoch = world.store.read(conversation).epoch
    for seq, kind in enumerate((Kind.END, Kind.CLOSED, Kind.RELEASED), start=1):
        world.store.append(conversation, Entry(seq=seq, epoch=epoch, kind=kind, at_us=0), by=CONDUCTOR)


def host(world: InnerWorld, name: str) -> Address:
    """Give a host's address."""
    return world.hosts[name].me


def unswept(world: InnerWorld) -> list[str]:
    """Name the conversations of which something may be remembered yet."""
    return [kept.journal.conversation for kept in world.store.unswept(1_000)]


def told(world: InnerWorld) -> list[tuple[str, str]]:
    """Tell who was told that which of the conversations that were left is over."""
    lines = [line.what for line in world.history.lines]
    return [(what.process, what.conversation) for what in lines if isinstance(what, Closed) and what.server == "s9"]


def restart(world: InnerWorld) -> None:
    """Have the conductor start anew."""
    [conductor] = world.conductors
    conductor.process.crash()
    conductor.process.start()


def test_a_start_sweeps_what_was_left_and_tells_each_receiver_once() -> None:
    """Two conversations have the same receivers, and these hear of one."""
    world = world_with("c1", "c2", receivers=("h1", "h2"))
    restart(world)
    world.run_for(60.0)
    assert unswept(world) == []
    assert sorted(told(world)) == [(str(host(world, name)), "c2") for name in ("h1", "h2")]


def test_the_end_of_a_conversation_sweeps_what_was_left() -> None:
    """A sweeper that sleeps is woken by it."""
    world = world_with()
    world.run_for(1.0)
    leave(world, "c1", "h1")
    world.place(CREATE)
    assert unswept(world) == ["c1"]
    world.run_for(10.0)
    assert unswept(world) == []


def test_what_another_conductor_left_that_never_comes_back_is_swept() -> None:
    """Nobody tells a sweeper of it, so it looks now and then."""
    world = world_with()
    world.run_for(60.0)
    leave(world, "c1", "h1")
    world.run_for(IDLE_S + 1)
    assert unswept(world) == []


def test_what_is_away_is_asked_until_it_is_back_and_the_world_is_not_quiet_till_then() -> None:
    """Its conversation stays; it goes when there is an answer."""
    world = world_with("c1")
    world.hosts["h1"].process.crash()
    restart(world)
    world.run_for(120.0)
    assert (unswept(world), world.is_quiet) == (["c1"], False)
    world.hosts["h1"].process.start()
    world.run_for(120.0)
    assert (unswept(world), world.is_quiet) == ([], True)


def test_a_conversation_that_ends_during_a_sweep_has_it_swept_again() -> None:
    """What was left after the sweep had looked is not forgotten."""
    world = world_with("c1")
    world.hosts["h1"].process.pause()
    restart(world)
    leave(world, "c2", "h2")
    world.conductors[0].sweep()
    world.hosts["h1"].process.resume()
    world.run_for(60.0)
    assert unswept(world) == []
