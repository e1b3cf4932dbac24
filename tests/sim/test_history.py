"""Histories: what is written, in which order listeners hear of it, and what the hash is of."""

from __future__ import annotations

import hashlib
from contextlib import suppress

from sim.history import HASHED_TOGETHER, Crashed, Flushed, Happening, History, Noted, Phase


def a_history() -> History:
    return History(lambda: 7, steps=lambda: 3)


def failed(history: History) -> list[Happening]:
    """Run a transaction that fails, and give what it noted."""
    with suppress(ValueError), history.transaction() as noted:
        history.record(Crashed(process="in"))
        raise ValueError
    return noted


def test_the_hash_is_of_every_line_however_often_it_is_asked() -> None:
    """Lines are hashed together, and a hash that is asked for in between leaves out none and changes none."""
    asked, unasked = a_history(), a_history()
    texts = []
    for number in range(2 * HASHED_TOGETHER + 1):
        for history in (asked, unasked):
            history.record(Flushed(process="disk", transactions=number))
        texts.append(f"7 3 Flushed disk {number}\n")
        assert asked.sha256 == hashlib.sha256("".join(texts).encode()).hexdigest()
    assert unasked.sha256 == asked.sha256


def test_a_line_tells_its_class_and_all_fields_in_their_order() -> None:
    """What a field holds is written as it is, a per cent sign too; of one field alone nothing is lost."""
    assert str(Noted(process="p", event="e", detail="5 %s of %d")) == "Noted p e 5 %s of %d"
    assert str(Crashed(process="p")) == "Crashed p"


def test_a_listener_of_one_kind_hears_that_kind_alone_and_first() -> None:
    """Who asked for a class hears no other, and hears it before those who hear everything."""
    history, heard = a_history(), list[tuple[str, Happening]]()
    history.listeners.append(lambda line: heard.append(("all", line.what)))
    history.listen(lambda line: heard.append(("crashes", line.what)), Crashed)
    phase, crash = Phase(name="setup"), Crashed(process="p")
    history.record(phase)
    history.record(crash)
    assert heard == [("all", phase), ("crashes", crash), ("all", crash)]


def test_what_a_transaction_notes_is_held_also_when_it_fails_within_another() -> None:
    """Each transaction holds its own notes, and when it is over, however it ends, the one around it holds again."""
    history = a_history()
    with history.transaction() as outer:
        inner = failed(history)
        history.record(Crashed(process="out"))
    history.record(Phase(name="setup"))
    assert inner == [Crashed(process="in")]
    assert outer == [Crashed(process="out")]
    assert [line.what for line in history.lines] == [Phase(name="setup")]
