"""What exactly-once stands on, over both databases: inbox, epochs, outbox, journal, and rows that come back whole."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator
from typing import Any, Final

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.kernel.ports import Accepted, Closing, Command, Fresh, Known, Lease, Outgoing, Store
from actors.store import outbox
from actors.store.engine import open_store
from actors.store.inbox import WINDOW, SqlInbox
from actors.store.journal import SqlJournals, conversations
from actors.store.postgresql import drop_postgresql
from actors.store.records import load, save
from actors.store.tables import METADATA
from actors.store.truth import all_rows, memory
from protocol.cell_path import Address
from protocol.draft import Changes, need
from protocol.envelope import Key
from protocol.errors import NotFound, Stale, StaleEpoch, Superseded
from protocol.journal import Entry, Kind
from protocol.records import RECORDS
from protocol.states import Goal
from sim.clock import SimLoop
from tests.forms import of_class

pytestmark = pytest.mark.anyio
INBOX: Final = SqlInbox()
JOURNALS: Final = SqlJournals()
#: A store is too slow for as many examples as a pure function; and what one example leaves, the next overwrites.
some = settings(
    max_examples=max(5, settings().max_examples // 10), suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(params=["inline", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    """Which database the test runs on."""
    return str(request.param)


@pytest.fixture
def anyio_backend(kind: str) -> object:
    """Run on virtual time what needs no sockets."""
    return ("asyncio", {"loop_factory": SimLoop}) if kind == "inline" else "asyncio"


@pytest.fixture
async def store(kind: str, request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """An open store with all tables, dropped at the end."""
    url = "sqlite://" if kind == "inline" else str(request.getfixturevalue("postgresql_url"))
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    name = f"test_{worker}_{os.getpid()}_{hashlib.blake2s(request.node.nodeid.encode(), digest_size=6).hexdigest()}"
    async with open_store(url, schema=name, metadata=METADATA) as opened:
        yield opened
    if kind == "postgresql":
        await drop_postgresql(url, name)


def command(
    step: str = "do", *, epoch: int = 1, is_undo: bool = False, scope: str = "c1", server: str = "s1"
) -> Command:
    """Make a step's command."""
    key = Key(scope=scope, attempt=1, step=step, is_undo=is_undo)
    return Command(key=key, server=server, epoch=epoch, method="m", body=b"body")


def plain(number: int, sender: str = "me") -> Command:
    """Make a plain call's command."""
    return Command(key=Key.plain(sender, number), server="s1", epoch=0, method="m", body=b"")


async def look(store: Store, asked: Command) -> object:
    """Tell what the inbox says of a command."""
    return await store.transact(INBOX.look, asked)


async def done(store: Store, asked: Command, reply: bytes = b"reply", *, is_error: bool = False) -> None:
    """Carry a command out."""

    def work(connection: Any) -> None:
        INBOX.look(connection, asked)
        INBOX.settle(connection, asked, reply=reply, is_error=is_error)

    await store.transact(work)


async def close(store: Store, *, epoch: int, lowest_open: int, scope: str = "c1") -> None:
    """End a conversation."""
    closing = Closing(conversation=scope, server="s1", epoch=epoch, lowest_open=lowest_open)
    await store.transact(INBOX.close, closing)


# --- the inbox ---------------------------------------------------------------------------------------------


async def test_a_command_is_fresh_then_worked_on_then_known(store: Store) -> None:
    """Each in its turn, and the first reply stays."""
    asked = command()
    assert await look(store, asked) == Fresh(undoes_nothing=False)
    await store.transact(INBOX.accept, asked)
    assert await look(store, asked) == Accepted()
    assert await store.transact(INBOX.unfinished) == (asked,)
    await done(store, asked)
    assert await look(store, asked) == Known(body=b"reply", is_error=False)
    await done(store, asked, b"another")
    assert await look(store, asked) == Known(body=b"reply", is_error=False)
    assert await store.transact(INBOX.unfinished) == ()


@pytest.mark.parametrize("before", ["nothing", "refused", "accepted", "refused after accepted", "done"])
async def test_an_undo_poisons_and_knows_whether_there_is_something_to_clean(store: Store, before: str) -> None:
    """What never took effect is not cleaned; what may have is; late executes are superseded in either case."""
    if "accepted" in before:
        await store.transact(INBOX.accept, command())
    if "refused" in before:
        await done(store, command(), is_error=True)
    if before == "done":
        await done(store, command())
    undo = command(is_undo=True)
    assert await look(store, undo) == Fresh(undoes_nothing=before in {"nothing", "refused"})
    with pytest.raises(Superseded):
        await look(store, command())
    await done(store, command_settled_late := command("other"))
    assert await look(store, command_settled_late) == Known(body=b"reply", is_error=False)
    await store.transact(INBOX.settle, command(), reply=b"late", is_error=False)
    with pytest.raises(Superseded):
        await look(store, command())


