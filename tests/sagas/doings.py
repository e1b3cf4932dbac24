"""The operations whose steps are made to fail, what their users have done before, and their end in fine weather."""

from __future__ import annotations

from functools import cache
from typing import Final

import attrs

from protocol.envelope import Key
from protocol.moves.plans import PLANS
from protocol.saga import Plan, Step
from protocol.states import Goal
from sim import Scenario
from sim.history import Looked
from sim.scenario import Move
from sim.stages.inner import InnerStage
from tests.faults.ends import Shape, shape
from tests.strays import strays

SERVER: Final = "web"
#: Which volumes an operation is about.
VOLUMES: Final = {"attach": ("extra",), "detach": ("data",), "swap": ("data", "spare")}
#: The server moves from the first to the second, which is in another cell.
HOSTS: Final = {"h1": "api!c1", "h2": "api!c2"}
#: Where the server never comes, so that what is left there is of unknown origin.
STRANGER: Final = "h3"
ELSEWHERE: Final = "api!c3"
#: Both in one cell.
INSIDE: Final = {"h1": "api!c1", "h2": "api!c1"}


@attrs.frozen(kw_only=True)
class Doing:
    """An operation whose steps are to fail."""

    name: str
    goal: Goal
    is_volume_backed: bool = False
    #: It moves, or has moved, inside of a cell.
    is_inside: bool = False
    #: What its user has done before.
    before: tuple[str, ...] = ("create",)

    @property
    def hosts(self) -> dict[str, str]:
        """The hosts, and the cell that each is in."""
        if "leave" in self.before:
            return {**HOSTS, STRANGER: ELSEWHERE}
        return INSIDE if self.is_inside else HOSTS

    @property
    def plan(self) -> Plan:
        """The steps."""
        return PLANS[self.goal]

    def steps(self) -> tuple[Step, ...]:
        """List the steps that the operation goes through."""
        return tuple(step for step in self.plan.steps if step.name in fine(self).methods)

    def backward(self) -> tuple[Step, ...]:
        """List the steps whose failure may undo it: up to the settling one."""
        steps = self.steps()
        settling = next(number for number, step in enumerate(steps) if step.settles)
        return steps[: settling + 1]

    def forward(self) -> tuple[Step, ...]:
        """List the steps from which it only goes forward."""
        return tuple(step for step in self.steps() if step not in self.backward())

    def method(self, step: Step) -> str:
        """Name the method of a step's request; empty for what only reads."""
        return fine(self).methods[step.name]


