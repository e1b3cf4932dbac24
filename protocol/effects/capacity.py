"""Effects on a cell's hosts and allocations."""

from protocol.door import bars_order
from protocol.draft import Draft, Need, need
from protocol.effects.registry import Moment, effect
from protocol.effects.servers import check_freeze
from protocol.effects.services import hear_of, service_of
from protocol.errors import CapacityExceeded
from protocol.messages import capacity as say
from protocol.messages.services import COMPUTE
from protocol.records import Allocation, CellFreeze, Flavor, Host, Service
from protocol.requests import Done

RESOURCES = ("vcpus", "memory_mb", "disk_gb", "bandwidth_kbps")


def free(host: Host, allocations: tuple[Allocation, ...]) -> dict[str, int]:
    """Tell how much of each resource of a host is not allocated."""
    return {name: getattr(host, name) - sum(getattr(row, name) for row in allocations) for name in RESOURCES}


def wanted(flavor: Flavor, *, is_volume_backed: bool, bandwidth_kbps: int = 0) -> dict[str, int]:
    """Tell what a server of that flavor takes; a volume-backed one takes no disk of its host."""
    disk_gb = 0 if is_volume_backed else flavor.disk_gb
    return {
        "vcpus": flavor.vcpus, "memory_mb": flavor.memory_mb, "disk_gb": disk_gb, "bandwidth_kbps": bandwidth_kbps
    }  # fmt: skip


@effect(say.AddHost, lambda command: (need(Host, name=command.name), need(Service, host=command.name)))
def _add_host(draft: Draft, command: say.AddHost, moment: Moment) -> Done:
    known = draft.find(Host, name=command.name)
    draft.put(
        Host(
            name=command.name, vcpus=command.vcpus, memory_mb=command.memory_mb, disk_gb=command.disk_gb,
            availability_zone=command.availability_zone, is_enabled=known.is_enabled if known else True,
            bandwidth_kbps=command.bandwidth_kbps,
        )
    )  # fmt: skip
    hear_of(draft, moment, command.name, COMPUTE, command.version)
    return Done()


@effect(say.FindRoom, lambda _: (need(Host), need(Allocation), need(CellFreeze)))
def _find_room(draft: Draft, command: say.FindRoom, moment: Moment) -> say.Room:
    return room(draft, command, moment)


def room(draft: Draft, command: say.FindRoom, moment: Moment) -> say.Room:
    """List a cell's hosts on which that much is free; of a frozen one only their names."""
    found, bar = _with_room(draft, command, moment), bars_order(draft.find(CellFreeze))
    if bar is None:
        return say.Room(hosts=found)
    hosts = tuple(host.host for host in found)
    return say.Room(hosts=(), withheld=say.Withheld(hosts=hosts, reason=bar.reason) if hosts else None)


def _with_room(draft: Draft, command: say.FindRoom, moment: Moment) -> tuple[say.HostRoom, ...]:
    found = []
    for host in draft.all(Host):
        left = free(host, draft.all(Allocation, host=host.name))
        if host.is_enabled and all(left[name] >= getattr(command, name) for name in RESOURCES):
            zone = host.availability_zone
            found.append(say.HostRoom(host=host.name, cell=moment.cell, availability_zone=zone, **left))
    return tuple(found)


@effect(say.ShowHosts, lambda _: (need(Host), need(Allocation), need(Service)))
def _show_hosts(draft: Draft, _: say.ShowHosts, moment: Moment) -> say.HostUses:
    uses = []
    for host in draft.all(Host):
        held = draft.all(Allocation, host=host.name)
        service = service_of(draft, host.name)
        used = {f"{name}_used": sum(getattr(row, name) for row in held) for name in RESOURCES}
        uses.append(
            say.HostUse(
                host=host.name, cell=moment.cell, availability_zone=host.availability_zone, is_enabled=host.is_enabled,
                vcpus=host.vcpus, memory_mb=host.memory_mb, disk_gb=host.disk_gb, bandwidth_kbps=host.bandwidth_kbps,
                servers=len({row.server for row in held}), reason=service.disabled_reason if service else "",
                heard_ago_us=max(0, moment.now_us - service.last_seen_us) if service else None, **used,
            )
        )  # fmt: skip
    return say.HostUses(hosts=tuple(uses))


def _place(command: say.AllocateHost) -> tuple[Need, ...]:
    return need(Host, name=command.host), need(Allocation, host=command.host), need(CellFreeze)


@effect(say.AllocateHost, _place)
def _allocate(draft: Draft, command: say.AllocateHost, _: Moment) -> Done:
    # It was chosen before its cell was frozen: whoever has no place here by now gets none.
    check_freeze(draft)
    host = draft.one(Host, name=command.host)
    left = free(host, draft.all(Allocation, host=host.name))
    amounts = wanted(
        command.flavor, is_volume_backed=command.is_volume_backed, bandwidth_kbps=command.bandwidth_kbps
    )  # fmt: skip
    for name in RESOURCES:
        if left[name] < amounts[name]:
            raise CapacityExceeded(host=host.name, resource=name, wanted=amounts[name], free=left[name])
    draft.put(Allocation(consumer=command.consumer, host=host.name, server=command.server, **amounts))
    return Done()


@effect(say.FreeHost, lambda command: (need(Allocation, consumer=command.consumer),))
def _free(draft: Draft, command: say.FreeHost, _: Moment) -> Done:
    for row in draft.all(Allocation, consumer=command.consumer):
        if row.host == command.host:
            draft.drop(row)
    return Done()
