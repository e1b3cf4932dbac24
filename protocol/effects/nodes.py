"""What a cell tells of its compute nodes: counted from its hosts, allocations and servers, each time anew."""

from collections.abc import Iterator
from functools import reduce
from typing import Any

from protocol.draft import Draft, Need, need
from protocol.effects.registry import Moment, effect
from protocol.errors import NotFound
from protocol.ids import derived_id
from protocol.messages import nodes as say
from protocol.records import Allocation, Host, Server
from protocol.states import PowerState

RESOURCES = ("vcpus", "memory_mb", "disk_gb")


def _all(_: Any) -> tuple[Need, ...]:
    return need(Host), need(Allocation), need(Server)


def node_id(cell: str, host: str) -> str:
    """Name a host's node."""
    return derived_id("node", cell, host)


def _nodes(draft: Draft, moment: Moment) -> Iterator[say.ComputeNode]:
    servers = [row for row in draft.all(Server) if not row.is_hidden]
    for host in draft.all(Host):
        held = draft.all(Allocation, host=host.name)
        mine = [row for row in servers if row.host == host.name]
        yield say.ComputeNode(
            id=node_id(moment.cell, host.name), host=host.name, cell=moment.cell, is_enabled=host.is_enabled,
            vcpus=host.vcpus, memory_mb=host.memory_mb, disk_gb=host.disk_gb,
            running_servers=sum(row.power_state is PowerState.RUNNING for row in mine),
            busy_servers=sum(row.task_state is not None for row in mine),
            **{f"{name}_used": sum(getattr(row, name) for row in held) for name in RESOURCES},
        )  # fmt: skip


@effect(say.FindNode, _all)
def _find(draft: Draft, command: say.FindNode, moment: Moment) -> say.ComputeNode:
    for node in _nodes(draft, moment):
        if command.node in {node.id, node.host}:
            return node
    raise NotFound(kind="compute node", name=command.node)


@effect(say.ListNodes, _all)
def _list(draft: Draft, command: say.ListNodes, moment: Moment) -> say.NodeList:
    return say.NodeList(nodes=tuple(node for node in _nodes(draft, moment) if command.match in node.host))


@effect(say.ShowNodeStats, _all)
def _stats(draft: Draft, _: say.ShowNodeStats, moment: Moment) -> say.NodeStats:
    return reduce(
        say.NodeStats.plus, (_counted(node) for node in _nodes(draft, moment) if node.is_enabled), say.NodeStats()
    )


def _counted(node: say.ComputeNode) -> say.NodeStats:
    return say.NodeStats(
        nodes=1, vcpus=node.vcpus, memory_mb=node.memory_mb, disk_gb=node.disk_gb, vcpus_used=node.vcpus_used,
        memory_mb_used=node.memory_mb_used, disk_gb_used=node.disk_gb_used, running_servers=node.running_servers,
        busy_servers=node.busy_servers,
    )  # fmt: skip
