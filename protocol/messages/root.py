"""What the root is asked: the mapping of servers to cells, run permits, specs, hosts and the mirror."""

import attrs

from protocol.cell_path import Address, CellPath, speaks_for
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
    #: To delete it only if it was softly deleted at that very time, and is so still.
    soft_deleted_at_us: int | None = None


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

    def may_come_from(self, source: Address) -> bool:
        """A cell tells of hosts of its own."""
        return speaks_for(source, self.cell)


@attrs.frozen(kw_only=True)
class UnregisterHost(Request[Done]):
    """A cell tells the root that it has forgotten a compute host; one that another cell has by now stays."""

    METHOD = Method(name="unregister_host", at=Role.CELL, way=Way.UP, is_routine=True)

    host: str
    cell: CellPath

    def may_come_from(self, source: Address) -> bool:
        """A cell tells of hosts of its own."""
        return speaks_for(source, self.cell)


@attrs.frozen(kw_only=True)
class ServerList:
    """Servers as their users may see them, each once, from the cell its mapping names."""

    servers: tuple[Mirror, ...]


@attrs.frozen(kw_only=True)
class ListServers(Request[ServerList]):
    """List all servers, visible copies only."""

    METHOD = Method(name="list_servers", at=Role.CELL, way=Way.NONE, is_read=True)


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

    METHOD = Method(name="page_servers", at=Role.CELL, way=Way.NONE, is_for_people=True, is_read=True)

    after: str = ""
    limit: int
    name: str | None = None
    id_start: str = ""


@attrs.frozen(kw_only=True)
class Due:
    """A server that waits for something, of which project, and since when."""

    server: str
    project: str
    since_us: int


@attrs.frozen(kw_only=True)
class AllDue:
    """Some servers that wait, the one that has waited for longest first."""

    servers: tuple[Due, ...]


@attrs.frozen(kw_only=True)
class ListWaitingMoves(Request[AllDue]):
    """List the moves that have waited for so long, by the root's own clock, and that nobody is about to settle."""

    METHOD = Method(name="list_waiting_moves", at=Role.CELL, way=Way.NONE, is_read=True)

    for_us: int


@attrs.frozen(kw_only=True)
class ListSoftDeleted(Request[AllDue]):
    """List the servers that were softly deleted so long ago, by the root's own clock, and that nobody is at."""

    METHOD = Method(name="list_soft_deleted", at=Role.CELL, way=Way.NONE, is_read=True)

    for_us: int


@attrs.frozen(kw_only=True)
class NoteSoftDelete(Request[Done]):
    """Note that a server is softly deleted since now, or that it was restored."""

    METHOD = Method(name="note_soft_delete", at=Role.CELL, way=Way.NONE)

    server: str
    is_soft_deleted: bool


@attrs.frozen(kw_only=True)
class HostList:
    """Compute hosts and their cells."""

    hosts: tuple[HostMapping, ...]


@attrs.frozen(kw_only=True)
class ListHosts(Request[HostList]):
    """List all compute hosts that have announced themselves."""

    METHOD = Method(name="list_hosts", at=Role.CELL, way=Way.NONE, is_read=True)


@attrs.frozen(kw_only=True)
class FoundHome:
    """A server's mapping."""

    mapping: Mapping


@attrs.frozen(kw_only=True)
class FindHome(Request[FoundHome]):
    """Tell which cell is a server's home."""

    METHOD = Method(name="find_home", at=Role.CELL, way=Way.NONE, is_read=True)

    server: str


@attrs.frozen(kw_only=True)
class RootHoldings:
    """What the root has of a server beside its mapping."""

    mirrors: tuple[Mirror, ...]
    permit: Permit | None
    spec: RequestSpec | None


@attrs.frozen(kw_only=True)
class FindRootHoldings(Request[RootHoldings]):
    """Tell what the root has of a server."""

    METHOD = Method(name="find_root_holdings", at=Role.CELL, way=Way.NONE, is_read=True)

    server: str


@attrs.frozen(kw_only=True)
class DropRootHoldings(Request[Done]):
    """Remove what is left over of a server at the root: what these cells told of it, its permit, its specification."""

    METHOD = Method(name="drop_root_holdings", at=Role.CELL, way=Way.NONE)

    server: str
    mirrors: tuple[str, ...] = ()  # Cells.
    has_permit: bool = False
    has_spec: bool = False


@attrs.frozen(kw_only=True)
class ServersBelow:
    """How many servers a part of the tree is the home of, and the first of them."""

    count: int
    first: str = ""


@attrs.frozen(kw_only=True)
class CountServersBelow(Request[ServersBelow]):
    """Ask how many servers have their home in a cell or below it."""

    METHOD = Method(name="count_servers_below", at=Role.CELL, way=Way.NONE, is_for_people=True, is_read=True)

    cell: CellPath
