"""A delete that comes at any entry of another conversation's journal: afterwards there is nothing, and it stays so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import attrs
import pytest

from protocol.journal import Kind
from protocol.states import Goal
from sim import Scenario
from sim.cases.workload import Act, Op
from sim.history import Journaled, Line
from sim.scenario import Move
from sim.stages.inner import InnerStage
from sim.stages.loop import LoopStage
from tests.shares import part

HOSTS: Final = {"h1": "api!eu", "h2": "api!us"}
#: Both in one cell: a move between them leaves no second record.
INSIDE: Final = {"h1": "api!eu", "h2": "api!eu"}
#: What is done before, and then what the delete meets.
MEETINGS: Final = (
    (), ("resize",), ("resize", "confirm"), ("resize", "revert"), ("stop",), ("attach",), ("detach",),
    ("swap",),
)  # fmt: skip
OF_A_MOVE: Final = tuple(moves for moves in MEETINGS if "resize" in moves)
#: By day, one entry in so many of each series: with the pure cores, and with the real actors.
ONE_IN: Final = 4
REAL_ONE_IN: Final = 16
DELETE: Final = Op(name="delete", act=Act.DELETE, server="web")
PLACES: Final = ("guests", "disks", "servers", "ports", "bindings", "attachments", "listing", "claims", "allocations")
#: Longer than a message takes within the root: a delete by then is begun while a command is on its way.
LATER_S: Final = (0.0, 0.03)


@attrs.define
class Meeting:
    """Places the delete as soon as the other conversation has written so many entries."""

    s: Scenario
    entry: int
    delay_s: float = 0.0
    goal: Goal | None = None
    is_placed: bool = False
    written: list[Kind] = attrs.field(factory=list)

    def listen(self, line: Line) -> None:
        """Count what is written."""
        what = line.what
        if not isinstance(what, Journaled) or what.goal is Goal.DELETE:
            return
        if self.goal is None and what.entry.kind is Kind.BEGIN:
            self.goal = what.goal
        if what.goal is self.goal:
            self.written.append(what.entry.kind)
            if len(self.written) == self.entry + 1 and not self.is_placed:
                self.is_placed = True
                self.place()

    def place(self) -> None:
        """Place it now, whoever has just written."""
        stage = self.s.stage
        if isinstance(stage, InnerStage):
            stage.world.agenda.after(self.delay_s, stage.world.users.place, DELETE.order(), lambda _conversation: None)
        else:
            assert isinstance(stage, LoopStage)
            stage.world.machines.spawn(self._place_late, stage)

    async def _place_late(self, stage: LoopStage) -> None:
        await stage.wait(self.delay_s)
        await stage.world.users.place(DELETE)


def meet(
    moves: tuple[str, ...], entry: int, *, on: Any, delay_s: float = 0.0, is_volume_backed: bool = False,
    hosts: dict[str, str] = HOSTS,
) -> int:  # fmt: skip
    """Have the delete come at an entry of the last of these; give how many entries that one has written in the end."""

    async def story(s: Scenario) -> int:
        meeting = Meeting(s, entry, delay_s)
        if moves:
            await s.create("web", host="h1", volume="data", is_volume_backed=is_volume_backed)
        for move in moves[:-1]:
            await (await order(s, move)).done()
        s.stage.history.listeners.append(meeting.listen)
        met = await (order(s, moves[-1]) if moves else _make(s, is_volume_backed=is_volume_backed))
        await met.over()
        await s.wait(delay_s)  # What comes at the last entry comes so much later.
        await s.quiet()
        s.check()
        assert not met.error or met.error in {"conflict", "not_found"}
        if meeting.is_placed:
            delete = Move(s.stage, DELETE)
            assert (delete.ended, delete.error) == (True, "")
            assert list(left(s)) == []
        return len(meeting.written)

    return Scenario.run(story, hosts=hosts, on=on)


async def order(s: Scenario, move: str) -> Move:
    """Order what a word says."""
    match move:
        case "resize":
            return await s.resize("web", host="h2")
        case "attach":
            return await s.attach("web", "extra")
        case "detach":
            return await s.detach("web", "data")
        case "swap":
            return await s.swap("web", "data", "spare")
        case _:
            ordered: Move = await getattr(s, move)("web")
            return ordered


async def _make(s: Scenario, *, is_volume_backed: bool) -> Move:
    return await s.create("web", host="h1", volume="data", is_volume_backed=is_volume_backed, wait=False)


def left(s: Scenario) -> Iterator[str]:
    """Tell what is still there of the server."""
    for place in PLACES:
        if found := getattr(s.truth, place)("web"):
            yield f"{place}: {found}"
    for one in ("mapping", "permit", "spec"):
        if (found := getattr(s.truth, one)("web")) is not None:
            yield f"{one}: {found}"
    if len(s.truth.images()) != 1 or len(s.truth.image_files()) != 1:
        yield f"images: {s.truth.images()}"


def first(*, is_volume_backed: bool, delay_s: float) -> int:
    """Tell at which entry a series begins, so that the four of one kind meet every entry between them."""
    return 2 * is_volume_backed + (delay_s > 0)


@pytest.mark.parametrize("delay_s", LATER_S)
@pytest.mark.parametrize("is_volume_backed", [False, True], ids=["image", "volume"])
@pytest.mark.parametrize("moves", MEETINGS, ids=lambda moves: moves[-1] if moves else "create")
def test_a_delete_at_any_entry_of_any_conversation_leaves_nothing(
    moves: tuple[str, ...], is_volume_backed: bool, delay_s: float
) -> None:
    """The other ends, undone or well, the server is gone everywhere, and no promise is broken at any instant."""
    entries = meet(moves, 10_000, on=InnerStage, is_volume_backed=is_volume_backed)
    for entry in part(range(entries), ONE_IN, since=first(is_volume_backed=is_volume_backed, delay_s=delay_s)):
        meet(moves, entry, on=InnerStage, delay_s=delay_s, is_volume_backed=is_volume_backed)


@pytest.mark.parametrize("delay_s", LATER_S)
@pytest.mark.parametrize("is_volume_backed", [False, True], ids=["image", "volume"])
@pytest.mark.parametrize("moves", OF_A_MOVE, ids=lambda moves: moves[-1])
def test_so_it_is_with_a_move_inside_of_a_cell(
    moves: tuple[str, ...], is_volume_backed: bool, delay_s: float
) -> None:  # fmt: skip
    """There the delete erases the record that the move's confirm or revert still has to leave a host of."""
    entries = meet(moves, 10_000, on=InnerStage, is_volume_backed=is_volume_backed, hosts=INSIDE)
    for entry in part(range(entries), ONE_IN, since=first(is_volume_backed=is_volume_backed, delay_s=delay_s)):
        meet(moves, entry, on=InnerStage, delay_s=delay_s, is_volume_backed=is_volume_backed, hosts=INSIDE)


@pytest.mark.parametrize("moves", OF_A_MOVE, ids=lambda moves: moves[-1])
def test_so_it_is_inside_of_a_cell_with_the_real_actors(moves: tuple[str, ...]) -> None:
    """A share of the entries, from another one on."""
    entries = meet(moves, 10_000, on=LoopStage, hosts=INSIDE)
    for entry in part(range(entries), REAL_ONE_IN, since=2 * len(moves)):
        meet(moves, entry, on=LoopStage, hosts=INSIDE)


@pytest.mark.parametrize("moves", MEETINGS, ids=lambda moves: moves[-1] if moves else "create")
def test_so_it_is_with_the_real_actors(moves: tuple[str, ...]) -> None:
    """A share of the entries, each time from another one on."""
    entries = meet(moves, 10_000, on=LoopStage)
    for entry in part(range(entries), REAL_ONE_IN, since=len(moves)):
        meet(moves, entry, on=LoopStage)
