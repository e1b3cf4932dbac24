"""Who takes part in a conversation, and what its steps tell each other."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final, cast

import attrs

from protocol.cell_path import Address, CellPath, host_mailbox, host_of
from protocol.errors import CellferryError, HostDown, NoCellsAvailable, NoValidHost
from protocol.ids import derived_id
from protocol.messages.capacity import FindRoom, HostRoom, Room
from protocol.messages.groups import LeavePlace, TakePlace
from protocol.messages.hosts import VolumePlace
from protocol.messages.orders import LiveMigrateServer, Order
from protocol.messages.root import OweServer, ReleaseServer, Taken
from protocol.messages.scheduling import ScheduledRoom, ScheduleRoom
from protocol.messages.servers import Origin, ServerBundle
from protocol.moves.crossing import Crossing
from protocol.records import BlockDevice, Flavor, Migration, MigrationContext
from protocol.requests import Gathered
from protocol.saga import NO_RETRIES, Plan, Retries, Step, Story, read
from protocol.scheduling import Asked, Wish, descent
from protocol.states import PowerState

At = Callable[[Story], Address]
#: A host that is to prove that it can take a server, and does not answer for so long, is down: another one is tried, or
#: the user hears of it, soon and with nothing changed.
PROOF_S: Final = 45.0
#: The host that has a server is asked at the door, while the user waits to hear that the order is accepted: no longer.
DOOR_PROOF_S: Final = 20.0
#: Why a move has few hosts to choose from.
STAYS: Final = "it may not leave its cell {cell} (the deployment's setting cross_cell), and "
GUARANTEED: Final = "what its port is guaranteed does not leave its cell {cell}, and "
LIVE: Final = "a live migration does not leave its cell {cell}, and "
#: The step by which a conversation lets its server go, although it still cleans up.
OWE: Final = "owe"


@attrs.frozen(kw_only=True)
class Brief:
    """What a conversation begins with: the order, where the root is, and what was decided when the order was taken.

    `is_queued`: others had the server then.  `may_cross`: it may leave its cell; `own_cell_weight`: see `Crossing`.
    """

    root: CellPath
    order: Order
    is_queued: bool = False
    may_cross: bool = True
    own_cell_weight: int = -1
    #: It may go to another host of its cell.  What an older version has begun may not, and so goes on as it began.
    may_stay: bool = False
    is_scheduled: bool = False  # See `Crossing`; likewise the retries.
    retries: Retries = NO_RETRIES


def brief_of(root: CellPath, order: Order, *, is_queued: bool, crossing: Crossing) -> Brief:
    """Decide what is decided when an order is taken, and write it down."""
    return Brief(
        root=root, order=order, is_queued=is_queued, may_cross=crossing.is_open_to(order.origin),
        own_cell_weight=crossing.own_cell_weight, may_stay=True,
        is_scheduled=crossing.is_scheduled, retries=crossing.retries,
    )  # fmt: skip


def brief(story: Story) -> Brief:
    """Give what the conversation began with."""
    return story.order(Brief)


def at_root(mailbox: str = "cell") -> At:
    """Address an actor of the root."""
    return lambda story: Address(brief(story).root, mailbox)


def plan(name: str, steps: tuple[Step, ...]) -> Plan:
    """Make a plan whose arbiter is the root's mapping: its first step takes the server, its release gives it back."""
    return Plan(
        name=name,
        version=1,
        steps=steps,
        arbiter=at_root(),
        release=lambda story: ReleaseServer(server=story.server, conversation=story.conversation),
    )


def owe(row: str, owed_at: At) -> Step:
    """Let the server go although clean-up is left: the last step that its user waits for, and never undone."""
    return Step(
        name=OWE, row=row, at=at_root(),
        run=lambda story: OweServer(
            server=story.server, conversation=story.conversation, owed_at=str(owed_at(story))
        ),
    )  # fmt: skip


def action(story: Story) -> str:
    """Name the user's action in the server's history."""
    return derived_id(story.conversation, "action")


