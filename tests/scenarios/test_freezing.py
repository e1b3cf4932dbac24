"""A cell that is frozen lets nothing new begin and takes no servers; what had begun before comes to its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import attrs
import pytest

from protocol.errors import CellFrozen
from protocol.journal import Entry, Kind
from protocol.messages import instances, tree
from protocol.messages.changes import ServerChange, UpdateFromApi
from protocol.messages.servers import Origin, ReadServer
from protocol.moves.crossing import Crossing
from protocol.records import CellFreeze, Neighbour
from protocol.saga import Retries
from protocol.states import VmState
from sim import Scenario
from sim.cases.workload import Act, Op
from sim.history import Journaled, Line
from sim.scenario import Move
from sim.stages.inner import InnerStage
from sim.stages.loop import LoopStage
from tests.scenarios.endings import at_rest
from tests.shares import part

STAGES: Final = pytest.mark.parametrize("on", [LoopStage, InnerStage])
HOSTS: Final = {"h1": "api!eu", "h2": "api!us"}
HOME, OTHER = "api!eu", "api!us"
WHY: Final = "new switches"
USER: Final = Origin(request_id="r", user="u", project="project")
PERSISTENT: Final = Crossing(is_scheduled=True, retries=Retries(times=3, pause_s=5.0))


def freeze(s: Scenario, cell: str, reason: str = WHY) -> CellFreeze:
    """Have a cell be frozen at this instant, whatever is on its way."""
    row = CellFreeze(cell=cell, reason=reason, user="operator", since_us=1)
    s.plant(f"{cell}/cell", row)
    return row


def thaw(s: Scenario, cell: str) -> None:
    s.stage.unplant(f"{cell}/cell", CellFreeze(cell=cell))


def record(s: Scenario) -> tuple[Any, ...]:
    """Give all that the cells and the root have of the server."""
    return (
        s.truth.servers("web"), s.truth.migrations("web"), s.truth.actions("web"), s.truth.faults("web"),
        s.truth.allocations("web"), s.truth.mapping("web"), s.truth.notifications("web"),
    )  # fmt: skip


# --- the door ----------------------------------------------------------------------------------------------

#: Where an order needs more than its server's name.
FIELDS: Final[dict[Act, dict[str, Any]]] = {
    Act.ATTACH: {"volume": "extra", "device": "/dev/vdc"},
    Act.DETACH: {"volume": "data"},
    Act.SWAP: {"volume": "data", "replacement": "extra"},
}
#: What a frozen cell lets in is shown below; a create is about a server that no cell has yet.
BARRED: Final = tuple(act for act in Act if act not in {Act.CREATE, Act.CONFIRM, Act.REVERT, Act.REPAIR})


@pytest.mark.parametrize(
    ("act", "on"),
    [*((act, InnerStage) for act in BARRED), *((act, LoopStage) for act in (Act.STOP, Act.RENAME, Act.DELETE))],
)
@pytest.mark.proves("Q25")
def test_each_order_about_a_server_of_a_frozen_cell_is_refused_by_name(act: Act, on: Callable[..., Any]) -> None:
    """At the door, with nothing changed; when the cell is thawed, the server is free for the next."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1", volume="data")
        await s.quiet()
        before = record(s)
        freeze(s, HOME)
        move = await s.order(Op(name="asked", act=act, server="web", **FIELDS.get(act, {})))
        assert (move.conversation, move.error) == ("", "cell_frozen")
        await s.quiet()
        assert record(s) == before
        thaw(s, HOME)
        await (await s.migrate("web")).done()
        assert s.truth.running("web") == ("h2",)
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS, on=on)


