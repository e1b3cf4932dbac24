"""Whatever two users order of one server at the same moment, every promise holds: each two orders, many times."""

from __future__ import annotations

from collections import Counter
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING, Final

import attrs
import pytest
from click.testing import CliRunner

from protocol.effects.registry import EFFECTS, Moment
from protocol.messages.root import Taken, TakeServer
from protocol.records import Mapping
from sim.cases.places import mistakes
from sim.cases.workload import MOVES, Act
from sim.commands.cli_exhaust import race_command, races_of
from sim.commands.exhausting import exhaust
from sim.commands.levels import Level
from sim.faults import FaultKind
from sim.races import ACTIVE, ERRANDS, LAYOUT, OF_ERRANDS, OF_MOVES, RACES, RESIZED, Race, case_of, trials_of
from tests.shares import part

if TYPE_CHECKING:
    from pathlib import Path

    from protocol.draft import Draft

#: Of each race so many in every run of the tests; a night runs 300 of each on both levels.
INNER_SEEDS: Final = range(1, 5)
REAL_SEEDS: Final = range(1, 2)
REAL: Final = Level()
INNER: Final = Level(is_inner=True)
RACE: Final = "resized: confirm+revert"
ARGUMENTS: Final = ("--race", RACE, "--seeds", "3", "--inner", "--jobs", "1", "-f", "json")
#: By day those of moves, and of all others every second on the inner level and every sixth with the real actors.
BY_DAY_INNER: Final = (*OF_MOVES, *part(tuple(OF_ERRANDS), 2))
BY_DAY_REAL: Final = (*OF_MOVES, *part(tuple(OF_ERRANDS), 6, since=1))


@pytest.mark.parametrize("name", BY_DAY_INNER)
def test_no_meeting_of_two_orders_breaks_a_promise_of_the_pure_cores(name: str) -> None:
    """Each seed is another meeting of the two, with windows held open in most."""
    result = exhaust(trials_of(RACES[name], INNER_SEEDS), level=INNER, jobs=1)
    assert [str(verdict.breach) for verdict in result.found] == []
    assert result.trials == len(INNER_SEEDS)


@pytest.mark.parametrize("name", BY_DAY_REAL)
def test_no_meeting_of_two_orders_breaks_a_promise_of_the_real_actors(name: str) -> None:
    """The first of the same seeds, with SQL, supervision and cancellation."""
    result = exhaust(trials_of(RACES[name], REAL_SEEDS), level=REAL, jobs=1)
    assert [str(verdict.breach) for verdict in result.found] == []


def test_every_two_orders_meet_and_each_meets_itself() -> None:
    """For a server that runs and for one that waits for its user."""
    met = {frozenset(race.acts) for race in RACES.values()}
    assert {frozenset({Act.CREATE}), frozenset({Act.CREATE, Act.DELETE})} <= met
    for acts in (ACTIVE, RESIZED):
        assert {frozenset(pair) for pair in combinations_with_replacement(acts, 2)} <= met
    for errand in {act for _, pairs in ERRANDS.values() for act in pairs}:
        assert {
            frozenset({errand, Act.DELETE}),
            frozenset({errand, Act.RESIZE}),
            frozenset({errand, Act.MIGRATE}),
        } & met


def test_windows_are_held_open_and_matter() -> None:
    """In a good share of the races somebody stands still where the other one passes, or a message is late or lost."""
    mattered: Counter[FaultKind] = Counter()
    for race in RACES.values():
        mattered.update(INNER.run(case_of(race, 7)).outcome.mattered)
    assert mattered[FaultKind.PAUSE_AT] >= len(RACES) // 5


def test_what_races_is_carried_out() -> None:
    """A race in which both are refused, or in which nothing was there to race for, would show nothing."""
    of_moves = [race for race in RACES.values() if MOVES.intersection(race.acts)]
    assert of_moves
    idle = [race.name for race in of_moves if not any(_moves(race, seed) for seed in range(1, 21))]
    assert not idle


def _moves(race: Race, seed: int) -> int:
    return INNER.run(case_of(race, seed)).outcome.moves


def test_a_race_names_nothing_that_its_cloud_does_not_have() -> None:
    """Neither hosts, nor volumes, nor points of steps."""
    assert [mistakes(case_of(race, seed), LAYOUT) for race in RACES.values() for seed in (1, 2)] == (
        [[]] * 2 * len(RACES)
    )


def test_the_command_runs_the_races_that_it_is_told_to() -> None:
    """It ends with 0 when all is well."""
    clean = CliRunner().invoke(race_command, ARGUMENTS)
    assert clean.exit_code == 0, clean.output
    assert '"trials": 3' in clean.output
    assert len(list(races_of(tuple(RACES), seeds=2))) == 2 * len(RACES)


def test_an_arbiter_that_lets_two_in_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With the one check gone that lets only one conversation have a server, a confirm and a revert break much."""
    take = EFFECTS[TakeServer]

    def let_in(draft: Draft, command: TakeServer, moment: Moment) -> Taken:
        if mapping := draft.find(Mapping, server=command.server):
            draft.put(attrs.evolve(mapping, conversation=None, goal=None))
        taken: Taken = take.run(draft, command, moment)
        return taken

    monkeypatch.setitem(EFFECTS, TakeServer, attrs.evolve(take, run=let_in))
    trials = trials_of(RACES[RACE], range(1, 10))
    found = exhaust(trials, level=INNER, jobs=1).found
    assert {verdict.breach.invariant for verdict in found if verdict.breach}
    broken = CliRunner().invoke(race_command, [*ARGUMENTS, "--report", str(tmp_path)])
    assert broken.exit_code == 1, broken.output