DOINGS: Final = (
    Doing(name="Resize", goal=Goal.RESIZE),
    Doing(name="Cold migrate, volume-backed", goal=Goal.MIGRATE, is_volume_backed=True),
    Doing(name="Confirm", goal=Goal.CONFIRM, before=("create", "resize")),
    Doing(name="Revert", goal=Goal.REVERT, before=("create", "resize", "attach", "detach")),
    Doing(name="Create", goal=Goal.CREATE, before=()),
    Doing(name="Start", goal=Goal.START, before=("create", "stop")),
    Doing(name="Stop", goal=Goal.STOP),
    Doing(name="Reboot", goal=Goal.REBOOT),
    Doing(name="Pause", goal=Goal.PAUSE),
    Doing(name="Unpause", goal=Goal.UNPAUSE, before=("create", "pause")),
    Doing(name="Suspend", goal=Goal.SUSPEND),
    Doing(name="Resume", goal=Goal.RESUME, before=("create", "suspend")),
    Doing(name="Delete softly", goal=Goal.SOFT_DELETE),
    Doing(name="Delete softly what is suspended", goal=Goal.SOFT_DELETE, before=("create", "suspend")),
    Doing(name="Restore", goal=Goal.RESTORE, before=("create", "soft_delete")),
    Doing(name="Attach a volume", goal=Goal.ATTACH),
    Doing(name="Detach a volume", goal=Goal.DETACH),
    Doing(name="Swap a volume", goal=Goal.SWAP),
    Doing(name="Swap a volume in VERIFY_RESIZE", goal=Goal.SWAP, before=("create", "resize")),
    Doing(name="Backup", goal=Goal.BACKUP, before=("create", "backup")),
    Doing(name="Reset network", goal=Goal.RESET_NETWORK),
    Doing(name="Rebuild", goal=Goal.REBUILD),
    Doing(name="Live migrate", goal=Goal.LIVE_MIGRATE, is_inside=True),
    Doing(name="Delete", goal=Goal.DELETE),
    Doing(name="Delete in VERIFY_RESIZE", goal=Goal.DELETE, before=("create", "resize", "attach")),
    Doing(name="Repair", goal=Goal.REPAIR, before=("create", "leave")),
    Doing(name="Repair in VERIFY_RESIZE", goal=Goal.REPAIR, before=("create", "resize", "leave")),
    Doing(name="Resize inside a cell", goal=Goal.RESIZE, is_inside=True),
    Doing(name="Cold migrate inside a cell, volume-backed", goal=Goal.MIGRATE, is_volume_backed=True, is_inside=True),
    Doing(name="Confirm inside a cell", goal=Goal.CONFIRM, before=("create", "resize", "detach"), is_inside=True),
    Doing(
        name="Revert inside a cell", goal=Goal.REVERT, before=("create", "resize", "attach", "detach"), is_inside=True
    ),
    Doing(
        name="Delete in VERIFY_RESIZE inside a cell", goal=Goal.DELETE, before=("create", "resize", "attach"),
        is_inside=True,
    ),
)  # fmt: skip


@attrs.frozen(kw_only=True)
class Fine:
    """What an operation comes to when nothing goes wrong: its steps, each with the method that its key came with."""

    methods: dict[str, str]
    end: Shape


async def prepare(s: Scenario, doing: Doing) -> None:
    """Bring the server to where the operation begins."""
    for act in doing.before:
        if act == "leave":
            await leave(s)
        else:
            await (await do(s, act, doing)).done()
    await s.quiet()


async def leave(s: Scenario) -> None:
    """Leave something of the server everywhere where it is not: nobody knows how it came there."""
    home = s.truth.home(SERVER)
    assert home is not None, "there is no server"
    [port] = s.truth.ports(SERVER)
    for owner, rows in strays(home, port=port.id, volume="data", cell=ELSEWHERE, host=STRANGER).items():
        s.plant(owner, *rows)
    await s.leave(STRANGER, SERVER)


async def begin(s: Scenario, doing: Doing) -> Move:
    """Begin the operation."""
    return await do(s, doing.goal.value, doing)


async def do(s: Scenario, act: str, doing: Doing) -> Move:
    """Begin what a user does."""
    match act:
        case "create":
            backing = doing.is_volume_backed
            return await s.create(SERVER, host="h1", volume="data", is_volume_backed=backing, group="apart", wait=False)
        case "resize":
            return await s.resize(SERVER, host="h2")
        case "migrate":
            return await s.migrate(SERVER, host="h2")
        case _:
            move: Move = await getattr(s, act)(SERVER, *VOLUMES.get(act, ()))
            return move


@cache
def fine(doing: Doing) -> Fine:
    """Do it, and let nothing go wrong."""

    async def story(s: Scenario) -> Fine:
        await prepare(s, doing)
        move = await (await begin(s, doing)).done()
        await s.quiet()
        looked = [line.what for line in s.stage.history.lines if isinstance(line.what, Looked)]
        methods = {Key.parse(what.key).step: what.method for what in looked if what.key.startswith(move.conversation)}
        return Fine(methods={each.step: methods.get(each.step, "") for each in move.journal}, end=shape(s.truth))

    return Scenario.run(story, hosts=doing.hosts, on=InnerStage)
