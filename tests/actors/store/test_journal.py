"""What the journals tell of a conversation follows from what was written last."""

from __future__ import annotations

from typing import Final

import pytest

from actors.kernel.ports import Connection, Lease
from actors.store.journal import SqlJournals, conversations
from actors.store.sqlite import open_inline
from actors.store.tables import CONDUCTOR_TABLES
from protocol.errors import StaleEpoch
from protocol.journal import Entry, Kind
from protocol.states import Goal
from protocol.truth import ConversationTruth

pytestmark = pytest.mark.anyio

JOURNALS: Final = SqlJournals()
LEASE: Final = Lease(conversation="c1", server="s1", owner="me")


def begin(connection: Connection) -> None:
    JOURNALS.begin(connection, LEASE, goal=Goal.CREATE, payload=b"order", at_us=1)


def append(connection: Connection, seq: int, kind: Kind, *, epoch: int = 1) -> ConversationTruth:
    JOURNALS.append(connection, "c1", Entry(seq=seq, epoch=epoch, kind=kind, at_us=2))
    return conversations(connection)[0]


async def test_with_an_entry_a_conversation_waits_for_nothing_any_more() -> None:
    """What it waited for is gone from the truth, whether there was something or not."""
    store = open_inline(CONDUCTOR_TABLES)
    await store.transact(begin)
    await store.transact(JOURNALS.park, "c1", "a host")
    assert (await store.transact(conversations))[0].waits_for == "a host"
    for seq in (1, 2):
        assert (await store.transact(append, seq, Kind.INTENT)).waits_for is None
    store.close()


async def test_only_the_last_entry_closes_a_conversation() -> None:
    """It is open up to its release, and takes part in the lowest open epoch as long."""
    store = open_inline(CONDUCTOR_TABLES)
    await store.transact(begin)
    for seq, kind in enumerate((Kind.INTENT, Kind.DONE, Kind.END, Kind.CLOSED), start=1):
        assert not (await store.transact(append, seq, kind)).is_closed
    assert await store.transact(JOURNALS.lowest_open, but="") == 1
    assert (await store.transact(append, 5, Kind.RELEASED)).is_closed
    assert await store.transact(JOURNALS.held_by, "me") == ()
    assert await store.transact(JOURNALS.lowest_open, but="") == 2
    store.close()


async def test_a_journal_without_conversations_has_the_first_epoch_still_to_come() -> None:
    """A conductor sweeps as soon as it starts, also over a store in which nothing was ever written."""
    store = open_inline(CONDUCTOR_TABLES)
    assert await store.transact(JOURNALS.lowest_open, but="") == 1
    assert await store.transact(JOURNALS.unswept, 1) == ()
    store.close()


async def test_whoever_lost_a_conversation_writes_nothing_into_it() -> None:
    """Its journal and what it waits for are the new owner's."""
    store = open_inline(CONDUCTOR_TABLES)
    await store.transact(begin)
    await store.transact(JOURNALS.take_over, "c1", owner="you")
    with pytest.raises(StaleEpoch):
        await store.transact(append, 1, Kind.INTENT, epoch=1)
    assert (await store.transact(append, 1, Kind.INTENT, epoch=2)).epoch == 1
    assert await store.transact(JOURNALS.epoch, "c1", owner="you") == 2
    assert len((await store.transact(JOURNALS.read, "c1")).entries) == 2
    store.close()
