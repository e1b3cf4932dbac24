"""The tables of a cloud's file: what each cell, host, image and volume is, and what holds for all of them."""

from __future__ import annotations

from typing import Final

import attrs

from actors.ops import checks, links
from actors.ops.declared import about
from protocol.cell_path import CellPath
from protocol.messages.orders import BANDWIDTH_KBPS_MAX
from protocol.moves.crossing import Crossers, Crossing
from protocol.saga import ATTEMPTS_MAX
from protocol.scheduling import FILTERS

REPLICAS_MAX: Final = 16
IMAGE_BYTES_MAX: Final = 2**40
BROKERS: Final = links.BROKERS
STORES: Final = links.STORES
#: What runs guests: real processes with real disks, or a model of them in memory.
DRIVERS: Final = ("process", "memory")
CROSSERS: Final = tuple(each.value for each in Crossers)


@attrs.frozen(kw_only=True)
class CellSettings:
    """A cell; its broker and store where they are not those of the whole cloud."""

    path: CellPath = attrs.field(metadata=about("Its names from the root down.", example='"api"'))
    availability_zone: str = attrs.field(default="", metadata=about("The zone that its hosts are in."))
    capabilities: dict[str, tuple[str, ...]] = attrs.field(
        factory=dict, validator=checks.capabilities, hash=False,
        metadata=about('What its hosts can do, a list of values for each name, as in {os = ["linux"]}.'),
    )  # fmt: skip
    weight_offset: float = attrs.field(
        default=0.0, validator=checks.number, metadata=about("What is added to its weight when a cell is chosen.")
    )
    weight_scale: float = attrs.field(
        default=1.0, validator=checks.number, metadata=about("By what the room that it has is multiplied then.")
    )
    broker: str | None = attrs.field(
        default=None, validator=checks.url(BROKERS), repr=False,
        metadata=about("Its broker, where that is not the deployment's.", is_secret=True),
    )  # fmt: skip
    store: str | None = attrs.field(
        default=None, validator=checks.url(STORES), repr=False,
        metadata=about("Its database, where that is not the deployment's.", is_secret=True),
    )  # fmt: skip
    replicas: int = attrs.field(
        default=1, validator=checks.amount(REPLICAS_MAX),
        metadata=about("How many of its actor and link share the work."),
    )  # fmt: skip


@attrs.frozen(kw_only=True)
class HostSettings:
    """A compute host and what it has to give."""

    name: str = attrs.field(validator=checks.name, metadata=about("What it is called.", example='"h1"'))
    cell: CellPath = attrs.field(metadata=about("The cell that it is in.", example='"api"'))
    vcpus: int = attrs.field(
        validator=checks.amount(checks.AMOUNT_MAX), metadata=about("Virtual processors that it has.", example="8")
    )
    memory_mb: int = attrs.field(
        validator=checks.amount(checks.AMOUNT_MAX), metadata=about("Memory that it has.", example="16384")
    )
    disk_gb: int = attrs.field(
        validator=checks.amount(checks.AMOUNT_MAX), metadata=about("Room for disks that it has.", example="100")
    )
    bandwidth_kbps: int = attrs.field(
        default=0, validator=checks.amount(BANDWIDTH_KBPS_MAX, least=0),
        metadata=about("Bandwidth that ports may ask of it; 0: none."),
    )  # fmt: skip


@attrs.frozen(kw_only=True)
class ImageSettings:
    """An image; its bytes are made up."""

    name: str = attrs.field(validator=checks.name, metadata=about("What it is called.", example='"cirros"'))
    size_bytes: int = attrs.field(
        validator=checks.amount(IMAGE_BYTES_MAX), metadata=about("How large it is.", example="65536")
    )


@attrs.frozen(kw_only=True)
class VolumeSettings:
    """A volume, blank at first."""

    name: str = attrs.field(validator=checks.name, metadata=about("What it is called.", example='"data"'))
    size_gb: int = attrs.field(
        validator=checks.amount(checks.AMOUNT_MAX), metadata=about("How large it is.", example="1")
    )


