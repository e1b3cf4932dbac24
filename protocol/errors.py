"""The tree of errors, their stable wire codes, and how they cross from cell to cell."""

from collections.abc import Mapping
from typing import ClassVar, Final, TypeVar, cast, dataclass_transform

import attrs

Argument = str | int | float | bool | None
E = TypeVar("E", bound="type[CellferryError]")

#: Every error that may cross the wire, by its code.  No name off the wire is ever imported.
CODES: Final[dict[str, "type[CellferryError]"]] = {}
TEXT_CHARS_MAX: Final = 16_384


class CellferryError(Exception):
    """Base of all declared errors.  Never raised itself."""

    code: ClassVar[str]
    template: ClassVar[str]
    #: Whether the same request may succeed when it is simply sent again later.
    is_retryable: ClassVar[bool] = False
    #: The cell where it happened and the traceback there, when it came off the wire.
    remote_cell: str | None = None
    remote_traceback: str | None = None

    @property
    def arguments(self) -> dict[str, Argument]:
        """The data of the error, by field name: what crosses the wire."""
        return {name: cast("Argument", getattr(self, name)) for name in argument_types(type(self))}

    def __str__(self) -> str:
        """Tell what happened, as people read it."""
        return self.template.format(**self.arguments)


def declared(cls: E) -> E:
    """Enter an error class into the registry; two classes with one code are a mistake of ours."""
    assert cls.code not in CODES, f"error code {cls.code} is declared twice"
    CODES[cls.code] = cls
    return cls


@dataclass_transform(kw_only_default=True, eq_default=False)
def define(cls: E) -> E:
    """Make an error class of annotated fields: attrs' `define`, in a form that mypy sees through."""
    return attrs.define(cls, kw_only=True, slots=False, eq=False, repr=False, str=False)


@attrs.frozen(kw_only=True)
class ErrorReport:
    """An error as it crosses the wire."""

    code: str
    message: str
    arguments: Mapping[str, Argument]
    is_retryable: bool
    cell: str
    traceback: str = ""


def report(error: CellferryError, *, cell: str, traceback: str = "") -> ErrorReport:
    """Describe `error` for the wire; one that came off the wire keeps the cell it happened in."""
    if isinstance(error, RemoteError):
        return error.original(cell)
    return ErrorReport(
        code=error.code,
        message=str(error)[:TEXT_CHARS_MAX],
        arguments=error.arguments,
        is_retryable=error.is_retryable,
        cell=error.remote_cell or cell,
        traceback=(error.remote_traceback or traceback)[-TEXT_CHARS_MAX:],
    )


def revive(report: ErrorReport) -> CellferryError:
    """Make our own class of the report's code; an unknown code or misfit arguments become `RemoteError`."""
    error = _known(report) or RemoteError(
        remote_code=report.code, text=report.message, cell=report.cell, may_be_retried=report.is_retryable
    )
    error.remote_cell = report.cell
    error.remote_traceback = report.traceback or None
    return error


def _known(report: ErrorReport) -> CellferryError | None:
    cls = CODES.get(report.code)
    if cls is None:
        return None
    wanted = argument_types(cls)
    # A peer of another version, or a liar, may send other names, or values of other types.
    if set(report.arguments) != set(wanted) or not all(_fits(report.arguments[name], wanted[name]) for name in wanted):
        return None
    return cls(**report.arguments)


def argument_types(cls: type[CellferryError]) -> dict[str, object]:
    """Tell the names of an error's arguments, and the type of each: str, int, float, bool or `Argument`."""
    return {field.name: field.type for field in attrs.fields(cast("type[attrs.AttrsInstance]", cls))}


def _fits(value: Argument, wanted: object) -> bool:
    if wanted is float:
        return type(value) in {int, float}
    return wanted == Argument or type(value) is wanted


# --- names and input ---------------------------------------------------------------------------------------


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


# --- the wire and the codec --------------------------------------------------------------------------------


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


# --- routing -----------------------------------------------------------------------------------------------


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


# --- actors ------------------------------------------------------------------------------------------------


@declared
@define
class CallTimeout(CellferryError):
    """A call was not answered in time; whether it was carried out is unknown."""

    code = "call_timeout"
    template = "{address} did not answer {method} within {waited_s:.3f} s"
    is_retryable = True
    address: str
    method: str
    waited_s: float


@declared
@define
class Expired(CellferryError):
    """A message was older than its time budget when it came to be handled."""

    code = "expired"
    template = "{method} arrived with its time budget spent"
    is_retryable = True
    method: str


@declared
@define
class Overflow(CellferryError):
    """A mailbox or a table of pending calls is full."""

    code = "overflow"
    template = "{what} is full at {limit}"
    is_retryable = True
    what: str
    limit: int


@declared
@define
class InternalError(CellferryError):
    """A handler raised something that it does not declare: a mistake of ours, with its traceback."""

    code = "internal_error"
    template = "{actor} failed in {method}: {text}"
    is_retryable = True
    actor: str
    method: str
    text: str


