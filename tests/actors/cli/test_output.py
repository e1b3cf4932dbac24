"""What people see of a step, and that what is no terminal gets plain text."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from actors.cli.output import StepLines, Tables, console_for, show_verdict, step_line
from protocol.bodies import encode_body
from protocol.errors import CapacityExceeded, report
from protocol.invariants import INVARIANTS
from protocol.journal import Entry, Kind
from protocol.messages.orders import StepNews

ACTOR = "api!eu/host:h1"


def entry(kind: Kind, at_us: int, *, is_undo: bool = False, attempt: int = 1, payload: bytes = b"") -> Entry:
    """Make an entry about one step."""
    return Entry(
        seq=1, epoch=1, kind=kind, at_us=at_us, step="spawn", attempt=attempt, is_undo=is_undo, payload=payload
    )


def document(*, ok: bool) -> dict[str, object]:
    """Make the end of a run of nothing."""
    parts = ("servers", "cells", "mappings", "bindings", "attachments", "allocations", "images")
    invariants = {name: ok or name != "one_home" for name in INVARIANTS}
    return {"ok": ok, **{part: [] for part in parts}, "invariants": invariants, "not_judged": ["one_answer"]}


def test_a_step_is_one_line_with_actor_cell_and_duration() -> None:
    """The line comes with the outcome, and tells the time from the intent to it."""
    file = io.StringIO()
    lines = StepLines(console_for(file))
    lines.tell(StepNews(entry=entry(Kind.INTENT, 1_000_000), actor=ACTOR))
    assert not file.getvalue()
    lines.tell(StepNews(entry=entry(Kind.DONE, 1_041_500), actor=ACTOR))
    assert file.getvalue().split() == ["spawn", "host:h1", "api!eu", "41.5", "ms"]


def test_an_undo_is_marked() -> None:
    """Nobody takes the way back for the way forward."""
    assert "undo: spawn" in step_line(entry(Kind.DONE, 0, is_undo=True), ACTOR, took_us=0).plain


def test_a_refusal_says_why() -> None:
    """The first cause is told where it happened."""
    error = CapacityExceeded(host="h1", resource="vcpus", wanted=2, free=1)
    payload = encode_body(report(error, cell="api!eu"))
    line = step_line(entry(Kind.REFUSED, 0, attempt=2, payload=payload), ACTOR, took_us=0).plain
    assert "spawn (attempt 2)" in line
    assert line.endswith(f"refused: {error}")


def test_what_is_no_terminal_gets_plain_text() -> None:
    """Neither colours nor frames, nor spaces at the ends of lines, get into a file."""
    file = io.StringIO()
    console = console_for(file)
    Tables(console, document(ok=True)).show()
    show_verdict(console, document(ok=True), (), took_s=1.0)
    text = file.getvalue()
    assert text.isascii()
    assert "\x1b" not in text
    assert all(line == line.rstrip() for line in text.splitlines())


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sets NO_COLOR gets none, on a terminal either."""
    monkeypatch.setenv("NO_COLOR", "1")
    file = io.StringIO()
    show_verdict(Console(file=file, force_terminal=True), document(ok=True), (), took_s=1.0)
    assert "\x1b[32m" not in file.getvalue()
    assert ";32m" not in file.getvalue()


def test_what_was_not_judged_is_not_called_held() -> None:
    """An invariant that nothing was recorded for counts neither for nor against the run."""
    for ok, counted in ((True, "OK: 10 of 10 invariants hold"), (False, "BROKEN: 9 of 10 invariants hold")):
        file = io.StringIO()
        show_verdict(console_for(file), document(ok=ok), (), took_s=1.0)
        assert counted in file.getvalue()
        assert "not judged, for nothing was recorded: one_answer" in file.getvalue()
