"""How much of a long series a run of the tests does: all of it in a night, and an even part of it by day."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final, TypeVar

T = TypeVar("T")

IS_NIGHT: Final = os.environ.get("CELLFERRY_PROFILE") == "night"


def part(items: Sequence[T], one_in: int, *, since: int = 0) -> Sequence[T]:
    """Give every item in a night, and else every `one_in`-th, from the one with the number `since` on.

    Series that are alike begin at different numbers, so that together they meet every item by day too.
    """
    return items if IS_NIGHT else items[since % one_in :: one_in]