def origin(story: Story) -> Origin:
    """Tell who asked."""
    return brief(story).order.origin


def open_context(begun: ServerBundle) -> MigrationContext:
    """Give what the record of a server held for its move when a settling conversation began."""
    context = begun.server.migration_context
    assert context is not None, "no move is open"
    return context


def open_migration(begun: ServerBundle) -> Migration:
    """Give the record of the move that a settling conversation found open when it began."""
    context = open_context(begun)
    return next(row for row in begun.migrations if row.uuid == context.migration)


def taken(story: Story) -> Taken:
    """Give how the root had the server when the conversation took it."""
    return story.reply("take", Taken)


def home(story: Story) -> CellPath:
    """Name the cell that was the server's home when the conversation took it."""
    cell = taken(story).mapping.cell
    assert cell is not None, "the server has no home yet"
    return CellPath.parse(cell)


def at_home(story: Story) -> Address:
    """Address the home cell."""
    return Address(home(story), "cell")


def held_permit(story: Story) -> int:
    """Give the number of the permit that the server's host held when the conversation took it."""
    permit = taken(story).permit
    return permit.number if permit else 0


def on_or_off(former: PowerState | None) -> PowerState:
    """Tell what a guest becomes again that a move has stopped: no server moves whose guest is held."""
    return PowerState.RUNNING if former is PowerState.RUNNING else PowerState.SHUTDOWN


def host_down(host: Callable[[Story], Address]) -> Callable[[Story, CellferryError], CellferryError]:
    """Say of a host that it is down, since it did not answer."""
    return lambda story, error: HostDown(
        server=story.server, host=host_of(host(story)) or str(host(story)), reason=str(error)
    )


def holder(cell: CellPath, host: str) -> str:
    """Name a host as the ledger of permits does."""
    return str(Address(cell, host_mailbox(host)))


def at_chosen_cell(story: Story) -> Address:
    """Address the cell that this attempt has chosen."""
    return Address(CellPath.parse(chosen(story).cell), "cell")


def at_chosen_host(story: Story) -> Address:
    """Address the host that this attempt has chosen."""
    room = chosen(story)
    return Address(CellPath.parse(room.cell), host_mailbox(room.host))


# --- choosing ----------------------------------------------------------------------------------------------


def find_room(flavor: Flavor, *, is_volume_backed: bool, bandwidth_kbps: int) -> FindRoom:
    """Ask for hosts with room for a server of that flavor."""
    disk_gb = 0 if is_volume_backed else flavor.disk_gb
    return FindRoom(
        vcpus=flavor.vcpus, memory_mb=flavor.memory_mb, disk_gb=disk_gb, bandwidth_kbps=bandwidth_kbps
    )  # fmt: skip


def ask_for_room(
    story: Story, flavor: Flavor, *, is_volume_backed: bool, bandwidth_kbps: int
) -> FindRoom | ScheduleRoom:
    """Ask all cells for hosts with room; and, where that is decided so, each for its choice among the cells.

    In Nova a build descends the tree as a message: each cell chooses and hands on, nobody can come back, and a cell
    that fails leaves the build where it is.  Here one question goes down the whole tree.  It changes nothing, so it may
    be asked again at will; each cell answers by its own filters and weighers, as in Nova; and the descent, with its
    way back to the next choice, is read off the answers (`descent`).  They are in the journal: whoever goes on with
    the conversation, with whatever settings, chooses the same.
    """
    room = find_room(flavor, is_volume_backed=is_volume_backed, bandwidth_kbps=bandwidth_kbps)
    begun_with = brief(story)
    if not begun_with.is_scheduled:
        return room
    order = begun_with.order
    asked = Asked(
        method=story.journal.goal.value, flavor=flavor, top=top(story), is_admin=order.origin.is_admin,
        wish=getattr(order, "wish", Wish()),
    )  # fmt: skip
    return ScheduleRoom(room=room, asked=asked)


