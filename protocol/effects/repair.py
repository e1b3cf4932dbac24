"""Effects of a repair: what there is of a server is told, and what is left over of it goes."""

import attrs

from protocol.draft import Draft, Need, need
from protocol.effects.history import drop_parts, drop_record, with_places
from protocol.effects.mirror import forget_parts, told_of
from protocol.effects.registry import Moment, effect
from protocol.messages import partners, repair, root
from protocol.records import (
    PARTS,
    Allocation,
    BlockDevice,
    Claim,
    Host,
    Image,
    Migration,
    Mirror,
    Permit,
    Record,
    RequestSpec,
    Server,
)
from protocol.requests import Done

# --- in a cell ---------------------------------------------------------------------------------------------


def _of_cell(command: repair.FindHoldings) -> tuple[Need, ...]:
    return (*with_places(command), need(Host))


@effect(repair.FindHoldings, _of_cell)
def _find(draft: Draft, command: repair.FindHoldings, _: Moment) -> repair.CellHoldings:
    name = command.server
    server = draft.find(Server, uuid=name)
    found = repair.CellHoldings(
        hosts=tuple(host.name for host in draft.all(Host)),
        allocations=draft.all(Allocation, server=name),
        claims=draft.all(Claim, server=name),
    )
    if server is None:
        return attrs.evolve(found, parts=tuple(kind.TABLE for kind in PARTS if draft.all(kind, server=name)))
    return attrs.evolve(
        found, server=server, block_devices=draft.all(BlockDevice, server=name),
        migrations=draft.all(Migration, server=name),
    )  # fmt: skip


@effect(repair.DropHoldings, with_places)
def _drop(draft: Draft, command: repair.DropHoldings, _: Moment) -> Done:
    name = command.server
    server = draft.find(Server, uuid=name)
    if server is None:
        drop_parts(draft, name, tuple(kind for kind in PARTS if kind.TABLE in command.parts))
    elif command.has_record and server.is_hidden:
        drop_record(draft, name)
    places: tuple[Record, ...] = (*command.allocations, *command.claims)
    for place in (*draft.all(Allocation, server=name), *draft.all(Claim, server=name)):
        if place in places:
            draft.drop(place)
    return Done()


# --- at the root -------------------------------------------------------------------------------------------


def _of_root(command: root.FindRootHoldings | root.DropRootHoldings) -> tuple[Need, ...]:
    return *told_of(command.server), *(need(kind, server=command.server) for kind in (Permit, RequestSpec))


@effect(root.FindRootHoldings, _of_root)
def _find_at_root(draft: Draft, command: root.FindRootHoldings, _: Moment) -> root.RootHoldings:
    return root.RootHoldings(
        mirrors=draft.all(Mirror, server=command.server),
        permit=draft.find(Permit, server=command.server),
        spec=draft.find(RequestSpec, server=command.server),
    )


@effect(root.DropRootHoldings, _of_root)
def _drop_at_root(draft: Draft, command: root.DropRootHoldings, _: Moment) -> Done:
    for mirror in draft.all(Mirror, server=command.server):
        if mirror.cell in command.mirrors:
            # It stays, as news of what is gone: so late news of what was there comes too late.
            draft.put(attrs.evolve(mirror, is_gone=True))
    for cell in command.mirrors:
        # All of them: nobody else has the server meanwhile, so none is of a record that is just being made.
        forget_parts(draft, command.server, cell)
    kinds: tuple[type[Permit | RequestSpec], ...] = (
        *((Permit,) if command.has_permit else ()), *((RequestSpec,) if command.has_spec else ()),
    )  # fmt: skip
    for kind in kinds:
        for row in draft.all(kind, server=command.server):
            draft.drop(row)
    return Done()


# --- at the image actor ------------------------------------------------------------------------------------


@effect(partners.ListSnapshots, lambda command: (need(Image, server=command.server),))
def _list_snapshots(draft: Draft, command: partners.ListSnapshots, _: Moment) -> partners.ImageList:
    return partners.ImageList(images=draft.all(Image, server=command.server))
