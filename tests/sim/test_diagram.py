"""Diagrams: well formed, nothing over anything else, every lane there, and no longer than a person can read."""

from __future__ import annotations

import re
from itertools import combinations
from xml.etree import ElementTree as ET

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.cases.case import Breach
from sim.cases.workload import Act, Op
from sim.diagram import mermaid, svg
from sim.diagram.composing import compose
from sim.diagram.picture import Arrow, BarKind, Fate, Mark, MarkKind, Picture
from sim.diagram.thinning import ITEMS_MAX
from sim.faults import FaultKind
from sim.history import Journaled
from tests.sim.scripted import CONDUCTOR, Script, eventful

SVG = "{http://www.w3.org/2000/svg}"
WORDS = st.text(st.characters(codec="utf-8"), max_size=60)


def picture_of(script: Script, breach: Breach | None = None) -> Picture:
    """Compose what a diagram of a history shows."""
    return compose(script.history.lines, breach=breach)


def arrows(picture: Picture) -> list[Arrow]:
    """List the arrows."""
    return [item for item in picture.items if isinstance(item, Arrow)]


def marks(picture: Picture, kind: MarkKind) -> list[Mark]:
    """List the marks of a kind."""
    return [item for item in picture.items if isinstance(item, Mark) and item.kind is kind]


@pytest.fixture(scope="module")
def drawn() -> ET.Element:
    """The diagram of a history with a bit of everything."""
    script, breach = eventful()
    return parsed(svg(script.history.lines, breach=breach))


def parsed(text: str) -> ET.Element:
    """Parse an SVG; raise when it is not well formed."""
    return ET.fromstring(text)  # noqa: S314 - our own text


# --- what is shown -----------------------------------------------------------------------------------------


def test_those_who_take_part_have_lanes_and_links_have_none() -> None:
    """Users first, then the root's own, then cell by cell with its hosts; what only passes on is folded in."""
    script, breach = eventful()
    titles = [lane.title for lane in picture_of(script, breach).lanes]
    assert titles == ["users", "conductor", "root", "cell c1", "host h1", "host h2"]


def test_an_arrow_goes_from_who_sent_to_who_got_it() -> None:
    """However many hops there were between them; its ends are when it was sent first and handed over last."""
    script = Script()
    script.begin()
    script.step("stop", "api!c1/host:h1")
    command, answer = arrows(picture_of(script))
    assert (command.source, command.target, command.text) == (CONDUCTOR, "api!c1/host:h1", "stop")
    assert (answer.source, answer.target, answer.is_answer) == ("api!c1/host:h1", CONDUCTOR, True)
    assert command.end is not None
    assert command.begin < command.end < answer.begin


def test_what_is_lost_does_not_arrive() -> None:
    """It is told from what is still on its way where the diagram ends."""
    script, breach = eventful()
    shown = arrows(picture_of(script, breach))
    assert [arrow.text for arrow in shown if arrow.fate is Fate.LOST] == ["stop", ""]
    early = attrs.evolve(breach, step=next(arrow.begin for arrow in shown if arrow.text == "stop") + 1)
    assert [arrow.fate for arrow in arrows(picture_of(script, early))][-1] is Fate.OPEN


def test_what_comes_twice_is_one_arrow_that_says_so() -> None:
    """Copies right behind each other are told as one."""
    script, breach = eventful()
    doubled = [arrow for arrow in arrows(picture_of(script, breach)) if arrow.fate is Fate.DOUBLED]
    assert [arrow.text for arrow in doubled] == ["stop (asked again) (came 2 times)"]


def test_what_was_refused_known_or_undone_says_so() -> None:
    """An undo is marked, an error is told by its code, and so is what a receiver knew already."""
    script, breach = eventful()
    shown = arrows(picture_of(script, breach))
    assert [arrow.text for arrow in shown if arrow.is_undo and not arrow.is_answer] == ["undo: spawn"]
    assert [arrow.text for arrow in shown if arrow.is_error] == ["refused: invalid_state"]
    assert "spawn (asked again) (known: the same answer again)" in [arrow.text for arrow in shown]


