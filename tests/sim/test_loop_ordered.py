"""anyio walks sets in the order of insertion while the loop runs, and no set is left that it walks by address."""

from __future__ import annotations

import ast
import asyncio
import inspect
from collections.abc import Iterator
from typing import Final
from weakref import WeakSet

import anyio
import pytest
from anyio._backends import _asyncio as backend

from sim.clock import SimLoop, run
from sim.loop.ordered import GROUP_SET, SCOPE_SETS, OrderedSet, ordered_sets
from sim.loop.steps import SimTask

#: All that the backend keeps by hash, by class; last what the module itself keeps.
SETS: Final = {
    "CancelScope": {"_tasks", "_child_scopes"},
    "TaskGroup": {"_tasks"},
    "CapacityLimiter": {"_borrowers"},
    "_SignalReceiver": {"_handled_signals"},
    "": {"_task_states"},
}


def is_kept_by_hash(value: ast.expr | None) -> bool:
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
        return value.func.id in {"set", "frozenset", "WeakSet", "WeakKeyDictionary"}
    return isinstance(value, ast.Set | ast.SetComp)


def attributes_kept_by_hash(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Name the attributes, with their classes, and the variables of the module that are sets or the like."""
    places = [("", list[ast.AST](tree.body))]
    places += [(node.name, list(ast.walk(node))) for node in tree.body if isinstance(node, ast.ClassDef)]
    for place, nodes in places:
        for node in nodes:
            if isinstance(node, ast.Assign | ast.AnnAssign) and is_kept_by_hash(node.value):
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                if isinstance(target, ast.Attribute):
                    yield place, target.attr
                elif isinstance(target, ast.Name) and not place:
                    yield place, target.id


def walked(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Name the attributes, with their classes, that loops and comprehensions go over."""
    for node in tree.body:
        for inner in ast.walk(node):
            if isinstance(inner, ast.For | ast.comprehension):
                for part in ast.walk(inner.iter):
                    if isinstance(part, ast.Attribute):
                        yield getattr(node, "name", ""), part.attr


TREE: Final = ast.parse(inspect.getsource(backend))


def test_anyio_keeps_by_hash_just_what_is_known_here() -> None:
    """A set that moves, goes or comes in another version of anyio is noticed."""
    found: dict[str, set[str]] = {}
    for place, name in attributes_kept_by_hash(TREE):
        found.setdefault(place, set()).add(name)
    assert found == SETS


def test_every_set_that_anyio_walks_is_replaced() -> None:
    """Of what it keeps by hash it walks a scope's tasks and child scopes, and signals, which the loop refuses."""
    kept = {(place, name) for place, names in SETS.items() for name in names}
    replaced = {("CancelScope", name) for name in SCOPE_SETS}
    assert {each for each in walked(TREE) if each in kept} == replaced | {("_SignalReceiver", "_handled_signals")}


def kinds_of_sets() -> list[type]:
    """Make a scope and a group, and give the types of their sets."""
    scope, group = anyio.CancelScope(), anyio.create_task_group()
    return [
        *(type(getattr(scope, name)) for name in SCOPE_SETS),
        type(getattr(group, GROUP_SET)),
        *(type(getattr(group.cancel_scope, name)) for name in SCOPE_SETS),
    ]


def test_scopes_and_groups_have_ordered_sets_under_our_loop_only() -> None:
    """Before and after a simulation a real loop gets plain sets, as anyio made them."""

    async def main() -> list[type]:
        return kinds_of_sets()

    assert set(anyio.run(main)) == {set}
    assert set(run(main)) == {OrderedSet}
    assert set(anyio.run(main)) == {set}


def test_anyio_is_as_before_when_a_simulation_fails() -> None:
    """The patch does not outlive an error."""
    before = backend.CancelScope.__init__, backend.TaskGroup.__init__
    with pytest.raises(ValueError, match="broken"), ordered_sets():
        raise ValueError("broken")
    assert (backend.CancelScope.__init__, backend.TaskGroup.__init__) == before


def test_an_ordered_set_does_what_anyio_asks_of_a_set() -> None:
    """Adding twice keeps the place, removing what is not there is an error, discarding it is none."""
    items = OrderedSet()
    for item in (3, 1, 2, 1):
        items.add(item)
    assert list(items) == [3, 1, 2]
    items.discard(1)
    items.discard(1)
    items.remove(3)
    with pytest.raises(KeyError):
        items.remove(3)
    assert list(items) == [2]
    assert 2 in items
    assert items


def test_tasks_hash_and_read_the_same_in_every_run() -> None:
    """Serial numbers are the loop's own: asyncio's go on from run to run, and its hashes are addresses."""

    async def main() -> list[object]:
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(anyio.sleep(1)) for _ in range(3)]
        named = loop.create_task(anyio.sleep(1), name="sleeper")
        seen: list[object] = [*map(hash, tasks), *map(repr, [*tasks, named]), *(task.get_name() for task in tasks)]
        for task in [*tasks, named]:
            assert isinstance(task, SimTask)
            await task
        return seen

    assert run(main) == run(main)
    assert run(main)[:4] == [2, 3, 4, "<SimTask Task-2>"]


def test_tasks_of_two_loops_live_side_by_side_although_their_hashes_meet() -> None:
    """Equal hashes do not make two tasks one."""
    one, other = SimLoop(), SimLoop()
    tasks = [loop.create_task(anyio.sleep(1)) for loop in (one, other)]
    assert hash(tasks[0]) == hash(tasks[1])
    assert len(WeakSet(tasks)) == 2
    for loop in (one, other):
        assert len(asyncio.all_tasks(loop)) == 1
        loop.finish()
