"""Which plan a goal is carried out by."""

from typing import Final

from protocol.moves.confirm import CONFIRM
from protocol.moves.delete import DELETE
from protocol.moves.imaging import BACKUP, SNAPSHOT
from protocol.moves.lifecycle import (
    CREATE,
    PAUSE,
    REBOOT,
    RESTORE,
    RESUME,
    SOFT_DELETE,
    START,
    STOP,
    SUSPEND,
    UNPAUSE,
)
from protocol.moves.live import LIVE_MIGRATE
from protocol.moves.rebuild import REBUILD
from protocol.moves.repair import REPAIR
from protocol.moves.resize import RESIZE
from protocol.moves.revert import REVERT
from protocol.moves.volumes import ATTACH, DETACH, SWAP
from protocol.moves.wiring import INJECT_NETWORK_INFO, RESET_NETWORK
from protocol.saga import Plan
from protocol.states import Goal

#: A journal names its goal; its plan follows from that.
PLANS: Final[dict[Goal, Plan]] = {
    Goal.CREATE: CREATE,
    Goal.START: START,
    Goal.STOP: STOP,
    Goal.REBOOT: REBOOT,
    Goal.PAUSE: PAUSE,
    Goal.UNPAUSE: UNPAUSE,
    Goal.SUSPEND: SUSPEND,
    Goal.RESUME: RESUME,
    Goal.SOFT_DELETE: SOFT_DELETE,
    Goal.RESTORE: RESTORE,
    Goal.ATTACH: ATTACH,
    Goal.DETACH: DETACH,
    Goal.SWAP: SWAP,
    Goal.RESIZE: RESIZE,
    Goal.MIGRATE: RESIZE,
    Goal.CONFIRM: CONFIRM,
    Goal.REVERT: REVERT,
    Goal.DELETE: DELETE,
    Goal.REPAIR: REPAIR,
    Goal.SNAPSHOT: SNAPSHOT,
    Goal.BACKUP: BACKUP,
    Goal.LIVE_MIGRATE: LIVE_MIGRATE,
    Goal.REBUILD: REBUILD,
    Goal.RESET_NETWORK: RESET_NETWORK,
    Goal.INJECT_NETWORK_INFO: INJECT_NETWORK_INFO,
}
