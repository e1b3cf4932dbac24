"""What the root is asked about groups of servers: by users who make them, and by conversations that place a member."""

import attrs

from protocol.records import ServerGroup
from protocol.requests import PAGE_MAX, Done, Method, Request, Role, Way


@attrs.frozen(kw_only=True)
class TakePlace(Request[Done]):
    """Keep a host for a member of a group, if no other member is there, goes there or may come back there."""

    METHOD = Method(name="take_place", at=Role.CELL, way=Way.NONE)

    server: str
    server_group: str
    host: str
    conversation: str


@attrs.frozen(kw_only=True)
class LeavePlace(Request[Done]):
    """Undo of `TakePlace`: the host is not kept, unless the member was there before this conversation."""

    METHOD = Method(name="leave_place", at=Role.CELL, way=Way.NONE)

    server: str
    host: str
    conversation: str


@attrs.frozen(kw_only=True)
class GroupMember:
    """A server of a group, and the hosts that are kept for it."""

    server: str
    hosts: tuple[str, ...]


@attrs.frozen(kw_only=True)
class GroupUse:
    """A group and its servers, by id."""

    group: ServerGroup
    members: tuple[GroupMember, ...]


@attrs.frozen(kw_only=True)
class GroupList:
    """A page of groups, by id, and what to ask for the next one after; empty: there is none."""

    groups: tuple[ServerGroup, ...]
    next_after: str = ""


@attrs.frozen(kw_only=True)
class CreateGroup(Request[ServerGroup]):
    """Make a group, of which servers can be members from their create on."""

    METHOD = Method(name="create_group", at=Role.CELL, way=Way.NONE, is_for_people=True)

    group: ServerGroup


@attrs.frozen(kw_only=True)
class ListGroups(Request[GroupList]):
    """List groups by id, a page of those that come after one; of one name, or (empty) all."""

    METHOD = Method(name="list_groups", at=Role.CELL, way=Way.NONE, is_for_people=True, is_read=True)

    name: str = ""
    after: str = ""
    limit: int = PAGE_MAX


@attrs.frozen(kw_only=True)
class ShowGroup(Request[GroupUse]):
    """Give a group, with its servers."""

    METHOD = Method(name="show_group", at=Role.CELL, way=Way.NONE, is_for_people=True, is_read=True)

    id: str


@attrs.frozen(kw_only=True)
class DeleteGroup(Request[Done]):
    """Delete a group that has no servers."""

    METHOD = Method(name="delete_group", at=Role.CELL, way=Way.NONE, is_for_people=True)

    id: str
