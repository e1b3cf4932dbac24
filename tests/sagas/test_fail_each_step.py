"""Whatever step fails before there is no way back, the world is as it was: over the step tables, so over every step."""

from __future__ import annotations

from typing import Final

import anyio
import attrs
import pytest

from protocol.errors import HypervisorFailed
from protocol.messages.orders import Order
from protocol.moves import resize_story as told
from protocol.moves.confirm import CONFIRM as CONFIRM_PLAN
from protocol.moves.delete import DELETE as DELETE_PLAN
from protocol.moves.imaging import BACKUP as BACKUP_PLAN
from protocol.moves.lifecycle import CREATE
from protocol.moves.lifecycle import REBOOT as REBOOT_PLAN
from protocol.moves.lifecycle import START as START_PLAN
from protocol.moves.lifecycle import STOP as STOP_PLAN
from protocol.moves.live import LIVE_MIGRATE
from protocol.moves.rebuild import REBUILD
from protocol.moves.resize import RESIZE
from protocol.moves.revert import REVERT as REVERT_PLAN
from protocol.moves.volumes import ATTACH, DETACH, SWAP
from protocol.moves.wiring import RESET_NETWORK
from protocol.records import Allocation, Claim, Fault, Migration, Notification, PortBinding, Server
from protocol.saga import Plan, Step
from protocol.states import Goal, MigrationStatus
from sim.world import World
from tests import clouds
from tests.clouds import (
    BACKUP,
    CONFIRM,
    DELETE,
    REBOOT,
    REVERT,
    START,
    STOP,
    Backing,
    Dump,
    broken_promises,
    building,
    cloud,
    dump,
)
from tests.sagas.trouble import How, Trouble, TroubledInbox, troubled_world

pytestmark = pytest.mark.anyio

ONLY_WITH_OWN_DISK: Final = frozenset({"create_snapshot", "snapshot", "verify_snapshot"})
#: Nothing is slow here: what is not over by then waits for ever.
PATIENCE_S: Final = 600.0
#: Steps in which a hypervisor changes something, so that it may fail when that is done.
TOUCH_A_GUEST: Final = frozenset(
    {
        "stop_guest",
        "detach_guest",
        "spawn_target",
        "stop_target",
        "spawn",
        "power",
        "connect_volume",
        "disconnect_volume",
        "copy_volume",
        "prepare_disk",
        "replace_disk",
        "receive_disk",
        "save_guest",
        "receive_guest",
    }
)
#: Whatever else is no transaction.
OTHERS_WITHOUT_TRANSACTION: Final = frozenset({"snapshot", "verify_snapshot"})


@attrs.frozen(kw_only=True)
class Case:
    """An operation that is to fail, on what, and the steps of its plan that it goes without."""

    name: str
    plan: Plan
    before: tuple[Order, ...]
    order: Order
    goes_without: frozenset[str] = frozenset()
    is_inside: bool = False  # It moves, or has moved, inside of a cell.
    is_brief: bool = False  # Another case shows what its steps do when they fail after their effect.
    #: The first step whose failure the server's history tells of.
    told_from: str = ""

    def steps(self) -> tuple[str, ...]:
        """List the steps up to the one that settles it.  What only reads has no key, and nothing to undo."""
        settling = next(number for number, step in enumerate(self.plan.steps) if step.settles)
        steps = [step for step in self.plan.steps[: settling + 1] if not step.is_read and self._is_taken(step)]
        return tuple(step.name for step in steps if step.name not in self.goes_without)

    def _is_taken(self, step: Step) -> bool:
        """Tell whether a step is one of moves of this kind: some are of those that cross alone, some of the others."""
        conditions = step.when.__name__.split(" and ")
        return not any(each.startswith("crosses" if self.is_inside else "stays") for each in conditions)

    def ways(self, step: str) -> tuple[How, ...]:
        """Tell how a step is to fail; that a transaction takes back all it did is shown by the shorter plans."""
        if step in TOUCH_A_GUEST:
            return (How.CLEAN, How.HALF) if self.is_brief else tuple(How)
        is_shown = self.plan is RESIZE and step not in OTHERS_WITHOUT_TRANSACTION
        return (How.CLEAN,) if self.is_brief or is_shown else (How.CLEAN, How.DIRTY)


