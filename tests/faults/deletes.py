"""Deletes at bad moments: X21, X51 to X53, X56, X57 and X59b."""

from __future__ import annotations

from sim import Scenario
from tests.faults.entry import SERVER, SOURCE, SOURCE_CELL, TARGET, TARGET_CELL, Begin, Chapter, End, Part

DELETES = Chapter(Part.DELETES, begin=Begin.RESIZED)
fault = DELETES.fault
FOR_EVER = 0


async def delete_while_held(s: Scenario, operation: str, actor: str, at: str) -> str:
    """Begin an operation, have it stand still at a point, delete the server there, and let both go on."""
    held = s.hold(actor, at=at)
    move = await (s.resize(SERVER, host=TARGET) if operation == "resize" else getattr(s, operation)(SERVER))
    await held.reached()
    delete = await s.delete(SERVER)
    held.let_go()
    await delete.done()
    await move.over()
    return ""


@fault(
    "X21", "the user deletes the server while S is about to be prepared",
    nova="deleted, but S's room stays taken for a deleted server",
    here="a delete while S stands still with `stop_guest` in its hand", end=End.GONE, begin=Begin.ACTIVE,
)  # fmt: skip
async def _in_resize(s: Scenario) -> str:
    return await delete_while_held(s, "resize", SOURCE, "stop_guest/do/after_send")


@fault(
    "X51", "confirm and delete at once", nova="deleted; the migration ends in error",
    here="both are asked at the same time", end=End.GONE,
)  # fmt: skip
async def _confirm_delete(s: Scenario) -> str:
    for move in await s.at_once(s.confirm(SERVER), s.delete(SERVER)):
        await move.over()
    return ""


@fault(
    "X52", "a delete in the middle of a confirm, when T's record is not updated yet",
    nova="the delete answers 204 and deletes nothing; the server lives on",
    here="a delete while T's cell stands still with `finish_confirm` in its hand", end=End.GONE,
)  # fmt: skip
async def _in_confirm(s: Scenario) -> str:
    return await delete_while_held(s, "confirm", TARGET_CELL, "finish_confirm/do/after_send")


@fault(
    "X53", "a delete while the confirm of it fails at S",
    nova="the first delete fails; of the second S's record, port, attachment and room stay for ever",
    here="`destroy` of S fails for ten minutes, and the server is deleted meanwhile", end=End.GONE,
)  # fmt: skip
async def _confirm_fails(s: Scenario) -> str:
    s.fail(SOURCE, "destroy", times=FOR_EVER)
    confirm = await s.confirm(SERVER)
    await s.wait(60)
    delete = await s.delete(SERVER)
    await s.wait(600)
    s.heal()
    await delete.done()
    await confirm.over()
    return ""


@fault(
    "X56", "a delete right after a revert has turned the mapping", nova="deleted, but S's room and port stay taken",
    here="a delete while T stands still with `detach_target` in its hand", end=End.GONE,
)  # fmt: skip
async def _after_the_mapping(s: Scenario) -> str:
    return await delete_while_held(s, "revert", TARGET, "detach_target/do/after_send")


@fault(
    "X57", "a delete when a revert is accepted and has not turned the mapping yet",
    nova="the deleted server is back, in error, without a guest",
    here="a delete while S's cell stands still with `apply_return` in its hand", end=End.GONE,
)  # fmt: skip
async def _before_the_mapping(s: Scenario) -> str:
    return await delete_while_held(s, "revert", SOURCE_CELL, "apply_return/do/after_send")


@fault(
    "X59b", "two deletes in VERIFY_RESIZE", nova="deleted; the migration ends in error",
    here="both are asked at the same time", end=End.GONE,
)  # fmt: skip
async def _two_deletes(s: Scenario) -> str:
    for move in await s.at_once(s.delete(SERVER), s.delete(SERVER)):
        await move.over()
    return ""
