"""A small cloud under virtual time for tests: kinds of server, orders, and full dumps of it that can be compared."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Any, Final, TypeVar

import attrs

from actors.store.records import save
from actors.store.truth import all_rows
from protocol.cell_path import CellPath
from protocol.draft import Changes
from protocol.invariants import violations
from protocol.messages.orders import (
    ChangeVolume,
    CreateServer,
    DeleteServer,
    ImageServer,
    LiveMigrateServer,
    MoveServer,
    NewVolume,
    Order,
    PowerServer,
    RebuildServer,
    RepairServer,
    SettleMove,
    WireServer,
)
from protocol.messages.servers import Origin
from protocol.records import (
    HOST_RECORDS,
    ActionEvent,
    DeletedServer,
    Fault,
    Flavor,
    HeldPermit,
    Migration,
    Mirror,
    MirroredDevice,
    MirroredFault,
    Notification,
    Port,
    Record,
    Server,
    ServerAction,
    ServerGroup,
)
from protocol.states import Goal, MigrationStatus
from protocol.truth import CellTruth, GuestTruth, Truth, Witnessed
from sim.stages.loop import stray
from sim.stages.names import actor_of
from sim.world import Layout, World
from tests.strays import strays

R = TypeVar("R", bound=Record)

SERVER: Final = "s1"
SOURCE: Final = "api!eu"
TARGET: Final = "api!us"
SOURCE_HOST: Final = "h1"
TARGET_HOST: Final = "h4"
OTHER_HOST: Final = "h5"  # In the target's cell, too.
NEAR_HOST: Final = "h2"  # In the source's cell, where there is one.
TINY: Final = Flavor(name="m1.tiny", vcpus=1, memory_mb=512, disk_gb=1)
SMALL: Final = Flavor(name="m1.small", vcpus=1, memory_mb=2048, disk_gb=20)
ORIGIN: Final = Origin(request_id="req-1", user="u", project="p")
#: Of which the server is the only member.
GROUP: Final = ServerGroup(id="g", name="g", project="p")
TIME: Final = re.compile(r"_at_us=\d+")
#: What a failed operation leaves in the history of its server, and nothing else does.
HISTORY: Final = (ServerAction, ActionEvent, Fault, Notification)


#: As few cells as a move needs.
FLAT: Final = Layout(
    cells=tuple(CellPath.parse(text) for text in ("api", SOURCE, TARGET)),
    hosts={
        SOURCE_HOST: CellPath.parse(SOURCE), TARGET_HOST: CellPath.parse(TARGET), OTHER_HOST: CellPath.parse(TARGET),
    },
)  # fmt: skip


#: The same, with a host more in the source's cell.
WIDE: Final = attrs.evolve(FLAT, hosts={**FLAT.hosts, NEAR_HOST: CellPath.parse(SOURCE)})
#: As few cells as a move inside of a cell needs.
NARROW: Final = Layout(
    cells=FLAT.cells[:2], hosts={name: cell for name, cell in WIDE.hosts.items() if cell == FLAT.cells[1]}
)


class Backing(StrEnum):
    """What is moved."""

    IMAGE = "image-backed"
    VOLUME = "volume-backed"
    STOPPED = "stopped"


ROOT_VOLUME: Final = NewVolume(volume="root", device="/dev/vda", boot_index=0)
DATA_VOLUME: Final = NewVolume(volume="data", device="/dev/vdb")


# --- orders ------------------------------------------------------------------------------------------------


def create(backing: Backing = Backing.IMAGE) -> CreateServer:
    """Order a server with a data volume on the source host."""
    is_volume_backed = backing is Backing.VOLUME
    return CreateServer(
        server=SERVER, name="web", flavor=TINY, image="" if is_volume_backed else "cirros",
        volumes=(ROOT_VOLUME, DATA_VOLUME) if is_volume_backed else (DATA_VOLUME,), host=SOURCE_HOST, origin=ORIGIN,
        group=GROUP.id,
    )  # fmt: skip


def resize(flavor: Flavor | None = SMALL, host: str | None = TARGET_HOST) -> MoveServer:
    """Order a resize, to the target host unless another (or any) is asked for."""
    return MoveServer(server=SERVER, flavor=flavor, host=host, origin=ORIGIN)


def migrate(host: str | None = TARGET_HOST) -> MoveServer:
    """Order a cold migration."""
    return resize(None, host)


def settle(goal: Goal) -> SettleMove:
    """Order a confirm or a revert."""
    return SettleMove(server=SERVER, goal=goal, origin=ORIGIN)


def power(goal: Goal) -> PowerServer:
    """Order a start or a stop."""
    return PowerServer(server=SERVER, goal=goal, origin=ORIGIN)


def attach(volume: str = "extra", device: str = "/dev/vdc") -> ChangeVolume:
    """Order a volume to be attached."""
    return ChangeVolume(server=SERVER, goal=Goal.ATTACH, volume=volume, device=device, origin=ORIGIN)


def detach(volume: str = "data") -> ChangeVolume:
    """Order a volume to be detached."""
    return ChangeVolume(server=SERVER, goal=Goal.DETACH, volume=volume, device="", origin=ORIGIN)


def swap(volume: str = "data", replacement: str = "spare") -> ChangeVolume:
    """Order a volume to be swapped for another one."""
    return ChangeVolume(
        server=SERVER, goal=Goal.SWAP, volume=volume, device="", origin=ORIGIN, replacement=replacement
    )  # fmt: skip


def image(goal: Goal, name: str, *, rotation: int = 0) -> ImageServer:
    """Order a snapshot or a daily backup."""
    backup_type = "daily" if goal is Goal.BACKUP else ""
    return ImageServer(
        server=SERVER, goal=goal, image=name, name=name, origin=ORIGIN, backup_type=backup_type, rotation=rotation
    )


def wire(goal: Goal) -> WireServer:
    """Order that the server's ports are applied again, or told."""
    return WireServer(server=SERVER, goal=goal, origin=ORIGIN)


