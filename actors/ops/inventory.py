"""What a cloud's file says of its compute hosts and cells, as the records that cells keep of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol.records import CellProfile, Host
from protocol.scheduling import MULTIPLIERS, WEIGHERS
from protocol.tree import Edge, Rules, sizes_of

if TYPE_CHECKING:
    from actors.ops.settings import Cloud
    from protocol.cell_path import CellPath


#: A host that has left out so many of its reports is down.
REPORTS_MISSED_MAX: Final = 6


def host_record(cloud: Cloud, name: str) -> Host:
    """Give what a host has to give, in its cell's zone."""
    settings = cloud.host(name)
    return Host(
        name=settings.name, vcpus=settings.vcpus, memory_mb=settings.memory_mb, disk_gb=settings.disk_gb,
        availability_zone=cloud.cell(settings.cell).availability_zone, bandwidth_kbps=settings.bandwidth_kbps,
    )  # fmt: skip


def tree_rules(cloud: Cloud, path: CellPath) -> Rules:
    """Give what a cell is told of its place in the tree."""
    profile = CellProfile(
        cell=str(path), capabilities=dict(cloud.cell(path).capabilities), sizes=sizes_of(cloud.flavors),
        reserve_percent=float(cloud.tree.reserve_percent), mute_child_s=cloud.tree.mute_child_s,
        down_host_s=REPORTS_MISSED_MAX * cloud.reports.service_s, filters=cloud.scheduler.filters,
        weighers={name: cloud.scheduler.multipliers.get(name, MULTIPLIERS.get(name, 1.0)) for name in WEIGHERS},
    )  # fmt: skip
    children = (cloud.cell(child) for child in cloud.children(path))
    return Rules(
        profile=profile,
        children=tuple(
            Edge(cell=child.path, weight_offset=child.weight_offset, weight_scale=child.weight_scale)
            for child in children
        ),
        announce_s=float(cloud.tree.announce_s),
    )
