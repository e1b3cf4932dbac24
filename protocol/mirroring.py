"""What a cell's record of a server is to the root: rows of the mirror made of rows of the cell.  Pure.

Not told are what the root has itself (ports are its network actor's), and what only the cell needs: sizes and zones
from before an open move, keys, whether the record is hidden (the mapping says which one is shown) or sealed.
"""

from collections.abc import Iterable
from typing import Final

from protocol.records import BlockDevice, Fault, Mapping, Mirror, MirroredDevice, MirroredFault, Server
from protocol.states import PowerState

#: So many faults of a server are in the mirror, the newest ones; all of them are in its own cell.
FAULTS_MAX: Final = 10
#: So many block devices of a server are remembered that are gone, before that is only known as a whole.
DEVICES_GONE_MAX: Final = 32


def mirror_of(server: Server, cell: str) -> Mirror:
    """Tell how a cell has a server."""
    return Mirror(
        server=server.uuid, cell=cell, generation=server.generation, version=server.version, name=server.name,
        vm_state=server.vm_state, task_state=server.task_state, power_state=server.power_state, host=server.host,
        flavor=server.flavor.name, project=server.project, user=server.user, image=server.image,
        availability_zone=server.availability_zone, is_locked=server.is_locked, metadata=server.metadata,
        tags=server.tags, copied_at=server.copied_at, created_at_us=server.created_at_us,
        updated_at_us=server.updated_at_us,
    )  # fmt: skip


def mirrored_device(device: BlockDevice, server: Server, cell: str) -> MirroredDevice:
    """Tell of a block device, as it is in this version of its server's record."""
    return MirroredDevice(
        id=device.id, server=server.uuid, cell=cell, generation=server.generation, version=server.version,
        volume=device.volume, attachment=device.attachment, device=device.device, boot_index=device.boot_index,
    )  # fmt: skip


def mirrored_fault(fault: Fault, server: Server, cell: str) -> MirroredFault:
    """Tell of a fault."""
    return MirroredFault(
        id=fault.id, server=server.uuid, cell=cell, generation=server.generation, version=server.version,
        code=fault.code, message=fault.message, created_at_us=fault.created_at_us,
    )  # fmt: skip


def unheard(mapping: Mapping) -> Mirror:
    """Give what is shown of a server that the root knows of, and of which its home has told nothing that is left."""
    return Mirror(
        server=mapping.server, cell=mapping.cell or "", generation=mapping.generation, version=-1, name="",
        vm_state=None, task_state=None, power_state=PowerState.NOSTATE, host=None, flavor="", project=mapping.project,
    )  # fmt: skip


def shown(mapping: Mapping, mirror: Mirror | None) -> Mirror:
    """Give what a listing shows of a server that has a home; it is never left out."""
    return unheard(mapping) if mirror is None or mirror.is_gone else mirror


def newest_faults(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    """Choose the faults that the mirror has."""
    return tuple(sorted(faults, key=lambda fault: (fault.created_at_us, fault.id))[-FAULTS_MAX:])
