"""Carries messages from process to process, over the links of cells, with all that goes wrong on the way.

A message's whole way is decided when it is sent: hop by hop by the router's own rules, but as one event.
"""

from __future__ import annotations

import zlib
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from protocol import routing
from protocol.errors import TransportLost
from sim.faults import FaultKind
from sim.inner.agenda import NS_PER_S
from sim.inner.messages import Answer, Hazard, Newest, Question, Way

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from protocol.cell_path import CellPath
    from protocol.requests import Request
    from sim.cases.layout import Layout
    from sim.chance import Chance
    from sim.faults import Fault
    from sim.history import History
    from sim.injector import Injector
    from sim.inner.agenda import Agenda
    from sim.inner.memory import Command, Reply
    from sim.inner.messages import Asker, Parcel
    from sim.inner.processes import Process

HOPS_MAX: Final = 10
#: How long a message takes from one process to the next: so much at least, and up to so much more.
HOP_NS: Final = 300_000
HOP_SPREAD_NS: Final = 2_200_000
#: How long a sender waits for the confirm of a frame that does not get through.
PATIENCE_S: Final = 5.0
#: How long after the end of a cut a held message goes on: time is counted in whole nanoseconds.
SLACK_S: Final = 0.000_001
CUTS: Final = (FaultKind.CUT, FaultKind.CUT_ONE_WAY)
MISHAPS: Final = (
    FaultKind.LOSE,
    FaultKind.DOUBLE,
    FaultKind.DOUBLE_LATE,
    FaultKind.DELAY,
    FaultKind.REORDER,
    FaultKind.CONFIRM_LOST,
)
SAFE: Final = Hazard((), ())


