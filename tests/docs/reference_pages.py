"""The other pages that follow from tables: methods, states, errors and settings."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Final

from protocol.errors import CODES, argument_types
from protocol.methods import METHODS
from protocol.reference import OTHERWISE
from protocol.requests import Request
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
)
from tests.docs.markdown import code, listed, page, table


def _first_line(thing: object) -> str:
    return (inspect.getdoc(thing) or "").partition("\n\n")[0]


# --- methods -----------------------------------------------------------------------------------------------

METHODS_INTRO: Final = """
Every request is a class in `protocol/messages/` (two, for the engine itself, in `protocol/requests.py`) that declares
its method once. This is what they declare.

- **Way**: over which edges of the tree it may pass. *down*: only from a cell to one below; *up*: only the other way;
  *none*: it never leaves its cell. A router refuses, as `forbidden`, what a neighbour sends against that.
- **Form**: *targeted* to one actor, or *broadcast* to the `cell` actor of every cell below (or above) the sender.
- **Idempotent**: whether the request may be carried out twice without a key. All commands of conversations carry keys.
- **Schema**: the version of the request's own layout.
- **By hand**: whether `cellferry call` and `cellferry gather` [send it](../how-to/call-a-cell.md).
- **Nova**: which method of Nova's cells it stands for, if it does.

The one response method of Nova's, `parse_responses`, is no request here: it is the `Response` envelope itself.
"""


def methods_page() -> str:
    """Write the page of methods, by who handles them."""
    parts = []
    for role in dict.fromkeys(request.METHOD.at for request in METHODS.values()):
        requests = (request for request in METHODS.values() if request.METHOD.at is role)
        parts.extend([f"## {role}", table(HEAD, map(_method, sorted(requests, key=lambda each: each.METHOD.name)))])
    return page("Methods", METHODS_INTRO, *parts, "## Otherwise than Nova", *_otherwise())


def _otherwise() -> Iterable[str]:
    reasons: dict[str, list[str]] = {}
    for name, (form, reason) in OTHERWISE.items():
        reasons.setdefault(f"*{form}* here: {reason}", []).append(name)
    for reason, names in reasons.items():
        yield f"{listed(sorted(names))}: {reason}"


HEAD: Final = ("Method", "Request", "Way", "Form", "Idempotent", "Schema", "By hand", "Nova", "Reply", "What it asks")


def _method(request: type[Request[Any]]) -> tuple[str, ...]:
    method = request.METHOD
    return (
        code(method.name),
        code(request.__name__),
        method.way.value,
        method.form.value,
        "yes" if method.is_idempotent else "no",
        str(method.schema),
        "yes" if method.is_by_hand else "no",
        code(method.reference) if method.reference else "",
        code(request.reply_type().__name__),
        _first_line(request),
    )


# --- states ------------------------------------------------------------------------------------------------

STATES_INTRO: Final = """
The states are Nova's, by name and number, for that is what clients read. Which may follow which is a table in
`protocol/states.py`; the pictures are drawn from it. A change to the state that a record is in already is allowed too.
"""


def states_page() -> str:
    """Write the page of states: a picture and a table for each machine."""
    return page(
        "States",
        STATES_INTRO,
        *_machine("vm_state", VmState, VM_TRANSITIONS),
        *_machine("task_state", TaskState, TASK_TRANSITIONS),
        *_machine("Status of a migration", MigrationStatus, MIGRATION_TRANSITIONS),
        f"A move is over when its migration is {listed(sorted(TERMINAL))}.",
        "## power_state",
        _first_line(PowerState),
        table(("number", "name"), [(str(state.value), code(state.name)) for state in PowerState]),
        "## Goals",
        f"{_first_line(Goal)} {listed(Goal)}.",
    )


def _machine(title: str, states: type[StrEnum], transitions: Mapping[Any, frozenset[Any]]) -> tuple[str, str, str, str]:
    order = [state for state in (None, *states) if state in transitions]
    lines = ["stateDiagram-v2", *(f"    {_node(state)} : {state or 'no task'}" for state in order)]
    for state in order:
        lines.extend(f"    {_node(state)} --> {_node(after)}" for after in order if after in transitions[state])
        if not transitions[state]:
            lines.append(f"    {_node(state)} --> [*]")
    rows = [
        (_state(state), ", ".join(_state(after) for after in order if after in transitions[state])) for state in order
    ]
    picture = "```mermaid\n" + "\n".join(lines) + "\n```"
    return f"## {title}", _first_line(states), picture, table(("from", "to"), rows)


def _node(state: StrEnum | None) -> str:
    return state.name.lower() if state else "no_task"


def _state(state: StrEnum | None) -> str:
    return code(state.value) if state else "no task"


# --- errors ------------------------------------------------------------------------------------------------

ERRORS_INTRO: Final = """
Errors cross from cell to cell as a code with its arguments; the receiver makes its own class of the code, and never
imports a name off the wire. A code that a receiver does not know becomes `remote_error`, with the sender's text.

*Retryable*: the same request may succeed when it is simply sent again later. A conversation asks again after such an
error; any other one is the step's outcome.
"""


def errors_page() -> str:
    """Write the page of errors, by the module that declares them."""
    parts = []
    for module in dict.fromkeys(error.__module__ for error in CODES.values()):
        rows = [
            (
                code(error.code),
                code(error.__name__),
                "yes" if error.is_retryable else "no",
                code(error.template),
                listed(argument_types(error)),
                _first_line(error),
            )
            for error in CODES.values()
            if error.__module__ == module
        ]
        parts.extend([f"## {module}", table(("Code", "Class", "Retryable", "Text", "Arguments", "Means"), rows)])
    return page("Errors", ERRORS_INTRO, *parts)
