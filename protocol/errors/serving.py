"""Errors of actors: calls, mailboxes, keys, epochs, stores."""

from protocol.errors.base import CellferryError, declared, define

# --- actors -----------------------------------------------------------------------------------------------


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