def test_crashes_starts_and_guests_are_marked_and_last() -> None:
    """A crash names the fault that did it; the lane has a gap until the start, and a bar while a guest runs."""
    script, breach = eventful()
    picture = picture_of(script, breach)
    assert [mark.text for mark in marks(picture, MarkKind.CRASH)] == ["is killed by f2"]
    assert [mark.text for mark in marks(picture, MarkKind.START)] == ["starts again (run 2)"]
    spells = [(bar.kind, bar.lane) for bar in picture.bars]
    assert spells == [
        (BarKind.GUEST, "api!c1/host:h1"), (BarKind.GUEST, "api!c2/host:h2"), (BarKind.DOWN, CONDUCTOR)
    ]  # fmt: skip


def test_each_epoch_has_its_colour_and_its_words() -> None:
    """A takeover is to be seen at once."""
    script, breach = eventful()
    assert picture_of(script, breach).epochs == {5: "migrate of s1", 6: "migrate of s1, taken over"}


def test_the_breach_is_the_last_thing() -> None:
    """It goes across all lanes."""
    script, breach = eventful()
    last = picture_of(script, breach).items[-1]
    assert isinstance(last, Mark)
    assert (last.kind, last.lane, last.text) == (MarkKind.BREACH, "", f"one_guest: {breach.text}")


def test_only_the_breachs_server_is_shown() -> None:
    """What others did at the same time would hide it."""
    script, breach = eventful()
    script.server = "s2"
    script.begin("7c0e3937-0000-4000-8000-000000000002")
    script.step("other_step")
    late = attrs.evolve(breach, step=len(script.history.lines) - 1)
    assert all("other_step" not in arrow.text for arrow in arrows(picture_of(script, late)))
    every = compose(script.history.lines)
    assert any("other_step" in arrow.text for arrow in arrows(every))


def test_many_retries_are_told_as_one() -> None:
    """The first and the last are drawn, and how many there were between."""
    script = Script()
    script.begin()
    script.step("stop", loses="command")
    for _ in range(7):
        script.wait(10)
        script.step("stop", is_asked=False, loses="command")
    picture = picture_of(script)
    assert len(arrows(picture)) == 2
    (note,) = marks(picture, MarkKind.NOTE)
    assert note.text.startswith("asks 6 times more, from ")


def test_a_good_day_is_told_in_a_line() -> None:
    """Of many steps without trouble only their names are told; what is next to trouble is shown."""
    script = Script()
    script.begin()
    script.steps(40)
    script.step("last", loses="answer")
    picture = picture_of(script)
    (skipped,) = marks(picture, MarkKind.SKIPPED)
    assert "39 steps as on a good day" in skipped.text
    assert [arrow.text for arrow in arrows(picture) if not arrow.is_answer] == ["step_39", "last"]


def test_without_messages_the_two_ends_tell_of_an_exchange() -> None:
    """The inner level records none."""
    script = Script()
    script.begin()
    script.step("stop", "api!c1/host:h1", on_wire=False)
    shown = [(arrow.source, arrow.target, arrow.text) for arrow in arrows(picture_of(script))]
    assert shown == [(CONDUCTOR, "api!c1/host:h1", "stop"), ("api!c1/host:h1", CONDUCTOR, "")]


def test_a_fault_that_strikes_often_is_shown_a_few_times() -> None:
    """The last of these says how often it struck in all."""
    script = Script()
    script.begin()
    for number in range(50):
        script.step(f"step_{number}")
        script.fault(FaultKind.DOUBLE, "f1", text="once more", process=CONDUCTOR)
    told = marks(picture_of(script), MarkKind.FAULT)
    assert [mark.text for mark in told] == ["f1: once more", "f1: once more", "f1: once more (and 47 times more)"]


