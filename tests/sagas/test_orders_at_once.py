"""Many orders for one server within an instant: one is carried out at a time, and nobody waits for ever."""

from __future__ import annotations

from typing import Any, Final

import pytest

from actors.kernel.conversation import Conversations
from protocol.journal import Kind
from sim.cases.case import Case, Outcome
from sim.cases.workload import Act, Op
from sim.running import run_case

ORDERS: Final = 12
APART_S: Final = 0.008
SEEDS: Final = range(6)


def ordered_at_once(seed: int) -> Outcome:
    """Order a confirm again and again where there is nothing to confirm: each has the server for an instant.

    One conductor lets the orders of a server in one by one, two of them do not.
    """
    case = Case(
        seed=seed, cells=3, hosts=2, conductors=2, minutes=1.0,
        setup=(Op(name="create", act=Act.CREATE, server="s1"),),
        ops=tuple(Op(name=f"o{n}", act=Act.CONFIRM, server="s1", at_s=1.0 + n * APART_S) for n in range(ORDERS)),
    )  # fmt: skip
    return run_case(case).outcome


@pytest.mark.parametrize("seed", SEEDS)
def test_orders_at_once_all_come_to_their_end(seed: int) -> None:
    """A conversation that a newer one has overtaken, and closed behind, asks again under the next epoch."""
    assert ordered_at_once(seed).breaches == ()


def test_a_conversation_that_kept_its_epoch_would_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """So those orders do overtake each other: without the next epoch some seed shows one that does not end."""
    renew = Conversations.renew

    async def stubborn(self: Any, journal: Any) -> int:
        if journal.entries[-1].kind is Kind.END:
            return await renew(self, journal)
        return int(await self.epoch_of(journal))

    monkeypatch.setattr(Conversations, "renew", stubborn)
    assert any(ordered_at_once(seed).breaches for seed in SEEDS)
