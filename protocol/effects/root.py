"""Effects on the root's rows: mapping, permits, specs, hosts and mirror."""

from collections.abc import Iterable
from typing import Final

import attrs

from protocol.cell_path import Address, host_of
from protocol.draft import Draft, Need, need
from protocol.effects import groups, mirror, quotas
from protocol.effects.registry import Moment, effect
from protocol.errors import AlreadyExists, ComputeHostNotFound, Conflict, NotFound, PermitRefused, ServerBusy
from protocol.messages import root as say
from protocol.records import GroupPlace, HostFence, HostMapping, Mapping, Mirror, Permit, Record, RequestSpec
from protocol.requests import PAGE_MAX, Done
from protocol.states import Goal

#: What must wait until nothing is owed: the next move would meet what the last one has left.
MOVES: Final = frozenset({Goal.RESIZE, Goal.MIGRATE})
#: What chooses a host.
PLACED: Final = MOVES | {Goal.CREATE, Goal.LIVE_MIGRATE}
Rows = tuple[Record, ...]


def _ledger(command: "say.TakeServer | say.OweServer | say.ReleaseServer | say.ForgetHome") -> tuple[Need, ...]:
    server = command.server
    return need(Mapping, server=server), need(Permit, server=server), need(RequestSpec, server=server)


def _own(server: str, rows: Rows) -> Mapping | None:
    return next((row for row in rows if type(row) is Mapping and row.server == server), None)


def _for_taking(command: say.TakeServer, rows: Rows) -> tuple[Need, ...]:
    own = _own(command.server, rows)
    project, group = (own.project, own.server_group) if own else (command.project, command.server_group)
    of_quota = quotas.limits(project or command.project, rows) if command.flavor is not None else ()
    return (*of_quota, *groups.others(group)) if command.goal in PLACED else of_quota


def _own_places(command: "say.OweServer | say.ReleaseServer | say.ForgetHome", rows: Rows) -> tuple[Need, ...]:
    own = _own(command.server, rows)
    return (need(GroupPlace, server=command.server),) if own and own.server_group else ()


def _of_take(command: say.TakeServer) -> tuple[Need, ...]:
    return (*_ledger(command), need(HostFence), need(HostMapping, host=command.host or ""))


def _check_host(draft: Draft, named: str | None) -> None:
    if named is not None and draft.find(HostMapping, host=named) is None:
        raise ComputeHostNotFound(host=named)


@effect(say.TakeServer, _of_take, _for_taking)
def _take(draft: Draft, command: say.TakeServer, _: Moment) -> say.Taken:
    _check_host(draft, command.host)
    mapping = draft.find(Mapping, server=command.server)
    if mapping is None:
        if command.is_queued:
            return say.Taken(mapping=Mapping(server=command.server, cell=None, generation=0))
        if not (command.is_new or command.goal is Goal.REPAIR):
            raise NotFound(kind="server", name=command.server)
        mapping = Mapping(server=command.server, cell=None, generation=0)
    elif command.is_new and mapping.conversation != command.conversation:
        raise AlreadyExists(kind="server", name=command.server)
    if mapping.conversation not in {None, command.conversation}:
        if command.goal is Goal.DELETE:
            raise ServerBusy(server=command.server, goal=str(mapping.goal), conversation=str(mapping.conversation))
        raise Conflict(
            server=command.server,
            action=command.goal.value,
            reason=f"it is taken by {mapping.goal} {mapping.conversation}",
        )
    _check_soft_delete(mapping, command.soft_deleted_at_us)
    if command.goal in {*MOVES, Goal.REPAIR, Goal.LIVE_MIGRATE} and mapping.debt is not None:
        raise Conflict(server=command.server, action=command.goal.value, reason=_debt_of(mapping))
    mapping = _charged(draft, mapping, command)
    mapping = attrs.evolve(mapping, conversation=command.conversation, goal=command.goal)
    if command.is_new:
        mapping = groups.join(draft, mapping, command.server_group)
    draft.put(mapping)
    return say.Taken(
        mapping=mapping,
        permit=draft.find(Permit, server=command.server),
        spec=draft.find(RequestSpec, server=command.server),
        fenced=tuple(fence.host for fence in draft.all(HostFence)),
        avoided=groups.avoided(draft, mapping) if command.goal in PLACED else (),
    )


def _check_soft_delete(mapping: Mapping, at_us: int | None) -> None:
    if at_us is not None and not (mapping.is_soft_deleted and mapping.soft_deleted_at_us == at_us):
        raise Conflict(server=mapping.server, action="be reclaimed", reason="it was restored meanwhile")


