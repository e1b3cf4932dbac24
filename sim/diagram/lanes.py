"""Who has a lane in a diagram, in which order, and how it is called.  Links and brokers only pass on, and have none."""

from collections.abc import Iterable

from sim.diagram.picture import USERS, Lane
from sim.telling.account import Account

ROLES = ("conductor", "cell", "image", "volume", "network", "link")


def lanes_of(processes: Iterable[str]) -> tuple[Lane, ...]:
    """Make the lanes of these processes: users, the root's, then cell by cell with its hosts."""
    return tuple(_lane(process) for process in sorted(filter(None, set(processes)), key=_place))


def process_of_host(account: Account, place: str) -> str:
    """Name the process of a host, an image store or a volume store, of which the history may tell by name alone."""
    if "/" in place:
        return place
    processes = dict.fromkeys(line.what.process for line in account.lines if line.what.process)
    return next((name for name in processes if name.endswith((f"/host:{place}", f"/{place}"))), f"/host:{place}")


def _place(process: str) -> tuple[int, list[str], int, str]:
    if process == USERS:
        return 0, [], 0, ""
    cell, _, mailbox = process.partition("/")
    role = mailbox.partition("~")[0]
    rank = ROLES.index(role) if role in ROLES else len(ROLES)
    return 1 if "!" not in cell else 2, cell.split("!"), rank, mailbox


def _lane(process: str) -> Lane:
    if process == USERS:
        return Lane(process=USERS, title="users")
    cell, _, mailbox = process.partition("/")
    if mailbox == "cell":
        is_root = "!" not in cell
        return Lane(process=process, title="root" if is_root else f"cell {cell.rpartition('!')[2]}", detail=cell)
    if mailbox.startswith("host:"):
        return Lane(process=process, title=f"host {mailbox.removeprefix('host:')}", detail=cell)
    name, _, number = mailbox.partition("~")
    title = f"{name} {int(number) + 1}" if number.isdigit() else name
    return Lane(process=process, title=title, detail=cell)
