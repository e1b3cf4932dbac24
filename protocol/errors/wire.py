"""Errors of names, messages, queues and routes."""

from protocol.errors.base import Argument, CellferryError, declared, define

# --- names and input --------------------------------------------------------------------------------------


@declared
@define
class InvalidName(CellferryError):
    """A text is not a name of its kind."""

    code = "invalid_name"
    template = "{text!r} is not a {kind}; it must match {rule}"
    kind: str
    text: str
    rule: str


@declared
@define
class InvalidValue(CellferryError):
    """A value in a request or a setting is out of its range."""

    code = "invalid_value"
    template = "{name} is {value!r}; {rule}"
    name: str
    value: Argument
    rule: str


@declared
@define
class LimitExceeded(CellferryError):
    """A limit was reached; nothing was done."""

    code = "limit_exceeded"
    template = "{what} would exceed its limit of {limit}"
    what: str
    limit: int


# --- the wire and the codec -------------------------------------------------------------------------------


@declared
@define
class Malformed(CellferryError):
    """Bytes off the wire are not a message."""

    code = "malformed"
    template = "malformed {where}: {what}"
    where: str
    what: str


@declared
@define
class UnknownSchema(CellferryError):
    """A message is of a schema version this process does not know."""

    code = "unknown_schema"
    template = "schema version {schema} of {what} is not known here; the highest known is {highest}"
    what: str
    schema: int
    highest: int


@declared
@define
class TooLarge(CellferryError):
    """A message or a part of it is larger than the intake allows."""

    code = "too_large"
    template = "{what} has {size} bytes or items; the limit is {limit}"
    what: str
    size: int
    limit: int


@declared
@define
class UnknownMethod(CellferryError):
    """A method is not declared, or not handled by the actor that it was sent to."""

    code = "unknown_method"
    template = "{actor} does not handle the method {method!r}"
    method: str
    actor: str


@declared
@define
class Forbidden(CellferryError):
    """The sender may not send that message on that path."""

    code = "forbidden"
    template = "{sender} may not send {method}: {reason}"
    sender: str
    method: str
    reason: str


@declared
@define
class Doubled(CellferryError):
    """A neighbour has sent the very same message before."""

    code = "doubled"
    template = "{sender} has sent {method} {id} before"
    sender: str
    method: str
    id: str


@declared
@define
class TransportLost(CellferryError):
    """The broker went away in mid-call; whether the message was taken is unknown."""

    code = "transport_lost"
    template = "the broker of {cell} was lost: {reason}"
    is_retryable = True
    cell: str
    reason: str


@declared
@define
class Unroutable(CellferryError):
    """A queue that a message was sent to does not exist."""

    code = "unroutable"
    template = "the queue {queue} of cell {cell} does not exist"
    is_retryable = True
    cell: str
    queue: str


# --- routing ----------------------------------------------------------------------------------------------


@declared
@define
class UnknownCell(CellferryError):
    """A route leads to a neighbour that does not exist."""

    code = "unknown_cell"
    template = "cell {at} has no neighbour {cell}"
    cell: str
    at: str


@declared
@define
class RouteInconsistent(CellferryError):
    """A target cannot be reached over the tree from where the message is."""

    code = "route_inconsistent"
    template = "no route from {at} to {target}: {reason}"
    at: str
    target: str
    reason: str


@declared
@define
class TooManyHops(CellferryError):
    """A message had passed as many cells as it may before it reached its target."""

    code = "too_many_hops"
    template = "the message had passed {hops_max} cells at {at} and its target is further away"
    at: str
    hops_max: int


@declared
@define
class Unreachable(CellferryError):
    """A neighbour cannot be sent to."""

    code = "unreachable"
    template = "cell {cell} cannot be reached: {reason}"
    is_retryable = True
    cell: str
    reason: str


@declared
@define
class CellTimeout(CellferryError):
    """No answer came from a cell before the deadline.  It is no kind of not-found: the outcome is unknown."""

    code = "cell_timeout"
    template = "no answer from cell {cell} within {waited_s:.3f} s"
    is_retryable = True
    cell: str
    waited_s: float
