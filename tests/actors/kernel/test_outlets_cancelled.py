"""A sender that is cancelled takes nobody's envelope along but its own."""

from __future__ import annotations

from functools import partial

import anyio
import pytest

from actors.kernel.outlets import Outlets
from tests.actors.kernel.rig import QUEUE
from tests.actors.kernel.test_outlets import Place

pytestmark = pytest.mark.anyio


async def cancelled(place: Place, outlets: Outlets, data: bytes, *, after_s: float) -> None:
    """Put an envelope, and give up waiting for it."""
    with anyio.move_on_after(after_s):
        await place.put(outlets, data)


async def test_what_gathered_behind_a_cancelled_sender_goes_all_the_same() -> None:
    """The frame on its way is the cancelled one's own; the next leaves at once, and its senders hear of it."""
    place = Place()
    async with place.open() as (outlets, tasks):
        async with anyio.create_task_group() as senders:
            senders.start_soon(partial(cancelled, place, outlets, b"x", after_s=0.5))
            await anyio.sleep(0.1)
            for data in (b"y", b"z"):
                senders.start_soon(place.put, outlets, data)
        assert anyio.current_time() == pytest.approx(1.5)
        await outlets.put(QUEUE, b"after")
        tasks.cancel_scope.cancel()
    assert place.frames == [[b"y", b"z"], [b"after"]]
    assert place.errors == []


@pytest.mark.parametrize("who", [0, 1, 2])
async def test_a_frame_of_several_goes_whoever_of_them_is_cancelled(who: int) -> None:
    """It is on its way already, and the others wait for it."""
    place = Place()
    async with place.open() as (outlets, _), anyio.create_task_group() as senders:
        for number in range(3):
            after_s = 0.5 if number == who else 60.0
            senders.start_soon(partial(cancelled, place, outlets, b"%d" % number, after_s=after_s))
    assert place.frames == [[b"0", b"1", b"2"]]
    assert place.errors == []
