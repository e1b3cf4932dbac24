"""Why a frame becomes a dead letter: one of nine reasons, and beside it the words of the error."""

from enum import StrEnum
from typing import Final

from protocol.errors import (
    CellferryError,
    Doubled,
    Expired,
    Forbidden,
    LimitExceeded,
    Overflow,
    RouteInconsistent,
    Stale,
    StaleEpoch,
    Superseded,
    TooManyHops,
    UnknownCell,
    UnknownSchema,
    Unroutable,
)


class Reason(StrEnum):
    """What is wrong with a dead letter."""

    MALFORMED = "malformed"  # Its bytes are no message, or one that is larger or longer than the intake allows.
    UNKNOWN_SCHEMA = "unknown_schema"  # It is of a later version.
    FORBIDDEN = "forbidden"  # Its sender may not send it over that edge.
    NO_ROUTE = "no_route"  # The tree has no way to its target.
    TOO_MANY_HOPS = "too_many_hops"  # Its target is further away than it may go.
    EXPIRED = "expired"  # Its sender had given up when it came.
    STALE = "stale"  # It, or something newer, has been there before.
    POISON = "poison"  # It was tried as often as anything is, and nobody could take it.
    OVERFLOW = "overflow"  # More came than there is room for, or than a neighbour may send.


_REASONS: Final[dict[type[CellferryError], Reason]] = {
    UnknownSchema: Reason.UNKNOWN_SCHEMA,
    Forbidden: Reason.FORBIDDEN,
    UnknownCell: Reason.NO_ROUTE,
    RouteInconsistent: Reason.NO_ROUTE,
    Unroutable: Reason.NO_ROUTE,
    TooManyHops: Reason.TOO_MANY_HOPS,
    Expired: Reason.EXPIRED,
    Doubled: Reason.STALE,
    Stale: Reason.STALE,
    StaleEpoch: Reason.STALE,
    Superseded: Reason.STALE,
    Overflow: Reason.OVERFLOW,
    LimitExceeded: Reason.OVERFLOW,
}


def reason_of(error: CellferryError) -> Reason:
    """Tell the reason of an error; whatever has none of its own is malformed."""
    return _REASONS.get(type(error), Reason.MALFORMED)
