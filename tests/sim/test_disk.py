"""A simulated disk: visible at once, durable after the fsync, undone by a crash in between."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

import anyio
import attrs
import pytest
import sqlalchemy as sa
from anyio.abc import TaskGroup
from hypothesis import event, given
from hypothesis import strategies as st

from actors.kernel.ports import Store
from actors.store.statements import run_sql
from protocol.errors import StoreUnavailable
from sim.clock import run
from sim.edges.disk import Disk
from sim.faults import Fault, FaultKind
from sim.history import Fired, Flushed, History, Noted, Undone
from sim.process import Process
from tests.sim.weather import Weather, elapse, weather

pytestmark = pytest.mark.anyio

METADATA: Final = sa.MetaData()
ROWS: Final = sa.Table("rows", METADATA, sa.Column("number", sa.Integer, primary_key=True))
FSYNC_S: Final = 0.001
#: A fsync falls between two steps.
STEP_S: Final = 0.0004
FSYNC_STEPS: Final = 2.5
LONG_S: Final = 1.0


def disk_of(air: Weather) -> Disk:
    return Disk(
        METADATA, name="disk", history=air.history, injector=air.injector, chance=air.chance, fsync_s=(FSYNC_S, FSYNC_S)
    )


def insert(connection: sa.Connection, number: int) -> None:
    """Write a row, by either of the ways in which the product's work does."""
    if number % 2:
        connection.execute(ROWS.insert().values(number=number))
    else:
        run_sql(connection, "INSERT INTO rows VALUES (?)", (number,))


def rows(connection: sa.Connection) -> list[int]:
    return [number for (number,) in run_sql(connection, "SELECT number FROM rows ORDER BY number")]


# --- durability ------------------------------------------------------------------------------------------------


async def test_a_commit_is_visible_at_once_and_answered_when_it_is_durable() -> None:
    """Others see the row before the fsync; its writer hears of it, and the history has it, only after."""
    air = weather()
    disk = disk_of(air)
    writer = disk.mount(Process("a"))

    def work(connection: sa.Connection) -> None:
        insert(connection, 1)
        air.history.record(Noted(process="a", event="wrote", detail="1"))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(writer.transact, work)
        await elapse(FSYNC_S / 2)
        assert disk.peek(rows) == [1]
        assert await disk.peeking.transact(rows) == [1]
        assert air.history.lines == []
    assert anyio.current_time() == pytest.approx(FSYNC_S)
    assert [line.what for line in air.history.lines] == [
        Noted(process="a", event="wrote", detail="1"),
        Flushed(process="disk", transactions=1),
    ]
    disk.close()


async def test_who_reads_what_is_not_durable_waits_until_it_is() -> None:
    """Read-only work returns in no time, but not with something that may yet be undone."""
    air = weather()
    disk = disk_of(air)
    reader = disk.mount(Process("b"))
    assert await reader.transact(rows) == []
    assert anyio.current_time() == 0
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(disk.mount(Process("a")).transact, insert, 1)
        await elapse(FSYNC_S / 2)
        assert await reader.transact(rows) == [1]
        assert anyio.current_time() == pytest.approx(FSYNC_S)
    disk.close()


async def test_a_cancelled_writer_has_committed() -> None:
    """Who gives up waiting for the fsync undoes nothing."""
    disk = disk_of(weather())
    with anyio.move_on_after(FSYNC_S / 2):
        await disk.mount(Process("a")).transact(insert, 1)
    await elapse(LONG_S)
    assert disk.peek(rows) == [1]
    disk.close()


async def test_a_dead_process_changes_nothing() -> None:
    """A store of a killed process never returns, and never writes."""
    disk = disk_of(weather())
    process = Process("a")
    store = disk.mount(process)
    process.kill()
    with anyio.move_on_after(LONG_S) as scope:
        await store.transact(insert, 1)
    assert scope.cancelled_caught
    assert disk.peek(rows) == []
    disk.close()


async def test_a_peek_that_writes_is_a_mistake_and_one_that_notes_leaves_no_trace() -> None:
    """The truth is read, never made."""
    air = weather()
    disk = disk_of(air)
    with pytest.raises(AssertionError, match="changed"):
        disk.peek(insert, 1)
    assert disk.peek(rows) == []
    disk.peek(lambda _connection: air.history.record(Noted(event="read", detail="")))
    assert air.history.lines == []
    disk.close()


# --- the model -------------------------------------------------------------------------------------------------


@attrs.frozen
class Move:
    """What a process does next: write, read, write and fail, or die."""

    what: str
    who: str


