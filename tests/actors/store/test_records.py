"""Rows are read as the needs name them."""

from __future__ import annotations

import pytest

from actors.store.records import load, save
from actors.store.sqlite import open_inline
from actors.store.tables import HOST_TABLES
from protocol.draft import Changes, need
from protocol.records import HeldPermit

pytestmark = pytest.mark.anyio


async def test_rows_that_two_needs_name_are_read_once() -> None:
    """In the order in which they were first named."""
    store = open_inline(HOST_TABLES)
    first, second = (HeldPermit(server=server, number=number) for number, server in enumerate(("s1", "s2"), start=1))
    await store.transact(save, Changes(puts=(first, second)))
    narrow, wide = need(HeldPermit, server="s2"), need(HeldPermit)
    assert await store.transact(load, (narrow, wide)) == (second, first)
    assert await store.transact(load, (wide,)) == (first, second)
    await store.transact(save, Changes(drops=(first,)))
    assert await store.transact(load, (wide, narrow, narrow)) == (second,)
    store.close()
