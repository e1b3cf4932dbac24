"""What users do in a run: operations as values, which travel as JSON and are taken away one by one when shrinking."""

from enum import StrEnum
from typing import Final, assert_never

import attrs

from protocol.messages.changes import ChangeServer, ServerChange
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
from protocol.records import Flavor, ServerGroup
from protocol.states import Goal

IMAGE: Final = "cirros"
PROJECT: Final = "project"
TINY: Final = Flavor(name="m1.tiny", vcpus=1, memory_mb=512, disk_gb=1)
SMALL: Final = Flavor(name="m1.small", vcpus=1, memory_mb=2048, disk_gb=20)
ROOT_DEVICE: Final = "/dev/vda"


class Act(StrEnum):
    """What a user asks for."""

    CREATE = "create"
    RESIZE = "resize"
    MIGRATE = "migrate"
    CONFIRM = "confirm"
    REVERT = "revert"
    START = "start"
    STOP = "stop"
    REBOOT = "reboot"
    PAUSE = "pause"
    UNPAUSE = "unpause"
    SUSPEND = "suspend"
    RESUME = "resume"
    SOFT_DELETE = "soft_delete"
    RESTORE = "restore"
    ATTACH = "attach"
    DETACH = "detach"
    SWAP = "swap"
    DELETE = "delete"
    RENAME = "rename"
    LOCK = "lock"
    UNLOCK = "unlock"
    REPAIR = "repair"
    SNAPSHOT = "snapshot"
    BACKUP = "backup"
    REBUILD = "rebuild"
    LIVE_MIGRATE = "live_migrate"
    RESET_NETWORK = "reset_network"
    INJECT_NETWORK_INFO = "inject_network_info"


#: What users ask for: an order, which a conversation carries out, or a change of a record, which waits for none.
Wish = Order | ChangeServer

#: What waits for no conversation, and begins none.
CHANGES: Final = frozenset({Act.RENAME, Act.LOCK, Act.UNLOCK})
MOVES: Final = frozenset({Act.RESIZE, Act.MIGRATE, Act.CONFIRM, Act.REVERT})


