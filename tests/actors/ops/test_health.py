"""How a process stands: it lives while its loop turns and no actor is gone; it is ready when nothing is missing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

from actors.kernel.metrics import ACTORS
from actors.kernel.supervisor import supervise
from actors.ops.events import MemoryEvents
from actors.ops.health import Finding, Health
from actors.ops.http import NOT_FOUND, OK, UNAVAILABLE, Asked
from actors.ops.pages import PATHS, Pages
from actors.ops.prometheus import PrometheusMeters

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

pytestmark = pytest.mark.anyio


class Child:
    """An actor that ends when it is told to, well or badly."""

    def __init__(self) -> None:
        self.ends = anyio.Event()
        self.error: Exception | None = None

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        self.ends = anyio.Event()
        task_status.started()
        await self.ends.wait()
        if self.error is not None:
            raise self.error


class Process:
    """A process with one actor, and who asks how it stands."""

    def __init__(self) -> None:
        self.meters = PrometheusMeters()
        self.health = Health("api/cell", self.meters)
        self.child = Child()
        self.run = self.health.watched("api/cell", self.child.run)

    def ask(self, path: str, *, query: str = "") -> tuple[int, str]:
        answer = Pages(self.health, self.meters).answer(Asked(path=path, query=query, accept="*/*"))
        return answer.status, answer.body.decode()


async def test_a_process_is_ready_once_its_actors_take_messages_and_nothing_is_missing() -> None:
    """What is missing is said by name; a process that lives all the while is not one to be killed."""
    process = Process()
    assert process.ask("/readyz") == (UNAVAILABLE, "consuming: not taking messages: api/cell\n")
    async with anyio.create_task_group() as tasks:
        await tasks.start(supervise, "api/cell", process.run, MemoryEvents())
        assert process.ask("/readyz") == (OK, "OK\n")
        process.health.ready.append(lambda: [Finding(what="brokers", is_good=False, says="of cell api: refused")])
        assert process.ask("/readyz") == (UNAVAILABLE, "brokers: of cell api: refused\n")
        assert process.ask("/livez") == (OK, "OK\n")
        tasks.cancel_scope.cancel()


async def test_an_actor_that_is_to_be_started_again_is_not_gone() -> None:
    """It is missed until it takes messages again: whoever restarts the process would only make that longer."""
    process = Process()
    async with anyio.create_task_group() as tasks:
        await tasks.start(supervise, "api/cell", process.run, MemoryEvents())
        process.child.error = RuntimeError()
        process.child.ends.set()
        await anyio.sleep(0.5)
        assert [process.ask(path)[0] for path in ("/livez", "/readyz")] == [OK, UNAVAILABLE]
        assert process.meters.value(ACTORS, "down") == 1
        process.child.error = None
        await anyio.sleep(1.0)
        assert [process.ask(path)[0] for path in ("/livez", "/readyz")] == [OK, OK]
        assert process.meters.value(ACTORS, "up") == 1
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("is_asked", [True, False])
async def test_an_actor_that_has_ended_by_itself_is_gone(*, is_asked: bool) -> None:
    """Silently: nobody starts it again.  One that was asked to leave has only done so."""
    process = Process()
    async with anyio.create_task_group() as tasks:
        await tasks.start(supervise, "api/cell", process.run, MemoryEvents())
        if is_asked:
            process.health.leaving()
        process.child.ends.set()
        await anyio.lowlevel.checkpoint()
    assert process.ask("/livez")[0] == (OK if is_asked else UNAVAILABLE)
    assert process.ask("/readyz")[0] == UNAVAILABLE
    assert ("gone: api/cell" in process.ask("/livez")[1]) != is_asked


async def test_a_loop_that_does_not_turn_is_dead() -> None:
    """Somebody else's loop must ask, so it is asked here after its beat has ended."""
    process = Process()
    with anyio.move_on_after(5.5):
        await process.health.beat()
    assert process.ask("/livez")[0] == OK
    await anyio.sleep(20.0)
    assert process.ask("/livez") == (UNAVAILABLE, "loop: turned 20.5 s ago\n")


async def test_the_summary_is_that_of_oslo_with_details_as_json() -> None:
    """Plain by default; every reason with its class when asked for."""
    process = Process()
    assert process.ask("/healthcheck")[0] == UNAVAILABLE
    status, text = process.ask("/healthcheck", query="detailed")
    document: dict[str, Any] = json.loads(text)
    assert (status, document["status"], document["process"]) == (UNAVAILABLE, "UNAVAILABLE", "api/cell")
    assert [each["class"] for each in document["reasons"]] == ["loop", "actors", "stopping", "consuming"]
    assert {each["reason"] for each in document["reasons"]} == {"OK", "UNAVAILABLE"}


def test_what_is_not_there_is_said_to_be_elsewhere() -> None:
    """Every page is named; a slash more or less does not matter."""
    process = Process()
    status, text = process.ask("/")
    assert (status, [path for path in PATHS if path not in text]) == (NOT_FOUND, [])
    assert process.ask("/metrics/")[0] == OK
    assert "cellferry_actors" in process.ask("/metrics")[1]
