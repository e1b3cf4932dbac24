"""The page of faults: what Nova was measured to do with each, and what came of it here, from a run."""

from __future__ import annotations

from typing import Final

from sim.stages.inner import InnerStage
from tests.docs.markdown import page, table
from tests.faults.catalogue import CHAPTERS, number_of
from tests.faults.entry import Chapter, Entry, Missing
from tests.faults.trial import Ended, play

INTRO: Final = """
Somebody has provoked some seventy faults and races in Nova's cross-cell resize, one in each run, and written down what
was left when everything had settled. Each of them is provoked here too, in a simulated cloud, on the pure cores and on
the real actors, in every test run (`tests/faults/`); this page is written from such runs.

How to read it:

- **X**: the number in those notes. **S** is the host that the server leaves (`h1`), **T** the one that it goes to
  (`h2`), **A** an alternate (`h3`), each in a cell of its own unless said otherwise. The server is image-backed, active,
  and has a data volume, unless said otherwise.
- **Nova ends**: what was measured there. *Stuck*: a task state that nothing ever clears; every action answers 409.
- **Provoked here by**: which step, call or process fails, and how. A test insists that it really struck.
- **The user hears**: what each operation ended with, as its user was told.
- **While it lasts**: of trouble that would not end by itself, how things are after ten minutes of it: what the
  conversation says that it waits for, and where the guest runs. Then the trouble is ended, and nothing else is done.
- **End**: which of the ends below it is, then what was read from stores, hypervisors and partners: vm state, task,
  power; who has what of the server; the status of the move's record; the faults in the server's history.
- **Then**: what the server's user did next, with success: that nothing is in its way.

| end | means |
| --- | --- |
| undone | all is as it was before, in every cell, host and partner; one fault and one error notification give the first cause |
| given up | of what was asked while a move waits for its confirm: as undone, and the move waits on; one fault |
| done | the same as when nothing goes wrong, with no fault in the history |
| parked, then done | it waits, says for what, and goes on by itself when the trouble is over; the server is never in `error` |
| owed, then done | the same, but its user has the server already: what waits is clean-up, and bars only a new move |
| gone | the server is deleted, and nothing is left of it anywhere |
| one wins | of several users one is served, as if alone; the others are refused, and have changed nothing |

At each end all invariants and oracles hold, and nothing is left anywhere: no binding, attachment, image, allocation,
claim, record, guest, disk or key that belongs to nobody.
"""  # noqa: E501 - tables have no line breaks
HEAD: Final = ("X", "Fault", "Nova ends", "Provoked here by", "The user hears", "While it lasts", "End", "Then")


def faults_page() -> str:
    """Write the page."""
    parts = []
    for chapter in CHAPTERS:
        parts.extend(
            [f"## {chapter.part}", table(HEAD, [_row(fault) for fault in sorted(chapter.faults, key=number_of)])]
        )
    return page("Nova's measured faults", INTRO, *parts, *_missing(CHAPTERS))


def _row(fault: Entry | Missing) -> tuple[str, ...]:
    if isinstance(fault, Missing):
        return (fault.number, fault.fault, fault.nova, f"*not provoked yet: {fault.why}*", "", "", "", "")
    ended: Ended = play(fault, InnerStage)
    here = f"{fault.here} *(nearest: {fault.why_nearest})*" if fault.why_nearest else fault.here
    return (
        fault.number, fault.fault, fault.nova, here, "; ".join(ended.answers), ended.meanwhile,
        f"**{fault.end}**: {ended.end}", ended.then,
    )  # fmt: skip


def _missing(chapters: tuple[Chapter, ...]) -> tuple[str, ...]:
    faults = [fault for chapter in chapters for fault in chapter.faults]
    missing = [fault.number for fault in faults if isinstance(fault, Missing)]
    told = f"{len(faults) - len(missing)} of {len(faults)} faults are provoked"
    return ("## Count", f"{told}." if not missing else f"{told}; not yet: {', '.join(missing)}.")
