"""What the commands of operators show: the tree, the steps of a conversation, and how it stands, in words."""

from __future__ import annotations

from typing import Final

import attrs
import pytest

from actors.cli.creates import fields_of as create_fields
from actors.cli.hosts import row_of
from actors.cli.migrations import come_of, state_of, steps_of
from actors.cli.trees import Seen, drawn, fields_of, rows_of
from actors.ops.settings import parse_cloud
from protocol.bodies import encode_body
from protocol.cell_path import CellPath
from protocol.errors import NoCellsAvailable, Unavailable, report
from protocol.journal import Ending, Entry, Kind
from protocol.messages.capacity import HostUse
from protocol.messages.creates import Created
from protocol.messages.orders import ConversationLine, CreateServer, Progress, Retried, StepNews
from protocol.messages.servers import Origin
from protocol.messages.tree import CellState, ChildState, LinkState
from protocol.records import Amounts, Capacities, CellFreeze, Flavor
from protocol.states import Goal
from tests.actors.cli.clouds import CLOUD

USE: Final = HostUse(
    host="h1", cell="api!eu!eu-1", availability_zone="", is_enabled=True, vcpus=8, memory_mb=16384, disk_gb=100,
    vcpus_used=1, memory_mb_used=512, disk_gb_used=1, servers=1,
)  # fmt: skip

FREE: Final = Capacities(
    ram_free=Amounts(total_mb=15872, units_by_mb={"512": 31}), disk_free=Amounts(total_mb=99 * 1024)
)  # fmt: skip


def state(path: str, *children: ChildState, parent: str | None = None, **own: tuple[str, ...]) -> CellState:
    """Make what a cell answers."""
    return CellState(
        cell=CellPath.parse(path), parent=CellPath.parse(parent) if parent else None, own_capabilities=own,
        own_capacities=FREE, capabilities=own, capacities=FREE, children=children,
    )  # fmt: skip


def child(path: str, silent_s: float | None = 3.2, *, is_mute: bool = False) -> ChildState:
    """Make what a parent knows of a child."""
    return ChildState(
        cell=CellPath.parse(path), is_mute=is_mute, silent_s=silent_s, weight_offset=0.0, weight_scale=1.0,
        capabilities={}, capacities=FREE,
    )  # fmt: skip


ROOT: Final = CellPath.parse("api")
EU: Final = ROOT.child("eu")
US_STATE: Final = state("api!us", parent="api")
SEEN: Final = Seen(
    cloud=parse_cloud(CLOUD.encode()),
    states={
        ROOT: state("api", child("api!eu"), child("api!us", 400.0, is_mute=True), child("api!asia", None)),
        ROOT.child("asia"): state("api!asia", parent="api", os=("linux", "hurd")),
        ROOT.child("eu"): state("api!eu", parent="api"),
    },
    silent={ROOT.child("us"): "cell api!us cannot be reached: its broker is away"},
    hosts={"h1": USE},
)  # fmt: skip

TREE: Final = """
api: 15872 MB and 99 GB free
├── eu: heard 3 s ago, 15872 MB and 99 GB free
│   ├── host h3: not announced
│   └── eu-1: not part of the running tree
│       └── host h1: 1 server(s), 512 of 16384 MB
├── us: MUTE, heard 400 s ago, no answer: cell api!us cannot be reached: its broker is away
│   └── host h2: not announced
└── asia: never heard, 15872 MB and 99 GB free, os=linux;hurd
"""


def test_the_tree_shows_every_cell_and_host() -> None:
    """Those that run and those of the file; how each stands, who is silent, and who is not part of it."""
    assert "\n".join(drawn(SEEN)) == TREE.strip()


