"""What the cell that has a server is asked to have done with it: it hands the order on, to the conductor.

The cell knows whether it has the server; who has it for what is decided where it always is, by the conductor and the
root's mapping.  So a cell passes each order up, exactly once, and answers which conversation will carry it out.
"""

from abc import ABC, abstractmethod
from typing import Any, Final

import attrs

from protocol.bodies import tag_union
from protocol.messages.changes import ServerChange
from protocol.messages.orders import (
    ChangeVolume,
    DeleteServer,
    ImageServer,
    LiveMigrateServer,
    MoveServer,
    PowerServer,
    RebuildServer,
    SettleMove,
    WireServer,
)
from protocol.messages.servers import Origin
from protocol.records import Flavor
from protocol.requests import Form, Method, Request, Role
from protocol.states import Goal

#: What a cell may be asked to hand on; nothing else is an order about a server that is there.
Asked = (
    MoveServer | SettleMove | PowerServer | ChangeVolume | DeleteServer | RebuildServer | ImageServer
    | LiveMigrateServer | WireServer
)  # fmt: skip
tag_union(Asked, lambda order: order.METHOD.name)


@attrs.frozen(kw_only=True)
class Handed:
    """The order is on its way; `conversation` is the one that carries it out, or tells why it may not be."""

    conversation: str
    server: str


@attrs.frozen(kw_only=True)
class Ask(Request[Handed], ABC):
    """Base of what a server's cell is asked: each stands for one order."""

    server: str
    origin: Origin

    def __attrs_post_init__(self) -> None:
        """Refuse at once what the order itself would."""
        _ = self.order

    @property
    @abstractmethod
    def order(self) -> Asked:
        """The order that it stands for."""


def _asked(name: str, reference: str) -> Method:
    return Method(name=name, at=Role.CELL, reference=reference, is_idempotent=False)


@attrs.frozen(kw_only=True)
class AskOrder(Request[Handed]):
    """Have any order about a server carried out, of those that a cell may be asked for."""

    METHOD = _asked("ask_order", "run_compute_api_method")

    order: Asked

    @property
    def server(self) -> str:
        """The server that it is about."""
        return self.order.server


@attrs.frozen(kw_only=True)
class AskStart(Ask):
    """Start a server that is at home in this cell."""

    METHOD = _asked("ask_start", "start_instance")

    @property
    def order(self) -> PowerServer:
        """The order that it stands for."""
        return PowerServer(server=self.server, goal=Goal.START, origin=self.origin)


@attrs.frozen(kw_only=True)
class AskStop(Ask):
    """Stop a server that is at home in this cell."""

    METHOD = _asked("ask_stop", "stop_instance")

    @property
    def order(self) -> PowerServer:
        """The order that it stands for."""
        return PowerServer(server=self.server, goal=Goal.STOP, origin=self.origin)


@attrs.frozen(kw_only=True)
class AskReboot(Ask):
    """Reboot a server that is at home in this cell; a hard reboot starts one that is stopped, too."""

    METHOD = _asked("ask_reboot", "reboot_instance")

    is_hard: bool = False

    @property
    def order(self) -> PowerServer:
        """The order that it stands for."""
        return PowerServer(server=self.server, goal=Goal.REBOOT, origin=self.origin, is_hard=self.is_hard)


@attrs.frozen(kw_only=True)
class AskSuspend(Ask):
    """Suspend a server that is at home in this cell."""

    METHOD = _asked("ask_suspend", "suspend_instance")

    @property
    def order(self) -> PowerServer:
        """The order that it stands for."""
        return PowerServer(server=self.server, goal=Goal.SUSPEND, origin=self.origin)


@attrs.frozen(kw_only=True)
class AskResume(Ask):
    """Have a suspended server go on that is at home in this cell."""

    METHOD = _asked("ask_resume", "resume_instance")

    @property
    def order(self) -> PowerServer:
        """The order that it stands for."""
        return PowerServer(server=self.server, goal=Goal.RESUME, origin=self.origin)


@attrs.frozen(kw_only=True)
class AskPause(Ask):
    """Pause a server that is at home in this cell."""

    METHOD = _asked("ask_pause", "pause_instance")

    @property
    def order(self) -> PowerServer:
        """The order that it stands for."""
        return PowerServer(server=self.server, goal=Goal.PAUSE, origin=self.origin)


@attrs.frozen(kw_only=True)
class AskUnpause(Ask):
    """Have a paused server go on that is at home in this cell."""

    METHOD = _asked("ask_unpause", "unpause_instance")

    @property
    def order(self) -> PowerServer:
        """The order that it stands for."""
        return PowerServer(server=self.server, goal=Goal.UNPAUSE, origin=self.origin)


@attrs.frozen(kw_only=True)
class AskSoftDelete(Ask):
    """Delete a server that is at home in this cell so that it can be restored for a while."""

    METHOD = _asked("ask_soft_delete", "soft_delete_instance")

    @property
    def order(self) -> PowerServer:
        """The order that it stands for."""
        return PowerServer(server=self.server, goal=Goal.SOFT_DELETE, origin=self.origin)


@attrs.frozen(kw_only=True)
class AskResize(Ask):
    """Resize a server that is at home in this cell to another flavor, on the named or any other host."""

    METHOD = _asked("ask_resize", "resize_instance")

    flavor: Flavor
    host: str | None = None

    @property
    def order(self) -> MoveServer:
        """The order that it stands for."""
        return MoveServer(server=self.server, flavor=self.flavor, host=self.host, origin=self.origin)


