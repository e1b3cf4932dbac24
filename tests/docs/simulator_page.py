"""The page of the simulator: its commands, faults, points, probes, checkers, and what a scenario can say."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, Final

import attrs
import click

from sim.cases.places import DRIVER_CALLS, PARTNER_CALLS, POSITIONS
from sim.commands import catalogue
from sim.commands.cli import sim
from sim.faults import Family, Fault
from sim.scenario import Move, Scenario
from sim.stages.facts import Facts
from sim.stages.troubles import How
from tests.docs.markdown import code, listed, page, table

INTRO: Final = """
What there is to look up about the simulator. To use it, begin with
[find a bug in five minutes](../tutorial/find-a-bug.md), or [write a scenario](../how-to/write-a-scenario.md).
"""
FAULTS_INTRO: Final = """
A fault is a value (`sim.faults.Fault`); a plan of them is part of a case, and travels as JSON. `s.inject(fault)` lets
one loose in a scenario. Seconds count from when faults are let loose.

- `at_s`, `for_s`: from when on, and for how long, it may strike, or lasts.
- `where`, `other`, `point`: see below; empty means anywhere, and `*` at the end stands for any rest.
- `chance`: of striking at each occasion. `skip`: so many occasions pass first. `times`: then it strikes so often at
  most; 0 means without limit.
- `amount_s`: how late, how slow, or how far a clock jumps.
- `name`: keys its chances, so that it strikes alike when other faults are taken away.

A fault that *fired* did what it says; one that *mattered* made a difference, and only then its probe is reached.
"""
#: What a fault's `where`, `other` and `point` mean.
PLACES: Final = {
    Family.MESSAGE: (
        "`where`: the process that sends; `other`: the one that consumes the queue; `point`: the method of the first "
        "message in the frame"
    ),
    Family.LINK: "`where` and `other`: two processes; a link of cells is one of their `link` processes",
    Family.BROKER: "`where`: the cell of the broker; `other`: one queue there",
    Family.PROCESS: "`where`: the process; `point`: see [points](#points)",
    Family.CLOCK: "`where`: the process whose wall clock it is",
    Family.STORE: (
        "`where`: the process whose store it is; `point`: `read`, `write`, or `write TABLE` for the rows of one table"
    ),
    Family.DRIVER: f"`where`: the process of the host; `point`: {listed(DRIVER_CALLS)}",
    Family.PARTNER: "; ".join(
        f"`where`: `{name}`, `point`: {listed(calls)}" for name, calls in sorted(PARTNER_CALLS.items())
    ),
}  # fmt: skip
POINTS: Final = f"""
A process can be killed, or made to stand still, when a conversation passes a point:

- `STEP/do/POSITION` and `STEP/undo/POSITION`, of any [step](steps.md); the position is one of {listed(POSITIONS)}.
  `before_send`: the intent is in the journal; `after_send`: the command is in a queue; `after_effect`: it is durably
  carried out, or (by a host) begun; `after_reply`: the answer is in a queue; `after_record`: the outcome is in the
  journal. What only reads passes `before_send` and `after_record`.
