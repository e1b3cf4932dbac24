"""How what a server's cell was asked comes to the conductor: from that cell to the root's, and from there on."""

import attrs

from protocol.cell_path import Address, speaks_for
from protocol.messages.instances import Asked
from protocol.messages.orders import Accepted, CreateServer
from protocol.requests import Done, Method, Request, Role, Way


@attrs.frozen(kw_only=True)
class PassOrder(Request[Done]):
    """A cell hands on what it was asked; the root's takes it only from the cell that is the server's home.

    `asked` is the key under which the cell was asked: what follows from it makes the conversation, once.
    """

    METHOD = Method(name="pass_order", at=Role.CELL, way=Way.UP, is_routine=True)

    asked: str
    order: Asked

    def may_come_from(self, source: Address) -> bool:  # noqa: ARG002 - see below
        """Any cell may ask: whether it is the server's home, the root judges by its sender."""
        return True


@attrs.frozen(kw_only=True)
class NoteAbsent(Request[Done]):
    """A cell tells that it has no such server, about which it was asked as if it had."""

    METHOD = Method(name="note_absent", at=Role.CELL, way=Way.UP, is_routine=True)

    server: str

    def may_come_from(self, source: Address) -> bool:  # noqa: ARG002 - see below
        """Any cell may say that of itself: the root notes it of the sender's cell, and of no other."""
        return True


@attrs.frozen(kw_only=True)
class TakeOrder(Request[Accepted]):
    """The root's cell gives the conductor an order of a server's home: it is begun, and its decision not waited for."""

    METHOD = Method(name="take_order", at=Role.CONDUCTOR, way=Way.NONE, is_idempotent=False, is_routine=True)

    order: Asked


@attrs.frozen(kw_only=True)
class PassBuild(Request[Done]):
    """A cell hands on a build that it was asked for, of a server that is to be in that cell or below it."""

    METHOD = Method(name="pass_build", at=Role.CELL, way=Way.UP, is_routine=True)

    asked: str  # The key under which the cell was asked.
    order: CreateServer

    def may_come_from(self, source: Address) -> bool:
        """Tell whether it is from the very cell that the server is to be in or below."""
        return self.order.within is not None and speaks_for(source, self.order.within)


@attrs.frozen(kw_only=True)
class TakeBuild(Request[Accepted]):
    """The root's cell gives the conductor a build: it is begun, and its decision not waited for."""

    METHOD = Method(name="take_build", at=Role.CONDUCTOR, way=Way.NONE, is_idempotent=False, is_routine=True)

    order: CreateServer
