"""Runs real moves in a simulated world, and keeps their journals and the truth after each of their steps."""

from __future__ import annotations

from functools import cache
from typing import Final, TypeVar

import anyio
import attrs

from actors.compute.drivers.base import GuestState
from actors.store.journal import SqlJournals
from actors.store.records import save
from actors.store.truth import all_rows
from protocol.cell_path import CellPath
from protocol.draft import Changes
from protocol.journal import Journal, Kind
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
    Progress,
    RebuildServer,
    RepairServer,
    SettleMove,
    WireServer,
)
from protocol.messages.servers import Origin
from protocol.records import (
    Allocation,
    Attachment,
    BlockDevice,
    Flavor,
    Image,
    Mapping,
    Migration,
    Permit,
    PortBinding,
    Record,
    Server,
    ServerGroup,
)
from protocol.states import Goal
from sim.clock import run
from sim.history import Journaled, Line
from sim.world import Layout, World
from tests.clouds import leave

R = TypeVar("R", bound=Record)

TINY: Final = Flavor(name="tiny", vcpus=1, memory_mb=512, disk_gb=1)
SMALL: Final = Flavor(name="small", vcpus=1, memory_mb=2048, disk_gb=20)
ROOT: Final = CellPath.parse("api")
SOURCE_CELL: Final = ROOT.child("eu")
TARGET_CELL: Final = ROOT.child("us")
SOURCE: Final = "h1"
TARGET: Final = "h2"
LAYOUT: Final = Layout(cells=(ROOT, SOURCE_CELL, TARGET_CELL), hosts={SOURCE: SOURCE_CELL, TARGET: TARGET_CELL})
#: Both hosts in one cell.
ONE_CELL: Final = Layout(cells=(ROOT, SOURCE_CELL), hosts={SOURCE: SOURCE_CELL, TARGET: SOURCE_CELL})
ORIGIN: Final = Origin(request_id="req-docs", user="reader", project="docs")
IMAGE: Final = "cirros"
WATCH_S_MAX: Final = 3600.0
#: What a journal notes once a step is over, and once the server is let go.
OUTCOMES: Final = frozenset({Kind.DONE, Kind.RELEASED})

#: The servers whose moves are shown, each with what it is.
KINDS: Final = {
    "image": "image-backed, active, with one data volume",
    "volume": "volume-backed, active",
    "stopped": "image-backed, stopped",
}


#: Moved between two hosts of one cell; of the same sort as the first.
INSIDE: Final = "inside"
WITH_DATA: Final = frozenset({"image", INSIDE})

#: What the pages show of it all: reading no more keeps the tests short.
CELL_ROWS: Final = (Server, BlockDevice, Migration, Allocation)
ROOT_ROWS: Final = (Mapping, Permit)
PARTNER_ROWS: Final[dict[str, tuple[type[Record], ...]]] = {
    "image": (Image,),
    "volume": (Attachment,),
    "network": (PortBinding,),
}


@attrs.frozen(kw_only=True)
class Sight:
    """The truth at one instant, as far as the pages show it: rows by cell, partners' rows, guests by host."""

    cells: dict[CellPath, tuple[Record, ...]]
    partners: tuple[Record, ...]
    guests: dict[str, tuple[GuestState, ...]]

    def of_cell(self, cell: CellPath, record: type[R]) -> list[R]:
        """List a cell's rows of one class."""
        return [row for row in self.cells.get(cell, ()) if isinstance(row, record)]

    def of_partners(self, record: type[R]) -> list[R]:
        """List the partners' rows of one class."""
        return [row for row in self.partners if isinstance(row, record)]


def _look(world: World) -> Sight:
    cells, partners = {}, list[Record]()
    for cell in world.layout.cells:
        rows = (*CELL_ROWS, *(ROOT_ROWS if cell == ROOT else ()))
        cells[cell] = world.disks[f"{cell}/cell"].peek(all_rows, rows)
    for name, kinds in PARTNER_ROWS.items():
        partners.extend(world.disks[f"{ROOT}/{name}"].peek(all_rows, kinds))
    guests = {name: driver.inspect() for name, driver in world.drivers.items()}
    return Sight(cells=cells, partners=tuple(partners), guests=guests)