@attrs.frozen(kw_only=True)
class MovesSettings:
    """What holds for moves."""

    confirm_after_s: int = attrs.field(
        default=0, validator=checks.seconds,
        metadata=about("So long after it is done a move is confirmed that nobody has settled; 0: never.", is_live=True),
    )  # fmt: skip
    cross_cell: str = attrs.field(
        default=Crossers.ADMINS.value, validator=checks.OneOf(CROSSERS, "values"),
        metadata=about("Whose moves may leave their cell.", is_live=True),
    )  # fmt: skip
    own_cell_weight: int = attrs.field(
        default=1, validator=checks.number,
        metadata=about("Positive prefers hosts of the server's own cell, negative others, 0 neither.", is_live=True),
    )  # fmt: skip

    @property
    def crossing(self) -> Crossing:
        """What is decided about moves between cells."""
        return Crossing(who=Crossers(self.cross_cell), own_cell_weight=self.own_cell_weight)


@attrs.frozen(kw_only=True)
class TreeSettings:
    """What cells tell each other of themselves."""

    announce_s: int = attrs.field(
        default=60, validator=checks.seconds,
        metadata=about("So often a cell tells its parent what it has; 0: only when it is asked, or there is news."),
    )  # fmt: skip
    mute_child_s: int = attrs.field(
        default=300, validator=checks.seconds, metadata=about("A child unheard for so long is mute; 0: never.")
    )
    reserve_percent: int = attrs.field(
        default=10, validator=checks.amount(100, least=0),
        metadata=about("So much of each host is kept back when it is told how many servers fit."),
    )  # fmt: skip
    look_s: int = attrs.field(
        default=2, validator=checks.seconds,
        metadata=about("So soon a change of neighbours in the running deployment is taken up; 0: never."),
    )  # fmt: skip


@attrs.frozen(kw_only=True)
class ReportsSettings:
    """How often hosts and cells report by themselves; 0: never."""

    service_s: int = attrs.field(
        default=10, validator=checks.seconds,
        metadata=about("So often a host tells its cell that it is alive."),
    )  # fmt: skip
    usage_s: int = attrs.field(
        default=600, validator=checks.seconds,
        metadata=about("So often a host tells its cell what went over its ports."),
    )  # fmt: skip
    audit_s: int = attrs.field(
        default=3600, validator=checks.seconds,
        metadata=about("So long are the periods of which a cell notes which servers it had."),
    )  # fmt: skip


@attrs.frozen(kw_only=True)
class SchedulerSettings:
    """How the cell of a server is chosen: each cell filters and weighs itself and its children."""

    enabled: bool = attrs.field(
        default=True,
        metadata=about("Off: the host with most memory left is chosen, wherever it is.", is_live=True),
    )  # fmt: skip
    filters: tuple[str, ...] = attrs.field(
        default=tuple(FILTERS), metadata=about("Which filters are asked, in that order; `scheduler list` lists them.")
    )
    multipliers: dict[str, float] = attrs.field(
        factory=dict, validator=checks.multipliers, hash=False,
        metadata=about("By how much a weigher's verdict counts, where it is not the usual; 0: not at all."),
    )  # fmt: skip
    retries: int = attrs.field(
        default=7, validator=checks.amount(ATTEMPTS_MAX - 1, least=0),
        metadata=about("How often a new server that no cell takes is tried again.", is_live=True),
    )  # fmt: skip
    retry_delay_s: int = attrs.field(
        default=2, validator=checks.seconds, metadata=about("So long after the last time that is done.", is_live=True)
    )


#: Those tables when the file says nothing of them.
MOVES: Final = MovesSettings()
TREE: Final = TreeSettings()
REPORTS: Final = ReportsSettings()
SCHEDULER: Final = SchedulerSettings()
