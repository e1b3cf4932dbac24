"""A line of histories that is written when something outside begins to be slow, and not when it is over."""

import attrs

from sim.history import Happening


@attrs.frozen(kw_only=True)
class Slowed(Happening):
    """A fault holds a call of the world outside up, as of now; that it fired is written when the call is over."""

    where: str
    call: str
