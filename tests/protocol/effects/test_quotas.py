"""Quotas: a server counts once, from its create on until it has no home; while a move is open, for the larger size."""

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.cell_path import CellPath
from protocol.errors import InvalidValue, QuotaExceeded
from protocol.messages import quotas as ask
from protocol.messages import root as say
from protocol.records import Flavor, Mapping, RequestSpec
from protocol.requests import Request
from protocol.states import Goal
from tests.protocol.effects.ledger import Ledger

EU, US = CellPath.parse("api!eu"), CellPath.parse("api!us")
SMALL = Flavor(name="small", vcpus=1, memory_mb=512, disk_gb=1)
BIG = Flavor(name="big", vcpus=4, memory_mb=2048, disk_gb=1)


def limit(**limits: int) -> Ledger:
    ledger = Ledger()
    ledger.do(ask.SetQuota(project="p", **{"servers": None, "vcpus": None, "memory_mb": None, **limits}))
    return ledger


def use(ledger: Ledger, project: str = "p") -> tuple[int, int, int]:
    found = ledger.do(ask.ShowQuota(project=project))
    return found.servers, found.vcpus, found.memory_mb


def take(server: str, goal: Goal, flavor: Flavor | None = None, *, by: str = "c") -> say.TakeServer:
    is_new = goal is Goal.CREATE
    return say.TakeServer(
        server=server, conversation=by, goal=goal, is_new=is_new, flavor=flavor, project="p" if is_new else ""
    )


def spec(server: str, flavor: Flavor) -> say.SaveSpec:
    return say.SaveSpec(server=server, spec=RequestSpec(server=server, flavor=flavor))


def release(server: str = "s") -> say.ReleaseServer:
    return say.ReleaseServer(server=server, conversation="c")


def do(ledger: Ledger, *commands: Request[object]) -> None:
    for command in commands:
        ledger.do(command)


def created(ledger: Ledger, server: str = "s", flavor: Flavor = SMALL) -> None:
    do(
        ledger,
        take(server, Goal.CREATE, flavor),
        say.CommitHome(server=server, conversation="c", source=None, target=EU, generation=0),
        spec(server, flavor),
        release(server),
    )


def resized(ledger: Ledger, flavor: Flavor, *, server: str = "s") -> None:
    do(ledger, take(server, Goal.RESIZE, flavor), spec(server, flavor), release(server))


def owe() -> say.OweServer:
    return say.OweServer(server="s", conversation="c", owed_at="api!eu/host:h1")


# --- creating and deleting -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "resource", "used"),
    [({"servers": 1}, "servers", 1), ({"vcpus": 1}, "vcpus", 1), ({"memory_mb": 1023}, "memory_mb", 512)],
)
def test_a_server_more_than_there_may_be_is_refused_by_what_is_used_up(
    limits: dict[str, int], resource: str, used: int
) -> None:
    """The error names project, resource, use, limit and the way out; and what was refused counts for nothing."""
    ledger = limit(**limits)
    created(ledger)
    with pytest.raises(QuotaExceeded, match=r"cellferry quota set p") as refused:
        ledger.do(take("other", Goal.CREATE, SMALL))
    assert (refused.value.resource, refused.value.used, refused.value.limit) == (resource, used, *limits.values())
    assert use(ledger) == (1, 1, 512)


def test_a_server_counts_from_when_it_is_taken_and_once_however_often_that_is_asked() -> None:
    """Two creates at the same moment cannot both have the last place; the winner may ask again."""
    ledger = limit(servers=1)
    do(ledger, take("s", Goal.CREATE, SMALL), take("s", Goal.CREATE, SMALL))
    with pytest.raises(QuotaExceeded):
        ledger.do(take("other", Goal.CREATE, SMALL))
    assert use(ledger) == (1, 1, 512)


def test_a_server_that_never_came_to_be_and_one_that_was_deleted_count_for_nothing() -> None:
    """The undo of a create gives its place back, and so does a delete, as soon as the server has no home."""
    ledger = limit(servers=1)
    do(ledger, take("s", Goal.CREATE, SMALL), release())
    assert use(ledger) == (0, 0, 0)
    created(ledger)
    do(ledger, take("s", Goal.DELETE), say.ForgetHome(server="s", conversation="c"))
    assert use(ledger) == (0, 0, 0)
    created(ledger, "next")