def test_when_all_are_killed_it_is_told_once() -> None:
    """Those who take no part have no lane, and no line each."""
    script = Script()
    script.begin()
    script.step("stop")
    at_ns = script.now_ns
    for number in range(20):
        script.now_ns = at_ns
        script.crash(f"api!c{number + 2}/cell", by="f3")
        script.now_ns = at_ns
    picture = picture_of(script)
    assert [lane.title for lane in picture.lanes] == ["conductor", "cell c1"]
    (told,) = marks(picture, MarkKind.FAULT)
    assert told.text == "f3: api!c2/cell was killed, and 19 others"
    assert marks(picture, MarkKind.CRASH) == []


def test_a_long_history_is_shown_from_its_end() -> None:
    """A person can follow so many rows; how many are left out is said."""
    script = Script()
    script.begin()
    for number in range(200):
        script.step(f"step_{number}", copies=2)
    breach = script.breach()
    picture = picture_of(script, breach)
    assert len(picture.items) == ITEMS_MAX + 1
    assert "earlier events are left out" in picture.items[0].text
    assert picture.items[-1].text.startswith("one_guest")


# --- the SVG -----------------------------------------------------------------------------------------------


def boxes(root: ET.Element) -> list[tuple[str, float, float, float, float]]:
    """List every text with the box that it takes, by the size of its letters."""
    found = []
    for element in root.iter(f"{SVG}text"):
        words = element.text or ""
        size = float(element.get("font-size", "11"))
        width = len(words) * size * 0.55
        x, y = float(element.get("x", "0")), float(element.get("y", "0"))
        shift = {"middle": width / 2, "end": width}.get(element.get("text-anchor", ""), 0.0)
        found.append((words, x - shift, y - size * 0.8, x - shift + width, y + size * 0.2))
    return found


def test_no_two_texts_meet(drawn: ET.Element) -> None:
    """Each has a row of its own."""
    for one, other in combinations(boxes(drawn), 2):
        is_beside = one[3] <= other[1] or other[3] <= one[1]
        is_above = one[4] <= other[2] or other[4] <= one[2]
        assert is_beside or is_above, (one, other)


def test_no_box_covers_its_own_lane(drawn: ET.Element) -> None:
    """What happened on a lane is told beside it: on its left where there is no room on its right."""
    script, breach = eventful()
    lanes = picture_of(script, breach).lanes
    texts = {words: (left, right) for words, left, _, right, _ in boxes(drawn)}
    middle = {lane.title: sum(texts[lane.title]) / 2 for lane in lanes}
    beside = {"guest of s1 is off": "host h1", "guest of s1 runs, permit 2": "host h2", "is killed by f2": "conductor"}
    for words, title in beside.items():
        left, right = texts[words]
        assert right < middle[title] or left > middle[title], words


def test_everything_is_on_the_page(drawn: ET.Element) -> None:
    """No text begins or ends outside of it."""
    width, height = float(drawn.get("width", "0")), float(drawn.get("height", "0"))
    for words, left, top, right, bottom in boxes(drawn):
        assert left >= 0, words
        assert top >= 0, words
        assert right <= width, words
        assert bottom <= height, words


def test_no_two_level_arrows_lie_on_each_other(drawn: ET.Element) -> None:
    """Two lines at one height would be one."""
    levels = [
        (line.get("y1"), min(ends), max(ends))
        for line in drawn.iter(f"{SVG}line")
        if line.get("y1") == line.get("y2") and line.get("stroke") not in {"#d5dae1", "#b6bec9"}
        for ends in [(float(line.get("x1", "0")), float(line.get("x2", "0")))]
    ]
    for one, other in combinations(levels, 2):
        assert one[0] != other[0] or one[2] <= other[1] or other[2] <= one[1]


