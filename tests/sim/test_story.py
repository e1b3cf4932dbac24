"""The story of a run: plain sentences in order, short, without what only programs can read."""

from __future__ import annotations

import re

import attrs
import pytest

from sim.cases.case import Case
from sim.cases.workload import Act, Op
from sim.faults import Fault, FaultKind
from sim.history import Broker, Carried, Journaled, Paused
from sim.telling.account import give_account, in_plain_words
from sim.telling.holdings import holdings
from sim.telling.story import SENTENCES_MAX, promise_of, tell
from tests.sim.scripted import CONDUCTOR, CONVERSATION, Script, eventful

FAULTS = (
    Fault(kind=FaultKind.LOSE, name="f1", where=CONDUCTOR),
    Fault(kind=FaultKind.CRASH, name="f2", where=CONDUCTOR, at_s=40, for_s=5),
)
CASE = Case(
    seed=7, setup=(Op(name="o0", act=Act.CREATE, server="s1"),), faults=FAULTS,
    ops=(Op(name="o1", act=Act.MIGRATE, server="s1", at_s=10),),
)  # fmt: skip


@pytest.fixture(scope="module")
def story() -> str:
    """A story with a bit of everything."""
    script, breach = eventful()
    return tell(script.run(breach, case=CASE))


def sentences(story: str) -> list[str]:
    """Give what happened, sentence by sentence."""
    return re.findall(r"^\d+\. (.*)$", story, re.MULTILINE)


def test_it_begins_with_what_did_not_hold(story: str) -> None:
    """The invariant, of which server, its promise, where in the history and how."""
    heading, *rest = story.splitlines()
    assert heading == "# `one_guest` does not hold for s1"
    assert f"The promise: {promise_of('one_guest')}" in rest
    assert "the guest runs on h1 and on h3" in story
    assert "seed 7" in story


@pytest.mark.parametrize(
    "sentence",
    [
        "a user asked to migrate s1, which was accepted.",
        "7 steps of the migrate were done by",
        "fault f1 struck: lose: stop, from api/conductor to api/link.",
        "the conductor intended stop of the migrate, asked for it 2 times, 1 of the messages was lost, and noted",
        "the guest of s1 on h1 was off",
        "the guest of s1 began to run on h2, permit 2.",
        "fault f2 struck: api/conductor was killed.",
        "api/conductor was up again.",
        "api/conductor took the migrate over.",
        "1 of them got the answer of the first time",
        "that it was refused (invalid_state).",
        "the conductor intended undo: spawn of the migrate",
        "the migrate of s1 ended with everything undone",
        "the checkers found the breach.",
    ],
)
def test_it_tells_what_happened(story: str, sentence: str) -> None:
    """Orders, steps, losses, retries, crashes, takeovers, undos, guests and the end each have their words."""
    assert any(sentence in told for told in sentences(story))


def test_it_is_in_the_order_of_time(story: str) -> None:
    """Times count from the begin of the fault phase, as those of the faults do."""
    times = [float(time) for time in re.findall(r"^\d+\. At (-?[\d.]+) s", story, re.MULTILINE)]
    assert len(times) > 10
    assert times == sorted(times)
    assert 10 <= times[0] < 10.1


def test_it_says_what_was_planned_without_the_names_of_fields(story: str) -> None:
    """A fault's meaning is told with its own numbers."""
    assert "- Before any fault a user asks to create s1 (o0)." in story
    assert "- A user asks to migrate s1 (o1), at 10 s." in story
    assert "Fault f2 (crash): a process is killed, and started again after 5 s;" in story
    assert "`for_s`" not in story


def test_it_says_what_everybody_held(story: str) -> None:
    """The journal, the mapping, the hypervisors and the records, each in a line."""
    held = story.partition("## What everybody held then")[2]
    assert "Journal: the migrate of s1 (9c0e3937) was over: undone" in held
    assert "Mapping: s1" in held
    assert "Hypervisors: the guest of s1 ran on h2 (permit 2)." in held
    assert "api!c2/host:h2: the undo of spawn at" in held


def test_no_key_nor_id_is_in_it(story: str) -> None:
    """They are for programs."""
    assert CONVERSATION not in story
    assert ":execute" not in story


