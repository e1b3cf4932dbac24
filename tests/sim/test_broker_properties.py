"""What holds under any plan of faults: frames are accounted for, none is invented, none is lost that nobody loses."""

from __future__ import annotations

import anyio
import attrs
from hypothesis import example, given
from hypothesis import strategies as st

from actors.kernel.ports import Delivery, Queue
from protocol.errors import CellferryError
from sim.brokers.wire import SimWire
from sim.clock import run
from sim.faults import MEANINGS, Family, Fault, FaultKind, Plan
from sim.history import Fired, Handed, Line, Lost, Sent, Settled
from sim.process import Process
from tests.actors.wire.inbox import CELL
from tests.sim.simulated_wire import Site

HOSTS = ("api!eu/host:h1", "api!eu/host:h2")
QUEUES = {name: Queue(CELL, name.partition("/")[2]) for name in HOSTS}
FAULTS_S = 40.0
LOSING = (FaultKind.LOSE, FaultKind.BROKER_WIPE, FaultKind.UNROUTABLE)
OF_WIRES = tuple(
    kind for kind, meaning in MEANINGS.items() if meaning.family in {Family.MESSAGE, Family.LINK, Family.BROKER}
)
LASTING = (*(kind for kind in OF_WIRES if MEANINGS[kind].family is Family.BROKER), FaultKind.HALF_OPEN)
SECONDS = st.sampled_from([0.0, 0.001, 0.5, 3.0, 8.0, 25.0])


@attrs.frozen(kw_only=True)
class Load:
    """Who sends how much, and who is killed or stands still, and when."""

    frames: int
    kills: tuple[tuple[int, float], ...]
    pauses: tuple[tuple[int, float], ...]


@st.composite
def plans(draw: st.DrawFn, kinds: tuple[FaultKind, ...]) -> Plan:
    """Draw up to five faults of these kinds."""
    drawn = draw(st.lists(st.tuples(st.sampled_from(kinds), SECONDS, SECONDS, SECONDS, st.integers(0, 3)), max_size=5))
    return tuple(
        Fault(
            kind=kind, name=f"f{number}", at_s=at_s, for_s=for_s, amount_s=amount_s, times=times,
            where=_where(kind, HOSTS[times % 2]), chance=0.5 if times == 0 else 1.0,
        )
        for number, (kind, at_s, for_s, amount_s, times) in enumerate(drawn)
    )  # fmt: skip


def _where(kind: FaultKind, host: str) -> str:
    if MEANINGS[kind].family is Family.BROKER:
        return str(CELL)
    return host if MEANINGS[kind].family is Family.LINK else ""


EVENTS = st.lists(st.tuples(st.integers(0, 1), SECONDS), max_size=2).map(tuple)
LOADS = st.builds(Load, frames=st.integers(1, 12), kills=EVENTS, pauses=EVENTS)


class Play:
    """Two hosts that send to each other under faults, are killed and started again, and at last left alone."""

    def __init__(self, plan: Plan, load: Load, seed: int) -> None:
        self.site = Site(*plan, seed=seed)
        self.load = load
        self.confirmed: list[bytes] = []
        self.tried: list[bytes] = []
        self.taken: list[bytes] = []
        self.live: dict[str, Process] = {}
        self.booked = 0
        self.site.history.listeners.append(self._count)

    def _count(self, line: Line) -> None:
        """Keep books, by the lines alone, of the frames that must be in flight."""
        self.booked += isinstance(line.what, Sent)
        self.booked -= isinstance(line.what, Settled | Lost)
        assert self.booked >= 0

    def check_books(self) -> None:
        """Compare with what the brokers say they have."""
        assert self.booked == self.site.brokers.kept()

    async def run(self) -> None:
        """Play it to its end."""
        async with anyio.create_task_group() as tasks:
            for host in HOSTS:
                tasks.start_soon(self._live, host)
            await anyio.sleep(0.1)
            self.site.injector.begin()
            for fault in self.site.injector.plan:
                if fault.kind in LASTING:
                    tasks.start_soon(self._apply, fault)
            for number, at_s in self.load.kills:
                tasks.start_soon(self._kill, HOSTS[number], at_s)
            for number, at_s in self.load.pauses:
                tasks.start_soon(self._pause, HOSTS[number], at_s)
            for _ in range(int(FAULTS_S)):
                await anyio.sleep(1)
                self.check_books()
            self.site.injector.end()
            await anyio.sleep(60)
            self.check_books()
            self.site.brokers.close()
            tasks.cancel_scope.cancel()

    async def _live(self, host: str) -> None:
        process = self.live[host] = self.site.process(host)
        wire = self.site.brokers.connect(process)
        with anyio.CancelScope() as process.scope:
            await self._declare(wire, QUEUES[host])
            async with wire.consume(QUEUES[host], self._receive, prefetch=3), anyio.create_task_group() as tasks:
                for number in range(self.load.frames):
                    tasks.start_soon(self._send, wire, QUEUES[HOSTS[number % 2]], f"{host} {number}".encode())
                    await anyio.sleep(FAULTS_S / self.load.frames)
                await anyio.sleep_forever()

    async def _declare(self, wire: SimWire, queue: Queue) -> None:
        while True:
            try:
                return await wire.declare(queue)
            except CellferryError:
                await anyio.sleep(1)

    async def _send(self, wire: SimWire, queue: Queue, frame: bytes) -> None:
        self.tried.append(frame)
        try:
            await wire.send(queue, frame)
            self.confirmed.append(frame)
        except CellferryError:
            return

    def _receive(self, delivery: Delivery) -> None:
        self.taken.append(delivery.frame)
        delivery.ack()

    async def _apply(self, fault: Fault) -> None:
        await anyio.sleep(fault.at_s)
        self.site.brokers.apply(fault)

    async def _kill(self, host: str, at_s: float) -> None:
        await anyio.sleep(at_s)
        self.live[host].kill()
        await self._live(host)

    async def _pause(self, host: str, at_s: float) -> None:
        await anyio.sleep(at_s)
        process = self.live[host]
        process.is_frozen = True
        await anyio.sleep(5)
        process.is_frozen = False
        self.site.brokers.wake()