def test_the_tree_of_a_cell_that_does_not_answer_is_hidden_with_it() -> None:
    """Nothing is pretended of cells that nobody could ask."""
    silent = Seen(cloud=SEEN.cloud, states={ROOT: state("api", child("api!eu"))}, silent={ROOT.child("eu"): "late"})
    rows = {row["cell"]: row for row in rows_of(silent)}
    assert [*rows] == ["api", "api!eu", "api!eu!eu-1", "api!us"]
    assert rows["api!eu"]["trouble"] == "no answer: late"
    assert rows["api!eu!eu-1"]["trouble"] == "hidden: a cell above it does not answer"
    assert rows["api!us"]["trouble"] == "not part of the running tree"
    assert (rows["api!eu!eu-1"]["heard"], rows["api!eu!eu-1"]["memory_mb_free"]) == (None, None)


def test_a_link_that_is_down_is_marked_with_since_when_and_why() -> None:
    """Beside the cell that nobody gets to, in place of what the attempt to ask it gave; other cells bear no mark."""
    links = (LinkState(cell=EU, down_s=12.04, reason="connection refused"), LinkState(cell=ROOT.child("us")))
    root = attrs.evolve(state("api", child("api!eu"), child("api!us")), links=links)
    seen = Seen(cloud=SEEN.cloud, states={ROOT: root, ROOT.child("us"): US_STATE}, silent={EU: "unreachable"})
    (eu,) = [line for line in drawn(seen) if "eu:" in line]
    assert eu == "├── eu: heard 3 s ago, link down for 12.0 s: connection refused"
    rows = {row["cell"]: row for row in rows_of(seen)}
    assert (rows["api!eu"]["link_down_s"], rows["api!eu"]["trouble"]) == (
        12.0,
        "link down for 12.0 s: connection refused",
    )
    assert (rows["api!us"]["link_down_s"], rows["api!us"]["trouble"]) == (None, None)


def test_a_cell_whose_link_upward_is_down_is_marked_too() -> None:
    """It still answers who asks it by another way."""
    eu = attrs.evolve(state("api!eu", parent="api"), links=(LinkState(cell=ROOT, down_s=70.0, reason="no answer"),))
    seen = Seen(cloud=SEEN.cloud, states={EU: eu})
    assert seen.trouble(EU) == "link to api down for 1 min 10 s: no answer"


def test_people_see_links_in_words_and_programs_their_values() -> None:
    """Whether each is up, or since when and why it is not; nothing where the cell's link said nothing."""
    links = (LinkState(cell=ROOT), LinkState(cell=EU.child("eu-1"), down_s=0.25, reason="connection refused"))
    told = attrs.evolve(state("api!eu"), links=links)
    assert fields_of(told)["links"] == "api up; api!eu!eu-1 down for 250 ms: connection refused"
    assert fields_of(told, is_short=False)["links"] == [
        {"cell": "api", "is_up": True, "down_s": None, "reason": ""},
        {"cell": "api!eu!eu-1", "is_up": False, "down_s": 0.2, "reason": "connection refused"},
    ]
    assert fields_of(state("api!eu"))["links"] == "not known: the cell's link does not answer"
    assert fields_of(state("api!eu"), is_short=False)["links"] is None


@pytest.mark.proves("Q25")
@pytest.mark.parametrize(("reason", "mark"), [("new switches", "FROZEN (new switches)"), ("", "FROZEN")])
def test_a_frozen_cell_is_marked_in_the_tree_and_shown_with_who_froze_it(reason: str, mark: str) -> None:
    """For people in a word, for programs in fields; one that is not frozen says so to programs alone."""
    freeze = CellFreeze(cell="api!eu", reason=reason, user="op", since_us=1_700_000_000_000_000)
    eu = attrs.evolve(state("api!eu", parent="api"), freeze=freeze)
    seen = attrs.evolve(SEEN, states={**SEEN.states, ROOT.child("eu"): eu})
    assert f"├── eu: heard 3 s ago, {mark}, 15872 MB" in "\n".join(drawn(seen))
    rows = {row["cell"]: (row["frozen"], row["frozen_for"]) for row in rows_of(seen)}
    assert rows["api!eu"] == (True, reason or None)
    assert (rows["api"], rows["api!us"]) == ((False, None), (None, None))
    shown = fields_of(eu)
    told = (shown["frozen"], shown["frozen_for"], shown["frozen_by"], shown["frozen_since"])
    assert told == (True, reason or None, "op", "2023-11-14T22:13:20Z")
    assert fields_of(SEEN.states[ROOT])["frozen"] is False


