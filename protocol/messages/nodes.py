"""What is asked about the machines of compute hosts: what they have, how it is used, and how long they are up."""

import attrs

from protocol.bodies import tag_union
from protocol.messages.hosts import FindGuest, GuestHoldings, GuestReport, ShowGuest, StartAnew
from protocol.requests import Done, Form, Method, Request, Role


@attrs.frozen(kw_only=True)
class ComputeNode:
    """A compute host's machine: what it has, how much of that is allocated, and what runs on it."""

    id: str
    host: str
    cell: str
    is_enabled: bool
    vcpus: int
    memory_mb: int
    disk_gb: int
    vcpus_used: int
    memory_mb_used: int
    disk_gb_used: int
    running_servers: int  # By the cell's records.
    busy_servers: int  # Something is being done to them.


@attrs.frozen(kw_only=True)
class FindNode(Request[ComputeNode]):
    """Give a compute node of the cell, by its id or its host."""

    METHOD = Method(name="find_node", at=Role.CELL, reference="compute_node_get", is_read=True)

    node: str


@attrs.frozen(kw_only=True)
class NodeList:
    """One cell's compute nodes."""

    nodes: tuple[ComputeNode, ...]


@attrs.frozen(kw_only=True)
class ListNodes(Request[NodeList]):
    """Ask every cell for its compute nodes; of those whose host's name has `match` in it, if that is given."""

    METHOD = Method(
        name="list_nodes", at=Role.CELL, form=Form.BROADCAST, reference="compute_node_get_all", is_read=True
    )  # fmt: skip

    match: str = ""


@attrs.frozen(kw_only=True)
class NodeStats:
    """Sums over compute nodes; what is free may be less than nothing where a ratio allows that."""

    nodes: int = 0
    vcpus: int = 0
    memory_mb: int = 0
    disk_gb: int = 0
    vcpus_used: int = 0
    memory_mb_used: int = 0
    disk_gb_used: int = 0
    running_servers: int = 0
    busy_servers: int = 0

    def plus(self, other: "NodeStats") -> "NodeStats":
        """Add those of others."""
        mine, theirs = attrs.asdict(self), attrs.asdict(other)
        return NodeStats(**{name: mine[name] + theirs[name] for name in mine})


@attrs.frozen(kw_only=True)
class ShowNodeStats(Request[NodeStats]):
    """Ask every cell for the sums over its enabled compute nodes."""

    METHOD = Method(
        name="show_node_stats", at=Role.CELL, form=Form.BROADCAST, reference="compute_node_stats", is_read=True
    )  # fmt: skip


@attrs.frozen(kw_only=True)
class HostUptime:
    """How long a host's machine has been up, who is logged in, and its load over 1, 5 and 15 minutes."""

    host: str
    up_s: float
    users: int
    loads: tuple[float, ...]


@attrs.frozen(kw_only=True)
class ShowUptime(Request[HostUptime]):
    """Tell how long the host's machine has been up."""

    METHOD = Method(name="show_uptime", at=Role.HOST, reference="get_host_uptime", is_read=True)


#: All that a host is asked on behalf of whoever asks its cell: no other method can be named.
HostQuestion = ShowUptime | ShowGuest | FindGuest | StartAnew
HostReply = HostUptime | GuestReport | GuestHoldings | Done
tag_union(HostQuestion, lambda question: question.METHOD.name)
tag_union(HostReply, lambda reply: reply.__name__)


@attrs.frozen(kw_only=True)
class HostAnswer:
    """What a host answered to its cell; `Done` also when no answer was wanted."""

    host: str
    answer: HostReply


@attrs.frozen(kw_only=True)
class AskHost(Request[HostAnswer]):
    """Have a cell ask one of its hosts something, or tell it; refused at once when it has no such host."""

    METHOD = Method(name="ask_host", at=Role.CELL, reference="proxy_rpc_to_manager")

    host: str
    question: HostQuestion
    wants_answer: bool = True
