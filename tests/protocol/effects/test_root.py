"""The root decides who has a server, where its home is and who may run it: one at a time, and by number."""

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.cell_path import CellPath
from protocol.draft import Changes
from protocol.effects.news import news
from protocol.errors import AlreadyExists, Conflict, NotFound, PermitRefused
from protocol.messages import root as say
from protocol.records import Flavor, HostMapping, Mapping, Permit, RequestSpec
from protocol.requests import Done
from protocol.states import Goal
from tests.protocol.effects.ledger import MOMENT, Ledger

EU, US = CellPath.parse("api!eu"), CellPath.parse("api!us")
HOME = Mapping(server="s1", cell="api!eu", generation=3)
SPEC = RequestSpec(server="s1", flavor=Flavor(name="tiny", vcpus=1, memory_mb=1, disk_gb=1))


def take(conversation: str, *, is_new: bool = False) -> say.TakeServer:
    return say.TakeServer(server="s1", conversation=conversation, goal=Goal.RESIZE, is_new=is_new)


def release(conversation: str) -> say.ReleaseServer:
    return say.ReleaseServer(server="s1", conversation=conversation)


def commit(conversation: str, *, source: CellPath | None = EU, generation: int = 3) -> say.CommitHome:
    return say.CommitHome(server="s1", conversation=conversation, source=source, target=US, generation=generation)


# --- the mapping -------------------------------------------------------------------------------------------


def owing() -> Ledger:
    ledger = Ledger(HOME)
    ledger.do(attrs.evolve(take("a"), goal=Goal.CONFIRM))
    ledger.do(say.OweServer(server="s1", conversation="a", owed_at="api!us/host:h9"))
    return ledger


#: What takes a server to another host.
MOVING = (Goal.RESIZE, Goal.MIGRATE, Goal.LIVE_MIGRATE)


def test_a_server_that_is_owed_for_is_free_for_all_but_moves_and_repairs_which_hear_what_is_owed_and_where() -> None:
    """The conflict names the debt, the actor that it waits for, and what helps when that never comes back."""
    for goal in Goal:
        if goal not in {*MOVING, Goal.CREATE, Goal.REPAIR}:
            assert owing().do(attrs.evolve(take("b"), goal=goal)).mapping.conversation == "b"
    for goal in (*MOVING, Goal.REPAIR):
        with pytest.raises(Conflict, match=r"what its confirm a has left at api!us/host:h9.*fence its host"):
            owing().do(attrs.evolve(take("b"), goal=goal))


def test_what_is_owed_is_released_without_letting_go_of_whoever_has_the_server_by_then() -> None:
    """Each clears its own only, in either order; and only who has a server can owe for it."""
    for first, second in ("ab", "ba"):
        ledger = owing()
        ledger.do(attrs.evolve(take("b"), goal=Goal.START))
        with pytest.raises(Conflict):
            ledger.do(say.OweServer(server="s1", conversation="a", owed_at="api!us/host:h9"))
        ledger.do(release(first))
        left = ledger.all(Mapping)[0]
        assert (left.debt, left.conversation) == ((None, "b") if first == "a" else ("a", None))
        ledger.do(release(second))
        assert ledger.all(Mapping)[0] == HOME


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("abc")), max_size=12))
def test_one_conversation_at_a_time_has_a_server(steps: list[tuple[bool, str]]) -> None:
    """Whoever asks while another has it is refused; only who has it can let it go."""
    ledger, has = Ledger(HOME), None
    for is_take, who in steps:
        if not is_take:
            ledger.do(release(who))
            has = None if has == who else has
        elif has in {None, who}:
            assert ledger.do(take(who)).mapping.conversation == who
            has = who
        else:
            with pytest.raises(Conflict, match=has):
                ledger.do(take(who))
        assert ledger.all(Mapping)[0].conversation == has


def test_a_taken_server_comes_with_its_permit_and_spec() -> None:
    """So that the conversation knows how the root had it."""
    permit = Permit(server="s1", number=2, holder="h1")
    taken = Ledger(HOME, permit, SPEC).do(take("a"))
    assert (taken.permit, taken.spec, taken.mapping.goal) == (permit, SPEC, Goal.RESIZE)


def test_a_new_server_is_taken_by_its_creator_only() -> None:
    """Its name is free, or it is this very create that asks again; a server that is not there cannot be taken."""
    ledger = Ledger()
    with pytest.raises(NotFound):
        ledger.do(take("a"))
    assert ledger.do(take("a", is_new=True)).mapping.generation == 0
    assert ledger.do(take("a", is_new=True)).mapping.cell is None
    with pytest.raises(AlreadyExists):
        ledger.do(take("b", is_new=True))
    with pytest.raises(Conflict):
        ledger.do(take("b"))


