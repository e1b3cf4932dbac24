"""What the root is asked: the mapping of servers to cells, run permits, specs, hosts and the mirror."""

import attrs

from protocol.cell_path import CellPath
from protocol.records import Flavor, HostMapping, Mapping, Mirror, Permit, RequestSpec
from protocol.requests import Done, Method, Request, Role, Way
from protocol.states import Goal


@attrs.frozen(kw_only=True)
class Taken:
    """The server is the conversation's; how the root has it."""

    mapping: Mapping
    permit: Permit | None = None
    spec: RequestSpec | None = None
    fenced: tuple[str, ...] = ()  # Hosts whose machines are off, as their operators say.
    avoided: tuple[str, ...] = ()  # Hosts that have, or expect, others of its group.


@attrs.frozen(kw_only=True)
class TakeServer(Request[Taken]):
    """Take the server's mapping row for a conversation, if no other has it.  The one place where that is decided."""

    METHOD = Method(name="take_server", at=Role.CELL, way=Way.NONE)

    server: str
    conversation: str
    goal: Goal
    is_new: bool = False
    #: To delete it, behind others that have begun before: by its turn the server may be gone, which is well then.
    is_queued: bool = False
    #: What it is to be: that counts in the quota of its project, which is this one if it is new.
    flavor: Flavor | None = None
    project: str = ""
    host: str | None = None  # The one that was asked for.
    #: The group that it is to be a member of, if it is new.
    server_group: str = ""


@attrs.frozen(kw_only=True)
class OweServer(Request[Done]):
    """Give the mapping row back and note that the conversation still has to clean up, last of all at `owed_at`.

    From here on the server is its user's for everything but a new move.
    """

    METHOD = Method(name="owe_server", at=Role.CELL, way=Way.NONE)

    server: str
    conversation: str
    owed_at: str


@attrs.frozen(kw_only=True)
class ReleaseServer(Request[Done]):
    """Give the mapping row back, or tell that what was owed is done; a row that never got a home goes away."""

    METHOD = Method(name="release_server", at=Role.CELL, way=Way.NONE)

    server: str
    conversation: str


@attrs.frozen(kw_only=True)
class CommitHome(Request[Mapping]):
    """Move the server's home, if it still is `source` at `generation` and the conversation has the row."""

    METHOD = Method(name="commit_home", at=Role.CELL, way=Way.NONE)

    server: str
    conversation: str
    source: CellPath | None
    target: CellPath
    generation: int


@attrs.frozen(kw_only=True)
class ForgetHome(Request[Done]):
    """The server has no home any more: nobody is shown it, and when it is let go its row goes, too."""

    METHOD = Method(name="forget_home", at=Role.CELL, way=Way.NONE)

    server: str
    conversation: str


@attrs.frozen(kw_only=True)
class IssuePermit(Request[Permit]):
    """Give the next permit to `holder`; refused while anybody holds the last one."""

    METHOD = Method(name="issue_permit", at=Role.CELL, way=Way.NONE)

    server: str
    holder: str


@attrs.frozen(kw_only=True)
class ReturnPermit(Request[Permit]):
    """Note that `holder` has given permit `number` back: its guest is durably stopped."""

    METHOD = Method(name="return_permit", at=Role.CELL, way=Way.NONE)

    server: str
    number: int
    holder: str


@attrs.frozen(kw_only=True)
class RestorePermit(Request[Permit]):
    """Undo of a return: `holder` holds a permit again, the same one if it had not been returned yet."""

    METHOD = Method(name="restore_permit", at=Role.CELL, way=Way.NONE)

    server: str
    holder: str


@attrs.frozen(kw_only=True)
class WithdrawPermit(Request[Permit]):
    """Undo of an issue: `holder` cannot use its permit any more (its guest is gone, its start is poisoned)."""

    METHOD = Method(name="withdraw_permit", at=Role.CELL, way=Way.NONE)

    server: str
    holder: str


@attrs.frozen(kw_only=True)
class SaveSpec(Request[Done]):
    """Note what was asked for at the latest placement; None removes the note (a create that failed)."""

    METHOD = Method(name="save_spec", at=Role.CELL, way=Way.NONE)

    server: str
    spec: RequestSpec | None


@attrs.frozen(kw_only=True)
class RegisterHost(Request[Done]):
    """A cell tells the root of one of its compute hosts."""

    METHOD = Method(name="register_host", at=Role.CELL, way=Way.UP)

    host: str
    cell: CellPath


@attrs.frozen(kw_only=True)
class UpdateMirror(Request[Done]):
    """A cell tells the root how it has a server now.  Old news changes nothing."""

    METHOD = Method(name="update_mirror", at=Role.CELL, way=Way.UP)

    mirror: Mirror


@attrs.frozen(kw_only=True)
class ServerList:
    """Servers as their users may see them, each once, from the cell its mapping names."""

    servers: tuple[Mirror, ...]


@attrs.frozen(kw_only=True)
class ListServers(Request[ServerList]):
    """List all servers, visible copies only."""

    METHOD = Method(name="list_servers", at=Role.CELL, way=Way.NONE)


@attrs.frozen(kw_only=True)
class ServerLine:
    """A server as its users may see it, and which conversation has it now, if any."""

    mirror: Mirror
    goal: Goal | None
    conversation: str | None


@attrs.frozen(kw_only=True)
class ServerPage:
    """Some of all servers, by id; `is_last`: there are no more behind them."""

    lines: tuple[ServerLine, ...]
    is_last: bool


@attrs.frozen(kw_only=True)
class PageServers(Request[ServerPage]):
    """List so many servers with ids after `after`, visible copies only; a name or an id's start leaves out others."""

    METHOD = Method(name="page_servers", at=Role.CELL, way=Way.NONE, is_for_people=True)

    after: str = ""
    limit: int
    name: str | None = None
    id_start: str = ""


@attrs.frozen(kw_only=True)
class WaitingMove:
    """A move that waits for confirm or revert, and since when."""

    server: str
    project: str
    moved_at_us: int


@attrs.frozen(kw_only=True)
class WaitingMoves:
    """Some moves that wait, the oldest first."""

    moves: tuple[WaitingMove, ...]


@attrs.frozen(kw_only=True)
class ListWaitingMoves(Request[WaitingMoves]):
    """List the moves that have waited for so long, by the root's own clock, and that nobody is about to settle."""

    METHOD = Method(name="list_waiting_moves", at=Role.CELL, way=Way.NONE)

    for_us: int


@attrs.frozen(kw_only=True)
class HostList:
    """Compute hosts and their cells."""

    hosts: tuple[HostMapping, ...]


@attrs.frozen(kw_only=True)
class ListHosts(Request[HostList]):
    """List all compute hosts that have announced themselves."""

    METHOD = Method(name="list_hosts", at=Role.CELL, way=Way.NONE)


@attrs.frozen(kw_only=True)
class FoundHome:
    """A server's mapping."""

    mapping: Mapping


@attrs.frozen(kw_only=True)
class FindHome(Request[FoundHome]):
    """Tell which cell is a server's home."""

    METHOD = Method(name="find_home", at=Role.CELL, way=Way.NONE)

    server: str
