"""An ensuring handler that stores nothing of its own: what has a key is remembered, what has none is not."""

from __future__ import annotations

import pytest

from protocol.requests import Done
from tests.actors.kernel.rig import ACTOR, Rig, Sleeper, Slow, stamp

pytestmark = pytest.mark.anyio


async def test_the_reply_to_a_command_is_remembered_where_nothing_else_is_stored() -> None:
    """Asked again under its key, it is answered alike and not carried out again."""
    rig, sleeper = Rig(), Sleeper()
    async with rig.serving(sleeper.handler) as (_, caller):
        for _again in range(2):
            assert await caller.call(ACTOR, Slow(), stamp=stamp()) == Done()
    assert (sleeper.runs, sleeper.ended) == (1, 1)
    assert len((await rig.memory()).keys) == 1


async def test_a_request_without_a_key_costs_no_transaction_where_nothing_is_stored() -> None:
    """It is carried out each time, even by an actor whose store is away."""
    rig, sleeper = Rig(), Sleeper()
    async with rig.serving(sleeper.handler) as (_, caller):
        rig.store.close()
        for _again in range(2):
            assert await caller.call(ACTOR, Slow()) == Done()
    assert (sleeper.runs, sleeper.ended) == (2, 2)