def moves_of(backing: Backing, *, is_inside: bool = False) -> tuple[Case, Case]:
    """Give the resize of a server of that kind, and its revert."""
    without = ONLY_WITH_OWN_DISK if backing is Backing.VOLUME else frozenset[str]()
    start, order = building(backing), clouds.resize(host=clouds.NEAR_HOST) if is_inside else clouds.resize()
    kind, is_brief = f"{backing}{' inside a cell' if is_inside else ''}", is_inside or backing is not Backing.IMAGE
    resize = Case(
        name=f"resize {kind}", plan=RESIZE, before=start, order=order, goes_without=without, is_brief=is_brief,
        told_from="hold_source", is_inside=is_inside,
    )  # fmt: skip
    revert = Case(
        name=f"revert {kind}", plan=REVERT_PLAN, before=(*start, order), order=REVERT, is_brief=is_brief,
        told_from="stop_target" if is_inside else "begin_return", is_inside=is_inside,
    )  # fmt: skip
    return resize, revert


def batched(steps: tuple[str, ...], size: int) -> list[tuple[str, ...]]:
    """Cut a plan into pieces."""
    return [steps[start : start + size] for start in range(0, len(steps), size)]


ACTIVE, STOPPED = building(Backing.IMAGE), building(Backing.STOPPED)
CASES: Final = (
    *(case for backing in Backing for case in moves_of(backing)),
    *(case for backing in (Backing.IMAGE, Backing.VOLUME) for case in moves_of(backing, is_inside=True)),
    Case(name="confirm", plan=CONFIRM_PLAN, before=(*ACTIVE, clouds.resize()), order=CONFIRM),
    Case(name="delete in VERIFY_RESIZE", plan=DELETE_PLAN, before=(*ACTIVE, clouds.resize()), order=DELETE),
    Case(name="create image-backed", plan=CREATE, before=(), order=clouds.create()),
    Case(name="create volume-backed", plan=CREATE, before=(), order=clouds.create(Backing.VOLUME)),
    Case(name="attach", plan=ATTACH, before=ACTIVE, order=clouds.attach(), told_from="reserve_attachment"),
    Case(name="detach", plan=DETACH, before=ACTIVE, order=clouds.detach(), told_from="disconnect_volume"),
    Case(name="swap", plan=SWAP, before=ACTIVE, order=clouds.swap(), told_from="reserve_attachment"),
    Case(name="start", plan=START_PLAN, before=STOPPED, order=START, told_from="power"),
    Case(name="stop", plan=STOP_PLAN, before=ACTIVE, order=STOP, told_from="power"),
    Case(name="backup", plan=BACKUP_PLAN, before=ACTIVE, order=BACKUP, told_from="register_snapshot"),
    Case(
        name="live migration", plan=LIVE_MIGRATE, before=ACTIVE, order=clouds.live_migrate(), is_inside=True,
        told_from="hold_source",
    ),
    Case(name="rebuild", plan=REBUILD, before=ACTIVE, order=clouds.REBUILD, told_from="prepare_disk"),
    Case(
        name="reset network", plan=RESET_NETWORK, before=ACTIVE, order=clouds.wire(Goal.RESET_NETWORK),
        told_from="rebind_ports",
    ),
    Case(name="reboot", plan=REBOOT_PLAN, before=ACTIVE, order=REBOOT, told_from="switch_off"),
)  # fmt: skip
#: So many steps fail in one world, one after the other: that each leaves nothing is what the next begins with.
STEPS_A_WORLD: Final = 4
EVERY_STEP: Final = [
    pytest.param(case, steps, id=f"{case.name}: {', '.join(steps)}")
    for case in CASES
    for steps in batched(case.steps(), STEPS_A_WORLD)
]


async def fail(world: World, inbox: TroubledInbox, case: Case, trouble: Trouble) -> None:
    """Place the order, and see that it ends with the error of the step that fails."""
    inbox.trouble = trouble
    with pytest.raises(HypervisorFailed) as caught, anyio.fail_after(PATIENCE_S):
        await world.client.finish(case.order)
    assert caught.value.action == trouble.step, "the user is told the first cause"
    inbox.trouble = None


