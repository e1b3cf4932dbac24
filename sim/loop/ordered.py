"""Sets that keep their order, in place of those in which anyio walks by address when it cancels."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from anyio._backends._asyncio import CancelScope, TaskGroup

#: The sets of anyio that it walks; a test compares the list with anyio's source.
SCOPE_SETS: Final = ("_tasks", "_child_scopes")
GROUP_SET: Final = "_tasks"

_set_tasks, _set_child_scopes = (vars(CancelScope)[name].__set__ for name in SCOPE_SETS)
_make_scope: Any = CancelScope.__init__
_make_group: Any = TaskGroup.__init__


class OrderedSet(dict[Any, None]):
    """As much of a set as anyio uses, walked in the order of insertion."""

    __slots__ = ()

    def add(self, item: object) -> None:
        """Put an item in, at the end unless it is there."""
        self[item] = None

    remove = dict.__delitem__

    def discard(self, item: object) -> None:
        """Take an item out, if it is there."""
        self.pop(item, None)


def _make_ordered_scope(scope: CancelScope, deadline: float = math.inf, shield: bool = False) -> None:
    _make_scope(scope, deadline, shield)
    _set_tasks(scope, OrderedSet())
    _set_child_scopes(scope, OrderedSet())


def _make_ordered_group(group: TaskGroup) -> None:
    _make_group(group)
    vars(group)[GROUP_SET] = OrderedSet()


@contextmanager
def ordered_sets() -> Iterator[None]:
    """Have anyio make its scopes and task groups with ordered sets while the context is open."""
    _have_made_by(_make_ordered_scope, _make_ordered_group)
    try:
        yield
    finally:
        _have_made_by(_make_scope, _make_group)


def _have_made_by(make_scope: Any, make_group: Any) -> None:
    types: tuple[Any, Any] = CancelScope, TaskGroup
    types[0].__init__, types[1].__init__ = make_scope, make_group
