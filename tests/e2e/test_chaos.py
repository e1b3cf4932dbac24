"""The short form of chaos: processes of a real deployment are killed at chosen points, and nobody is to notice.

`make chaos` kills every process at every point.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

import anyio
import pytest

from tests.chaos.lives import CONDUCTOR, Reference, Trial
from tests.chaos.run import Outcome, Run
from tests.chaos.traps import FORGET
from tests.own_services import OwnRabbitMQ
from tests.services import own_rabbitmq

#: One run is judged by all of them: in one worker.
pytestmark = [pytest.mark.timeout(900), pytest.mark.xdist_group("chaos")]

SOURCE_CELL: Final = "api!eu/cell"
TARGET_CELL: Final = "api!us/cell"
SOURCE_HOST: Final = "api!eu/host:h1"
TARGET_HOST: Final = "api!us/host:h2"
#: At least one of everyone that a move needs.
DEATHS: Final = (
    Trial(order="create", who="api/cell", point="issue_permit/do/carried"),
    Trial(order="resize", who=CONDUCTOR, point="spawn_target/do/answered"),
    Trial(order="confirm", who=SOURCE_CELL, point="release_source/do/carrying"),
    Trial(order="reboot", who=SOURCE_HOST, point="driver/power_off/after"),
    Trial(order="swap", who=SOURCE_HOST, point="copy_volume/do/accepted"),
    Trial(order="revert", who=CONDUCTOR, point="commit/do/intended"),
    Trial(order="resize", who=TARGET_HOST, point="spawn_target/do/accepted"),
    Trial(order="revert", who=TARGET_CELL, point="seal_target/do/carried"),
)
#: A cell that forgets what it has done: it begins a move twice.
MISTAKE: Final = Trial(order="resize", who=SOURCE_CELL, point="begin_move/do/carried", deed=FORGET)


def chosen(reference: Reference) -> tuple[Trial, ...]:
    """Choose the deaths, each at a point that is passed indeed, and the mistake at last."""
    for trial in DEATHS:
        assert trial.point in reference.points[trial.order][trial.who], trial
    return (*DEATHS, MISTAKE)


@pytest.fixture(scope="module")
def broker() -> Iterator[OwnRabbitMQ]:
    """Start a broker of the tests' own, whose queues can be listed."""
    with own_rabbitmq() as service:
        yield service


@pytest.fixture(scope="module")
def outcome(broker: OwnRabbitMQ, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """Kill; once, for all tests."""
    directory = tmp_path_factory.mktemp("chaos")
    run = Run(broker.url, directory, tell=lambda _: None, kinds=("confirm", "revert", "swap"))
    return anyio.run(partial(run.complete, chosen))


def test_whoever_is_killed_the_move_ends_as_if_nobody_had_been(outcome: Outcome) -> None:
    """The same records, disks, starts and permits as undisturbed, and no invariant broken."""
    survived = [result for result in outcome.results if result.trial in DEATHS]
    assert sorted(result.trial for result in survived) == sorted(DEATHS)
    assert [problem for result in survived for problem in result.problems] == []


def test_another_conductor_goes_on_within_a_lease_and_a_second(outcome: Outcome) -> None:
    """From the death until the conversation is the other's; later than that would be among the problems."""
    takeovers = [result.takeover for result in outcome.results if result.trial.who == CONDUCTOR]
    assert len([takeover for takeover in takeovers if takeover.taken_s and takeover.entry_s]) == 2
    assert [takeover.problem for takeover in takeovers if takeover.problem] == []


def test_a_cell_that_forgets_what_it_has_done_is_noticed(outcome: Outcome) -> None:
    """The harness can fail: a command that is carried out twice does not go unseen."""
    [mistaken] = [result for result in outcome.results if result.trial == MISTAKE]
    assert mistaken.by
    assert any("it ended otherwise" in problem for problem in mistaken.problems), mistaken.problems


def test_chaos_leaves_nothing_behind(outcome: Outcome, broker: OwnRabbitMQ) -> None:
    """No process, no file and no queue."""
    assert outcome.left == ()
    assert [name for name in broker.control("list_queues", "name").split() if name.startswith("cellferry")] == []
