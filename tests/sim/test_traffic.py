"""A frame at a glance: what the notes say is what the codec reads, and nothing that is sent can upset it."""

from __future__ import annotations

import attrs
from hypothesis import given
from hypothesis import strategies as st

from protocol.codec import encode, encode_frame
from protocol.envelope import Broadcast, Envelope, Response
from sim.brokers.traffic import glance
from sim.history import Note
from tests.strategies import envelopes


def note_of(envelope: Envelope) -> Note:
    """Note an envelope by what it is, the long way."""
    is_answer, is_broadcast = isinstance(envelope, Response), isinstance(envelope, Broadcast)
    kinds = ("gather", "spread") if is_broadcast else ("call", "cast")
    return Note(
        id=envelope.id.hex(),
        kind="answer" if is_answer else kinds[not envelope.call],
        method=envelope.method,
        source=str(envelope.source),
        target=envelope.direction.value if isinstance(envelope, Broadcast) else str(envelope.target),
        route=tuple(map(str, envelope.route)),
        hops_max=envelope.hops_max,
        server=envelope.server,
        key="" if envelope.key is None else str(envelope.key),
        epoch=envelope.epoch,
        answers=envelope.answers.hex() if isinstance(envelope, Response) else "",
        is_error=isinstance(envelope, Response) and envelope.is_error,
    )


@given(sent=st.lists(envelopes(), min_size=1, max_size=3))
def test_notes_say_what_the_envelopes_are(sent: list[Envelope]) -> None:
    """Of every kind of envelope, with every field; the text of the notes is that of any tuple."""
    traffic = glance(encode_frame([encode(envelope) for envelope in sent]))
    expected = tuple(map(note_of, sent))
    assert traffic.notes == expected
    assert str(traffic.notes) == str(expected)
    assert (traffic.method, traffic.budget_s) == (sent[0].method, sent[0].budget_s)
    assert traffic.is_awaited == any(note.kind in {"call", "gather", "answer"} for note in expected)


@given(sent=envelopes(), junk=st.binary(max_size=40), at=st.integers(0, 200), flip=st.integers(1, 255))
def test_what_cannot_be_read_is_passed_over(sent: Envelope, junk: bytes, at: int, flip: int) -> None:
    """Junk, alone or beside an envelope, and an envelope with a wrong byte in it."""
    good = encode(sent)
    place = at % len(good)
    bad = good[:place] + bytes([good[place] ^ flip]) + good[place + 1 :]
    assert glance(junk).notes == ()
    assert glance(encode_frame([junk, good])).notes[-1] == note_of(sent)
    assert glance(encode_frame([bad, good])).notes[-1] == note_of(sent)


@given(first=envelopes(), second=envelopes())
def test_what_a_frame_is_about_does_not_tell_one_sending_from_another(first: Envelope, second: Envelope) -> None:
    """Only the first envelope counts, and of it neither the id nor the body."""
    again = attrs.evolve(first, id=bytes(16), body=b"other")
    frames = [[first], [again], [first, second]]
    abouts = [glance(encode_frame([encode(envelope) for envelope in sent])).about for sent in frames]
    assert abouts[0] == abouts[1] == abouts[2] != ""
