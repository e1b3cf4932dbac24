"""Trouble at a step of a test's choice: an inbox that refuses or holds up one command, and drivers that fail late."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import anyio
import attrs

from actors.compute.drivers.base import GuestMemory, GuestSpec, GuestState
from actors.compute.drivers.domain import VolumeConnection
from actors.compute.drivers.memory import MemoryDriver
from actors.kernel.ports import Command, Connection, Verdict
from actors.store.inbox import SqlInbox
from protocol.errors import HypervisorFailed, Unavailable
from sim.world import Layout, World
from tests.clouds import FLAT


class How(StrEnum):
    """In which way a step fails."""

    CLEAN = "refused"  # Before it has done anything.
    DIRTY = "lost"  # All is done, and the answer is an error; what has transactions takes it back.
    HALF = "half done"  # The hypervisor has done it, and then fails.


@attrs.define
class Trouble:
    """What is to go wrong: once, at the execute of one step, in one attempt (0: whichever)."""

    step: str
    how: How
    attempt: int = 0
    is_over: bool = False
    is_begun: bool = False  # The driver is to fail at its next call.

    def strikes(self, command: Command, how: How) -> bool:
        """Tell whether this is the moment."""
        key = command.key
        is_it = key.step == self.step and not key.is_undo and not key.is_plain and self.attempt in {0, key.attempt}
        return is_it and how is self.how and not self.is_over

    def strike(self, server: str) -> HypervisorFailed:
        """Give the error, once."""
        self.is_over, self.is_begun = True, False
        return HypervisorFailed(server=server, host="nowhere", action=self.step, reason=f"the test has it {self.how}")


@attrs.define
class Hold:
    """A step that is held up until it is let go: everything before it is done by then."""

    step: str
    reached: anyio.Event = attrs.field(factory=anyio.Event)
    is_let_go: bool = False


class TroubledInbox(SqlInbox):
    """An inbox through which a test has commands refused, lost or held up.  All actors of a world share it."""

    def __init__(self) -> None:
        self.trouble: Trouble | None = None
        self.held: Hold | None = None

    def look(self, connection: Connection, command: Command) -> Verdict:
        if self.trouble is not None and self.trouble.strikes(command, How.CLEAN):
            raise self.trouble.strike(command.server)
        if self.held is not None and not self.held.is_let_go and command.key.step == self.held.step:
            self.held.reached.set()
            raise Unavailable(what=self.held.step, reason="the test holds it up")
        return super().look(connection, command)

    def accept(self, connection: Connection, command: Command) -> None:
        if self.trouble is not None and self.trouble.strikes(command, How.HALF):
            self.trouble.is_begun = True
        super().accept(connection, command)

    def settle(self, connection: Connection, command: Command, *, reply: bytes, is_error: bool) -> None:
        if self.trouble is not None and not is_error and self.trouble.strikes(command, How.DIRTY):
            raise self.trouble.strike(command.server)
        super().settle(connection, command, reply=reply, is_error=is_error)

    def after_driver(self, server: str) -> None:
        """Fail now that a driver has done something, if it is to."""
        if self.trouble is not None and self.trouble.is_begun:
            raise self.trouble.strike(server)


class ClumsyDriver(MemoryDriver):
    """A hypervisor that does what it is told, and then may fail."""

    after: Callable[[str], None]

    async def spawn(self, spec: GuestSpec) -> GuestState:
        state = await super().spawn(spec)
        self.after(spec.server)
        return state

    async def define(self, spec: GuestSpec) -> GuestState:
        state = await super().define(spec)
        self.after(spec.server)
        return state

    async def power_on(self, server: str, *, permit: int) -> None:
        await super().power_on(server, permit=permit)
        self.after(server)

    async def power_off(self, server: str, *, grace_s: float = 0.0) -> None:
        await super().power_off(server, grace_s=grace_s)
        self.after(server)

    async def connect_volume(self, server: str, connection: VolumeConnection) -> None:
        await super().connect_volume(server, connection)
        self.after(server)

    async def disconnect_volume(self, server: str, volume: str) -> None:
        await super().disconnect_volume(server, volume)
        self.after(server)

    async def copy_volume(self, server: str, volume: str, connection: VolumeConnection) -> None:
        await super().copy_volume(server, volume, connection)
        self.after(server)

    async def save(self, server: str) -> GuestMemory:
        memory = await super().save(server)
        self.after(server)
        return memory

    async def receive(self, spec: GuestSpec, memory: GuestMemory) -> GuestState:
        state = await super().receive(spec, memory)
        self.after(spec.server)
        return state

    async def prepare_disk(self, server: str, image: str) -> None:
        await super().prepare_disk(server, image)
        self.after(server)

    async def replace_disk(self, server: str) -> None:
        await super().replace_disk(server)
        self.after(server)

    async def undefine(self, server: str) -> None:
        await super().undefine(server)
        self.after(server)

    async def destroy(self, server: str) -> None:
        await super().destroy(server)
        self.after(server)


def troubled_world(inbox: TroubledInbox, layout: Layout = FLAT) -> World:
    """Make a world in which a test makes trouble."""
    world = World(layout, inbox=inbox)
    for name in world.layout.hosts:
        driver = ClumsyDriver(name, world.images, world.clock, world.volumes)
        driver.after = inbox.after_driver
        world.drivers[name] = driver
    return world