def _places(story: Story) -> dict[str, int] | None:
    """Tell when each cell's turn is, as the cells have chosen; None: they were not asked."""
    if not brief(story).is_scheduled:
        return None
    answers = story.reply("choose_target", Gathered).answers
    orders = {answer.cell: read(answer.body, ScheduledRoom).order for answer in answers if not answer.is_error}
    return {str(cell): place for place, cell in enumerate(descent(orders, top(story)))}


def top(story: Story) -> CellPath:
    """Name the cell in which the choice begins: nobody gets out of it and what is below."""
    return getattr(brief(story).order, "within", None) or brief(story).root


def _answers(story: Story) -> Iterator[tuple[CellPath, Room | ScheduledRoom]]:
    kind: type[Room | ScheduledRoom] = ScheduledRoom if brief(story).is_scheduled else Room
    begins = top(story)
    for answer in story.reply("choose_target", Gathered).answers:
        if not answer.is_error and (answer.cell == begins or begins.is_above(answer.cell)):
            yield answer.cell, read(answer.body, kind)


def _rooms(story: Story) -> Iterator[HostRoom]:
    for _, each in _answers(story):
        yield from each.hosts


def _withheld(story: Story, named: str | None) -> str:
    """Name the frozen cells that withhold hosts with room (or the named one, if one is); empty: there are none."""
    frozen = (
        f"cell {cell} is frozen ({each.withheld.reason})"
        for cell, each in _answers(story)
        if each.withheld is not None and (named is None or named in each.withheld.hosts)
    )
    return ", and ".join(frozen)


def confined(story: Story) -> str:
    """Tell why a server's move may not leave its cell; empty: it may."""
    own_cell = taken(story).mapping.cell
    if own_cell is None:  # A new server goes anywhere.
        return ""
    if isinstance(brief(story).order, LiveMigrateServer):
        return LIVE.format(cell=own_cell)
    if story.reply("begin_move", ServerBundle).server.bandwidth_kbps:
        return GUARANTEED.format(cell=own_cell)
    return "" if brief(story).may_cross else STAYS.format(cell=own_cell)


def retries(story: Story) -> Retries:
    """Tell whether a new server that no cell takes is tried again; not on a host that its user has named."""
    return NO_RETRIES if getattr(brief(story).order, "host", None) else brief(story).retries


def choose(story: Story) -> HostRoom | None:
    """Choose the first by `rank` of the fitting hosts that no earlier attempt has tried."""
    if story.find("choose_target", Gathered) is None:
        return None  # An attempt that had nothing to choose, and was followed by another.
    # Nearly every step asks who was chosen.
    known, given = story.journal.worked_out, ("choose", story.attempt, *_given(story))
    if given not in known:
        known[given] = _choose(story)
    return cast("HostRoom | None", known[given])


def _given(story: Story) -> tuple[bytes | None, ...]:
    """Give all that a choice follows from: the order, and the replies as they stand in the journal."""
    asked = [Story(story.journal, number).payload("choose_target") for number in range(1, story.attempt + 1)]
    return (story.journal.entries[0].payload, story.payload("take"), story.payload("begin_move"), *asked)


def _choose(story: Story) -> HostRoom | None:
    begun_with = brief(story)
    wanted_host = getattr(begun_with.order, "host", None)
    own_cell = taken(story).mapping.cell
    tried = [earlier for n in range(1, story.attempt) if (earlier := choose(Story(story.journal, n)))]
    left_out = {room.host for room in tried}.union(taken(story).fenced, taken(story).avoided)
    is_confined = bool(confined(story))
    if own_cell is not None:
        left_out.add(story.reply("begin_move", ServerBundle).server.host or "")
    places = _places(story)
    rooms = [
        room
        for room in _rooms(story)
        if room.host not in left_out and wanted_host in {None, room.host}
        # Who names a host has chosen.
        if wanted_host or places is None or room.cell in places
        if own_cell is None or (begun_with.may_stay if room.cell == own_cell else not is_confined)
    ]
    first_cell = tried[0].cell if tried else None
    own_weight = begun_with.own_cell_weight
    return min(
        rooms,
        key=partial(rank, first_cell=first_cell, own_cell=own_cell, own_cell_weight=own_weight, places=places or {}),
        default=None,
    )


