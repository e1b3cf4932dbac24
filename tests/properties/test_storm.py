"""Broadcasts once a second through a storm: each ends in time, names each cell once, and blames nobody in vain."""

from __future__ import annotations

from typing import Any, Final

import pytest
from hypothesis import given

from protocol import routing
from protocol.gather import Gather
from protocol.invariants import gather_exact
from protocol.requests import Gathered
from protocol.truth import GatherTruth
from sim.faults import Fault, FaultKind
from tests.properties.storm import BUDGET_S, Asked, Seen, Storm, ride, storms, wrongly_named
from tests.properties.strategies import share_of_profile
from tests.strategies import NOVA_TREE

#: Each example is a whole storm of a dozen gathers: ten of them in CI, a hundred times as many in a night.
SHARE: Final = 0.02
PATIENCE: Final = 1.2
#: A storm in which a grandchild's actor stands still.
MUTE: Final = Storm(
    tree=NOVA_TREE, replicas=1, seed=2,
    troubles=(
        Fault(kind=FaultKind.PAUSE, name="mute", where="api!child2!grand1/cell", at_s=1.0, for_s=9.0),
    ),
)  # fmt: skip


def complaints(storm: Storm) -> list[str]:
    asked, lines, found = ride(storm)
    seen = Seen(lines)
    for each in asked:
        if each.took_s > BUDGET_S * PATIENCE:
            found.append(f"{each.name} took {each.took_s} s")
        found += wrongly_named(each, seen, storm.layout.root)
        if each.answers is not None:
            found += _inexact(storm, each)
    last = asked[-1]
    if last.answers is None or any(answer.is_error for answer in last.answers):
        found.append("after the storm a gather is not whole")
    return found


def _inexact(storm: Storm, asked: Asked) -> list[str]:
    assert asked.answers is not None
    gather = GatherTruth(top=storm.layout.root, cells=storm.tree.cells, result=Gathered(answers=asked.answers))
    return [f"{asked.name}: {cell} {text}" for cell, text in gather_exact.of_one(gather)]


@pytest.mark.proves("Q2", "Q4", "Q5", "Q6", "Q8", "Q9", "Q10", "Q11")
@share_of_profile(SHARE)
@given(storm=storms())
def test_whatever_the_weather_a_gather_ends_in_time_names_each_cell_once_and_blames_nobody_in_vain(
    storm: Storm,
) -> None:
    """Loss 10 %, duplicates 30 %, delay, reorder, mute and killed cells: each gather tells the truth of each cell."""
    assert not complaints(storm)


def _equal_budgets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every hop waits as long as the one above it (Q11): a mute cell's parent is blamed for it."""
    monkeypatch.setattr(routing, "inner_budget", lambda budget_s: budget_s)


def _all_or_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """One mute neighbour throws all other answers away (Q4)."""
    overdue = Gather.overdue

    def alone(self: Gather, waited_s: float) -> Gather:
        nobody = Gather.begin(self.expected, own=self.has_own, here=self.here)
        return overdue(nobody if self.missing else self, waited_s)

    monkeypatch.setattr(Gather, "overdue", alone)


def _counts_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A doubled answer counts for whoever is still missing (Q8)."""

    def take(self: Gather, neighbour: Any, answers: Any) -> Gather:
        others = [cell for cell in self.missing if cell != self.here]
        return self._take(neighbour if neighbour in others or not others else others[0], answers)

    monkeypatch.setattr(Gather, "arrive", take)


@pytest.mark.parametrize(
    ("break_it", "found"),
    [
        (_equal_budgets, "nothing befell it"),
        (_all_or_nothing, "nothing befell it"),
        (_counts_twice, "answers a broadcast"),
    ],
    ids=["equal budgets", "all or nothing", "counts twice"],
)
def test_a_router_with_a_fault_of_nova_s_is_found(break_it: Any, found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The property can fail: each of these makes a gather lie about a cell."""
    assert not complaints(MUTE)
    break_it(monkeypatch)
    assert any(found in complaint for complaint in complaints(MUTE))
