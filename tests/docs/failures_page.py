"""The page of failures: each step of each move, each way in which it can fail, and how the move ends, from a run."""

from __future__ import annotations

from collections import defaultdict
from itertools import groupby
from typing import Final

from protocol.states import Goal
from tests.docs.markdown import code, page, table
from tests.sagas.doings import DOINGS, Doing
from tests.sagas.failing import Failed, Way, forward, undone

INTRO: Final = """
Every step of a move can fail in ten ways. Each was made to happen, in a simulated cloud, for ten minutes unless it says
*once*: longer than a conductor is patient with what may still be undone. This is how the moves ended; a test insists on
it (`tests/sagas/test_each_way_to_fail.py`), of cold migrate, create, start, stop, attach and detach too, and that every
promise held all along.

- **done**: the move succeeds, and the end is the same as in fine weather.
- **undone**: the world is as it was before, and the user hears the first cause. Before the settling step's success.
- **refused**: the user hears it at once; nothing has begun.
- **waits, ...**: while the trouble lasts, the conversation says what it waits for (`waits_for`), and nothing else is
  wrong: the server is never in `error`, its guest never runs twice. When the trouble is over it ends by itself.
- **owed, ...**: the same, but its user has the server already, and may do with it what he likes except a new move: only
  clean-up is left.
- *-*: what only reads is never refused by scenario, has no key, and writes nothing; a broadcast has no one owner;
  most steps call no hypervisor and no store of images or volumes.

Steps in one row behave alike. [Steps](steps.md) has what each does, and who its owner is.
"""

TITLE: Final = "Failures of steps"
#: Of the others the same holds, and a test insists on that.
SHOWN: Final = tuple(doing for doing in DOINGS if doing.goal in {Goal.RESIZE, Goal.CONFIRM, Goal.REVERT})
#: As a head of a table has room for it.
HEADS: Final = {
    Way.REFUSED_ONCE: "refused once",
    Way.REFUSED: "refused",
    Way.DIRTY: "fails when all is done",
    Way.SILENT: "command never comes",
    Way.UNHEARD_ONCE: "answer lost once",
    Way.UNHEARD: "every answer lost",
    Way.STORE: "owner's store fails",
    Way.DEAD: "owner is dead",
    Way.OUTSIDE: "hypervisor or partner refuses",
    Way.OUTSIDE_DIRTY: "hypervisor fails when done",
}


def failures_page() -> str:
    """Write the page."""
    return page(TITLE, INTRO, *(section(doing) for doing in SHOWN))


def outline() -> tuple[str, ...]:
    """Give what is on the page whatever came of the failures: its head, and what each section is called."""
    return page(TITLE, INTRO).strip(), *(heading(doing) for doing in SHOWN)


def heading(doing: Doing) -> str:
    """Write the heading of an operation's section."""
    return f"## {doing.name}"


def section(doing: Doing) -> str:
    """Write the section of one operation, whose every step fails for it."""
    return f"{heading(doing)}\n\n{table(('Steps', *(HEADS[way] for way in Way)), _rows(doing))}"


def _rows(doing: Doing) -> list[tuple[str, ...]]:
    ends = _ends(doing)

    def row(step: str) -> tuple[str, ...]:
        return tuple(str(ends[step].get(way, "-")) for way in Way)

    names = [step.name for step in doing.steps()]
    return [(", ".join(code(name) for name in steps), *ended) for ended, steps in groupby(names, key=row)]


def _ends(doing: Doing) -> dict[str, dict[Way, Failed]]:
    found = defaultdict[str, dict[Way, Failed]](dict)
    for step in doing.backward():
        found[step.name] = undone(doing, step)
    for turn in range(len(Way)):
        for step_name, (way, failed) in forward(doing, turn).items():
            found[step_name][way] = failed
    return found
