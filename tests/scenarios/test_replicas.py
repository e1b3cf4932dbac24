"""Replicas of a cell's actor and link share its work; they come, leave and die under load, and nothing is lost."""

from __future__ import annotations

from collections import Counter
from typing import Final

import anyio
import pytest

from protocol.messages.capacity import FindRoom
from protocol.messages.servers import ReadServer
from sim import Scenario
from sim.history import Crashed, Handed, Sent
from sim.world import LOOK_S

HOSTS: Final = {"h1": "api!eu", "h2": "api!us", "h3": "api!eu"}
ROOM: Final = FindRoom(vcpus=1, memory_mb=1, disk_gb=1)
#: After this the replica that has changed a server would have told of it.
LINGERS_S: Final = 1.0
CELLS: Final = ("api", "api!eu", "api!us")
REPLICAS: Final = ("cell", "cell~1", "link", "link~1")


def takers(s: Scenario, role: str, method: str) -> Counter[str]:
    """Count by process the messages of a method that replicas of a role have taken."""
    handed = (line.what for line in s.stage.history.lines if isinstance(line.what, Handed))
    return Counter(
        what.process
        for what in handed
        if what.process.partition("/")[2].partition("~")[0] == role
        for note in what.notes
        if note.method == method and not note.answers
    )


def strayed(s: Scenario) -> list[str]:
    """Name the links that got the answer to what another one had asked."""
    askers: dict[str, set[str]] = {}
    found: list[str] = []
    for what in (line.what for line in s.stage.history.lines):
        if isinstance(what, Sent):
            for note in what.notes:
                askers.setdefault(note.id, set()).add(what.process)
        elif isinstance(what, Handed) and "replies:link" in what.queue:
            found += [what.process for note in what.notes if what.process not in askers.get(note.answers, set())]
    return found


@pytest.mark.proves("R2", "R140")
def test_replicas_share_the_work_and_an_answer_reaches_the_very_one_that_asked() -> None:
    """Each takes some of the calls; what a replica gathers comes back to its own queue, and to no other's."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")

        async def ask() -> None:
            for _ in range(4):
                assert (await s.call("api!eu", ReadServer(server="web"))).server.uuid == "web"
                assert len(await s.gather(ROOM)) == 3

        async with anyio.create_task_group() as tasks:
            for _ in range(6):
                tasks.start_soon(ask)
        assert takers(s, "cell", "read_server").keys() == {"api!eu/cell", "api!eu/cell~1"}
        assert {"api/link", "api/link~1"} <= takers(s, "link", "find_room").keys()
        assert not strayed(s)
        await s.quiet()
        s.check()

    Scenario.run(story, hosts=HOSTS, replicas=2)


@pytest.mark.proves("R142")
def test_replicas_that_leave_die_and_come_back_under_load_lose_nothing() -> None:
    """One after the other every replica of every cell leaves or is killed, while servers move: every order is done."""

    async def story(s: Scenario) -> None:
        left = 0
        for name, host in (("a", "h1"), ("b", "h3"), ("c", "h2")):
            await s.create(name, host=host)
        for number, process in enumerate(f"{cell}/{role}" for role in REPLICAS for cell in CELLS):
            moves = [await s.migrate(name) for name in "abc"] if number % 4 == 0 else []
            if number % 3 == 2:
                s.kill(process, down_s=3.0)
            else:
                left += await s.drain(process, down_s=3.0)
            await s.wait(1.0)
            for name, move in zip("abc", moves, strict=False):
                await move.done()
                await (await s.confirm(name)).done()
        assert left == 8
        assert sum(isinstance(line.what, Crashed) for line in s.stage.history.lines) == 12
        await s.quiet()
        s.check()

    Scenario.run(story, hosts=HOSTS, replicas=2)


@pytest.mark.proves("R142")
def test_a_replica_that_leaves_answers_what_it_has_taken_and_takes_nothing_more() -> None:
    """A gather that waits for a deaf cell is still answered in whole by the link that left meanwhile."""

    async def story(s: Scenario) -> None:
        s.kill("api!us/link", down_s=60.0)
        answers: list[int] = []

        async def gather() -> None:
            given = await s.gather(ROOM, budget_s=8.0)
            answers.append(len(given))
            assert [reply.cell for reply in given if reply.error is not None] == ["api!us"]

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(gather)
            await s.wait(1.0)
            begun = len(s.stage.history.lines)
            assert await s.drain("api/link")
            for line in s.stage.history.lines[begun:]:
                if isinstance(line.what, Handed) and line.what.process == "api/link":
                    assert "replies:" in line.what.queue
        assert answers == [3]

    Scenario.run(story, hosts=HOSTS)


def test_what_a_dead_replica_has_left_in_the_outbox_another_one_sends() -> None:
    """News of a server is told by the replica that is there, though nobody wakes it for that."""

    def waiting(s: Scenario) -> int:
        return sum(memory.waiting for memory in s.stage.truth().memories if memory.actor == "api!eu/cell")

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        await s.quiet()
        await s.rename("web")
        taken = [line.what for line in s.stage.history.lines if isinstance(line.what, Handed)]
        of_cell = [what.process for what in taken if what.queue.startswith("api!eu/cell")]
        assert waiting(s) == 1
        s.kill(of_cell[-1], down_s=60.0)
        await s.wait(LINGERS_S)
        assert waiting(s) == 1
        await s.wait(LOOK_S + 1)
        assert waiting(s) == 0
        await s.quiet()
        s.check()

    Scenario.run(story, hosts=HOSTS, replicas=2)
