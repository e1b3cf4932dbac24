"""Create, and what users have a guest do: conversations of the same engine, with fewer steps."""

from collections.abc import Callable
from typing import Final

from protocol.cell_path import Address, host_mailbox
from protocol.messages import hosts, partners, root, servers
from protocol.messages.capacity import AllocateHost, FreeHost
from protocol.messages.orders import CreateServer, PowerServer
from protocol.messages.partners import NewAttachment
from protocol.messages.servers import ServerBundle
from protocol.moves import parties
from protocol.moves.parties import at_chosen_cell, at_chosen_host, at_home, at_root, brief, chosen
from protocol.records import BlockDevice, Permit, RequestSpec
from protocol.saga import Plan, Step, Story
from protocol.states import Goal, PowerState, TaskState, VmState, action_name


def take(goal: Goal) -> Step:
    """Take a server that is there for a goal."""
    return Step(
        name="take", row="-", at=at_root(),
        run=lambda story: root.TakeServer(server=story.server, conversation=story.conversation, goal=goal),
    )  # fmt: skip


# --- create ------------------------------------------------------------------------------------------------


def _new(story: Story) -> CreateServer:
    asked = brief(story).order
    assert isinstance(asked, CreateServer)
    return asked


def _new_volumes(story: Story) -> tuple[BlockDevice, ...]:
    return tuple(
        BlockDevice(
            id=story.id_of("block device", new.volume), server=story.server, volume=new.volume,
            attachment=story.id_of("attachment", new.volume), device=new.device, boot_index=new.boot_index,
        )
        for new in _new(story).volumes
    )  # fmt: skip


def _new_attachments(story: Story) -> tuple[str, ...]:
    return tuple(device.attachment for device in _new_volumes(story))


def _has_new_volumes(story: Story) -> bool:
    return bool(_new(story).volumes)


def _spawn(story: Story) -> hosts.SpawnGuest:
    return hosts.SpawnGuest(
        server=story.server, name=_new(story).name, flavor=_new(story).flavor, image=_new(story).image,
        volumes=parties.places(_new_volumes(story)), permit=story.reply("issue_permit", Permit).number,
        is_powered_on=True,
    )  # fmt: skip


PLACE = (
    Step(
        name="take", row="-", at=at_root(),
        run=lambda story: root.TakeServer(
            server=story.server, conversation=story.conversation, goal=Goal.CREATE, is_new=True,
            flavor=_new(story).flavor, project=_new(story).origin.project, host=_new(story).host,
            server_group=_new(story).group,
        ),
    ),
    Step(
        name="choose_target", row="-", at=at_root(), in_attempt=True, is_read=True,
        run=lambda story: parties.ask_for_room(
            story, _new(story).flavor, is_volume_backed=not _new(story).image, bandwidth_kbps=_new(story).bandwidth_kbps
        ),
        objection=parties.nothing_to_choose, retries=parties.retries,
    ),
    parties.take_place("-"),
    Step(
        name="allocate", row="-", at=at_chosen_cell, in_attempt=True,
        run=lambda story: AllocateHost(
            server=story.server, consumer=story.server, host=chosen(story).host, flavor=_new(story).flavor,
            is_volume_backed=not _new(story).image, bandwidth_kbps=_new(story).bandwidth_kbps,
        ),
        undo=lambda story: FreeHost(server=story.server, consumer=story.server, host=chosen(story).host),
    ),
)  # fmt: skip

BUILD = (
    Step(
        name="build", row="-", at=at_chosen_cell,
        run=lambda story: servers.BuildServer(
            server=story.server, name=_new(story).name, flavor=_new(story).flavor, image=_new(story).image,
            host=chosen(story).host, availability_zone=chosen(story).availability_zone,
            block_devices=_new_volumes(story), action=parties.action(story), origin=_new(story).origin,
            key_pair=_new(story).key_pair, bandwidth_kbps=_new(story).bandwidth_kbps,
        ),
        undo=lambda story: servers.DestroyBuild(server=story.server, action=parties.action(story)),
    ),
    Step(
        name="create_port", row="-", at=at_root("network"),
        run=lambda story: partners.CreatePort(
            port=story.id_of("port"), server=story.server, host=chosen(story).host
        ),
        undo=lambda story: partners.DeletePorts(server=story.server),
    ),
    Step(
        name="reserve_attachments", row="-", at=at_root("volume"), when=_has_new_volumes,
        run=lambda story: partners.ReserveAttachments(
            server=story.server,
            attachments=tuple(
                NewAttachment(id=device.attachment, volume=device.volume, device=device.device)
                for device in _new_volumes(story)
            ),
        ),
        undo=lambda story: partners.DeleteAttachments(server=story.server, attachments=_new_attachments(story)),
    ),
    Step(
        name="connect_attachments", row="-", at=at_root("volume"), when=_has_new_volumes,
        run=lambda story: partners.ConnectAttachments(
            server=story.server, attachments=_new_attachments(story), host=str(at_chosen_host(story))
        ),
        undo=lambda story: partners.DisconnectAttachments(server=story.server, attachments=_new_attachments(story)),
    ),
    Step(
        name="issue_permit", row="-", at=at_root(),
        run=lambda story: root.IssuePermit(server=story.server, holder=str(at_chosen_host(story))),
        undo=lambda story: root.WithdrawPermit(server=story.server, holder=str(at_chosen_host(story))),
    ),
    Step(
        name="spawn", row="-", at=at_chosen_host, settles=True, run=_spawn,
        undo=lambda story: hosts.DestroyGuest(server=story.server),
    ),
)  # fmt: skip

