"""What is kept: one frozen class for each table, by who owns it."""

from protocol.records.base import Flavor, KeyPair, MigrationContext, Record
from protocol.records.cell import (
    ActionEvent,
    Allocation,
    BlockDevice,
    Claim,
    Fault,
    Host,
    Migration,
    Notification,
    Server,
    ServerAction,
)
from protocol.records.hosts import HeldPermit
from protocol.records.partners import Attachment, Image, Port, PortBinding, Volume
from protocol.records.root import (
    GroupPlace,
    HostFence,
    HostMapping,
    Mapping,
    Mirror,
    OwedAct,
    Permit,
    Quota,
    RequestSpec,
    ServerGroup,
)

__all__ = [
    "CELL_RECORDS",
    "HOST_RECORDS",
    "PARTNER_RECORDS",
    "RECORDS",
    "ROOT_RECORDS",
    "ActionEvent",
    "Allocation",
    "Attachment",
    "BlockDevice",
    "Claim",
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
    "Notification",
    "OwedAct",
    "Permit",
    "Port",
    "PortBinding",
    "Quota",
    "Record",
    "RequestSpec",
    "Server",
    "ServerAction",
    "ServerGroup",
    "Volume",
]

CELL_RECORDS: tuple[type[Record], ...] = (
    Server, BlockDevice, Migration, ServerAction, ActionEvent, Fault, Notification, Host, Allocation, Claim,
)  # fmt: skip
ROOT_RECORDS: tuple[type[Record], ...] = (
    Mapping, Permit, RequestSpec, HostMapping, HostFence, OwedAct, Mirror, Quota, ServerGroup, GroupPlace,
)  # fmt: skip
PARTNER_RECORDS: tuple[type[Record], ...] = (Image, Volume, Attachment, Port, PortBinding)
HOST_RECORDS: tuple[type[Record], ...] = (HeldPermit,)
RECORDS: tuple[type[Record], ...] = (*CELL_RECORDS, *ROOT_RECORDS, *PARTNER_RECORDS, *HOST_RECORDS)
