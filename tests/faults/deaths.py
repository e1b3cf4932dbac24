"""The conductor dies in the middle of a move, where Nova's leaves everything as it lies: X60 to X79."""

from __future__ import annotations

from collections.abc import Sequence

from sim import Scenario
from tests.faults.entry import SERVER, TARGET, Begin, Chapter, End, Part

DEATHS = Chapter(Part.DEATHS, begin=Begin.ACTIVE)


def death(number: str, row: str, operation: str, *points: str, nova: str) -> None:
    """Enter a death at one or more points of an operation."""

    async def story(s: Scenario) -> str:
        for point in points:
            s.kill("conductor", at=point, down_s=10)
        move = await (s.resize(SERVER, host=TARGET) if operation == "resize" else getattr(s, operation)(SERVER))
        await move.over()
        return ""

    when = " and ".join(f"`{point}`" for point in points)
    enter = DEATHS.fault(
        number, f"{operation}: the conductor dies after {row}", nova=nova, here=f"it is killed at {when}", end=End.DONE,
        begin=Begin.ACTIVE if operation == "resize" else Begin.RESIZED,
    )  # fmt: skip
    enter(story)


def recorded(*steps: str) -> Sequence[str]:
    """Name the points at which the outcomes of steps have just been written."""
    return [f"{step}/do/after_record" for step in steps]


death("X60", "A1", "resize", *recorded("hold_source"), nova="stuck in resize_prep; S's room held by the migration")
death("X61", "A2", "resize", *recorded("allocate_target"), nova="as X60, and T's room is taken")
death("X62", "A5", "resize", *recorded("copy_records"), nova="as X61, and a hidden record bars that cell for ever")
death("X63", "A9", "resize", *recorded("note_target"), nova="as X62, with T's port, empty attachments and claim")
death("X64", "A10", "resize", *recorded("create_snapshot"), nova="stuck in resize_migrating; an empty image")
death("X65", "A11", "resize", *recorded("mark_migrated"), nova="stuck in resize_migrated, no guest; an image is left")
death("X66", "A13", "resize", *recorded("spawn_target", "finish_target"), nova="stuck; the guest runs at T, hidden")
death(
    "X67", "A14, half done", "resize", "commit/do/after_effect",
    nova="two visible records, in two states",
)  # fmt: skip
death("X68", "A14, but for the end", "resize", *recorded("commit"), nova="two visible records; usable")
death(
    "X70", "C0 to C2", "confirm", *recorded("begin_confirm", "read_source"),
    nova="confirming for ever: only a delete is accepted",
)  # fmt: skip
death("X71", "C3", "confirm", *recorded("release_source"), nova="as X70; S's hidden record is left")
death(
    "X72", "C4", "confirm", *recorded("destroy_source"),
    nova="as X70; a delete answers 204, and the server ends in error",
)  # fmt: skip
death("X75", "V4", "revert", *recorded("apply_return"), nova="stuck in resize_reverting")
death("X76", "V5", "revert", *recorded("commit"), nova="stuck in resize_reverting at S; the guest runs at T")
death("X77", "V6", "revert", *recorded("vacate_target"), nova="stuck, no guest; T's record is left")
death("X78", "V7", "revert", *recorded("destroy_target"), nova="stuck, no guest; both rooms are taken")
death("X79", "V8", "revert", *recorded("start_source", "finish_return"), nova="well, but for the end of its history")