@declared
@define
class RemoteError(CellferryError):
    """An error of a code that this version does not know."""

    code = "remote_error"
    template = "{text} (code {remote_code}, from cell {cell})"
    remote_code: str
    text: str
    cell: str
    may_be_retried: bool

    def original(self, cell: str) -> ErrorReport:
        """Give the report that this error was revived from, so that a hop passes it on unchanged."""
        return ErrorReport(
            code=self.code,
            message=str(self)[:TEXT_CHARS_MAX],
            arguments=self.arguments,
            is_retryable=self.may_be_retried,
            cell=self.remote_cell or cell,
            traceback=self.remote_traceback or "",
        )


@declared
@define
class Superseded(CellferryError):
    """A command came after its own undo, or below the window of remembered keys; it was not carried out."""

    code = "superseded"
    template = "the command {key} was undone or given up before it came"
    key: str


@declared
@define
class StaleEpoch(CellferryError):
    """A command carries an epoch below the highest its receiver has seen for that server."""

    code = "stale_epoch"
    template = "epoch {epoch} for server {server} is below {highest}"
    server: str
    epoch: int
    highest: int


@declared
@define
class Stale(CellferryError):
    """A plain call is older than what its receiver still remembers of that sender."""

    code = "stale"
    template = "call {sequence} of {sender} is below the remembered window, which starts at {floor}"
    sender: str
    sequence: int
    floor: int


@declared
@define
class Unavailable(CellferryError):
    """Something is not being worked on right now; asking again later may help."""

    code = "unavailable"
    template = "{what} is not available: {reason}"
    is_retryable = True
    what: str
    reason: str


@declared
@define
class StoreUnavailable(CellferryError):
    """A database did not answer, or refused for a reason that may pass."""

    code = "store_unavailable"
    template = "the store {store} is not available: {reason}"
    is_retryable = True
    store: str
    reason: str


# --- servers and moves -------------------------------------------------------------------------------------


@declared
@define
class NotFound(CellferryError):
    """Something named in a request does not exist."""

    code = "not_found"
    template = "there is no {kind} {name}"
    kind: str
    name: str


@declared
@define
class AlreadyExists(CellferryError):
    """Something to be made exists already."""

    code = "already_exists"
    template = "the {kind} {name} exists already"
    kind: str
    name: str


@declared
@define
class Conflict(CellferryError):
    """The server is busy with something else, or owes clean-up of it."""

    code = "conflict"
    template = "server {server} cannot {action}: {reason}"
    server: str
    action: str
    reason: str


@declared
@define
class InvalidState(CellferryError):
    """A record is not in the state that a command expects."""

    code = "invalid_state"
    template = "{kind} {name}: {field} is {found}, but must be {expected}"
    kind: str
    name: str
    field: str
    found: str
    expected: str


@declared
@define
class NoValidHost(CellferryError):
    """No host can take the server."""

    code = "no_valid_host"
    template = "no host can take server {server}: {reason}"
    server: str
    reason: str


@declared
@define
class CapacityExceeded(CellferryError):
    """A host has too little of a resource left."""

    code = "capacity_exceeded"
    template = "host {host} has {free} {resource} free, {wanted} are wanted"
    host: str
    resource: str
    wanted: int
    free: int


@declared
@define
class PermitRefused(CellferryError):
    """A guest may not be started with that permit, or a permit not be issued yet."""

    code = "permit_refused"
    template = "permit {number} of server {server}: {reason}"
    server: str
    number: int
    reason: str


@declared
@define
class VolumeInUse(CellferryError):
    """A volume is attached elsewhere."""

    code = "volume_in_use"
    template = "volume {volume} is attached to server {server}"
    volume: str
    server: str


# --- hosts -------------------------------------------------------------------------------------------------


@declared
@define
class GuestNotFound(CellferryError):
    """A host has no guest, or no disk, of that server."""

    code = "guest_not_found"
    template = "host {host} has no guest of server {server}"
    server: str
    host: str


@declared
@define
class GuestBusy(CellferryError):
    """A guest is in the wrong power state for what is asked, or another driver holds it."""

    code = "guest_busy"
    template = "the guest of server {server} on host {host} is busy: {reason}"
    is_retryable = True
    server: str
    host: str
    reason: str


@declared
@define
class HypervisorFailed(CellferryError):
    """A hypervisor refused or failed."""

    code = "hypervisor_failed"
    template = "host {host} failed to {action} server {server}: {reason}"
    server: str
    host: str
    action: str
    reason: str


@declared
@define
class VolumeUnreachable(CellferryError):
    """A host cannot reach a volume's bytes."""

    code = "volume_unreachable"
    template = "volume {volume} cannot be reached from host {host}"
    volume: str
    host: str


@declared
@define
class ImageDamaged(CellferryError):
    """An image's bytes are not the ones that were registered."""

    code = "image_damaged"
    template = "image {image} is damaged: expected {expected}, found {found}"
    image: str
    expected: str
    found: str


@declared
@define
class ImageTooLarge(CellferryError):
    """An image has more bytes than the store takes."""

    code = "image_too_large"
    template = "image {image} is larger than {size_bytes_max} bytes"
    image: str
    size_bytes_max: int
