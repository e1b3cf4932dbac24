"""What has become of a create whose server is not there, or not yet: who did not wait for it asks here."""

from typing import Final

import attrs

from protocol.messages.orders import ConversationLine, CreateServer
from protocol.requests import Method, Request, Role, Way

#: So many signs of an id, and no fewer, stand for it.
START_CHARS: Final = 4


@attrs.frozen(kw_only=True)
class Created:
    """An order for a new server, and the conversation that carries it out, or has: how that stands, or ended."""

    order: CreateServer
    line: ConversationLine


@attrs.frozen(kw_only=True)
class FoundCreate:
    """The newest of those that were asked for; None: there is none among those that are looked through."""

    created: Created | None


@attrs.frozen(kw_only=True)
class FindCreate(Request[FoundCreate]):
    """Find the newest create of a server by its name, its id, or the start of that; however it ended, if it has."""

    METHOD = Method(name="find_create", at=Role.CONDUCTOR, way=Way.NONE, is_for_people=True, is_read=True)

    which: str

    def means(self, order: CreateServer) -> bool:
        """Tell whether it is that server's create."""
        is_start = len(self.which) >= START_CHARS and order.server.startswith(self.which)
        return is_start or self.which in {order.name, order.server}