def _charged(draft: Draft, mapping: Mapping, command: say.TakeServer) -> Mapping:
    project = mapping.project or command.project
    if command.flavor is None or not project or mapping.is_moved:
        # While a move of it waits, another is refused in its cell; what counts is what the one that waits may need.
        return mapping
    return quotas.charge(draft, mapping, project=project, flavor=command.flavor)


def _debt_of(mapping: Mapping) -> str:
    owed = f"what its {mapping.debt_goal} {mapping.debt} has left at {mapping.debt_at} is still to be cleaned up"
    return f"{owed}, which is tried again until that answers; if it never will, fence its host"


@effect(say.OweServer, _ledger, _own_places)
def _owe(draft: Draft, command: say.OweServer, _: Moment) -> Done:
    mapping = draft.one(Mapping, server=command.server)
    if mapping.conversation != command.conversation:
        raise Conflict(server=command.server, action="let it go", reason=f"its mapping is {mapping}")
    if mapping.goal is Goal.CONFIRM:
        mapping = attrs.evolve(mapping, is_moved=False)
    owing = attrs.evolve(
        mapping, conversation=None, goal=None, debt=command.conversation, debt_goal=mapping.goal,
        debt_at=command.owed_at,
    )  # fmt: skip
    draft.put(quotas.settle(owing, draft.find(RequestSpec, server=command.server)))
    groups.leave(draft, mapping, host_of(Address.parse(command.owed_at)))
    return Done()


@effect(say.ReleaseServer, lambda command: (*_ledger(command), *mirror.told_of(command.server)), _own_places)
def _release(draft: Draft, command: say.ReleaseServer, _: Moment) -> Done:
    mapping = draft.find(Mapping, server=command.server)
    if mapping is not None and mapping.debt == command.conversation:
        # Another conversation may have the server by now: that is not touched.
        draft.put(attrs.evolve(mapping, debt=None, debt_goal=None, debt_at=None))
        return Done()
    if mapping is None or mapping.conversation != command.conversation:
        return Done()
    if mapping.cell is not None:
        free = attrs.evolve(mapping, conversation=None, goal=None)
        draft.put(quotas.settle(free, draft.find(RequestSpec, server=command.server)))
        return Done()
    groups.part(draft, mapping)
    draft.drop(mapping)
    # A repair only finds what there is of a server that is gone; what of that is to go, it has said.
    permits = () if mapping.goal is Goal.REPAIR else draft.all(Permit, server=command.server)
    for row in permits:
        draft.drop(row)
    # From here on no news of it is taken: nothing need be remembered of what is gone.
    mirror.forget(draft, command.server)
    return Done()


@effect(say.CommitHome, lambda command: (need(Mapping, server=command.server), need(Mirror, server=command.server)))
def _commit(draft: Draft, command: say.CommitHome, _: Moment) -> Mapping:
    mapping = draft.one(Mapping, server=command.server)
    source = str(command.source) if command.source else None
    expected = (source, command.generation, command.conversation)
    if (mapping.cell, mapping.generation, mapping.conversation) != expected:
        raise Conflict(server=command.server, action="change its home", reason=f"its mapping is {mapping}")
    committed = draft.put(attrs.evolve(mapping, cell=str(command.target), generation=mapping.generation + 1))
    mirror.forget_behind(draft, committed)
    return committed


@effect(say.ForgetHome, _ledger, _own_places)
def _forget_home(draft: Draft, command: say.ForgetHome, _: Moment) -> Done:
    mapping = draft.one(Mapping, server=command.server)
    if mapping.conversation != command.conversation:
        raise Conflict(server=command.server, action="lose its home", reason=f"its mapping is {mapping}")
    groups.part(draft, mapping)
    draft.put(
        attrs.evolve(mapping, cell=None, project="", vcpus=0, memory_mb=0, is_moved=False, server_group="")
    )  # fmt: skip
    if spec := draft.find(RequestSpec, server=command.server):
        draft.drop(spec)
    return Done()


@effect(say.IssuePermit, lambda command: (need(Permit, server=command.server),))
def _issue(draft: Draft, command: say.IssuePermit, _: Moment) -> Permit:
    permit = draft.find(Permit, server=command.server)
    if permit is not None and permit.holder is not None:
        raise PermitRefused(server=command.server, number=permit.number, reason=f"it is held by {permit.holder}")
    number = permit.number + 1 if permit else 1
    return draft.put(Permit(server=command.server, number=number, holder=command.holder))


@effect(say.ReturnPermit, lambda command: (need(Permit, server=command.server),))
def _return(draft: Draft, command: say.ReturnPermit, _: Moment) -> Permit:
    permit = draft.one(Permit, server=command.server)
    if (permit.number, permit.holder) != (command.number, command.holder):
        raise PermitRefused(server=command.server, number=command.number, reason=f"the ledger has {permit}")
    return draft.put(attrs.evolve(permit, holder=None))