@attrs.frozen
class After:
    """A step that is over, and how the world is then."""

    step: str
    sight: Sight


@attrs.frozen(kw_only=True)
class Seen:
    """One conversation that went well: its journal, the truth before its first step, and of moves after each."""

    journal: Journal
    before: Sight
    steps: tuple[After, ...]


class _Watch:
    """A world whose truth is taken after each step."""

    def __init__(self, layout: Layout) -> None:
        self.world = World(layout)
        self.world.history.listeners.append(self._listen)
        self._seen: list[After] = []
        self._is_move = False

    def _listen(self, line: Line) -> None:
        """Look after each outcome is written, before the next command leaves."""
        match line.what:
            case Journaled(entry=entry) if self._is_move and entry.kind in OUTCOMES:
                self._seen.append(After(entry.step or "(release)", _look(self.world)))
            case _:
                pass

    async def carry_out(self, order: Order) -> Seen:
        before = _look(self.world)
        self._is_move = isinstance(order, MoveServer | SettleMove)
        self._seen.clear()
        accepted = await self.world.client.order(order)
        ending = None
        async for news in self.world.client.follow(accepted):
            ending = news.ending if isinstance(news, Progress) else None
        assert ending is not None, "a conversation that is over has an ending"
        assert ending.is_success, f"the pages show moves that went well: {ending.cause}"
        journal = await self.world.conductor.transact(SqlJournals().read, accepted.conversation)
        return Seen(journal=journal, before=before, steps=tuple(self._seen))

    async def create(self, server: str, *, image: str, volumes: tuple[NewVolume, ...] = ()) -> Seen:
        for volume in volumes:
            await self.world.add_volume(volume.volume)
        group = ServerGroup(id=server, name=server, project=ORIGIN.project)
        await self.world.add_group(group)
        return await self.carry_out(
            CreateServer(
                server=server, name=server, flavor=TINY, image=image, volumes=volumes, host=SOURCE, origin=ORIGIN,
                group=group.id,
            )
        )  # fmt: skip

    async def create_of(self, kind: str, server: str) -> Seen:
        """Make a server of one of the `KINDS`."""
        if kind == "volume":
            root = NewVolume(volume=f"{server}-root", device="/dev/vda", boot_index=0)
            return await self.create(server, image="", volumes=(root,))
        data = (NewVolume(volume=f"{server}-data", device="/dev/vdb"),) if kind in WITH_DATA else ()
        return await self.create(server, image=IMAGE, volumes=data)

    async def power(self, server: str, goal: Goal) -> Seen:
        return await self.carry_out(PowerServer(server=server, goal=goal, origin=ORIGIN))

    async def change(self, server: str, goal: Goal, volume: str, *, replacement: str = "") -> Seen:
        return await self.carry_out(
            ChangeVolume(
                server=server, goal=goal, volume=volume, device="/dev/vdc", origin=ORIGIN, replacement=replacement
            )
        )

    async def resize(self, server: str) -> Seen:
        return await self.carry_out(MoveServer(server=server, flavor=SMALL, host=TARGET, origin=ORIGIN))

    async def repair(self, server: str) -> Seen:
        """Leave something everywhere where the server is not, and have it removed."""
        await leave(self.world, server, volume="extra", cell=str(TARGET_CELL), host=TARGET)
        return await self.carry_out(RepairServer(server=server, is_applied=True, origin=ORIGIN))

    async def delete_lost(self, server: str) -> Seen:
        """Delete a server whose home has lost its record."""
        disk = self.world.disks[f"{SOURCE_CELL}/cell"]
        [lost] = (row for row in disk.peek(all_rows, (Server,)) if row.key == (server,))
        disk.plant(save, Changes(drops=(lost,)))
        return await self.carry_out(DeleteServer(server=server, origin=ORIGIN))

    async def image(self, server: str, goal: Goal) -> Seen:
        """Make an image of a server, which is called as what it is."""
        backup_type = "daily" if goal is Goal.BACKUP else ""
        return await self.carry_out(
            ImageServer(
                server=server, goal=goal, image=goal.value, name=goal.value, origin=ORIGIN, backup_type=backup_type
            )
        )

    async def settle(self, server: str, goal: Goal) -> Seen:
        return await self.carry_out(SettleMove(server=server, goal=goal, origin=ORIGIN))


