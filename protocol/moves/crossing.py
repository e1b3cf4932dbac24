"""Whether a move may leave its cell, and whether it rather stays: decided for each order once, when it is taken."""

from enum import StrEnum
from typing import Final

import attrs

from protocol.messages.servers import Origin
from protocol.saga import NO_RETRIES, Retries


class Crossers(StrEnum):
    """Whose moves may leave their cell."""

    EVERYONE = "everyone"
    ADMINS = "admins"
    NOBODY = "nobody"


@attrs.frozen(kw_only=True)
class Crossing:
    """What a deployment has decided about moves between cells."""

    who: Crossers = Crossers.EVERYONE
    #: Positive: hosts of the server's own cell come first; negative: those of other cells; 0: neither.
    own_cell_weight: int = -1
    #: Whether each cell filters and weighs itself and its children; else the emptiest host of all is chosen.
    is_scheduled: bool = False
    #: Of a new server that no cell takes: how often it is tried again, and after which pause.
    retries: Retries = NO_RETRIES

    def is_open_to(self, origin: Origin) -> bool:
        """Tell whether what somebody orders may leave its cell."""
        match self.who:
            case Crossers.EVERYONE:
                return True
            case Crossers.ADMINS:
                return origin.is_admin
            case Crossers.NOBODY:
                return False


#: Everyone's moves cross, and prefer to: what holds where nobody has decided otherwise, as in the simulator.
FREELY: Final = Crossing()
