"""The tables `[log]` and `[http]`: what a process tells those who watch it, and where."""

from __future__ import annotations

from typing import Final

import attrs

from actors.kernel.events import Level
from actors.ops import checks
from actors.ops.declared import about

LEVELS: Final = tuple(level.name.lower() for level in Level)
FORMATS: Final = ("auto", "json", "pretty")
PORT_MAX: Final = 65_535


@attrs.frozen(kw_only=True)
class LogSettings:
    """What a process writes to its standard error, and how it looks."""

    level: str = attrs.field(
        default="info", validator=checks.OneOf(LEVELS, "levels"),
        metadata=about("What matters less than that is left out.", is_live=True),
    )  # fmt: skip
    format: str = attrs.field(
        default=FORMATS[0], validator=checks.OneOf(FORMATS, "formats"),
        metadata=about("How a line looks; auto: pretty on a terminal, JSON elsewhere."),
    )  # fmt: skip


@attrs.frozen(kw_only=True)
class HttpSettings:
    """Where a process tells its figures and its health."""

    bind: str = attrs.field(default="127.0.0.1", metadata=about("On which address it listens."))
    port: int = attrs.field(
        default=0, validator=checks.amount(PORT_MAX, least=0),
        metadata=about(
            "On which port; 0: nowhere. With --processes it is the parent's: its children have those behind it, in"
            " the order of the start."
        ),
    )  # fmt: skip
    sample_s: int = attrs.field(
        default=15, validator=checks.amount(3_600),
        metadata=about("So often it is counted what only stores and hypervisors know."),
    )  # fmt: skip


USUAL_LOG: Final = LogSettings()
NO_HTTP: Final = HttpSettings()
