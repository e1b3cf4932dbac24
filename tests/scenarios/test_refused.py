"""What each order comes to in each state that a server can be held in: done, or refused by a code that says why."""

from __future__ import annotations

from typing import Final

import pytest

from sim.cases.workload import Act
from tests.docs.orders_page import STATES, told

DONE: Final = "done"
STATE: Final = "`invalid_state`"
NO_HOST: Final = "accepted, then `no_valid_host`"
#: In the order of the columns.
IN: Final = ("active", "stopped", "paused", "suspended", "softly deleted", "a move waits")
#: As Nova has it (a decorator of each operation in its compute API names the states), but for those marked.
TABLE: Final[dict[Act, tuple[str, str, str, str, str, str]]] = {
    Act.RESIZE: (DONE, DONE, STATE, STATE, STATE, STATE),
    Act.MIGRATE: (DONE, DONE, STATE, STATE, STATE, STATE),
    Act.START: (STATE, DONE, STATE, STATE, STATE, STATE),
    Act.STOP: (DONE, STATE, STATE, STATE, STATE, STATE),
    Act.REBOOT: (DONE, STATE, STATE, STATE, STATE, STATE),
    Act.PAUSE: (DONE, STATE, STATE, STATE, STATE, STATE),
    Act.UNPAUSE: (STATE, STATE, DONE, STATE, STATE, STATE),
    Act.SUSPEND: (DONE, STATE, STATE, STATE, STATE, STATE),
    Act.RESUME: (STATE, STATE, STATE, DONE, STATE, STATE),
    Act.SOFT_DELETE: (DONE, DONE, DONE, DONE, STATE, STATE),
    Act.RESTORE: (STATE, STATE, STATE, STATE, DONE, STATE),
    Act.SNAPSHOT: (DONE, DONE, DONE, DONE, STATE, STATE),
    Act.BACKUP: (DONE, DONE, DONE, DONE, STATE, STATE),
    Act.REBUILD: (DONE, DONE, STATE, STATE, STATE, STATE),
    # Nova's also while it is paused.  No other host is in the cell here.
    Act.LIVE_MIGRATE: (NO_HOST, STATE, STATE, STATE, STATE, STATE),
    # Nova's also when it is softly deleted.
    Act.ATTACH: (DONE, DONE, DONE, STATE, STATE, DONE),
    Act.DETACH: (DONE, DONE, DONE, STATE, STATE, DONE),
    Act.SWAP: (DONE, STATE, DONE, STATE, STATE, DONE),
    Act.CONFIRM: (STATE, STATE, STATE, STATE, STATE, DONE),
    Act.REVERT: (STATE, STATE, STATE, STATE, STATE, DONE),
    Act.DELETE: (DONE, DONE, DONE, DONE, DONE, DONE),
    Act.RENAME: (DONE, DONE, DONE, DONE, DONE, DONE),
    Act.LOCK: (DONE, DONE, DONE, DONE, DONE, DONE),
}


@pytest.mark.parametrize("act", TABLE)
def test_an_order_is_done_or_refused_by_the_state_s_name(act: Act) -> None:
    """Whatever it comes to, every invariant holds afterwards."""
    assert {state: told(act, state) for state in IN} == dict(zip(IN, TABLE[act], strict=True))


def test_the_states_are_those_of_the_page() -> None:
    """What the table leaves out is judged by the page alone: moves under way, locks, deletes."""
    assert set(IN) <= set(STATES)
