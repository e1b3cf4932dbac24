"""What users ask of the conductor, and what it tells them of the conversations that carry it out."""

import re
from collections.abc import Callable
from typing import ClassVar, Final

import attrs

from protocol.bodies import tag_union
from protocol.cell_path import CellPath
from protocol.errors import InvalidValue
from protocol.journal import Ending, Entry
from protocol.messages.changes import ServerChange
from protocol.messages.servers import Origin
from protocol.records import Flavor, HostFence, KeyPair
from protocol.requests import Method, Request, Role, Way
from protocol.scheduling import Wish, check_requirement
from protocol.states import Goal


@attrs.frozen(kw_only=True)
class Accepted:
    """The server is taken for what was asked; `conversation` carries it out."""

    conversation: str
    server: str


@attrs.frozen(kw_only=True)
class NewVolume:
    """A volume for a server: what its guest calls it; boot index 0 makes it the root disk."""

    volume: str
    device: str
    boot_index: int | None = None


def _one_of(*goals: Goal) -> Callable[[object, object, Goal], None]:
    def check(_order: object, _field: object, goal: Goal) -> None:
        if goal not in goals:
            raise InvalidValue(name="goal", value=str(goal), rule=f"it must be {' or '.join(goals)}")

    return check


#: Of a key's name, and of a public key, in characters.
KEY_NAME_MAX: Final = 255
KEY_MAX: Final = 16 * 1024


def _key_pair(_order: object, _field: object, key: KeyPair | None) -> None:
    if key is None:
        return
    if not 1 <= len(key.name) <= KEY_NAME_MAX:
        raise InvalidValue(name="key_pair", value=key.name, rule=f"its name has 1 to {KEY_NAME_MAX} characters")
    if not 1 <= len(key.public_key) <= KEY_MAX:
        raise InvalidValue(name="key_pair", value=key.name, rule=f"a public key has 1 to {KEY_MAX} characters")


#: Of what a port can be guaranteed, in kbit/s: a terabit.
BANDWIDTH_KBPS_MAX: Final = 1_000_000_000


def _bandwidth(_order: object, _field: object, kbps: int) -> None:
    if not 0 <= kbps <= BANDWIDTH_KBPS_MAX:
        raise InvalidValue(name="bandwidth_kbps", value=kbps, rule=f"it is from 0 to {BANDWIDTH_KBPS_MAX}")


def _wish(_order: object, _field: object, wish: Wish) -> None:
    check_requirement(wish.hypervisor_version)


@attrs.frozen(kw_only=True)
class CreateServer(Request[Accepted]):
    """Make a server, from an image or (empty image) from the volume with boot index 0, on the named or any host."""

    METHOD = Method(name="create_server", at=Role.CONDUCTOR, way=Way.NONE, is_idempotent=False)
    goal: ClassVar[Goal] = Goal.CREATE

    server: str
    name: str
    flavor: Flavor
    image: str
    volumes: tuple[NewVolume, ...]
    host: str | None
    origin: Origin
    key_pair: KeyPair | None = attrs.field(default=None, validator=_key_pair)
    group: str = ""  # The id of the group that it is to be a member of; empty: of none.
    bandwidth_kbps: int = attrs.field(default=0, validator=_bandwidth)  # What its port is guaranteed; 0: nothing.
    wish: Wish = attrs.field(factory=Wish, validator=_wish)  # Where it may go, beside where there is room.
    within: CellPath | None = None  # The cell that was asked to build it: there it goes, or below; None: the root.


@attrs.frozen(kw_only=True)
class MoveServer(Request[Accepted]):
    """Resize a server to another flavor, or (no flavor) cold-migrate it, to the named host or any other one."""

    METHOD = Method(name="move_server", at=Role.CONDUCTOR, way=Way.NONE, is_idempotent=False)

    server: str
    flavor: Flavor | None
    host: str | None
    origin: Origin
    wish: Wish = attrs.field(factory=Wish, validator=_wish)

    @property
    def goal(self) -> Goal:
        """What it is to bring about."""
        return Goal.MIGRATE if self.flavor is None else Goal.RESIZE


@attrs.frozen(kw_only=True)
class SettleMove(Request[Accepted]):
    """Confirm or revert the move of a server in VERIFY_RESIZE."""

    METHOD = Method(name="settle_move", at=Role.CONDUCTOR, way=Way.NONE, is_idempotent=False)

    server: str
    goal: Goal = attrs.field(validator=_one_of(Goal.CONFIRM, Goal.REVERT))
    origin: Origin


#: What users may have a server's guest do.
POWERS: Final = (
    Goal.START, Goal.STOP, Goal.REBOOT, Goal.PAUSE, Goal.UNPAUSE, Goal.SUSPEND, Goal.RESUME, Goal.SOFT_DELETE,
    Goal.RESTORE,
)  # fmt: skip


