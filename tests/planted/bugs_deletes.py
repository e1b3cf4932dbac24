"""Planted bugs in how servers are deleted: who is turned away, who ends, and what is left."""

from __future__ import annotations

from typing import Any

import attrs

from actors.conductor import actor as conductor
from protocol.effects.registry import EFFECTS
from protocol.messages.root import ForgetHome
from protocol.moves.queueing import Admit
from protocol.requests import Done
from protocol.states import Goal
from sim.cases.portfolio import CALM
from sim.inner import conductor as inner_conductor
from tests.planted.planting import Level, Patch, bug, replan


@bug("deletes_hold", mix=CALM)
def lets_others_begin_beside_a_delete(patch: Patch) -> None:
    """Whoever orders something of a server that is being deleted is not turned away."""

    def admit(goal: Goal, *, server: str, others: tuple[Any, ...]) -> Admit:
        del server
        return Admit(ends=others if goal is Goal.DELETE else ())

    for module in (conductor, inner_conductor):
        patch.setattr(module, "admit", admit)


@bug("deletes_hold", mix=CALM)
def keeps_the_mapping_of_what_is_deleted(patch: Patch) -> None:
    """The server keeps its home, and is let go as one that lives on."""
    forget = EFFECTS[ForgetHome]
    patch.setitem(EFFECTS, ForgetHome, attrs.evolve(forget, run=lambda _draft, _command, _moment: Done()))


@bug("no_leaks", mix=CALM)
def forgets_the_source_of_a_deleted_move(patch: Patch) -> None:
    """A delete in VERIFY_RESIZE clears the target alone."""
    replan(patch, (Goal.DELETE,), lambda steps: (step for step in steps if step.name != "destroy_source"))


# It takes a delete that meets a move: rare enough to be hunted where seeds cost little.
@bug("deletes_hold", mix=CALM, levels=(Level.INNER,))
def gives_up_a_delete_that_has_to_wait(patch: Patch) -> None:
    """A delete that finds its server taken has no patience."""

    def hasty(steps: Any) -> Any:
        return (attrs.evolve(step, patience_s=0.0) if step.name == "take" else step for step in steps)

    replan(patch, (Goal.DELETE,), hasty)
