"""Effects on the root's mirror: what cells tell of their records, in any order, late and more than once.

Each row carries how new it is, and what is older changes nothing.  What is gone leaves a tombstone, so that nothing
older revives it, until nothing older is taken any more: when the mapping has gone on to a later generation, of which
the cell that tells is not, or is itself gone.  News of a generation that is not committed yet is kept: it is shown as
soon as the mapping names its cell.
"""

from typing import Final

import attrs

from protocol.draft import Draft, Need, need
from protocol.effects.registry import Moment, effect
from protocol.messages import mirror as say
from protocol.messages import root
from protocol.mirroring import DEVICES_GONE_MAX, FAULTS_MAX, shown, unheard
from protocol.records import VERSIONS_MAX, Mapping, Mirror, MirroredDevice, MirroredFault
from protocol.requests import Done
from protocol.states import PowerState

Part = MirroredDevice | MirroredFault
PARTS: Final[tuple[type[Part], ...]] = (MirroredDevice, MirroredFault)
News = Mirror | MirroredDevice | MirroredFault


def told_of(server: str) -> tuple[Need, ...]:
    """Need all that cells have told of a server."""
    return tuple(need(kind, server=server) for kind in (Mirror, *PARTS))


def forget(draft: Draft, server: str) -> None:
    """Forget all that cells have told of a server."""
    for kind in (Mirror, *PARTS):
        for row in draft.all(kind, server=server):
            draft.drop(row)


def forget_parts(draft: Draft, server: str, cell: str, rank: int | None = None) -> None:
    """Forget faults and block devices of a record that is gone: up to the news that says so, or (None) all.

    What is newer is of the next record in that cell, and has overtaken the news of it.
    """
    for kind in PARTS:
        for row in draft.all(kind, server=server, cell=cell):
            if rank is None or row.rank <= rank:
                draft.drop(row)


def forget_behind(draft: Draft, mapping: Mapping) -> None:
    """Forget the tombstones behind the mapping's generation: nothing older is taken from there any more."""
    for row in draft.all(Mirror, server=mapping.server):
        if row.is_gone and row.generation < mapping.generation:
            draft.drop(row)


def _is_late(draft: Draft, server: str, cell: str, rank: int) -> bool:
    """Tell whether news is of a record that is known to be gone, or of a server that is gone or never came to be."""
    mapping = draft.find(Mapping, server=server)
    if mapping is None:
        return True
    known = draft.find(Mirror, server=server, cell=cell)
    if known is None:
        return rank < mapping.generation * VERSIONS_MAX
    return rank <= known.rank if known.is_gone else rank < known.copied_at


# --- a server ----------------------------------------------------------------------------------------------


def _mirrored(command: say.UpdateMirror) -> tuple[Need, ...]:
    server = command.mirror.server
    return *told_of(server), need(Mapping, server=server)


@effect(say.UpdateMirror, _mirrored)
def _update(draft: Draft, command: say.UpdateMirror, _: Moment) -> Done:
    news = command.mirror
    if _is_late(draft, news.server, news.cell, news.rank):
        return Done()
    known = draft.find(Mirror, server=news.server, cell=news.cell)
    if known is not None and news.rank < known.rank:
        return Done()
    since = max(known.devices_since if known else 0, news.devices_since)
    draft.put(attrs.evolve(news, devices_since=since, is_gone=False, is_missing=False))
    for part in (row for kind in PARTS for row in draft.all(kind, server=news.server, cell=news.cell)):
        if part.rank < news.copied_at:
            draft.drop(part)
    if command.devices is not None:
        for device in draft.all(MirroredDevice, server=news.server, cell=news.cell):
            if device.id not in command.devices and device.rank < news.rank and not device.is_gone:
                _bury(draft, attrs.evolve(device, generation=news.generation, version=news.version))
    return Done()


@effect(say.DestroyMirror, lambda command: (*told_of(command.server), need(Mapping, server=command.server)))
def _destroy(draft: Draft, command: say.DestroyMirror, _: Moment) -> Done:
    rank = command.generation * VERSIONS_MAX + command.version
    mapping = draft.find(Mapping, server=command.server)
    known = draft.find(Mirror, server=command.server, cell=command.cell)
    if mapping is None or (known is not None and (rank < known.rank or (known.is_gone and rank == known.rank))):
        return Done()
    # Also when the record was never heard of, and it is too late for that: its parts may have been.
    forget_parts(draft, command.server, command.cell, rank)
    if command.generation < mapping.generation:
        # Nothing older is taken from that cell once there is no row of it.
        if known is not None:
            draft.drop(known)
        return Done()
    draft.put(
        Mirror(
            server=command.server, cell=command.cell, generation=command.generation, version=command.version, name="",
            vm_state=None, task_state=None, power_state=PowerState.NOSTATE, host=None, flavor="", is_gone=True,
        )
    )  # fmt: skip
    return Done()


@effect(say.NoteMissing, lambda command: (*told_of(command.server), need(Mapping, server=command.server)))
def _note_missing(draft: Draft, command: say.NoteMissing, _: Moment) -> Done:
    mapping = draft.find(Mapping, server=command.server)
    if mapping is None or mapping.conversation is not None or mapping.debt is not None:
        # Whoever has it knows more; when it is let go, it is asked for again.
        return Done()
    known = draft.find(Mirror, server=command.server, cell=command.cell)
    if mapping.cell == command.cell:
        row = known or unheard(mapping)
        if (row.generation, row.version) == (command.generation, command.version):
            # Never dropped: what has a home is listed, and can be deleted.
            draft.put(attrs.evolve(row, is_missing=True))
    elif known is not None and (known.generation, known.version) == (command.generation, command.version):
        forget_parts(draft, command.server, command.cell, known.rank)
        if known.generation < mapping.generation:
            draft.drop(known)
        else:
            draft.put(attrs.evolve(known, is_gone=True))
    return Done()


