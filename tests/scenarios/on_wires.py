"""Stages over a real RabbitMQ, each under a prefix of its own."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from actors.ops.events import MemoryEvents
from actors.wire.rabbitmq import RabbitWire
from sim.ports import SeededRandom
from sim.stages.wire import WireStage
from tests.actors.wire.inbox import prefix_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    import pytest

    from protocol.cell_path import CellPath


def on_rabbitmq(
    brokers: str | Mapping[CellPath, str], request: pytest.FixtureRequest
) -> Callable[[Any, int], WireStage]:
    """Give what makes stages over a broker, or over one for each cell, for one test."""

    @asynccontextmanager
    async def connect() -> AsyncIterator[RabbitWire]:
        events, random = MemoryEvents(), SeededRandom(0)
        async with RabbitWire.connect(brokers, prefix=prefix_of(request), events=events, random=random) as wire:
            yield wire

    return lambda layout, seed: WireStage(layout, seed, connect=connect)
