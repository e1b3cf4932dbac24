"""What befalls what a deployment stands on: its broker, its database, a link, a disk, a clock.  Each ends healed."""

from __future__ import annotations

import resource
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import anyio
import attrs
from anyio.to_thread import run_sync

from tests.actors.cli.clouds import processes
from tests.chaos.displaced import displacement
from tests.chaos.fleet import TARGET, TARGET_CELL

if TYPE_CHECKING:
    from tests.chaos.proxy import Proxy
    from tests.own_services import OwnPostgreSQL, OwnRabbitMQ, OwnService

KILLS: Final = 10
#: How long a killed broker is away, and how long it works before it is killed again.
DOWN_S: Final = 1.0
UP_S: Final = 3.0
PAUSED_S: Final = 30.0
CUT_S: Final = 60.0
FULL_S: Final = 20.0
DISPLACED_S: Final = 20.0
AN_HOUR_US: Final = 3_600_000_000


@attrs.frozen(kw_only=True)
class Scene:
    """What disasters strike."""

    directory: Path
    broker: OwnRabbitMQ
    postgresql: OwnPostgreSQL
    link: Proxy  # The root's way to one of the cells.


Disaster: TypeAlias = Callable[[Scene], Awaitable[None]]


async def _again(service: OwnService) -> None:
    await anyio.sleep(DOWN_S)
    await run_sync(service.start)


async def kill_broker(scene: Scene) -> None:
    """Kill the broker, again and again."""
    for _ in range(KILLS):
        await run_sync(scene.broker.kill)
        await _again(scene.broker)
        await anyio.sleep(UP_S)


async def wipe_broker(scene: Scene) -> None:
    """Kill the broker and throw away all that it had: messages, queues, exchanges."""
    await run_sync(scene.broker.kill)
    scene.broker.wipe()
    await _again(scene.broker)


async def pause_broker(scene: Scene) -> None:
    """Let the broker hang: its connections stay, and nothing comes."""
    scene.broker.signal_all(signal.SIGSTOP)
    try:
        await anyio.sleep(PAUSED_S)
    finally:
        scene.broker.signal_all(signal.SIGCONT)


async def cut_link(scene: Scene) -> None:
    """Cut the link from the root to a cell in one direction: the cell is heard, and hears nothing."""
    scene.link.cut()
    try:
        await anyio.sleep(CUT_S)
    finally:
        scene.link.heal()


async def restart_database(scene: Scene) -> None:
    """Restart the database as an administrator would."""
    await run_sync(scene.postgresql.stop)
    await _again(scene.postgresql)


async def kill_database(scene: Scene) -> None:
    """Kill the database and start it again: it recovers by its log."""
    await run_sync(scene.postgresql.kill)
    await _again(scene.postgresql)


async def fill_disk(scene: Scene) -> None:
    """Let no file of a cell's own process grow or be written: as on a disk that is full."""
    with _full(_pid(scene.directory, "cell", TARGET_CELL)):
        await anyio.sleep(FULL_S)


async def set_clock(scene: Scene) -> None:
    """Set a host's clock an hour ahead, and later back."""
    file = displacement(scene.directory, TARGET)
    file.write_text(str(AN_HOUR_US), encoding="ascii")
    try:
        await anyio.sleep(DISPLACED_S)
    finally:
        file.unlink()


DISASTERS: Final[dict[str, Disaster]] = {
    "broker killed ten times": kill_broker,
    "broker wiped": wipe_broker,
    "broker paused": pause_broker,
    "link cut one way": cut_link,
    "database restarted": restart_database,
    "database killed": kill_database,
    "disk of a store full": fill_disk,
    "clock of a host moved": set_clock,
}


def _pid(directory: Path, *words: str) -> int:
    """Find a process of the deployment by words of its command line."""
    for pid in processes(directory):
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        if all(word in command for word in words):
            return pid
    raise LookupError(f"there is no process with {words} in {directory}")


@contextmanager
def _full(pid: int) -> Iterator[None]:
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        if Path(f"/proc/{pid}").exists():
            resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
