"""A mailbox keeps the order of what is about one server, and lets no server wait for another."""

from __future__ import annotations

from functools import partial

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.kernel.mailbox import Letter, Mailbox
from actors.kernel.post import Stamp
from protocol.errors import Overflow
from sim.clock import run
from tests.actors.kernel.rig import Count, Rig, asked

pytestmark = pytest.mark.anyio


class Slowly:
    """Handles letters, each for a while, and notes when it began and ended with each."""

    def __init__(self) -> None:
        self.now: dict[str, int] = {}
        self.most = 0
        self.order: dict[str, list[int]] = {}

    async def handle(self, letter: Letter) -> None:
        server, number = letter.envelope.server, letter.envelope.epoch
        self.now[server] = self.now.get(server, 0) + 1
        assert self.now[server] == 1 or not server, "two at a time"
        self.most = max(self.most, sum(self.now.values()))
        await anyio.sleep(1 + number % 3)
        self.order.setdefault(server, []).append(number)
        self.now[server] -= 1


def letter(rig: Rig, server: str, number: int) -> Letter:
    caller = rig.post("client")
    return Letter(asked(caller, Count(), Stamp(server=server, epoch=number)), 0.0, lambda: None)


@given(servers=st.lists(st.sampled_from(["s1", "s2", "s3"]), max_size=12))
def test_one_server_s_letters_are_handled_in_order_and_others_beside_them(servers: list[str]) -> None:
    """In order and one at a time for each server; as long as the busiest server takes, and no longer."""

    async def main() -> None:
        rig, slowly = Rig(), Slowly()
        mailbox = Mailbox(slowly.handle)
        async with anyio.create_task_group() as tasks:
            for number, server in enumerate(servers):
                mailbox.put(letter(rig, server, number), tasks)
        for server in set(servers):
            assert slowly.order[server] == [number for number, each in enumerate(servers) if each == server]
        lanes = [sum(1 + number % 3 for number, each in enumerate(servers) if each == server) for server in servers]
        assert anyio.current_time() == max(lanes, default=0)
        assert len(mailbox) == 0

    run(main)


async def test_what_is_about_no_server_needs_no_order() -> None:
    """Such letters are handled side by side."""
    rig, slowly = Rig(), Slowly()
    mailbox = Mailbox(slowly.handle)
    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            mailbox.put(letter(rig, "", 0), tasks)
    assert slowly.most == 5


async def test_a_full_mailbox_refuses() -> None:
    """Its limit counts what waits and what is being handled; there is room again when something is done."""
    rig, slowly = Rig(), Slowly()
    mailbox = Mailbox(slowly.handle, limit=2)
    async with anyio.create_task_group() as tasks:
        put = partial(mailbox.put, tasks=tasks)
        put(letter(rig, "s1", 0))
        put(letter(rig, "s1", 0))
        assert (len(mailbox), mailbox.room) == (2, 0)
        with pytest.raises(Overflow):
            put(letter(rig, "s2", 0))
        await anyio.sleep(1.5)
        put(letter(rig, "s2", 0))
    assert mailbox.room == 2