SETTLE = (
    Step(
        name="finish_build", row="-", at=at_chosen_cell,
        run=lambda story: servers.FinishBuild(
            server=story.server, action=parties.action(story),
            power_state=story.reply("spawn", hosts.GuestReport).power_state,
        ),
    ),
    Step(
        name="commit", row="-", at=at_root(),
        run=lambda story: root.CommitHome(
            server=story.server, conversation=story.conversation, source=None, target=at_chosen_cell(story).cell,
            generation=0,
        ),
    ),
    Step(
        name="save_spec", row="-", at=at_root(),
        run=lambda story: root.SaveSpec(
            server=story.server,
            spec=RequestSpec(
                server=story.server, flavor=_new(story).flavor, availability_zone=chosen(story).availability_zone
            ),
        ),
    ),
)  # fmt: skip

CREATE = parties.plan("create", (*PLACE, *BUILD, *SETTLE))


# --- what a guest does ---------------------------------------------------------------------------------


def at_host(story: Story) -> Address:
    """Address the host that the server is on."""
    host = story.reply("begin", ServerBundle).server.host
    assert host is not None
    return Address(parties.home(story), host_mailbox(host))


def begin(
    goal: Goal, event: str, states: tuple[VmState, ...], task: TaskState | None, *, needs_own_disk: bool = False
) -> Step:
    """Begin an action in the server's cell, which refuses it in other states than these, or with a volume as root."""

    def run(story: Story) -> servers.BeginTask:
        order = brief(story).order
        return servers.BeginTask(
            server=story.server, action=parties.action(story), action_name=action_name(goal), event=event,
            origin=order.origin, vm_states=states, task_state=task, needs_own_disk=needs_own_disk,
        )  # fmt: skip

    return _beginning(run)


def _beginning(run: Callable[[Story], servers.BeginTask]) -> Step:
    return Step(
        name="begin", row="-", at=at_home, run=run,
        undo=lambda story: servers.AbortTask(server=story.server, action=parties.action(story), cause=story.cause),
    )  # fmt: skip


def _order(story: Story) -> PowerServer:
    order = brief(story).order
    assert isinstance(order, PowerServer)
    return order


#: What the server and its guest are when an order was carried out.
ENDS: Final[dict[Goal, tuple[VmState, PowerState]]] = {
    Goal.START: (VmState.ACTIVE, PowerState.RUNNING),
    Goal.STOP: (VmState.STOPPED, PowerState.SHUTDOWN),
    Goal.REBOOT: (VmState.ACTIVE, PowerState.RUNNING),
    Goal.PAUSE: (VmState.PAUSED, PowerState.PAUSED),
    Goal.UNPAUSE: (VmState.ACTIVE, PowerState.RUNNING),
    Goal.SUSPEND: (VmState.SUSPENDED, PowerState.SUSPENDED),
    Goal.RESUME: (VmState.ACTIVE, PowerState.RUNNING),
    Goal.SOFT_DELETE: (VmState.SOFT_DELETED, PowerState.SHUTDOWN),
    Goal.RESTORE: (VmState.ACTIVE, PowerState.RUNNING),
}


def _former(story: Story) -> PowerState:
    return story.reply("begin", ServerBundle).server.power_state


def _state(story: Story) -> PowerState:
    """Tell what the guest is to be: one that is suspended stays so while its server is softly deleted."""
    goal = _order(story).goal
    if goal is Goal.SOFT_DELETE and _former(story) is PowerState.SUSPENDED:
        return PowerState.SUSPENDED
    return ENDS[goal][1]


def _power(story: Story) -> hosts.PowerGuest:
    return _powered(story, _state(story))