async def test_only_an_effect_raises_the_epoch(store: Store) -> None:
    """A look, a refusal, and the undo of what never was fence nobody; what was accepted or done does."""
    await look(store, command(epoch=9))
    await done(store, command("refused", epoch=9, scope="c2"), is_error=True)
    await done(store, command("never", epoch=9, scope="c2", is_undo=True))
    await done(store, command("one", epoch=3))
    await store.transact(INBOX.accept, command("two", epoch=4))
    with pytest.raises(StaleEpoch) as caught:
        await look(store, command("three", epoch=3))
    assert caught.value.highest == 4
    assert await look(store, command("three", epoch=3, server="s2")) == Fresh(undoes_nothing=False)


async def test_a_conversation_that_never_had_the_server_fences_nobody_when_it_closes(store: Store) -> None:
    """It was refused and undone here; the one that has the server goes on under its lower epoch."""
    await done(store, command("take", epoch=3))
    await done(store, command("take", epoch=4, scope="c2"), is_error=True)
    await done(store, command("take", epoch=4, scope="c2", is_undo=True))
    await close(store, epoch=5, lowest_open=3, scope="c2")
    assert await look(store, command("next", epoch=3)) == Fresh(undoes_nothing=False)


async def test_a_close_fences_what_is_older_and_forgets_what_is_behind_the_lowest_open(store: Store) -> None:
    """What is at or above it stays known."""
    await done(store, command("one", epoch=3))
    await done(store, command("one", epoch=5, scope="c2", server="s2"))
    await close(store, epoch=7, lowest_open=5)
    assert (await store.transact(memory, "a")).keys == (("c2:1:one:execute", 5),)
    with pytest.raises(StaleEpoch):
        await look(store, command("two", epoch=6))
    with pytest.raises(StaleEpoch):
        await look(store, command("two", epoch=4, server="s3"))
    await close(store, epoch=8, lowest_open=2)
    with pytest.raises(StaleEpoch):
        await look(store, command("two", epoch=4, server="s3"))


async def test_who_has_renounced_knows_of_no_undo_that_it_undoes_nothing(store: Store) -> None:
    """What it takes back may have been carried out, and forgotten: only the world can tell."""
    await done(store, command("one", epoch=3))
    await store.transact(INBOX.renounce, 7)
    assert (await store.transact(memory, "a")).keys == ()
    with pytest.raises(StaleEpoch):
        await look(store, command("one", epoch=3, is_undo=True))
    assert await look(store, command("one", epoch=8, is_undo=True)) == Fresh(undoes_nothing=False)
    with pytest.raises(Superseded):
        await look(store, command("one", epoch=8))
    await close(store, epoch=9, lowest_open=9)
    assert await look(store, command("two", epoch=10, is_undo=True)) == Fresh(undoes_nothing=False)


async def test_a_sender_s_plain_calls_are_kept_in_a_window(store: Store) -> None:
    """Its own only; below the window a call is stale, and known calls are never stale."""
    await done(store, plain(1))
    await done(store, plain(1, "you"))
    await done(store, plain(WINDOW))
    assert await look(store, plain(1)) == Known(body=b"reply", is_error=False)
    await done(store, plain(WINDOW + 1))
    with pytest.raises(Stale):
        await look(store, plain(1))
    assert await look(store, plain(2)) == Fresh(undoes_nothing=False)
    assert await look(store, plain(1, "you")) == Known(body=b"reply", is_error=False)


# --- the outbox --------------------------------------------------------------------------------------------


async def test_messages_wait_in_order_and_once_each(store: Store) -> None:
    """A batch at a time; a message that is there already is not entered again."""
    rows = tuple(
        Outgoing(id=f"m{number}", target=Address.parse("api/cell"), method="m", server="s1", body=b"%d" % number)
        for number in range(outbox.BATCH_MAX + 3)
    )
    await store.transact(outbox.enqueue, rows[:5])
    await store.transact(outbox.enqueue, rows[3:])
    await store.transact(outbox.enqueue, ())
    assert await store.transact(outbox.count) == len(rows)
    assert await store.transact(outbox.waiting) == rows[: outbox.BATCH_MAX]
    await store.transact(outbox.retire, "m0")
    await store.transact(outbox.retire, "m0")
    assert (await store.transact(outbox.waiting))[0] == rows[1]


async def test_news_takes_the_place_of_what_it_makes_old_and_of_nothing_newer(store: Store) -> None:
    """Of one thing only the newest waits, at the end; other things, and what is about nothing, stay where they were."""

    def news(name: str, about: str, rank: int) -> Outgoing:
        target = Address.parse("api/cell")
        return Outgoing(id=name, target=target, method="m", server="s1", body=b"", about=about, rank=rank)

    a1, b1, plain = news("a1", "a", 1), news("b1", "b", 1), news("plain", "", 0)
    a3, a2, more = news("a3", "a", 3), news("a2", "a", 2), news("more", "", 0)
    await store.transact(outbox.enqueue, (a1, b1, plain))
    await store.transact(outbox.enqueue, (a3, more))
    await store.transact(outbox.enqueue, (a2,))
    assert await store.transact(outbox.waiting) == (b1, plain, a3, more, a2)


