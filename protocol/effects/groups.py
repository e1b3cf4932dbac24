"""Groups of servers that are to be on different hosts: the root knows of each member where it is, goes, or may return.

A place is kept in one transaction with the check that no other member has it, so that of two that go to one host at the
same moment one is refused, wherever they come from.  What a move has left is kept until its user has decided.
"""

import attrs

from protocol.draft import Draft, Need, need
from protocol.effects.registry import Moment, effect
from protocol.errors import AlreadyExists, HostOfGroup, InvalidState, NotFound
from protocol.messages import groups as say
from protocol.records import GroupPlace, Mapping, ServerGroup
from protocol.requests import Done, in_page

# --- members, as the root takes servers and lets them go -----------------------------------------------------


def others(group: str) -> tuple[Need, ...]:
    """Name the rows that tell which hosts a member has to avoid."""
    return (need(ServerGroup, id=group), need(GroupPlace, server_group=group)) if group else ()


def join(draft: Draft, mapping: Mapping, group: str) -> Mapping:
    """Make a new server a member; raise `NotFound` when its project has no such group."""
    if group and draft.one(ServerGroup, id=group).project != mapping.project:
        raise NotFound(kind="server group", name=group)
    return attrs.evolve(mapping, server_group=group)


def avoided(draft: Draft, mapping: Mapping) -> tuple[str, ...]:
    """Name the hosts that are kept for other members."""
    if not mapping.server_group:
        return ()
    places = draft.all(GroupPlace, server_group=mapping.server_group)
    return tuple(sorted({place.host for place in places if place.server != mapping.server}))


def leave(draft: Draft, mapping: Mapping, host: str | None) -> None:
    """Keep a host no more that a member has left for good; where it is now is not left."""
    if mapping.server_group:
        places = draft.all(GroupPlace, server=mapping.server)
        for place in places if len(places) > 1 else ():
            if place.host == host:
                draft.drop(place)


def part(draft: Draft, mapping: Mapping) -> None:
    """Keep nothing for a server any more."""
    if mapping.server_group:
        for place in draft.all(GroupPlace, server=mapping.server):
            draft.drop(place)


# --- places --------------------------------------------------------------------------------------------------


@effect(say.TakePlace, lambda command: (need(GroupPlace, server_group=command.server_group),))
def _take(draft: Draft, command: say.TakePlace, _: Moment) -> Done:
    group = command.server_group
    there = [place for place in draft.all(GroupPlace, server_group=group) if place.host == command.host]
    for place in there:
        if place.server != command.server:
            raise HostOfGroup(server=command.server, host=command.host, other=place.server, group=group)
    if not there:
        draft.put(
            GroupPlace(
                server=command.server, host=command.host, server_group=group, conversation=command.conversation
            )
        )  # fmt: skip
    return Done()


@effect(say.LeavePlace, lambda command: (need(GroupPlace, server=command.server, host=command.host),))
def _leave(draft: Draft, command: say.LeavePlace, _: Moment) -> Done:
    place = draft.find(GroupPlace, server=command.server, host=command.host)
    if place is not None and place.conversation == command.conversation:
        draft.drop(place)
    return Done()


# --- what users ask ------------------------------------------------------------------------------------------


@effect(
    say.CreateGroup,
    lambda command: (need(ServerGroup, id=command.group.id), need(ServerGroup, name=command.group.name)),
)
def _create(draft: Draft, command: say.CreateGroup, _: Moment) -> ServerGroup:
    group = command.group
    of_name = [each for each in draft.all(ServerGroup, name=group.name) if each.project == group.project]
    if draft.find(ServerGroup, id=group.id) is not None or of_name:
        raise AlreadyExists(kind="server group", name=group.name)
    return draft.put(group)


@effect(say.ListGroups, lambda command: (need(ServerGroup, name=command.name) if command.name else need(ServerGroup),))
def _list(draft: Draft, command: say.ListGroups, _: Moment) -> say.GroupList:
    found = draft.all(ServerGroup, name=command.name) if command.name else draft.all(ServerGroup)
    left = sorted((group for group in found if group.id > command.after), key=lambda group: group.id)
    page = tuple(left[: in_page(command.limit)])
    return say.GroupList(groups=page, next_after=page[-1].id if len(page) < len(left) else "")


def _with_members(command: "say.ShowGroup | say.DeleteGroup") -> tuple[Need, ...]:
    group = command.id
    return need(ServerGroup, id=group), need(Mapping, server_group=group), need(GroupPlace, server_group=group)


@effect(say.ShowGroup, _with_members)
def _show(draft: Draft, command: say.ShowGroup, _: Moment) -> say.GroupUse:
    group = draft.one(ServerGroup, id=command.id)
    places = draft.all(GroupPlace, server_group=group.id)
    return say.GroupUse(
        group=group,
        members=tuple(
            say.GroupMember(
                server=member.server, hosts=tuple(place.host for place in places if place.server == member.server)
            )
            for member in draft.all(Mapping, server_group=group.id)
        ),
    )


@effect(say.DeleteGroup, _with_members)
def _delete(draft: Draft, command: say.DeleteGroup, _: Moment) -> Done:
    group = draft.one(ServerGroup, id=command.id)
    members = draft.all(Mapping, server_group=group.id)
    if members:
        found = ", ".join(member.server for member in members)
        raise InvalidState(kind="server group", name=group.name, field="members", found=found, expected="none")
    draft.drop(group)
    return Done()
