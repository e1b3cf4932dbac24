"""Planted bugs in effects: what commands do to records, ledgers and histories."""

from __future__ import annotations

from typing import Any

import attrs

from protocol import states
from protocol.effects import capacity, confirm, quotas, resize, revert
from protocol.effects.history import advance, change, notify, write_history
from protocol.messages import moves, partners, power, root
from protocol.records import Mapping, Migration, Permit, PortBinding, RequestSpec
from protocol.requests import Done
from protocol.states import MigrationStatus
from sim.cases.portfolio import CALM, DYING, OWING, REFUSED
from tests.planted.planting import Level, Patch, bug, new_effect, old_effect


@bug("one_taker", number="20", mix=CALM)
def takes_a_server_that_another_has(patch: Patch) -> None:
    """The root gives a server to a second conversation while the first is at it."""

    def take(draft: Any, command: root.TakeServer, moment: Any) -> Any:
        mapping = draft.find(Mapping, server=command.server)
        if mapping is None:
            return first(draft, command, moment)
        mapping = draft.put(attrs.evolve(mapping, conversation=command.conversation, goal=command.goal))
        permit = draft.find(Permit, server=command.server)
        return root.Taken(mapping=mapping, permit=permit, spec=draft.find(RequestSpec, server=command.server))

    first = old_effect(root.TakeServer)
    new_effect(patch, root.TakeServer, take)


@bug("attachments", mix=CALM)
def activates_a_port_twice(patch: Patch) -> None:
    """A port's binding becomes active at one host, and stays so at the other."""

    def activate(draft: Any, command: partners.ActivateBindings, moment: Any) -> Any:
        before = {binding.key for binding in draft.all(PortBinding, server=command.server) if binding.is_active}
        reply = old(draft, command, moment)
        for binding in draft.all(PortBinding, server=command.server):
            if binding.key in before:
                draft.put(attrs.evolve(binding, is_active=True))
        return reply

    old = old_effect(partners.ActivateBindings)
    new_effect(patch, partners.ActivateBindings, activate)


@bug("accounting", mix=CALM)
def allocates_no_memory(patch: Patch) -> None:
    """What is allocated for a server lacks its memory."""
    wanted = capacity.wanted

    def all_but_memory(*arguments: Any, **named: Any) -> dict[str, int]:
        return {**wanted(*arguments, **named), "memory_mb": 0}

    patch.setattr(capacity, "wanted", all_but_memory)


@bug("accounting", mix=CALM)
def counts_what_was_only_asked_for(patch: Patch) -> None:
    """A server counts in its project's quota for the largest size that it was ever to have."""
    patch.setattr(quotas, "settle", lambda mapping, _spec: mapping)


@bug("accounting", mix=CALM)
def counts_no_resize(patch: Patch) -> None:
    """A resize takes nothing of its project's quota."""
    patch.setattr(quotas, "charge", lambda _draft, mapping, **_: attrs.evolve(mapping, project="project"))


@bug("records_agree", mix=CALM)
def remembers_the_old_flavor(patch: Patch) -> None:
    """After a confirm the record still holds the flavor from before the move."""

    def keep(draft: Any, server: Any, moment: Any, **fields: Any) -> Any:
        fields.pop("old_flavor", None)
        return change(draft, server, moment, **fields)

    patch.setattr(confirm, "change", keep)


@bug("one_open_move", "records_agree", mix=CALM)
def never_closes_a_confirmed_move(patch: Patch) -> None:
    """A confirm leaves the record of its move open, and the next move opens another."""

    def not_to_the_end(draft: Any, migration: Any, moment: Any, status: Any, **fields: Any) -> Any:
        if status is MigrationStatus.CONFIRMED:
            return migration
        return advance(draft, migration, moment, status, **fields)

    patch.setattr(confirm, "advance", not_to_the_end)


@bug("status_graph", mix=CALM)
def confirms_the_first_move_it_finds(patch: Patch) -> None:
    """A confirm begins with whichever move the server ever made, and nobody checks the table of states."""
    patch.setattr(confirm, "open_move", lambda draft, server: draft.all(Migration, server=server.uuid)[0])
    patch.setattr(states, "check_migration", lambda _migration, _found, _after: None)


@bug("history_kept", mix=CALM)
def leaves_the_history_at_the_target(patch: Patch) -> None:
    """A revert does not bring back what was done to the server at the target."""
    old = old_effect(moves.ApplyReturn)

    def bare(draft: Any, command: moves.ApplyReturn, moment: Any) -> Any:
        return old(draft, attrs.evolve(command, sealed=attrs.evolve(command.sealed, actions=(), events=())), moment)

    new_effect(patch, moves.ApplyReturn, bare)


@bug("faults_kept", mix=REFUSED)
def leaves_the_faults_behind(patch: Patch) -> None:
    """A server's faults stay in the cell that it leaves, as if nothing had ever failed."""

    def but_faults(draft: Any, history: Any) -> None:
        write_history(draft, attrs.evolve(history, faults=()))

    patch.setattr(resize, "write_history", but_faults)
    patch.setattr(revert, "write_history", but_faults)


@bug("told_once", mix=CALM)
def tells_of_no_start(patch: Patch) -> None:
    """Where several notifications are due at once, the first one is forgotten."""

    def but_the_first(draft: Any, server: str, publisher: str, moment: Any, *events: str) -> None:
        notify(draft, server, publisher, moment, *(events[1:] if len(events) > 1 else events))

    patch.setattr(resize, "notify", but_the_first)


@bug("records_agree", mix=DYING)
def takes_no_notice_of_a_guest_that_died(patch: Patch) -> None:
    """A cell hears of a guest that stopped by itself, and leaves its record as it is."""
    new_effect(patch, power.NoteGuestOff, lambda _draft, _command, _moment: Done())


@bug("one_taker", mix=OWING, levels=(Level.INNER,), since=101)
def lets_go_of_a_server_that_another_has(patch: Patch) -> None:
    """What has been cleaned up lets the server go, whoever has taken it since."""

    def release(draft: Any, command: root.ReleaseServer, moment: Any) -> Any:
        mapping = draft.find(Mapping, server=command.server)
        if mapping is None or mapping.debt != command.conversation:
            return old(draft, command, moment)
        draft.put(attrs.evolve(mapping, conversation=None, goal=None, debt=None, debt_goal=None, debt_at=None))
        return Done()

    old = old_effect(root.ReleaseServer)
    new_effect(patch, root.ReleaseServer, release)


@bug("one_taker", mix=OWING, levels=(Level.INNER,))
def moves_a_server_that_is_owed_for(patch: Patch) -> None:
    """A new move begins while the last one's leftovers lie about."""
    patch.setattr("protocol.effects.root.MOVES", frozenset())