def test_a_project_without_limits_and_other_projects_do_not_matter() -> None:
    """What one project uses takes nothing from another, and none is limited that nobody has limited."""
    ledger = limit(servers=1)
    created(ledger)
    for number in range(3):
        ledger.do(attrs.evolve(take(f"s{number}", Goal.CREATE, BIG), project="q"))
    assert use(ledger) == (1, 1, 512)
    assert use(ledger, "q") == (3, 12, 3 * 2048)


def test_a_limit_below_nothing_is_refused_and_one_below_what_is_used_only_stops_what_needs_more() -> None:
    """A server may still become smaller, and go, when an operator has lowered the limit."""
    for name in ("servers", "vcpus", "memory_mb"):
        with pytest.raises(InvalidValue, match=name):
            limit(**{name: -1})
    ledger = limit()
    created(ledger, flavor=BIG)
    ledger.do(ask.SetQuota(project="p", servers=0, vcpus=1, memory_mb=0))
    ledger.do(take("s", Goal.RESIZE, SMALL))


# --- moves ---------------------------------------------------------------------------------------------------


def test_a_resize_up_is_refused_by_the_difference() -> None:
    """What the server has already is not asked for again."""
    ledger = limit(vcpus=4, memory_mb=2047)
    created(ledger)
    with pytest.raises(QuotaExceeded) as refused:
        ledger.do(take("s", Goal.RESIZE, BIG))
    assert (refused.value.resource, refused.value.used, refused.value.wanted) == ("memory_mb", 512, 1536)
    ledger.do(ask.SetQuota(project="p", servers=1, vcpus=4, memory_mb=2048))
    ledger.do(take("s", Goal.RESIZE, BIG))
    assert use(ledger) == (1, 4, 2048)


@pytest.mark.parametrize(("before", "after"), [(SMALL, BIG), (BIG, SMALL)])
def test_the_larger_size_counts_until_a_move_is_confirmed_reverted_or_undone(before: Flavor, after: Flavor) -> None:
    """So that a revert is never refused for quota; then what the server is, again."""
    ledger = limit(vcpus=4)
    created(ledger, flavor=before)
    do(ledger, take("s", Goal.RESIZE, after), release())
    assert use(ledger) == (1, before.vcpus, before.memory_mb), "a failed resize"
    resized(ledger, after)
    assert use(ledger) == (1, 4, 2048)
    do(ledger, take("s", Goal.REVERT), spec("s", before), owe(), release())
    assert use(ledger) == (1, before.vcpus, before.memory_mb), "reverted"
    resized(ledger, after)
    do(ledger, take("s", Goal.CONFIRM), owe(), release())
    assert use(ledger) == (1, after.vcpus, after.memory_mb), "confirmed"


def test_what_fails_while_a_move_waits_changes_nothing_of_what_counts() -> None:
    """A revert or a confirm that is given up, and a resize that its cell will refuse."""
    ledger = limit()
    created(ledger)
    resized(ledger, BIG)
    huge = attrs.evolve(BIG, vcpus=64)
    for refused in (take("s", Goal.REVERT), take("s", Goal.CONFIRM), take("s", Goal.RESIZE, huge)):
        do(ledger, refused, release())
        assert use(ledger) == (1, 4, 2048), refused.goal
        (mapping,) = ledger.all(Mapping)
        assert mapping.is_moved, refused.goal


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["create", "delete", "up", "down"])), max_size=20))
def test_no_project_ever_has_more_than_it_may(acts: list[tuple[str, str]]) -> None:
    """Whatever is asked in whatever order: two servers, five processors."""
    ledger, made = limit(servers=2, vcpus=5), set[str]()
    for server, act in acts:
        try:
            if act == "create" and server not in made:
                created(ledger, server)
                made.add(server)
            elif act == "delete" and server in made:
                forget = say.ForgetHome(server=server, conversation="c")
                do(ledger, take(server, Goal.DELETE), forget, release(server))
                made.remove(server)
            elif server in made:
                resized(ledger, BIG if act == "up" else SMALL, server=server)
                do(ledger, take(server, Goal.CONFIRM), attrs.evolve(owe(), server=server), release(server))
        except QuotaExceeded:
            pass
        servers, vcpus, _ = use(ledger)
        assert (servers, vcpus <= 5) == (len(made), True)
