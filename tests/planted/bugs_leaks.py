"""Planted bugs that forget something: one for each thing that can be left behind."""

from __future__ import annotations

from typing import Any

import attrs

from actors.compute.guests import Guests
from protocol.messages import moves, root
from protocol.records import Claim, Mapping
from protocol.requests import Done
from protocol.states import Goal
from sim.cases.portfolio import BROKEN_OFF, CALM
from sim.inner.hosts import Host
from tests.planted.planting import MOVES, Level, Patch, altered, bug, new_effect, old_effect, replan, without


def _not_undone(patch: Patch, step: str) -> None:
    # The step is poisoned still: only the cleaning is forgotten.
    replan(patch, MOVES, altered(step, undo=None))


@bug("no_leaks", number="15", mix=BROKEN_OFF)
def leaves_a_binding(patch: Patch) -> None:
    """A failed move leaves the target's port bindings."""
    _not_undone(patch, "bind_ports")


@bug("no_leaks", number="15", mix=BROKEN_OFF)
def leaves_an_image(patch: Patch) -> None:
    """A failed move leaves its snapshot in the image store."""
    _not_undone(patch, "create_snapshot")


@bug("no_leaks", number="15", mix=BROKEN_OFF)
def leaves_an_attachment(patch: Patch) -> None:
    """A failed move leaves the target's reserved attachments."""
    _not_undone(patch, "reserve_attachments")


@bug("no_leaks", "accounting", number="15", mix=BROKEN_OFF)
def leaves_an_allocation(patch: Patch) -> None:
    """A failed move leaves what it had allocated at the target."""
    _not_undone(patch, "allocate_target")


@bug("no_leaks", number="15", mix=BROKEN_OFF)
def leaves_a_hidden_record(patch: Patch) -> None:
    """A failed move leaves the target's copy of the server."""
    _not_undone(patch, "copy_records")


@bug("no_leaks", number="15", mix=BROKEN_OFF)
def leaves_a_claim(patch: Patch) -> None:
    """A failed move leaves its claim, for which both the claim's own undo and that of the copy must forget it."""
    destroy = old_effect(moves.DestroyServer)

    def spare_claims(draft: Any, command: moves.DestroyServer, moment: Any) -> Done:
        kept = draft.all(Claim, server=command.server)
        done: Done = destroy(draft, command, moment)
        for claim in kept:
            draft.put(claim)
        return done

    new_effect(patch, moves.DestroyServer, spare_claims)
    _not_undone(patch, "claim_target")


@bug("no_leaks", number="15", mix=CALM, levels=(Level.LOOP,))
def leaves_a_disk(patch: Patch) -> None:
    """A host takes the guest away and keeps its disk."""

    async def destroy(self: Any, request: Any, _moment: Any) -> Done:
        await self._driver.undefine(request.server)
        return Done()

    patch.setattr(Guests, "destroy", destroy)


@bug("no_leaks", number="15", mix=CALM, levels=(Level.INNER,))
def leaves_a_disk_on_the_inner_level(patch: Patch) -> None:
    """A host takes the guest away and keeps its disk."""

    def destroy(self: Any, request: Any, _moment: Any) -> Any:
        yield from self._call("destroy", request.server, self.hypervisor.undefine, request.server)
        return Done()

    patch.setattr(Host, "_destroy", destroy)


@bug("parked_truly", number="15", mix=BROKEN_OFF)
def leaves_a_mapping(patch: Patch) -> None:
    """The root keeps the mapping of a server that never came to be, and the next order takes it for one."""

    def release(draft: Any, command: root.ReleaseServer, _moment: Any) -> Done:
        mapping = draft.find(Mapping, server=command.server)
        if mapping is not None and mapping.conversation == command.conversation:
            draft.put(attrs.evolve(mapping, conversation=None, goal=None))
        return Done()

    new_effect(patch, root.ReleaseServer, release)


@bug("no_leaks", number="15", mix=CALM)
def leaves_the_source_s_bindings(patch: Patch) -> None:
    """A confirm leaves the source's port bindings."""
    replan(patch, (Goal.CONFIRM,), without("unbind_source"))


@bug("no_leaks", number="15", mix=CALM)
def leaves_the_target_s_attachments(patch: Patch) -> None:
    """A revert leaves the target's attachments."""
    replan(patch, (Goal.REVERT,), without("delete_target_attachments"))
