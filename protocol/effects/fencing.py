"""Effects on the root's rows of hosts that are fenced, and of those that start."""

import attrs

from protocol.cell_path import host_of
from protocol.draft import Draft, Need, need
from protocol.effects.registry import Moment, effect
from protocol.errors import HostNotFenced
from protocol.messages import fencing as say
from protocol.records import HostFence, HostMapping, OwedAct, Permit
from protocol.requests import Done


def _of_host(command: "say.LiftFence | say.StandIn") -> tuple[Need, ...]:
    return need(HostFence, host=command.host), need(OwedAct, host=command.host)


@effect(say.SetFence, lambda command: (need(HostFence, host=command.host), need(HostMapping, host=command.host)))
def _set(draft: Draft, command: say.SetFence, moment: Moment) -> HostFence:
    place = draft.one(HostMapping, host=command.host)
    fence = draft.find(HostFence, host=command.host)
    if fence is not None and fence.lift_epoch is None:
        return fence
    if fence is not None:
        # What the host owes is still owed: it had not come so far as to do it.
        return draft.put(attrs.evolve(fence, lift_epoch=None, user=command.user))
    return draft.put(HostFence(host=command.host, cell=place.cell, user=command.user, since_us=moment.now_us))


@effect(say.LiftFence, _of_host)
def _lift(draft: Draft, command: say.LiftFence, _: Moment) -> HostFence:
    fence = draft.find(HostFence, host=command.host)
    if fence is None:
        raise HostNotFenced(host=command.host)
    return draft.put(attrs.evolve(fence, lift_epoch=command.epoch))


@effect(say.FindFence, lambda command: (need(HostFence, host=command.host),))
def _find(draft: Draft, command: say.FindFence, _: Moment) -> say.FenceFound:
    return say.FenceFound(is_fenced=draft.find(HostFence, host=command.host) is not None)


@effect(say.StandIn, _of_host)
def _stand_in(draft: Draft, command: say.StandIn, moment: Moment) -> say.StoodIn:
    if draft.find(HostFence, host=command.host) is None:
        raise HostNotFenced(host=command.host)
    for act in command.acts:
        draft.put(attrs.evolve(act, since_us=moment.now_us))
    return say.StoodIn()


def _of_start(command: say.ConfirmPermits) -> tuple[Need, ...]:
    host = _name(command)
    return need(HostFence, host=host), need(OwedAct, host=host), need(Permit, holder=str(command.host))


def _name(command: "say.ConfirmPermits | say.PayOwed") -> str:
    return host_of(command.host) or ""


@effect(say.ConfirmPermits, _of_start)
def _confirm(draft: Draft, command: say.ConfirmPermits, _: Moment) -> say.PermitsConfirmed:
    host = _name(command)
    fence = _own_fence(draft, command)
    return say.PermitsConfirmed(
        permits=tuple(
            say.OwnPermit(server=permit.server, number=permit.number)
            for permit in draft.all(Permit, holder=str(command.host))
        ),
        fence=fence,
        owed=() if fence is None else draft.all(OwedAct, host=host),
    )


def _own_fence(draft: Draft, command: "say.ConfirmPermits | say.PayOwed") -> HostFence | None:
    """Give the fence of the host that says so, and not that of one that is called the same in another cell."""
    fence = draft.find(HostFence, host=_name(command))
    return fence if fence is not None and fence.cell == str(command.host.cell) else None


@effect(
    say.PayOwed,
    lambda command: (need(HostFence, host=_name(command)), need(OwedAct, host=_name(command))),
)
def _pay(draft: Draft, command: say.PayOwed, _: Moment) -> Done:
    fence = _own_fence(draft, command)
    if fence is None:
        return Done()
    for act in command.acts:
        draft.drop(act)
    if fence.lift_epoch is not None and not draft.all(OwedAct, host=fence.host):
        draft.drop(fence)
    return Done()
