"""Oracles over snapshots of records: the states of moves and servers, and the history that users are told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from protocol.ids import derived_id
from protocol.invariants.standing import located, settled
from protocol.records import Migration, Server, ServerAction
from protocol.states import MIGRATION_TRANSITIONS, TERMINAL, VM_TRANSITIONS, Goal, MigrationStatus, VmState
from sim.checkers.oracle import Oracle

if TYPE_CHECKING:
    from collections.abc import Mapping

    from protocol.truth import Truth
    from sim.checkers.chronicle import Chronicle
    from sim.checkers.oracle import Accuse

S = TypeVar("S", VmState, MigrationStatus)


def reachable(transitions: Mapping[S, frozenset[S]]) -> dict[S, frozenset[S]]:
    """Tell of each state which ones may be seen after it, however many were missed in between."""
    found: dict[S, frozenset[S]] = {}
    for state in transitions:
        reached, waiting = {state}, [state]
        while waiting:
            new = transitions[waiting.pop()] - reached
            reached |= new
            waiting.extend(new)
        found[state] = frozenset(reached)
    return found


STATUSES: Final = reachable(MIGRATION_TRANSITIONS)
VM_STATES: Final = reachable(VM_TRANSITIONS)


class StatusGraph(Oracle):
    """The status of a move, and what a server is, only ever go where the tables of states lead."""

    name = "status_graph"
    letters = "M1"

    def __init__(self, chronicle: Chronicle, accuse: Accuse) -> None:
        super().__init__(chronicle, accuse)
        self._statuses: dict[tuple[str, str], MigrationStatus] = {}
        self._vm_states: dict[tuple[str, str], VmState] = {}

    def see(self, truth: Truth) -> None:
        """Compare each state with the one seen before.  What is gone may come again as another."""
        statuses = {}
        for cell, move in located(truth, Migration):
            before = self._statuses.get((cell, move.uuid), move.status)
            statuses[cell, move.uuid] = move.status
            if move.status not in STATUSES[before]:
                self.accuse(move.server, f"its move {move.uuid} in {cell} was {before}, and is {move.status}")
        self._statuses = statuses
        vm_states = {}
        for cell, server in located(truth, Server):
            was = self._vm_states.get((cell, server.uuid), server.vm_state)
            vm_states[cell, server.uuid] = server.vm_state
            if server.vm_state not in VM_STATES[was]:
                self.accuse(server.uuid, f"was {was} in {cell}, and is {server.vm_state}")
        self._vm_states = vm_states


class OneOpenMove(Oracle):
    """A server has at most one move that is not over, in all cells together."""

    name = "one_open_move"
    letters = "M4"

    def see(self, truth: Truth) -> None:
        """Count the open moves of each server."""
        moves: dict[str, dict[str, None]] = {}
        for _, move in located(truth, Migration):
            if move.status not in TERMINAL:
                moves.setdefault(move.server, {})[move.uuid] = None
        for server, found in moves.items():
            if len(found) > 1:
                self.accuse(server, f"has {len(found)} open moves: {', '.join(found)}")


class HistoryKept(Oracle):
    """What was done to a server stands in its history at rest, wherever the server has been since."""

    name = "history_kept"
    letters = "M7"

    def at_rest(self, truth: Truth, *, healed_for_s: float) -> None:  # noqa: ARG002 - Holds however long it was.
        """Look for the action of each conversation that came to a good end."""
        actions = {(cell, action.id): action for cell, action in located(truth, ServerAction)}
        homes = {standing.server: standing.home.cell for standing in settled(truth)}
        for tale in self.chronicle.tales.values():
            # A repair does nothing to the server itself.
            if tale.server not in homes or not tale.is_success or tale.goal is Goal.REPAIR:
                continue
            action = actions.get((homes[tale.server], derived_id(tale.conversation, "action")))
            if action is None:
                self.accuse(tale.server, f"its history in {homes[tale.server]} lacks its {tale.goal}")
            elif action.message is not None:
                self.accuse(tale.server, f"its {tale.goal} ended well, and its history says: {action.message}")
