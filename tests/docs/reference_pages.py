"""The other pages that follow from tables: methods, states, errors and settings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Final, get_args

import attrs

from actors.ops import checks, settings, watching
from actors.ops.healing import MirrorSettings
from actors.ops.links import DeploymentSettings, LinkSettings
from actors.ops.reclaiming import ServersSettings
from actors.ops.settings import (
    CellSettings,
    Cloud,
    HostSettings,
    ImageSettings,
    MovesSettings,
    ReportsSettings,
    SchedulerSettings,
    TreeSettings,
    VolumeSettings,
)
from actors.ops.watching import HttpSettings, LogSettings
from protocol.errors import CODES, argument_types
from protocol.methods import METHODS
from protocol.records import Flavor
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


# --- settings ----------------------------------------------------------------------------------------------

SETTINGS_INTRO: Final = """
The settings of a cloud are one TOML file; `deploy/demo.toml` is one, and
[how to write your own](../how-to/write-a-cloud-file.md) explains it. Lists of tables are written `[[cells]]`,
`[[hosts]]` and so on, one above each entry. A key that is not named here is refused, with its path.
"""

#: The tables of the file, with what one entry of each is made of, in the order of their fields.
TABLES: Final[Mapping[str, type[attrs.AttrsInstance]]] = {
    "": Cloud,
    "cells": CellSettings,
    "hosts": HostSettings,
    "flavors": Flavor,
    "images": ImageSettings,
    "volumes": VolumeSettings,
    "moves": MovesSettings,
    "servers": ServersSettings,
    "tree": TreeSettings,
    "reports": ReportsSettings,
    "scheduler": SchedulerSettings,
    "mirror": MirrorSettings,
    "log": LogSettings,
    "http": HttpSettings,
    "deployment": DeploymentSettings,
    "links": LinkSettings,
}
LIMITS: Final = {
    "cells": "CELLS_MAX",
    "hosts": "HOSTS_MAX",
    "flavors": "OTHERS_MAX",
    "images": "OTHERS_MAX",
    "volumes": "OTHERS_MAX",
}
LISTS: Final = frozenset({*LIMITS, "links"})


def settings_page() -> str:
    """Write the page of settings, a section for each table of the file."""
    parts = []
    for name, cls in TABLES.items():
        title = "## The file" if not name else f"## `[[{name}]]`" if name in LISTS else f"## `[{name}]`"
        limit = f" At most {getattr(settings, LIMITS[name]):,} of them." if name in LIMITS else ""
        parts.extend([title, f"{_first_line(cls)}{limit}", table(("Key", "Type", "Default"), _settings(cls))])
    rules = [
        f"A name of a host, image or volume: {checks.NAME_RULE}.",
        f"Amounts are whole numbers from 1 to {checks.AMOUNT_MAX:,}.",
        f"An image has at most {settings.IMAGE_BYTES_MAX:,} bytes.",
        f"`driver` is one of {listed(settings.DRIVERS)}.",
        f"`conductors`, from 1 to {settings.CONDUCTORS_MAX}: so many replicas of the conductor run at once.",
        f"`replicas` of a cell, from 1 to {settings.REPLICAS_MAX}: so many of its actor and link share the work.",
        f"`broker` and `wire` are URLs by {listed(settings.BROKERS)}, `store` is one by {listed(settings.STORES)}.",
        "`confirm_after_s`: so long after it is done a move is confirmed that nobody has settled; 0: never.",
        "`reclaim_after_s`: so long after it was softly deleted a server is deleted for good; 0: never.",
        f"`cross_cell`: whose moves may leave their cell, one of {listed(settings.CROSSERS)}.",
        "`own_cell_weight`: positive prefers hosts of the own cell, negative others, 0 neither.",
        '`capabilities` of a cell: a list of values for each name, as in `{os = ["linux"]}`.',
        "`weight_offset` is added to what a cell weighs when one is chosen; its room counts `weight_scale` times.",
        "`announce_s`: so often a cell tells its parent what it has; 0: only when it is asked, or there is news.",
        "`mute_child_s`: a cell unheard for so long is mute; 0: never.",
        "`reserve_percent`, from 0 to 100: so much of each host is kept back when servers that fit are counted.",
        "`look_s`: so soon a change of neighbours in the running deployment is taken up; 0: never.",
        "Of `[reports]` each is a number of seconds; 0 switches it off.",
        "`filters` and `multipliers` name what `cellferry scheduler list` lists.",
        "`retries` and `retry_delay_s`: so often, and so long after the last time, a new server is tried again.",
        "`enabled = false` under `[scheduler]`: the host with most memory left is chosen, wherever it is.",
        f"`level` of the log is one of {listed(watching.LEVELS)}, `format` one of {listed(watching.FORMATS)}.",
        "`port` under `[http]`: where a process tells its metrics and health; 0: nowhere.",
        "With `--processes` it is the parent's: its children have those behind it, in the order of the start.",
        "`sample_s`: so often is counted what only stores and hypervisors know.",
        "`[deployment]` is for `cellferry run` and what speaks to it; `cellferry demo` has options instead.",
        "Cells make one tree: one root, and a parent for every other one. Paths and names are there once.",
        f"Hosts are in {settings.HOST_CELLS_MIN} cells at least, else there is nowhere to ferry to.",
    ]
    return page("Settings", SETTINGS_INTRO, *parts, "## Rules", "\n".join(f"- {rule}" for rule in rules))


def _settings(cls: type[attrs.AttrsInstance]) -> Iterable[tuple[str, ...]]:
    for field in attrs.fields(cls):
        is_table = field.name in TABLES
        default = "required" if field.default is attrs.NOTHING else _default(field.default)
        kind = "tables" if field.name in LISTS else "table" if is_table else _type(field.type)
        yield code(field.name), kind, default


TABLE: Final = "dict[str, tuple[str, ...]]"
MODULES: Final = re.compile(r"\b(?:\w+\.)+(?=\w)")


def _type(kind: Any) -> str:
    # The same whether or not somebody has resolved the class's annotations, and without the modules of names.
    plain = kind.__name__ if isinstance(kind, type) and not get_args(kind) else str(kind)
    name = MODULES.sub("", plain)
    words = {
        "str": "text",
        "int": "whole number",
        "CellPath": "cell path",
        "str | None": "text",
        "float": "number",
        "bool": "yes or no",
        "tuple[str, ...]": "list of texts",
        "dict[str, float]": "table of numbers",
        TABLE: "table of lists",
    }
    return words.get(str(kind), words.get(name, name))


def _default(value: object) -> str:
    if attrs.has(type(value)):
        return "its own defaults"
    if isinstance(value, attrs.Factory):  # type: ignore[arg-type]  # attrs declares its class as a function
        return "none"
    return "none" if value in (None, ()) else "empty" if value == "" else code(str(value))
