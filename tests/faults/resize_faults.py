"""What goes wrong in a resize: X1 to X22."""

from __future__ import annotations

import attrs

from protocol.records import Claim, Migration
from protocol.states import Goal, MigrationStatus, TaskState
from sim import Scenario
from tests.faults.ends import while_it_lasts
from tests.faults.entry import SERVER, SOURCE, SOURCE_CELL, TARGET, TARGET_CELL, Begin, Chapter, End, Part

RESIZE = Chapter(Part.RESIZE, begin=Begin.ACTIVE)
fault = RESIZE.fault
STUCK = "stuck in resize_prep, the guest runs at S, no fault, no notification"
FOR_EVER = 0


async def resize(s: Scenario) -> str:
    """Resize to T, to the end."""
    await (await s.resize(SERVER, host=TARGET)).over()
    return ""


async def resize_parked(s: Scenario) -> str:
    """Resize to T; look after ten minutes, end the trouble, and wait for the end."""
    move = await s.resize(SERVER, host=TARGET)
    await s.wait(600)
    seen = while_it_lasts(s)
    s.heal()
    await move.over()
    return seen


@fault(
    "X1", "an error while the records are copied to the target cell", nova=STUCK,
    here="`copy_records` fails for ever, when all of it is done", end=End.UNDONE,
)  # fmt: skip
async def _copy(s: Scenario) -> str:
    s.fail(TARGET_CELL, "copy_records", how="dirty", times=FOR_EVER)
    return await resize(s)


@fault(
    "X2", "Neutron has no extension for several bindings of a port", nova="active, one fault; nothing was made",
    here="no host's binding is accepted, for ever, and no host is named", end=End.UNDONE,
    why_nearest="the network partner is cellferry's own, and always keeps several bindings of a port",
)  # fmt: skip
async def _extension(s: Scenario) -> str:
    s.fail("network", "bind_ports", times=FOR_EVER)
    await (await s.resize(SERVER)).over()
    return ""


@fault(
    "X3", "the port cannot be bound on T", nova=STUCK, here="`bind_ports` is refused", end=End.UNDONE,
)  # fmt: skip
async def _bind(s: Scenario) -> str:
    s.fail("network", "bind_ports")
    return await resize(s)


@fault(
    "X4", "an attachment for T cannot be made (volume-backed)", nova="stuck in resize_prep; binding at T removed",
    here="`reserve_attachments` is refused", end=End.UNDONE, is_volume_backed=True,
)  # fmt: skip
async def _reserve(s: Scenario) -> str:
    s.fail("volume", "reserve_attachments")
    return await resize(s)


@fault(
    "X5", "T refuses the claim", nova="stuck in resize_prep; binding and attachments at T removed",
    here="`claim_target` is refused", end=End.UNDONE,
)  # fmt: skip
async def _claim(s: Scenario) -> str:
    s.fail(TARGET_CELL, "claim_target")
    return await resize(s)


@fault(
    "X6", "T is prepared, but the answer came too late", nova="stuck in resize_prep; the claim stays for a while",
    here="two answers to `claim_target` are lost", end=End.DONE,
)  # fmt: skip
async def _claim_unheard(s: Scenario) -> str:
    s.fail(TARGET_CELL, "claim_target", how="answer_lost", times=2)
    return await resize(s)


@fault(
    "X7", "the guest cannot be powered off",
    nova="active, runs; context, both flavors and the claim at T stay behind",
    here="`power_off` of S fails for ever", end=End.UNDONE,
)  # fmt: skip
async def _power_off(s: Scenario) -> str:
    s.fail(SOURCE, "power_off", times=FOR_EVER)
    return await resize(s)


@fault(
    "X8", "the snapshot cannot be uploaded", nova="active, but the guest stays off at S",
    here="`write` of the image store fails for ever", end=End.UNDONE,
)  # fmt: skip
async def _snapshot(s: Scenario) -> str:
    s.fail("image", "write", times=FOR_EVER)
    return await resize(s)


@fault(
    "X9", "the hypervisor cannot let the guest go", nova="error; the guest stays off at S",
    here="`undefine` of S fails when it is done", end=End.UNDONE,
)  # fmt: skip
async def _undefine(s: Scenario) -> str:
    s.fail(SOURCE, "undefine", how="dirty")
    return await resize(s)


@fault(
    "X10", "a failure right after the ports were turned to T",
    nova="error; no active binding, an empty attachment, no guest",
    here="`mark_migrated`, which follows `activate_target_bindings`, is refused", end=End.UNDONE,
)  # fmt: skip
async def _after_ports(s: Scenario) -> str:
    s.fail(SOURCE_CELL, "mark_migrated")
    return await resize(s)


