"""Effects on what a cell knows of itself and of its neighbours."""

from collections.abc import Iterable

import attrs

from protocol.cell_path import CellPath
from protocol.draft import Draft, Need, need
from protocol.effects.registry import Moment, effect
from protocol.errors import InvalidValue, NotFound
from protocol.messages import tree as say
from protocol.records import Allocation, CellFreeze, CellProfile, Host, Neighbour, Service
from protocol.requests import Done
from protocol.tree import US_PER_S, View, children_of, down_hosts, free_of, joined, parent_of, view

#: All that a cell's view of the tree is made of.
SEEN: tuple[Need, ...] = tuple(
    need(kind) for kind in (CellProfile, CellFreeze, Neighbour, Host, Allocation, Service)
)  # fmt: skip


# --- what children tell ------------------------------------------------------------------------------------


@effect(say.UpdateCapabilities, lambda command: (need(Neighbour, cell=str(command.cell)),))
def _update_capabilities(draft: Draft, command: say.UpdateCapabilities, moment: Moment) -> say.Heard:
    row = _child_of(draft, command.cell)
    if row is None:
        return say.Heard(is_child=False)
    draft.put(attrs.evolve(row, last_seen_us=moment.now_us, capabilities=joined((command.capabilities,))))
    return say.Heard(is_child=True)


@effect(say.UpdateCapacities, lambda command: (need(Neighbour, cell=str(command.cell)),))
def _update_capacities(draft: Draft, command: say.UpdateCapacities, moment: Moment) -> say.Heard:
    row = _child_of(draft, command.cell)
    if row is None:
        return say.Heard(is_child=False)
    draft.put(attrs.evolve(row, last_seen_us=moment.now_us, capacities=command.capacities))
    return say.Heard(is_child=True)


def _child_of(draft: Draft, cell: CellPath) -> Neighbour | None:
    row = draft.find(Neighbour, cell=str(cell))
    return None if row is None or row.is_parent or row.is_removed else row


# --- neighbours --------------------------------------------------------------------------------------------


@effect(say.ListNeighbours, lambda _: (need(Neighbour),))
def _list(draft: Draft, _: say.ListNeighbours, moment: Moment) -> say.Neighbourhood:
    rows = draft.all(Neighbour)
    children = tuple(CellPath.parse(row.cell) for row in children_of(rows))
    return say.Neighbourhood(parent=parent_of(CellPath.parse(moment.cell), rows), children=children)


@effect(say.AddNeighbour, lambda _: (need(Neighbour),))
def _add(draft: Draft, command: say.AddNeighbour, moment: Moment) -> Done:
    here, rows = CellPath.parse(moment.cell), draft.all(Neighbour)
    if not here.is_neighbour(command.cell):
        rule = f"it must be the parent of {here}, or a child of it"
        raise InvalidValue(name="cell", value=str(command.cell), rule=rule)
    row = draft.find(Neighbour, cell=str(command.cell)) or Neighbour(
        cell=str(command.cell), is_parent=command.cell == here.parent, place=_next_place(rows)
    )
    if row.is_removed or row.since_us == 0:
        # Its silence counts from now on, and what it told before it was removed counts no more.
        row = Neighbour(
            cell=row.cell, is_parent=row.is_parent, is_of_file=row.is_of_file, place=row.place, since_us=moment.now_us,
            weight_offset=row.weight_offset, weight_scale=row.weight_scale, is_reweighed=row.is_reweighed,
        )  # fmt: skip
    draft.put(_reweighed(row, command))
    return Done()


def _next_place(rows: Iterable[Neighbour]) -> int:
    return max((row.place for row in rows if not row.is_parent), default=-1) + 1


def _reweighed(row: Neighbour, command: say.AddNeighbour | say.SetNeighbour) -> Neighbour:
    offset, scale = command.weight_offset, command.weight_scale
    if offset is None and scale is None:
        return row
    return attrs.evolve(
        row, is_reweighed=True, weight_offset=row.weight_offset if offset is None else offset,
        weight_scale=row.weight_scale if scale is None else scale,
    )  # fmt: skip


@effect(say.SetNeighbour, lambda command: (need(Neighbour, cell=str(command.cell)),))
def _set(draft: Draft, command: say.SetNeighbour, moment: Moment) -> Done:
    draft.put(_reweighed(_present(draft, command.cell, moment), command))
    return Done()


def _present(draft: Draft, cell: CellPath, moment: Moment) -> Neighbour:
    row = draft.find(Neighbour, cell=str(cell))
    if row is None or row.is_removed:
        raise NotFound(kind=f"neighbour of {moment.cell}", name=str(cell))
    return row


@effect(say.RemoveNeighbour, lambda command: (need(Neighbour, cell=str(command.cell)),))
def _remove(draft: Draft, command: say.RemoveNeighbour, _: Moment) -> Done:
    row = draft.find(Neighbour, cell=str(command.cell))
    if row is not None and (row.is_of_file or row.is_parent):
        # The settings still name it: that it is removed must be known at the next start.
        draft.put(attrs.evolve(row, is_removed=True))
    elif row is not None:
        draft.drop(row)
    return Done()


# --- freezing ----------------------------------------------------------------------------------------------


@effect(say.FreezeCell, lambda _: (need(CellFreeze),))
def _freeze(draft: Draft, command: say.FreezeCell, moment: Moment) -> CellFreeze:
    known = draft.find(CellFreeze)
    since_us = known.since_us if known else moment.now_us
    return draft.put(
        CellFreeze(cell=moment.cell, reason=command.reason, user=command.user, since_us=since_us)
    )  # fmt: skip


@effect(say.ThawCell, lambda _: (need(CellFreeze),))
def _thaw(draft: Draft, _: say.ThawCell, __: Moment) -> Done:
    for row in draft.all(CellFreeze):
        draft.drop(row)
    return Done()


# --- looking -----------------------------------------------------------------------------------------------


def view_of(draft: Draft, *, cell: str, now_us: int) -> View:
    """Put together what a cell knows, of the rows that `SEEN` names."""
    profile, freeze = draft.find(CellProfile), draft.find(CellFreeze)
    down = down_hosts(profile, draft.all(Service), now_us=now_us)
    # What is free in a frozen cell is free for nobody, like that of a host that is disabled.
    hosts = () if freeze else free_of(draft.all(Host), draft.all(Allocation), down=down)
    return view(CellPath.parse(cell), profile, draft.all(Neighbour), hosts, freeze=freeze, now_us=now_us)


@effect(say.ShowCell, lambda _: SEEN)
def _show(draft: Draft, _: say.ShowCell, moment: Moment) -> say.CellState:
    seen = view_of(draft, cell=moment.cell, now_us=moment.now_us)
    return say.CellState(
        cell=seen.here, parent=seen.parent, own_capabilities=seen.own_capabilities, own_capacities=seen.own_capacities,
        capabilities=seen.capabilities(), capacities=seen.capacities(),
        children=tuple(_child(row, seen) for row in seen.children), freeze=seen.freeze,
    )  # fmt: skip


def _child(row: Neighbour, seen: View) -> say.ChildState:
    silent_us = None if row.last_seen_us is None else max(0, seen.now_us - row.last_seen_us)
    return say.ChildState(
        cell=CellPath.parse(row.cell), is_mute=row.cell in seen.mute,
        silent_s=None if silent_us is None else silent_us / US_PER_S, weight_offset=row.weight_offset,
        weight_scale=row.weight_scale, capabilities=row.capabilities, capacities=row.capacities,
    )  # fmt: skip
