"""What is kept: one frozen class for each table, by who owns it."""

from protocol.records.base import Flavor, KeyPair, MigrationContext, Record
from protocol.records.cell import (
    ActionEvent,
    Allocation,
    BlockDevice,
    Claim,
    DeletedServer,
    Fault,
    Host,
    Migration,
    Notification,
    Server,
    ServerAction,
)
from protocol.records.consoles import Bandwidth, BandwidthUse, ConsoleGrant, ConsoleToken
from protocol.records.hosts import HeldPermit
from protocol.records.partners import Attachment, Image, Port, PortBinding, Volume
from protocol.records.root import (
    VERSIONS_MAX,
    GroupPlace,
    HostFence,
    HostMapping,
    Mapping,
    Mirror,
    MirroredDevice,
    MirroredFault,
    OwedAct,
    Permit,
    Quota,
    RequestSpec,
    ServerGroup,
)
from protocol.records.services import Service, TaskLog
from protocol.records.tree import Amounts, Capabilities, Capacities, CellFreeze, CellProfile, Neighbour, Size

__all__ = [
    "CELL_RECORDS",
    "HOST_RECORDS",
    "PARTNER_RECORDS",
    "PARTS",
    "RECORDS",
    "ROOT_RECORDS",
    "VERSIONS_MAX",
    "ActionEvent",
    "Allocation",
    "Amounts",
    "Attachment",
    "Bandwidth",
    "BandwidthUse",
    "BlockDevice",
    "Capabilities",
    "Capacities",
    "CellFreeze",
    "CellProfile",
    "Claim",
    "ConsoleGrant",
    "ConsoleToken",
    "DeletedServer",
    "Fault",
    "Flavor",
    "GroupPlace",
    "HeldPermit",
    "Host",
    "HostFence",
    "HostMapping",
    "Image",
    "KeyPair",
    "Mapping",
    "Migration",
    "MigrationContext",
    "Mirror",
    "MirroredDevice",
    "MirroredFault",
    "Neighbour",
    "Notification",
    "OwedAct",
    "Part",
    "Permit",
    "Port",
    "PortBinding",
    "Quota",
    "Record",
    "RequestSpec",
    "Server",
    "ServerAction",
    "ServerGroup",
    "Service",
    "Size",
    "TaskLog",
    "Volume",
]

#: What one cell's record of a server has beside its row.
Part = BlockDevice | Migration | ServerAction | ActionEvent | Fault
PARTS: tuple[type[Part], ...] = (BlockDevice, Migration, ServerAction, ActionEvent, Fault)
CELL_RECORDS: tuple[type[Record], ...] = (
    Server, *PARTS, DeletedServer, Notification, Host, Allocation, Claim, Service, TaskLog, ConsoleToken, BandwidthUse,
    CellProfile, CellFreeze, Neighbour,
)  # fmt: skip
ROOT_RECORDS: tuple[type[Record], ...] = (
    Mapping, Permit, RequestSpec, HostMapping, HostFence, OwedAct, Mirror, MirroredDevice, MirroredFault, Quota,
    ServerGroup, GroupPlace, ConsoleGrant, Bandwidth,
)  # fmt: skip
PARTNER_RECORDS: tuple[type[Record], ...] = (Image, Volume, Attachment, Port, PortBinding)
HOST_RECORDS: tuple[type[Record], ...] = (HeldPermit,)
RECORDS: tuple[type[Record], ...] = (*CELL_RECORDS, *ROOT_RECORDS, *PARTNER_RECORDS, *HOST_RECORDS)
