"""A process's log: a line an event, with what the actor is doing, in its reader's form, and without secrets."""

from __future__ import annotations

import io
import json
import logging
from typing import Any, Final

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.kernel.events import EVENTS, Level
from actors.ops.logs import LINES_MAX, MASK, WINDOW_S, Log, Redactor, Throttle, hear_libraries, unhear
from actors.ops.meters import MemoryMeters
from actors.ops.observed import ObservedEvents
from actors.ops.scopes import Scopes, doing
from actors.ops.watching import FORMATS, LEVELS, LogSettings
from protocol.cell_path import Address, CellPath
from protocol.envelope import Context, Key, Targeted

SECRET: Final = "hunter2-" + "and-more"
EU: Final = CellPath.parse("api!eu")
TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
MESSAGE: Final = Targeted(
    id=bytes(16), method="spawn_guest", context=Context(request_id="req-1", trace_parent=f"00-{TRACE}-{'1' * 16}-01"),
    source=Address(EU, "cell"), route=(EU,), budget_s=1.0, body=b"", target=Address(EU, "host:h1"), server="s1",
    key=Key(scope="conversation-1", attempt=1, step="spawn_target", is_undo=False),
)  # fmt: skip


def log_to(file: io.StringIO, **settings: str) -> Log:
    """Make a log."""
    made = LogSettings(**settings)
    return Log(made, file=file, redactor=Redactor([SECRET]), context=doing, about={"cell": "api", "host": "h0"})


def lines(file: io.StringIO) -> list[dict[str, Any]]:
    """Read the lines of a log in JSON."""
    return [json.loads(line) for line in file.getvalue().splitlines()]


def test_a_line_says_what_happened_and_whom_the_actor_works_for() -> None:
    """The event's own fields win over the message's, and these over the process's."""
    file, scopes = io.StringIO(), Scopes()
    log = log_to(file)
    with scopes.handling(MESSAGE, MESSAGE.target):
        log.write("guest_died", {"server": "s2"})
    log.write("guest_died", {"server": "s2"})
    within, outside = lines(file)
    about = {"request": "req-1", "trace": TRACE, "cell": "api!eu", "host": "h1", "conversation": "conversation-1"}
    assert {name: within[name] for name in about} == about
    assert (within["server"], within["event"], within["level"]) == ("s2", "guest_died", "warning")
    assert outside.keys() == {"timestamp", "event", "level", "cell", "host", "server"}
    assert outside["cell"] == "api"


@pytest.mark.parametrize("form", FORMATS)
def test_no_line_has_a_secret(form: str) -> None:
    """Not in a URL, whosever; not a password that is known, wherever it stands; not what is named one; nor nested."""
    file = io.StringIO()
    log = log_to(file, format=form)
    planted = (
        f"amqp://guest:{SECRET}@broker:5672/", f"cannot use postgresql+asyncpg://me:p%40ss@db/x?y=1: {SECRET}",
        f"OSError({SECRET!r})", "connect(host='db', password='other')", 'Secret="other"', "http://u:other@h",
        "token=other",
        ValueError(f"amqps://u:other@{'h' * 5}"), {"url": "amqp://u:other@h"}, [f"x{SECRET}x"],
    )  # fmt: skip
    for value in planted:
        log.write("broker_lost", {"reason": value, "broker": "h"})
    text = file.getvalue()
    assert text.count("broker_lost") == len(planted)
    assert not [secret for secret in (SECRET, "p%40ss", "other") if secret in text]
    assert text.count(MASK) >= len(planted)


@given(
    secret=st.text(
        st.characters(codec="utf-8", exclude_categories=("Z", "C"), exclude_characters="/'\""), min_size=1, max_size=30
    ),
    around=st.text(max_size=20),
)
def test_whatever_the_password_of_a_url_is_it_is_hidden(secret: str, around: str) -> None:
    """Of any length, with any signs that a URL may have; what stands around it stays."""
    found = Redactor().text(f"{around} amqp://user:{secret}@broker:5672/v")
    assert found.endswith(f"amqp://{MASK}@broker:5672/v")


def test_what_matters_too_little_is_left_out_and_is_counted_nevertheless() -> None:
    """Of each level's settings; a change holds from then on."""
    by_level = {level: next(name for name, event in EVENTS.items() if event.level is level) for level in Level}
    for index, level in enumerate(LEVELS):
        file, meters = io.StringIO(), MemoryMeters()
        events = ObservedEvents(log_to(file, level=level), meters=meters, traces=Scopes())
        for name in by_level.values():
            events.emit(name)
        assert [line["level"] for line in lines(file)] == list(LEVELS[index:])
        events.log.change(LogSettings(level="debug"))
        events.emit(by_level[Level.DEBUG])
        assert lines(file)[-1]["event"] == by_level[Level.DEBUG]


def test_a_storm_is_cut_short_and_its_size_is_told() -> None:
    """So many lines of an event in a while, whatever happens; others are not held up by it."""
    now_s = [0.0]
    throttle = Throttle(lambda: now_s[0])
    admitted = [throttle.admit("storm") for _ in range(3 * LINES_MAX)]
    assert admitted == [0] * LINES_MAX + [None] * 2 * LINES_MAX
    assert throttle.admit("calm") == 0
    now_s[0] = WINDOW_S
    assert [throttle.admit("storm"), throttle.admit("storm")] == [2 * LINES_MAX, 0]


def test_what_libraries_warn_of_is_an_event_and_hides_secrets_too() -> None:
    """One form for the whole log; nothing is heard any more when it is over."""
    file = io.StringIO()
    log = log_to(file)
    handler = hear_libraries(lambda event, **fields: log.write(event, fields))
    try:
        logging.getLogger("some.library").warning("lost %s", f"amqp://u:{SECRET}@h")
        logging.getLogger("some.library").info("all is well")
        logging.getLogger("aiormq").error("told by ourselves")
    finally:
        unhear(handler)
    (line,) = lines(file)
    assert (line["event"], line["library"], line["text"]) == ("library_said", "some.library", f"lost amqp://{MASK}@h")


def test_a_reader_who_is_gone_is_nobodys_end() -> None:
    """An actor that tells something lives on when its log is closed."""
    file = io.StringIO()
    log = log_to(file)
    file.close()
    log.write("guest_died", {"server": "s1"})


def test_a_context_is_completed_and_never_changed() -> None:
    """A message sent meanwhile is part of the same request and trace; one that says so itself keeps what it says."""
    scopes, own = Scopes(), Context(request_id="req-2", trace_parent="00-" + "2" * 32 + "-" + "3" * 16 + "-00")
    with scopes.handling(MESSAGE, MESSAGE.target):
        assert scopes.carried(Context(request_id="")) == MESSAGE.context
        assert scopes.carried(own) == own
        named = scopes.carried(attrs.evolve(own, trace_parent=""))
        assert (named.request_id, named.trace_parent) == ("req-2", MESSAGE.context.trace_parent)
    assert scopes.carried(Context(request_id="")) == Context(request_id="")