@pytest.mark.parametrize(("case", "steps"), EVERY_STEP)
async def test_an_operation_that_fails_at_any_step_leaves_the_world_as_it_was(
    case: Case, steps: tuple[str, ...]
) -> None:
    """Refused before the effect, or failing after it: full dumps differ in nothing that a failure may not change."""
    inbox = TroubledInbox()
    layout = clouds.NARROW if case.is_inside else clouds.FLAT
    async with cloud(*case.before, world=troubled_world(inbox, layout)) as world:
        before = await dump(world)
        for step in steps:
            for how in case.ways(step):
                await fail(world, inbox, case, Trouble(step, how))
                after = await dump(world)
                assert after.differences(before) == [], f"{step} {how}"
                assert broken_promises(after, seen=before) == (), f"{step} {how}"
                _check_history(case, step, before, after)
                before = after
        assert not world.counts["conversation_failed"]


def _check_history(case: Case, step: str, before: Dump, after: Dump) -> None:
    names = case.steps()
    is_told = bool(case.told_from) and names.index(step) >= names.index(case.told_from)
    faults = after.told_since(before, Fault)
    assert [fault.code for fault in faults] == (["hypervisor_failed"] if is_told else [])
    if case.plan is RESIZE:
        errors = [row for row in after.told_since(before, Notification) if row.event.endswith(".error")]
        assert [row.event for row in errors] == (["compute_task.migrate_server.error"] if is_told else [])
        migrations = after.told_since(before, Migration)
        expected = [MigrationStatus.ERROR] if is_told and step != case.told_from else []
        assert [row.status for row in migrations] == expected


# --- alternates --------------------------------------------------------------------------------------------

IN_AN_ATTEMPT: Final = [
    step.name for step in RESIZE.steps if step.in_attempt and not step.is_read and step.when is not told.stays
]
#: The first, the last, and one in the middle: that each is undone is shown above.
SOME_OF_THEM: Final = (IN_AN_ATTEMPT[0], IN_AN_ATTEMPT[len(IN_AN_ATTEMPT) // 2], IN_AN_ATTEMPT[-1])


@pytest.mark.parametrize("step", SOME_OF_THEM)
async def test_a_refused_target_leaves_nothing_and_the_alternate_is_taken(step: str) -> None:
    """The first choice is refused at any step of its attempt: the server is on the other host, as if chosen first."""
    inbox = TroubledInbox()
    async with cloud(*ACTIVE, world=troubled_world(inbox)) as world:
        before = await dump(world)
        inbox.trouble = Trouble(step, How.CLEAN, attempt=1)
        await world.client.finish(clouds.resize(host=None))
        after = await dump(world)
        assert inbox.trouble.is_over
        [refused, taken] = _hosts_of_target_cell(after)
        assert taken == 1, "one of the two hosts has all"
        assert refused == 0, "the other has nothing"
        assert broken_promises(after, seen=before) == ()
        assert after.told_since(before, Fault) == [], "what was refused on the way is no fault of the server's"


def _hosts_of_target_cell(after: Dump) -> list[int]:
    """Count how many of these each host has, of at most one kind each: allocation, claim, binding, guest."""
    truth = after.truth
    places = {
        host: (
            any(row.host == host for row in truth.all(Allocation)),
            any(row.host == host for row in truth.all(Claim)),
            any(row.host == host for row in truth.all(PortBinding)),
            any(guest.host == host for guest in truth.guests),
        )
        for host in (clouds.TARGET_HOST, clouds.OTHER_HOST)
    }
    assert all(len(set(has)) == 1 for has in places.values()), places
    return sorted(int(all(has)) for has in places.values())


# --- afterwards --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backing", Backing)
async def test_a_server_whose_move_failed_can_be_moved(backing: Backing) -> None:
    """Failed as late as can be, then moved for good and confirmed: nothing of the failure is in the way."""
    inbox = TroubledInbox()
    async with cloud(*building(backing), world=troubled_world(inbox)) as world:
        before = await dump(world)
        inbox.trouble = Trouble("spawn_target", How.HALF)
        with pytest.raises(HypervisorFailed):
            await world.client.finish(clouds.resize())
        await world.client.finish(clouds.resize())
        await world.client.finish(CONFIRM)
        after = await dump(world)
        assert broken_promises(after, seen=before) == ()
        assert [(row.host, row.flavor) for row in after.truth.all(Server)] == [(clouds.TARGET_HOST, clouds.SMALL)]
