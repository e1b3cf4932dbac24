"""Builds actors from ports.  It names no adapter, so that the simulator builds the very same ones."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import anyio
import attrs

from actors.cell.actor import cell_actor
from actors.cell.gate import UNGUARDED, Guard
from actors.cell.router import Neighbours, Router
from actors.compute.actor import host_actor
from actors.conductor.actor import Conductor
from actors.image.actor import image_actor
from actors.kernel.post import Pin, Post
from actors.kernel.supervisor import supervise
from actors.network.actor import network_actor
from actors.store.inbox import SqlInbox
from actors.store.journal import SqlJournals
from actors.volume.actor import volume_actor
from protocol.cell_path import Address, host_mailbox, replies_of
from protocol.messages.capacity import AddHost
from protocol.moves.chores import NEVER, Waits
from protocol.moves.crossing import FREELY, Crossing

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from anyio.abc import TaskGroup, TaskStatus

    from actors.compute.drivers.base import Driver
    from actors.kernel.actor import Actor
    from actors.kernel.ports import Clock, Events, Ids, Inbox, Journals, Random, Store, Wire
    from actors.partners.ports import ImageFiles, VolumeFiles
    from protocol.cell_path import CellPath
    from protocol.healing import Healing
    from protocol.records import Host
    from protocol.tree import Rules
    from protocol.truth import CallTruth


@attrs.frozen(kw_only=True)
class Ports:
    """What every actor of a process is given."""

    wire: Wire
    clock: Clock
    ids: Ids
    random: Random
    events: Events
    inbox: Inbox = attrs.field(factory=SqlInbox)
    journals: Journals = attrs.field(factory=SqlJournals)
    pin: Pin = attrs.field(factory=Pin)
    slot: str = "0"  # Which replica this process is of each of its actors.
    _posts: list[Post] = attrs.field(factory=list, eq=False, repr=False)

    def calls(self, now_s: float | None = None) -> tuple[CallTruth, ...]:
        """Tell how the calls of all actors of this process were answered, as of now by its loop's clock."""
        now_s = anyio.current_time() if now_s is None else now_s
        return tuple(call for post in self._posts for call in post.calls.truth(now_s))

    def post(self, cell: CellPath, mailbox: str, *, slot: str = "", is_passing: bool = False) -> Post:
        """Make an actor's way to all others; `slot`: which replica it is, if not that of its process."""
        post = Post(
            me=Address(cell, mailbox), replies=replies_of(mailbox, slot or self.slot), wire=self.wire, ids=self.ids,
            events=self.events, is_passing=is_passing, pin=self.pin,
        )  # fmt: skip
        self._posts.append(post)
        return post


@attrs.frozen(kw_only=True)
class Member:
    """Something that runs in a process: an actor or a router."""

    name: str
    run: Callable[..., Coroutine[Any, Any, None]]
    #: Has it finish what it has taken and then return from `run`; None of one that is simply cancelled.
    leave: Callable[[], Coroutine[Any, Any, None]] | None = None
    #: Has it take up settings that were changed while it runs; None of one that takes none up.
    tune: Callable[..., None] | None = None


async def start(members: tuple[Member, ...], tasks: TaskGroup, events: Events) -> None:
    """Start members in order, each under supervision; return when all take messages."""
    for member in members:
        await tasks.start(supervise, member.name, member.run, events, name=member.name)


async def drain(members: tuple[Member, ...]) -> None:
    """Have members leave one after the other, so that later ones still serve those before; wait until they are gone."""
    for member in members:
        if member.leave is not None:
            await member.leave()


def _member(post: Post, actor: Actor | Conductor) -> Member:
    async def run(*, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        async with post.open():
            await actor.run(task_status=task_status)

    return Member(name=str(post.me), run=run)


def router(
    ports: Ports, here: CellPath, children: tuple[CellPath, ...], *,
    slot: str = "", look_s: float = 0.0, guard: Guard = UNGUARDED,
) -> Member:  # fmt: skip
    """Make a cell's router with its links; every `look_s` it asks its cell for the neighbours of then."""
    made = Router(
        here=here, neighbours=Neighbours(parent=here.parent, children=children), slot=slot or ports.slot,
        wire=ports.wire, ids=ports.ids, events=ports.events, look_s=look_s, guard=guard,
    )  # fmt: skip
    return Member(name=f"{here}/link", run=made.run, leave=made.leave, tune=made.tune)


def cell(
    ports: Ports, here: CellPath, store: Store, *, slot: str = "", look_s: float = math.inf,
    rules: Rules | None = None, healing: Healing | None = None, audit_s: int = 0,
) -> Member:  # fmt: skip
    """Make a replica of the actor that owns a cell's database.

    `look_s`: how often it looks after the others' news; `rules`: what part it has in the state of the tree; `healing`:
    how it mends the mirror; `audit_s`: how long the periods are that it audits, 0: it does not.
    """
    post = ports.post(here, "cell", slot=slot)
    made = cell_actor(
        post=post, store=store, inbox=ports.inbox, clock=ports.clock, random=ports.random, look_s=look_s, rules=rules,
        healing=healing, audit_s=audit_s,
    )  # fmt: skip
    return attrs.evolve(_member(post, made), leave=made.leave)


def conductor(
    ports: Ports, root: CellPath, store: Store, *,
    slot: str = "", waits: Waits = NEVER, crossing: Crossing = FREELY,
) -> Member:  # fmt: skip
    """Make a replica of the conductor; `slot`: which one, if not that of its process."""
    slot = slot or ports.slot
    post = ports.post(root, "conductor", slot=slot)
    made = Conductor(
        post=post, store=store, inbox=ports.inbox, journals=ports.journals, clock=ports.clock, random=ports.random,
        # A slot that was started again is another owner than its former self, which may only have stood still.
        owner=f"conductor:{slot}#{ports.ids.new().hex()}", waits=waits, crossing=crossing,
    )  # fmt: skip
    return attrs.evolve(_member(post, made), tune=made.tune)


def image(ports: Ports, root: CellPath, store: Store, files: ImageFiles) -> Member:
    """Make the image actor."""
    post = ports.post(root, "image")
    return _member(post, image_actor(post=post, store=store, inbox=ports.inbox, clock=ports.clock, files=files))


def volume(ports: Ports, root: CellPath, store: Store, files: VolumeFiles) -> Member:
    """Make the volume actor."""
    post = ports.post(root, "volume")
    return _member(post, volume_actor(post=post, store=store, inbox=ports.inbox, clock=ports.clock, files=files))


def network(ports: Ports, root: CellPath, store: Store) -> Member:
    """Make the network actor."""
    post = ports.post(root, "network")
    return _member(post, network_actor(post=post, store=store, inbox=ports.inbox, clock=ports.clock))


def host(
    ports: Ports, here: CellPath, record: Host, *, store: Store, driver: Driver, images: ImageFiles,
    volumes: VolumeFiles, report_s: float = 0, usage_s: float = 0,
) -> Member:  # fmt: skip
    """Make the actor of a compute host."""
    post = ports.post(here, host_mailbox(record.name))
    made = host_actor(
        post=post, store=store, inbox=ports.inbox, clock=ports.clock, name=record.name, driver=driver, images=images,
        volumes=volumes, announcement=(Address(here, "cell"), AddHost.of(record)), report_s=report_s, usage_s=usage_s,
    )  # fmt: skip
    return _member(post, made)