@pytest.mark.proves("Q25")
def test_what_a_frozen_cell_itself_is_asked_to_do_with_its_server_is_refused() -> None:
    """Before it hands anything on; it says who is frozen, why, and how that ends."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        told = await s.call(HOME, tree.FreezeCell(reason=WHY, user="operator"))
        assert told == attrs.evolve(told, cell=HOME, reason=WHY, user="operator")
        change = UpdateFromApi(server="web", change=ServerChange(name="shop"), action="a1", origin=USER)
        for number, asked in enumerate((instances.AskStop(server="web", origin=USER), change)):
            with pytest.raises(CellFrozen, match=f"cell {HOME} is frozen .{WHY}.*cell set '{HOME}' --no-frozen"):
                await s.call(HOME, asked, server="web", key=f"asker:{number}")
        everywhere = instances.DeleteEverywhere(server="web", origin=USER)
        replies = {reply.cell: reply for reply in await s.gather(everywhere, key="asker:9")}
        assert isinstance(replies.pop(HOME).error, CellFrozen)
        assert [reply.error for reply in replies.values()] == [None] * len(replies)
        await s.call(HOME, tree.ThawCell())
        assert (await s.call(HOME, change, server="web")).name == "shop"
        await at_rest(s)
        assert s.truth.running("web") == ("h1",)

    Scenario.run(story, hosts=HOSTS)


@pytest.mark.proves("Q25")
def test_a_frozen_cell_answers_all_that_only_reads_and_says_that_it_is_frozen() -> None:
    """After a restart of all of it, too: until an operator thaws it, twice if he likes."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        for reason in ("why not", WHY):
            await s.call(HOME, tree.FreezeCell(reason=reason))
        s.kill(f"{HOME}/cell", down_s=1.0)
        s.kill(f"{HOME}/link", down_s=1.0)
        await s.wait(10.0)
        assert (await s.call(HOME, ReadServer(server="web"))).server.vm_state is VmState.ACTIVE
        shown = await s.call(HOME, tree.ShowCell())
        assert shown.freeze is not None
        assert (shown.freeze.reason, shown.own_capacities.ram_free.total_mb) == (WHY, 0)
        assert {reply.cell for reply in await s.gather(tree.ShowCell()) if reply.error is None} == {"api", HOME, OTHER}
        assert (await s.stop("web")).error == "cell_frozen"
        for _ in range(2):
            await s.call(HOME, tree.ThawCell())
        assert (await s.call(HOME, tree.ShowCell())).freeze is None
        await (await s.stop("web")).done()
        s.heal()
        await at_rest(s)

    Scenario.run(story, cells=("api", HOME, OTHER), hosts=HOSTS)


# --- the choice --------------------------------------------------------------------------------------------


@STAGES
@pytest.mark.parametrize("crossing", [None, PERSISTENT])
@pytest.mark.proves("Q25")
def test_a_frozen_cell_is_never_chosen_and_the_reason_is_told(on: Callable[..., Any], crossing: Any) -> None:
    """For a build or a move, with the choice of cells or without, by choice or by name."""

    async def story(s: Scenario) -> None:
        s.plant("api/cell", Neighbour(cell=HOME, place=0), Neighbour(cell=OTHER, place=1))
        freeze(s, OTHER)
        for server in ("web", "db"):
            await s.create(server)
            assert s.truth.running(server) == ("h1",)
        why = f"cell {OTHER} is frozen ({WHY})"
        for named in ("h2", ""):
            move = await (await s.migrate("web", host=named)).over()
            assert (move.error, why in str(move.cause)) == ("no_valid_host", True)
            assert s.truth.running("web") == ("h1",)
        freeze(s, HOME, "")
        refused = await (await s.create("new", wait=False)).over()
        assert refused.error == ("no_cells_available" if crossing else "no_valid_host")
        assert f"cell {HOME} is frozen (no reason was given), and {why}" in str(refused.cause)
        for cell in (HOME, OTHER):
            thaw(s, cell)
        await (await s.migrate("web", host="h2")).done()
        await at_rest(s)

    Scenario.run(story, cells=("api", HOME, OTHER), hosts=HOSTS, on=on, crossing=crossing)


@pytest.mark.proves("Q25")
def test_what_is_below_a_frozen_cell_is_not_frozen_with_it() -> None:
    """The choice goes past it: a cell is frozen by its own name."""

    async def story(s: Scenario) -> None:
        await s.wait(3.0)
        await s.call(HOME, tree.FreezeCell())
        await s.create("web")
        assert s.truth.running("web") == ("h3",)
        await (await s.stop("web")).done()
        await at_rest(s)

    Scenario.run(
        story, hosts={"h1": HOME, "h3": f"{HOME}!eu-1"}, crossing=Crossing(is_scheduled=True),
        arrange=lambda layout: layout.advertising(announce_s=10.0, mute_child_s=30),
    )  # fmt: skip


# --- what had begun ----------------------------------------------------------------------------------------


@STAGES
@pytest.mark.parametrize("order", ["confirm", "revert"])
@pytest.mark.parametrize("cell", [HOME, OTHER])
@pytest.mark.proves("Q25")
def test_a_move_that_waits_may_be_settled_either_way_whichever_cell_is_frozen(
    order: str, cell: str, on: Callable[..., Any]
) -> None:
    """It had begun before, and its place at either end is held: it ends, and nothing else begins."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1", volume="data")
        await (await s.resize("web", host="h2")).done()
        freeze(s, cell)
        deleted = await s.delete("web") if cell == OTHER else None
        assert deleted is None or (deleted.conversation, deleted.error) == ("", "cell_frozen")
        await (await getattr(s, order)("web")).done()
        assert s.truth.running("web") == (("h2",) if order == "confirm" else ("h1",))
        stopped = await s.stop("web")
        is_there = (order == "confirm") == (cell == OTHER)
        assert stopped.error == ("cell_frozen" if is_there else "")
        await stopped.over()
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS, on=on)


@STAGES
def test_a_move_that_waits_in_a_frozen_cell_is_confirmed_by_itself(on: Callable[..., Any]) -> None:
    """As anywhere: a move that had begun comes to its end, and what it has left elsewhere is cleaned."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        await (await s.resize("web", host="h2")).done()
        freeze(s, OTHER)
        await s.wait(60.0)
        assert [each.status.value for each in s.truth.migrations("web")] == ["confirmed"]
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS, on=on, confirm_after_s=20)