@pytest.mark.parametrize("has_permit", [True, False])
def test_a_server_that_never_got_a_home_goes_away_when_it_is_let_go(*, has_permit: bool) -> None:
    """With the permit that was issued for it, if there is one; letting go twice is harmless."""
    ledger = Ledger()
    ledger.do(take("a", is_new=True))
    if has_permit:
        ledger.do(say.IssuePermit(server="s1", holder="h1"))
    for _ in range(2):
        assert ledger.do(release("a")) == Done()
    assert ledger.rows == {}


def test_a_home_is_moved_by_who_has_the_server_and_knows_where_it_is() -> None:
    """Each of the three must be right; then the cell is another and the generation the next."""
    ledger = Ledger(attrs.evolve(HOME, conversation="a"))
    for wrong in (commit("b"), commit("a", source=US), commit("a", source=None), commit("a", generation=2)):
        with pytest.raises(Conflict, match="its mapping is"):
            ledger.do(wrong)
    assert ledger.do(commit("a")) == attrs.evolve(HOME, conversation="a", cell="api!us", generation=4)
    with pytest.raises(Conflict):
        ledger.do(commit("a"))
    with pytest.raises(NotFound):
        Ledger().do(commit("a"))


def test_a_home_is_found_once_there_is_one() -> None:
    """A server that is being made has none yet."""
    assert Ledger(HOME).do(say.FindHome(server="s1")).mapping == HOME
    for ledger in (Ledger(), Ledger(attrs.evolve(HOME, cell=None))):
        with pytest.raises(NotFound):
            ledger.do(say.FindHome(server="s1"))


# --- permits -----------------------------------------------------------------------------------------------

ASKED = st.tuples(st.sampled_from(["issue", "return", "restore", "withdraw"]), st.sampled_from(["h1", "h2"]))


@given(st.lists(ASKED, max_size=15))
def test_no_two_ever_hold_a_permit_and_numbers_only_rise(asked: list[tuple[str, str]]) -> None:
    """Whatever is asked in whatever order: a new number needs that nobody held the last."""
    ledger, holder, number = Ledger(), None, 0
    for what, who in asked:
        try:
            permit = ledger.do(_permit(what, who, number))
        except (PermitRefused, NotFound):
            found = ledger.all(Permit)
            assert [(row.number, row.holder) for row in found] == ([(number, holder)] if found else [])
            continue
        if permit.holder is not None and permit.holder != holder:
            assert (holder, permit.number) == (None, number + 1), "given while another had it, or under a used number"
        assert permit.number >= number
        holder, number = permit.holder, permit.number


def _permit(
    what: str, who: str, number: int
) -> "say.IssuePermit | say.ReturnPermit | say.RestorePermit | say.WithdrawPermit":
    match what:
        case "issue":
            return say.IssuePermit(server="s1", holder=who)
        case "return":
            return say.ReturnPermit(server="s1", number=number, holder=who)
        case "restore":
            return say.RestorePermit(server="s1", holder=who)
        case _:
            return say.WithdrawPermit(server="s1", holder=who)


def test_a_permit_is_returned_by_who_holds_that_very_number() -> None:
    """Neither another host nor an old number returns it."""
    ledger = Ledger(Permit(server="s1", number=2, holder="h1"))
    for number, holder in ((1, "h1"), (2, "h2"), (3, "h1")):
        with pytest.raises(PermitRefused):
            ledger.do(say.ReturnPermit(server="s1", number=number, holder=holder))
    assert ledger.do(say.ReturnPermit(server="s1", number=2, holder="h1")).holder is None


def test_a_return_is_undone_by_the_next_number_unless_it_never_was() -> None:
    """Who still holds it keeps its number; who gave it back gets the next; another's is not taken away."""
    held = Permit(server="s1", number=2, holder="h1")
    restore = say.RestorePermit(server="s1", holder="h1")
    assert Ledger(held).do(restore) == held
    assert Ledger(attrs.evolve(held, holder=None)).do(restore) == attrs.evolve(held, number=3)
    with pytest.raises(PermitRefused, match="held by h2"):
        Ledger(attrs.evolve(held, holder="h2")).do(restore)


