"""All of Nova's measured faults, in the order of their numbers."""

from __future__ import annotations

from typing import Final

from tests.faults.confirm_faults import CONFIRM
from tests.faults.deaths import DEATHS
from tests.faults.deletes import DELETES
from tests.faults.entry import Chapter, Entry, Missing
from tests.faults.races import RACES
from tests.faults.resize_faults import RESIZE
from tests.faults.revert_faults import REVERT

CHAPTERS: Final[tuple[Chapter, ...]] = (RESIZE, CONFIRM, REVERT, RACES, DELETES, DEATHS)


def number_of(fault: Entry | Missing) -> tuple[int, str]:
    """Sort X9 before X10, and X59 before X59b."""
    digits = fault.number[1:].rstrip("abc")
    return int(digits), fault.number[1 + len(digits) :]


FAULTS: Final[tuple[Entry | Missing, ...]] = tuple(
    sorted((fault for chapter in CHAPTERS for fault in chapter.faults), key=number_of)
)
ENTRIES: Final[tuple[Entry, ...]] = tuple(fault for fault in FAULTS if isinstance(fault, Entry))
