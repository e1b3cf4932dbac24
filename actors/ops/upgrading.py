"""The table `[upgrade]` of a cloud's file."""

from typing import Final

import attrs

from actors.ops import checks
from actors.ops.declared import about
from protocol.pins import NEWEST


@attrs.frozen(kw_only=True)
class UpgradeSettings:
    """What holds while old and new processes run side by side."""

    pin: int = attrs.field(
        default=0, validator=checks.amount(NEWEST, least=0),
        metadata=about("The version of messages that is written, for the oldest process; 0: the newest.", is_live=True),
    )  # fmt: skip

    @property
    def version(self) -> int:
        """Give the version that is written."""
        return self.pin or NEWEST


#: Nothing older runs beside.
NOT_PINNED: Final = UpgradeSettings()