class Network:
    """All wires of a world."""

    def __init__(
        self, layout: Layout, *, agenda: Agenda, chance: Chance, injector: Injector, history: History,
        links: Mapping[str, Process],
    ) -> None:  # fmt: skip
        self._layout = layout
        self._agenda = agenda
        self._chance = chance
        self._injector = injector
        self._history = history
        self._links = links
        self._serial = 0
        self._ways: dict[tuple[str, str], Way] = {}
        self._salt = zlib.crc32(f"hop {chance.seed}".encode())
        self._neighbours = {
            cell: (*((cell.parent,) if cell.parent else ()), *layout.children(cell)) for cell in layout.cells
        }
        self._newest: dict[tuple[str, str], Newest] = {}
        self._cuts = tuple(fault for fault in injector.plan if fault.kind in CUTS)
        self._mishaps = tuple(fault for fault in injector.plan if fault.kind in MISHAPS)
        self._noted: dict[str, None] = {}
        self.messages = 0  # Envelopes, each hop of each.
        self.links_stopped = 0

    # --- speaking ----------------------------------------------------------------------------------------------

    def ask(
        self, asker: Asker, request: Request[Any], *, to: Process, cell: CellPath, receive: Callable[[Question], None],
        about: str, budget_s: float, server: str = "", epoch: int = 0, command: Command | None = None,
    ) -> Question:  # fmt: skip
        """Send a question."""
        self._serial += 1
        way = self._ways.get((asker.process.name, to.name)) or self._way(asker, to.name, cell)
        question = Question(
            serial=self._serial, about=about, way=way, asker=asker, mailbox=to, receive=receive, request=request,
            server=server, epoch=epoch, command=command, budget_s=budget_s,
        )  # fmt: skip
        self._depart(question)
        return question

    def answer(self, question: Question, reply: Reply) -> None:
        """Send an answer back, by the way that the question came."""
        self._serial += 1
        way = question.way.back or self._turned(question.way)
        self._depart(Answer(self._serial, way, question, reply))

    # --- ways --------------------------------------------------------------------------------------------------

    def _way(self, asker: Asker, target: str, cell: CellPath) -> Way:
        source = asker.process.name
        names = [source, *self._passed(asker.cell, cell), target]
        found = self._ways[source, target] = self._made(tuple(pairwise(names)))
        return found

    def _turned(self, way: Way) -> Way:
        way.back = self._made(tuple((other, where) for where, other in reversed(way.edges)))
        return way.back

    def _made(self, edges: tuple[tuple[str, str], ...]) -> Way:
        return Way(edges, self._newest.setdefault((edges[0][0], edges[-1][1]), Newest()))

    def _passed(self, source: CellPath, target: CellPath) -> list[str]:
        """Name the links that a message passes; the router's own rules say which."""
        if source == target:
            return []
        here = source
        route: tuple[CellPath, ...] = (source,)
        while True:
            decision = routing.route(
                here=here, target=target, route=route, hops_max=HOPS_MAX, neighbours=self._neighbours[here]
            )
            match decision:
                case routing.Deliver():
                    return [f"{cell}/link" for cell in route]
                case routing.Forward(to=to):
                    refusal = routing.admit(here=to, via=here, route=route)
                    if refusal is not None:
                        raise refusal
                    here, route = to, (*route, to)
                case routing.Refuse(error=error):
                    raise error

    # --- carrying ----------------------------------------------------------------------------------------------

    def _depart(self, parcel: Parcel) -> None:
        way = parcel.way
        self.messages += len(way.edges)
        hazards: tuple[Hazard, ...] = ()
        if self._injector.is_active:
            found = way.hazards.get(parcel.method)
            hazards = self._hazards(way, parcel.method) if found is None else found
        if hazards or self.links_stopped:
            self._pass(parcel, 0, 0.0)
        else:
            self._arrive_later(parcel, 0.0)

    def _arrive_later(self, parcel: Parcel, late_s: float, *, keeps_order: bool = True) -> None:
        # A checksum is chance enough for a wire, and quick.
        share = zlib.crc32(parcel.about.encode(), self._salt)
        way = parcel.way
        at_ns = self._agenda.now_ns + len(way.edges) * (HOP_NS + (share * HOP_SPREAD_NS >> 32))
        if late_s:
            at_ns += int(late_s * NS_PER_S)
        if keeps_order:
            newest = way.newest
            if newest.at_ns >= at_ns:
                at_ns = newest.at_ns + 1
            newest.at_ns, newest.serial = at_ns, parcel.serial
        self._agenda.at(at_ns, parcel.arrive)

    def _pass(self, parcel: Parcel, edge: int, late_s: float) -> None:
        """Take a message over the rest of its edges, as far as it gets."""
        keeps_order = True
        edges = parcel.way.edges
        hazards = self._hazards(parcel.way, parcel.method) if self._injector.is_active else ()
        for number in range(edge, len(edges)):
            where, other = edges[number]
            hazard = hazards[number] if hazards else SAFE
            if hazard.cuts and (cut := self._cut(hazard)) is not None:
                self._hold(parcel, number, cut)
                return
            for kind in hazard.mishaps:
                fault = self._injector.strike(kind, where=where, other=other, point=parcel.method, about=parcel.about)
                if fault is None:
                    continue
                if kind is FaultKind.LOSE:
                    self._agenda.after(0.0, self._note_lost, fault, parcel)
                    return
                late_s, keeps_order = self._befall(fault, parcel, late_s), False
            link = self._links.get(other)
            if link is not None and not link.is_going:
                # The frame waits in the queue of the link that will go on some time.
                link.keep(lambda at=number + 1: self._pass(parcel, at, 0.0))  # type: ignore[misc]  # a default
                return
        self._arrive_later(parcel, late_s, keeps_order=keeps_order)

    def _befall(self, fault: Fault, parcel: Parcel, late_s: float) -> float:
        """Have a mishap happen to a message that does arrive; tell how late it is then."""
        match fault.kind:
            case FaultKind.DOUBLE:
                way_s = len(parcel.way.edges) * (HOP_NS + HOP_SPREAD_NS) / NS_PER_S
                self._agenda.after(late_s + way_s, self._arrive_again, fault, parcel)
            case FaultKind.DOUBLE_LATE:
                self._agenda.after(late_s + fault.amount_s, self._arrive_again, fault, parcel)
            case FaultKind.CONFIRM_LOST:
                self._note(fault, parcel, mattered=True)
                lost = TransportLost(cell=parcel.way.source.partition("/")[0], reason="the confirm was lost")
                self._agenda.after(0.0, parcel.fail, lost)
            case _:
                self._agenda.after(late_s + fault.amount_s, self._note_late, fault, parcel)
                return late_s + fault.amount_s
        return late_s

    def _arrive_again(self, fault: Fault, parcel: Parcel) -> None:
        self._note(fault, parcel, mattered=True)
        parcel.arrive()

    def _note_lost(self, fault: Fault, parcel: Parcel) -> None:
        # Not at once: an asker that is just sending does not wait yet.
        self._note(fault, parcel, mattered=parcel.is_awaited)

    def _note_late(self, fault: Fault, parcel: Parcel) -> None:
        is_overtaken = parcel.way.newest.serial > parcel.serial
        self._note(fault, parcel, mattered=is_overtaken if fault.kind is FaultKind.REORDER else not parcel.is_awaited)

    def _hazards(self, way: Way, method: str) -> tuple[Hazard, ...]:
        """Name what may befall such a message at all, edge by edge; nothing where nothing may."""
        found = way.hazards.get(method)
        if found is None:
            hazards = tuple(self._hazard(where, other, method) for where, other in way.edges)
            found = way.hazards[method] = hazards if any(each.cuts or each.mishaps for each in hazards) else ()
        return found

    def _hazard(self, where: str, other: str, method: str) -> Hazard:
        kinds = [fault.kind for fault in self._mishaps if fault.matches(where=where, other=other, point=method)]
        cuts = [fault for fault in self._cuts if _is_cut_by(fault, where, other)]
        return Hazard(tuple(cuts), tuple(kind for kind in MISHAPS if kind in kinds))

    # --- cuts --------------------------------------------------------------------------------------------------

    def _cut(self, hazard: Hazard) -> Fault | None:
        for fault in hazard.cuts:
            if self._injector.is_due(fault):
                return fault
        return None

    def _hold(self, parcel: Parcel, edge: int, cut: Fault) -> None:
        """Keep a message until the cut has ended, or for as long as its sender has patience."""
        if cut.name not in self._noted:
            self._noted[cut.name] = None
            self._note(cut, parcel, mattered=True)
        left_s = self._injector.left_s(cut)
        if left_s <= PATIENCE_S:
            self._agenda.after(left_s + SLACK_S, self._pass, parcel, edge, 0.0)
            return
        where, _ = parcel.way.edges[edge]
        lost = TransportLost(cell=where.partition("/")[0], reason="no confirm came")
        self._agenda.after(PATIENCE_S, parcel.fail, lost)

    def _note(self, fault: Fault, parcel: Parcel, *, mattered: bool) -> None:
        where, other = parcel.way.source, parcel.way.target
        text = f"{parcel.about} from {where} to {other}: {fault.kind.value}"
        self._injector.note(fault, mattered=mattered, text=text, process=where)


def _is_cut_by(fault: Fault, where: str, other: str) -> bool:
    if fault.matches(where=where, other=other, point=""):
        return True
    return fault.kind is FaultKind.CUT and fault.matches(where=other, other=where, point="")
