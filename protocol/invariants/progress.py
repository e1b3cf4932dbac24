"""Progress: at rest every conversation is over or says what it waits for, and nobody else holds a server up."""

from protocol.invariants.findings import Findings, checker
from protocol.invariants.standing import busy, located, settled
from protocol.records import Mapping, Server
from protocol.states import TaskState
from protocol.truth import Truth


@checker("progress")
def check_at_rest(truth: Truth) -> Findings:
    """Ask for work that nobody does."""
    for each in truth.conversations:
        if not (each.is_ended and each.is_closed) and not each.waits_for:
            state = "not closed" if each.is_ended else "not ended"
            yield each.server, f"its {each.goal} {each.conversation} is {state}, and waits for nothing"
    running = {(each.server, each.conversation) for each in truth.conversations if not each.is_ended}
    for mapping in truth.of_root(Mapping):
        if mapping.conversation is not None and (mapping.server, mapping.conversation) not in running:
            yield mapping.server, f"is taken by {mapping.goal} {mapping.conversation}, which does not run"
        if mapping.debt is not None and (mapping.server, mapping.debt) not in running:
            yield mapping.server, f"owes the clean-up of {mapping.debt_goal} {mapping.debt}, which does not run"
    yield from _tasks(truth)


def _tasks(truth: Truth) -> Findings:
    # The source's hidden record is left as the move left it until a confirm or a revert comes: so it is in Nova.
    waiting = {(standing.move.source_cell, standing.server) for standing in settled(truth) if standing.move}
    working = busy(truth)
    for cell, row in located(truth, Server):
        if row.task_state is None or row.uuid in working:
            continue
        is_left = row.is_hidden and row.task_state is TaskState.RESIZE_MIGRATED
        if not (is_left and (cell, row.uuid) in waiting):
            yield row.uuid, f"its task in {cell} is {row.task_state}, and nobody works on it"
