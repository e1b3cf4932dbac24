"""Whoever is killed at whichever point of a move, every promise holds: a share of all such deaths, always the same."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Final

import attrs
import pytest
from click.testing import CliRunner

from actors.kernel.ports import Command, Connection, Fresh, Known, Verdict
from actors.store.inbox import SqlInbox
from sim.cases.places import POSITIONS, process_names
from sim.commands import exhausting
from sim.commands.cli_exhaust import exhaust_command
from sim.commands.exhausting import Yield, exhaust
from sim.commands.levels import Level
from sim.exhaustive import (
    LAYOUT,
    ONE_CELL,
    OWN_POSITIONS,
    STORIES,
    Story,
    pairs_of,
    points_of,
    singles_of,
)
from sim.faults import FaultKind
from sim.trials import Trial, share_of

#: Of all deaths, those that every run of the tests tries; a night tries all of them.
REAL_SHARE: Final = 0.01
INNER_SHARE: Final = 0.03
REAL: Final = Level()
INNER: Final = Level(is_inner=True)
#: The pure cores look at a guest without a call to its hypervisor.
NOT_INNER: Final = "driver/guest"
#: Where they are never after a call that is refused.
REFUSED: Final = "driver/spawn/after"


@cache
def points(story: Story) -> tuple[str, ...]:
    return points_of(story.case)


def singles(story: Story) -> tuple[Trial, ...]:
    return tuple(singles_of(story, points(story)))


def complaints(result: Yield) -> list[str]:
    found = [f"{verdict.trial.name}: {verdict.breach}" for verdict in result.found]
    return [*found, *(f"{name}: somebody lived on" for name in result.vacant)]


@pytest.mark.parametrize("name", STORIES)
def test_no_death_of_a_share_breaks_a_promise_of_the_real_actors(name: str) -> None:
    """Each kills one process at one point; it was killed indeed, and after healing all is as it should be."""
    result = exhaust(share_of(singles(STORIES[name]), REAL_SHARE), level=REAL, jobs=1)
    assert result.trials
    assert not complaints(result)


def inner_share(story: Story) -> Iterator[Trial]:
    left_out = {NOT_INNER, REFUSED} if story.name.startswith("undone") else {NOT_INNER}
    deaths = (trial for trial in singles(story) if not any(each in trial.name for each in left_out))
    return share_of(deaths, INNER_SHARE)


@pytest.mark.parametrize("name", STORIES)
def test_no_death_of_a_larger_share_breaks_a_promise_of_the_pure_cores(name: str) -> None:
    """The same deaths, and more of them, where they cost less."""
    result = exhaust(inner_share(STORIES[name]), level=INNER, jobs=1)
    assert result.trials
    assert not complaints(result)


def test_the_share_is_of_150_deaths_at_least_and_every_process_dies_in_it() -> None:
    """So many on the real actors, at every position of a step's exchange, of whatever process there is."""
    share = [trial for story in STORIES.values() for trial in share_of(singles(story), REAL_SHARE)]
    deaths = [fault for trial in share for fault in trial.case.faults if fault.kind is FaultKind.CRASH_AT]
    assert len(deaths) >= 150
    assert {death.where for death in deaths} == {*process_names(LAYOUT), *process_names(ONE_CELL)}
    assert {death.point.rpartition("/")[2] for death in deaths} >= set(POSITIONS)


def test_both_shares_are_of_600_deaths_at_least() -> None:
    """So many different deaths are tried whenever the tests run."""
    real = {trial.name for story in STORIES.values() for trial in share_of(singles(story), REAL_SHARE)}
    inner = {trial.name for story in STORIES.values() for trial in inner_share(story)}
    assert len(real | inner) >= 600


def test_the_stories_pass_every_position_of_every_step_and_every_undo_of_a_move() -> None:
    """What is sent is passed before, after, at its effect, its answer and its record, forward and back."""
    passed = {tuple(point.rsplit("/", 1)) for story in STORIES.values() for point in points(story)}
    ways = {way for way, position in passed if position == "after_send"}
    assert len(ways) > 80
    assert not [(way, position) for way in sorted(ways) for position in POSITIONS if (way, position) not in passed]
    assert {way.rpartition("/")[2] for way in ways} == {"do", "undo"}


def test_a_share_does_not_change_when_others_come_or_go() -> None:
    """Whether a death is in it follows from the death alone."""
    every = [Trial(name=f"t{number}", case=STORIES["resize-image"].case) for number in range(1000)]
    some = set(share_of(every[::2], 0.1))
    assert {trial.name for trial in some} == {trial.name for trial in share_of(every, 0.1)} & {
        trial.name for trial in every[::2]
    }
    assert 25 < len(some) < 100


def test_the_conductor_dies_at_every_pair_of_its_own_points() -> None:
    """Of n points that is each with itself and with each later one; the names are all different."""
    story = STORIES["confirm-image"]
    own = [point for point in points(story) if point.rpartition("/")[2] in OWN_POSITIONS]
    pairs = list(pairs_of(story, points(story)))
    assert len({trial.name for trial in pairs}) == len(pairs) == len(own) * (len(own) + 1) // 2


def test_two_deaths_of_the_conductor_in_one_confirm_break_no_promise() -> None:
    """A share of all pairs, on the real actors."""
    story = STORIES["confirm-volume"]
    assert not exhaust(share_of(pairs_of(story, points(story)), 0.03), level=REAL, jobs=1).found


def test_a_participant_that_forgets_what_it_carried_out_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that comes again is carried out again: whoever dies after its effect shows it."""
    look = SqlInbox.look

    def forget(self: SqlInbox, connection: Connection, command: Command) -> Verdict:
        verdict = look(self, connection, command)
        return Fresh(undoes_nothing=False) if isinstance(verdict, Known) else verdict

    monkeypatch.setattr(SqlInbox, "look", forget)
    story = STORIES["resize-image"]
    deaths = singles_of(story, ["bind_ports/do/after_send", "commit/do/after_send"])
    result = exhaust((death for death in deaths if death.name.endswith("@api/conductor")), level=REAL, jobs=1)
    assert {verdict.breach.invariant for verdict in result.found if verdict.breach} >= {"carried_once"}


def test_a_death_that_never_came_is_told() -> None:
    """A trial at a point that its move does not pass is vacant."""
    story = STORIES["confirm-image"]
    result = exhaust(singles_of(story, ["spawn_target/do/after_send"]), level=INNER, jobs=1)
    assert len(result.vacant) == result.trials == len(process_names(LAYOUT))


def test_the_command_exits_1_with_what_it_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A death that never came is an end with 1, too; a clean share one with 0."""
    arguments = ["--story", "confirm-image", "--share", "0.01", "--inner", "--jobs", "1", "-f", "json"]
    clean = CliRunner().invoke(exhaust_command, arguments)
    assert clean.exit_code == 0, clean.output
    assert '"breaches": 0' in clean.output
    judge = exhausting.judge
    monkeypatch.setattr(exhausting, "judge", lambda level, trial: attrs.evolve(judge(level, trial), deaths=0))
    assert CliRunner().invoke(exhaust_command, arguments).exit_code == 1
