"""What the history learns of commands, conversations and events, and when."""

from __future__ import annotations

import hashlib
from typing import Any

import anyio
import attrs
import pytest

from actors.kernel.ports import Closing, Command, Connection, Lease, Store
from actors.store.tables import METADATA
from protocol.envelope import Key
from protocol.errors import StaleEpoch, Superseded
from protocol.journal import Entry, Kind
from protocol.states import Goal
from sim.edges.disk import Disk
from sim.edges.watching import WatchedEvents, WatchedInbox, WatchedJournals
from sim.history import Begun, Carried, Closed, Journaled, Looked, Noted, TakenOver
from sim.process import Process
from tests.sim.weather import Weather, elapse, weather

pytestmark = pytest.mark.anyio

KEY = Key(scope="c1", attempt=1, step="spawn", is_undo=False)
COMMAND = Command(key=KEY, server="s1", epoch=5, method="spawn_guest", body=b"?")
UNDO = attrs.evolve(COMMAND, key=attrs.evolve(KEY, is_undo=True))
LEASE = Lease(conversation="c1", server="s1", owner="conductor:0")


def disk_of(air: Weather) -> Disk:
    return Disk(METADATA, name="disk", history=air.history, injector=air.injector, chance=air.chance)


def verdicts(air: Weather) -> list[str]:
    return [looked.verdict for looked in air.of(Looked)]


# --- commands --------------------------------------------------------------------------------------------------


async def test_a_command_is_noted_from_the_first_look_to_the_reply() -> None:
    """Each verdict, what was accepted and what came of it stand in the history, in order."""
    air = weather()
    disk = disk_of(air)
    store, inbox = disk.mount(Process("h1")), WatchedInbox(air.history, "h1")
    await store.transact(inbox.look, COMMAND)
    await store.transact(inbox.accept, COMMAND)
    await store.transact(inbox.look, COMMAND)
    await store.transact(inbox.settle, COMMAND, reply=b"done", is_error=False)
    await store.transact(inbox.look, COMMAND)
    assert verdicts(air) == ["fresh", "accepted", "known"]
    about: Any = {"process": "h1", "key": str(KEY), "server": "s1", "epoch": 5, "method": "spawn_guest"}
    assert air.of(Looked)[0] == Looked(**about, verdict="fresh")
    assert air.of(Begun) == [Begun(**about)]
    digest = hashlib.blake2b(b"done", digest_size=8).hexdigest()
    assert air.of(Carried) == [Carried(**about, reply=digest, is_error=False)]
    disk.close()


async def test_a_refusal_is_noted_though_it_undoes_its_transaction() -> None:
    """A command below the epoch, or undone before it came, leaves the refusal's code and nothing else."""
    air = weather()
    disk = disk_of(air)
    store, inbox = disk.mount(Process("h1")), WatchedInbox(air.history, "h1")
    await store.transact(inbox.settle, COMMAND, reply=b"done", is_error=False)

    def note_and_look(connection: Connection, command: Command) -> None:
        air.history.record(Noted(event="before", detail=""))
        inbox.look(connection, command)

    with pytest.raises(StaleEpoch):
        await store.transact(note_and_look, attrs.evolve(COMMAND, epoch=4))
    await store.transact(inbox.look, UNDO)
    with pytest.raises(Superseded):
        await store.transact(note_and_look, COMMAND)
    assert verdicts(air) == ["stale_epoch", "fresh", "superseded"]
    assert air.of(Noted) == []
    disk.close()


async def test_a_close_is_noted() -> None:
    """The history knows which epochs a receiver may forget."""
    air = weather()
    disk = disk_of(air)
    closing = Closing(conversation="c1", server="s1", epoch=5, lowest_open=6)
    await disk.mount(Process("h1")).transact(WatchedInbox(air.history, "h1").close, closing)
    assert air.of(Closed) == [Closed(process="h1", conversation="c1", server="s1", epoch=5, lowest_open=6)]
    disk.close()


async def test_what_a_crash_undid_was_never_noted() -> None:
    """A command that was carried out in memory only is not in the history."""
    air = weather()
    disk = disk_of(air)
    process, inbox = Process("h1"), WatchedInbox(air.history, "h1")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(disk.mount(process).transact, inbox.accept, COMMAND)
        await elapse(0.0001)
        assert disk.peek(inbox.unfinished) == (COMMAND,)
        process.kill()
        tasks.cancel_scope.cancel()
    assert air.of(Begun) == []
    assert disk.peek(inbox.unfinished) == ()
    disk.close()


# --- conversations ---------------------------------------------------------------------------------------------


async def begin(store: Store, journals: WatchedJournals) -> None:
    def work(connection: Connection) -> None:
        journals.begin(connection, LEASE, goal=Goal.RESIZE, payload=b"order", at_us=1)

    await store.transact(work)


def entry_of(epoch: int) -> Entry:
    return Entry(seq=1, epoch=epoch, kind=Kind.INTENT, at_us=2, step="spawn", attempt=1)


async def test_a_journal_is_noted_entry_by_entry_whoever_writes_it() -> None:
    """A conversation begins once; one who never began or read it knows its server and goal all the same."""
    air = weather()
    disk = disk_of(air)
    store, first, second = disk.mount(Process("c")), *(WatchedJournals(air.history, name) for name in ("c~0", "c~1"))
    await begin(store, first)
    await begin(store, first)
    epoch = air.of(Journaled)[0].entry.epoch
    await store.transact(second.append, "c1", entry_of(epoch))
    about: Any = {"conversation": "c1", "server": "s1", "goal": Goal.RESIZE}
    begun = Entry(seq=0, epoch=epoch, kind=Kind.BEGIN, at_us=1, payload=b"order")
    assert air.of(Journaled) == [
        Journaled(**about, process="c~0", entry=begun),
        Journaled(**about, process="c~1", entry=entry_of(epoch)),
    ]
    disk.close()


async def test_a_takeover_is_noted_and_fences_who_had_the_conversation() -> None:
    """The new epoch stands in the history; the former owner's entry does not."""
    air = weather()
    disk = disk_of(air)
    store, journals = disk.mount(Process("c")), WatchedJournals(air.history, "c")
    await begin(store, journals)
    (begun,) = air.of(Journaled)
    await store.transact(journals.take_over, "c1", owner="conductor:1")
    (taken,) = air.of(TakenOver)
    assert taken == TakenOver(process="c", conversation="c1", epoch=begun.entry.epoch + 1)
    with pytest.raises(StaleEpoch):
        await store.transact(journals.append, "c1", entry_of(begun.entry.epoch))
    assert air.of(Journaled) == [begun]
    disk.close()


# --- events ----------------------------------------------------------------------------------------------------


async def test_an_event_is_counted_and_noted_alike_in_every_run() -> None:
    """Its data are in the order of their names, without the places of objects in memory."""
    air = weather()
    events = WatchedEvents(air.history, "h1")
    events.emit("handler_failed", method="spawn", error=repr(object()))
    assert events.counts == {"handler_failed": 1}
    assert air.of(Noted) == [
        Noted(process="h1", event="handler_failed", detail="error=<object object> method=spawn"),
    ]
