"""What a planted bug is, and how one is planted: by patches of the product, never by a flag in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any, Final

import attrs
import pytest

from protocol.effects.registry import EFFECTS
from protocol.moves.plans import PLANS
from protocol.requests import Request
from protocol.saga import Plan, Step
from protocol.states import Goal
from sim.cases.portfolio import Mix

Patch = pytest.MonkeyPatch
Plant = Callable[[Patch], None]
MOVES: Final = (Goal.RESIZE, Goal.MIGRATE)


class Level(StrEnum):
    """Where a bug can be: in the real actors on the loop, or in the cores that the inner level runs."""

    LOOP = "loop"
    INNER = "inner"


BOTH: Final = (Level.LOOP, Level.INNER)


@attrs.frozen(kw_only=True)
class Bug:
    """A mistake that somebody could have made, and what must find it."""

    name: str
    number: str  # Its row in the reference's table of planted bugs; empty: it is there for an invariant's sake.
    breaks: str
    caught_by: tuple[str, ...]  # Invariants and oracles, each of which must say so by itself.
    mix: Mix
    levels: tuple[Level, ...]
    since: int  # The first seed: where the search for a rare one begins, so that CI need not begin at 0.
    plant: Plant

    @contextmanager
    def planted(self) -> Iterator[None]:
        """Have the product make the mistake while the context is open."""
        with pytest.MonkeyPatch.context() as patch:
            self.plant(patch)
            yield


BUGS: Final[list[Bug]] = []


def bug(
    *caught_by: str, mix: Mix, number: str = "", levels: tuple[Level, ...] = BOTH, since: int = 0
) -> Callable[[Plant], Plant]:
    """Enter a function that plants a bug; its name is the bug's, its docstring says what it breaks."""

    def enter(plant: Plant) -> Plant:
        entered = Bug(
            name=plant.__name__, number=number, breaks=plant.__doc__ or "", caught_by=caught_by, mix=mix,
            levels=levels, since=since, plant=plant,
        )  # fmt: skip
        assert entered.breaks, f"{entered.name} does not say what it breaks"
        assert entered.name not in {each.name for each in BUGS}, f"two bugs are {entered.name}"
        BUGS.append(entered)
        return plant

    return enter


# --- patches of plans ----------------------------------------------------------------------------------------


def replan(patch: Patch, goals: Iterable[Goal], change: Callable[[tuple[Step, ...]], Iterable[Step]]) -> None:
    """Change the steps of plans."""
    for goal in goals:
        plan: Plan = PLANS[goal]
        changed = tuple(change(plan.steps))
        assert changed != plan.steps, f"the plan of a {goal} is as it was"
        patch.setitem(PLANS, goal, attrs.evolve(plan, steps=changed))


def without(*names: str) -> Callable[[tuple[Step, ...]], Iterable[Step]]:
    """Leave steps out."""
    return lambda steps: (step for step in steps if step.name not in names)


def earlier(name: str, *, before: str) -> Callable[[tuple[Step, ...]], Iterable[Step]]:
    """Take a step too early."""

    def change(steps: tuple[Step, ...]) -> Iterator[Step]:
        moved = next(step for step in steps if step.name == name)
        for step in steps:
            if step.name == before:
                yield moved
            if step is not moved:
                yield step

    return change


def altered(name: str, **fields: Any) -> Callable[[tuple[Step, ...]], Iterable[Step]]:
    """Change what a step does."""
    return lambda steps: (attrs.evolve(step, **fields) if step.name == name else step for step in steps)


# --- patches of effects --------------------------------------------------------------------------------------


def new_effect(patch: Patch, command: type[Request[Any]], run: Callable[..., Any]) -> None:
    """Have a command do something else to its rows."""
    patch.setitem(EFFECTS, command, attrs.evolve(EFFECTS[command], run=run))


def old_effect(command: type[Request[Any]]) -> Callable[..., Any]:
    """Give what a command does to its rows."""
    return EFFECTS[command].run
