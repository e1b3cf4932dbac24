"""What goes wrong in a confirm: X30 to X36."""

from __future__ import annotations

from sim import Scenario
from tests.faults.ends import while_it_lasts
from tests.faults.entry import SERVER, SOURCE, SOURCE_CELL, TARGET_CELL, Begin, Chapter, End, Part

CONFIRM = Chapter(Part.CONFIRM, begin=Begin.RESIZED)
fault = CONFIRM.fault
FOR_EVER = 0


async def confirm(s: Scenario) -> str:
    """Confirm, to the end."""
    await (await s.confirm(SERVER)).over()
    return ""


async def confirm_parked(s: Scenario) -> str:
    """Confirm; look after ten minutes, end the trouble, and wait for the end."""
    move = await s.confirm(SERVER)
    await s.wait(600)
    seen = while_it_lasts(s)
    s.heal()
    await move.over()
    return seen


@fault(
    "X30", "what is left at S cannot be cleaned up",
    nova="error on a server that runs; record, port, attachment and room of S stay; it can never move back there",
    here="`destroy` of S fails for ten minutes", end=End.OWED,
)  # fmt: skip
async def _destroy(s: Scenario) -> str:
    s.fail(SOURCE, "destroy", times=FOR_EVER)
    return await confirm_parked(s)


@fault(
    "X31", "S is cleaned up, but the answer came too late", nova="error on a server that runs; S's record stays",
    here="two answers of S to `destroy_source_guest` are lost", end=End.DONE,
)  # fmt: skip
async def _unheard(s: Scenario) -> str:
    s.fail(SOURCE, "destroy", how="answer_lost", times=2)
    return await confirm(s)


@fault(
    "X32", "S's record cannot be deleted", nova="as X31",
    here="`destroy_source` fails for ten minutes, when all of it is done", end=End.OWED,
)  # fmt: skip
async def _record(s: Scenario) -> str:
    s.fail(SOURCE_CELL, "destroy_source", how="dirty", times=FOR_EVER)
    return await confirm_parked(s)


@fault(
    "X33", "T's record cannot be updated", nova="error on a server that runs; context and both flavors stay",
    here="`finish_confirm` is refused for ten minutes", end=End.PARKED,
)  # fmt: skip
async def _finish(s: Scenario) -> str:
    s.fail(TARGET_CELL, "finish_confirm", times=FOR_EVER)
    return await confirm_parked(s)


@fault(
    "X34", "S's allocation cannot be deleted", nova="as X31, and S's room stays taken",
    here="`release_source` is refused for ten minutes", end=End.OWED,
)  # fmt: skip
async def _release(s: Scenario) -> str:
    s.fail(SOURCE_CELL, "release_source", times=FOR_EVER)
    return await confirm_parked(s)


@fault(
    "X35", "a second confirm and a revert while a confirm is going on", nova="both refused, the first goes well",
    here="both are asked while `finish_confirm` is refused", end=End.ONE_WINS,
)  # fmt: skip
async def _again(s: Scenario) -> str:
    s.fail(TARGET_CELL, "finish_confirm", times=3)
    first = await s.confirm(SERVER)
    await s.confirm(SERVER)
    await s.revert(SERVER)
    await first.done()
    return ""


@fault(
    "X36", "S is down when a confirm is asked", nova="refused, nothing changed",
    here="S is killed, and up again after ten minutes", end=End.OWED,
)  # fmt: skip
async def _down(s: Scenario) -> str:
    s.kill(SOURCE, down_s=3000)
    return await confirm_parked(s)
