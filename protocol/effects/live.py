"""Effects of a live migration on the one record of its server, which stays where it is."""

import attrs

from protocol.door import bars_move
from protocol.draft import Draft, Need, need
from protocol.effects.history import (
    advance,
    bundle,
    change,
    finish_action,
    finished_event,
    notify,
    start_action,
    start_event,
    whole_server,
)
from protocol.effects.inside import swap_attachments
from protocol.effects.registry import Moment, effect
from protocol.effects.resize import CONDUCTOR
from protocol.effects.servers import at_door, check_freeze, check_settled
from protocol.errors import HostFenced
from protocol.messages import live as say
from protocol.messages.servers import ServerBundle
from protocol.records import Claim, Host, Migration, Server
from protocol.states import Goal, MigrationStatus, TaskState, VmState, action_name


@effect(say.BeginLive, at_door)
def _begin(draft: Draft, command: say.BeginLive, moment: Moment) -> ServerBundle:
    check_freeze(draft, Goal.LIVE_MIGRATE)
    server, name = draft.one(Server, uuid=command.server), action_name(Goal.LIVE_MIGRATE)
    check_settled(server, name, (VmState.ACTIVE,))
    if command.is_host_fenced:
        # What a guest has in its memory is on that machine, and is gone with it.
        raise HostFenced(host=server.host or "", method=f"hand over the guest of server {server.uuid}")
    if (bar := bars_move(server, flavor=None, host=command.host)) is not None:
        raise bar
    start_action(draft, moment, server.uuid, command.action, name=name, origin=command.origin)
    start_event(draft, moment, server.uuid, command.action, name="conductor_live_migrate_instance", host=CONDUCTOR)
    change(draft, server, moment, task_state=TaskState.MIGRATING)
    return bundle(draft, server.uuid)


def _places(command: say.ClaimLive | say.FinishLive) -> tuple[Need, ...]:
    return (*whole_server(command), need(Host, name=command.host), need(Claim, server=command.server))


@effect(say.ClaimLive, _places)
def _claim(draft: Draft, command: say.ClaimLive, moment: Moment) -> Migration:
    server, host = draft.one(Server, uuid=command.server), draft.one(Host, name=command.host)
    draft.put(Claim(server=server.uuid, host=host.name, migration=command.migration))
    finished_event(draft, moment, server.uuid, command.action, name="compute_pre_live_migration", host=host.name)
    migration = draft.one(Migration, server=server.uuid, uuid=command.migration)
    return draft.put(
        attrs.evolve(
            migration, target_cell=str(command.cell), target_host=host.name, updated_at_us=moment.now_us
        )
    )  # fmt: skip


@effect(say.FinishLive, _places)
def _finish(draft: Draft, command: say.FinishLive, moment: Moment) -> Server:
    server, host = draft.one(Server, uuid=command.server), draft.one(Host, name=command.host)
    finished_event(
        draft, moment, server.uuid, command.action, name="compute_live_migration", host=server.host or ""
    )  # fmt: skip
    finish_action(draft, server.uuid, command.action, moment)
    advance(
        draft, draft.one(Migration, server=server.uuid, uuid=command.migration), moment, MigrationStatus.COMPLETED
    )  # fmt: skip
    notify(draft, server.uuid, host.name, moment, "instance.live_migration_post_dest.end")
    swap_attachments(draft, server.uuid, command.attachments)
    draft.put(Claim(server=server.uuid, host=host.name))
    return change(
        draft, server, moment, task_state=None, host=host.name, power_state=command.power_state,
        availability_zone=host.availability_zone,
    )  # fmt: skip