REBUILD: Final = RebuildServer(server=SERVER, image="cirros", origin=ORIGIN)


def live_migrate(host: str | None = NEAR_HOST) -> LiveMigrateServer:
    """Order that the server moves to another host of its cell while it runs."""
    return LiveMigrateServer(server=SERVER, host=host, origin=ORIGIN)


CONFIRM: Final = settle(Goal.CONFIRM)
REVERT: Final = settle(Goal.REVERT)
START: Final = power(Goal.START)
STOP: Final = power(Goal.STOP)
REBOOT: Final = power(Goal.REBOOT)
SNAPSHOT: Final = image(Goal.SNAPSHOT, "shot")
BACKUP: Final = image(Goal.BACKUP, "backup", rotation=1)
DELETE: Final = DeleteServer(server=SERVER, origin=ORIGIN)
#: Before it, something of the server is left where it is not.
REPAIR: Final = RepairServer(server=SERVER, is_applied=True, origin=ORIGIN)


def building(backing: Backing) -> tuple[Order, ...]:
    """List the orders that bring a server of that kind about."""
    return (create(backing), STOP) if backing is Backing.STOPPED else (create(backing),)


# --- a cloud -----------------------------------------------------------------------------------------------


@asynccontextmanager
async def cloud(*orders: Order, world: World | None = None, but: tuple[str, ...] = ()) -> AsyncIterator[World]:
    """Run a world with an image and four volumes, in which these orders have been carried out."""
    made = world or World(FLAT)
    try:
        async with made.running(but=but):
            await made.add_image("cirros")
            for volume in ("root", "data", "extra", "spare"):
                await made.add_volume(volume)
            await made.add_group(GROUP)
            for order in orders:
                if isinstance(order, RepairServer):
                    await leave(made, SERVER, volume="extra", cell=TARGET, host=OTHER_HOST)
                await made.client.finish(order)
            await made.quiet()
            yield made
    finally:
        made.close()


async def leave(world: World, server: str, *, volume: str, cell: str, host: str) -> None:
    """Leave something of a server everywhere where it is not."""
    await world.quiet()
    truth = await world.truth()
    home = next(row for row in truth.all(Server) if row.uuid == server and not row.is_hidden)
    port = next(row.id for row in truth.all(Port) if row.server == server)
    for owner, rows in strays(home, port=port, volume=volume, cell=cell, host=host).items():
        world.disks[actor_of(world.layout, owner)].plant(save, Changes(puts=rows))
    await world.drivers[host].spawn(stray(server))


