"""Replicas of cells that come, leave and die while servers move and cells are asked, at whatever times."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import anyio
import attrs
from hypothesis import strategies as st

from protocol.cell_path import Address
from protocol.errors import CellferryError
from protocol.messages.servers import ReadServer
from sim.cases.layout import Layout, replica_name
from sim.cases.workload import Act
from sim.history import Answered
from tests.properties.live import Live

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

    from protocol.cell_path import CellPath

REPLICAS: Final = 2
LAYOUT: Final = attrs.evolve(Layout.tree(cells=3, hosts=2), cell_replicas=REPLICAS)
ADDED: Final = tuple(f"{cell}/{replica_name(role, REPLICAS)}" for cell in LAYOUT.cells for role in ("cell", "link"))
SERVERS: Final = ("web", "db")
SECONDS: Final = 16
DOWN_S: Final = 3.0
#: Long enough for both replicas of each cell on the way to die one after the other, and come back.
BUDGET_S: Final = 30.0


@attrs.frozen(kw_only=True)
class Turn:
    """What happens to a replica, or what a user orders, at a time."""

    at_s: int
    what: str  # drain, kill, add; or an order about the server `who`.
    who: str


@attrs.define
class Shift:
    """What came of it: how calls were answered, and what did not hold."""

    answers: list[str] = attrs.field(factory=list)
    found: list[str] = attrs.field(factory=list)
    drained: int = 0


@st.composite
def turns(draw: DrawFn) -> tuple[Turn, ...]:
    """Draw what happens, in the order of its times."""
    processes = (*LAYOUT.replicas("cell"), *LAYOUT.replicas("link"))
    of_replicas = st.builds(
        Turn, at_s=st.integers(0, SECONDS), what=st.sampled_from(("drain", "kill")), who=st.sampled_from(processes)
    )
    added = st.builds(
        Turn, at_s=st.integers(0, SECONDS), what=st.just("add"),
        who=st.sampled_from(ADDED),
    )  # fmt: skip
    orders = st.builds(
        Turn, at_s=st.integers(0, SECONDS), what=st.sampled_from((Act.RENAME, Act.MIGRATE, Act.CONFIRM, Act.REVERT)),
        who=st.sampled_from(SERVERS),
    )  # fmt: skip
    drawn = [
        *draw(st.lists(of_replicas, min_size=1, max_size=8)),
        *draw(st.lists(added, max_size=2, unique_by=lambda turn: turn.who)),
        *draw(st.lists(orders, min_size=1, max_size=6)),
    ]
    return tuple(sorted(drawn, key=lambda turn: turn.at_s))


def work(drawn: tuple[Turn, ...], *, seed: int) -> Shift:
    """Have it all happen while each cell is asked once a second, and bring it to rest."""
    live, shift = Live(LAYOUT, seed=seed), Shift()
    try:
        for server in SERVERS:
            live.carry_out(Act.CREATE, server)
        for second in range(SECONDS + 1):
            for cell in LAYOUT.cells:
                live.loop.spawn(_ask(live, shift, cell))
            for turn in drawn:
                if turn.at_s == second:
                    _happen(live, shift, turn)
            live.pass_time(1.0)
        live.rest()
        shift.found += [f"{each.invariant}: {each.text}" for each in live.breaches] + live.failures
        shift.found += _unanswered(live)
        return shift
    finally:
        live.close()


def _happen(live: Live, shift: Shift, turn: Turn) -> None:
    machines = live.world.machines
    match turn.what:
        case "drain":
            live.loop.spawn(_drain(live, shift, turn.who))
        case "kill":
            live.do(partial(machines.kill, turn.who, down_s=DOWN_S))
        case "add":
            live.do(partial(machines.begin, turn.who))
        case _:
            live.order(Act(turn.what), turn.who)


async def _drain(live: Live, shift: Shift, process: str) -> None:
    shift.drained += await live.world.machines.drain(process, down_s=DOWN_S)


async def _ask(live: Live, shift: Shift, cell: CellPath) -> None:
    await anyio.sleep(0.1)
    post = live.stage.posts[LAYOUT.root]
    try:
        await post.call(Address(cell, "cell"), ReadServer(server="nobody"), budget_s=BUDGET_S)
    except CellferryError as error:
        shift.answers.append(error.code)


def _unanswered(live: Live) -> list[str]:
    waiting = live.world.users.waiting
    errors = [what.error for line in live.stage.history.lines if isinstance(what := line.what, Answered) and what.error]
    lost = [error for error in errors if error in {"call_timeout", "unroutable", "unreachable", "internal_error"}]
    return [*(f"{lost} is no end of an order" for _ in lost[:1]), *(["an order has no answer"] if waiting else [])]