def play(plan: Plan, load: Load, seed: int) -> Play:
    """Play it in virtual time."""

    async def main() -> Play:
        made = Play(plan, load, seed)
        await made.run()
        return made

    return run(main)


@given(plan=plans(OF_WIRES), load=LOADS, seed=st.integers(0, 1000))
def test_frames_are_accounted_for_and_none_is_invented(plan: Plan, load: Load, seed: int) -> None:
    """Sent is settled, lost or in flight at all times, what is handed out was sent, and faults are noted once."""
    played = play(plan, load, seed)
    site = played.site
    sent = {line.frame: line.queue for line in site.happened(Sent)}
    assert len(sent) == len(site.happened(Sent))
    settled = [(line.frame, line.queue) for line in site.happened(Settled)]
    assert all(sent[line.frame] == line.queue for line in site.happened(Handed))
    assert all(sent[frame] == queue for frame, queue in settled)
    ended = [*(frame for frame, _queue in settled), *(line.frame for line in site.happened(Lost))]
    assert len(ended) == len(dict.fromkeys(ended))
    assert not dict.fromkeys(played.taken).keys() - dict.fromkeys(played.tried).keys()
    noted = [line.fault.name for line in site.happened(Fired)]
    for fault in plan:
        if fault.kind in LASTING:
            assert noted.count(fault.name) == 1
        elif fault.times:
            assert noted.count(fault.name) <= fault.times


@given(plan=plans(tuple(kind for kind in OF_WIRES if kind not in LOSING)), load=LOADS, seed=st.integers(0, 1000))
@example(
    plan=(
        Fault(kind=FaultKind.BROKER_RESTART, name="f0", where=str(CELL), for_s=0.0),
        Fault(kind=FaultKind.HALF_OPEN, name="f1", where=HOSTS[0], for_s=0.0),
    ),
    load=Load(frames=2, kills=(), pauses=()),
    seed=0,
)
def test_whatever_was_confirmed_arrives_once_the_faults_are_over(plan: Plan, load: Load, seed: int) -> None:
    """Without faults that lose frames, each one whose sender got the confirm is handed out, and none is left."""
    played = play(plan, load, seed)
    assert not dict.fromkeys(played.confirmed).keys() - dict.fromkeys(played.taken).keys()
    assert played.site.brokers.in_flight() == 0
    assert not played.site.happened(Lost)


@given(plan=plans(OF_WIRES), load=LOADS, seed=st.integers(0, 1000))
def test_equal_seeds_and_plans_give_equal_histories(plan: Plan, load: Load, seed: int) -> None:
    """Line by line, at the same virtual times."""
    assert play(plan, load, seed).site.history.sha256 == play(plan, load, seed).site.history.sha256


def test_removing_a_fault_that_never_strikes_changes_nothing() -> None:
    """Chances are keyed by what they are about, not by how many were drawn before."""
    plan = (
        Fault(kind=FaultKind.DOUBLE, name="f0", chance=0.5, times=0),
        Fault(kind=FaultKind.DELAY, name="f1", chance=0.5, times=0, amount_s=2.0),
    )
    idle = Fault(kind=FaultKind.LOSE, name="f2", where="nobody")
    load = Load(frames=12, kills=((0, 8.0),), pauses=())
    hashes = [play(faults, load, 7).site.history.sha256 for faults in (plan, (idle, *plan))]
    assert hashes[0] == hashes[1]


def test_a_double_more_or_less_leaves_the_other_frames_times_alone() -> None:
    """When a fault is taken away, what it did not touch happens at the same nanosecond."""
    load = Load(frames=12, kills=(), pauses=())

    def times(*plan: Fault) -> list[tuple[int, str]]:
        lines = play(plan, load, 3).site.history.lines
        return [(line.at_ns, line.what.process) for line in lines if isinstance(line.what, Sent)]

    bare, doubled = times(), times(Fault(kind=FaultKind.DOUBLE, name="f0", at_s=10))
    assert len(doubled) == len(bare) + 1
    assert not dict.fromkeys(bare).keys() - dict.fromkeys(doubled).keys()
