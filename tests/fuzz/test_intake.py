"""Damaged messages by the thousand: each becomes a dead letter with its reason, and what is good beside it is taken."""

from __future__ import annotations

import os
from functools import partial
from typing import Final

import pytest

from actors.cell.gate import UNGUARDED, Gate
from actors.kernel.frames import take_apart
from protocol.codec import decode
from protocol.dead_letters import Reason, reason_of
from sim.ports import SeededRandom
from tests.fuzz.damage import ENVELOPES, EU, FRAMES, ROOT, Draw, framed, good

#: So many damaged messages in all: a million in a night, else as many as take some seconds.
MESSAGES: Final = 1_000_000 if os.environ.get("CELLFERRY_PROFILE") == "night" else 20_000
KINDS: Final = len(FRAMES) + len(ENVELOPES)
EACH: Final = MESSAGES // KINDS + 1


def drawing(seed: str) -> Draw:
    """Give chance from a seed."""
    chance = SeededRandom(seed)
    return lambda below: int(chance.uniform() * below)


def test_there_are_more_than_forty_kinds_of_damage_of_three_reasons() -> None:
    """What bytes can be wrong with, and what only the tree knows."""
    assert KINDS >= 40
    reasons = {reason for reason, _damage in (*FRAMES.values(), *ENVELOPES.values())}
    assert reasons == {Reason.MALFORMED, Reason.UNKNOWN_SCHEMA, Reason.FORBIDDEN}


@pytest.mark.parametrize("kind", FRAMES)
def test_a_damaged_frame_is_a_dead_letter(kind: str) -> None:
    """Nothing of it is taken, nothing is raised, and the next one is."""
    gate, draw = Gate(ROOT, UNGUARDED), drawing(kind)
    reason, damage = FRAMES[kind]
    for _ in range(EACH):
        taken, failure = take_apart(damage(draw), partial(gate.admit, via=EU))
        assert taken == []
        assert failure is not None
        assert reason_of(failure) is reason, failure
    _require_good(gate, draw)


@pytest.mark.parametrize("kind", ENVELOPES)
def test_a_damaged_envelope_takes_no_other_with_it(kind: str) -> None:
    """Its frame is a dead letter with its reason; the good one in it is taken."""
    gate, draw = Gate(ROOT, UNGUARDED), drawing(kind)
    reason, damage = ENVELOPES[kind]
    for _ in range(EACH):
        beside = good(draw)
        frame = framed(damage(draw), beside)
        taken, failure = take_apart(frame, partial(gate.admit, via=EU))
        assert [envelope.id for envelope in taken] == [decode(beside).id]
        assert failure is not None
        assert reason_of(failure) is reason, failure
    _require_good(gate, draw)


def _require_good(gate: Gate, draw: Draw) -> None:
    taken, failure = take_apart(framed(good(draw)), partial(gate.admit, via=EU))
    assert len(taken) == 1
    assert failure is None
