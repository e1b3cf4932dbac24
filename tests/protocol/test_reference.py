"""Every method of Nova's cells is one request here, and none of ours claims to be one that is not."""

from __future__ import annotations

from typing import Final

import pytest

from protocol.messages.histories import ListTaskLog
from protocol.methods import METHODS
from protocol.records import RECORDS, TaskLog
from protocol.reference import NOT_OFFERED, OTHERWISE, REFERENCE, RESPONSE, form_of
from protocol.requests import Form

FORMS: Final = (Form.TARGETED, Form.BROADCAST)


def test_the_reference_has_as_many_methods_as_nova() -> None:
    """38 targeted, 14 broadcast, and the one that brings answers."""
    assert [len(REFERENCE[form]) for form in FORMS] == [38, 14]
    assert RESPONSE not in REFERENCE[Form.TARGETED]


def test_each_method_of_the_reference_is_declared_once() -> None:
    """By name: two requests never stand for the same one."""
    named = [request.METHOD.reference for request in METHODS.values() if request.METHOD.reference]
    assert len(named) == len(set(named))
    assert set(named) == frozenset().union(*REFERENCE.values())


def test_what_stands_for_a_method_of_the_reference_goes_as_that_does() -> None:
    """The same way over the tree, to one cell or to all."""
    for request in METHODS.values():
        if not (name := request.METHOD.reference):
            continue
        assert request.METHOD.form is form_of(name), name
        assert {ways[name] for ways in REFERENCE.values() if name in ways} == {request.METHOD.way}, name


@pytest.mark.proves("R108")
def test_the_task_log_is_spelled_as_in_nova() -> None:
    """Each word of it, for whoever asks for it by that name; nothing is called what Nova had once called it wrongly."""
    (named,) = (request for request in METHODS.values() if request.METHOD.reference == "task_log_get_all")
    assert (named, TaskLog.TABLE) == (ListTaskLog, "task_log")
    assert not [name for name in (*METHODS, *(table.TABLE for table in RECORDS)) if "tasklog" in name.replace("-", "")]


@pytest.mark.proves("R104", "R105")
def test_what_is_not_offered_has_a_reason_and_no_method() -> None:
    """So that whoever asks for it by hand is told what to do instead."""
    assert set(NOT_OFFERED) == {"shelve", "set_admin_password"}
    for name, reason in NOT_OFFERED.items():
        assert not any(name in {request.METHOD.name, request.METHOD.reference} for request in METHODS.values())
        assert ";" in reason, "what does not go is told with what does"


def test_what_goes_in_another_form_than_in_nova_says_why() -> None:
    """Otherwise than Nova: only what the table names, each with its reason, and never without need."""
    for name, (form, reason) in OTHERWISE.items():
        assert name not in REFERENCE.get(form, ()), name
        assert reason.endswith("."), name
