"""The rows by which a cell knows its place in the tree: itself, and the cells over one edge."""

from typing import ClassVar, TypeAlias

import attrs

from protocol.records.base import Record

#: What a cell's hosts can do, by name: one of several values each.
Capabilities: TypeAlias = dict[str, tuple[str, ...]]


@attrs.frozen(kw_only=True)
class Amounts:
    """How much of something is free, and how many servers of each size that is, by the text of the size."""

    total_mb: int = 0
    units_by_mb: dict[str, int] = attrs.field(factory=dict, hash=False)


@attrs.frozen(kw_only=True)
class Capacities:
    """What hosts have left."""

    ram_free: Amounts = Amounts()
    disk_free: Amounts = Amounts()


@attrs.frozen(kw_only=True)
class Size:
    """What one server of a flavor takes."""

    memory_mb: int
    disk_mb: int


@attrs.frozen(kw_only=True)
class CellProfile(Record):
    """What a cell's own settings say of it."""

    TABLE = "cell_profiles"
    KEY: ClassVar[tuple[str, ...]] = ("cell",)

    cell: str
    capabilities: Capabilities = attrs.field(factory=dict, hash=False)
    sizes: tuple[Size, ...] = ()  # Of which it tells how many fit.
    reserve_percent: float = 0.0  # So much of each host is kept back when servers are counted.
    mute_child_s: int = 0  # A child unheard for so long is mute; 0: none ever is.
    down_host_s: int = 0  # A host whose service is unheard for so long is down; 0: none ever is.
    started_us: int = 0  # When the cell last started: nothing was heard while it was away.
    filters: tuple[str, ...] | None = None  # Of cells, by name; None: those that are always there.
    weighers: dict[str, float] | None = attrs.field(default=None, hash=False)  # Likewise, with their multipliers.


@attrs.frozen(kw_only=True)
class CellFreeze(Record):
    """An operator's word that a cell lets nothing new begin; there is none while it does."""

    TABLE = "cell_freezes"
    KEY: ClassVar[tuple[str, ...]] = ("cell",)

    cell: str
    reason: str = ""
    user: str = ""
    since_us: int = 0


@attrs.frozen(kw_only=True)
class Neighbour(Record):
    """A cell over one edge, and what it has last told of itself and of those below it."""

    TABLE = "neighbours"
    KEY: ClassVar[tuple[str, ...]] = ("cell",)

    cell: str
    is_parent: bool = False
    is_of_file: bool = False  # The settings name it; else it was added to the running deployment.
    is_removed: bool = False  # An operator has removed it, although the settings may name it still.
    is_reweighed: bool = False  # An operator has set its weights: those of the settings do not count.
    place: int = 0  # Children stand in this order.
    weight_offset: float = 0.0
    weight_scale: float = 1.0
    since_us: int = 0  # When it became a neighbour, or this cell last started: silence is counted from then at most.
    last_seen_us: int | None = None
    capabilities: Capabilities = attrs.field(factory=dict, hash=False)
    capacities: Capacities = Capacities()
