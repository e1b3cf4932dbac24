"""What outlives processes: databases whose commits are visible at once, and durable only after an fsync.

Transactions that come before the fsync of an earlier one join its group, as in `SqliteStore`: they see what is not
durable yet, and nobody hears of any of them before all are.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from contextvars import Context
from functools import partial
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeAlias, TypeVar, cast

import attrs

from actors.store.sqlite import open_inline
from actors.store.statements import driver_of, run_sql
from protocol.errors import StoreUnavailable
from sim.faults import FaultKind
from sim.history import Flushed, Looked, Undone
from sim.process import Process

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.kernel.ports import Connection
    from sim.chance import Chance
    from sim.faults import Fault
    from sim.history import Happening, History
    from sim.injector import Injector

P = ParamSpec("P")
T = TypeVar("T")
#: The tables of a database; opaque here, for only the store speaks SQL.
Tables: TypeAlias = Any

FSYNC_S: Final = (0.0005, 0.002)
READ: Final = "read"
WRITE: Final = "write"
WRITTEN: Final = re.compile(r"\s*(?:INSERT INTO|DELETE FROM|UPDATE) (\w+)")
#: Verdicts of an inbox that let a command pass; every other one is the code of a refusal.
PASSED: Final = frozenset({"fresh", "known", "accepted"})


@attrs.define(kw_only=True, eq=False)
class Ran:
    """A transaction that was run: what came of it, and when its caller may hear of it."""

    process: Process
    wrote: bool
    value: Any = None
    error: BaseException | None = None
    #: None: at once.
    answer: asyncio.Future[None] | None = None
    notes: list[Happening] = attrs.field(factory=list)
    #: Faults that struck it, of which it is not known yet whether they mattered.
    struck: list[Fault] = attrs.field(factory=list)
    #: The tables that it wrote to, when a fault waits for one.
    tables: dict[str, None] = attrs.field(factory=dict)

    def see(self, sql: str) -> None:
        """Note which table a statement writes to."""
        if written := WRITTEN.match(sql):
            self.tables[written[1]] = None


class Disk:
    """One database, and the processes that have it open.

    `on_kill` is what FSYNC_LOST does to a process: the world puts its own way to kill there.
    """

    def __init__(
        self,
        metadata: Tables,
        *,
        name: str,
        history: History,
        injector: Injector,
        chance: Chance,
        fsync_s: tuple[float, float] = FSYNC_S,
    ) -> None:
        """Make a database that has the tables of `metadata`, and no rows."""
        self.name = name
        self.on_kill: Callable[[Process], None] = Process.kill
        self.peeking = Peeking(self)
        self._history = history
        self._injector = injector
        self._chance = chance
        self._fsync_s = fsync_s
        self._database = open_inline(metadata)
        self._connection = self._database._connection  # noqa: SLF001 - its transaction stays open across turns here.
        self._driver = driver_of(self._connection)
        self._group: list[Ran] = []
        self._timer: asyncio.TimerHandle | None = None
        self._writes: Counter[str] = Counter()
        self._full: dict[str, Fault] = {}

    def mount(self, process: Process) -> SimStore:
        """Open the database for a process; when that is killed, what it did last may be undone."""
        process.when_cut.append(partial(self._crash, process))
        return SimStore(self, process)

    def peek(self, work: Callable[Concatenate[Connection, P], T], /, *arguments: P.args, **named: P.kwargs) -> T:
        """Read what is visible now, durable or not; nothing notices."""
        changes = self._changes()
        is_idle = not self._driver.in_transaction
        if is_idle:
            self._begin()
        try:
            with self._history.transaction():
                value = work(self._connection, *arguments, **named)
        finally:
            if is_idle:
                self._roll_back()
        assert self._changes() == changes, "a peek has changed something"
        return value

    def plant(self, work: Callable[Concatenate[Connection, P], T], /, *arguments: P.args, **named: P.kwargs) -> T:
        """Change what is stored, durably and as nobody of this cloud would; nothing notices."""
        self._begin()
        with self._history.transaction():
            value = work(self._connection, *arguments, **named)
        failure = self._commit()
        assert failure is None, failure
        return value

    def close(self) -> None:
        """Forget the database; closing it again changes nothing."""
        if self._timer is not None:
            self._timer.cancel()
        for ran in self._group:
            self._note_struck(ran, is_durable=False, is_undone=False)
        self._group = []
        self._database.close()

    # --- one transaction ---------------------------------------------------------------------------------------

    def run(self, process: Process, call: Callable[[Connection], Any]) -> Ran:
        """Run a transaction of a process, without waiting: its answer says when it is durable."""
        if self._connection.closed:
            raise StoreUnavailable(store=self.name, reason="it is closed")
        # The first transaction of a group needs no savepoint: to undo it is to undo everything.
        is_first = not self._group
        self._begin() if is_first else self._driver.execute("SAVEPOINT waiting")
        ran = self._attempt(process, call)
        if ran.error is not None:
            self._roll_back() if is_first else self._driver.execute("ROLLBACK TO waiting")
        if not is_first:
            self._driver.execute("RELEASE waiting")
        elif ran.error is None and not ran.wrote:
            self._commit()
        if ran.wrote or self._group:
            self._join(ran)
        else:
            self._record(ran)
        return ran

    def _attempt(self, process: Process, call: Callable[[Connection], Any]) -> Ran:
        changes = self._changes()
        ran = Ran(process=process, wrote=False)
        with self._history.transaction() as ran.notes:
            try:
                ran.value = self._watched(ran, call)
            except BaseException as error:  # noqa: BLE001 - It is raised again where the caller waits.
                ran.error = error
        assert self._driver.in_transaction, "the database gave up the transaction"
        if ran.error is None:
            ran.wrote = self._changes() != changes
            self._writes[process.name] += ran.wrote
            ran.error = self._refusal(ran)
        if ran.error is not None:
            ran.wrote = False
            # That a command was refused stays true, though the refusal undoes all that the transaction wrote.
            ran.notes = [note for note in ran.notes if isinstance(note, Looked) and note.verdict not in PASSED]
        return ran

    def _watched(self, ran: Ran, call: Callable[[Connection], Any]) -> Any:
        if not self._injector.names_tables:
            return call(self._connection)
        driver = driver_of(self._connection)
        driver.set_trace_callback(ran.see)
        try:
            return call(self._connection)
        finally:
            driver.set_trace_callback(None)

    def _join(self, ran: Ran) -> None:
        """Let a transaction wait for the group's fsync: what it wrote is not durable, what it read may be undone."""
        ran.answer = asyncio.get_running_loop().create_future()
        self._group.append(ran)
        if not ran.wrote:
            return
        now_s = asyncio.get_running_loop().time()
        process = ran.process.name
        due_s = now_s + self._chance.between(*self._fsync_s, "fsync", self.name, process, self._writes[process])
        if slow := self._strike(FaultKind.STORE_SLOW, ran):
            due_s += slow.amount_s
            text = f"a commit of {process} takes {slow.amount_s:g} s longer"
            self._injector.note(slow, mattered=True, text=text, process=process)
        if self._timer is None or (slow and self._timer.when() < due_s):
            self._flush_at(due_s)
        self._strike_commit(ran)

    # --- faults ------------------------------------------------------------------------------------------------

    def _strike(self, kind: FaultKind, ran: Ran) -> Fault | None:
        if not self._injector.has(kind):
            return None
        process, point = ran.process.name, WRITE if ran.wrote else READ
        about = f"{self.name} {point} {self._writes[process]}"
        for place in (point, *(f"{point} {table}" for table in ran.tables)):
            if fault := self._injector.strike(kind, where=process, point=place, about=about):
                return fault
        return None

    def _refusal(self, ran: Ran) -> StoreUnavailable | None:
        """Give the error with which a transaction fails before its commit, if it does."""
        process = ran.process.name
        if ran.wrote and self._is_full(ran):
            return StoreUnavailable(store=self.name, reason="the disk is full")
        if failed := self._strike(FaultKind.STORE_ERROR, ran):
            self._injector.note(failed, mattered=ran.wrote, text=f"a transaction of {process} failed", process=process)
            return StoreUnavailable(store=self.name, reason="the disk failed")
        return None

    def _is_full(self, ran: Ran) -> bool:
        process = ran.process.name
        full = self._full.get(process)
        if full is not None and self._injector.is_due(full):
            return True
        if (full := self._strike(FaultKind.STORE_FULL, ran)) is None:
            return False
        self._full[process] = full
        self._injector.note(full, mattered=True, text=f"a write of {process} found the disk full", process=process)
        return True

    def _strike_commit(self, ran: Ran) -> None:
        """Let a commit end in an error, or in a crash; whether that matters shows when it is durable, or undone."""
        if unsure := self._strike(FaultKind.STORE_UNSURE, ran):
            ran.struck.append(unsure)
            ran.error = StoreUnavailable(store=self.name, reason="the connection broke at the commit")
        if lost := self._strike(FaultKind.FSYNC_LOST, ran):
            assert self._timer is not None, "a commit waits for its fsync"
            ran.struck.append(lost)
            loop = asyncio.get_running_loop()
            loop.call_at((loop.time() + self._timer.when()) / 2, self._lose, ran, context=Context())

    def _lose(self, ran: Ran) -> None:
        if any(each is ran for each in self._group) and not ran.process.is_cut:
            self.on_kill(ran.process)

    def _note_struck(self, ran: Ran, *, is_durable: bool, is_undone: bool) -> None:
        struck, ran.struck, process = ran.struck, [], ran.process.name
        for fault in struck:
            if fault.kind is FaultKind.STORE_UNSURE:
                mattered, text = is_durable, f"a transaction of {process} was committed, and reported as failed"
            else:
                mattered, text = is_undone, f"{process} was killed before the fsync of its commit"
            self._injector.note(fault, mattered=mattered, text=text, process=process)

    # --- a group's end -----------------------------------------------------------------------------------------

    def _flush_at(self, due_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        # In a context of its own: a disk goes on when the process that wrote last stands still.
        self._timer = asyncio.get_running_loop().call_at(due_s, self._flush, context=Context())

    def _take_group(self) -> list[Ran]:
        if self._timer is not None:
            self._timer.cancel()
        group, self._group, self._timer = self._group, [], None
        return group

    def _flush(self) -> None:
        """Make the group durable, write down what it noted, and answer everybody."""
        group = self._take_group()  # First: whoever hears of what is recorded may kill a process, or read.
        error = self._commit()
        if error is not None:  # A constraint that is checked at the COMMIT only: it undoes the whole group.
            for ran in group:
                ran.error, ran.notes = ran.error or error, []
        for ran in group:
            self._record(ran)
        if error is None:
            self._history.record(Flushed(process=self.name, transactions=sum(ran.wrote for ran in group)))
        for ran in group:
            self._note_struck(ran, is_durable=error is None, is_undone=False)
            if ran.answer is not None and not ran.answer.done():
                ran.answer.set_result(None)

    def _crash(self, process: Process) -> None:
        """Undo a group that only a killed process is in; one with others in it is committed in time."""
        if not self._group or any(ran.process is not process for ran in self._group):
            return
        group = self._take_group()
        self._roll_back()
        self._history.record(Undone(process=self.name, transactions=sum(ran.wrote for ran in group)))
        for ran in group:
            self._note_struck(ran, is_durable=False, is_undone=True)

    def _record(self, ran: Ran) -> None:
        for note in ran.notes:
            self._history.record(note)

    # --- the database ------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._driver.execute("BEGIN IMMEDIATE")

    def _commit(self) -> Exception | None:
        try:
            # Work that called SQLAlchemy's own `execute` has made it join the transaction.
            self._connection.commit() if self._connection.in_transaction() else run_sql(self._connection, "COMMIT")
        except Exception as error:  # noqa: BLE001 - It is raised again where the callers wait.
            self._roll_back()
            return error
        return None

    def _roll_back(self) -> None:
        self._connection.rollback()
        self._driver.rollback()

    def _changes(self) -> int:
        return self._driver.total_changes


class SimStore:
    """A process's store: transactions on a disk that outlives it.

    It gives way to other tasks before and after each, as `InlineStore` does.  A caller cancelled before the
    transaction ran has changed nothing; one cancelled later has committed, unless its process was killed.
    """

    def __init__(self, disk: Disk, process: Process) -> None:
        self._disk = disk
        self._process = process

    async def transact(
        self, work: Callable[Concatenate[Connection, P], T], /, *arguments: P.args, **named: P.kwargs
    ) -> T:
        """Run `work` in one transaction: durable when this returns, undone when it raises."""
        await asyncio.sleep(0)
        if self._process.is_cut:
            await self._process.live()
        ran = self._disk.run(self._process, lambda connection: work(connection, *arguments, **named))
        await (asyncio.sleep(0) if ran.answer is None else ran.answer)
        if self._process.is_cut:
            await self._process.live()
        if ran.error is not None:
            raise ran.error
        return cast("T", ran.value)


class Peeking:
    """A store for the truth: it reads what is visible, without suspending and without a trace."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    async def transact(
        self, work: Callable[Concatenate[Connection, P], T], /, *arguments: P.args, **named: P.kwargs
    ) -> T:
        """Read what is visible now."""
        return self._disk.peek(work, *arguments, **named)