def test_a_long_story_loses_its_middle() -> None:
    """Nobody reads a hundred sentences; the begin and the end are what tells."""
    script = Script()
    script.phase("faults")
    for number in range(60):
        script.order(Op(name=f"o{number}", act=Act.START, server="s1"), error="conflict")
        script.wait(1)
    told = sentences(tell(script.run()))
    assert len(told) == SENTENCES_MAX
    assert sum("sentences are left out here" in sentence for sentence in told) == 1
    assert told[0].startswith("At 0.00 s")
    assert told[-1].startswith("At 59.")


def test_a_run_without_a_breach_is_told_too() -> None:
    """It says that all holds, and shows all of it."""
    script = Script()
    script.phase("faults")
    script.begin()
    script.steps(3)
    script.end()
    story = tell(script.run())
    assert story.startswith("# Seed 7: all holds\n")
    assert "3 steps of the migrate were done" in story
    assert "the migrate of s1 ended well" in story


def test_who_is_away_is_told() -> None:
    """Processes that are down or stand still, and brokers that are not up, hold everybody else up."""
    script = Script()
    script.begin()
    script.crash("api/image")
    script.write(Paused(process="api/volume"))
    script.write(Broker(process="", cell="api!c1", state="wiped"))
    held = "\n".join(holdings(script.history.lines, at=len(script.history.lines)))
    assert "were down: api/image." in held
    assert "stood still: api/volume." in held
    assert "that of api!c1 (wiped)." in held


@pytest.mark.parametrize(
    ("lines", "standing"),
    [
        (1, "had begun"),
        (2, "had intended stop, under epoch 5, and knew of no answer"),
        (3, "had noted that stop was done"),
        (4, "had ended (done) and was telling everybody to forget it"),
        (6, "was over: done"),
    ],
)
def test_a_journal_is_told_as_it_stood_at_a_line(lines: int, standing: str) -> None:
    """What came later is not told: who looks at a line wants to know what was known then."""
    script = Script()
    script.begin()
    script.step("stop", on_wire=False)
    script.end()
    at = [line.number for line in script.history.lines if isinstance(line.what, Journaled)][lines - 1]
    assert standing in "\n".join(holdings(script.history.lines, at=at))


def test_a_mapping_is_taken_moved_and_let_go() -> None:
    """It is read off the commands on it that were carried out, and the journal's last word."""
    script = Script()
    script.begin()
    script.step("take", "api/cell", on_wire=False)
    lines = [
        attrs.evolve(line, what=attrs.evolve(line.what, method="take_server"))
        if isinstance(line.what, Carried)
        else line
        for line in script.history.lines
    ]
    (mapping,) = [held for held in holdings(lines, at=99) if held.startswith("Mapping")]
    assert mapping == "Mapping: s1 was taken for the migrate (9c0e3937); its home had never moved."


TOLD = {
    f"take_server {CONVERSATION}:0:take:execute from api/conductor to api/cell: lose": (
        "lose: take, from api/conductor to api/cell"
    ),
    f"poison {CONVERSATION}:0:take:undo answer from api/cell to api/replies:conductor:0: lose": (
        "lose: the answer to the undo of take, from api/cell to api/conductor"
    ),
    f"re:{CONVERSATION}:0:take:execute from api/cell to api/conductor: lose": (
        "lose: the answer to take, from api/cell to api/conductor"
    ),
    "api/image was killed": "api/image was killed",
    str(FAULTS[0]): "api/conductor from 0 s",
}


@pytest.mark.parametrize(("text", "plain"), TOLD.items())
def test_what_a_fault_did_is_told_in_plain_words(text: str, plain: str) -> None:
    """Keys become steps, and reply queues become who reads them."""
    assert in_plain_words(FAULTS[0], text) == plain


def test_an_exchange_is_plain_only_on_a_good_day() -> None:
    """What was lost, doubled, asked again, refused or undone is worth a sentence of its own."""
    script, _ = eventful()
    exchanges = {each.name: each.is_plain for each in give_account(script.history.lines).exchanges}
    assert [name for name, is_plain in exchanges.items() if not is_plain] == ["stop", "spawn", "commit", "undo: spawn"]