@attrs.define
class Model:
    """What a disk promises, said with lists."""

    step: int = 0
    flush_at: float = 0.0
    pending: list[tuple[int, str, str, int]] = attrs.field(factory=list)  # Number, what, who, which run of him.
    rows: list[int] = attrs.field(factory=list)
    notes: list[int] = attrs.field(factory=list)
    answered: list[int] = attrs.field(factory=list)
    undone: list[int] = attrs.field(factory=list)
    runs: dict[str, int] = attrs.field(factory=lambda: {"a": 1, "b": 1})

    def do(self, number: int, move: Move) -> None:
        """Take a move, and let a step's time pass."""
        if move.what == "kill":
            self.runs[move.who] += 1
            if self.pending and all(who == move.who for _, _, who, _ in self.pending):
                self.undone.append(sum(what == "write" for _, what, _, _ in self.pending))
                self.pending = []
        elif move.what == "write" or self.pending:
            self.flush_at = self.flush_at if self.pending else self.step + FSYNC_STEPS
            self.pending.append((number, move.what, move.who, self.runs[move.who]))
        else:
            self.finish(number, move.what, is_alive=True)
        self.step += 1
        if self.flush_at < self.step:
            self.flush()

    def flush(self) -> None:
        """Make what is pending durable."""
        pending, self.pending = self.pending, []
        for number, what, who, run_of_him in pending:
            self.finish(number, what, is_alive=self.runs[who] == run_of_him)

    def finish(self, number: int, what: str, *, is_alive: bool) -> None:
        """End a transaction well."""
        self.rows += [number] if what == "write" else []
        self.notes += [number] if what != "fail" else []
        self.answered += [number] if is_alive else []


@attrs.define
class Bench:
    """A disk, and two processes that use it."""

    history: History
    disk: Disk
    tasks: TaskGroup
    processes: dict[str, Process] = attrs.field(factory=lambda: {name: Process(name) for name in "ab"})
    answered: list[int] = attrs.field(factory=list)

    def do(self, number: int, move: Move) -> None:
        """Start a move."""
        process = self.processes[move.who]
        if move.what == "kill":
            process.kill()
            self.processes[move.who] = Process(move.who, run=process.run + 1)
        else:
            self.tasks.start_soon(self.use, self.disk.mount(process), number, move.what)

    async def use(self, store: Store, number: int, what: str) -> None:
        """Run a transaction, and write down that it was answered."""
        with suppress(KeyError):
            await store.transact(self.work, number, what)
        self.answered.append(number)

    def work(self, connection: sa.Connection, number: int, what: str) -> None:
        """Do what the move says, and note it."""
        if what != "read":
            insert(connection, number)
        self.history.record(Noted(event=what, detail=str(number)))
        if what == "fail":
            raise KeyError(number)


MOVES: Final = st.builds(Move, st.sampled_from(("write", "write", "read", "fail", "kill")), st.sampled_from("ab"))


@given(moves=st.lists(MOVES, max_size=30))
def test_a_crash_undoes_exactly_what_was_not_durable(moves: list[Move]) -> None:
    """Rows, notes, answers and what was undone are those of a model, whatever is written, fails and dies."""
    model = Model()

    async def main() -> None:
        air = weather()
        async with anyio.create_task_group() as tasks:
            bench = Bench(air.history, disk_of(air), tasks)
            for number, move in enumerate(moves):
                bench.do(number, move)
                model.do(number, move)
                await elapse(STEP_S)
            visible = sorted([*model.rows, *(number for number, what, _, _ in model.pending if what == "write")])
            assert bench.disk.peek(rows) == visible
            await elapse(LONG_S)
            model.flush()
            assert bench.disk.peek(rows) == model.rows
            tasks.cancel_scope.cancel()
        assert [int(note.detail) for note in air.of(Noted)] == model.notes
        assert bench.answered == model.answered
        assert [undone.transactions for undone in air.of(Undone)] == model.undone
        assert sum(flushed.transactions for flushed in air.of(Flushed)) == len(model.rows)
        bench.disk.close()

    run(main)
    event(f"undone: {bool(model.undone)}")


# --- faults ----------------------------------------------------------------------------------------------------


def fault(kind: FaultKind, *, for_s: float = 100.0, amount_s: float = 0.0, times: int = 1) -> Fault:
    return Fault(kind=kind, name="f", for_s=for_s, amount_s=amount_s, times=times, where="a")


async def test_a_slow_store_takes_longer_to_make_a_commit_durable() -> None:
    """STORE_SLOW holds the caller up, and whoever shares the fsync with him."""
    air = weather(fault(FaultKind.STORE_SLOW, amount_s=3))
    disk = disk_of(air)
    await disk.mount(Process("a")).transact(insert, 1)
    assert anyio.current_time() == pytest.approx(3 + FSYNC_S)
    assert air.struck(FaultKind.STORE_SLOW)
    disk.close()