- `end/do/after_record`, `closed/do/after_record`: the whole conversation.
- `driver/CALL/after`: a hypervisor has done something; on the inner level also `driver/CALL/before`.
"""
PROBES_INTRO: Final = """
A set of runs that never reached one of these has proved nothing about it; `cellferry sim hunt --probes` fails then. A
probe `fault:KIND` is reached when a fault of the kind mattered.
"""
CHECKERS_INTRO: Final = """
Every run is judged by these, line by line and at its end. Invariants are pure functions of the truth, and judge the
demo too; oracles listen to the history. Letters are those of the project's notes on reliability.
"""
SCENARIO_INTRO: Final = f"""
`from sim import Scenario`; [how to write one](../how-to/write-a-scenario.md). `how` is one of {listed(How)}.
"""


def simulator_page() -> str:
    """Write the page."""
    return page(
        "The simulator",
        INTRO,
        "## Commands",
        *_commands(),
        "## Faults",
        FAULTS_INTRO,
        table(("Field", "Default"), _fields()),
        *_faults(),
        "## Points",
        POINTS,
        "## Probes",
        PROBES_INTRO,
        table(("Probe", "Reached when"), ((code(row["name"]), row["reached when"]) for row in catalogue.probes())),
        "## Checkers",
        CHECKERS_INTRO,
        table(("Checker", "Kind", "Promise"), _checkers()),
        "## Scenarios",
        SCENARIO_INTRO,
        *_class("Scenario", Scenario),
        *_class("Move", Move),
        *_class("Truth", Facts),
    )


def _commands() -> Iterator[str]:
    for name, command in sim.commands.items():
        yield f"### `cellferry sim {name}`"
        yield command.get_short_help_str(limit=200)
        if rows := [_option(each) for each in command.params]:
            yield table(("Option", "Default", "What it does"), rows)


def _option(each: click.Parameter) -> tuple[str, str, str]:
    if isinstance(each, click.Option):
        default = "" if each.default in (None, "", False) or str(each.default).startswith("Sentinel") else each.default
        return " ".join(map(code, each.opts)), code(str(default)), (each.help or "").partition("  [")[0]
    return code(each.metavar or each.name or ""), "", "a seed, or a case that a hunt wrote"


def _fields() -> Iterator[tuple[str, str]]:
    for field in attrs.fields(Fault):
        default = "required" if field.default is attrs.NOTHING else code(repr(field.default))
        yield code(field.name), default


def _faults() -> Iterator[str]:
    rows = catalogue.faults()
    for family in Family:
        yield f"### Faults of the family {family}"
        yield f"{PLACES[family]}."
        of_family = [row for row in rows if row["befalls"] == family]
        yield table(("Kind", "What happens", "It mattered when"), (_kind(row) for row in of_family))


def _kind(row: dict[str, str]) -> tuple[str, str, str]:
    return code(row["name"]), row["does"], row["matters when"]


def _checkers() -> Iterator[tuple[str, str, str]]:
    for row in catalogue.checkers():
        yield code(row["name"]), row["kind"], row["promise"]


def _class(title: str, cls: type[Any]) -> tuple[str, str, str]:
    members = {name: member for base in reversed(cls.__mro__) for name, member in vars(base).items()}
    rows = [_member(name, member) for name, member in members.items() if _is_public(name, member)]
    return f"### {title}", _first_line(cls), table(("Member", "What it does"), rows)


def _is_public(name: str, member: object) -> bool:
    is_shown = isinstance(member, property | classmethod) or inspect.isfunction(member)
    return is_shown and not name.startswith("_")


def _member(name: str, member: Any) -> tuple[str, str]:
    if isinstance(member, property):
        return code(name), _first_line(member)
    function = member.__func__ if isinstance(member, classmethod) else member
    parameters = list(inspect.signature(function).parameters.values())[1:]
    shown, is_keyword = [], False
    for each in parameters:
        if each.kind is each.KEYWORD_ONLY and not is_keyword:
            shown.append("*")
        is_keyword = is_keyword or each.kind in {each.KEYWORD_ONLY, each.VAR_POSITIONAL}
        default = "" if each.default is each.empty else f"={_value(each.default)}"
        shown.append(f"{'*' if each.kind is each.VAR_POSITIONAL else ''}{each.name}{default}")
    wait = "await " if inspect.iscoroutinefunction(function) else ""
    return code(f"{wait}{name}({', '.join(shown)})"), _first_line(function)


def _value(default: object) -> str:
    if isinstance(default, How):
        return repr(default.value)
    return default.__name__ if inspect.isclass(default) else repr(default)


def _first_line(thing: object) -> str:
    return (inspect.getdoc(thing) or "").partition("\n\n")[0]
