"""The log of a process: a line an event, JSON for programs and colours for people, and never a secret in it."""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from typing import Any, Final, TextIO, TypeAlias
from urllib.parse import unquote

import structlog

from actors.kernel.events import EVENTS, Level
from actors.ops.watching import USUAL_LOG, LogSettings

Fields: TypeAlias = MutableMapping[str, Any]

MASK: Final = "***"
#: A secret that is shorter is only hidden where it stands in a URL: everywhere else it would hide plain words.
SECRET_CHARS_MIN: Final = 8
#: What stands between a URL's scheme and its host, up to the last `@` of it: who we are, and our secret.
IN_URL: Final = re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^\s/?#'\"@]*:[^\s/'\"]*@")
#: `password=...` and the like, as libraries write their settings into errors.
BY_NAME: Final = re.compile(r"(?i)\b(password|passwd|secret|token)(['\"]?\s*[=:]\s*)('[^']*'|\"[^\"]*\"|[^\s,;)&]+)")
#: Of one event so many lines are written in so long a time; how many were left out, the next line says.
LINES_MAX: Final = 100
WINDOW_S: Final = 10.0
#: A field longer than that is cut.
TEXT_CHARS_MAX: Final = 4_000
#: What is said by libraries is told from here on.
LIBRARY_LEVEL: Final = logging.WARNING
#: What these log we are told by errors of ours, and it would only be told twice.
CHATTY: Final = ("aio_pika", "aiormq")


class Redactor:
    """Hides secrets in whatever is logged: those that it knows, and what looks like one in a URL."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """Know these secrets, as they are and as a URL writes them."""
        known = {form for secret in secrets for form in (secret, unquote(secret)) if len(form) >= SECRET_CHARS_MIN}
        longest_first = sorted(known, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if known else None

    def text(self, text: str) -> str:
        """Give the text without secrets."""
        text = BY_NAME.sub(rf"\1\2{MASK}", IN_URL.sub(rf"\1{MASK}@", text))
        return text if self._known is None else self._known.sub(MASK, text)

    def value(self, value: object) -> object:
        """Give a field's value without secrets, and not longer than a line may be."""
        if value is None or isinstance(value, bool | int | float):
            return value
        text = self.text(str(value))
        return text if len(text) <= TEXT_CHARS_MAX else f"{text[:TEXT_CHARS_MAX]}..."


class Throttle:
    """Lets so many lines of each event through in a while, so that a storm does not fill a disk."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        """Begin with nothing written; `now_s` tells the time."""
        self._now_s = now_s
        self._windows: dict[str, tuple[float, int]] = {}

    def admit(self, event: str) -> int | None:
        """Tell how many lines of the event were left out before this one, or None: this one is left out, too."""
        now_s = self._now_s()
        since_s, count = self._windows.get(event, (now_s, 0))
        if now_s - since_s >= WINDOW_S:
            self._windows[event] = (now_s, 1)
            return max(0, count - LINES_MAX)
        self._windows[event] = (since_s, count + 1)
        return 0 if count < LINES_MAX else None


class Log:
    """Writes events to a stream, each with what is known of what the actor is doing."""

    def __init__(
        self, settings: LogSettings = USUAL_LOG, *, file: TextIO | None = None, redactor: Redactor | None = None,
        about: Mapping[str, str] | None = None, context: Callable[[], Mapping[str, str]] = dict,
        throttle: Throttle | None = None,
    ) -> None:  # fmt: skip
        """Write to standard error, if nothing else; `about` is on every line, `context` is asked at each."""
        self._file = sys.stderr if file is None else file
        self._redactor = redactor or Redactor()
        self._about = dict(about or {})
        self._context = context
        self._throttle = throttle or Throttle()
        self._level = _level_of(settings)
        self._logger = structlog.wrap_logger(
            structlog.PrintLogger(self._file),
            processors=[_stamped, _renderer(settings, self._file)],
            wrapper_class=structlog.BoundLogger,
        )

    def change(self, settings: LogSettings) -> None:
        """Leave out more, or less, from now on."""
        self._level = _level_of(settings)

    def write(self, event: str, fields: Mapping[str, object]) -> None:
        """Write one line, unless it matters too little or there were too many."""
        level = EVENTS[event].level if event in EVENTS else Level.WARNING
        if level < self._level or (left_out := self._throttle.admit(event)) is None:
            return
        told = {**self._about, **self._context(), **fields, **({"left_out": left_out} if left_out else {})}
        safe = {name: self._redactor.value(value) for name, value in told.items()}
        try:
            self._logger.msg(event, level=level.name.lower(), **safe)
        except (OSError, ValueError):
            return  # Whoever read it is gone: an actor must not die of that.


def _level_of(settings: LogSettings) -> Level:
    return Level[settings.level.upper()]


#: Tells the time of a line.
_STAMP: Final = structlog.processors.TimeStamper(fmt="iso", utc=True)


def _stamped(logger: Any, name: str, fields: Fields) -> Fields:
    """Put first what every line has, so that lines can be read one below the other."""
    told = _STAMP(logger, name, fields)
    return {key: told.pop(key) for key in ("timestamp", "level", "event")} | dict(told)


def _renderer(settings: LogSettings, file: TextIO) -> Any:
    is_terminal = file.isatty()
    if settings.format == "json" or (settings.format == "auto" and not is_terminal):
        return structlog.processors.JSONRenderer()
    return structlog.dev.ConsoleRenderer(colors=is_terminal, pad_event_to=24)


class LibraryHandler(logging.Handler):
    """Has what libraries warn of told as an event."""

    def __init__(self, tell: Callable[..., None]) -> None:
        """Tell it by `tell`, which emits events."""
        super().__init__(LIBRARY_LEVEL)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        """Tell one record; one that cannot be told is left out."""
        try:
            text = record.getMessage()
        except (TypeError, ValueError):
            text = str(record.msg)
        cause = record.exc_info[1] if record.exc_info else None
        self._tell("library_said", library=record.name, text=text if cause is None else f"{text}: {cause!r}")


def hear_libraries(tell: Callable[..., None]) -> LibraryHandler:
    """Have the warnings of libraries told as events from now on; give what `unhear` undoes that with."""
    handler = LibraryHandler(tell)
    logging.getLogger().addHandler(handler)
    for library in CHATTY:
        logging.getLogger(library).propagate = False
    return handler


def unhear(handler: LibraryHandler) -> None:
    """Take back what `hear_libraries` did."""
    logging.getLogger().removeHandler(handler)
    for library in CHATTY:
        logging.getLogger(library).propagate = True
