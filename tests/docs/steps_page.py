"""The page of steps: every plan as it is written, and what each step of a real move leaves in the world."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import attrs

from protocol.bodies import encode_body
from protocol.errors import NoValidHost, report
from protocol.journal import Entry, Journal, Kind
from protocol.moves.plans import PLANS
from protocol.requests import Form
from protocol.saga import Plan, Step, Story, always
from protocol.states import Goal
from tests.docs.markdown import code, page, table
from tests.docs.moves_seen import (
    INSIDE,
    KINDS,
    ROOT,
    SMALL,
    SOURCE,
    SOURCE_CELL,
    TARGET,
    TARGET_CELL,
    TINY,
    Seen,
    moves_seen,
)
from tests.docs.values import COLUMNS, columns

#: Which conversations show a plan with all of its steps: of moves one that crosses, and one that stays in its cell.
SHOWN_BY: Final = {
    Goal.RESIZE: ("image resize", "inside resize"),
    Goal.CONFIRM: ("image confirm", "inside confirm"),
    Goal.REVERT: ("image revert", "inside revert"),
    Goal.DELETE: ("image delete", "inside delete", "image lost delete"),
    Goal.CREATE: ("create",),
    Goal.START: ("start",),
    Goal.STOP: ("stop",),
    Goal.REBOOT: ("reboot",),
    Goal.PAUSE: ("pause",),
    Goal.UNPAUSE: ("unpause",),
    Goal.SUSPEND: ("suspend",),
    Goal.RESUME: ("resume",),
    Goal.SOFT_DELETE: ("soft_delete",),
    Goal.RESTORE: ("restore",),
    Goal.ATTACH: ("attach",),
    Goal.DETACH: ("detach",),
    Goal.SWAP: ("swap",),
    Goal.REPAIR: ("repair",),
    Goal.SNAPSHOT: ("snapshot",),
    Goal.BACKUP: ("backup",),
    Goal.LIVE_MIGRATE: ("live migrate",),
    Goal.REBUILD: ("rebuild",),
    Goal.RESET_NETWORK: ("reset network",),
    Goal.INJECT_NETWORK_INFO: ("inject network info",),
}
TITLES: Final = {
    Goal.RESIZE: "Resize and cold migrate",
    Goal.CONFIRM: "Confirm",
    Goal.REVERT: "Revert",
    Goal.DELETE: "Delete",
    Goal.CREATE: "Create",
    Goal.START: "Start",
    Goal.STOP: "Stop",
    Goal.REBOOT: "Reboot",
    Goal.PAUSE: "Pause",
    Goal.UNPAUSE: "Unpause",
    Goal.SUSPEND: "Suspend",
    Goal.RESUME: "Resume",
    Goal.SOFT_DELETE: "Delete softly",
    Goal.RESTORE: "Restore",
    Goal.ATTACH: "Attach a volume",
    Goal.DETACH: "Detach a volume",
    Goal.SWAP: "Swap a volume",
    Goal.REPAIR: "Repair",
    Goal.SNAPSHOT: "Snapshot",
    Goal.BACKUP: "Backup",
    Goal.LIVE_MIGRATE: "Live migration inside a cell",
    Goal.REBUILD: "Rebuild",
    Goal.RESET_NETWORK: "Reset network",
    Goal.INJECT_NETWORK_INFO: "Inject network info",
}
#: How the conditions of steps read.
CONDITIONS: Final = {
    "always": "",
    "crosses": "it leaves its cell",
    "crosses_with_volumes": "it leaves its cell and has volumes",
    "stays": "it stays in its cell",
    "has_volumes": "it has volumes",
    "is_image_backed": "it is image-backed",
    "_has_volumes": "it has volumes",
    "_has_new_volumes": "it has volumes",
    "_has_left_volumes": "volumes are left there",
    "is_in_group": "it is in a server group",
    "has_live_holder": "its host is not fenced",
    "is_there": "it is still there",
    "has_record": "its home has a record of it",
    "is_lost": "its home has lost its record",
    "is_resized": "a move waits for its user",
    "has_host": "it has come to a host",
    "_has_attachments": "it has volumes",
    "_attached_since": "a volume came since",
    "_detached_since": "a volume went since",
    "is_active": "it is active",
    "_is_applied": "it is to be applied",
}

INTRO: Final = """
What a conversation does is a table in `protocol/moves/`. This page shows each of them, and below it, for moves, what
the world holds after every step: a simulated cloud really moves the servers, and the truth is read from its stores and
hypervisors after each step's outcome is in the journal and before the next command leaves.

