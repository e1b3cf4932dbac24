"""What a cell tells the root of its own record of a server: how it is, its faults and block devices, that it is gone.

Each carries how new it is: the generation and the version of the record.  Old news changes nothing, in whatever order,
how late and how often it comes.  They go straight to the root, and are kept until the root itself has answered.
"""

import attrs

from protocol.cell_path import Address, speaks_for
from protocol.records import Mirror, MirroredDevice, MirroredFault
from protocol.requests import Done, Method, Request, Role, Way


@attrs.frozen(kw_only=True)
class UpdateMirror(Request[Done]):
    """A cell tells the root how it has a server now."""

    METHOD = Method(name="update_mirror", at=Role.CELL, way=Way.UP, reference="instance_update_at_top")

    mirror: Mirror
    #: All its block devices, when the whole record is told again: what else is known of them is gone.
    devices: tuple[str, ...] | None = None

    def may_come_from(self, source: Address) -> bool:
        """A cell tells how it has a server itself, not how others have it."""
        return speaks_for(source, self.mirror.cell)


@attrs.frozen(kw_only=True)
class DestroyMirror(Request[Done]):
    """A cell tells the root that it has no record of a server any more: nothing older revives it."""

    METHOD = Method(name="destroy_mirror", at=Role.CELL, way=Way.UP, reference="instance_destroy_at_top")

    server: str
    cell: str
    generation: int
    version: int

    def may_come_from(self, source: Address) -> bool:
        """A cell tells of its own record."""
        return speaks_for(source, self.cell)


@attrs.frozen(kw_only=True)
class TellFault(Request[Done]):
    """A cell tells the root why something done to a server has failed."""

    METHOD = Method(name="tell_fault", at=Role.CELL, way=Way.UP, reference="instance_fault_create_at_top")

    fault: MirroredFault

    def may_come_from(self, source: Address) -> bool:
        """A cell tells of its own record."""
        return speaks_for(source, self.fault.cell)


@attrs.frozen(kw_only=True)
class TellDevice(Request[Done]):
    """A cell tells the root of a block device.

    `create` is true: only if it is not known; false: only if it, or one of its name, or of its volume, is known; None:
    either way.
    """

    METHOD = Method(name="tell_device", at=Role.CELL, way=Way.UP, reference="bdm_update_or_create_at_top")

    device: MirroredDevice
    create: bool | None = None

    def may_come_from(self, source: Address) -> bool:
        """A cell tells of its own record."""
        return speaks_for(source, self.device.cell)


@attrs.frozen(kw_only=True)
class TellDeviceGone(Request[Done]):
    """A cell tells the root that a server has a block device no more: the one of this id, else name, else volume."""

    METHOD = Method(name="tell_device_gone", at=Role.CELL, way=Way.UP, reference="bdm_destroy_at_top")

    server: str
    cell: str
    generation: int
    version: int
    id: str = ""
    device: str = ""
    volume: str = ""

    def may_come_from(self, source: Address) -> bool:
        """A cell tells of its own record."""
        return speaks_for(source, self.cell)


@attrs.frozen(kw_only=True)
class NoteMissing(Request[Done]):
    """A cell that was asked has no record of a server: it is shown as missing, or forgotten if it has moved away."""

    METHOD = Method(name="note_missing", at=Role.CELL, way=Way.NONE, is_routine=True)

    server: str
    cell: str
    generation: int
    version: int
