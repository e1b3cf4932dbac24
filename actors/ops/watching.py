"""The tables `[log]` and `[http]`: what a process tells those who watch it, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from actors.kernel.events import Level
from actors.ops import checks
from actors.ops.checks import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

LEVELS: Final = tuple(level.name.lower() for level in Level)
#: How a line looks; `auto`: pretty on a terminal, JSON elsewhere.
FORMATS: Final = ("auto", "json", "pretty")
PORT_MAX: Final = 65_535


def _one_of(known: tuple[str, ...], of: str) -> Callable[[object, attrs.Attribute[str], str], None]:
    def check(_settings: object, field: attrs.Attribute[str], text: str) -> None:
        if text not in known:
            raise SettingsError(where=field.name, what=f"{text!r} is none; {checks.advice(text, known, of=of)}")

    return check


@attrs.frozen(kw_only=True)
class LogSettings:
    """What a process writes to its standard error, and how it looks."""

    #: What matters less than that is left out.
    level: str = attrs.field(default="info", validator=_one_of(LEVELS, "levels"))
    format: str = attrs.field(default=FORMATS[0], validator=_one_of(FORMATS, "formats"))


@attrs.frozen(kw_only=True)
class HttpSettings:
    """Where a process tells its figures and its health; a port of 0: nowhere."""

    bind: str = "127.0.0.1"
    #: With `--processes`, that of the parent: each child has the next one, in the order in which they are listed.
    port: int = attrs.field(default=0, validator=checks.amount(PORT_MAX, least=0))
    #: So often it is counted what only stores and hypervisors know.
    sample_s: int = attrs.field(default=15, validator=checks.amount(3_600))


USUAL_LOG: Final = LogSettings()
NO_HTTP: Final = HttpSettings()
