"""The table `[servers]` of a cloud's file."""

from typing import Final

import attrs

from actors.ops import checks


@attrs.frozen(kw_only=True)
class ServersSettings:
    """What holds for servers."""

    #: So long after it was softly deleted a server is deleted for good; 0: never.
    reclaim_after_s: int = attrs.field(default=0, validator=checks.seconds)


#: Nothing that was softly deleted goes by itself.
KEPT: Final = ServersSettings()
