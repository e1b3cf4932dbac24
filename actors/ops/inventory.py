"""What a cloud's file says of its compute hosts, as the records that cells keep of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.records import Host

if TYPE_CHECKING:
    from actors.ops.settings import Cloud


def host_record(cloud: Cloud, name: str) -> Host:
    """Give what a host has to give, in its cell's zone."""
    settings = cloud.host(name)
    return Host(
        name=settings.name, vcpus=settings.vcpus, memory_mb=settings.memory_mb, disk_gb=settings.disk_gb,
        availability_zone=cloud.cell(settings.cell).availability_zone, bandwidth_kbps=settings.bandwidth_kbps,
    )  # fmt: skip
