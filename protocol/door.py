"""What bars an order at the door, before anything of the server is touched: pure, and by name.

What a guest has of its host alone would be lost on the way, so a server that has such a thing does not move.
"""

import re
from collections.abc import Iterator
from typing import Final

from protocol.errors import (
    CannotMigrateToSameHost,
    CannotTravel,
    CellferryError,
    CellFrozen,
    DiskTooSmall,
    HostFenced,
    InvalidState,
)
from protocol.records import CellFreeze, Flavor, Server
from protocol.states import Goal

#: What is said of a freeze for which no reason was given.
UNTOLD: Final = "no reason was given"
#: Extra specs of a flavor that give a guest something of its host, and what that is.
BOUND: Final[dict[str, str]] = {
    "accel:device_profile": "accelerators",
    "pci_passthrough:alias": "PCI devices",
    "hw:numa_nodes": "a NUMA topology",
    "hw:cpu_policy": "CPUs of its own",
    "hw:mem_page_size": "memory pages of its own",
    "hw:cpu_dedicated_mask": "CPUs of its own",
    "hw:mem_encryption": "memory that its host encrypts",
    "hw:tpm_version": "a virtual TPM",
    "hw:tpm_model": "a virtual TPM",
}
#: How extra specs begin that take some of a host's resources; those that every host has travel.
RESOURCES: Final = re.compile(r"resources\w*:(?P<of>\w+)", re.ASCII)
COUNTED: Final = frozenset({"VCPU", "MEMORY_MB", "DISK_GB"})
#: Values of some of them that ask for nothing; of all, the empty one does.
NOTHING: Final[dict[str, frozenset[str]]] = {
    "hw:cpu_policy": frozenset({"shared"}),
    "hw:mem_page_size": frozenset({"small", "any"}),
    "hw:mem_encryption": frozenset({"false", "False"}),
}

#: What a frozen cell still lets in: the end of a move that had begun before.
LET_IN: Final = frozenset({Goal.CONFIRM, Goal.REVERT})


def bars_order(freeze: CellFreeze | None, goal: Goal | None = None) -> CellFrozen | None:
    """Tell why a cell lets nothing begin that changes a server of it (None: a change of no goal); None: it does.

    All that is asked of a frozen cell is decided here.  What had begun before is not asked again, and so goes on.
    """
    if freeze is None or goal in LET_IN:
        return None
    return CellFrozen(cell=freeze.cell, reason=freeze.reason or UNTOLD)


def bound_to_host(flavor: Flavor) -> Iterator[str]:
    """Name what a server of that flavor has of its host alone."""
    if flavor.ephemeral_gb:
        yield "an ephemeral disk"
    if flavor.swap_mb:
        yield "a swap disk"
    for spec, what in BOUND.items():
        if flavor.extra_specs.get(spec, "") not in {"", *NOTHING.get(spec, ())}:
            yield what
    for spec, amount in flavor.extra_specs.items():
        found = RESOURCES.fullmatch(spec)
        if found is not None and found["of"] not in COUNTED and amount not in {"", "0"}:
            yield f"{found['of']} of its host"


def bars_move(
    server: Server, *, flavor: Flavor | None, host: str | None, is_host_fenced: bool = False
) -> CellferryError | None:
    """Tell why a server may not move to that flavor (None: its own) and that named host (None: any); None: it may.

    `is_host_fenced`: the machine of the host that it is on is off.
    """
    for sort, each in (("it has", server.flavor), ("it would have", flavor or server.flavor)):
        for what in bound_to_host(each):
            return CannotTravel(server=server.uuid, reason=f"{sort} {what}, by its flavor {each.name}")
    if host is not None and host == server.host:
        return CannotMigrateToSameHost(server=server.uuid, host=host)
    if is_host_fenced and server.image:
        # Its disk is that host's own: nobody else can read it.
        return HostFenced(host=server.host or "", method=f"give away the disk of server {server.uuid}")
    return _bars_resize(server, flavor) if flavor is not None else None


def _bars_resize(server: Server, flavor: Flavor) -> CellferryError | None:
    if flavor == server.flavor:
        return InvalidState(
            kind="server", name=server.uuid, field="flavor", found=flavor.name, expected="another one to resize"
        )
    if server.image and flavor.disk_gb < server.flavor.disk_gb:
        return DiskTooSmall(
            server=server.uuid, flavor=flavor.name, disk_gb=flavor.disk_gb, needed_gb=server.flavor.disk_gb
        )
    return None
