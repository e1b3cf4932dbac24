"""Replicas of a cell over a real broker: one is added, drained and killed under load, and nothing is lost."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio
import attrs
import pytest

from actors.cli.configuring import deployment_of
from actors.kernel.ports import Queue
from actors.ops.events import MemoryEvents
from actors.process import open_parts, user
from actors.wire.topology import Topology
from protocol.cell_path import Address, CellPath
from protocol.errors import NotFound
from protocol.messages.capacity import FindRoom
from protocol.messages.servers import ReadServer
from tests.actors.cli.clouds import read_until, started
from tests.e2e.deployments import answering, deployed, shown_until, write_deployment
from tests.services import own_rabbitmq

if TYPE_CHECKING:
    from actors.kernel.post import Post
    from tests.own_services import OwnRabbitMQ

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(600)]
CELL: Final = CellPath.parse("api!us")
SECOND: Final = ("--cell", str(CELL), "--replica", "1")
ROOM: Final = FindRoom(vcpus=1, memory_mb=1, disk_gb=1)
#: Of the deployments that tests write.
PREFIX: Final = "cellferry-e2e"
CALLERS: Final = 1
BUDGET_S: Final = 60.0
CELLS: Final = 4


@pytest.fixture(scope="module")
def anyio_backend(real_loop: str) -> str:
    """These tests start processes."""
    return real_loop


@attrs.define
class Load:
    """What was asked of the cell meanwhile, and how it was answered."""

    answered: Counter[str] = attrs.field(factory=Counter)
    is_over: bool = False

    async def call(self, post: Post) -> None:
        """Call the cell's actor, one call after the other; whatever is not the answer is raised."""
        while not self.is_over:
            with pytest.raises(NotFound):
                await post.call(Address(CELL, "cell"), ReadServer(server="nobody"), budget_s=BUDGET_S)
            self.answered["call"] += 1

    async def gather(self, post: Post) -> None:
        """Ask all cells, one time after the other; the cell in question may be late, no other one."""
        while not self.is_over:
            gathered = await post.gather(ROOM, budget_s=5.0)
            assert len(gathered.answers) == CELLS
            assert {answer.cell for answer in gathered.answers if answer.is_error} <= {CELL}
            self.answered["gather"] += 1


def live_and_die(directory: Path, config: Path, broker: OwnRabbitMQ) -> None:
    """Add a replica, drain it, add it again, kill it, and add it once more, while servers are made and moved."""
    answered = answering(directory)
    config.write_text(config.read_text().replace(f'path = "{CELL}"\n', f'path = "{CELL}"\nreplicas = 2\n'))
    second = directory / "second"
    second.mkdir()
    with deployed(second, config, *SECOND, role="cell"):
        assert consumers(broker) == 2
        answered("server", "create", "web", "--flavor", "tiny", "--image", "cirros", "--host", "h1", "--wait")
        moving = answered("server", "migrate", "web", "--host", "h2")
    assert consumers(broker) == 1
    with started(second, "cell", "--config", str(config), *SECOND, of="run") as run:
        read_until(run.stdout, "ready: ")
        shown_until(answered, moving["conversation"], state="done")
        answered("server", "confirm", "web")
        run.kill()
        run.wait()
    with deployed(second, config, *SECOND, role="cell"):
        shown = answered("server", "show", "web")
        assert (shown["cell"], shown["vm_state"]) == (str(CELL), "active")


def consumers(broker: OwnRabbitMQ) -> int:
    """Count who reads the mailbox of the cell's actor."""
    listed = broker.control("list_queues", "name", "consumers").splitlines()
    counts = {name: int(count) for name, _, count in (line.partition("\t") for line in listed) if count.isdecimal()}
    return counts[Topology(PREFIX).name(Queue(CELL, "cell"))]


async def test_a_replica_is_added_drained_and_killed_under_load_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every call is answered, every gather ends and blames no other cell, and the server is where it was ferried to."""
    load = Load()
    with own_rabbitmq() as broker:
        config = write_deployment(tmp_path, broker)
        monkeypatch.setenv("CELLFERRY_CONFIG", str(config))
        with deployed(tmp_path, config):
            async with (
                open_parts(deployment_of(config), MemoryEvents()) as parts,
                user(parts) as post,
                anyio.create_task_group() as tasks,
            ):
                for _ in range(CALLERS):
                    tasks.start_soon(load.call, post)
                tasks.start_soon(load.gather, post)
                await anyio.to_thread.run_sync(partial(live_and_die, tmp_path, config, broker))
                load.is_over = True
    assert load.answered["call"] > 10 * CALLERS
    assert load.answered["gather"] > 10