def test_an_issue_is_withdrawn_from_its_holder_only() -> None:
    """What was never issued is withdrawn in name; another's permit stays."""
    held = Permit(server="s1", number=2, holder="h1")
    withdraw = say.WithdrawPermit(server="s1", holder="h1")
    assert Ledger(held).do(withdraw).holder is None
    assert Ledger(attrs.evolve(held, holder="h2")).do(withdraw).holder == "h2"
    assert Ledger().do(withdraw) == Permit(server="s1", number=0, holder=None)


# --- specs, hosts, mirror ----------------------------------------------------------------------------------


def test_a_spec_is_noted_and_removed() -> None:
    """None removes it; removing what is not there is no error."""
    ledger = Ledger()
    ledger.do(say.SaveSpec(server="s1", spec=SPEC))
    assert ledger.all(RequestSpec) == [SPEC]
    for _ in range(2):
        ledger.do(say.SaveSpec(server="s1", spec=None))
    assert ledger.rows == {}


def test_a_host_has_one_cell() -> None:
    """It may announce itself again, and not in another cell."""
    ledger = Ledger()
    for _ in range(2):
        ledger.do(say.RegisterHost(host="h1", cell=EU))
    with pytest.raises(AlreadyExists, match="api!eu"):
        ledger.do(say.RegisterHost(host="h1", cell=US))
    assert ledger.do(say.ListHosts()).hosts == (HostMapping(host="h1", cell="api!eu"),)


def test_no_change_is_no_news() -> None:
    """Only servers and hosts are told of; the rest of it is proved where they are told."""
    assert news(Changes(puts=(SPEC,), drops=(HOME,)), MOMENT) == ()


@pytest.mark.parametrize("what", ["moved", "soft_deleted"])
def test_what_waits_is_listed_when_it_has_waited_for_so_long_and_nobody_has_it(what: str) -> None:
    """The oldest first; by the root's own clock, and to the very microsecond."""
    is_move = what == "moved"
    request = say.ListWaitingMoves if is_move else say.ListSoftDeleted

    def waiting(since_us: int, *, server: str = HOME.server, is_due: bool = True) -> Mapping:
        home = attrs.evolve(HOME, server=server, project="p")
        if is_move:
            return attrs.evolve(home, is_moved=is_due, moved_at_us=since_us)
        return attrs.evolve(home, is_soft_deleted=is_due, soft_deleted_at_us=since_us)

    ledger = Ledger(
        waiting(100),
        waiting(50, server="older"),
        attrs.evolve(waiting(100, server="taken"), conversation="a"),
        waiting(100, server="at home", is_due=False),
    )

    def listed(now_us: int) -> list[tuple[str, int]]:
        found = ledger.do(request(for_us=10), attrs.evolve(MOMENT, now_us=now_us))
        assert {due.project for due in found.servers} <= {"p"}
        return [(due.server, due.since_us) for due in found.servers]

    assert listed(59) == []
    assert listed(109) == [("older", 50)]
    assert listed(110) == [("older", 50), ("s1", 100)]


def test_a_server_is_reclaimed_only_after_the_very_soft_delete_that_it_is_about() -> None:
    """Neither one that was restored, nor one that was softly deleted again since; others are no soft delete's."""
    ledger = Ledger(HOME)
    reclaim = attrs.evolve(take("a"), goal=Goal.DELETE, soft_deleted_at_us=7)
    for notes in ((), ((7, True), (8, False)), ((7, True), (9, True))):
        for now_us, is_soft_deleted in notes:
            note = say.NoteSoftDelete(server="s1", is_soft_deleted=is_soft_deleted)
            ledger.do(note, attrs.evolve(MOMENT, now_us=now_us))
        with pytest.raises(Conflict, match="it was restored meanwhile"):
            ledger.do(reclaim)
    assert ledger.do(attrs.evolve(reclaim, soft_deleted_at_us=9)).mapping.conversation == "a"


def test_a_repair_may_have_a_server_that_is_gone_and_leaves_what_it_was_not_told_to_remove() -> None:
    """It keeps everybody else from its id for so long; its permit is left over, and goes only when that is said."""
    ledger = Ledger(Permit(server="s1", number=7, holder=None))
    assert ledger.do(attrs.evolve(take("a"), goal=Goal.REPAIR)).mapping.cell is None
    with pytest.raises(AlreadyExists):
        ledger.do(attrs.evolve(take("b"), goal=Goal.CREATE, is_new=True))
    ledger.do(release("a"))
    assert (ledger.all(Mapping), len(ledger.all(Permit))) == ([], 1)
