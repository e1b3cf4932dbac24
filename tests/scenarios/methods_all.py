"""Every module of the table of methods, imported, and what is to be passed on the way of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.scenarios import methods_building, methods_instances, methods_mirror, methods_reading, methods_tree
from tests.scenarios.every_method import CASES, LEVELS, MARKS

if TYPE_CHECKING:
    from protocol.requests import Request

#: Importing these is what fills the table.
SHOWN_IN: Final = (methods_building, methods_instances, methods_mirror, methods_reading, methods_tree)
ALL: Final = tuple(pytest.param(each, marks=MARKS[each], id=each.METHOD.name) for each in CASES)


def levels_of(request_type: type[Request[Any]]) -> int:
    """Tell how many cells a request passes at least."""
    return 2 if request_type in methods_tree.BETWEEN_NEIGHBOURS else LEVELS
