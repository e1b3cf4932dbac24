"""One story has one journal, wherever it is played: on the pure cores, on virtual time, and over real RabbitMQ."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final

import attrs
import pytest

from actors.kernel import conversation
from sim import Scenario
from sim.faults import FaultKind
from sim.stages.inner import InnerStage
from sim.stages.loop import LoopStage
from sim.stages.outcomes import Outcome
from tests.scenarios.on_wires import on_rabbitmq
from tests.scenarios.stories import STORIES, Story

EACH_STORY: Final = pytest.mark.parametrize("story", [pytest.param(each, id=each.name) for each in STORIES])
#: A real answer that is lost is asked for again after so long, not after half a minute.
BUDGET_S: Final = 2.0


@attrs.frozen
class Told:
    """What a story came to: of each operation the error and the journal; and which kinds of fault have struck."""

    operations: dict[str, tuple[str, tuple[Outcome, ...]]]
    struck: frozenset[FaultKind]


def tell(story: Story, on: Callable[..., Any]) -> Told:
    """Play a story to its end, where all is at rest and every promise holds."""

    async def play(s: Scenario) -> Told:
        await story.play(s)
        await s.quiet()
        s.check()
        return Told(
            {name: (move.error, move.journal) for name, move in s.moves.items()},
            frozenset(fired.fault.kind for fired in s.truth.fired() if fired.mattered),
        )

    return Scenario.run(play, cells=4, hosts=4, memory_mb=story.memory_mb, on=on)


@cache
def told_on_the_loop(story: str) -> Told:
    """Play a story on virtual time, once for both comparisons."""
    return tell(next(each for each in STORIES if each.name == story), LoopStage)


def test_there_are_twenty_stories() -> None:
    """The promise is about twenty at least, each of another name."""
    assert len({story.name for story in STORIES}) == len(STORIES) >= 20


@EACH_STORY
def test_a_story_has_the_same_journals_on_the_pure_cores_as_on_the_loop(story: Story) -> None:
    """Conversation by conversation, the outcomes of all steps and undos are the same, in the same order."""
    assert tell(story, InnerStage) == told_on_the_loop(story.name)


@EACH_STORY
def test_a_story_has_the_same_journals_over_rabbitmq_as_on_the_loop(
    story: Story, amqp_url: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real queues, confirms and real time change nothing that a journal tells."""
    expected = told_on_the_loop(story.name)
    monkeypatch.setattr(conversation, "CALL_BUDGET_S", BUDGET_S)
    assert tell(story, on_rabbitmq(amqp_url, request)) == expected
