"""What the demo will do in a given cloud, worked out before anything starts: a cloud that cannot do it is refused."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import attrs

from actors.ops.checks import SettingsError
from actors.ops.settings import Cloud

if TYPE_CHECKING:
    from actors.ops.sections import HostSettings
    from protocol.cell_path import CellPath
    from protocol.records import Flavor

RESOURCES: Final = ("vcpus", "memory_mb", "disk_gb")
#: What the demo uses of each: the first ones of the file, in its order.
USED: Final = {"flavors": 2, "images": 1, "volumes": 3}


@attrs.frozen(kw_only=True)
class Itinerary:
    """The servers of the demo and what they are made of; where the one goes that is sent to a host by its name."""

    cloud: Cloud
    web: str = "web-1"  # From an image, with a data volume.
    database: str = "db-1"  # From a volume.
    batch: str = "batch-1"  # From an image, and stopped.
    named_host: str

    @property
    def flavor(self) -> Flavor:
        """What servers are created with."""
        return self.cloud.flavors[0]

    @property
    def larger(self) -> Flavor:
        """What servers are resized to."""
        return self.cloud.flavors[1]

    @property
    def image(self) -> str:
        """What root disks are made from."""
        return self.cloud.images[0].name

    @property
    def data_volume(self) -> str:
        """The data volume of the first server."""
        return self.cloud.volumes[0].name

    @property
    def root_volume(self) -> str:
        """The root disk of the second server."""
        return self.cloud.volumes[1].name

    @property
    def extra_volume(self) -> str:
        """What is attached to the second server while its move waits."""
        return self.cloud.volumes[2].name


class _Room:
    """What hosts have left, reckoned as their cells will."""

    def __init__(self, cloud: Cloud) -> None:
        self._free = {host: _amounts(host) for host in cloud.hosts}
        self._held: dict[str, dict[HostSettings, dict[str, int]]] = {}

    def take(self, server: str, flavor: Flavor, *, by_disk: bool, away_from: CellPath | None = None) -> HostSettings:
        """Give a server the emptiest host with room, as the conductor chooses; what it holds already stays held."""
        host = min(self.fitting(server, flavor, by_disk=by_disk, away_from=away_from), key=self._rank)
        self.hold(server, host, flavor, by_disk=by_disk)
        return host

    def hold(self, server: str, host: HostSettings, flavor: Flavor, *, by_disk: bool) -> None:
        """Take a flavor's worth of a host."""
        wanted = _wanted(flavor, by_disk=by_disk)
        self._held.setdefault(server, {})[host] = wanted
        for name in RESOURCES:
            self._free[host][name] -= wanted[name]

    def free(self, server: str, host: HostSettings) -> None:
        """Give back what a server holds of a host."""
        for name, amount in self._held[server].pop(host).items():
            self._free[host][name] += amount

    def fitting(self, server: str, flavor: Flavor, *, by_disk: bool, away_from: CellPath | None) -> list[HostSettings]:
        """List the hosts with room for a server; raise `SettingsError` that says what is short when there is none."""
        wanted = _wanted(flavor, by_disk=by_disk)
        hosts = [host for host in self._free if host.cell != away_from]
        fitting = [host for host in hosts if all(self._free[host][name] >= wanted[name] for name in RESOURCES)]
        if not fitting:
            raise SettingsError(where="hosts", what=self._shortage(server, flavor, wanted, hosts, away_from))
        return fitting

    def _shortage(
        self, server: str, flavor: Flavor, wanted: dict[str, int], hosts: list[HostSettings], away_from: CellPath | None
    ) -> str:
        most = {name: max((self._free[host][name] for host in hosts), default=0) for name in RESOURCES}
        short = [f"{name} {wanted[name]} wanted, {most[name]} free" for name in RESOURCES if most[name] < wanted[name]]
        outside = f" outside of its cell {away_from}" if away_from else ""
        why = "; ".join(short) or "each has too little of something else"
        return f"no host{outside} has room for {server} as {flavor.name} ({why}); add or enlarge hosts"

    def _rank(self, host: HostSettings) -> tuple[int, int, str, str]:
        free = self._free[host]
        return -free["memory_mb"], -free["vcpus"], str(host.cell), host.name


def plan(cloud: Cloud) -> Itinerary:
    """Work out the demo; raise `SettingsError` when the cloud has too little for it."""
    for kind, count in USED.items():
        if len(getattr(cloud, kind)) < count:
            what = f"the demo uses {count}, and there are {len(getattr(cloud, kind))}; add a [[{kind}]]"
            raise SettingsError(where=kind, what=what)
    _check_ferries(cloud)
    names = Itinerary(cloud=cloud, named_host="")
    room = _Room(cloud)
    web = room.take(names.web, names.flavor, by_disk=True)
    database = room.take(names.database, names.flavor, by_disk=False)
    batch = room.take(names.batch, names.flavor, by_disk=True)
    room.take(names.web, names.larger, by_disk=True, away_from=web.cell)
    room.free(names.web, web)
    moved = room.take(names.database, names.larger, by_disk=False, away_from=database.cell)
    room.free(names.database, moved)
    # The fullest one: where nobody would have been sent without its name.
    named = room.fitting(names.batch, names.flavor, by_disk=True, away_from=batch.cell)
    return attrs.evolve(names, named_host=min(named, key=lambda host: (host.memory_mb, host.name)).name)


def _check_ferries(cloud: Cloud) -> None:
    """Refuse a cloud whose moves might stay in their cell: what the demo shows is how servers leave it."""
    hosts = Counter(host.cell for host in cloud.hosts)
    if cloud.moves.own_cell_weight >= 0 and max(hosts.values()) > 1:
        cell = next(cell for cell, count in hosts.items() if count > 1)
        what = f"it must be negative for the demo, which ferries between cells: {cell} has several hosts"
        raise SettingsError(where="moves.own_cell_weight", what=what)


def _amounts(host: HostSettings) -> dict[str, int]:
    return {name: getattr(host, name) for name in RESOURCES}


def _wanted(flavor: Flavor, *, by_disk: bool) -> dict[str, int]:
    wanted = {name: getattr(flavor, name) for name in RESOURCES}
    return wanted if by_disk else {**wanted, "disk_gb": 0}
