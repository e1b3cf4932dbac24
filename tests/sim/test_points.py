"""Which happening is at which point of a conversation, in the words in which a case names them."""

from __future__ import annotations

from typing import Any

import pytest

from protocol.journal import Entry, Kind
from protocol.states import Goal
from sim.cases.case import Case
from sim.cases.places import crash_points
from sim.cases.workload import Act, Op
from sim.history import Begun, Called, Carried, Journaled, Note, Sent, Started
from sim.inner.running import run_case
from sim.points import driver_point, of_key, point, point_of

KEY = "c:1:0:spawn:undo"


def journaled(kind: Kind, step: str = "", *, is_undo: bool = False) -> Journaled:
    """Write a line of a journal."""
    entry = Entry(seq=1, epoch=1, kind=kind, at_us=0, step=step, is_undo=is_undo)
    return Journaled(conversation="c", server="s", goal=Goal.RESIZE, entry=entry)


def sent(process: str, *notes: tuple[str, str]) -> Sent:
    """Write that a process sent a frame of envelopes: of each its kind and key; all are the conductor's."""
    return Sent(
        process=process, queue="q", frame=1,
        notes=tuple(
            Note(
                id="i", kind=kind, method="m", source="api/conductor", target="t", route=(), hops_max=10, server="s",
                key=key, epoch=1,
            )
            for kind, key in notes
        ),
    )  # fmt: skip


KEYED: dict[str, Any] = {"key": KEY, "server": "s", "epoch": 1, "method": "m"}
HAPPENINGS = {
    "spawn/undo/before_send": journaled(Kind.INTENT, "spawn", is_undo=True),
    "spawn/do/after_record": journaled(Kind.REFUSED, "spawn"),
    "take/do/after_record": journaled(Kind.DONE, "take"),
    "end/do/after_record": journaled(Kind.END),
    "closed/do/after_record": journaled(Kind.CLOSED),
    "spawn/undo/after_effect": Begun(**KEYED),
    "spawn/undo/after_send": sent("api/conductor", ("call", "client:7"), ("call", KEY)),
    "spawn/undo/after_reply": sent("api/conductor", ("answer", KEY)),
    "driver/spawn/after": Called(where="h1", call="spawn", about="s"),
}


@pytest.mark.parametrize("name", HAPPENINGS)
def test_a_happening_is_at_the_point_that_is_named_for_it(name: str) -> None:
    """One happening of each position, and the two that are of no step."""
    assert point_of(HAPPENINGS[name]) == name


@pytest.mark.parametrize(
    "what",
    [
        journaled(Kind.BEGIN), journaled(Kind.RELEASED), Called(where="image", call="write", about="i"),
        sent("api/link", ("call", KEY)), sent("api/conductor", ("call", "client:7")), sent("api/conductor"),
        Carried(**{**KEYED, "key": "client:7"}, reply="", is_error=False), Started(run=1),
    ],
)  # fmt: skip
def test_what_is_no_part_of_a_steps_exchange_is_at_no_point(what: Any) -> None:
    """Neither orders, nor what a link passes on, nor the calls of partners."""
    assert point_of(what) is None


def test_points_are_written_as_keys_and_steps_name_them() -> None:
    """The key of an exchange and the step itself lead to one word."""
    assert of_key("a:b:3:copy_records:execute", "after_reply") == point("copy_records", "after_reply", is_undo=False)
    assert of_key("client:3", "after_reply") is None
    assert driver_point("spawn", "before") == "driver/spawn/before"


def test_every_point_that_a_run_passes_is_one_that_a_case_may_name() -> None:
    """What is listed for faults to wait for, and what happenings are at, do not drift apart."""
    passed: dict[str, None] = {}

    def listen(line: Any) -> None:
        if (found := point_of(line.what)) is not None:
            passed[found] = None

    setup = (Op(name="c", act=Act.CREATE, server="s1", volume="v1"),)
    ops = (
        Op(name="r", act=Act.RESIZE, server="s1"), Op(name="v", act=Act.REVERT, server="s1", after="r"),
        Op(name="a", act=Act.ATTACH, server="s1", volume="v2", device="/dev/vdc", after="v"),
        Op(name="s", act=Act.STOP, server="s1", after="a"), Op(name="again", act=Act.STOP, server="s1", after="s"),
    )  # fmt: skip
    run_case(Case(seed=1, minutes=5.0, setup=setup, ops=ops), listeners=(listen,))
    assert set(passed) <= set(crash_points())
    assert len(passed) > 100