# --- its faults and block devices --------------------------------------------------------------------------


def _of_fault(command: say.TellFault) -> tuple[Need, ...]:
    server = command.fault.server
    return need(Mirror, server=server), need(MirroredFault, server=server), need(Mapping, server=server)


@effect(say.TellFault, _of_fault)
def _tell_fault(draft: Draft, command: say.TellFault, _: Moment) -> Done:
    fault = command.fault
    if _is_late(draft, fault.server, fault.cell, fault.rank):
        return Done()
    known = draft.all(MirroredFault, server=fault.server, cell=fault.cell)
    # Once written it never changes: only how new the record is of which it was last heard.
    older = next((row for row in known if row.id == fault.id and row.rank > fault.rank), None)
    draft.put(older or fault)
    rows = draft.all(MirroredFault, server=fault.server, cell=fault.cell)
    for row in sorted(rows, key=lambda row: (row.created_at_us, row.id))[:-FAULTS_MAX]:
        draft.drop(row)
    return Done()


def _of_device(server: str) -> tuple[Need, ...]:
    return need(Mirror, server=server), need(MirroredDevice, server=server), need(Mapping, server=server)


@effect(say.TellDevice, lambda command: _of_device(command.device.server))
def _tell_device(draft: Draft, command: say.TellDevice, _: Moment) -> Done:
    news = command.device
    known = draft.all(MirroredDevice, server=news.server, cell=news.cell)
    own = next((row for row in known if row.id == news.id), None)
    if command.create is False and own is None:
        # As Nova has it: by the device's name, and else by its volume.
        there = [row for row in known if not row.is_gone]
        own = next((row for row in there if row.device == news.device), None)
        own = own or next((row for row in there if row.volume == news.volume), None)
        if own is None:
            return Done()
        news = attrs.evolve(news, id=own.id)
    if command.create and own is not None and not own.is_gone:
        return Done()
    if _is_device_late(draft, news, own):
        return Done()
    draft.put(attrs.evolve(news, is_gone=False))
    return Done()


def _is_device_late(draft: Draft, news: MirroredDevice, own: MirroredDevice | None) -> bool:
    if _is_late(draft, news.server, news.cell, news.rank):
        return True
    if own is not None:
        return news.rank < own.rank or (own.is_gone and news.rank == own.rank)
    mirror = draft.find(Mirror, server=news.server, cell=news.cell)
    return mirror is not None and news.rank <= mirror.devices_since


@effect(say.TellDeviceGone, lambda command: _of_device(command.server))
def _tell_device_gone(draft: Draft, command: say.TellDeviceGone, _: Moment) -> Done:
    rank = command.generation * VERSIONS_MAX + command.version
    if _is_late(draft, command.server, command.cell, rank):
        return Done()
    for row in _named(draft, command):
        if row.rank <= rank:
            _bury(draft, attrs.evolve(row, generation=command.generation, version=command.version))
    return Done()


def _named(draft: Draft, command: say.TellDeviceGone) -> tuple[MirroredDevice, ...]:
    """Find what is gone: by its id (it may not have been heard of yet), else by its name, else by its volume."""
    rows = draft.all(MirroredDevice, server=command.server, cell=command.cell)
    if command.id:
        unknown = MirroredDevice(
            id=command.id, server=command.server, cell=command.cell, generation=command.generation,
            version=command.version, volume=command.volume, attachment="", device=command.device,
        )  # fmt: skip
        return tuple(row for row in rows if row.id == command.id) or (unknown,)
    if command.device:
        return tuple(row for row in rows if row.device == command.device and not row.is_gone)
    return tuple(row for row in rows if row.volume == command.volume and not row.is_gone)


def _bury(draft: Draft, row: MirroredDevice) -> None:
    """Remember that a block device is gone; of too many that are, only that all up to some time are."""
    draft.put(attrs.evolve(row, is_gone=True))
    rows = draft.all(MirroredDevice, server=row.server, cell=row.cell)
    gone = sorted((each for each in rows if each.is_gone), key=lambda each: (each.rank, each.id))
    mirror = draft.find(Mirror, server=row.server, cell=row.cell)
    if mirror is None:
        return
    for each in gone[:-DEVICES_GONE_MAX]:
        mirror = draft.put(attrs.evolve(mirror, devices_since=max(mirror.devices_since, each.rank)))
        draft.drop(each)


# --- listing -----------------------------------------------------------------------------------------------


@effect(root.ListServers, lambda _: (need(Mapping), need(Mirror)))
def _list(draft: Draft, _: root.ListServers, __: Moment) -> root.ServerList:
    mirrors = {(mirror.server, mirror.cell): mirror for mirror in draft.all(Mirror)}
    homes = (mapping for mapping in draft.all(Mapping) if mapping.cell is not None)
    return root.ServerList(
        servers=tuple(shown(mapping, mirrors.get((mapping.server, str(mapping.cell)))) for mapping in homes)
    )
