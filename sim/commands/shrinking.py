"""From a case that was found to the report on the small one: shrinks within a minute, and writes the folder."""

import logging
from pathlib import Path
from typing import Final

import attrs

from sim.cases.case import Breach, Case
from sim.commands.choices import Choices
from sim.commands.hunting import Found
from sim.commands.levels import Ran
from sim.commands.stopwatch import Stopwatch
from sim.history import Fired
from sim.shrink import shrink
from sim.telling.report import STORY, write_report

#: Shrinking is over by then: whoever waits for it wants to know.
SHRINK_S: Final = 45.0
RUNS_MAX: Final = 2000


@attrs.frozen(kw_only=True)
class Told:
    """What a report says, and the command that replays it."""

    story: str
    command: str
    case: Case


def suspects_of(run: Ran, breach: Breach) -> tuple[str, ...]:
    """Name the faults that struck before a breach: the last one first, and those that mattered before the others."""
    struck = [line.what for line in run.history.lines if line.number <= breach.step and isinstance(line.what, Fired)]
    latest = dict.fromkeys(what.fault.name for what in reversed(struck) if what.mattered)
    return tuple(dict.fromkeys([*latest, *(what.fault.name for what in reversed(struck))]))


def shrink_and_report(found: Found, choices: Choices, folder: Path, *, within_s: float = SHRINK_S) -> Told:
    """Shrink what was found, run the smallest once more, and write the report on it."""
    # Runs that are ended from within leave tasks behind, of which the loop would tell on and on.
    logging.getLogger("sim.loop.loop_settings").addHandler(logging.NullHandler())
    watch, level = Stopwatch(), choices.level

    ran = level.run(found.case)

    def fails(case: Case) -> Breach | None:
        if watch.elapsed_s > within_s:
            return None  # So nothing more is kept: the time is over.
        return level.breach(case, wanted=found.breach.invariant)

    small = shrink(
        found.case, fails=fails, within=RUNS_MAX, wanted=found.breach, suspects=suspects_of(ran, found.breach),
        layout=choices.layout_of_cases,
    )  # fmt: skip
    command = write_report(ran, level.run(small), folder, options=choices.of_a_case())
    return Told(story=(folder / STORY).read_text(encoding="utf-8"), command=command, case=small)
