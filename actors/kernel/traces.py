"""The port by which actors say what they do for whom, so that log lines and spans of one request can be joined."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

import attrs

if TYPE_CHECKING:
    from protocol.cell_path import Address
    from protocol.envelope import Context, Header

Doing: TypeAlias = AbstractContextManager[None]


@attrs.frozen(kw_only=True)
class Stepped:
    """A step that a conversation is at.  Trace parents: of its newest step, and of the last attempt at the same one."""

    conversation: str
    server: str
    goal: str
    step: str
    attempt: int
    is_undo: bool
    to: Address
    former: str = ""
    same: str = ""


class Traces(Protocol):
    """Who notes what is done for which request.  A trace parent is W3C's; empty: there is none."""

    def carried(self, context: Context) -> Context:
        """Give a context that is to be sent also the request and the trace of what is being done."""
        ...

    def opening(self, name: str) -> Doing:
        """Do something for a user: a trace begins with it, unless it is part of one."""
        ...

    def calling(self, method: str, to: object) -> Doing:
        """Make a call; it begins no trace."""
        ...

    def handling(self, envelope: Header, by: Address) -> Doing:
        """Carry a message out."""
        ...

    def stepping(self, stepped: Stepped) -> AbstractContextManager[str]:
        """Bring a step to its outcome; gives the trace parent to go on with, should that be another's to do."""
        ...

    def failed(self, why: str) -> None:
        """Say that what is being done has ended with an error, by its code."""
        ...


_IDLE: Final = nullcontext()
_UNTRACED: Final = nullcontext("")


class NoTraces:
    """Notes nothing: for simulators, and for who only speaks to a deployment."""

    def carried(self, context: Context) -> Context:
        """Give it as it is."""
        return context

    def opening(self, name: str) -> Doing:  # noqa: ARG002 - the port's
        """Note nothing."""
        return _IDLE

    def calling(self, method: str, to: object) -> Doing:  # noqa: ARG002 - the port's
        """Note nothing."""
        return _IDLE

    def handling(self, envelope: Header, by: Address) -> Doing:  # noqa: ARG002 - the port's
        """Note nothing."""
        return _IDLE

    def stepping(self, stepped: Stepped) -> AbstractContextManager[str]:  # noqa: ARG002 - the port's
        """Note nothing."""
        return _UNTRACED

    def failed(self, why: str) -> None:
        """Note nothing."""


NO_TRACES: Final = NoTraces()