@attrs.frozen(kw_only=True)
class PowerServer(Request[Accepted]):
    """Start, stop, reboot, pause, unpause, suspend or resume a server, delete it softly or restore it.

    A hard reboot starts one that is stopped, too.  One that is softly deleted is off, and can be restored for a while.
    """

    METHOD = Method(name="power_server", at=Role.CONDUCTOR, way=Way.NONE, is_idempotent=False)

    server: str
    goal: Goal = attrs.field(validator=_one_of(*POWERS))
    origin: Origin
    is_hard: bool = False  # Of a reboot.


def _replacement(order: "ChangeVolume", _field: object, replacement: str) -> None:
    if (order.goal is Goal.SWAP) != bool(replacement):
        raise InvalidValue(name="replacement", value=replacement, rule="a swap, and nothing else, names another volume")
    if replacement and replacement == order.volume:
        raise InvalidValue(name="replacement", value=replacement, rule="a volume is swapped for another one")


@attrs.frozen(kw_only=True)
class ChangeVolume(Request[Accepted]):
    """Attach a volume to a server, detach it, or swap it for its `replacement`, which becomes a copy of it."""

    METHOD = Method(name="change_volume", at=Role.CONDUCTOR, way=Way.NONE, is_idempotent=False)

    server: str
    goal: Goal = attrs.field(validator=_one_of(Goal.ATTACH, Goal.DETACH, Goal.SWAP))
    volume: str
    device: str
    origin: Origin
    replacement: str = attrs.field(default="", validator=_replacement)  # Of a swap alone.


#: What may name an image, as its file is called.
IMAGE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
IMAGE_TITLE_MAX: Final = 255
ROTATION_MAX: Final = 1_000


def _image(_order: object, field: "attrs.Attribute[str]", image: str) -> None:
    if IMAGE_NAME.fullmatch(image) is None:
        rule = "it has letters, digits, dots, dashes and underscores, 128 at most, and begins with one of the first two"
        raise InvalidValue(name=field.name, value=image, rule=rule)


def _backup_type(order: "ImageServer", _field: object, backup_type: str) -> None:
    if (order.goal is Goal.BACKUP) != bool(backup_type):
        raise InvalidValue(name="backup_type", value=backup_type, rule="a backup, and nothing else, is of a type")


def _rotation(order: "ImageServer", _field: object, rotation: int) -> None:
    most = ROTATION_MAX if order.goal is Goal.BACKUP else 0
    if not 0 <= rotation <= most:
        raise InvalidValue(name="rotation", value=rotation, rule=f"it is from 0 to {most} of a {order.goal}")


@attrs.frozen(kw_only=True)
class ImageServer(Request[Accepted]):
    """Make an image of a server's root disk, while it runs or not; of a backup keep `rotation` of its type only."""

    METHOD = Method(name="image_server", at=Role.CONDUCTOR, way=Way.NONE, is_idempotent=False)

    server: str
    goal: Goal = attrs.field(validator=_one_of(Goal.SNAPSHOT, Goal.BACKUP))
    image: str = attrs.field(validator=_image)  # Its id: there must be none yet.
    name: str
    origin: Origin
    backup_type: str = attrs.field(default="", validator=_backup_type)  # Such as `daily`.
    rotation: int = attrs.field(default=0, validator=_rotation)


def _kept_open(_order: object, _field: object, change: ServerChange) -> None:
    if change.is_locked is not None:
        raise InvalidValue(name="change", value="is_locked", rule="a rebuild locks nothing")


@attrs.frozen(kw_only=True)
class RebuildServer(Request[Accepted]):
    """Make a server's root disk anew from an image; its id, host, ports, volumes and state stay, and what is not named.

    Nothing but the root disk is touched, so an ephemeral one is preserved whether that is asked for or not.
    """

    METHOD = Method(name="rebuild_server", at=Role.CONDUCTOR, way=Way.NONE, is_idempotent=False)
    goal: ClassVar[Goal] = Goal.REBUILD

    server: str
    image: str = attrs.field(validator=_image)
    origin: Origin
    change: ServerChange = attrs.field(factory=ServerChange, validator=_kept_open)  # Of its record, when it is done.
    preserve_ephemeral: bool = False


@attrs.frozen(kw_only=True)
class LiveMigrateServer(Request[Accepted]):
    """Move a server that runs to the named host of its cell, or any other one there, without a stop."""

    METHOD = Method(name="live_migrate_server", at=Role.CONDUCTOR, way=Way.NONE, is_idempotent=False)
    goal: ClassVar[Goal] = Goal.LIVE_MIGRATE

    server: str
    host: str | None
    origin: Origin


