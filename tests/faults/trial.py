"""Plays a fault's story, judges its end, goes on to use the server, and tells what came of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final

import attrs

from protocol.states import VmState
from sim import Scenario
from sim.cases.workload import IMAGE
from sim.faults import FaultKind
from sim.scenario import Move
from sim.stages.inner import InnerStage
from tests.faults.ends import OWED, Shape, Told, phrase, shape, told
from tests.faults.entry import HOSTS, SERVER, SOURCE, TARGET, Begin, End, Entry

DATA: Final = "data"
SPARE: Final = "spare"
#: What there is of a server that is deleted; the image is that which servers are made from.
GONE: Final = Shape(
    records=(), devices=(), home=(), bindings=(), attachments=(), allocations=(), claims=(),
    images=(("active", None, ""), (IMAGE,)), guests=(),
)  # fmt: skip
#: The operations that a story must show the end of.
SETTLING: Final = ("resize", "migrate", "confirm", "revert", "delete")


@attrs.frozen(kw_only=True)
class Ended:
    """What a fault has come to."""

    answers: tuple[str, ...]
    meanwhile: str
    end: str
    then: str


async def prepare(s: Scenario, entry: Entry) -> None:
    """Make the server, and move it if a story begins in VERIFY_RESIZE."""
    await s.create(SERVER, host=SOURCE, volume=DATA, is_volume_backed=entry.is_volume_backed)
    if entry.begin is Begin.RESIZED:
        await (await s.resize(SERVER, host=TARGET)).done()
    await s.quiet()


def answers(moves: dict[str, Move]) -> tuple[str, ...]:
    """Tell of each operation what its user heard."""
    return tuple(f"{name.partition('-')[0]}: {told_of(move)}" for name, move in moves.items())


def told_of(move: Move) -> str:
    """Tell what a user heard of an operation."""
    if not move.error:
        return "done"
    return f"{'fails' if move.conversation else 'refused'}, `{move.error}`"


def insist_that_all_went_wrong(s: Scenario) -> None:
    """Insist that every fault of the story has struck, and that each made a difference."""
    # Whoever stands still is held up, whether or not he had anything to do just then.
    fired = {each.fault.name for each in s.truth.fired() if each.mattered or each.fault.kind is FaultKind.PAUSE_AT}
    idle = [str(fault) for fault in s.faults if fault.name not in fired]
    idle += [f"refusal of {each.call}" for each in s.stage.refusals().asked if not each.struck]
    assert not idle, f"never struck: {', '.join(idle)}"


async def use(s: Scenario) -> str:
    """Do with the server what its user would do next, and insist that it succeeds."""
    record = s.truth.home(SERVER)
    if record is None:
        await s.create("another", host=SOURCE, volume=DATA)
        return "another server is created there, with its volume"
    done = []
    if record.vm_state is VmState.RESIZED:
        await (await s.confirm(SERVER)).done()
        done.append("confirmed")
    home = record.host or ""
    for host in (TARGET if s.stage.layout.hosts[home] == s.stage.layout.hosts[SOURCE] else SOURCE, home):
        await (await s.migrate(SERVER, host=host)).done()
        await (await s.confirm(SERVER)).done()
    done.append("moved away and back")
    return ", ".join(done)


def play(entry: Entry, on: Callable[..., Any]) -> Ended:
    """Play a story to its end, judge it, and go on."""

    async def story(s: Scenario) -> Ended:
        await prepare(s, entry)
        before, known = shape(s.truth), told(s.truth)
        begun = set(s.moves)
        meanwhile = await entry.play(s)
        assert meanwhile.startswith(OWED) is (entry.end is End.OWED)
        assert bool(meanwhile) is (entry.end in {End.PARKED, End.OWED})
        s.heal()
        await s.quiet()
        s.check()
        moves = {name: await move.over() for name, move in s.moves.items() if name not in begun}
        insist_that_all_went_wrong(s)
        judge(s, entry, moves, before=before, known=known)
        ended = Ended(
            answers=answers(moves), meanwhile=meanwhile, end=phrase(s.truth), then=await use(s)
        )  # fmt: skip
        await s.quiet()
        s.check()
        return ended

    return Scenario.run(story, hosts=dict(entry.hosts), memory_mb=dict(entry.memory_mb), on=on)


# --- which end it must have --------------------------------------------------------------------------------


def judge(s: Scenario, entry: Entry, moves: dict[str, Move], *, before: Shape, known: Told) -> None:
    """Insist on the end that the design asks for."""
    errors = [move.error for move in moves.values() if move.error]
    now = told(s.truth)
    match entry.end:
        case End.UNDONE:
            [error] = errors
            assert shape(s.truth) == before
            assert now.faults == (*known.faults, error), "one fault, with the first cause"
            assert len(now.errors) == len(known.errors) + 1, "one error notification"
            assert now.migrations == (*known.migrations, "error")
        case End.GIVEN_UP:
            [error] = errors
            assert shape(s.truth) == before
            assert now == attrs.evolve(known, faults=(*known.faults, error))
        case End.REFUSED:
            assert errors
            assert shape(s.truth) == before
            assert now == known
        case End.DONE | End.PARKED | End.OWED:
            assert not errors
            _is_as_if_nothing_had_happened(s, entry, moves, known)
        case End.GONE:
            assert shape(s.truth) == GONE
            assert [name for name, move in moves.items() if name.startswith("delete") and not move.error]
        case End.ONE_WINS:
            assert len(errors) == len(moves) - 1
            won = {name: move for name, move in moves.items() if not move.error}
            _is_as_if_nothing_had_happened(s, entry, won, known)


def _is_as_if_nothing_had_happened(s: Scenario, entry: Entry, moves: dict[str, Move], known: Told) -> None:
    now = told(s.truth)
    assert now.faults == known.faults
    assert now.errors == known.errors
    record = s.truth.home(SERVER)
    if entry.hosts == HOSTS and record is not None:
        operations = tuple(name.partition("-")[0] for name in moves) if entry.like is None else entry.like
        unharmed = in_fine_weather(operations, entry.begin, entry.is_volume_backed)
        assert shape(s.truth) == unharmed


@cache
def in_fine_weather(operations: tuple[str, ...], begin: Begin, is_volume_backed: bool) -> Shape:
    """Give what there is when the same is done and nothing goes wrong."""

    async def story(s: Scenario) -> Shape:
        await s.create(SERVER, host=SOURCE, volume=DATA, is_volume_backed=is_volume_backed)
        if begin is Begin.RESIZED:
            await (await s.resize(SERVER, host=TARGET)).done()
        for operation in operations:
            await (await do(s, operation)).done()
        await s.quiet()
        return shape(s.truth)

    return Scenario.run(story, hosts=dict(HOSTS), on=InnerStage)


async def do(s: Scenario, operation: str) -> Move:
    """Begin an operation as the stories do."""
    match operation:
        case "resize":
            return await s.resize(SERVER, host=TARGET)
        case "attach":
            return await s.attach(SERVER, "extra")
        case "detach":
            return await s.detach(SERVER, DATA)
        case "swap":
            return await s.swap(SERVER, DATA, SPARE)
        case _:
            move: Move = await getattr(s, operation)(SERVER)
            return move
