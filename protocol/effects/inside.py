"""Effects of a move inside a cell on its one record, of confirm and revert too: nothing is copied, sealed or hidden."""

import attrs

from protocol.draft import Draft, Need, need
from protocol.effects.history import (
    advance,
    change,
    finish_action,
    finished_event,
    notify,
    whole_server,
)
from protocol.effects.registry import Moment, effect
from protocol.effects.resize import AT_TARGET, FINISH, give_allocation_back
from protocol.effects.revert import check_place
from protocol.messages import inside as say
from protocol.records import Allocation, BlockDevice, Claim, Host, Migration, Server
from protocol.requests import Done
from protocol.states import MigrationStatus, VmState


@effect(
    say.ClaimInside,
    lambda command: (*whole_server(command), need(Host, name=command.host), need(Claim, server=command.server)),
)
def _claim(draft: Draft, command: say.ClaimInside, moment: Moment) -> Done:
    server = draft.one(Server, uuid=command.server)
    host = draft.one(Host, name=command.host)
    draft.put(Claim(server=server.uuid, host=host.name, migration=command.migration))
    finished_event(draft, moment, server.uuid, command.action, name=AT_TARGET, host=host.name)
    notify(draft, server.uuid, host.name, moment, "instance.exists", "instance.resize_prep.start")
    notify(draft, server.uuid, host.name, moment, "instance.resize_prep.end")
    return Done()


@effect(say.FinishInside, lambda command: (*whole_server(command), need(Host, name=command.host)))
def _finish(draft: Draft, command: say.FinishInside, moment: Moment) -> Server:
    server = draft.one(Server, uuid=command.server)
    migration = draft.one(Migration, server=server.uuid, uuid=command.migration)
    finish_action(draft, server.uuid, command.action, moment)
    finished_event(draft, moment, server.uuid, command.action, name=FINISH, host=command.host)
    advance(draft, migration, moment, MigrationStatus.FINISHED)
    notify(draft, server.uuid, command.host, moment, "instance.resize_finish.start", "instance.resize_finish.end")
    kept = swap_attachments(draft, server.uuid, command.attachments)
    assert server.migration_context is not None, "no move is open"
    context = attrs.evolve(server.migration_context, old_zone=server.availability_zone, kept=kept)
    return change(
        draft, server, moment, vm_state=VmState.RESIZED, task_state=None, power_state=command.power_state,
        host=command.host, flavor=server.new_flavor or server.flavor, migration_context=context,
        availability_zone=draft.one(Host, name=command.host).availability_zone,
    )  # fmt: skip


def swap_attachments(draft: Draft, server: str, attachments: dict[str, str]) -> dict[str, str]:
    """Write other attachments into a server's record; give those that it had, by volume."""
    devices = draft.all(BlockDevice, server=server)
    for device in devices:
        draft.put(attrs.evolve(device, attachment=attachments[device.volume]))
    return {device.volume: device.attachment for device in devices}


def _held(command: say.CheckPlace | say.ReturnInside) -> tuple[Need, ...]:
    return (*whole_server(command), need(Allocation, server=command.server))


@effect(say.CheckPlace, _held)
def _check_place(draft: Draft, command: say.CheckPlace, _: Moment) -> Done:
    check_place(draft, command.server, command.migration)
    return Done()


@effect(say.ReturnInside, _held)
def _return(draft: Draft, command: say.ReturnInside, moment: Moment) -> Done:
    server = draft.one(Server, uuid=command.server)
    migration = draft.one(Migration, server=server.uuid, uuid=command.migration)
    give_allocation_back(draft, server.uuid, migration.uuid)
    swap_attachments(draft, server.uuid, command.attachments)
    assert server.migration_context is not None, "no move is open"
    change(
        draft, server, moment, flavor=server.old_flavor or server.flavor, host=migration.source_host,
        availability_zone=server.migration_context.old_zone,
    )  # fmt: skip
    return Done()


@effect(
    say.LeaveHost,
    lambda command: (
        need(Allocation, server=command.server, host=command.host), need(Claim, server=command.server)
    ),
)  # fmt: skip
def _leave(draft: Draft, command: say.LeaveHost, _: Moment) -> Done:
    # Nothing but the place: by now others may work on the record, or have deleted it.
    for allocation in draft.all(Allocation, server=command.server, host=command.host):
        draft.drop(allocation)
    for claim in draft.all(Claim, server=command.server):
        if claim.host == command.host:
            draft.drop(claim)
    return Done()