@attrs.frozen(kw_only=True)
class AskConfirm(Ask):
    """Confirm the move of a server that is at home in this cell."""

    METHOD = _asked("ask_confirm", "confirm_resize")

    @property
    def order(self) -> SettleMove:
        """The order that it stands for."""
        return SettleMove(server=self.server, goal=Goal.CONFIRM, origin=self.origin)


@attrs.frozen(kw_only=True)
class AskRevert(Ask):
    """Revert the move of a server that is at home in this cell."""

    METHOD = _asked("ask_revert", "revert_resize")

    @property
    def order(self) -> SettleMove:
        """The order that it stands for."""
        return SettleMove(server=self.server, goal=Goal.REVERT, origin=self.origin)


@attrs.frozen(kw_only=True)
class AskDelete(Ask):
    """Delete a server that is at home in this cell, whatever is being done to it."""

    METHOD = _asked("ask_delete", "terminate_instance")

    @property
    def order(self) -> DeleteServer:
        """The order that it stands for."""
        return DeleteServer(server=self.server, origin=self.origin)


@attrs.frozen(kw_only=True)
class AskRebuild(Ask):
    """Make the root disk of a server that is at home in this cell anew from an image."""

    METHOD = _asked("ask_rebuild", "rebuild_instance")

    image: str
    change: ServerChange = attrs.field(factory=ServerChange)  # Of its record, when it is done.
    preserve_ephemeral: bool = False

    @property
    def order(self) -> RebuildServer:
        """The order that it stands for."""
        return RebuildServer(
            server=self.server, image=self.image, origin=self.origin, change=self.change,
            preserve_ephemeral=self.preserve_ephemeral,
        )  # fmt: skip


@attrs.frozen(kw_only=True)
class AskSnapshot(Ask):
    """Make an image of the root disk of a server that is at home in this cell."""

    METHOD = _asked("ask_snapshot", "snapshot_instance")

    image: str  # Its id: there must be none yet.
    name: str

    @property
    def order(self) -> ImageServer:
        """The order that it stands for."""
        return ImageServer(server=self.server, goal=Goal.SNAPSHOT, image=self.image, name=self.name, origin=self.origin)


@attrs.frozen(kw_only=True)
class AskBackup(Ask):
    """Make an image of a server that is at home in this cell, and keep `rotation` of its type only."""

    METHOD = _asked("ask_backup", "backup_instance")

    image: str  # Its id: there must be none yet.
    name: str
    backup_type: str  # Such as `daily`.
    rotation: int

    @property
    def order(self) -> ImageServer:
        """The order that it stands for."""
        return ImageServer(
            server=self.server, goal=Goal.BACKUP, image=self.image, name=self.name, origin=self.origin,
            backup_type=self.backup_type, rotation=self.rotation,
        )  # fmt: skip


@attrs.frozen(kw_only=True)
class AskLiveMigrate(Ask):
    """Move a server that runs in this cell to the named host of it, or any other one, without a stop."""

    METHOD = _asked("ask_live_migrate", "live_migrate_instance")

    host: str | None = None

    @property
    def order(self) -> LiveMigrateServer:
        """The order that it stands for."""
        return LiveMigrateServer(server=self.server, host=self.host, origin=self.origin)


@attrs.frozen(kw_only=True)
class AskResetNetwork(Ask):
    """Have the host of a server that is at home in this cell apply its ports again."""

    METHOD = _asked("ask_reset_network", "reset_network")

    @property
    def order(self) -> WireServer:
        """The order that it stands for."""
        return WireServer(server=self.server, goal=Goal.RESET_NETWORK, origin=self.origin)


@attrs.frozen(kw_only=True)
class AskInjectNetworkInfo(Ask):
    """Have the guest of a server that is at home in this cell told of its ports."""

    METHOD = _asked("ask_inject_network_info", "inject_network_info")

    @property
    def order(self) -> WireServer:
        """The order that it stands for."""
        return WireServer(server=self.server, goal=Goal.INJECT_NETWORK_INFO, origin=self.origin)


@attrs.frozen(kw_only=True)
class HandedIfHere:
    """The conversation that an order was handed on for; None: the server is not at home in this cell."""

    conversation: str | None = None


@attrs.frozen(kw_only=True)
class DeleteEverywhere(Request[HandedIfHere]):
    """Have a server deleted by whichever cell below is its home; softly: so that it can be restored for a while."""

    METHOD = Method(
        name="delete_everywhere", at=Role.CELL, form=Form.BROADCAST, reference="instance_delete_everywhere",
        is_idempotent=False,
    )  # fmt: skip

    server: str
    origin: Origin
    is_soft: bool = False

    @property
    def order(self) -> PowerServer | DeleteServer:
        """The order that it stands for."""
        if self.is_soft:
            return PowerServer(server=self.server, goal=Goal.SOFT_DELETE, origin=self.origin)
        return DeleteServer(server=self.server, origin=self.origin)


#: Each hands one order on.
ASKS: Final[tuple[type[Request[Any]], ...]] = (
    AskOrder, AskStart, AskStop, AskReboot, AskSuspend, AskResume, AskPause, AskUnpause, AskResize, AskConfirm,
    AskRevert, AskDelete, AskSoftDelete, AskRebuild, AskSnapshot, AskBackup, AskLiveMigrate, AskResetNetwork,
    AskInjectNetworkInfo,
)  # fmt: skip
