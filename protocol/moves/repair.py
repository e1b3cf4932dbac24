"""Repair: finds what is left over of a server anywhere, of whatever origin, and removes it if that is ordered.

Nothing that cellferry does leaves anything; but records are restored from old backups, disks are copied by hand, and
hosts come back that everybody had forgotten.  A repair takes the server as every other conversation does, so that what
it finds belongs to nobody who is still at work; it asks every cell, host and partner, and compares what there is with
what there should be, by the very definition that the invariant `no_leaks` has.  `protocol.moves.leftovers` decides.
"""

from collections.abc import Callable
from typing import Any, Final

from protocol.cell_path import Address, CellPath, host_mailbox
from protocol.errors import CellferryError, Conflict, Unavailable
from protocol.invariants.standing import Place
from protocol.messages import hosts, partners, root
from protocol.messages.hosts import GuestHoldings
from protocol.messages.orders import RepairServer
from protocol.messages.partners import AttachmentList, ImageList, PortList
from protocol.messages.repair import CellHoldings, FindHoldings
from protocol.messages.root import RootHoldings
from protocol.moves import leftovers, parties
from protocol.moves.leftovers import Findings, Looked, Removal
from protocol.moves.lifecycle import take
from protocol.moves.parties import at_root, brief, taken
from protocol.requests import Gathered, Request
from protocol.saga import Step, Story, read
from protocol.states import Goal

#: How long a host is asked what it has, before it counts as not seen.
SILENT_S: Final = 6.0


def _order(story: Story) -> RepairServer:
    order = brief(story).order
    assert isinstance(order, RepairServer)
    return order


# --- looking -----------------------------------------------------------------------------------------------


def _cells(story: Story) -> dict[str, CellHoldings]:
    answers = story.reply("look_in_cells", Gathered).answers
    return {str(answer.cell): read(answer.body, CellHoldings) for answer in answers if not answer.is_error}


def _needed(home: str | None, cells: dict[str, CellHoldings]) -> tuple[str, ...]:
    """Name the cells that say what belongs to a server: its home, and while a move of it waits, where it came from."""
    if home is None:
        return ()
    found = cells.get(home)
    server = found.server if found is not None else None
    if found is None or server is None or server.migration_context is None:
        return (home,)
    moves = (each for each in found.migrations if each.uuid == server.migration_context.migration)
    return (home, *(each.source_cell for each in moves))


def _unclear(story: Story, _reply: Any) -> CellferryError | None:
    """Object when it is not clear where the server's home is, and what it has: then nobody can tell what is left over.

    Somebody has restored a database, or written to it: he is to say which cell is right.
    """
    home, cells = taken(story).mapping.cell, _cells(story)
    for cell in _needed(home, cells):
        if cell not in cells:
            return Unavailable(what=f"cell {cell}", reason="it did not say what it has of the server")
    shown = [cell for cell, found in cells.items() if found.server is not None and not found.server.is_hidden]
    if shown == ([home] if home is not None else []):
        return None
    where = f"cell {home}" if home is not None else "nowhere"
    reason = f"its mapping says that its home is {where}, and it is shown by {' and '.join(shown) or 'no cell'}"
    return Conflict(server=story.server, action=Goal.REPAIR.value, reason=f"{reason}: bring these together first")


def _hosts(story: Story) -> tuple[Place, ...]:
    """List the hosts that are asked: those whose machines are off can say nothing."""
    fenced = taken(story).fenced
    cells = _cells(story).items()
    return tuple((cell, host) for cell, holdings in cells for host in holdings.hosts if host not in fenced)


def _at_each_host(story: Story) -> Address:
    cell, host = _hosts(story)[story.attempt - 1]
    return Address(CellPath.parse(cell), host_mailbox(host))


def _guests(story: Story) -> dict[Place, GuestHoldings]:
    found = {}
    for number, place in enumerate(_hosts(story), start=1):
        guest = Story(story.journal, number).reply("look_at_host", GuestHoldings)
        if guest.is_seen:
            found[place] = guest
    return found


LOOK: Final = (
    take(Goal.REPAIR),
    Step(
        name="look_in_cells", row="-", at=at_root(), is_read=True, objection=_unclear,
        run=lambda story: FindHoldings(server=story.server),
    ),
    Step(
        name="look_at_root", row="-", at=at_root(), is_read=True,
        run=lambda story: root.FindRootHoldings(server=story.server),
    ),
    Step(
        name="list_ports", row="-", at=at_root("network"), is_read=True,
        run=lambda story: partners.ListPorts(server=story.server),
    ),
    Step(
        name="list_attachments", row="-", at=at_root("volume"), is_read=True,
        run=lambda story: partners.ListAttachments(server=story.server),
    ),
    Step(
        name="list_snapshots", row="-", at=at_root("image"), is_read=True,
        run=lambda story: partners.ListSnapshots(server=story.server),
    ),
    Step(
        name="look_at_host", row="-", at=_at_each_host, is_read=True, times=lambda story: len(_hosts(story)),
        patience_s=SILENT_S, unanswered=lambda _story, _error: GuestHoldings(is_seen=False),
        run=lambda story: hosts.FindGuest(server=story.server),
    ),
)  # fmt: skip


def findings(story: Story) -> Findings:
    """Say what is left over, once everybody has been asked."""
    looked = Looked(
        server=story.server,
        root=brief(story).root,
        mapping=taken(story).mapping,
        fenced=taken(story).fenced,
        cells=_cells(story),
        at_root=story.reply("look_at_root", RootHoldings),
        ports=story.reply("list_ports", PortList),
        attachments=story.reply("list_attachments", AttachmentList).attachments,
        images=story.reply("list_snapshots", ImageList).images,
        guests=_guests(story),
    )
    return leftovers.find(looked, has_disks=_order(story).has_disks)


# --- removing ----------------------------------------------------------------------------------------------


def _is_applied(story: Story) -> bool:
    return _order(story).is_applied


def _remove(name: str, removals: Callable[[Findings], tuple[Removal, ...]]) -> Step:
    """Remove something in each of some places; without it the server is as well as before, so there is no undo."""

    def each(story: Story) -> Removal:
        return removals(findings(story))[story.attempt - 1]

    def run(story: Story) -> Request[Any]:
        return each(story).request

    return Step(
        name=name, row="-", at=lambda story: each(story).at, run=run, settles=True, when=_is_applied,
        times=lambda story: len(removals(findings(story))),
    )  # fmt: skip


# Guests first, so that nobody writes to what is taken away; the ledger of permits last.
REMOVE: Final = (
    _remove("clear_host", lambda found: found.at_hosts),
    _remove("clear_cell", lambda found: found.in_cells),
    _remove("clear_network", lambda found: found.at_network),
    _remove("clear_volumes", lambda found: found.at_volumes),
    _remove("clear_images", lambda found: found.at_images),
    _remove("clear_root", lambda found: found.at_root),
)

REPAIR: Final = parties.plan("repair", (*LOOK, *REMOVE))
