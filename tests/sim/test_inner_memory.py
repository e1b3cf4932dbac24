"""The memory on dicts against the inbox in SQL: whatever is asked of them, they say and remember the same."""

from __future__ import annotations

from typing import Any, Final

import attrs
from hypothesis import given
from hypothesis import strategies as st

from actors.kernel import ports
from actors.kernel.ports import Closing, Connection
from actors.store.inbox import SqlInbox, remembered
from actors.store.sqlite import InlineStore, open_inline
from actors.store.tables import HOST_TABLES
from protocol.envelope import Key
from protocol.errors import CellferryError
from protocol.messages.hosts import DestroyGuest
from protocol.requests import Done
from sim.clock import run
from sim.inner.coding import reply_of
from sim.inner.memory import Command, Memory, Reply

INBOX: Final = SqlInbox()
REFUSAL: Final = Reply(None, b"no", is_error=True)


@attrs.frozen
class Move:
    """One thing that is done to a memory."""

    what: str
    scope: str
    step: str
    is_undo: bool
    epoch: int
    server: str
    lowest_open: int

    @property
    def key(self) -> Key:
        """The key of the command that it is about."""
        return Key(scope=self.scope, attempt=1, step=self.step, is_undo=self.is_undo)


ACTS: Final = ("look", "carry", "refuse", "accept", "settle", "close", "renounce")
#: Few keys, so that what is done is often done to one that is known.
moves = st.lists(
    st.builds(
        Move, st.sampled_from(ACTS), st.sampled_from(("c1", "c2")),
        st.just("do"), st.booleans(), st.integers(1, 3), st.sampled_from(("s1", "s2")), st.integers(1, 3),
    ),
    min_size=5, max_size=30,
)  # fmt: skip


def on_dicts(memory: Memory, move: Move) -> str:
    """Do it to the memory on dicts; tell what it says."""
    request = DestroyGuest(server=move.server)
    command = Command(move.key, str(move.key), move.server, move.epoch, request)
    if move.what == "close":
        memory.close(move.scope, move.server, move.epoch, min(move.lowest_open, move.epoch))
        return "closed"
    if move.what == "renounce":
        memory.renounce(move.epoch)
        return "renounced"
    if move.what == "settle":
        memory.settle(command, reply_of(Done()))
        return "settled"
    try:
        found: Any = memory.look(command)
    except CellferryError as error:
        return str(error)
    if isinstance(found, ports.Fresh):
        if move.what == "accept":
            memory.accept(command)
        elif move.what in {"carry", "refuse"}:
            memory.settle(command, reply_of(Done()) if move.what == "carry" else REFUSAL)
        return f"fresh {found.undoes_nothing}"
    return f"known {found.body!r} {found.is_error}" if isinstance(found, Reply) else "accepted"


def in_sql(connection: Connection, move: Move) -> str:
    """Do it to the inbox in SQL; tell what it says."""
    command = ports.Command(key=move.key, server=move.server, epoch=move.epoch, method="m", body=b"body")
    if move.what == "close":
        lowest_open = min(move.lowest_open, move.epoch)
        closing = Closing(conversation=move.scope, server=move.server, epoch=move.epoch, lowest_open=lowest_open)
        INBOX.close(connection, closing)
        return "closed"
    if move.what == "renounce":
        INBOX.renounce(connection, move.epoch)
        return "renounced"
    done = reply_of(Done()).body
    if move.what == "settle":
        INBOX.settle(connection, command, reply=done, is_error=False)
        return "settled"
    try:
        found = INBOX.look(connection, command)
    except CellferryError as error:
        return str(error)
    if isinstance(found, ports.Fresh):
        if move.what == "accept":
            INBOX.accept(connection, command)
        elif move.what in {"carry", "refuse"}:
            reply = done if move.what == "carry" else REFUSAL.body
            INBOX.settle(connection, command, reply=reply, is_error=move.what == "refuse")
        return f"fresh {found.undoes_nothing}"
    return f"known {found.body!r} {found.is_error}" if isinstance(found, ports.Known) else "accepted"


async def replay(store: InlineStore, done: list[Move]) -> tuple[list[str], Any, list[str]]:
    """Do everything in SQL; give what was said, what is remembered, and what was never answered."""
    said = [await store.transact(in_sql, move) for move in done]
    left = await store.transact(remembered, "host", 0)
    unfinished = await store.transact(INBOX.unfinished)
    return said, left, [str(command.key) for command in unfinished]


@given(moves)
def test_memory_on_dicts_says_and_remembers_what_the_inbox_in_sql_does(done: list[Move]) -> None:
    """Verdicts, refusals, tombstones, epochs and what closing forgets are alike, in any order of anything."""
    memory = Memory()
    said = [on_dicts(memory, move) for move in done]
    store = open_inline(HOST_TABLES)
    try:
        said_in_sql, left, unfinished = run(replay, store, done)
    finally:
        store.close()
    assert said == said_in_sql
    assert memory.truth("host", 0).keys == tuple(sorted(left.keys))
    assert [command.text for command in memory.unfinished()] == unfinished
