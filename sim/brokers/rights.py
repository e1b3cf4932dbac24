"""What a process may do at which broker: the rights that `cellferry broker apply` gives to the users of real ones."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from protocol.errors import Forbidden
from sim.cases.layout import REPLICA

if TYPE_CHECKING:
    from actors.kernel.ports import Queue
    from protocol.cell_path import CellPath

FROM: Final = "from:"


def user_of(process: str) -> str:
    """Name the user that a process is: replicas of an actor are one."""
    return process.partition(REPLICA)[0]


def link_of(neighbour: CellPath) -> frozenset[str]:
    """Name who may send what comes from a neighbour."""
    return frozenset({f"{neighbour}/link"})


def require_write(process: str, queue: Queue) -> None:
    """Raise `Forbidden` unless the process may send to a queue."""
    if not _may_write(user_of(process), str(queue.cell), queue.name):
        raise Forbidden(sender=process, method=f"a frame to {queue}", reason="its broker does not let it")


def require_own(process: str, queue: Queue, what: str) -> None:
    """Raise `Forbidden` unless the queue is in the process's own cell: nobody reads or makes queues elsewhere."""
    if user_of(process).partition("/")[0] != str(queue.cell):
        raise Forbidden(sender=process, method=f"a wish to {what} {queue}", reason="its broker does not let it")


@lru_cache(maxsize=4096)
def _may_write(user: str, cell: str, name: str) -> bool:
    if name.startswith(FROM):
        return user == f"{name.removeprefix(FROM)}/link"
    return user.partition("/")[0] == cell