def _powered(story: Story, state: PowerState) -> hosts.PowerGuest:
    return hosts.PowerGuest(server=story.server, permit=parties.held_permit(story), state=state)


def _finish_power(story: Story) -> servers.FinishTask:
    return servers.FinishTask(
        server=story.server, action=parties.action(story), vm_state=ENDS[_order(story).goal][0],
        power_state=_state(story),
    )  # fmt: skip


def _undo_power(story: Story) -> hosts.PowerGuest:
    return _powered(story, parties.on_or_off(_former(story)))


def _undo_hold(story: Story) -> hosts.PowerGuest | hosts.ResumeGuest:
    """Have the guest be what it was; on a host that is fenced it is off in any case, and nothing is waited for."""
    return _powered(story, PowerState.SHUTDOWN) if _former(story) is PowerState.SHUTDOWN else _resumed(story)


def _resumed(story: Story) -> hosts.ResumeGuest:
    return hosts.ResumeGuest(server=story.server, permit=parties.held_permit(story), state=_former(story))


def _power_plan(
    goal: Goal, task: TaskState, *states: VmState,
    undo: Callable[[Story], hosts.PowerGuest | hosts.ResumeGuest] = _undo_hold, last: tuple[Step, ...] = (),
) -> Plan:  # fmt: skip
    return parties.plan(
        goal.value,
        (
            take(goal),
            begin(goal, f"compute_{goal}_instance", states, task),
            Step(name="power", row="-", at=at_host, run=_power, undo=undo, settles=True),
            Step(name="finish", row="-", at=at_home, run=_finish_power),
            *last,
        ),
    )  # fmt: skip


def _note(*, is_soft_deleted: bool) -> tuple[Step, ...]:
    """Have the root note whether the server is softly deleted: it says when that has lasted for long enough."""
    return (
        Step(
            name="note_soft_delete", row="-", at=at_root(),
            run=lambda story: root.NoteSoftDelete(server=story.server, is_soft_deleted=is_soft_deleted),
        ),
    )  # fmt: skip


START = _power_plan(Goal.START, TaskState.POWERING_ON, VmState.STOPPED, undo=_undo_power)
STOP = _power_plan(Goal.STOP, TaskState.POWERING_OFF, VmState.ACTIVE, undo=_undo_power)
# Held by its host: it does not run, and loses nothing.
PAUSE = _power_plan(Goal.PAUSE, TaskState.PAUSING, VmState.ACTIVE)
UNPAUSE = _power_plan(Goal.UNPAUSE, TaskState.UNPAUSING, VmState.PAUSED)
# Saved by its host, where a machine's loss of power does not reach it.
SUSPEND = _power_plan(Goal.SUSPEND, TaskState.SUSPENDING, VmState.ACTIVE)
RESUME = _power_plan(Goal.RESUME, TaskState.RESUMING, VmState.SUSPENDED)
# Not in VERIFY_RESIZE: a move is settled first, for nobody could settle it later.
SOFT_DELETE = _power_plan(
    Goal.SOFT_DELETE, TaskState.SOFT_DELETING, VmState.ACTIVE, VmState.STOPPED, VmState.PAUSED, VmState.SUSPENDED,
    last=_note(is_soft_deleted=True),
)  # fmt: skip
RESTORE = _power_plan(Goal.RESTORE, TaskState.RESTORING, VmState.SOFT_DELETED, last=_note(is_soft_deleted=False))


def _begin_reboot(story: Story) -> servers.BeginTask:
    is_hard = _order(story).is_hard
    return servers.BeginTask(
        server=story.server, action=parties.action(story), action_name=action_name(Goal.REBOOT),
        event="compute_reboot_instance", origin=_order(story).origin,
        vm_states=(VmState.ACTIVE, VmState.STOPPED) if is_hard else (VmState.ACTIVE,),
        task_state=TaskState.REBOOTING_HARD if is_hard else TaskState.REBOOTING,
    )  # fmt: skip


# Off and on again under one permit, which stays with the host all the while.
REBOOT = parties.plan(
    "reboot",
    (
        take(Goal.REBOOT),
        _beginning(_begin_reboot),
        Step(
            name="switch_off", row="-", at=at_host,
            run=lambda story: _powered(story, PowerState.SHUTDOWN),
            # As it was; on a host that is fenced it is off in any case, and nothing is waited for.
            undo=_resumed,
        ),
        Step(
            name="power", row="-", at=at_host, run=_power, settles=True,
            undo=lambda story: _powered(story, PowerState.SHUTDOWN),
        ),
        Step(name="finish", row="-", at=at_home, run=_finish_power),
    ),
)  # fmt: skip
