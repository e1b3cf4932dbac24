"""What the commands of operators show: the tree, the steps of a conversation, and how it stands, in words."""

from __future__ import annotations

from typing import Final

import pytest

from actors.cli.cells import drawn
from actors.cli.hosts import row_of
from actors.cli.migrations import come_of, state_of, steps_of
from actors.ops.settings import parse_cloud
from protocol.bodies import encode_body
from protocol.errors import Unavailable, report
from protocol.journal import Ending, Entry, Kind
from protocol.messages.capacity import HostUse
from protocol.messages.orders import Progress, Retried, StepNews
from tests.actors.cli.clouds import CLOUD

USE: Final = HostUse(
    host="h1", cell="api!eu!eu-1", availability_zone="", is_enabled=True, vcpus=8, memory_mb=16384, disk_gb=100,
    vcpus_used=1, memory_mb_used=512, disk_gb_used=1, servers=1,
)  # fmt: skip

TREE: Final = """
api
├── eu
│   ├── host h3: not announced
│   └── eu-1
│       └── host h1: 1 server(s), 512 of 16384 MB
└── us
    └── host h2: not announced
"""


def test_the_tree_shows_every_cell_and_host() -> None:
    """Cells in the order of the file, hosts with what they have left, and those that nobody has heard of."""
    assert "\n".join(drawn(parse_cloud(CLOUD.encode()), {"h1": USE})) == TREE.strip()


def test_people_see_used_of_all_and_programs_each_number() -> None:
    """The same row, for either."""
    assert row_of(USE, is_short=True)["memory_mb"] == "512 of 16384"
    assert (row_of(USE, is_short=False)["memory_mb"], row_of(USE, is_short=False)["memory_mb_used"]) == (16384, 512)


def news(kind: Kind, step: str, at_us: int, *, is_undo: bool = False, payload: bytes = b"") -> StepNews:
    """Make an entry of a journal, and its actor."""
    entry = Entry(seq=0, epoch=1, kind=kind, at_us=at_us, step=step, attempt=1, is_undo=is_undo, payload=payload)
    return StepNews(entry=entry, actor="api/cell")


def test_a_step_is_a_row_with_its_time_and_what_came_of_it() -> None:
    """A refusal with its reason; an undo beside its step; an intent that was written twice counts from the first."""
    why = encode_body(report(Unavailable(what="host h1", reason="it burns"), cell="api"))
    rows = steps_of(
        Progress(
            news=(
                news(Kind.INTENT, "one", 1_000_000),
                news(Kind.INTENT, "one", 2_000_000),
                news(Kind.DONE, "one", 3_500_000),
                news(Kind.INTENT, "two", 4_000_000),
                news(Kind.REFUSED, "two", 4_010_000, payload=why),
                news(Kind.INTENT, "one", 5_000_000, is_undo=True),
            )
        )
    )
    assert [(row["step"], row["took"], row["outcome"]) for row in rows] == [
        ("one", "2.5 s", "done"),
        ("two", "10 ms", f"refused: {Unavailable(what='host h1', reason='it burns')}"),
        ("undo: one", None, "under way"),
    ]


@pytest.mark.parametrize(
    ("said", "state"),
    [
        (state_of(None, is_closed=False), "under way"),
        (state_of(None, is_closed=False, waits_for="a host"), "parked"),
        (state_of(None, is_closed=False, owes=True, waits_for="a host"), "done, and cleaning up"),
        (state_of(Ending(is_success=True), is_closed=False), "closing"),
        (state_of(Ending(is_success=True), is_closed=True), "done"),
        (state_of(Ending(is_success=False), is_closed=True), "failed, and undone"),
    ],
)
def test_a_conversation_stands_somewhere_in_words(said: str, state: str) -> None:
    """The words are those of the how-to."""
    assert said == state


@pytest.mark.parametrize(
    ("went_on", "waits_for", "is_trying", "said"),
    [
        (True, None, False, "goes on; it waited for: h1"),
        (True, "h2", False, "went on, and waits for: h2"),
        (False, "h1", False, "has tried again, and still waits for: h1"),
        (False, "h1", True, "is at it, without an answer yet; it waited for: h1"),
    ],
)
def test_what_came_of_a_retry_is_said_in_words(
    went_on: bool, waits_for: str | None, is_trying: bool, said: str
) -> None:
    """The words are those of the how-to."""
    assert come_of(Retried(waited_for="h1", went_on=went_on, waits_for=waits_for, is_trying=is_trying)) == said
