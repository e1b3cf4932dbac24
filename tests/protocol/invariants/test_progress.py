"""Work that nobody does any more breaks `progress`."""

import attrs
import pytest

from protocol.records import Mapping, Mirror, Server
from protocol.states import Goal, TaskState
from protocol.truth import ConversationTruth
from tests.protocol.invariants.killers import Edit, Killer, altered, at_rest, broken, change, every, evolve, prove
from tests.protocol.invariants.worlds import EU, OTHER, US, active, conversation, verify_resize

STOP = conversation("stop-1", Goal.STOP, epoch=5)


def stop(**fields: object) -> Edit:
    return evolve(conversations=(altered(STOP, fields),))


TAKEN = change(Mapping, conversation=STOP.conversation, goal=Goal.STOP)

KILLERS = (
    at_rest("a conversation has not ended", active, stop(is_ended=False, is_closed=False)),
    at_rest("a conversation has ended, and was not closed", active, stop(is_closed=False)),
    at_rest("a conversation waits, and does not say for what", active, stop(is_closed=False, waits_for="")),
    at_rest("a server is taken by a conversation that is over", active, stop(), TAKEN),
    at_rest("a server is taken by a conversation that never was", active, TAKEN),
    at_rest(
        "a server is taken by another one's conversation",
        active,
        stop(server=OTHER, is_ended=False, is_closed=False, waits_for="h1"),
        TAKEN,
    ),
    at_rest(
        "a task is left to nobody",
        active,
        change(Server, task_state=TaskState.POWERING_OFF),
        change(Mirror, task_state=TaskState.POWERING_OFF),
        also=("records_agree",),
    ),
    at_rest(
        "the source's record is left in another task",
        verify_resize,
        change(Server, at=EU, task_state=TaskState.RESIZE_REVERTING),
        also=("records_agree",),
    ),
    at_rest(
        "the target's record is left in the source's task",
        verify_resize,
        change(Server, at=US, task_state=TaskState.RESIZE_MIGRATED),
        change(Mirror, {"cell": str(US)}, task_state=TaskState.RESIZE_MIGRATED),
        also=("records_agree",),
    ),
)


@pytest.mark.parametrize("killer", KILLERS, ids=str)
def test_each_killer_breaks_progress(killer: Killer) -> None:
    """The invariant sees each way in which a server can be stuck."""
    prove(killer, "progress")


def parked(waits_for: str = "h1 is unreachable") -> ConversationTruth:
    return attrs.evolve(STOP, is_ended=False, is_closed=False, waits_for=waits_for)


def test_a_parked_conversation_holds_its_server_with_a_reason() -> None:
    """What is parked may keep mapping and task as long as it says what it waits for."""
    edits = every(evolve(conversations=(parked(),)), TAKEN, change(Server, task_state=TaskState.POWERING_OFF))
    assert broken(edits(active()), is_at_rest=True) == set()