@effect(say.RestorePermit, lambda command: (need(Permit, server=command.server),))
def _restore(draft: Draft, command: say.RestorePermit, _: Moment) -> Permit:
    permit = draft.one(Permit, server=command.server)
    if permit.holder == command.holder:
        return permit
    if permit.holder is not None:
        raise PermitRefused(server=command.server, number=permit.number, reason=f"it is held by {permit.holder}")
    return draft.put(Permit(server=command.server, number=permit.number + 1, holder=command.holder))


@effect(say.WithdrawPermit, lambda command: (need(Permit, server=command.server),))
def _withdraw(draft: Draft, command: say.WithdrawPermit, _: Moment) -> Permit:
    permit = draft.find(Permit, server=command.server)
    if permit is None:
        return Permit(server=command.server, number=0, holder=None)
    return draft.put(attrs.evolve(permit, holder=None)) if permit.holder == command.holder else permit


@effect(
    say.SaveSpec,
    lambda command: (need(RequestSpec, server=command.server), need(Mapping, server=command.server)),
)
def _save_spec(draft: Draft, command: say.SaveSpec, moment: Moment) -> Done:
    mapping = draft.find(Mapping, server=command.server)
    if mapping is not None and mapping.goal in {*MOVES, Goal.REVERT}:
        draft.put(attrs.evolve(mapping, is_moved=mapping.goal in MOVES, moved_at_us=moment.now_us))
    if command.spec is not None:
        draft.put(command.spec)
    elif spec := draft.find(RequestSpec, server=command.server):
        draft.drop(spec)
    return Done()


@effect(say.RegisterHost, lambda command: (need(HostMapping, host=command.host),))
def _register(draft: Draft, command: say.RegisterHost, _: Moment) -> Done:
    found = draft.find(HostMapping, host=command.host)
    if found is not None and found.cell != str(command.cell):
        raise AlreadyExists(kind="host", name=f"{command.host} (in cell {found.cell})")
    draft.put(HostMapping(host=command.host, cell=str(command.cell)))
    return Done()


@effect(say.UnregisterHost, lambda command: (need(HostMapping, host=command.host),))
def _unregister(draft: Draft, command: say.UnregisterHost, _: Moment) -> Done:
    found = draft.find(HostMapping, host=command.host)
    if found is not None and found.cell == str(command.cell):
        draft.drop(found)
    return Done()


@effect(say.ListWaitingMoves, lambda _: (need(Mapping, is_moved=True),))
def _list_waiting(draft: Draft, command: say.ListWaitingMoves, moment: Moment) -> say.AllDue:
    waiting = ((row, row.moved_at_us) for row in draft.all(Mapping, is_moved=True))
    return _due(waiting, before_us=moment.now_us - command.for_us)


@effect(say.ListSoftDeleted, lambda _: (need(Mapping, is_soft_deleted=True),))
def _list_soft_deleted(draft: Draft, command: say.ListSoftDeleted, moment: Moment) -> say.AllDue:
    deleted = ((row, row.soft_deleted_at_us) for row in draft.all(Mapping, is_soft_deleted=True))
    return _due(deleted, before_us=moment.now_us - command.for_us)


def _due(rows: Iterable[tuple[Mapping, int]], *, before_us: int) -> say.AllDue:
    """List what has waited since then, and nobody has; the oldest first."""
    free = [(since_us, row.server, row) for row, since_us in rows if since_us <= before_us and row.conversation is None]
    return say.AllDue(
        servers=tuple(
            say.Due(server=row.server, project=row.project, since_us=since_us)
            for since_us, _, row in sorted(free, key=lambda each: each[:2])[:PAGE_MAX]
        )
    )


@effect(say.NoteSoftDelete, lambda command: (need(Mapping, server=command.server),))
def _note_soft_delete(draft: Draft, command: say.NoteSoftDelete, moment: Moment) -> Done:
    mapping, is_deleted = draft.one(Mapping, server=command.server), command.is_soft_deleted
    draft.put(
        attrs.evolve(mapping, is_soft_deleted=is_deleted, soft_deleted_at_us=moment.now_us if is_deleted else 0)
    )  # fmt: skip
    return Done()


@effect(say.ListHosts, lambda _: (need(HostMapping),))
def _list_hosts(draft: Draft, _: say.ListHosts, __: Moment) -> say.HostList:
    return say.HostList(hosts=draft.all(HostMapping))


@effect(say.FindHome, lambda command: (need(Mapping, server=command.server),))
def _find_home(draft: Draft, command: say.FindHome, _: Moment) -> say.FoundHome:
    mapping = draft.find(Mapping, server=command.server)
    if mapping is None or mapping.cell is None:
        raise NotFound(kind="server", name=command.server)
    return say.FoundHome(mapping=mapping)