How to read the plans:

- **Actor**: who gets the command. *Source* and *target* are the cells and hosts that the server leaves and goes to;
  of a move inside of a cell, source and target cell are one, called *home* in the steps that only such a move has.
- **Row**: the row of [the rows below](#what-the-rows-mean) that the step serves; `-` where Nova has no such table.
- **Undo**: the request that takes the step back. *poison*: it leaves nothing that has to be cleaned, so its undo only
  forbids a late execute. *-*: it is never undone: the conversation only goes forward there, or it changes nothing.
- **Marks**: *attempt*: one choice of target; a refusal undoes only the steps of the attempt, and another host is tried.
  *settles*: from its success on there is no way back. *read*: it changes nothing, so it has no key and no undo.
  *several*: once for each place that it concerns, which may be none.
- When the outcome is written, every actor that got a command is told to close (it fences and forgets the
  conversation), and only then `ReleaseServer` gives the mapping's row back: `(release)` in the tables of values.
"""

ROWS: Final = """
The letters stand for the phases of Nova's cross-cell resize, whose states clients read. cellferry serves each of them,
often by several steps of its own, since a step is one command to one actor.

| rows | in Nova |
| --- | --- |
| A0 | the API sets the task `resize_prep` and notes the user's action |
| A1 to A4 | the conductor makes the migration's record, has it hold the old allocation, and chooses a host |
| A5 to A7 | the target cell gets a hidden copy; ports are bound there, inactive; attachments are reserved, empty |
| A8, A9 | the target host claims room; both cells note which migration holds what |
| A10, A11 | the source stops and snapshots the guest, lets volumes and ports go, and waits |
| A12, A13 | the target connects volumes, starts the guest from the snapshot, and is in VERIFY_RESIZE |
| A14, A15 | the mapping turns to the target, the copies change places, the request's specification is saved |
| C0 to C2 | a confirm is noted in both cells |
| C3, C4 | the source host's disk, bindings and attachments go, then the source cell's records |
| C5, C6 | the target is an ordinary server again |
| V0 to V2 | a revert is noted in both cells |
| V3, V4 | what changed in VERIFY_RESIZE is brought to the source's record |
| V5 | the mapping turns back |
| V6, V7 | the target's guest, bindings and attachments go, then its records |
| V8, V9 | the source starts the guest, and is an ordinary server again |
"""

VALUES: Final = f"""
The server goes from host {SOURCE} of cell `{SOURCE_CELL}` (S) to host {TARGET} of cell `{TARGET_CELL}` (T), and from
flavor {TINY.name} ({TINY.memory_mb} MB, {TINY.disk_gb} GB) to {SMALL.name} ({SMALL.memory_mb} MB, {SMALL.disk_gb} GB).
An empty field is unchanged since the row above; *absent*: there is no such record, *-*: there is none of it.
A row without any field is a step that shows in none of these columns: a proof, or a mark in another record.

- **vm / task / power**: as clients read them; power 1 runs, 4 is off.
- **record**: `hidden` from listings or `visible`; `sealed` while it may not change; the host that it names.
- **context**: whether the record holds what an open move needs to be settled.
- **mapping**: the server's home, the generation of that, and for what a conversation has taken the server.
- **permit**: the number of the newest permit to run the guest, and who holds it.
- **attachments**: by volume; whose record names it (*new*: nobody's yet), and whether it is empty or connected.
- **guests**: *runs*, *off*, or *disk*: no guest, but its root disk is kept. A volume-backed server has no such disk.
"""

VALUES_INSIDE: Final = f"""
The same server goes from host {SOURCE} to host {TARGET}, and both are in cell `{SOURCE_CELL}`: there is one record. Of
attachments, *kept* are those that it keeps for a revert.
"""
#: There is no second record to look at.
OF_ONE_CELL: Final = tuple(head for head in COLUMNS if not head.startswith("T: "))


def steps_page() -> str:
    """Write the page."""
    parts = [INTRO, "## Plans"]
    parts.extend(_plan(goal, *(moves_seen()[name] for name in shown)) for goal, shown in SHOWN_BY.items())
    parts.extend(["## What the rows mean", ROWS, "## Values after each step", VALUES])
    for kind, words in KINDS.items():
        for goal in (Goal.RESIZE, Goal.CONFIRM, Goal.REVERT):
            parts.extend([f"### {goal.capitalize()}: {words}", *_remark(kind, goal)])
            parts.append(_values(moves_seen()[f"{kind} {goal}"], tuple(COLUMNS)))
    parts.extend(["## Values of moves inside of a cell", VALUES_INSIDE])
    for goal in (Goal.RESIZE, Goal.CONFIRM, Goal.REVERT):
        parts.extend([f"### {goal.capitalize()}: inside of a cell", *_remark("image", goal)])
        parts.append(_values(moves_seen()[f"{INSIDE} {goal}"], OF_ONE_CELL))
    return page("Steps", *parts)


def _remark(kind: str, goal: Goal) -> Iterator[str]:
    if (kind, goal) == ("image", Goal.REVERT):
        yield (
            "In VERIFY_RESIZE a volume was attached, then swapped for another one, and the data volume detached: the "
            "revert carries all that back."
        )


# --- plans -------------------------------------------------------------------------------------------------


def _plan(goal: Goal, *seen: Seen) -> str:
    plan = PLANS[goal]
    rows = [_step(plan, number, _showing(step, seen)) for number, step in enumerate(plan.steps)]
    head = ("", "Step", "Actor", "Row", "Request", "Undo", "Marks")
    return f"### {TITLES[goal]}\n\n{table(head, rows)}"


def _showing(step: Step, seen: tuple[Seen, ...]) -> Journal:
    """Give the first journal that has a step: only there it can tell what it asks."""
    return next(each.journal for each in seen if any(entry.step == step.name for entry in each.journal.entries))


def _step(plan: Plan, number: int, journal: Journal) -> tuple[str, ...]:
    step, story = plan.steps[number], Story(_refused(journal), 1)
    request = type(step.run(story)).__name__
    return str(number + 1), code(step.name), _actor(step, story), step.row, code(request), *_way_back(plan, step, story)


def _way_back(plan: Plan, step: Step, story: Story) -> tuple[str, str]:
    settling = next(each for each in plan.steps if each.settles)
    is_forward = plan.steps.index(step) > plan.steps.index(settling)
    if step.is_read or is_forward:
        undo = "-"
    else:
        undo = "poison" if step.undo is None else code(type(step.undo(story)).__name__)
    marks = {
        "attempt": step.in_attempt, "several": step.times is not None, "read": step.is_read, "settles": step.settles,
    }  # fmt: skip
    words = [f"**{mark}**" if mark == "settles" else mark for mark, is_set in marks.items() if is_set]
    names = "always" if step.when is always else step.when.__name__
    condition = " and ".join(CONDITIONS[name] for name in names.split(" and "))
    return undo, ", ".join([*words, *([f"if {condition}"] if condition else [])])


def _refused(journal: Journal) -> Journal:
    """Add a refusal, for undos to have a cause to tell of; nothing else in them depends on it."""
    error = report(NoValidHost(server=journal.server, reason="an example"), cell=str(ROOT))
    entry = Entry(
        seq=len(journal.entries), epoch=0, kind=Kind.REFUSED, at_us=0, step="take", payload=encode_body(error)
    )
    return attrs.evolve(journal, entries=(*journal.entries, entry))


def _actor(step: Step, story: Story) -> str:
    if type(step.run(story)).METHOD.form is Form.BROADCAST:
        return "every cell"
    address = step.at(story)
    side = {ROOT: "root", SOURCE_CELL: "source", TARGET_CELL: "target"}[address.cell]
    if story.server.startswith(INSIDE) and address.cell == SOURCE_CELL:
        side = "home"
    if story.journal.goal not in {Goal.RESIZE, Goal.CONFIRM, Goal.REVERT}:
        side = "root" if address.cell == ROOT else "each" if step.times is not None else "home"
    return f"{side} {address.mailbox.partition(':')[0]}"


# --- values ------------------------------------------------------------------------------------------------


def _values(seen: Seen, heads: tuple[str, ...]) -> str:
    def row(step: str, glance: tuple[str, ...], before: tuple[str, ...]) -> tuple[str, ...]:
        return step, *("" if new == old else new for new, old in zip(glance, before, strict=True))

    last = columns(seen.before, seen.journal.server, heads)
    rows = [("start", *last)]
    for after in seen.steps:
        glance = columns(after.sight, seen.journal.server, heads)
        rows.append(row(code(after.step), glance, last))
        last = glance
    return table(("after", *heads), rows)
