"""Every method is called for real through a tree three levels deep, and its effect read back where it is owned."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pytest

from protocol.methods import METHODS
from sim import Scenario
from tests.scenarios.every_method import CASES, CELLS, HOSTS, show
from tests.scenarios.methods_all import ALL, levels_of

if TYPE_CHECKING:
    from protocol.requests import Request

STANDING_FOR_ONE: Final = {request for request in METHODS.values() if request.METHOD.reference}


@pytest.mark.parametrize("request_type", ALL)
def test_a_method_does_in_a_deep_tree_what_it_says(request_type: type[Request[Any]]) -> None:
    """It travels over all three levels, unless it never leaves its cell; and nothing is left wrong behind it."""
    story = partial(show, request_type=request_type, levels=levels_of(request_type))
    Scenario.run(story, cells=CELLS, hosts=HOSTS)


def test_every_method_of_the_reference_is_shown() -> None:
    """So that none is declared that nobody has seen at work."""
    assert sorted(request.__name__ for request in STANDING_FOR_ONE - CASES.keys()) == []
