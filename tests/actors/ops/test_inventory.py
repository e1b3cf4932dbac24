"""What a cloud's file says of its hosts, as records."""

from __future__ import annotations

from actors.ops.inventory import host_record
from actors.ops.settings import parse_cloud
from protocol.records import Host

CLOUD = """
[[cells]]
path = "api"
[[cells]]
path = "api!eu"
availability_zone = "eu-zone"

[[hosts]]
name = "h1"
cell = "api!eu"
vcpus = 8
memory_mb = 8192
disk_gb = 100
bandwidth_kbps = 10000000
[[hosts]]
name = "h2"
cell = "api"
vcpus = 4
memory_mb = 4096
disk_gb = 50

[[flavors]]
name = "tiny"
vcpus = 1
memory_mb = 512
disk_gb = 1
"""


def test_a_host_has_what_its_file_says_in_the_zone_of_its_cell() -> None:
    """A host of which nothing is said guarantees no bandwidth."""
    cloud = parse_cloud(CLOUD.encode())
    assert host_record(cloud, "h1") == Host(
        name="h1", vcpus=8, memory_mb=8192, disk_gb=100, availability_zone="eu-zone", bandwidth_kbps=10_000_000
    )
    assert host_record(cloud, "h2").bandwidth_kbps == 0
