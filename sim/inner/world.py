"""A whole deployment on the inner level: every participant on one heap of events, and the truth about them."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from actors.compute.drivers.base import Power
from actors.observing import PARTNERS
from protocol.cell_path import Address
from protocol.draft import Changes
from protocol.effects import table
from protocol.effects.registry import Moment, apply
from protocol.messages.capacity import AddHost
from protocol.messages.fencing import LiftFence, SetFence
from protocol.records import CELL_RECORDS, ROOT_RECORDS, HostFence, HostMapping, Image, Volume
from protocol.truth import BootTruth, CellTruth, GuestTruth, Truth, VolumeTruth
from sim.history import History
from sim.inner.agenda import NS_PER_S
from sim.inner.cells import Cell, ImageActor, RecordActor
from sim.inner.conductor import Conductor
from sim.inner.fences import Start
from sim.inner.gathering import Link
from sim.inner.hosts import Host
from sim.inner.hypervisor import BLANK, Hypervisor
from sim.inner.journals import Journals
from sim.inner.lookout import Lookout
from sim.inner.memory import Memory
from sim.inner.setting import Setting
from sim.inner.stores import Stores
from sim.inner.users import Users

if TYPE_CHECKING:
    from actors.compute.drivers.base import GuestState
    from protocol.cell_path import CellPath
    from protocol.journal import Journal
    from protocol.records import Record, ServerGroup
    from protocol.truth import Memory as MemoryTruth
    from sim.cases.layout import Layout
    from sim.cases.workload import Op
    from sim.faults import Plan
    from sim.inner.actors import Actor

#: What the image is made of that servers are made from.
IMAGE_CHUNK: Final = b"cellferry image "
IMAGE_BYTES: Final = 4096


class InnerWorld:
    """Everything there is."""

    def __init__(self, layout: Layout, *, seed: int, plan: Plan = (), history: type[History] = History) -> None:
        self.layout = layout
        self.setting = Setting(layout, seed=seed, plan=plan, history_of=history)
        self.history = self.setting.history
        self.injector = self.setting.injector
        self.agenda = self.setting.agenda
        self.stores = Stores.of(self.setting)
        self.actors: dict[Address, Actor] = {}
        self.store = Journals(self.history)
        self._orders = Memory()
        self._make_cells()
        self._make_partners()
        self._make_hosts()
        self._turn = 0
        self.conductors = [self.conductor(replica) for replica in layout.conductor_names]
        self.root.conductor_of = self.active_conductor
        for conductor in self.conductors:
            conductor.begin()
        self.users = Users(self.setting, layout.root, self.active_conductor)

    # --- making it ---------------------------------------------------------------------------------------------

    def _make_cells(self) -> None:
        layout = self.layout
        self.root = Cell(layout.root, self.setting, root=None)
        self.cells = {
            cell: self.root if cell == layout.root else Cell(cell, self.setting, root=self.root)
            for cell in layout.cells
        }
        self.links = {cell: Link(actor, self.setting) for cell, actor in self.cells.items()}
        for cell, link in self.links.items():
            link.children = tuple(self.links[child] for child in layout.children(cell))
        for actor in self.cells.values():
            self._enter(actor)

    def _make_partners(self) -> None:
        root, setting = self.layout.root, self.setting
        self.partners: dict[str, Actor] = {
            "image": ImageActor(root, setting, self.stores),
            "volume": RecordActor(root, "volume", setting, table.VOLUME),
            "network": RecordActor(root, "network", setting, table.NETWORK),
        }
        for actor in self.partners.values():
            self._enter(actor)

    def _make_hosts(self) -> None:
        self.hosts: dict[str, Host] = {}
        self.lookouts: dict[str, Lookout] = {}
        for name, cell in self.layout.hosts.items():
            hypervisor = Hypervisor(
                name, images=self.stores.images, volumes=self.stores.volumes, now_us=self.setting.now_us
            )
            host = Host(name, cell, self.setting, hypervisor=hypervisor, stores=self.stores)
            self.hosts[name] = host
            host.start = Start(host, self.root)
            self.lookouts[name] = Lookout(host, self.cells[cell])
            self._enter(host)
            moment = Moment(now_us=self.setting.now_us(), cell=str(cell), key="")
            changes, _ = apply((), AddHost.of(self.layout.host_record(name)), moment)
            self.cells[cell].rows.save(changes)
            self.root.rows.save(Changes(puts=(HostMapping(host=name, cell=str(cell)),)))

    def conductor(self, mailbox: str) -> Conductor:
        """Make a conductor; whether it takes anything over is for its process to say."""
        me = Address(self.layout.root, "conductor")
        made = Conductor(
            me, self.setting, name=f"{self.layout.root}/{mailbox}", journals=self.store, actors=self.actors,
            link=self.links[self.layout.root],
        )  # fmt: skip
        # All replicas have one database, with the inbox in it.
        made.memory = self._orders
        return made

    def active_conductor(self) -> Conductor:
        """Give the conductor that takes the next order: those that go take turns."""
        going = [each for each in self.conductors if each.process.is_going] or self.conductors
        self._turn += 1
        return going[self._turn % len(going)]

    def _enter(self, actor: Actor) -> None:
        self.actors[actor.me] = actor

    def add_image(self, name: str) -> None:
        """Put an image into the image store and register it."""
        self.users.sequence += 1
        content = (IMAGE_CHUNK * (IMAGE_BYTES // len(IMAGE_CHUNK) + 1))[:IMAGE_BYTES]
        self.stores.images[name] = BLANK
        row = Image(id=name, name=name, status="active", size_bytes=IMAGE_BYTES, sha256=sha256(content).hexdigest())
        self.partners["image"].rows.save(Changes(puts=(row,)))

    def add_volume(self, name: str, *, size_gb: int = 1) -> None:
        """Make and register a volume, on which is nothing but its name."""
        self.users.sequence += 1
        self.stores.volumes[name] = replace(BLANK, image=name)
        self.partners["volume"].rows.save(Changes(puts=(Volume(id=name, name=name, size_gb=size_gb),)))

    def add_group(self, group: ServerGroup) -> None:
        """Make a group of servers."""
        self.users.sequence += 1
        self.root.rows.save(Changes(puts=(group,)))

    # --- operators ---------------------------------------------------------------------------------------------

    def fence(self, host: str) -> None:
        """Have an operator fence a host whose machine is off."""
        self.root.carry_out(SetFence(host=host, user="operator"), self._operators_moment())

    def unfence(self, host: str) -> None:
        """Have an operator lift a host's fence."""
        self.root.carry_out(LiftFence(host=host, epoch=self.store.next_epoch()), self._operators_moment())

    def _operators_moment(self) -> Moment:
        return Moment(now_us=self.setting.now_us(), cell=str(self.layout.root), key="")

    # --- letting it run ----------------------------------------------------------------------------------------

    def place(self, op: Op) -> None:
        """Have a user carry an operation out, at its time."""
        self.users.carry_out(op)

    def run_for(self, seconds: float) -> None:
        """Let time pass."""
        self.agenda.run_until(self.agenda.now_ns + int(seconds * NS_PER_S))

    def run_until_quiet(self, limit_s: float, *, look_s: float = 1.0) -> float:
        """Let time pass until nothing is left to do, but no longer than that; tell how long it took."""
        begun_ns = self.agenda.now_ns
        until_ns = begun_ns + int(limit_s * NS_PER_S)
        while not self.is_quiet and self.agenda.now_ns < until_ns:
            self.agenda.run_until(min(until_ns, self.agenda.now_ns + int(look_s * NS_PER_S)))
        return (self.agenda.now_ns - begun_ns) / NS_PER_S

    @property
    def is_quiet(self) -> bool:
        """Tell whether nothing is left to do."""
        if self.store.open or self.users.waiting or any(cell.outbox for cell in self.cells.values()):
            return False
        if any(isinstance(row, HostFence) and row.lift_epoch is not None for row in self.root.rows.all(HostFence)):
            return False
        return not any(conductor.running for conductor in self.conductors)

    def forget(self) -> None:
        """Let go of what is large: what refers to itself in circles would stay until the garbage collector finds it."""
        self.history.lines.clear()
        self.history.listeners.clear()
        self.store.kept.clear()
        self.agenda.clear()
        for actor in self.actors.values():
            actor.forget()

    # --- the truth ---------------------------------------------------------------------------------------------

    def journals(self) -> dict[str, Journal]:
        """Give the journal of every conversation."""
        return {name: kept.journal for name, kept in self.store.kept.items()}

    def truth(self) -> Truth:
        """Tell everything that there is."""
        return Truth(
            root=self.layout.root,
            cells=tuple(self._cell_truth(cell, actor) for cell, actor in self.cells.items()),
            partners=self._partner_rows(),
            image_files=tuple(sorted(self.stores.images)),
            guests=tuple(
                _guest(name, host.cell, state) for name, host in self.hosts.items()
                for state in host.hypervisor.inspect()
            ),
            volumes=self._volumes(),
            conversations=self.store.truth(),
            memories=self._memories(),
        )  # fmt: skip

    def _cell_truth(self, cell: CellPath, actor: Cell) -> CellTruth:
        records = (*CELL_RECORDS, *(ROOT_RECORDS if actor is self.root else ()))
        return CellTruth(path=cell, rows=actor.rows.all(*records))

    def _partner_rows(self) -> tuple[Record, ...]:
        return tuple(row for name, records in PARTNERS.items() for row in self.partners[name].rows.all(*records))

    def _volumes(self) -> tuple[VolumeTruth, ...]:
        return tuple(
            VolumeTruth(
                volume=name,
                writer=self.stores.volumes[name].writer or None,
                counter=self.stores.volumes[name].counter,
                origin=self.stores.volumes[name].image,
            )
            for name in sorted(self.stores.volumes)
        )

    def _memories(self) -> tuple[MemoryTruth, ...]:
        cells = self.cells.values()
        others = (*self.partners.values(), *self.hosts.values())
        return (
            *(cell.memory.truth(cell.name, len(cell.outbox)) for cell in cells),
            *(actor.memory.truth(actor.name, 0) for actor in others),
        )


def _guest(host: str, cell: CellPath, state: GuestState) -> GuestTruth:
    witness = state.witness
    boots = witness.boots if witness else ()
    return GuestTruth(
        server=state.server, host=host, cell=cell, is_defined=state.is_defined,
        is_running=state.power.is_on, is_paused=state.power is Power.PAUSED,
        is_suspended=state.power is Power.SUSPENDED, has_disk=state.has_disk, has_spare_disk=state.has_spare,
        permit=state.permit, volumes=state.volumes, counter=witness.counter if witness else 0,
        boots=tuple(BootTruth(host=boot.host, permit=boot.permit, number=boot.number) for boot in boots),
        image=witness.image if witness else "",
    )  # fmt: skip
