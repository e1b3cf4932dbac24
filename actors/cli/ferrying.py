"""What the demo's user does: creates three servers, ferries each to another cell, and settles two of the moves."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Final, Protocol, assert_never

import anyio
import attrs

from actors.cli.failures import GuestSilent, Stuck
from actors.cli.providing import provide
from actors.store.truth import conversations
from protocol.errors import ErrorReport, revive
from protocol.ids import derived_id
from protocol.journal import Ending
from protocol.messages.orders import (
    ChangeVolume,
    CreateServer,
    MoveServer,
    NewVolume,
    PowerServer,
    Progress,
    SettleMove,
    StepNews,
)
from protocol.messages.servers import Origin
from protocol.states import Goal
from protocol.truth import Witnessed

if TYPE_CHECKING:
    from actors.cli.planning import Itinerary
    from actors.client import Client
    from actors.observing import Observed
    from actors.partners.ports import ImageFiles
    from protocol.messages.orders import Order
    from protocol.records import Flavor

USER: Final = "demo"
#: How far a guest counts before its move, so that there is something to lose; and how long that may take.
COUNTS_MIN: Final = 5
COUNTING_S_MAX: Final = 30.0
POLL_S: Final = 0.02
#: How long a conversation may be silent: longer than any one step that goes well.
SILENCE_S_MAX: Final = 60.0


class Screen(Protocol):
    """Where it is told what goes on."""

    def begin(self, server: str, what: str) -> None:
        """Say what is about to be done, to which server."""
        ...

    def tell(self, news: StepNews) -> None:
        """Show a step of it."""
        ...


@attrs.frozen(kw_only=True)
class Ferried:
    """A server of the demo: what was done to it, and how far its guest had counted before its move."""

    uuid: str
    name: str
    flow: str
    counter_before: int


class Ferry:
    """One run of the demo against a cloud that is up."""

    def __init__(self, itinerary: Itinerary, client: Client, observed: Observed, *, screen: Screen, salt: str) -> None:
        """Follow the itinerary; `salt` makes the ids of this run its own."""
        self._plan = itinerary
        self._client = client
        self._observed = observed
        self._screen = screen
        self._salt = salt
        self._before: dict[str, int] = {}
        self._flows: dict[str, list[str]] = {}
        self.witnessed: list[Witnessed] = []

    async def run(self, images: ImageFiles) -> tuple[Ferried, ...]:
        """Do all of it, one order at a time; raise the cause of the first one that fails."""
        await provide(self._client, self._plan.cloud, images)
        await self._create_all()
        await self._resize_and_confirm()
        await self._resize_and_revert()
        await self._migrate()
        return tuple(
            Ferried(uuid=self._uuid(name), name=name, flow=", ".join(flow), counter_before=self._before[name])
            for name, flow in self._flows.items()
        )

    # --- the parts -------------------------------------------------------------------------------------------

    async def _create_all(self) -> None:
        plan = self._plan
        data = NewVolume(volume=plan.data_volume, device="/dev/vdb")
        root = NewVolume(volume=plan.root_volume, device="/dev/vda", boot_index=0)
        await self._create(plan.web, f"image {plan.image} with volume {plan.data_volume}", plan.image, data)
        await self._create(plan.database, f"volume {plan.root_volume}", "", root)
        await self._create(plan.batch, f"image {plan.image}", plan.image)
        await self._counts(plan.batch, beyond=COUNTS_MIN)
        await self._carry_out(plan.batch, "stop", self._power(plan.batch, Goal.STOP))

    async def _resize_and_confirm(self) -> None:
        plan = self._plan
        await self._counts(plan.web, beyond=COUNTS_MIN)
        self._witness(plan.web, root=None, data=plan.data_volume)
        await self._carry_out(plan.web, f"resize to {plan.larger.name}", self._move(plan.web, plan.larger))
        await self._counts(plan.web, beyond=self._before[plan.web])
        await self._carry_out(plan.web, "confirm", self._settle(plan.web, Goal.CONFIRM))

    async def _resize_and_revert(self) -> None:
        plan = self._plan
        await self._counts(plan.database, beyond=COUNTS_MIN)
        self._witness(plan.database, root=plan.root_volume)
        await self._carry_out(plan.database, f"resize to {plan.larger.name}", self._move(plan.database, plan.larger))
        attach = ChangeVolume(
            server=self._uuid(plan.database), goal=Goal.ATTACH, volume=plan.extra_volume, device="/dev/vdb",
            origin=self._origin(plan.database),
        )  # fmt: skip
        await self._carry_out(plan.database, f"attach {plan.extra_volume}", attach)
        await self._counts(plan.database, beyond=self._before[plan.database])
        await self._carry_out(plan.database, "revert", self._settle(plan.database, Goal.REVERT))
        await self._counts(plan.database, beyond=self._before[plan.database])

    async def _migrate(self) -> None:
        plan = self._plan
        self._witness(plan.batch, root=None)
        order = self._move(plan.batch, None, host=plan.named_host)
        await self._carry_out(plan.batch, f"cold migrate to host {plan.named_host}", order)

    # --- orders ----------------------------------------------------------------------------------------------

    async def _create(self, name: str, origin: str, image: str, *volumes: NewVolume) -> None:
        flavor = self._plan.flavor
        order = CreateServer(
            server=self._uuid(name), name=name, flavor=flavor, image=image, volumes=volumes, host=None,
            origin=self._origin(name),
        )  # fmt: skip
        await self._carry_out(name, f"create {flavor.name} from {origin}", order)

    def _move(self, name: str, flavor: Flavor | None, host: str | None = None) -> MoveServer:
        return MoveServer(server=self._uuid(name), flavor=flavor, host=host, origin=self._origin(name))

    def _settle(self, name: str, goal: Goal) -> SettleMove:
        return SettleMove(server=self._uuid(name), goal=goal, origin=self._origin(name))

    def _power(self, name: str, goal: Goal) -> PowerServer:
        return PowerServer(server=self._uuid(name), goal=goal, origin=self._origin(name))

    def _uuid(self, name: str) -> str:
        return derived_id(self._salt, name)

    def _origin(self, name: str) -> Origin:
        request = derived_id(self._salt, name, str(len(self._flows.get(name, ()))))
        return Origin(request_id=f"req-{request}", user=USER, project=USER, is_admin=True)

    async def _carry_out(self, name: str, what: str, order: Order) -> None:
        # What a server was made from is in the tables anyway.
        self._flows.setdefault(name, []).append(what.partition(" from ")[0])
        self._screen.begin(name, what)
        with anyio.move_on_after(SILENCE_S_MAX) as patience:
            accepted = await self._client.order(order)
            async with aclosing(self._client.follow(accepted)) as following:
                async for news in following:
                    patience.deadline = anyio.current_time() + SILENCE_S_MAX
                    self._take(news)
        if patience.cancelled_caught:
            raise Stuck(f"{name}: {what}: nothing has happened for {SILENCE_S_MAX:g} s; {await self._reason(name)}")

    def _take(self, news: StepNews | Progress) -> None:
        match news:
            case StepNews():
                self._screen.tell(news)
            case Progress(ending=Ending(cause=ErrorReport() as cause)):
                raise revive(cause)
            case Progress():
                pass
            case _:
                assert_never(news)

    async def _reason(self, name: str) -> str:
        """Read what a server's conversation waits for, past the conductor, which may be what is stuck."""
        found = await self._observed.conductor.transact(conversations)
        waiting = (each.waits_for for each in found if each.server == self._uuid(name))
        return next((f"it waits for {reason}" for reason in waiting if reason), "it does not say what it waits for")

    # --- guests ----------------------------------------------------------------------------------------------

    def _witness(self, name: str, *, root: str | None, data: str | None = None) -> None:
        """Note what is on a server's disks just before it moves: from then on less of it would be a loss."""
        uuid = self._uuid(name)
        self._before[name] = self._counter(name)
        self.witnessed.append(Witnessed(server=uuid, volume=root, counter=self._before[name]))
        if data is not None:
            counter = self._observed.read_volume(data).counter
            self.witnessed.append(Witnessed(server=uuid, volume=data, counter=counter))

    async def _counts(self, name: str, *, beyond: int) -> None:
        """Wait until a guest has counted on: that it runs is a fact on its disk, and no actor's word."""
        with anyio.move_on_after(COUNTING_S_MAX):
            while self._counter(name) <= beyond:  # noqa: ASYNC110 - another process changes it, and can set no event of ours.
                await anyio.sleep(POLL_S)
            return
        raise GuestSilent(f"the guest of {name} has not counted beyond {beyond} within {COUNTING_S_MAX:g} s")

    def _counter(self, name: str) -> int:
        """Read how far a server's guest has counted, where it is defined."""
        states = (state for host in self._observed.hosts.values() for state in host.inspect())
        found = (state.witness for state in states if state.server == self._uuid(name) and state.is_defined)
        return max((witness.counter for witness in found if witness), default=0)
