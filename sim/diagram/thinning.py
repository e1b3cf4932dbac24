"""Leaves out of a diagram what would hide the rest: strangers, what befell many at once, what came long before."""

from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from typing import Final

import attrs

from sim.diagram.picture import Arrow, Mark, MarkKind

#: A person can follow so many rows.
ITEMS_MAX: Final = 170
#: A fault is shown so often; how often it struck in all is told the last time.
STRIKES_MAX: Final = 3

#: How a mark says which fault killed its process.
KILLED_BY: Final = "is killed by "

Item = Arrow | Mark


def thinned(items: list[Item], *, known: set[str]) -> list[Item]:
    """Leave out what a reader can do without; `known` are lanes that are there in any case."""
    return _latest(list(_few_strikes(list(_merged(_without_strangers(items, known))))))


def touched(item: Item) -> tuple[str, ...]:
    """Name the lanes that an item is on."""
    return (item.source, item.target) if isinstance(item, Arrow) else (item.lane,)


def _without_strangers(items: list[Item], known: set[str]) -> list[Item]:
    """Give no lane to who takes no part in the talk: of him only the faults are told, across all lanes."""
    talkers = {lane for item in items if isinstance(item, Arrow) for lane in touched(item)} | known
    kept: list[Item] = []
    for item in items:
        if isinstance(item, Arrow) or item.lane in talkers or not item.lane:
            kept.append(item)
        elif item.kind is MarkKind.FAULT:
            kept.append(attrs.evolve(item, lane=""))
        elif item.kind is MarkKind.CRASH:
            cause = item.text.removeprefix(KILLED_BY)
            kept.append(attrs.evolve(item, kind=MarkKind.FAULT, lane="", text=f"{cause}: {item.lane} was killed"))
    return kept


def _merged(items: list[Item]) -> Iterator[Item]:
    """Tell once what befell many at once."""
    for _, together in groupby(enumerate(items), key=_sameness):
        first, *others = (item for _, item in together)
        yield attrs.evolve(first, text=f"{first.text}, and {len(others)} others") if others else first


def _sameness(placed: tuple[int, Item]) -> tuple[object, ...]:
    """Give what faults that struck at once have in common, and nothing else with anything."""
    place, item = placed
    return (item.begin_s, _first_word(item)) if _is_fault(item) else (place,)


def _first_word(item: Item) -> str:
    return item.text.partition(":")[0]


def _few_strikes(items: list[Item]) -> Iterator[Item]:
    """Show a fault that struck many times only a few times."""
    total = Counter(_first_word(item) for item in items if _is_fault(item))
    seen: Counter[str] = Counter()
    for item in items:
        if not _is_fault(item):
            yield item
            continue
        name = _first_word(item)
        seen[name] += 1
        if seen[name] < STRIKES_MAX or total[name] <= STRIKES_MAX:
            yield item
        elif seen[name] == STRIKES_MAX:
            yield attrs.evolve(item, text=f"{item.text} (and {total[name] - STRIKES_MAX} times more)")


def _is_fault(item: Item) -> bool:
    return isinstance(item, Mark) and item.kind is MarkKind.FAULT


def _latest(items: list[Item]) -> list[Item]:
    """Keep what is nearest to the end."""
    if len(items) <= ITEMS_MAX:
        return items
    cut = len(items) - ITEMS_MAX
    first = items[cut]
    text = f"{cut} earlier events are left out; the story and the trace have them"
    note = Mark(begin=first.begin, begin_s=first.begin_s, lane="", kind=MarkKind.SKIPPED, text=text)
    return [note, *items[cut:]]