@fault(
    "X11", "S is done, but the answer came too late", nova="active without a guest anywhere; no active binding",
    here="answers of S to `detach_guest` and of its cell to `mark_migrated` are lost", end=End.DONE,
)  # fmt: skip
async def _source_unheard(s: Scenario) -> str:
    s.fail(SOURCE, "detach_guest", how="answer_lost")
    s.fail(SOURCE_CELL, "mark_migrated", how="answer_lost", times=2)
    return await resize(s)


@fault(
    "X12", "the guest cannot be started at T", nova="error, no guest; an attachment stays empty for ever",
    here="`spawn` of T fails when half of it is done", end=End.UNDONE,
)  # fmt: skip
async def _spawn(s: Scenario) -> str:
    s.fail(TARGET, "spawn", how="dirty")
    return await resize(s)


@fault(
    "X13", "volumes cannot be connected at T", nova="error; no active binding, an empty attachment",
    here="`connect_target` is refused", end=End.UNDONE, is_volume_backed=True,
)  # fmt: skip
async def _connect(s: Scenario) -> str:
    s.fail("volume", "connect_target")
    return await resize(s)


@fault(
    "X14", "the guest runs at T, but the answer came too late",
    nova="error; the guest runs on at T without a record, a hard reboot makes it run twice",
    here="three answers of T to `spawn_target` are lost", end=End.DONE,
)  # fmt: skip
async def _spawn_unheard(s: Scenario) -> str:
    s.fail(TARGET, "spawn", how="answer_lost", times=3)
    return await resize(s)


@fault(
    "X15", "the mapping cannot be saved", nova="stuck in resize_migrated; the guest runs at T without a record",
    here="`commit` is refused by the root for ten minutes", end=End.PARKED,
)  # fmt: skip
async def _commit(s: Scenario) -> str:
    s.fail("api", "commit", times=FOR_EVER)
    return await resize_parked(s)


@fault(
    "X16", "the old record cannot be hidden", nova="the server is lost: GET answers 404; the guest runs at T",
    here="`hide_source` is refused for ten minutes", end=End.PARKED,
)  # fmt: skip
async def _hide(s: Scenario) -> str:
    s.fail(SOURCE_CELL, "hide_source", times=FOR_EVER)
    return await resize_parked(s)


@fault(
    "X17", "the snapshot image cannot be deleted", nova="VERIFY_RESIZE; the image stays for ever",
    here="`delete` of the image store fails for ten minutes", end=End.PARKED,
)  # fmt: skip
async def _delete_image(s: Scenario) -> str:
    s.fail("image", "delete", times=FOR_EVER)
    return await resize_parked(s)


@fault(
    "X18", "no host has room", nova="active, one fault", here="all other hosts are too small for the new flavor",
    end=End.UNDONE, memory_mb={TARGET: 1024, "h3": 1024},
)  # fmt: skip
async def _no_room(s: Scenario) -> str:
    await (await s.resize(SERVER)).over()
    return ""


@fault(
    "X19", "the first host refuses the claim, a second one in its cell is well",
    nova="the second is not tried; stuck in resize_prep", here="T's cell refuses `claim_target` once; A is in it too",
    end=End.DONE, hosts={SOURCE: SOURCE_CELL, TARGET: TARGET_CELL, "h3": TARGET_CELL},
)  # fmt: skip
async def _alternate(s: Scenario) -> str:
    s.fail(TARGET_CELL, "claim_target")
    await (await s.resize(SERVER)).over()
    return ""


@fault(
    "X20", "a leftover record of the server is in the target cell",
    nova="active, one fault; the leftover stays, and every later move there fails",
    here="a hidden record, its volume and its migration are put into T's store", end=End.DONE,
)  # fmt: skip
async def _leftover(s: Scenario) -> str:
    record, [device] = s.truth.home(SERVER), s.truth.block_devices(SERVER)
    assert record is not None
    old = Migration(
        uuid="old", server=SERVER, kind=Goal.RESIZE, status=MigrationStatus.ERROR, source_cell=SOURCE_CELL,
        source_host=SOURCE, old_flavor="m1.tiny", new_flavor="m1.small", created_at_us=1, updated_at_us=1,
    )  # fmt: skip
    left = attrs.evolve(record, is_hidden=True, task_state=TaskState.RESIZE_PREP)
    s.plant(TARGET_CELL, left, attrs.evolve(device, id="old"), old, Claim(server=SERVER, host="h2", migration="old"))
    return await resize(s)


@fault(
    "X22", "S's agent restarts while the guest is being stopped",
    nova="error, no guest; no active binding, an empty attachment",
    here="S is killed when it has begun `stop_guest`, and again in `detach_guest`", end=End.DONE,
)  # fmt: skip
async def _restart(s: Scenario) -> str:
    for step in ("stop_guest", "detach_guest"):
        s.kill(SOURCE, at=f"{step}/do/after_effect", down_s=3)
    return await resize(s)
