"""Collects the truth of a deployment: from its stores, its hosts' disks and processes, and its partners' files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio
import attrs

from actors.compute.drivers.base import Power
from actors.store import truth as stored
from protocol.cell_path import Address, CellPath, host_mailbox
from protocol.records import CELL_RECORDS, ROOT_RECORDS, Attachment, Image, Port, PortBinding, Record, Volume
from protocol.truth import (
    BootTruth,
    CallTruth,
    CellTruth,
    ConversationTruth,
    GatherTruth,
    GuestTruth,
    Memory,
    Truth,
    VolumeTruth,
    Witnessed,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from actors.compute.drivers.base import GuestState
    from actors.kernel.ports import Store
    from actors.partners.ports import ImageFiles

REST_S_MAX: Final = 30.0
POLL_S: Final = 0.05
PARTNERS: Mapping[str, tuple[type[Record], ...]] = {
    "image": (Image,),
    "volume": (Volume, Attachment),
    "network": (Port, PortBinding),
}


@attrs.frozen(kw_only=True)
class ObservedHost:
    """A compute host: its cell, its store, and a look at its hypervisor."""

    cell: CellPath
    store: Store
    inspect: Callable[[], tuple[GuestState, ...]]


@attrs.frozen(kw_only=True)
class Observed:
    """Where the truth of a deployment is."""

    root: CellPath
    cells: Mapping[CellPath, Store]
    partners: Mapping[str, Store]  # By name: image, volume, network.
    conductor: Store
    hosts: Mapping[str, ObservedHost]
    images: ImageFiles
    read_volume: Callable[[str], VolumeTruth]
    calls: Callable[[], tuple[CallTruth, ...]]  # Of those actors that run in this process.


async def collect(
    observed: Observed,
    *,
    witnessed: tuple[Witnessed, ...] = (),
    gathers: tuple[GatherTruth, ...] = (),
) -> Truth:
    """Read everything there is."""
    partners = await _partners(observed)
    volumes = tuple(observed.read_volume(row.id) for row in partners if isinstance(row, Volume))
    return Truth(
        root=observed.root,
        cells=await _cells(observed),
        partners=partners,
        image_files=await observed.images.names(),
        guests=_guests(observed),
        volumes=volumes,
        conversations=await _conversations(observed),
        memories=await _memories(observed),
        gathers=gathers,
        calls=observed.calls(),
        witnessed=witnessed,
    )


async def at_rest(read: Callable[[], Awaitable[Truth]], *, within_s: float = REST_S_MAX) -> Truth:
    """Read the truth when nothing is under way any more, or when that takes too long: then it is to be seen there.

    Stores are read one after another, so a message may leave one that is still to be read for one that has been:
    only what two readings agree on, and neither of them sees wait, is of one instant.
    """
    truth = await read()
    with anyio.move_on_after(within_s):
        while True:
            earlier, truth = truth, await read()
            if _is_still(truth) and _of_stores(earlier) == _of_stores(truth):
                break
            await anyio.sleep(POLL_S)
    return truth


def _is_still(truth: Truth) -> bool:
    return not any(memory.waiting for memory in truth.memories)


def _of_stores(truth: Truth) -> tuple[object, ...]:
    # Guests count on for as long as they run.
    return truth.cells, truth.partners, truth.conversations, truth.memories


async def _cells(observed: Observed) -> tuple[CellTruth, ...]:
    found = []
    for path, store in observed.cells.items():
        records = (*CELL_RECORDS, *(ROOT_RECORDS if path == observed.root else ()))
        found.append(CellTruth(path=path, rows=await store.transact(stored.all_rows, records)))
    return tuple(found)


async def _partners(observed: Observed) -> tuple[Record, ...]:
    found: list[Record] = []
    for name, records in PARTNERS.items():
        found.extend(await observed.partners[name].transact(stored.all_rows, records))
    return tuple(found)


async def _conversations(observed: Observed) -> tuple[ConversationTruth, ...]:
    return await observed.conductor.transact(stored.conversations)


async def _memories(observed: Observed) -> tuple[Memory, ...]:
    stores = {
        **{str(Address(path, "cell")): store for path, store in observed.cells.items()},
        **{str(Address(observed.root, name)): store for name, store in observed.partners.items()},
        **{str(Address(host.cell, host_mailbox(name))): host.store for name, host in observed.hosts.items()},
    }
    return tuple([await store.transact(stored.memory, actor) for actor, store in stores.items()])


def _guests(observed: Observed) -> tuple[GuestTruth, ...]:
    return tuple(_guest(name, host.cell, state) for name, host in observed.hosts.items() for state in host.inspect())


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
