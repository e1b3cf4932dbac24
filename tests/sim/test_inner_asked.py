"""On the inner level, too, a server's cell hands on what it is asked: once, whatever the wires do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.envelope import Key
from protocol.messages.building import BuildInstances, NewServer
from protocol.messages.instances import AskStop
from protocol.messages.servers import Origin
from protocol.records import Server
from protocol.states import VmState
from sim.cases.layout import Layout
from sim.cases.workload import IMAGE, TINY, Act, Op
from sim.faults import Fault, FaultKind
from sim.inner.memory import Command
from sim.inner.world import InnerWorld

if TYPE_CHECKING:
    from protocol.errors import CellferryError
    from protocol.requests import Request
    from sim.inner.memory import Reply
    from sim.inner.messages import Question

STOP = AskStop(server="s1", origin=Origin(request_id="r", user="u", project="project"))
KINDS = (FaultKind.LOSE, FaultKind.DOUBLE, FaultKind.DOUBLE_LATE, FaultKind.DELAY, FaultKind.CONFIRM_LOST)


class Visitor:
    """Asks a cell again and again, under one key."""

    def __init__(self, world: InnerWorld, request: Request[Any] = STOP, host: str = "h1") -> None:
        """Visit the root of a world, to ask that of the cell of a host."""
        self.request, self.host = request, host
        self.cell = world.layout.root
        self.process = world.setting.process(f"{self.cell}/visitor")
        self.replies: list[Any] = []
        self._world = world

    def ask(self, number: int) -> None:
        """Ask the cell."""
        home = self._world.cells[self._world.layout.hosts[self.host]]
        key = Key.plain("visitor", 1)
        self._world.setting.network.ask(
            self, self.request, to=home.process, cell=home.cell, receive=home.receive, about=f"ask:{number}",
            budget_s=5.0, server="s1", command=Command(key, str(key), "s1", 0, self.request),
        )  # fmt: skip

    def waits_for(self, question: Question) -> bool:
        """Wait for every answer."""
        return bool(question)

    def take(self, _question: Question, reply: Reply) -> None:
        """Note an answer that is none of an error."""
        if not reply.is_error:
            self.replies.append(reply.value)

    def fail(self, question: Question, error: CellferryError) -> None:
        """Hear that it went nowhere: it is asked again in any case."""


strikes = st.tuples(
    st.sampled_from(KINDS), st.sampled_from(["ask_stop", "pass_order", "take_order"]), st.integers(0, 2),
    st.sampled_from([0.5, 12.0]),
)  # fmt: skip


@settings(max_examples=60)
@given(weather=st.lists(strikes, max_size=4), seed=st.integers(0, 999))
def test_what_is_asked_again_and_again_of_a_cell_is_one_conversation(
    weather: list[tuple[FaultKind, str, int, float]], seed: int
) -> None:
    """It is the one that every reply names, and in the end nothing waits in any outbox."""
    plan = tuple(
        Fault(kind=kind, name=f"f{number}", point=method, skip=skip, amount_s=amount_s)
        for number, (kind, method, skip, amount_s) in enumerate(weather)
    )
    world = InnerWorld(Layout(), seed=seed, plan=plan)
    world.add_image(IMAGE)
    world.place(Op(name="create", server="s1", act=Act.CREATE, host="h1"))
    world.run_until_quiet(60.0)
    world.injector.begin()
    visitor = Visitor(world)
    for number in range(6):
        visitor.ask(number)
        world.run_for(2.0)
    world.run_for(30.0)
    world.run_until_quiet(300.0)
    stops = [name for name, journal in world.journals().items() if journal.goal == "stop"]
    assert stops == [*dict.fromkeys(reply.conversation for reply in visitor.replies)]
    assert len(stops) == 1
    assert not any(cell.outbox for cell in world.cells.values())
    home = world.cells[world.layout.hosts["h1"]].rows.find(Server, "s1")
    assert home is not None
    assert home.vm_state is VmState.STOPPED


def test_builds_that_a_cell_is_asked_for_again_and_again_are_built_there_once() -> None:
    """As by the cells of the actors: in that cell, however much room there is elsewhere."""
    world = InnerWorld(Layout(), seed=1)
    world.add_image(IMAGE)
    host = max(world.layout.hosts)
    servers = tuple(NewServer(server=name, name=name) for name in ("s1", "s2"))
    visitor = Visitor(world, BuildInstances(servers=servers, flavor=TINY, image=IMAGE, origin=STOP.origin), host)
    for number in range(3):
        visitor.ask(number)
        world.run_for(2.0)
    world.run_until_quiet(300.0)
    assert {reply.conversations for reply in visitor.replies} == {tuple(world.journals())}
    home = world.cells[world.layout.hosts[host]]
    for server in servers:
        row = home.rows.find(Server, server.server)
        assert row is not None
        assert row.vm_state is VmState.ACTIVE
    assert not any(cell.outbox for cell in world.cells.values())
