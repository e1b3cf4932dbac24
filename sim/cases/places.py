"""Where things can go wrong in a world: its processes, its links, its queues, and the points of moves."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from protocol.cell_path import CellPath, host_mailbox, replies_of
from protocol.moves.plans import PLANS
from sim.cases.case import Case
from sim.cases.layout import REPLICA, Layout
from sim.cases.workload import Op
from sim.faults import Family, Fault, FaultKind

PARTNERS: Final = ("image", "volume", "network")
#: A process can be stopped at these places of a step's exchange.
POSITIONS: Final = ("before_send", "after_send", "after_effect", "after_reply", "after_record")
#: What a host's actor asks of its hypervisor, about any guest.
COMMON_CALLS: Final = (
    "spawn", "define", "power_on", "power_off", "snapshot", "connect_volume", "disconnect_volume",
    "copy_volume", "undefine", "destroy", "live_snapshot", "apply_network", "prepare_disk",
    "replace_disk", "restore_disk", "keep_disk", "save", "restore",
    "receive",
)  # fmt: skip
#: And about those that their users hold.
HOLDING_CALLS: Final = ("pause", "suspend")
DRIVER_CALLS: Final = (*COMMON_CALLS, *HOLDING_CALLS)
#: What is asked of the stores of images and volumes.
PARTNER_CALLS: Final = {
    "image": ("write", "read", "digest", "delete"),
    "volume": ("create", "exists"),
}
AT_A_POINT: Final = frozenset({FaultKind.CRASH_AT, FaultKind.PAUSE_AT})
OF_A_QUEUE: Final = frozenset({FaultKind.UNROUTABLE, FaultKind.CONSUMER_GONE})


def conductor_of(layout: Layout) -> str:
    """Name the conductor's process; of several, the first one's."""
    return f"{layout.root}/conductor"


def conductors_of(layout: Layout) -> tuple[str, ...]:
    """Name the processes of all replicas of the conductor."""
    return tuple(f"{layout.root}/{name}" for name in layout.conductor_names)


def link_of(cell: CellPath) -> str:
    """Name the process that speaks with a cell's neighbours."""
    return f"{cell}/link"


def host_names(layout: Layout) -> tuple[str, ...]:
    """Name the processes of all hosts."""
    return tuple(f"{cell}/{host_mailbox(name)}" for name, cell in layout.hosts.items())


def process_names(layout: Layout) -> tuple[str, ...]:
    """Name every process of a world, each once."""
    return (
        *conductors_of(layout),
        *(f"{layout.root}/{partner}" for partner in PARTNERS),
        *layout.replicas("cell"),
        *layout.replicas("link"),
        *host_names(layout),
    )


def links(layout: Layout) -> tuple[tuple[str, str], ...]:
    """Give every pair of processes that speak with each other directly, parent first."""
    between = [(link_of(cell.parent), link_of(cell)) for cell in layout.cells if cell.parent is not None]
    inside = [
        (link_of(_cell(name)), name) for name in process_names(layout) if name.endswith("/cell") or "/host:" in name
    ]
    others = [
        name for name in process_names(layout) if _cell(name) == layout.root and name not in conductors_of(layout)
    ]
    root = [(conductor, name) for conductor in conductors_of(layout) for name in others]
    return (*between, *inside, *root)


def queue_names(layout: Layout, cell: CellPath) -> tuple[str, ...]:
    """Name the queues of a cell's broker that its processes read from."""
    processes = [name.partition("/")[2] for name in process_names(layout) if _cell(name) == cell]
    replicas = [name.partition(REPLICA) for name in processes]
    mailboxes = tuple(dict.fromkeys(mailbox for mailbox, _, _ in replicas))
    answers = [replies_of(mailbox, slot or "0") for mailbox, _, slot in replicas if mailbox != "link"]
    neighbours = [*layout.children(cell), *([cell.parent] if cell.parent else [])]
    return (*mailboxes, *answers, *(f"from:{neighbour}" for neighbour in neighbours))


@lru_cache(maxsize=1)
def crash_points() -> tuple[str, ...]:
    """Name every point of every move at which a process can be stopped, each once."""
    steps = dict.fromkeys((step.name, step.is_read) for plan in PLANS.values() for step in plan.steps)
    of_steps = (
        f"{name}/{way}/{position}"
        for name, is_read in steps
        for way in (("do",) if is_read else ("do", "undo"))
        for position in POSITIONS
    )
    of_drivers = (
        f"driver/{call}/{when}" for call in ("guest", "guests", *DRIVER_CALLS) for when in ("before", "after")
    )
    return (*dict.fromkeys(of_steps), "end/do/after_record", "closed/do/after_record", *of_drivers)


def _cell(process: str) -> CellPath:
    return CellPath.parse(process.partition("/")[0])


# --- what is wrong with a case -----------------------------------------------------------------------------


def mistakes(case: Case, layout: Layout | None = None) -> list[str]:
    """Tell what a case names that its world does not have."""
    layout = layout or case.layout()
    return [*_mistaken_ops(case, layout), *_mistaken_faults(case, layout)]


def _mistaken_ops(case: Case, layout: Layout) -> Iterator[str]:
    names: set[str] = set()
    servers = {op.server for op in case.setup}
    for op in (*case.setup, *case.ops):
        if op.name in names:
            yield f"operation {op.name} is there twice"
        if op.after and op.after not in names:
            yield f"operation {op.name} comes after {op.after}, which is not before it"
        if op.host and op.host not in layout.hosts:
            yield f"operation {op.name} names host {op.host}, which is not there"
        if op.server not in servers and not _creates(op, case):
            yield f"operation {op.name} is about server {op.server}, which nobody creates"
        names.add(op.name)


def _creates(op: Op, case: Case) -> bool:
    return any(other.act == "create" and other.server == op.server for other in case.ops)


def _mistaken_faults(case: Case, layout: Layout) -> Iterator[str]:
    names: set[str] = set()
    processes = process_names(layout)
    for fault in case.faults:
        if fault.name in names:
            yield f"fault {fault.name} is there twice"
        names.add(fault.name)
        for place, known in _places(fault, layout, processes):
            if not _is_known(place, known):
                yield f"fault {fault.name} names {place}, which is not there"
        if fault.kind in AT_A_POINT and fault.point not in crash_points():
            yield f"fault {fault.name} waits for the point {fault.point}, which no step passes"


def _places(fault: Fault, layout: Layout, processes: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    match fault.family:
        case Family.BROKER:
            yield fault.where, tuple(map(str, layout.cells))
            if fault.kind in OF_A_QUEUE and fault.where:
                yield fault.other, queue_names(layout, CellPath.parse(fault.where))
        case Family.PARTNER:
            yield fault.where, tuple(PARTNER_CALLS)
        case Family.DRIVER:
            yield fault.where, host_names(layout)
        case _:
            yield fault.where, processes
            yield fault.other, processes


def _is_known(pattern: str, known: tuple[str, ...]) -> bool:
    if not pattern:
        return True
    if pattern.endswith("*"):
        return any(name.startswith(pattern[:-1]) for name in known)
    return pattern in known
