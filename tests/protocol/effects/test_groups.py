"""The root keeps hosts for servers of a group: for one each, from before it goes there until it has left for good."""

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.cell_path import CellPath
from protocol.errors import AlreadyExists, HostOfGroup, InvalidState, NotFound
from protocol.messages import groups as ask
from protocol.messages import root as say
from protocol.records import Flavor, GroupPlace, Mapping, ServerGroup
from protocol.requests import Request
from protocol.states import Goal
from tests.protocol.effects.ledger import Ledger

EU = CellPath.parse("api!eu")
GROUP = ServerGroup(id="g", name="web servers", project="p")
TINY = Flavor(name="tiny", vcpus=1, memory_mb=1, disk_gb=1)


def do(ledger: Ledger, *commands: Request[object]) -> None:
    for command in commands:
        ledger.do(command)


def take(server: str, goal: Goal, *, by: str = "c", group: str = "g") -> say.TakeServer:
    is_new = goal is Goal.CREATE
    return say.TakeServer(
        server=server, conversation=by, goal=goal, is_new=is_new, flavor=TINY if is_new else None, project="p",
        server_group=group if is_new else "",
    )  # fmt: skip


def place(server: str, host: str, *, by: str = "c") -> ask.TakePlace:
    return ask.TakePlace(server=server, server_group="g", host=host, conversation=by)


def leave(server: str, host: str, *, by: str = "c") -> ask.LeavePlace:
    return ask.LeavePlace(server=server, host=host, conversation=by)


def release(server: str, *, by: str = "c") -> say.ReleaseServer:
    return say.ReleaseServer(server=server, conversation=by)


def owe(server: str, host: str) -> say.OweServer:
    return say.OweServer(server=server, conversation="c", owed_at=f"api!eu/host:{host}")


def with_members(**hosts: str) -> Ledger:
    """Make a group with a member on each of these hosts."""
    ledger = Ledger(GROUP)
    for server, host in hosts.items():
        commit = say.CommitHome(server=server, conversation="c", source=None, target=EU, generation=0)
        do(ledger, take(server, Goal.CREATE), place(server, host), commit, release(server))
    return ledger


def kept(ledger: Ledger, server: str) -> set[str]:
    return {row.host for row in ledger.all(GroupPlace) if row.server == server}


# --- places --------------------------------------------------------------------------------------------------


def test_a_host_is_kept_for_one_member_and_the_other_hears_for_whom() -> None:
    """Whoever is first; asking again changes nothing; another group may be there."""
    ledger = with_members(a="h1")
    do(ledger, place("a", "h1"), place("a", "h1", by="d"))
    with pytest.raises(HostOfGroup, match="server a of its group g is there"):
        ledger.do(place("b", "h1"))
    do(ledger, place("b", "h2"), attrs.evolve(place("c", "h1"), server_group="other"))
    assert [kept(ledger, server) for server in "abc"] == [{"h1"}, {"h2"}, {"h1"}]


def test_an_undo_leaves_the_host_that_the_member_had_before() -> None:
    """A move that comes back to where its server is must not give that up; what another conversation keeps stays."""
    ledger = with_members(a="h1")
    do(ledger, place("a", "h1", by="move"), leave("a", "h1", by="move"))
    assert kept(ledger, "a") == {"h1"}
    do(ledger, place("a", "h2", by="move"), leave("a", "h2", by="other"), leave("b", "h2", by="move"))
    assert kept(ledger, "a") == {"h1", "h2"}
    do(ledger, leave("a", "h2", by="move"), leave("a", "h2", by="move"))
    assert kept(ledger, "a") == {"h1"}


@pytest.mark.parametrize("goal", [Goal.CREATE, Goal.RESIZE, Goal.MIGRATE])
def test_who_takes_a_member_to_place_it_hears_which_hosts_others_have(goal: Goal) -> None:
    """Not those of itself, nor of other groups."""
    ledger = with_members(a="h1", b="h2", c="h3")
    ledger.do(place("b", "h4"))
    ledger.do(attrs.evolve(place("x", "h5"), server_group="other"))
    server = "new" if goal is Goal.CREATE else "a"
    others = {"new": ("h1", "h2", "h3", "h4"), "a": ("h2", "h3", "h4")}
    taken = ledger.do(take(server, goal, by="m"))
    assert (taken.avoided, taken.mapping.server_group) == (others[server], "g")


def test_who_is_in_no_group_avoids_nothing_and_keeps_nothing() -> None:
    """Also when others are."""
    ledger = with_members(a="h1")
    assert ledger.do(take("free", Goal.CREATE, group="")).avoided == ()
    assert ledger.do(take("a", Goal.START)).avoided == ()