# --- what there is -----------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Dump:
    """Everything that a cloud holds, as text; the server's history apart from the rest."""

    truth: Truth
    rows: frozenset[str]
    history: frozenset[str]

    def differences(self, earlier: Dump) -> list[str]:
        """Say what is there now and was not, and what was there and is gone; of the history only the latter."""
        new = (f"new: {row}" for row in self.rows - earlier.rows)
        gone = (f"gone: {row}" for row in earlier.rows - self.rows)
        return sorted([*new, *gone, *(f"forgotten: {row}" for row in earlier.history - self.history)])

    def timeless(self) -> Dump:
        """Give the same without the times at which things came about."""
        rows, history = (frozenset(TIME.sub("_at_us=0", row) for row in rows) for rows in (self.rows, self.history))
        return attrs.evolve(self, rows=rows, history=history)

    def told_since(self, earlier: Dump, kind: type[R]) -> list[R]:
        """List what the history tells beyond an earlier dump."""
        return [row for row in self.truth.all(kind) if row not in earlier.truth.all(kind)]


async def dump(world: World) -> Dump:
    """Read everything once nothing goes on any more, as far as a failure has to leave it alone."""
    await world.quiet()
    truth = await world.truth()
    held = [
        f"{name} {attrs.evolve(row, number=None if row.number is None else 0)}"
        for name, store in world.host_stores.items()
        for row in await store.transact(all_rows, HOST_RECORDS)
        if isinstance(row, HeldPermit)
    ]
    rows = [f"{cell.path} {text}" for cell in truth.cells for row in cell.rows if (text := essence(row))]
    rows += [text for row in truth.partners if (text := essence(row))]
    rows += [f"image file {name}" for name in truth.image_files]
    rows += [f"{attrs.evolve(guest, counter=0, boots=(), permit=None)}" for guest in truth.guests]
    rows += [f"volume bytes {volume.volume}" for volume in truth.volumes]
    rows += [f"unclosed {each}" for each in truth.conversations if not each.is_closed]
    history = [f"{row}" for cell in truth.cells for row in cell.rows if isinstance(row, HISTORY)]
    return Dump(truth=truth, rows=frozenset([*rows, *held]), history=frozenset(history))


NUMBERS: Final = re.compile(r"\b(number|version|copied_at|devices_since|updated_at_us|report_count|last_seen_us)=\d+")


def essence(row: Record) -> str | None:
    """Tell of a row what no failure may change; None: of this one, nothing."""
    match row:
        case Mirror(is_gone=True) | MirroredDevice(is_gone=True) | Migration(status=MigrationStatus.ERROR):
            return None
        case ServerAction() | ActionEvent() | Fault() | MirroredFault() | DeletedServer() | Notification():
            return None
        case _:
            # How often it was written, and when, is no matter.
            return NUMBERS.sub(r"\1=0", f"{row}")


def witnessed(truth: Truth) -> tuple[Witnessed, ...]:
    """Note what is on the disks now: whoever reads less of it later has lost something."""
    guests = [Witnessed(server=guest.server, volume=None, counter=guest.counter) for guest in truth.guests]
    volumes = [
        Witnessed(server=volume.writer, volume=volume.volume, counter=volume.counter)
        for volume in truth.volumes
        if volume.writer is not None
    ]
    return (*guests, *volumes)


def broken_promises(now: Dump, *, seen: Dump | None = None) -> tuple[str, ...]:
    """List the invariants that do not hold at rest; what was seen on a disk before must not be lost either."""
    truth = attrs.evolve(now.truth, witnessed=witnessed(seen.truth) if seen else ())
    return tuple(f"{found.invariant} of {found.subject}: {found.text}" for found in violations(truth, is_at_rest=True))


# --- looking at the truth ----------------------------------------------------------------------------------


def cell_of(truth: Truth, path: str) -> CellTruth:
    """Give the rows of one cell."""
    return next(cell for cell in truth.cells if str(cell.path) == path)


def only(rows: tuple[R, ...]) -> R | None:
    """Give the one row there is, or None."""
    assert len(rows) <= 1, rows
    return rows[0] if rows else None


def guest_on(truth: Truth, host: str) -> GuestTruth | None:
    """Give what a host has of the server."""
    return next((guest for guest in truth.guests if guest.host == host), None)


def fields_of(row: Any, *names: str) -> tuple[Any, ...]:
    """Read some fields of a row."""
    return tuple(getattr(row, name) for name in names)
