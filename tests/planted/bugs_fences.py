"""Planted bugs in fences: what counts as done without a host, and what the host does when it is back."""

from __future__ import annotations

from typing import Any

import attrs

from actors.store.inbox import SqlInbox
from protocol.messages import fencing as say
from protocol.records import HostFence
from sim.cases.portfolio import FENCED, LOST
from sim.inner.memory import Memory
from tests.planted.planting import Level, Patch, bug, new_effect, old_effect


@bug("one_guest", mix=LOST, since=19)
def takes_whoever_is_silent_for_fenced(patch: Patch) -> None:
    """What a host would have to do counts as done when it does not answer in time, though nobody has fenced it."""

    def stand_in(draft: Any, command: say.StandIn, moment: Any) -> Any:
        if draft.find(HostFence, host=command.host) is not None:
            return old(draft, command, moment)
        return say.StoodIn()

    old = old_effect(say.StandIn)
    new_effect(patch, say.StandIn, stand_in)


@bug("no_leaks", mix=FENCED, since=20)
def notes_nothing_that_is_owed(patch: Patch) -> None:
    """What counts as done at a fenced host is forgotten: the host does not do it when it is back."""

    def stand_in(draft: Any, command: say.StandIn, moment: Any) -> Any:
        return old(draft, attrs.evolve(command, acts=()), moment)

    old = old_effect(say.StandIn)
    new_effect(patch, say.StandIn, stand_in)


@bug("one_guest", mix=FENCED, since=5)
def does_not_ask_whether_it_is_fenced(patch: Patch) -> None:
    """A fenced host that boots again takes commands, and starts guests, as if nothing had been said of it."""

    def confirm(draft: Any, command: say.ConfirmPermits, moment: Any) -> Any:
        return attrs.evolve(old(draft, command, moment), fence=None)

    old = old_effect(say.ConfirmPermits)
    new_effect(patch, say.ConfirmPermits, confirm)


@bug("fences_lifted", mix=FENCED)
def lets_a_host_back_that_owes_nothing(patch: Patch) -> None:
    """A host whose fence is to be lifted, and that owes nothing, serves again; its fence stays, and nobody comes."""

    def confirm(draft: Any, command: say.ConfirmPermits, moment: Any) -> Any:
        confirmed = old(draft, command, moment)
        is_let_back = confirmed.fence is not None and confirmed.fence.lift_epoch is not None and not confirmed.owed
        return attrs.evolve(confirmed, fence=None) if is_let_back else confirmed

    old = old_effect(say.ConfirmPermits)
    new_effect(patch, say.ConfirmPermits, confirm)


@bug("no_leaks", mix=FENCED, levels=(Level.INNER,), since=317)
def forgets_what_it_may_have_begun(patch: Patch) -> None:
    """An undo that comes when a fence is lifted finds nothing to clean: the host has forgotten the execute."""
    patch.setattr(SqlInbox, "renounce", SqlInbox._forget)  # noqa: SLF001 - the mistake is in there
    patch.setattr(Memory, "renounce", lambda self, epoch: self.close("", "", 0, epoch))
