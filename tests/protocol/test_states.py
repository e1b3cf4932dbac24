"""The tables of states are whole, lead somewhere, and are what the checks go by."""

from collections.abc import Callable
from itertools import product
from typing import Any, Final

import pytest

from protocol.errors import InvalidState
from protocol.states import (
    MIGRATION_TRANSITIONS,
    TASK_TRANSITIONS,
    TERMINAL,
    VM_TRANSITIONS,
    Goal,
    MigrationStatus,
    PowerState,
    TaskState,
    VmState,
    check_migration,
    check_task,
    check_vm,
)

Check = Callable[[str, Any, Any], None]
TABLES: Final[dict[str, tuple[dict[Any, frozenset[Any]], tuple[Any, ...], Check]]] = {
    "task": (dict(TASK_TRANSITIONS), (None, *TaskState), check_task),
    "vm": (dict(VM_TRANSITIONS), tuple(VmState), check_vm),
    "migration": (dict(MIGRATION_TRANSITIONS), tuple(MigrationStatus), check_migration),
}
by_table = pytest.mark.parametrize("name", TABLES)


@by_table
def test_a_table_has_every_state_and_no_other(name: str) -> None:
    """No state is without its row, and no row leads to what is no state."""
    table, states, _ = TABLES[name]
    assert set(table) == set(states)
    assert all(following <= set(states) for following in table.values())
    assert not any(state in following for state, following in table.items())


@by_table
def test_a_check_refuses_exactly_what_its_table_does_not_have(name: str) -> None:
    """Every pair of states: staying is always allowed, and the refusal names both."""
    table, states, check = TABLES[name]
    for found, after in product(states, states):
        if after == found or after in table[found]:
            check("x", found, after)
            continue
        with pytest.raises(InvalidState) as caught:
            check("x", found, after)
        assert (caught.value.found, caught.value.name) == (str(found), "x")
        assert str(after) in caught.value.expected


@by_table
def test_every_state_is_reached_from_the_first(name: str) -> None:
    """No row stands there in vain."""
    table, states, _ = TABLES[name]
    first = {"task": None, "vm": VmState.BUILDING, "migration": MigrationStatus.PRE_MIGRATING}[name]
    reached, fresh = {first}, [first]
    while fresh:
        found = table[fresh.pop()] - reached
        reached |= found
        fresh.extend(found)
    assert reached == set(states)


def test_no_task_is_without_a_way_back() -> None:
    """An undo can always clear the task."""
    assert [task for task, following in TASK_TRANSITIONS.items() if task and None not in following] == []


def test_a_move_is_over_in_the_states_that_lead_nowhere() -> None:
    """They are the terminal ones."""
    assert {status for status, following in MIGRATION_TRANSITIONS.items() if not following} == TERMINAL


def test_power_states_have_the_numbers_that_clients_read() -> None:
    """They are Nova's, with its gaps."""
    assert {state.name: state.value for state in PowerState} == {
        "NOSTATE": 0, "RUNNING": 1, "PAUSED": 3, "SHUTDOWN": 4, "CRASHED": 6, "SUSPENDED": 7,
    }  # fmt: skip
    assert len(set(Goal)) == len(Goal)