@STAGES
def test_a_delete_that_waits_behind_another_order_is_done_although_the_cell_is_frozen(on: Callable[..., Any]) -> None:
    """It was accepted at once, so it is not forgotten: it ends what had begun before."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        s.fail("h2", "spawn", how="late", late_s=20.0)
        move = await s.migrate("web", host="h2")
        await s.wait(10.0)
        deleted = await s.delete("web")
        for cell in (HOME, OTHER):
            freeze(s, cell)
        await move.over()
        await deleted.done()
        assert s.truth.servers("web") == {}
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS, on=on)


def test_a_server_whose_record_is_lost_is_not_deleted_while_its_cell_is_frozen() -> None:
    """Its guest is there all the same."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        await s.quiet()
        s.stage.unplant(f"{HOME}/cell", s.truth.servers("web")[HOME])
        freeze(s, HOME)
        refused = await (await s.delete("web")).over()
        assert (refused.error, s.truth.running("web")) == ("cell_frozen", ("h1",))
        thaw(s, HOME)
        await (await s.delete("web")).done()
        assert s.truth.running("web") == ()

    Scenario.run(story, hosts=HOSTS)


#: What is under way, by a word: what is done before, and the steps by which it has come into its home, and into the
#: cell that it goes to.
UNDER_WAY: Final[dict[str, tuple[tuple[str, ...], str, str]]] = {
    "create": ((), "", "allocate"),
    "resize": ((), "begin_move", "allocate_target"),
    "confirm": (("resize",), "", ""),
    "revert": (("resize",), "", ""),
    "stop": ((), "begin", ""),
    "attach": ((), "begin", ""),
    "snapshot": ((), "begin", ""),
    "delete": ((), "look", ""),
}
#: By day, one entry in so many of each series.
ONE_IN: Final = 8


@attrs.define
class Frost:
    """Freezes a cell as soon as a conversation has written so many entries."""

    s: Scenario
    cell: str
    entry: int
    written: list[Entry] = attrs.field(factory=list)
    had: frozenset[str] = frozenset()  # The steps that were done by then.

    def listen(self, line: Line) -> None:
        what = line.what
        if isinstance(what, Journaled):
            self.written.append(what.entry)
            if len(self.written) == self.entry + 1:
                self.had = frozenset(entry.step for entry in self.written if entry.kind is Kind.DONE)
                freeze(self.s, self.cell)


async def _order(s: Scenario, word: str) -> Move:
    match word:
        case "create":
            return await s.create("web", host="h2", volume="data", wait=False)
        case "resize":
            return await s.resize("web", host="h2")
        case "attach":
            return await s.attach("web", "extra")
        case _:
            return await s.order(Op(name=word, act=Act(word), server="web"))


def overtake(word: str, cell: str, entry: int) -> list[Entry]:
    """Freeze a cell at an entry of what is under way; give all entries that it has written in the end."""
    before, of_home, of_target = UNDER_WAY[word]

    async def story(s: Scenario) -> list[Entry]:
        if word != "create":
            await s.create("web", host="h1", volume="data")
        for each in before:
            await (await _order(s, each)).done()
        frost = Frost(s, cell, entry)
        s.stage.history.listeners.append(frost.listen)
        move = await (await _order(s, word)).over()
        await s.quiet()
        s.check()
        door = of_home if cell == HOME and word != "create" else of_target
        has_come = not door or door in frost.had or len(frost.written) <= entry
        if word == "create" and cell == HOME:
            has_come = True
        assert (not move.error) is has_come, (move.error, frost.had)
        assert move.error in {"", "cell_frozen", "no_valid_host"}
        return frost.written

    return Scenario.run(story, hosts=HOSTS, on=InnerStage)


@pytest.mark.parametrize("cell", [HOME, OTHER])
@pytest.mark.parametrize("word", UNDER_WAY)
@pytest.mark.proves("Q25")
def test_whatever_is_under_way_goes_on_from_where_its_cell_has_let_it_in(word: str, cell: str) -> None:
    """At whichever entry of its journal the cell is frozen: in before, it ends well; else it is refused, all undone."""
    doors = UNDER_WAY[word][1:]
    entries = overtake(word, cell, 10_000)
    at_doors = [number for number, entry in enumerate(entries) if entry.step in doors and entry.step]
    for number in dict.fromkeys((*at_doors, *part(range(len(entries)), ONE_IN, since=len(word)))):
        overtake(word, cell, number)
