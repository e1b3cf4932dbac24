"""A case: everything that decides a run.  It travels as JSON; the same case is the same run, to the last line."""

import json

import attrs

from protocol.bodies import from_plain, to_plain
from protocol.moves.crossing import Crossing
from sim.cases.layout import Layout
from sim.cases.workload import Op
from sim.faults import FaultKind, Plan, plan_from_plain, plan_to_plain

VERSION = 1


@attrs.frozen(kw_only=True)
class Case:
    """A run's seed, its cloud, what users do in it and what goes wrong."""

    seed: int
    cells: int = 4
    hosts: int = 5
    conductors: int = 1
    cell_replicas: int = 1  # Of the actor and the link of each cell; the inner level has one of each.
    own_cell_weight: int = -1  # Whether moves that may go anywhere rather stay in their cell.
    minutes: float = 10.0  # Of virtual time with faults; the healing that follows takes as long as it needs.
    setup: tuple[Op, ...] = ()  # Carried out one after the other before any fault.
    ops: tuple[Op, ...] = ()
    faults: Plan = ()
    strategy: str = "shuffled"  # Of the event loop: shuffled, fifo or pct.

    def layout(self) -> Layout:
        """Make the cloud that it is run in."""
        layout = Layout.tree(cells=self.cells, hosts=self.hosts, conductors=self.conductors)
        crossing = Crossing(own_cell_weight=self.own_cell_weight)
        return attrs.evolve(layout, cell_replicas=self.cell_replicas, crossing=crossing)

    def to_json(self) -> str:
        """Write the case."""
        plain = {**to_plain(self), "faults": plan_to_plain(self.faults), "version": VERSION}
        return json.dumps(plain, indent=1)

    @classmethod
    def from_json(cls, text: str) -> "Case":
        """Read a case that `to_json` wrote."""
        plain = json.loads(text)
        assert plain.pop("version") == VERSION, "the case was written by another version"
        faults = plan_from_plain(plain.pop("faults"))
        case: Case = from_plain({**plain, "faults": []}, cls)
        return attrs.evolve(case, faults=faults)


@attrs.frozen(kw_only=True)
class Breach:
    """Something that did not hold: which invariant or oracle, of which server (or other thing), at which line."""

    invariant: str
    server: str
    step: int
    text: str


@attrs.frozen(kw_only=True)
class Outcome:
    """What came of a case."""

    case: Case
    trace_sha256: str
    moves: int  # Conversations of resize, migrate, confirm and revert that took their server and have ended.
    messages: int  # Envelopes that were sent, each hop of each.
    steps: int  # Lines of the history.
    virtual_s: float
    fired: dict[FaultKind, int]
    mattered: dict[FaultKind, int]
    probes: dict[str, int]
    breaches: tuple[Breach, ...]

    @property
    def first(self) -> Breach | None:
        """The breach that was found first."""
        return min(self.breaches, key=lambda breach: breach.step, default=None)