@attrs.frozen(kw_only=True)
class Op:
    """One operation of one user on one server."""

    name: str
    act: Act
    server: str
    at_s: float = 0.0  # After the begin of the fault phase; with `after`: after that operation's conversation is over.
    after: str = ""  # The name of another operation.
    host: str = ""  # Of a create or a move: the host asked for; empty: any.
    volume: str = ""  # To attach, detach or swap; of a create: its data volume, if any.
    replacement: str = ""  # Of a swap: the other volume.
    device: str = "/dev/vdb"
    is_admin: bool = True  # Who asks is an administrator.
    is_volume_backed: bool = False  # Of a create: its root disk is the volume `root-SERVER`.
    bandwidth_kbps: int = 0  # Of a create: what its port is guaranteed.
    image: str = IMAGE  # Of a rebuild.
    rotation: int = 1  # Of a backup: how many are kept.
    backup_type: str = "daily"
    is_hard: bool = False  # Of a reboot.
    group: str = ""  # Of a create: the group whose servers are to be on different hosts.

    @property
    def request_id(self) -> str:
        """How actions and notifications name what the operation has set in motion."""
        return f"req-{self.name}"

    @property
    def image_made(self) -> str:
        """How the image is called that a snapshot or a backup makes: as the operation is."""
        return f"image-{self.name}"

    def wish(self) -> Wish:
        """Write the operation as what the conductor is asked; a rename gives the server the operation's own name."""
        if self.act not in CHANGES:
            return self.order()
        change = (
            ServerChange(name=self.name) if self.act is Act.RENAME else ServerChange(is_locked=self.act is Act.LOCK)
        )
        return ChangeServer(id=self.name, server=self.server, change=change, origin=self._origin("user"))

    def order(self, *, user: str = "user") -> Order:
        """Write the operation as the order that the conductor takes."""
        origin = self._origin(user)
        order: Order
        match self.act:
            case Act.CREATE:
                order = self._create(origin)
            case Act.RESIZE | Act.MIGRATE:
                flavor = SMALL if self.act is Act.RESIZE else None
                order = MoveServer(server=self.server, flavor=flavor, host=self.host or None, origin=origin)
            case Act.CONFIRM | Act.REVERT:
                order = SettleMove(server=self.server, goal=Goal(self.act.value), origin=origin)
            case (
                Act.START | Act.STOP | Act.REBOOT | Act.PAUSE | Act.UNPAUSE | Act.SUSPEND | Act.RESUME | Act.SOFT_DELETE
                | Act.RESTORE
            ):  # fmt: skip
                order = PowerServer(server=self.server, goal=Goal(self.act.value), origin=origin, is_hard=self.is_hard)
            case Act.ATTACH | Act.DETACH | Act.SWAP:
                order = ChangeVolume(
                    server=self.server, goal=Goal(self.act.value), volume=self.volume, origin=origin,
                    device=self.device if self.act is Act.ATTACH else "", replacement=self.replacement,
                )  # fmt: skip
            case Act.DELETE:
                order = DeleteServer(server=self.server, origin=origin)
            case (
                Act.SNAPSHOT | Act.BACKUP | Act.REBUILD | Act.LIVE_MIGRATE | Act.RESET_NETWORK | Act.INJECT_NETWORK_INFO
            ):
                order = self._of_its_host(origin)
            case Act.REPAIR:
                order = RepairServer(server=self.server, is_applied=True, has_disks=True, origin=origin)
            case Act.RENAME | Act.LOCK | Act.UNLOCK:
                raise AssertionError(f"to {self.act} is no order")
            case _:
                assert_never(self.act)
        return order

    def _origin(self, user: str) -> Origin:
        return Origin(request_id=self.request_id, user=user, project=PROJECT, is_admin=self.is_admin)

    def _of_its_host(self, origin: Origin) -> ImageServer | WireServer | RebuildServer | LiveMigrateServer:
        if self.act is Act.LIVE_MIGRATE:
            return LiveMigrateServer(server=self.server, host=self.host or None, origin=origin)
        if self.act is Act.REBUILD:
            return RebuildServer(server=self.server, image=self.image, origin=origin)
        if self.act in {Act.RESET_NETWORK, Act.INJECT_NETWORK_INFO}:
            return WireServer(server=self.server, goal=Goal(self.act.value), origin=origin)
        is_backup = self.act is Act.BACKUP
        return ImageServer(
            server=self.server, goal=Goal(self.act.value), image=self.image_made, name=self.name, origin=origin,
            backup_type=self.backup_type if is_backup else "", rotation=self.rotation if is_backup else 0,
        )  # fmt: skip

    def _create(self, origin: Origin) -> CreateServer:
        volumes = (NewVolume(volume=self.volume, device=self.device),) if self.volume else ()
        if self.is_volume_backed:
            volumes = (NewVolume(volume=f"root-{self.server}", device=ROOT_DEVICE, boot_index=0), *volumes)
        return CreateServer(
            server=self.server, name=self.server, flavor=TINY, image="" if self.is_volume_backed else IMAGE,
            volumes=volumes, host=self.host or None, origin=origin, group=self.group,
            bandwidth_kbps=self.bandwidth_kbps,
        )  # fmt: skip


def groups_of(ops: tuple[Op, ...]) -> tuple[ServerGroup, ...]:
    """Give every group that operations need, each once; its name is its id."""
    names = dict.fromkeys(op.group for op in ops if op.group)
    return tuple(ServerGroup(id=name, name=name, project=PROJECT) for name in names)


def volumes_of(ops: tuple[Op, ...]) -> tuple[str, ...]:
    """Name every volume that operations need, each once."""
    named = [volume for op in ops for volume in (op.volume, op.replacement) if volume]
    roots = [f"root-{op.server}" for op in ops if op.act is Act.CREATE and op.is_volume_backed]
    return tuple(dict.fromkeys([*roots, *named]))