def test_what_comes_late_falls() -> None:
    """An answer that took two seconds is no level line; what comes at once is."""
    script = Script()
    script.begin()
    script.step("stop", "api!c1/host:h1")
    level = parsed(svg(script.history.lines))
    script.step("start", "api!c1/host:h1", on_wire=False, takes_s=2)
    late = parsed(svg(script.history.lines))
    assert [_falls(line) for line in level.iter(f"{SVG}line")].count(True) == 0
    assert [_falls(line) for line in late.iter(f"{SVG}line")].count(True) == 1


def _falls(line: ET.Element) -> bool:
    return line.get("x1") != line.get("x2") and float(line.get("y2", "0")) > float(line.get("y1", "0"))


def test_long_waits_are_told_as_gaps(drawn: ET.Element) -> None:
    """Thirty seconds are no thirty times as long as one."""
    assert any(words.startswith("+ 30") for words, *_ in boxes(drawn))


@given(WORDS, WORDS)
def test_any_words_can_be_drawn(invariant: str, text: str) -> None:
    """Whatever an error or a breach says, the diagram is well formed and says it."""
    script, breach = eventful()
    root = parsed(svg(script.history.lines, breach=attrs.evolve(breach, invariant=invariant, text=text)))
    told = "".join(element.text or "" for element in root.iter(f"{SVG}text"))
    shown = "".join(letter for letter in text if letter.isprintable() and not letter.isspace())
    assert shown in "".join(told.split())


def test_an_empty_history_can_be_drawn() -> None:
    """There may be nothing to tell."""
    assert parsed(svg([])).tag == f"{SVG}svg"
    assert mermaid([]).startswith("sequenceDiagram\n")


# --- Mermaid -----------------------------------------------------------------------------------------------

LINES = (
    re.compile(r"sequenceDiagram"),
    re.compile(r"    title .+"),
    re.compile(r"    participant (P\d+) as .+"),
    re.compile(r"    (P\d+)(?:->>|-->>|-x|--x)(P\d+): [^;\n]+(?:#\w+;[^;\n]*)*"),
    re.compile(r"    Note over (P\d+)(?:,(P\d+))?: [^;\n]+(?:#\w+;[^;\n]*)*"),
)


@given(WORDS.filter(str.strip))
def test_every_line_is_one_of_mermaids(text: str) -> None:
    """Its statements are few; what would end a text or begin another statement is written otherwise."""
    script, breach = eventful()
    written = mermaid(script.history.lines, breach=attrs.evolve(breach, text=text))
    for line in written.removesuffix("\n").split("\n"):
        assert any(pattern.fullmatch(line) for pattern in LINES), line


def test_mermaid_names_only_participants_that_it_declares() -> None:
    """Others would be lanes without a name."""
    script, breach = eventful()
    written = mermaid(script.history.lines, breach=breach)
    declared = set(re.findall(r"participant (P\d+)", written))
    used = set(re.findall(r"\b(P\d+)\b", written))
    assert declared == used
    assert len(declared) == 6


def test_mermaid_tells_what_the_picture_tells() -> None:
    """Lost messages end in a cross, answers are dashed, faults and crashes are notes."""
    script, breach = eventful()
    written = mermaid(script.history.lines, breach=breach)
    assert re.search(r"P\d+-xP\d+: .*stop.*, lost", written)
    assert re.search(r"P\d+--xP\d+: .*answer, lost", written)
    assert "is killed by f2" in written
    assert "[epoch 6]" in written
    assert "one_guest: the guest runs on h1 and on h3" in written


def test_a_settled_order_of_a_second_conductor_goes_to_it() -> None:
    """While the first stands still, users are answered by the second."""
    script = Script()
    script.order(Op(name="o1", act=Act.MIGRATE, server="s1"))
    lines = [
        attrs.evolve(line, what=attrs.evolve(line.what, process=f"{CONDUCTOR}~1"))
        if isinstance(line.what, Journaled)
        else line
        for line in script.history.lines
    ]
    picture = compose(lines)
    assert [lane.title for lane in picture.lanes] == ["users", "conductor 2"]