async def _move(watch: _Watch, kind: str, found: dict[str, Seen]) -> None:
    """Move two servers of a kind; confirm one, revert the other."""
    for goal in (Goal.CONFIRM, Goal.REVERT):
        server = f"{kind}-{goal}"
        found["create"] = await watch.create_of(kind, server)
        if kind == "stopped":
            found["stop"] = await watch.power(server, Goal.STOP)
        found[f"{kind} resize"] = await watch.resize(server)
        if kind in WITH_DATA and goal is Goal.REVERT:
            # So that the revert has volumes to carry back, and to leave behind.
            await watch.world.add_volume("extra")
            found["attach"] = await watch.change(server, Goal.ATTACH, "extra")
            await watch.world.add_volume("spare")
            found["swap"] = await watch.change(server, Goal.SWAP, "extra", replacement="spare")
            found["detach"] = await watch.change(server, Goal.DETACH, f"{server}-data")
        found[f"{kind} {goal}"] = await watch.settle(server, goal)
    if kind in WITH_DATA:
        await watch.create_of(kind, f"{kind}-delete")
        await watch.resize(f"{kind}-delete")
        found[f"{kind} delete"] = await watch.carry_out(DeleteServer(server=f"{kind}-delete", origin=ORIGIN))
        await watch.create_of(kind, f"{kind}-lost")
        found[f"{kind} lost delete"] = await watch.delete_lost(f"{kind}-lost")
    if kind == INSIDE:
        order = LiveMigrateServer(server=f"{kind}-revert", host=TARGET, origin=ORIGIN)
        found["live migrate"] = await watch.carry_out(order)
    if kind == "stopped":
        found["start"] = await watch.power(f"{kind}-revert", Goal.START)
        found["reboot"] = await watch.power(f"{kind}-revert", Goal.REBOOT)
        for goal in (
            Goal.PAUSE, Goal.UNPAUSE, Goal.SUSPEND, Goal.RESUME, Goal.SOFT_DELETE, Goal.RESTORE,
        ):  # fmt: skip
            found[goal.value] = await watch.power(f"{kind}-revert", goal)
        found["snapshot"] = await watch.image(f"{kind}-revert", Goal.SNAPSHOT)
        found["backup"] = await watch.image(f"{kind}-revert", Goal.BACKUP)
        found["rebuild"] = await watch.carry_out(RebuildServer(server=f"{kind}-revert", image=IMAGE, origin=ORIGIN))
        for goal in (Goal.RESET_NETWORK, Goal.INJECT_NETWORK_INFO):
            wire = WireServer(server=f"{kind}-revert", goal=goal, origin=ORIGIN)
            found[goal.value.replace("_", " ")] = await watch.carry_out(wire)
        found["repair"] = await watch.repair(f"{kind}-revert")


async def _watch_all() -> dict[str, Seen]:
    found = dict[str, Seen]()
    for layout, kinds in ((ONE_CELL, (INSIDE,)), (LAYOUT, tuple(reversed(KINDS)))):
        watch = _Watch(layout)
        # Virtual seconds: a cloud that does not get on fails here, instead of waiting for ever at no cost.
        with anyio.fail_after(WATCH_S_MAX):
            await _move_all(watch, kinds, found)
        watch.world.close()
    return found


async def _move_all(watch: _Watch, kinds: tuple[str, ...], found: dict[str, Seen]) -> None:
    async with watch.world.running():
        await watch.world.add_image(IMAGE)
        for kind in kinds:
            await _move(watch, kind, found)


@cache
def moves_seen() -> dict[str, Seen]:
    """Give every conversation that the pages show: `create`, `attach` and the like, and `image resize` and the like."""
    return run(_watch_all)