def test_programs_get_each_cell_in_a_row() -> None:
    """With the numbers that people get in words."""
    rows = {row["cell"]: row for row in rows_of(SEEN)}
    assert (rows["api!us"]["mute"], rows["api!us"]["heard"]) == (True, 400.0)
    assert (rows["api!asia"]["capabilities"], rows["api!asia"]["memory_mb_free"]) == ("os=linux;hurd", 15872)


def test_a_cell_is_shown_with_what_fits() -> None:
    """By size of memory, and with the mute among its children."""
    shown = fields_of(SEEN.states[ROOT])
    assert (shown["fits"], shown["children"]) == ("512MB:31", "eu us (mute) asia")


@pytest.mark.proves("R123")
def test_a_server_that_was_not_created_is_shown_with_the_reason_and_one_under_way_as_building() -> None:
    """In the fields of a server, though there is none: whoever looks for its state finds it."""
    order = CreateServer(
        server="s1", name="web", flavor=Flavor(name="tiny", vcpus=1, memory_mb=1, disk_gb=1), image="cirros",
        volumes=(), host=None, origin=Origin(request_id="r", user="u", project="p"),
    )  # fmt: skip
    cause = report(NoCellsAvailable(server="s1", tries=8, reason="no host has room for it"), cell="api")
    line = ConversationLine(
        conversation="c1", server="s1", goal=Goal.CREATE, number=1, began_at_us=1_700_000_000_000_000,
        ended_at_us=1_700_000_014_000_000, ending=Ending(is_success=False, cause=cause), is_closed=True, waits_for=None,
    )  # fmt: skip
    shown = create_fields(Created(order=order, line=line))
    told = {name: shown[name] for name in ("id", "name", "vm_state", "host", "error", "conversation", "taken_for")}
    assert told == {
        "id": "s1", "name": "web", "vm_state": "error", "host": None, "error": "no_cells_available",
        "conversation": "c1", "taken_for": None,
    }  # fmt: skip
    assert shown["last_error"] == "no cell takes server s1, after 8 tries: no host has room for it"
    assert (shown["created"], shown["updated"]) == ("2023-11-14T22:13:20Z", "2023-11-14T22:13:34Z")
    under_way = attrs.evolve(line, ending=None, ended_at_us=None, is_closed=False, waits_for="cell api!us")
    shown = create_fields(Created(order=order, line=under_way))
    told = {name: shown[name] for name in ("vm_state", "taken_for", "waits_for", "last_error")}
    assert told == {"vm_state": "building", "taken_for": "create", "waits_for": "cell api!us", "last_error": None}


def test_people_see_used_of_all_and_programs_each_number() -> None:
    """The same row, for either."""
    assert row_of(USE, is_short=True)["memory_mb"] == "512 of 16384"
    assert (row_of(USE, is_short=False)["memory_mb"], row_of(USE, is_short=False)["memory_mb_used"]) == (16384, 512)


def test_people_see_when_a_host_was_heard_of_and_why_it_is_disabled() -> None:
    """In seconds, by its cell's clock; a host that never told is none that was heard of."""
    off = attrs.evolve(USE, is_enabled=False, reason="new disks", heard_ago_us=2_600_000)
    assert [row_of(off, is_short=True)[name] for name in ("enabled", "reason", "heard")] == [
        False,
        "new disks",
        "3 s ago",
    ]
    assert (row_of(off, is_short=False)["heard"], row_of(USE, is_short=True)["heard"]) == (2.6, None)


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
