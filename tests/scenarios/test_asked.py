"""A server's own cell is asked to have something done with it: the conductor does it, once, whatever happens."""

from __future__ import annotations

from typing import Final

import anyio
import attrs
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from protocol.errors import CellferryError, Conflict, NotFound
from protocol.journal import Kind
from protocol.messages import instances as say
from protocol.messages.handing import PassOrder
from protocol.messages.instances import Handed
from protocol.messages.servers import Origin
from protocol.records import Mirror, Server, ServerAction
from protocol.states import VmState
from sim import Scenario
from sim.cases.workload import SMALL
from sim.faults import Fault, FaultKind
from sim.history import Journaled, Note, Sent
from tests.scenarios.endings import at_rest

USER: Final = Origin(request_id="r", user="u", project="project")
HOSTS: Final = {"h1": "api!eu!eu-1", "h2": "api!us"}
HOME: Final = "api!eu!eu-1"
STOP: Final = say.AskStop(server="web", origin=USER)


async def ask(s: Scenario, request: say.Ask | say.AskOrder, *, to: str = HOME, key: str = "asker:1") -> Handed:
    """Ask a cell until it answers: what is not answered is asked again under the same key."""
    while True:
        try:
            return await s.call(to, request, server=request.server, key=key, budget_s=3.0)
        except CellferryError as error:
            if not error.is_retryable:
                raise


def begun(s: Scenario, goal: str) -> list[str]:
    """List the conversations that have begun, in order."""
    lines = (line.what for line in s.stage.history.lines if isinstance(line.what, Journaled))
    return [line.conversation for line in lines if line.entry.kind is Kind.BEGIN and line.goal == goal]


@pytest.mark.proves("R52", "R53", "R54")
def test_a_server_is_stopped_by_its_cell_and_asking_again_does_nothing() -> None:
    """The reply names the conversation that does it, however often it is asked under that key."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        handed = await ask(s, STOP)
        assert await ask(s, STOP) == handed
        await s.quiet()
        assert await ask(s, STOP) == handed
        await s.quiet()
        assert begun(s, "stop") == [handed.conversation]
        assert s.truth.servers("web")[HOME].vm_state is VmState.STOPPED
        await ask(s, say.AskStart(server="web", origin=USER), key="asker:2")
        await s.quiet()
        assert s.truth.running("web") == ("h1",)
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS)


def test_a_move_is_asked_for_confirmed_and_the_server_deleted_all_by_its_cells() -> None:
    """Each time by the one that is its home then; the order is no administrator's any more."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        await ask(s, say.AskResize(server="web", origin=USER, flavor=SMALL, host="h2"))
        await s.quiet()
        assert s.truth.running("web") == ("h2",)
        await ask(s, say.AskConfirm(server="web", origin=USER), key="asker:2", to="api!us")
        await s.quiet()
        assert s.truth.servers("web").keys() == {"api!us"}
        await ask(s, say.AskDelete(server="web", origin=USER), key="asker:3", to="api!us")
        await at_rest(s)
        assert s.truth.mapping("web") is None

    Scenario.run(story, hosts=HOSTS)


def answers_to(s: Scenario, method: str) -> list[Note]:
    """List the answers that anybody has sent to a method's calls and casts, on their whole way."""
    sent = (line.what for line in s.stage.history.lines if isinstance(line.what, Sent))
    notes = [note for each in sent for note in each.notes]
    asked = {note.id for note in notes if note.method == method and note.kind != "answer"}
    return [note for note in notes if note.kind == "answer" and note.answers in asked]


