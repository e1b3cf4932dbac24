"""What cells tell each other of what they have, and what is asked of a cell about its place in the tree."""

import attrs

from protocol.cell_path import Address, CellPath, speaks_for
from protocol.errors import InvalidValue
from protocol.messages.services import REASON_CHARS_MAX
from protocol.records.tree import Capabilities, Capacities, CellFreeze
from protocol.requests import Done, Form, Method, Request, Role, Way


@attrs.frozen(kw_only=True)
class AnnounceCapabilities(Request[Done]):
    """A parent that has just started has its child tell, now, what it can do."""

    METHOD = Method(name="announce_capabilities", at=Role.CELL, reference="announce_capabilities")


@attrs.frozen(kw_only=True)
class AnnounceCapacities(Request[Done]):
    """A parent that has just started has its child tell, now, what it has left."""

    METHOD = Method(name="announce_capacities", at=Role.CELL, reference="announce_capacities")


@attrs.frozen(kw_only=True)
class Heard:
    """Whether what a cell told of itself was taken; a cell that is no child is heard and forgotten."""

    is_child: bool


@attrs.frozen(kw_only=True)
class UpdateCapabilities(Request[Heard]):
    """Tell the parent what a cell, and those below it, can do.  A cast: what gets lost, the next one makes up for."""

    METHOD = Method(name="update_capabilities", at=Role.CELL, way=Way.UP, reference="update_capabilities")

    cell: CellPath
    capabilities: Capabilities

    def may_come_from(self, source: Address) -> bool:
        """A cell tells of itself."""
        return speaks_for(source, self.cell)


@attrs.frozen(kw_only=True)
class UpdateCapacities(Request[Heard]):
    """Tell the parent what a cell, and those below it, have left.  A cast, as the capabilities are."""

    METHOD = Method(name="update_capacities", at=Role.CELL, way=Way.UP, reference="update_capacities")

    cell: CellPath
    capacities: Capacities

    def may_come_from(self, source: Address) -> bool:
        """A cell tells of itself."""
        return speaks_for(source, self.cell)


# --- neighbours --------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Neighbourhood:
    """The cells over one edge, children in their order."""

    parent: CellPath | None
    children: tuple[CellPath, ...]


@attrs.frozen(kw_only=True)
class ListNeighbours(Request[Neighbourhood]):
    """A cell's own link asks which neighbours there are now."""

    METHOD = Method(name="list_neighbours", at=Role.CELL, way=Way.NONE, is_read=True, is_routine=True)


@attrs.frozen(kw_only=True)
class AddNeighbour(Request[Done]):
    """Tell a cell of a new neighbour (again): a child, or the parent that had let it go."""

    METHOD = Method(name="add_neighbour", at=Role.CELL, is_for_people=True)

    cell: CellPath
    weight_offset: float | None = None
    weight_scale: float | None = None


@attrs.frozen(kw_only=True)
class SetNeighbour(Request[Done]):
    """Change what the choice of a cell makes of a child; None: as it is."""

    METHOD = Method(name="set_neighbour", at=Role.CELL, is_for_people=True)

    cell: CellPath
    weight_offset: float | None = None
    weight_scale: float | None = None


@attrs.frozen(kw_only=True)
class RemoveNeighbour(Request[Done]):
    """Have a cell let go of a neighbour: nothing goes there any more, and nothing is taken from there."""

    METHOD = Method(name="remove_neighbour", at=Role.CELL, is_for_people=True)

    cell: CellPath


@attrs.frozen(kw_only=True)
class RemoveCell(Request[Done]):
    """Remove a cell, and all below it, from the running deployment; unless forced, only one that holds nothing."""

    METHOD = Method(name="remove_cell", at=Role.CONDUCTOR, way=Way.NONE, is_for_people=True)

    cell: CellPath
    is_forced: bool = False


# --- links -------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class LinkState:
    """The link to a neighbour, as who sends over it finds it."""

    cell: CellPath
    down_s: float | None = None  # So long nothing could be sent there; None: it is up.
    reason: str = ""


@attrs.frozen(kw_only=True)
class LinksSeen:
    """How the links of a cell stand, the parent's first, then the children's in their order."""

    links: tuple[LinkState, ...]


@attrs.frozen(kw_only=True)
class ShowLinks(Request[LinksSeen]):
    """A cell asks its own link how the edges to its neighbours stand."""

    METHOD = Method(name="show_links", at=Role.LINK, way=Way.NONE, is_read=True, is_routine=True)


# --- freezing ----------------------------------------------------------------------------------------------


def _reason(_request: object, _field: object, reason: str) -> None:
    if len(reason) > REASON_CHARS_MAX:
        raise InvalidValue(name="reason", value=reason[:80], rule=f"it has at most {REASON_CHARS_MAX} characters")


@attrs.frozen(kw_only=True)
class FreezeCell(Request[CellFreeze]):
    """Have a cell let nothing new begin with its servers, and take no others; what has begun goes on."""

    METHOD = Method(name="freeze_cell", at=Role.CELL, is_for_people=True)

    reason: str = attrs.field(default="", validator=_reason)
    user: str = ""


@attrs.frozen(kw_only=True)
class ThawCell(Request[Done]):
    """Have a cell that is frozen take orders and servers again."""

    METHOD = Method(name="thaw_cell", at=Role.CELL, is_for_people=True)


# --- looking -----------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class ChildState:
    """A child as its parent knows it."""

    cell: CellPath
    is_mute: bool
    silent_s: float | None  # So long ago it was heard, by the parent's clock; None: never.
    weight_offset: float
    weight_scale: float
    capabilities: Capabilities
    capacities: Capacities


@attrs.frozen(kw_only=True)
class CellState:
    """A cell: what it has itself, what it tells its parent, and what it knows of its children."""

    cell: CellPath
    parent: CellPath | None
    own_capabilities: Capabilities
    own_capacities: Capacities
    capabilities: Capabilities
    capacities: Capacities
    children: tuple[ChildState, ...]
    links: tuple[LinkState, ...] | None = None  # None: its link has not said.
    freeze: CellFreeze | None = None


@attrs.frozen(kw_only=True)
class ShowCell(Request[CellState]):
    """Ask a cell, or every cell below, how it stands in the tree."""

    METHOD = Method(name="show_cell", at=Role.CELL, form=Form.EITHER, is_for_people=True, is_read=True)
