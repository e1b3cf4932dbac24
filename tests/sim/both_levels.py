"""The same operations on both levels of the simulator, and what is left then, in a form that can be compared."""

from __future__ import annotations

import re
from typing import Final

import attrs

from actors.store.journal import SqlJournals
from actors.store.truth import all_rows
from protocol.bodies import decode_body
from protocol.errors import ErrorReport
from protocol.journal import Entry, Journal, Kind
from protocol.records import HOST_RECORDS, Image, Record
from protocol.truth import Truth
from sim.cases.layout import Layout
from sim.cases.workload import IMAGE, Op, volumes_of
from sim.clock import run
from sim.inner.world import InnerWorld
from sim.world import World

TIME: Final = re.compile(r"_(?:at|seen)_us=\d+")
#: What is written into a field for text may be a state or a goal; a database keeps its text.
ENUM: Final = re.compile(r"<\w+\.\w+: ('[^']*'|\d+)>")
QUIET_S: Final = 60.0
LIMIT_S: Final = 3600.0


@attrs.frozen(kw_only=True)
class Outcome:
    """What is left of a run: rows as text without times, and per conversation its outcomes in their order."""

    truth: Truth
    rows: tuple[str, ...]
    journals: dict[str, tuple[str, ...]]


def on_the_inner_level(ops: tuple[Op, ...], layout: Layout) -> Outcome:
    """Carry the operations out one after the other on a heap and dicts."""
    world = InnerWorld(layout, seed=1)
    world.add_image(IMAGE)
    for volume in volumes_of(ops):
        world.add_volume(volume)
    for op in ops:
        world.place(op)
        world.run_until_quiet(LIMIT_S)
        assert world.is_quiet, f"{op.name} does not end"
    world.run_for(QUIET_S)
    truth = world.truth()
    permits = [row for host in world.hosts.values() for row in host.rows.all(*HOST_RECORDS)]
    return Outcome(truth=truth, rows=rows_of(truth, permits), journals=outcomes(world.journals()))


def on_the_loop(ops: tuple[Op, ...], layout: Layout) -> Outcome:
    """Carry the operations out one after the other with the real actors."""
    return run(_live, ops, layout)


async def _live(ops: tuple[Op, ...], layout: Layout) -> Outcome:
    world = World(layout, seed=1)
    try:
        async with world.running():
            await world.add_image(IMAGE)
            for volume in volumes_of(ops):
                await world.add_volume(volume)
            for op in ops:
                await world.users.carry_out(op)
            await world.quiet(for_s=QUIET_S)
            truth = world.peek()
            permits = [
                row for store in world.host_stores.values() for row in await store.transact(all_rows, HOST_RECORDS)
            ]
            journals = {
                each.conversation: await world.conductor.transact(SqlJournals().read, each.conversation)
                for each in truth.conversations
            }
            return Outcome(truth=truth, rows=rows_of(truth, permits), journals=outcomes(journals))
    finally:
        world.close()


def rows_of(truth: Truth, permits: list[Record]) -> tuple[str, ...]:
    """Write everything that does not depend on when it happened."""
    rows = [f"{cell.path} {row}" for cell in truth.cells for row in cell.rows]
    rows += [f"{_without_bytes(row)}" for row in (*truth.partners, *permits)]
    rows += [f"image file {name}" for name in truth.image_files]
    rows += [f"{attrs.evolve(guest, counter=0)}" for guest in truth.guests]
    rows += [f"{attrs.evolve(volume, counter=0)}" for volume in truth.volumes]
    rows += [f"{attrs.evolve(each, epoch=0)}" for each in truth.conversations]
    rows += [f"{memory}" for memory in truth.memories if memory.keys or memory.waiting]
    return tuple(sorted(TIME.sub("_at_us=0", ENUM.sub(r"\1", row)) for row in rows))


def _without_bytes(row: Record) -> Record:
    """Leave out what is in an image: the inner level has no bytes."""
    return attrs.evolve(row, size_bytes=0, sha256="") if isinstance(row, Image) else row


def outcomes(journals: dict[str, Journal]) -> dict[str, tuple[str, ...]]:
    """Tell of each conversation what came of its steps, in their order."""
    return {name: tuple(filter(None, map(_outcome, journal.entries))) for name, journal in journals.items()}


def _outcome(entry: Entry) -> str:
    if entry.kind is Kind.INTENT:
        return ""
    about = f"{entry.kind} {entry.step} {entry.attempt} {'undo' if entry.is_undo else 'do'}"
    if entry.kind is Kind.REFUSED:
        return f"{about} {decode_body(entry.payload, ErrorReport).code}"
    return about
