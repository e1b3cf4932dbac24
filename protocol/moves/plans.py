"""Which plan a goal is carried out by."""

from typing import Final

from protocol.moves.confirm import CONFIRM
from protocol.moves.delete import DELETE
from protocol.moves.lifecycle import CREATE, REBOOT, START, STOP
from protocol.moves.resize import RESIZE
from protocol.moves.revert import REVERT
from protocol.moves.volumes import ATTACH, DETACH, SWAP
from protocol.saga import Plan
from protocol.states import Goal

#: A journal names its goal; its plan follows from that.
PLANS: Final[dict[Goal, Plan]] = {
    Goal.CREATE: CREATE,
    Goal.START: START,
    Goal.STOP: STOP,
    Goal.REBOOT: REBOOT,
    Goal.ATTACH: ATTACH,
    Goal.DETACH: DETACH,
    Goal.SWAP: SWAP,
    Goal.RESIZE: RESIZE,
    Goal.MIGRATE: RESIZE,
    Goal.CONFIRM: CONFIRM,
    Goal.REVERT: REVERT,
    Goal.DELETE: DELETE,
}
