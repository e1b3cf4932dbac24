"""Conductors and hosts that are killed in the middle: whoever goes on does so from what is stored, to the same end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import attrs
import pytest

from protocol.moves.confirm import CONFIRM
from protocol.moves.resize import RESIZE
from protocol.moves.revert import REVERT
from protocol.saga import Plan
from sim import Scenario
from sim.cases.places import DRIVER_CALLS
from sim.history import Called, Looked
from sim.stages.loop import LoopStage
from tests.clouds import Dump, broken_promises, dump

#: As few cells as a move needs.
HOSTS: Final = {"h1": "api!eu", "h2": "api!us"}
#: Both in one cell.
INSIDE: Final = {"h1": "api!eu", "h2": "api!eu"}
PLANS: Final = {"resize": RESIZE, "confirm": CONFIRM, "revert": REVERT}
WHERE: Final = pytest.mark.parametrize("hosts", [HOSTS, INSIDE], ids=["crosses", "stays"])
#: At once, so that the successor has what its predecessor had just done.
DOWN_S: Final = 0.01


@attrs.frozen
class Life:
    """What became of a server: everything that there is in the end, and what was done how often on the way."""

    dump: Dump
    boots: list[tuple[str, int]]
    executed: dict[str, int]
    deaths: int


def moments(plan: Plan) -> Iterator[str]:
    """Name the moments around each entry of a plan's journal: just written, or just about to be."""
    for step in plan.steps:
        yield f"{step.name}/do/before_send"
        yield f"{step.name}/do/after_record"
        if not step.is_read:
            yield f"{step.name}/do/after_reply"
    yield from ("end/do/after_record", "closed/do/after_record")


def live(
    *moves: str, is_volume_backed: bool = False, kills: dict[str, list[str]] | None = None,
    hosts: dict[str, str] = HOSTS,
) -> Life:  # fmt: skip
    """Live a server's life, in which actors are killed the first time that the last move passes certain points."""

    async def story(s: Scenario) -> Life:
        await s.create("web", host="h1", volume="data", is_volume_backed=is_volume_backed)
        for number, move in enumerate(moves, start=1):
            if number == len(moves):
                for actor, points in (kills or {}).items():
                    for point in points:
                        s.kill(actor, at=point, down_s=DOWN_S)
            await (await (s.resize("web", host="h2") if move == "resize" else getattr(s, move)("web"))).done()
        await s.quiet()
        s.check()
        return await look(s)

    return Scenario.run(story, hosts=hosts)


async def look(s: Scenario) -> Life:
    """Look at all that there is."""
    assert isinstance(s.stage, LoopStage)
    boots = [(boot.host, boot.permit) for disk in s.truth.disks("web").values() for boot in disk.boots]
    return Life(await dump(s.stage.world), boots, dict(s.truth.executed("web")), len(s.truth.fired()))


def agree(survived: Life, unharmed: Life) -> None:
    """Insist that two lives came to the same end, by the same steps."""
    assert survived.dump.timeless().differences(unharmed.dump.timeless()) == []
    assert broken_promises(survived.dump) == ()
    assert (survived.boots, survived.executed) == (unharmed.boots, unharmed.executed)


@WHERE
@pytest.mark.parametrize("moves", [("resize",), ("resize", "confirm"), ("resize", "revert")], ids="-".join)
def test_a_move_whose_conductor_dies_at_every_entry_of_its_journal_ends_as_if_none_had(
    moves: tuple[str, ...], hosts: dict[str, str]
) -> None:
    """Killed before and after each write, it goes on every time; the final dumps and all counts are the same."""
    plan = PLANS[moves[-1]]
    survived, unharmed = live(*moves, kills={"conductor": list(moments(plan))}, hosts=hosts), live(*moves, hosts=hosts)
    agree(survived, unharmed)
    taken = [step for step in plan.steps if step.name in unharmed.executed]
    assert survived.deaths > 2 * len(taken), "there were deaths all along"


@WHERE
@pytest.mark.parametrize(
    ("moves", "is_volume_backed"),
    [(("resize", "confirm"), False), (("resize", "revert"), False), (("resize", "revert"), True)],
)
def test_a_host_that_dies_before_and_after_all_that_it_does_to_a_guest_goes_on_with_it(
    moves: tuple[str, ...], is_volume_backed: bool, hosts: dict[str, str]
) -> None:
    """Accepted and not answered: its successor does it, or finds it done, and no guest is ever started twice for it."""
    at_hosts = [f"{step.name}/do/after_effect" for step in PLANS[moves[-1]].steps if not step.is_read]
    points = [*at_hosts, *(f"driver/{call}/after" for call in DRIVER_CALLS)]
    kills = {"h1": points, "h2": points}
    survived = live(*moves, is_volume_backed=is_volume_backed, kills=kills, hosts=hosts)
    agree(survived, live(*moves, is_volume_backed=is_volume_backed, hosts=hosts))
    assert survived.deaths


def test_a_host_that_dies_goes_on_by_itself_before_anybody_asks_again() -> None:
    """The guest is made by the successor, from what was accepted; then the conductor asks again, and is told."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        s.kill("h2", at="spawn_target/do/after_effect", down_s=1)
        await (await s.resize("web", host="h2")).done()
        happened = [line.what for line in s.stage.history.lines]
        [spawned] = [n for n, what in enumerate(happened) if isinstance(what, Called) and what.call == "spawn"][1:]
        asked = [n for n, what in enumerate(happened) if isinstance(what, Looked) and ":spawn_target:" in what.key]
        assert asked[0] < spawned < asked[1]

    Scenario.run(story, hosts=HOSTS)