def test_a_place_goes_with_what_its_server_leaves_for_good() -> None:
    """The source's with a confirm, the target's with a revert, all with a delete and with a create that is undone."""
    for goal, left, stays in ((Goal.CONFIRM, "h1", "h2"), (Goal.REVERT, "h2", "h1")):
        ledger = with_members(a="h1", b="h3")
        do(ledger, take("a", Goal.RESIZE), place("a", "h2"), release("a"))
        do(ledger, take("a", goal), owe("a", left))
        assert (kept(ledger, "a"), kept(ledger, "b")) == ({stays}, {"h3"}), goal
        ledger.do(release("a"))
        assert kept(ledger, "a") == {stays}
    ledger = with_members(a="h1", b="h3")
    do(ledger, take("a", Goal.DELETE), say.ForgetHome(server="a", conversation="c"))
    assert kept(ledger, "a") == set()
    do(ledger, take("n", Goal.CREATE), place("n", "h4"), release("n"))
    assert (kept(ledger, "n"), kept(ledger, "b")) == (set(), {"h3"})


def test_the_only_host_of_a_server_is_never_left() -> None:
    """A move that has come back to its own host leaves nothing."""
    ledger = with_members(a="h1")
    do(ledger, take("a", Goal.CONFIRM), owe("a", "h1"))
    assert kept(ledger, "a") == {"h1"}


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("abc"), st.sampled_from(["h1", "h2"])), max_size=20))
def test_no_host_is_ever_kept_for_two(acts: list[tuple[bool, str, str]]) -> None:
    """Whoever takes and leaves in whatever order."""
    ledger = with_members()
    for is_taking, server, host in acts:
        before = next((row.server for row in ledger.all(GroupPlace) if row.host == host), None)
        try:
            ledger.do(place(server, host) if is_taking else leave(server, host))
        except HostOfGroup:
            assert before not in {None, server}
        hosts = [row.host for row in ledger.all(GroupPlace)]
        assert len(hosts) == len(set(hosts))


# --- groups --------------------------------------------------------------------------------------------------


def test_a_server_can_only_be_made_in_a_group_that_its_project_has() -> None:
    """Nothing is taken otherwise."""
    for ledger in (Ledger(), Ledger(attrs.evolve(GROUP, project="q"))):
        with pytest.raises(NotFound, match="there is no server group g"):
            ledger.do(take("a", Goal.CREATE))
        assert ledger.all(Mapping) == []


def test_groups_are_made_once_listed_by_page_and_shown_with_their_servers() -> None:
    """Names are unique within a project."""
    ledger = Ledger()
    ledger.do(ask.CreateGroup(group=GROUP))
    for again in (GROUP, attrs.evolve(GROUP, id="h"), attrs.evolve(GROUP, name="other")):
        with pytest.raises(AlreadyExists):
            ledger.do(ask.CreateGroup(group=again))
    theirs = ledger.do(ask.CreateGroup(group=attrs.evolve(GROUP, id="q", project="q")))
    first = ledger.do(ask.CreateGroup(group=attrs.evolve(GROUP, id="z", name="a")))
    assert ledger.do(ask.ListGroups()).groups == (GROUP, theirs, first)
    page = ledger.do(ask.ListGroups(limit=2))
    assert (page.groups, page.next_after) == ((GROUP, theirs), "q")
    assert ledger.do(ask.ListGroups(after="q", limit=2)) == ask.GroupList(groups=(first,))
    assert ledger.do(ask.ListGroups(name=GROUP.name)).groups == (GROUP, theirs)
    do(ledger, take("s", Goal.CREATE), place("s", "h1"), place("s", "h2"))
    members = ledger.do(ask.ShowGroup(id="g")).members
    assert [(member.server, member.hosts) for member in members] == [("s", ("h1", "h2"))]
    with pytest.raises(NotFound):
        ledger.do(ask.ShowGroup(id="none"))


def test_a_group_is_deleted_when_it_has_no_servers() -> None:
    """Those that it has are named."""
    ledger = with_members(a="h1")
    with pytest.raises(InvalidState, match="members is a, but must be none"):
        ledger.do(ask.DeleteGroup(id="g"))
    do(ledger, take("a", Goal.DELETE), say.ForgetHome(server="a", conversation="c"), release("a"))
    ledger.do(ask.DeleteGroup(id="g"))
    assert ledger.all(ServerGroup) == []
