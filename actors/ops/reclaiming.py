"""The table `[servers]` of a cloud's file."""

from typing import Final

import attrs

from actors.ops import checks
from actors.ops.declared import about


@attrs.frozen(kw_only=True)
class ServersSettings:
    """What holds for servers."""

    reclaim_after_s: int = attrs.field(
        default=0, validator=checks.seconds,
        metadata=about("So long after it was softly deleted a server is deleted for good; 0: never.", is_live=True),
    )  # fmt: skip


#: Nothing that was softly deleted goes by itself.
KEPT: Final = ServersSettings()