@pytest.mark.proves("R138", "R54")
def test_a_result_is_for_whoever_waits_for_it_and_a_cast_brings_none() -> None:
    """A call brings the conversation or raises; a cast is carried out likewise, or refused, and nobody hears of it."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        nobody = say.AskStop(server="nobody", origin=USER)
        for key, request in (("caster:1", nobody), ("caster:2", STOP)):
            await s.cast(HOME, request, server=request.server, key=key)
            await s.wait(2.0)
        await s.quiet()
        assert s.truth.servers("web")[HOME].vm_state is VmState.STOPPED
        assert len(begun(s, "stop")) == 1
        assert answers_to(s, "ask_stop") == []
        with pytest.raises(NotFound, match="no server nobody"):
            await s.call(HOME, nobody, server="nobody", key="caller:1")
        start = say.AskStart(server="web", origin=USER)
        handed = await s.call(HOME, start, server="web", key="caller:2")
        assert [note.is_error for note in answers_to(s, "ask_stop")].count(True) >= 1
        await s.quiet()
        assert begun(s, "start") == [handed.conversation]
        assert s.truth.running("web") == ("h1",)
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS)


@pytest.mark.proves("R81")
def test_a_server_that_is_deleted_softly_everywhere_is_so_in_its_home_and_can_be_restored() -> None:
    """Every cell is asked, one has it, and the others say that they have not."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        request = say.DeleteEverywhere(server="web", origin=USER, is_soft=True)
        replies = [reply.reply for reply in await s.gather(request, key="asker:1")]
        await s.quiet()
        assert [reply.conversation for reply in replies if reply and reply.conversation] == begun(s, "soft_delete")
        assert (s.truth.servers("web")[HOME].vm_state, s.truth.running("web")) == (VmState.SOFT_DELETED, ())
        await (await s.restore("web")).done()
        assert s.truth.running("web") == ("h1",)
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS)


@pytest.mark.proves("R30", "R49")
def test_a_cell_that_has_no_such_server_says_so_to_who_asks_and_to_the_root() -> None:
    """A mirror that was left over goes, its home's stays, and nothing is begun."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        await s.quiet()
        row = s.truth.listing("web")[0]
        left = attrs.evolve(row, cell="api!us")
        s.plant("api", left)
        for cell in ("api!us", "api!eu"):
            with pytest.raises(NotFound, match="no server web"):
                await ask(s, STOP, to=cell)
        await at_rest(s)
        assert begun(s, "stop") == []
        assert set(s.truth.rows(Mirror, "web")) == {row, attrs.evolve(left, is_gone=True)}

    Scenario.run(story, hosts=HOSTS)


def test_a_cell_cannot_have_another_cells_server_worked_on() -> None:
    """Whatever it sends to the root: the route says where it comes from, and that is not the home."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        forged = PassOrder(asked="asker:1", order=STOP.order)
        for cell in ("api!us", "api!eu", "api"):
            with pytest.raises(Conflict, match="is not its home"):
                await s.call("api", forged, at=cell)
        await at_rest(s)
        assert begun(s, "stop") == []

    Scenario.run(story, hosts=HOSTS)


#: Who says what on the way of an order, and back.
WAYS: Final = ("ask_stop", "pass_order", "take_order")
STRIKES: Final = (FaultKind.LOSE, FaultKind.DOUBLE, FaultKind.DOUBLE_LATE, FaultKind.DELAY, FaultKind.CONFIRM_LOST)
strikes = st.tuples(st.sampled_from(STRIKES), st.sampled_from(WAYS), st.integers(0, 3), st.sampled_from([0.5, 12.0]))
deaths = st.tuples(st.sampled_from([HOME, "api", "conductor"]), st.sampled_from([0.0, 0.02, 0.1, 0.3, 0.5, 1.0]))


@settings(
    deadline=None,
    max_examples=10,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.generate],
    derandomize=True,
)
@given(weather=st.lists(strikes, max_size=4), dead=st.lists(deaths, max_size=2), seed=st.integers(0, 99))
def test_whatever_is_lost_doubled_or_late_and_whoever_dies_it_is_done_once(
    weather: list[tuple[FaultKind, str, int, float]], dead: list[tuple[str, float]], seed: int
) -> None:
    """Of a request that is asked until it is answered: one conversation, one action in the history, nothing left."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        for number, (kind, method, skip, amount_s) in enumerate(weather):
            s.inject(Fault(kind=kind, name=f"f{number}", point=method, times=1, skip=skip, amount_s=amount_s))

        async def die(actor: str, at_s: float) -> None:
            await s.wait(at_s)
            s.kill(actor, down_s=2.0)

        async with anyio.create_task_group() as tasks:
            for actor, at_s in dead:
                tasks.start_soon(die, actor, at_s)
            handed = await ask(s, STOP)
        await s.wait(13.0)
        s.heal()
        await at_rest(s)
        assert begun(s, "stop") == [handed.conversation]
        actions = s.truth.in_cell(HOME, ServerAction, "web")
        assert sorted(row.action for row in actions) == ["create", "stop"]
        assert s.truth.in_cell(HOME, Server)[0].vm_state is VmState.STOPPED

    Scenario.run(story, hosts=HOSTS, seed=seed)
