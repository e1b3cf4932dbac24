"""What cells are asked when a cell is to be chosen for a server."""

import attrs

from protocol.cell_path import CellPath
from protocol.messages.capacity import FindRoom, HostRoom, Withheld
from protocol.requests import Form, Method, Request, Role
from protocol.scheduling import Asked


@attrs.frozen(kw_only=True)
class ScheduledRoom:
    """One cell's hosts with room, and whom it would choose of itself and its children, the best first."""

    hosts: tuple[HostRoom, ...]
    order: tuple[CellPath, ...]
    withheld: Withheld | None = None


@attrs.frozen(kw_only=True)
class ScheduleRoom(Request[ScheduledRoom]):
    """Ask every cell for its hosts with room, and for its choice of itself and its children, by its own settings."""

    METHOD = Method(name="schedule_room", at=Role.CELL, form=Form.BROADCAST, is_read=True, is_routine=True)

    room: FindRoom
    asked: Asked
