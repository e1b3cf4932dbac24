"""Two orders about one server meet over a real RabbitMQ, in real time: every race that the simulator runs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import anyio
import pytest

from sim import Scenario
from sim.chance import Chance
from sim.races import LAYOUT, RACES, op_of, opening_of
from tests.scenarios.on_wires import on_rabbitmq
from tests.shares import IS_NIGHT, part

if TYPE_CHECKING:
    from sim.cases.workload import Op
    from sim.races import Race

#: So many servers, each with a meeting of its own, are in a cloud at once; a night has 20 meetings of each race.
AT_ONCE: Final = 2
CLOUDS: Final = 10 if IS_NIGHT else 1
#: By day, one race in so many: the simulator meets them all.
ONE_IN: Final = 8
#: How far apart the two orders are at most: a move takes about as long here.
APART_S: Final = 1.0


async def meet(s: Scenario, race: Race, server: str, chance: Chance) -> None:
    """Order what must be there, then the two, at the same instant or one soon after the other."""
    for op in opening_of(race, server=server):
        await (await s.order(op)).done()
    apart_s = [0.0, chance.between(0.0, APART_S, server) * chance.hits(0.7, server, "apart")]
    if chance.hits(0.5, server, "turned"):
        apart_s.reverse()

    async def later(op: Op, after_s: float) -> None:
        await s.wait(after_s)
        await (await s.order(op)).over()

    async with anyio.create_task_group() as tasks:
        for number, (act, after_s) in enumerate(zip(race.acts, apart_s, strict=True), start=1):
            tasks.start_soon(later, op_of(act, str(number), server=server), after_s)


@pytest.mark.parametrize("name", part(tuple(RACES), ONE_IN))
def test_no_meeting_of_two_orders_breaks_a_promise_over_rabbitmq(
    name: str, amqp_url: str, request: pytest.FixtureRequest
) -> None:
    """When both are over and all is at rest, every invariant holds and every oracle is content."""

    async def play(s: Scenario, seed: int) -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(AT_ONCE):
                tasks.start_soon(meet, s, RACES[name], f"s{number}", Chance(seed))
        await s.quiet()
        s.check()

    for seed in range(CLOUDS):
        Scenario.run(
            partial(play, seed=seed),
            cells=len(LAYOUT.cells),
            hosts=len(LAYOUT.hosts),
            seed=seed,
            on=on_rabbitmq(amqp_url, request),
        )