@attrs.frozen(kw_only=True)
class WireServer(Request[Accepted]):
    """Have a server's host apply its ports again, or tell its guest of them."""

    METHOD = Method(name="wire_server", at=Role.CONDUCTOR, way=Way.NONE, is_idempotent=False)

    server: str
    goal: Goal = attrs.field(validator=_one_of(Goal.RESET_NETWORK, Goal.INJECT_NETWORK_INFO))
    origin: Origin


@attrs.frozen(kw_only=True)
class DeleteServer(Request[Accepted]):
    """Delete a server, whatever is being done to it; its volumes stay.

    With `soft_deleted_at_us`: only if it was softly deleted at that very time, by the root's clock, and is so still.
    """

    METHOD = Method(name="delete_server", at=Role.CONDUCTOR, way=Way.NONE, is_idempotent=False)
    goal: ClassVar[Goal] = Goal.DELETE

    server: str
    origin: Origin
    soft_deleted_at_us: int | None = None


@attrs.frozen(kw_only=True)
class FenceHost(Request[HostFence]):
    """An operator asserts that a host's machine is off, and stays off: what waits for it goes on without it."""

    METHOD = Method(name="fence_host", at=Role.CONDUCTOR, way=Way.NONE)

    host: str
    user: str


@attrs.frozen(kw_only=True)
class UnfenceHost(Request[HostFence]):
    """The machine may come back: its host does what it owes, then takes commands again."""

    METHOD = Method(name="unfence_host", at=Role.CONDUCTOR, way=Way.NONE)

    host: str
    user: str


@attrs.frozen(kw_only=True)
class RepairServer(Request[Accepted]):
    """Find what is left over of a server anywhere, of whatever origin; have it removed only if it is to be applied."""

    METHOD = Method(name="repair_server", at=Role.CONDUCTOR, way=Way.NONE, is_idempotent=False)
    goal: ClassVar[Goal] = Goal.REPAIR

    server: str
    is_applied: bool
    has_disks: bool = False  # Also the guests and disks of a server that has no home any more.
    origin: Origin


Order = (
    CreateServer | MoveServer | SettleMove | PowerServer | ChangeVolume | DeleteServer | RepairServer | ImageServer
    | WireServer | RebuildServer | LiveMigrateServer
)  # fmt: skip
tag_union(Order, lambda order: order.METHOD.name)


@attrs.frozen(kw_only=True)
class StepNews:
    """An entry of a journal, and which actor it is about."""

    entry: Entry
    actor: str


@attrs.frozen(kw_only=True)
class Progress:
    """A conversation's journal from some point on; what it waits for; how it ended, if it has."""

    news: tuple[StepNews, ...]
    parked: str | None = None
    ending: Ending | None = None
    is_closed: bool = False
    owes: bool = False  # The server is its user's again; only clean-up is left.


@attrs.frozen(kw_only=True)
class WatchConversation(Request[Progress]):
    """Tell what a conversation's journal has beyond its first `seen` entries, as soon as there is any."""

    METHOD = Method(name="watch_conversation", at=Role.CONDUCTOR, way=Way.NONE, is_read=True)

    server: str
    conversation: str
    seen: int


@attrs.frozen(kw_only=True)
class ConversationLine:
    """A conversation: whose, what for, since when, how it stands.  Numbers rise with the time of the beginning."""

    conversation: str
    server: str
    goal: Goal
    number: int
    began_at_us: int
    ended_at_us: int | None
    ending: Ending | None
    is_closed: bool
    waits_for: str | None


@attrs.frozen(kw_only=True)
class ConversationPage:
    """Some conversations, newest first."""

    lines: tuple[ConversationLine, ...]


@attrs.frozen(kw_only=True)
class ListConversations(Request[ConversationPage]):
    """List so many conversations, newest first: those older than number `before`; the rest leaves out others."""

    METHOD = Method(name="list_conversations", at=Role.CONDUCTOR, way=Way.NONE, is_for_people=True, is_read=True)

    before: int | None = None
    limit: int
    server: str = ""  # Empty: of all servers.
    id_start: str = ""
    is_open: bool = False  # Only those that are not closed.


@attrs.frozen(kw_only=True)
class Retried:
    """What came of trying again: whether the conversation went on, or what it waits for now.

    `is_trying`: it was still at it when this was said.
    """

    waited_for: str
    went_on: bool
    waits_for: str | None
    is_trying: bool


@attrs.frozen(kw_only=True)
class RetryConversation(Request[Retried]):
    """Have a conversation that waits try again now, instead of when its pause is over; tell what comes of it."""

    METHOD = Method(name="retry_conversation", at=Role.CONDUCTOR, way=Way.NONE, is_for_people=True)

    conversation: str