async def test_a_slow_commit_that_joins_a_group_holds_it_up() -> None:
    """STORE_SLOW of the second transaction delays the fsync that the first has asked for."""
    air = weather(attrs.evolve(fault(FaultKind.STORE_SLOW, amount_s=3), where="b"))
    disk = disk_of(air)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(disk.mount(Process("a")).transact, insert, 1)
        tasks.start_soon(disk.mount(Process("b")).transact, insert, 2)
    assert anyio.current_time() == pytest.approx(3 + FSYNC_S)
    assert [flushed.transactions for flushed in air.of(Flushed)] == [2]
    disk.close()


@pytest.mark.parametrize("is_pending", [False, True], ids=["first of its group", "in a group"])
async def test_a_failing_store_undoes_the_transaction_and_says_so(*, is_pending: bool) -> None:
    """STORE_ERROR leaves nothing of this transaction, and harms no other of its group."""
    air = weather(fault(FaultKind.STORE_ERROR))
    disk = disk_of(air)
    store = disk.mount(Process("a"))
    async with anyio.create_task_group() as tasks:
        if is_pending:
            tasks.start_soon(disk.mount(Process("b")).transact, insert, 2)
            await elapse(STEP_S)
        with pytest.raises(StoreUnavailable, match="disk"):
            await store.transact(insert, 1)
    assert disk.peek(rows) == [2] * is_pending
    assert air.struck(FaultKind.STORE_ERROR)
    await store.transact(insert, 1)
    disk.close()


async def test_a_read_that_fails_fires_without_mattering() -> None:
    """STORE_ERROR strikes reads too, where it changes nothing."""
    air = weather(fault(FaultKind.STORE_ERROR))
    disk = disk_of(air)
    with pytest.raises(StoreUnavailable):
        await disk.mount(Process("a")).transact(rows)
    assert air.struck(FaultKind.STORE_ERROR, mattered=False)
    disk.close()


async def test_an_unsure_store_commits_and_reports_a_failure() -> None:
    """STORE_UNSURE: the row is there, after the fsync, and the caller was told otherwise."""
    air = weather(fault(FaultKind.STORE_UNSURE))
    disk = disk_of(air)
    with pytest.raises(StoreUnavailable, match="commit"):
        await disk.mount(Process("a")).transact(insert, 1)
    assert anyio.current_time() == pytest.approx(FSYNC_S)
    assert disk.peek(rows) == [1]
    assert air.struck(FaultKind.STORE_UNSURE)
    disk.close()


async def test_a_full_store_refuses_writes_while_it_lasts() -> None:
    """STORE_FULL refuses every write until its time is over, and no read."""
    air = weather(fault(FaultKind.STORE_FULL, for_s=LONG_S))
    disk = disk_of(air)
    store = disk.mount(Process("a"))
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="full"):
            await store.transact(insert, 1)
        assert await store.transact(rows) == []
    assert air.struck(FaultKind.STORE_FULL)
    await elapse(LONG_S)
    await store.transact(insert, 1)
    assert disk.peek(rows) == [1]
    disk.close()


async def test_a_lost_fsync_kills_its_process_and_takes_the_commit_with_it() -> None:
    """FSYNC_LOST: the row was visible, the process dies by `on_kill`, and the row is gone."""
    air = weather(fault(FaultKind.FSYNC_LOST))
    disk = disk_of(air)
    process, killed = Process("a"), list[str]()
    store = disk.mount(process)

    def kill(victim: Process) -> None:
        killed.append(victim.name)
        victim.kill()

    disk.on_kill = kill
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(store.transact, insert, 1)
        await elapse(FSYNC_S / 4)
        assert disk.peek(rows) == [1]
        await elapse(FSYNC_S / 2)
        assert killed == ["a"]
        assert disk.peek(rows) == []
        tasks.cancel_scope.cancel()
    assert air.struck(FaultKind.FSYNC_LOST)
    disk.close()


async def test_a_lost_fsync_that_others_wait_for_does_not_matter() -> None:
    """FSYNC_LOST kills the process, but what another has read is not undone."""
    air = weather(fault(FaultKind.FSYNC_LOST))
    disk = disk_of(air)
    process = Process("a")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(disk.mount(process).transact, insert, 1)
        await elapse(FSYNC_S / 4)
        assert await disk.mount(Process("b")).transact(rows) == [1]
        assert process.is_cut
        tasks.cancel_scope.cancel()
    assert disk.peek(rows) == [1]
    assert air.struck(FaultKind.FSYNC_LOST, mattered=False)
    disk.close()


async def test_a_strike_that_the_end_of_the_world_overtakes_is_noted() -> None:
    """Closing the disk notes what struck, once."""
    air = weather(fault(FaultKind.STORE_UNSURE))
    disk = disk_of(air)
    with anyio.move_on_after(FSYNC_S / 2):
        await disk.mount(Process("a")).transact(insert, 1)
    disk.close()
    disk.close()
    assert [fired.mattered for fired in air.of(Fired)] == [False]
