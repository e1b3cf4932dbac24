"""Calls, casts and gathers in any tree, whatever befalls its links: answered once, in time, by whom they are for."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import pytest
from hypothesis import Phase, given, settings

from protocol import routing
from protocol.cell_path import CellPath
from tests.properties.routing import BUDGET_S, Said, Talk, hold, talks
from tests.properties.strategies import share_of_profile

SHARE: Final = 0.2
#: Beyond its budget a question takes as long as a send that hangs, at most.
GRACE_S: Final = 0.001


def complaints(talk: Talk) -> list[str]:
    said, found = hold(talk)
    for each in said:
        found += [f"{each}: {text}" for text in _wrong(talk, each)]
    return found


def _wrong(talk: Talk, said: Said) -> list[str]:
    found: list[str] = []
    if said.ends != 1:
        found.append("it did not come to its end once")
    if said.question.form != "cast" and said.took_s > BUDGET_S + GRACE_S:
        found.append("it took longer than its budget")
    if said.question.form == "gather":
        found += _misgathered(talk, said)
    elif said.question.form == "call" and not talk.plan and said.error != _expected(talk, said):
        found.append(f"it should have been answered with {_expected(talk, said)}")
    return found


def _expected(talk: Talk, said: Said) -> str:
    """Tell how a call for a server that nobody has is answered in fine weather."""
    question = said.question
    if not question.is_downward:
        return "call_timeout"  # The next cell makes it a dead letter: whoever sends such a thing is owed no answer.
    return "not_found" if question.target in talk.tree.cells else "unknown_cell"


def _misgathered(talk: Talk, said: Said) -> list[str]:
    """Every cell below answers once, or is hidden behind one that is answered for with an error."""
    if said.error:
        return [] if talk.plan else ["it failed, and nothing went wrong"]
    below = talk.tree.side(said.question.source)
    counts = Counter(cell for cell, _ in said.answers)
    silent = [cell for cell, is_error in said.answers if is_error]
    hidden = [
        cell for cell in below if cell not in counts and not any(cell_above.is_above(cell) for cell_above in silent)
    ]
    found = [f"{cell} answers {count} times" for cell, count in counts.items() if count > 1]
    found += [f"{cell} is not asked" for cell in counts if cell not in below]
    found += [f"{cell} is forgotten" for cell in hidden]
    if silent and not talk.plan:
        found.append(f"{silent[0]} answers with an error, and nothing went wrong")
    return found


@pytest.mark.proves("Q4", "Q8", "Q9", "Q11")
@share_of_profile(SHARE)
@given(talk=talks())
def test_whatever_befalls_links_a_question_is_answered_once_in_time_and_exactly(talk: Talk) -> None:
    """Losses, doubles, delays, cuts and brokers that restart: no call waits for ever, no gather lies about a cell."""
    assert not complaints(talk)


@share_of_profile(SHARE / 2)
@given(talk=talks(kinds=()))
def test_in_fine_weather_each_question_has_the_answer_that_it_must_have(talk: Talk) -> None:
    """Calls down reach their cell, calls up and to strangers do not, gathers have every cell's own answer."""
    assert not complaints(talk)


def test_a_router_that_leaves_a_child_out_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The property can fail: a gather of which the last child is not asked forgets cells."""
    next_hops = routing.next_hops

    def fewer(**about: Any) -> tuple[CellPath, ...]:
        return next_hops(**about)[:1]

    monkeypatch.setattr(routing, "next_hops", fewer)

    @settings(max_examples=60, phases=[Phase.generate], derandomize=True, database=None)
    @given(talk=talks(kinds=()))
    def hunt(talk: Talk) -> None:
        assert not complaints(talk)

    with pytest.raises(AssertionError, match="is forgotten"):
        hunt()
