"""Builds as cells are asked for them: several servers at once, each chosen a place in that cell or below it."""

import attrs

from protocol.errors import InvalidValue
from protocol.messages import orders as say
from protocol.messages.servers import Origin
from protocol.records import Flavor, KeyPair
from protocol.requests import Method, Request, Role
from protocol.scheduling import Wish

#: So many servers are built by one request at most.
BUILDS_MAX = 100


def _some(_request: object, _field: object, servers: "tuple[NewServer, ...]") -> None:
    if not 1 <= len({each.server for each in servers}) == len(servers) <= BUILDS_MAX:
        raise InvalidValue(name="servers", value=len(servers), rule=f"there are 1 to {BUILDS_MAX} of them, each once")


@attrs.frozen(kw_only=True)
class NewServer:
    """One of the servers to build: its id, and what it is called."""

    server: str
    name: str


@attrs.frozen(kw_only=True)
class Building:
    """The conversations that build them, in the order of the servers; each tells what comes of it."""

    conversations: tuple[str, ...]


@attrs.frozen(kw_only=True)
class BuildInstances(Request[Building]):
    """Build servers alike, in this cell or below it: wherever it and its children choose."""

    METHOD = Method(name="build_instances", at=Role.CELL, is_idempotent=False, reference="build_instances")

    servers: tuple[NewServer, ...] = attrs.field(validator=_some)
    flavor: Flavor
    image: str
    origin: Origin
    key_pair: KeyPair | None = None
    group: str = ""
    bandwidth_kbps: int = 0
    wish: Wish = attrs.field(factory=Wish)

    def orders(self) -> tuple[say.CreateServer, ...]:
        """Give the order of each."""
        return tuple(
            say.CreateServer(
                server=each.server, name=each.name, flavor=self.flavor, image=self.image, volumes=(), host=None,
                origin=self.origin, key_pair=self.key_pair, group=self.group, bandwidth_kbps=self.bandwidth_kbps,
                wish=self.wish,
            )
            for each in self.servers
        )  # fmt: skip


@attrs.frozen(kw_only=True)
class ScheduleRunInstance(Request[Building]):
    """Build one server as it is ordered, in this cell or below it: the older form of the same."""

    METHOD = Method(name="schedule_run_instance", at=Role.CELL, is_idempotent=False, reference="schedule_run_instance")

    order: say.CreateServer

    def orders(self) -> tuple[say.CreateServer, ...]:
        """Give the one order."""
        return (self.order,)