# --- the journal -------------------------------------------------------------------------------------------


async def begin(store: Store, conversation: str, *, owner: str = "a") -> Any:
    """Begin a conversation."""
    lease = Lease(conversation=conversation, server=f"of {conversation}", owner=owner)
    return await store.transact(JOURNALS.begin, lease, goal=Goal.RESIZE, payload=b"order", at_us=1)


def entry(seq: int, *, epoch: int, kind: Kind = Kind.DONE, step: str = "do") -> Entry:
    """Make an entry."""
    return Entry(seq=seq, epoch=epoch, kind=kind, at_us=2, step=step, attempt=1, is_undo=True, payload=b"\0x")


async def test_a_journal_is_read_as_it_was_written(store: Store) -> None:
    """Begun once, however often, and every field of every entry comes back."""
    begun = await begin(store, "c1")
    assert await begin(store, "c1") == begun
    await store.transact(JOURNALS.append, "c1", entry(1, epoch=1))
    read = await store.transact(JOURNALS.read, "c1")
    assert read == begun.followed_by(entry(1, epoch=1))
    with pytest.raises(NotFound):
        await store.transact(JOURNALS.read, "nobody's")


async def test_one_owner_writes_and_the_former_one_is_stale(store: Store) -> None:
    """A takeover gives the next epoch; under the old one nothing is written any more, nor is it told."""
    await begin(store, "c1")
    await store.transact(JOURNALS.take_over, "c1", owner="b")
    with pytest.raises(StaleEpoch):
        await store.transact(JOURNALS.append, "c1", entry(1, epoch=1))
    await store.transact(JOURNALS.append, "c1", entry(1, epoch=2))
    assert await store.transact(JOURNALS.epoch, "c1", owner="b") == 2
    with pytest.raises(StaleEpoch):
        await store.transact(JOURNALS.epoch, "c1", owner="a")


async def test_a_parked_conversation_goes_on_with_its_next_entry(store: Store) -> None:
    """What it waits for is true for as long as it is written, and no longer."""
    await begin(store, "c1")
    await store.transact(JOURNALS.park, "c1", "a host")
    assert [each.waits_for for each in await store.transact(conversations)] == ["a host"]
    await store.transact(JOURNALS.append, "c1", entry(1, epoch=1))
    assert [each.waits_for for each in await store.transact(conversations)] == [None]


async def test_epochs_rise_over_all_conversations_and_the_lowest_open_follows(store: Store) -> None:
    """Begin, takeover and close each take the next; without any open one it is that which is to come."""
    for name in ("c1", "c2", "c3"):
        await begin(store, name)
    assert await store.transact(JOURNALS.next_epoch) == 4
    assert await store.transact(JOURNALS.held_by, "a") == ("c1", "c2", "c3")
    assert await store.transact(JOURNALS.lowest_open, but="c1") == 2
    for name, epoch in (("c1", 1), ("c2", 2)):
        await store.transact(JOURNALS.append, name, entry(1, epoch=epoch, kind=Kind.RELEASED))
    assert await store.transact(JOURNALS.held_by, "a") == ("c3",)
    assert await store.transact(JOURNALS.lowest_open, but="") == 3
    assert await store.transact(JOURNALS.lowest_open, but="c3") == 5


async def test_what_was_not_swept_is_found_once_nothing_older_is_open(store: Store) -> None:
    """And no more when it is marked."""
    for name in ("c1", "c2"):
        await begin(store, name)
    await store.transact(JOURNALS.append, "c2", entry(1, epoch=2, kind=Kind.RELEASED))
    assert await store.transact(JOURNALS.unswept, 1) == ()
    assert [journal.conversation for journal in await store.transact(JOURNALS.unswept, 3)] == ["c2"]
    await store.transact(JOURNALS.swept, "c2")
    assert await store.transact(JOURNALS.unswept, 3) == ()


# --- rows --------------------------------------------------------------------------------------------------


# Drawn before the test begins: what ends a draw early is not to pass through a coroutine.
ROWS: Final = st.sampled_from(RECORDS).flatmap(lambda record: st.tuples(of_class(record), of_class(record)))


@settings(some, max_examples=10 * some.max_examples)
@given(rows=ROWS)
async def test_a_row_comes_back_as_it_was_written(store: Store, rows: tuple[Any, Any]) -> None:
    """Every field of every class, written anew and over an old row, found by its key, and gone when dropped."""
    row, other = rows
    record = type(row)
    changed = attrs.evolve(other, **{name: getattr(row, name) for name in record.KEY})
    by_key = need(record, **{name: getattr(row, name) for name in record.KEY})
    for each in (row, changed):
        await store.transact(save, Changes(puts=(each,)))
        assert await store.transact(load, (by_key, by_key)) == (each,)
    await store.transact(save, Changes(drops=(changed,)))
    await store.transact(save, Changes(drops=(changed,)))
    assert await store.transact(all_rows, (record,)) == ()
