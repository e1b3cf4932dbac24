"""What goes wrong in a revert: X37 to X44b, and X48."""

from __future__ import annotations

from sim import Scenario
from tests.faults.ends import while_it_lasts
from tests.faults.entry import SERVER, SOURCE, SOURCE_CELL, TARGET, TARGET_CELL, Begin, Chapter, End, Part

REVERT = Chapter(Part.REVERT, begin=Begin.RESIZED)
fault = REVERT.fault
FOR_EVER = 0
SOON_NS = 120 * 1_000_000_000


async def revert(s: Scenario) -> str:
    """Revert, to the end."""
    await (await s.revert(SERVER)).over()
    return ""


async def revert_parked(s: Scenario) -> str:
    """Revert; look after ten minutes, end the trouble, and wait for the end."""
    move = await s.revert(SERVER)
    await s.wait(600)
    seen = while_it_lasts(s)
    s.heal()
    await move.over()
    return seen


@fault(
    "X37", "Cinder is down while S's records are updated for a volume that is new",
    nova="the hidden record is in error, the visible one stuck in resize_reverting",
    here="`reserve_returned` is refused for ten minutes", end=End.PARKED,
)  # fmt: skip
async def _new_volume(s: Scenario) -> str:
    await (await s.attach(SERVER, "extra")).done()
    s.fail("volume", "reserve_returned", times=FOR_EVER)
    return await revert_parked(s)


@fault(
    "X38", "the mapping cannot be saved", nova="two visible records; T's stuck in resize_reverting, S's in error",
    here="`commit` is refused by the root for ten minutes", end=End.PARKED,
)  # fmt: skip
async def _commit(s: Scenario) -> str:
    s.fail("api", "commit", times=FOR_EVER)
    return await revert_parked(s)


@fault(
    "X39", "T's record cannot be hidden", nova="error at S, while the list shows the server at T",
    here="`hide_target` is refused for ten minutes", end=End.PARKED,
)  # fmt: skip
async def _hide(s: Scenario) -> str:
    s.fail(TARGET_CELL, "hide_target", times=FOR_EVER)
    return await revert_parked(s)


@fault(
    "X40", "the guest at T cannot be destroyed", nova="error; the guest runs on at T, a hard reboot makes it run twice",
    here="`destroy` of T fails for ten minutes", end=End.OWED,
)  # fmt: skip
async def _destroy(s: Scenario) -> str:
    s.fail(TARGET, "destroy", times=FOR_EVER)
    return await revert_parked(s)


@fault(
    "X41", "T is cleaned up, but the answer came too late", nova="error, no guest; T's hidden record stays",
    here="two answers of T to `destroy_target_guest` are lost", end=End.DONE,
)  # fmt: skip
async def _unheard(s: Scenario) -> str:
    s.fail(TARGET, "destroy", how="answer_lost", times=2)
    return await revert(s)


@fault(
    "X42", "T's record cannot be deleted", nova="as X41",
    here="`destroy_target` fails for ten minutes, when all of it is done", end=End.OWED,
)  # fmt: skip
async def _record(s: Scenario) -> str:
    s.fail(TARGET_CELL, "destroy_target", how="dirty", times=FOR_EVER)
    return await revert_parked(s)


@fault(
    "X43", "the guest cannot be started at S again", nova="error; migration error, context stays",
    here="`define` of S fails for ten minutes", end=End.PARKED,
)  # fmt: skip
async def _define(s: Scenario) -> str:
    s.fail(SOURCE, "define", times=FOR_EVER)
    return await revert_parked(s)


@fault(
    "X44b", "S is done, but the answer came too late", nova="error, though all is well; migration error",
    here="two answers of S to `start_source` are lost", end=End.DONE,
)  # fmt: skip
async def _start_unheard(s: Scenario) -> str:
    s.fail(SOURCE, "define", how="answer_lost", times=2)
    return await revert(s)


@fault(
    "X48", "S's allocation cannot be given back", nova="active, but both hosts' rooms stay taken",
    here="`finish_return` fails twice when all of it is done, `vacate_target` for ten minutes", end=End.OWED,
)  # fmt: skip
async def _allocation(s: Scenario) -> str:
    s.fail(SOURCE_CELL, "finish_return", how="dirty", times=2)
    s.fail(TARGET_CELL, "vacate_target", times=FOR_EVER)
    return await revert_parked(s)


@fault(
    "X44", "S is down when a revert is asked",
    nova="accepted; T's guest is destroyed first: no guest anywhere, both rooms taken",
    here="S is killed, and stays down", end=End.GIVEN_UP,
)  # fmt: skip
async def _down(s: Scenario) -> str:
    s.kill(SOURCE, down_s=3000)
    asked_ns = s.stage.history.now_ns()
    await (await s.revert(SERVER)).over()
    assert s.stage.history.now_ns() - asked_ns < SOON_NS, "nothing waits for a host that may be gone for ever"
    assert s.truth.running(SERVER) == (TARGET,)
    return ""
