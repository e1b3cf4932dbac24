"""Stages over the real RabbitMQ of the tests, each under a prefix of its own."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from actors.ops.events import MemoryEvents
from actors.wire.rabbitmq import RabbitWire
from sim.ports import SeededRandom
from sim.stages.wire import WireStage
from tests.actors.wire.inbox import prefix_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import pytest


def on_rabbitmq(url: str, request: pytest.FixtureRequest) -> Callable[[Any, int], WireStage]:
    """Give what makes stages over a broker, for one test."""

    @asynccontextmanager
    async def connect() -> AsyncIterator[RabbitWire]:
        events, random = MemoryEvents(), SeededRandom(0)
        async with RabbitWire.connect(url, prefix=prefix_of(request), events=events, random=random) as wire:
            yield wire

    return lambda layout, seed: WireStage(layout, seed, connect=connect)