def rank(
    room: HostRoom, *, first_cell: str | None, own_cell: str | None, own_cell_weight: int, places: Mapping[str, int]
) -> tuple[bool, int, int, int, int, str, str]:
    """Tell how far back a host stands.

    After the first attempt's cell, by the own cell's weight, by its cell's turn as cells chose, behind emptier ones.

    The order is total, so that all agree.
    """
    return (
        first_cell is not None and room.cell != first_cell,
        -own_cell_weight if room.cell == own_cell else own_cell_weight,
        places.get(room.cell, 0),
        -room.memory_mb,
        -room.vcpus,
        room.cell,
        room.host,
    )


def chosen(story: Story) -> HostRoom:
    """Give this attempt's choice."""
    room = choose(story)
    assert room is not None, "nothing was chosen"
    return room


def nothing_to_choose(story: Story, reply: Any) -> CellferryError | None:
    """Object to an answer that leaves no host."""
    assert isinstance(reply, Gathered)
    if choose(story) is not None:
        return None
    order = brief(story).order
    named = getattr(order, "host", None)
    own_cell = taken(story).mapping.cell
    stays = confined(story)
    where = "no other host has room for it" if own_cell else "no host has room for it"
    if stays:
        where = "no other host there has room for it"
    if named:
        where = f"host {named} {'is not there, ' if stays else ''}has no room for it, or does not answer"
    if named in taken(story).fenced:
        where = f"host {named} is fenced; unfence it when its machine is back, or name another"
    if named in taken(story).avoided:
        where = f"host {named} has, or expects, another server of its group; name another"
    places = _places(story)
    if places is not None and not named and any(room.cell not in places for room in _rooms(story)):
        where += ", but for cells that do not answer, or that the cells' filters leave out"
    if withheld := _withheld(story, named):
        where = f"host {named} takes no server: {withheld}" if named else f"{where}; {withheld}"
    silent = [str(answer.cell) for answer in reply.answers if answer.is_error]
    also = f"; no answer from {', '.join(silent)}" if silent else ""
    reason = f"{stays}{where}{also}"
    if own_cell is None and places is not None and not named:
        return NoCellsAvailable(server=story.server, tries=1 + retries(story).times, reason=reason)
    return NoValidHost(server=story.server, reason=reason)


def is_in_group(story: Story) -> bool:
    """Tell whether the server is in a group whose servers are to be on different hosts."""
    return bool(taken(story).mapping.server_group)


def take_place(row: str) -> Step:
    """Keep the chosen host for this one of a group's servers; refused when another one is there or goes there."""
    return Step(
        name="take_place", row=row, at=at_root(), in_attempt=True, when=is_in_group,
        run=lambda story: TakePlace(
            server=story.server, server_group=taken(story).mapping.server_group, host=chosen(story).host,
            conversation=story.conversation,
        ),
        undo=lambda story: LeavePlace(
            server=story.server, host=chosen(story).host, conversation=story.conversation
        ),
    )  # fmt: skip


# --- volumes -----------------------------------------------------------------------------------------------


def places(devices: tuple[BlockDevice, ...], attachments: dict[str, str] | None = None) -> tuple[VolumePlace, ...]:
    """Tell a host of a server's volumes, with these attachments instead of the recorded ones."""
    return tuple(
        VolumePlace(
            volume=device.volume,
            attachment=(attachments or {}).get(device.volume, device.attachment),
            device=device.device,
            boot_index=device.boot_index,
        )
        for device in devices
    )


def has_volumes(bundle: ServerBundle) -> bool:
    """Tell whether a server has volumes."""
    return bool(bundle.block_devices)
