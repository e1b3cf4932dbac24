"""What users do at once, and what they do in VERIFY_RESIZE: X45 to X59c."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Final

from protocol.records import ServerAction
from sim import Scenario
from sim.faults import Fault, FaultKind
from sim.scenario import Move
from tests.faults.entry import SERVER, SOURCE, SOURCE_CELL, TARGET, Begin, Chapter, End, Part
from tests.faults.trial import DATA, SPARE

RACES = Chapter(Part.RACES, begin=Begin.RESIZED)
fault = RACES.fault


async def revert(s: Scenario) -> str:
    """Revert, to the end."""
    await (await s.revert(SERVER)).over()
    return ""


async def at_once(s: Scenario, *operations: Coroutine[Any, Any, Move]) -> tuple[Move, ...]:
    """Have operations placed at once, while the root stands still for twenty seconds with the first one in its hand."""
    s.inject(Fault(kind=FaultKind.PAUSE_AT, name="held", where="api/cell", point="take/do/after_send", for_s=20))
    return await s.at_once(*operations)


@fault(
    "X45", "a volume is attached in VERIFY_RESIZE, then revert",
    nova="attached at S, but the action is not in its history", here="so", end=End.DONE,
)  # fmt: skip
async def _attach(s: Scenario) -> str:
    await (await s.attach(SERVER, "extra")).done()
    await revert(s)
    assert "attach_volume" in {action.action for action in s.truth.in_cell("api!c1", ServerAction, SERVER)}
    return ""


@fault(
    "X46", "a volume is detached in VERIFY_RESIZE, then revert", nova="detached, no attachment", here="so",
    end=End.DONE,
)  # fmt: skip
async def _detach(s: Scenario) -> str:
    await (await s.detach(SERVER, DATA)).done()
    await revert(s)
    assert s.truth.attachments(SERVER) == ()
    return ""


@fault(
    "X49", "a volume is detached and attached again in VERIFY_RESIZE, then revert",
    nova="one attachment, connected at S", here="so", end=End.DONE, like=("revert",),
)  # fmt: skip
async def _detach_attach(s: Scenario) -> str:
    await (await s.detach(SERVER, DATA)).done()
    await (await s.attach(SERVER, DATA, device="/dev/vdb")).done()
    await revert(s)
    assert [row.volume for row in s.truth.attachments(SERVER)] == [DATA]
    return ""


@fault(
    "X50", "a volume is attached in VERIFY_RESIZE, then confirm", nova="both attached, one attachment each", here="so",
    end=End.DONE,
)  # fmt: skip
async def _attach_confirm(s: Scenario) -> str:
    await (await s.attach(SERVER, "extra")).done()
    await (await s.confirm(SERVER)).over()
    assert sorted(row.volume for row in s.truth.attachments(SERVER)) == [DATA, "extra"]
    return ""


@fault(
    "X54", "confirm and revert at once, both pass the check",
    nova="both accepted: no guest anywhere, GET answers 404, T's room stays taken",
    here="both are asked at the same time; the root, which decides, stands still meanwhile", end=End.ONE_WINS,
)  # fmt: skip
async def _confirm_revert(s: Scenario) -> str:
    for move in await at_once(s, s.confirm(SERVER), s.revert(SERVER)):
        await move.over()
    return ""


@fault(
    "X55", "two confirms at once, both pass the check", nova="the second puts the healthy server into error",
    here="both are asked at the same time; the root stands still meanwhile", end=End.ONE_WINS,
)  # fmt: skip
async def _two_confirms(s: Scenario) -> str:
    for move in await at_once(s, s.confirm(SERVER), s.confirm(SERVER)):
        await move.over()
    return ""


@fault(
    "X59c", "two reverts at once, both pass the check", nova="the first goes well, the second gets a 500",
    here="both are asked at the same time; the root stands still meanwhile", end=End.ONE_WINS,
)  # fmt: skip
async def _two_reverts(s: Scenario) -> str:
    for move in await at_once(s, s.revert(SERVER), s.revert(SERVER)):
        await move.over()
    return ""


@fault(
    "X59", "a revert is asked while a volume is being attached at T", nova="right: the attach is first",
    here="T's `connect_volume` takes a minute; the revert is refused, and asked again afterwards", end=End.DONE,
)  # fmt: skip
async def _revert_in_attach(s: Scenario) -> str:
    s.fail(TARGET, "connect_volume", how="late", late_s=60)
    attach = await s.attach(SERVER, "extra")
    early = await (await s.revert(SERVER)).over()
    assert early.error == "conflict"
    del s.moves[early.name]
    await attach.done()
    await revert(s)
    assert sorted(row.volume for row in s.truth.attachments(SERVER)) == [DATA, "extra"]
    return ""


@fault(
    "X47", "the server is renamed and locked in VERIFY_RESIZE, then revert", nova="old name, unlocked: both are lost",
    here="the revert is refused while the server is locked, and asked again when it is unlocked; the new name is kept",
    end=End.DONE,
)  # fmt: skip
async def _renamed_locked(s: Scenario) -> str:
    renamed = await (await s.rename(SERVER)).done()
    await (await s.lock(SERVER)).done()
    early = await s.revert(SERVER)
    assert early.error == "server_locked"
    del s.moves[early.name]
    await (await s.unlock(SERVER)).done()
    await revert(s)
    record = s.truth.home(SERVER)
    assert record is not None
    assert (record.name, record.is_locked) == (renamed.name, False)
    return ""


@fault(
    "X58", "a volume is swapped in VERIFY_RESIZE, then revert",
    nova="the old volume is back; what was written since is on a volume that the server does not have",
    here="so; the server boots from a volume, so that its count goes on at S", end=End.DONE, is_volume_backed=True,
)  # fmt: skip
async def _swap(s: Scenario) -> str:
    await (await s.swap(SERVER, DATA, SPARE)).done()
    await s.wait(5)
    assert s.truth.running(SERVER) == (TARGET,)
    written = _written(s, SPARE)
    assert written > _written(s, DATA), "the guest goes on, and not on the old volume"
    await revert(s)
    here = f"{SOURCE_CELL}/host:{SOURCE}"
    assert {row.volume: row.host for row in s.truth.attachments(SERVER)} == {ROOT: here, SPARE: here}
    assert [guest.volumes for guest in s.truth.guests(SERVER)] == [(ROOT, SPARE)]
    assert _written(s, SPARE) >= written, "nothing that was written since is lost"
    return ""


#: What the server boots from.
ROOT: Final = f"root-{SERVER}"


def _written(s: Scenario, volume: str) -> int:
    return next(each.counter for each in s.truth.volumes() if each.volume == volume)
