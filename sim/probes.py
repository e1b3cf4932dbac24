"""Probes: what a set of runs must have reached at least once, or it has proved nothing about it.

Each has a name and a sentence.  A probe of a fault is reached when the fault fired and mattered (`Injector.note`); the
others are read off a history's lines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from sim.faults import MEANINGS, FaultKind
from sim.sightings import Sightings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sim.history import History, Line


@attrs.frozen(kw_only=True)
class Probe:
    """Something that must happen now and then."""

    name: str
    text: str
    is_inner: bool = True  # Whether the inner level, which has no frames, can reach it too.


def _fault(kind: FaultKind) -> Probe:
    return Probe(name=f"fault:{kind}", text=f"{MEANINGS[kind].text}; {MEANINGS[kind].matters}")


_BOTH: Final = (
    # How conversations go, and go back.
    ("undo", "a step is undone"),
    ("undo_unanswered", "a step is undone that was carried out, and whose answer was lost"),
    ("undo_refused", "a step is undone that was refused: it may have left something"),
    ("undo_of_nothing", "an undo comes where its step never was, and leaves a tombstone"),
    ("undo_of_spawn", "a move fails after its settling step was intended"),
    ("comes_again", "a command comes again: asked again, or doubled"),
    ("undo_comes_again", "an undo comes again"),
    ("settled_comes_again", "a command comes again from where its conversation only goes forward"),
    ("answered_from_inbox", "a command that was carried out before is answered from the inbox"),
    ("asked_while_accepted", "a command is asked again that was accepted and never answered"),
    ("late_execute", "a command comes after its undo, and is refused"),
    ("stale_epoch", "a command of an older epoch is refused"),
    ("second_attempt", "a target is refused, and another one is tried"),
    ("gather_missing_cell", "a target is chosen although a cell did not answer"),
    ("swept_later", "a conversation is forgotten later, for an older one was open when it closed"),
    ("two_moves", "two servers move at once"),
    # How they end.
    ("create_failed", "a create fails, and is undone"),
    ("move_failed", "a move fails, and is undone"),
    ("moved", "a server has moved"),
    ("moved_inside", "a server has moved to another host of its cell"),
    ("confirmed_inside", "a move inside of a cell is confirmed, and its first host left"),
    ("reverted_inside", "a move inside of a cell is reverted, and its second host left"),
    ("confirmed", "a move is confirmed"),
    ("reverted", "a move is reverted"),
    ("revert_given_up", "a revert is given up before the target was stopped"),
    # Which servers.
    ("stopped_moved", "a stopped server moves"),
    ("volume_backed_moved", "a server moves whose root disk is a volume"),
    ("revert_attached", "a revert takes a volume along that was attached meanwhile"),
    ("revert_detached", "a revert takes account of a volume that was detached meanwhile"),
    # What users do.
    ("swapped", "a volume is swapped for another one"),
    ("settled_too_early", "a confirm or revert is asked when no move waits for it"),
    ("confirm_and_revert", "a confirm and a revert are asked at once, and one is refused"),
    ("double_order", "the same is asked of a server twice at once, and one is refused"),
    ("no_valid_host", "a move ends because no host has room"),
    # Who has a conversation, and dies.
    ("takeover", "a conductor takes a conversation over"),
    ("takeover_in_the_close", "a conductor takes a conversation over that has ended and is not closed"),
    ("crash_of_conductor", "the conductor dies with a conversation open"),
    ("crash_of_cell", "a cell's actor dies while a conversation is open"),
    ("crash_of_link", "a link dies while a conversation is open"),
    ("crash_of_host", "a host's actor dies while a conversation is open"),
    ("crash_of_image", "the image actor dies while a conversation is open"),
    ("crash_of_volume", "the volume actor dies while a conversation is open"),
    ("crash_of_network", "the network actor dies while a conversation is open"),
    ("crash_before_first_step", "the conductor dies when an order is durable and its first step is not intended"),
    ("crash_after_intent", "the conductor dies when a step is intended and not answered"),
    ("crash_while_ensuring", "an actor dies with a command that it has accepted and not answered"),
)
_OUTER: Final = (
    ("two_edges", "an envelope passes two edges of the tree"),
    ("frame_of_several", "a frame holds several envelopes"),
    ("frame_again", "a frame is handed out again"),
    ("dead_letter", "a frame becomes a dead letter"),
    ("late_answer", "an answer comes that nobody waits for any more"),
    ("broadcast_doubled", "a broadcast comes to a cell again, and is dropped"),
    ("message_refused", "a message is refused on its way"),
    ("ownership_lost", "a conductor finds that another one has its conversation"),
    ("store_away", "a conversation waits for its store"),
    ("outbox_waits", "a cell's news waits, for its receiver is away"),
    ("commits_undone", "a crash undoes a transaction that was visible"),
)

PROBES: Final[tuple[Probe, ...]] = (
    *(_fault(kind) for kind in FaultKind),
    *(Probe(name=name, text=text) for name, text in _BOTH),
    *(Probe(name=name, text=text, is_inner=False) for name, text in _OUTER),
)


class Probes:
    """Listens to a history, and counts there which probes it reaches."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._sightings = Sightings(history.reach)
        for line in tuple(history.lines):
            self._hear(line)
        history.listen(self._hear, *self._sightings.kinds)

    def _hear(self, line: Line) -> None:
        self._sightings.hear(line.what)


def missed(counts: Mapping[str, int], *, is_inner: bool = False) -> tuple[Probe, ...]:
    """Name the probes that a set of runs has not reached; of the inner level, only those that it can."""
    return tuple(probe for probe in PROBES if not counts.get(probe.name) and (probe.is_inner or not is_inner))
