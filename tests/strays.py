"""What somebody may have left of a server where it is not: rows and a guest that nobody knows the origin of."""

from __future__ import annotations

import attrs

from protocol.records import (
    Allocation,
    Attachment,
    Claim,
    Fault,
    Image,
    Mirror,
    PortBinding,
    Record,
    Server,
)

ROOT = "api"


def strays(home: Server, *, port: str, volume: str, cell: str, host: str) -> dict[str, tuple[Record, ...]]:
    """Give rows for everybody who keeps some, by the owner's name: a cell, the root, and the three partners."""
    server = home.uuid
    told = Mirror(
        server=server, cell=ROOT, generation=1, version=1, name=home.name, vm_state=home.vm_state, task_state=None,
        power_state=home.power_state, host=host, flavor=home.flavor.name,
    )  # fmt: skip
    return {
        cell: (
            attrs.evolve(home, is_hidden=True),
            Fault(id=f"{server}-old", server=server, code="old", message="old", created_at_us=0),
            Claim(server=server, host=host, migration="old"),
            Allocation(consumer=f"{server}-old", host=host, server=server, vcpus=1, memory_mb=64, disk_gb=1),
        ),
        ROOT: (told,),
        "volume": (Attachment(id=f"{server}-old", volume=volume, server=server),),
        "network": (PortBinding(port=port, host=host, server=server, is_active=False),),
        "image": (Image(id=f"{server}-old", name="old", status="queued", server=server),),
    }
