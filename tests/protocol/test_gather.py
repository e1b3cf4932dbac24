"""A gather represents each cell exactly once, or under the one neighbour that hides it; whatever neighbours do."""

from contextlib import suppress
from enum import Enum, auto

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.cell_path import CellPath
from protocol.envelope import Direction
from protocol.errors import CellferryError, CellTimeout, InvalidName, Malformed, TooLarge, Unreachable, report, revive
from protocol.errors_wire import decode_error, encode_error
from protocol.gather import ANSWERS_MAX, CellAnswer, Gather, decode_answers, encode_answers
from protocol.routing import next_hops
from tests.strategies import NOVA_TREE, PATHS, PLAIN, Tree, trees

ROOT, EU, US = CellPath.parse("api"), CellPath.parse("api!eu"), CellPath.parse("api!us")
EU_1, EU_2 = EU.child("eu-1"), EU.child("eu-2")
ANSWERS = st.lists(st.builds(CellAnswer, cell=PATHS, body=st.binary(max_size=8), is_error=st.booleans()), max_size=4)


class Conduct(Enum):
    """What a cell does when its neighbour asks it."""

    ANSWERS = auto()
    DOUBLES = auto()
    IS_SILENT = auto()
    IS_LATE = auto()
    FAILS = auto()
    LIES = auto()


HONEST = {Conduct.ANSWERS, Conduct.DOUBLES}


def reply(cell: CellPath) -> CellAnswer:
    """What a cell answers for itself."""
    return CellAnswer(cell=cell, body=b"of " + str(cell).encode(), is_error=False)


def error_of(answer: CellAnswer) -> CellferryError:
    """Read an answer that is an error."""
    assert answer.is_error
    return revive(decode_error(answer.body))


def unreachable(cell: CellPath) -> bytes:
    """Write the error of a neighbour that cannot be sent to."""
    return encode_error(report(Unreachable(cell=str(cell), reason="gone"), cell="api"))


class Play:
    """One broadcast over a tree, whose cells conduct themselves as drawn."""

    def __init__(self, tree: Tree, direction: Direction, data: st.DataObject) -> None:
        self.tree, self.direction, self.data = tree, direction, data
        self.conducts: dict[CellPath, Conduct] = {cell: data.draw(st.sampled_from(Conduct)) for cell in tree.cells}

    def ahead(self, route: tuple[CellPath, ...]) -> tuple[CellPath, ...]:
        """The neighbours that the broadcast goes on to."""
        here = route[-1]
        return next_hops(
            here=here,
            direction=self.direction,
            route=route,
            hops_max=64,
            parent=self.tree.parent(here),
            children=self.tree.children(here),
        )

    def gather(self, route: tuple[CellPath, ...], *, own: bool = True) -> tuple[CellAnswer, ...]:
        """Gather at one hop and, over the wire, at those beyond it; neighbours answer in any order."""
        here, ahead = route[-1], self.ahead(route)
        waiting = Gather.begin(ahead, own=own, here=here)
        if own:
            waiting = waiting.own(reply(here))
        for neighbour in self.data.draw(st.permutations(ahead)):
            waiting = self.ask(waiting, neighbour, route)
        waiting = waiting.overdue(1.5)
        for neighbour in ahead:
            if self.conducts[neighbour] is Conduct.IS_LATE:
                late = waiting.arrive(neighbour, self.gather((*route, neighbour)))
                assert (late.accepted, late.merged()) == (False, waiting.merged())
        assert waiting.is_complete
        return decode_answers(encode_answers(waiting.merged()))

    def ask(self, waiting: Gather, neighbour: CellPath, route: tuple[CellPath, ...]) -> Gather:
        """Have one neighbour do what it does."""
        conduct: Conduct = self.conducts[neighbour]
        match conduct:
            case Conduct.FAILS:
                return waiting.fail(neighbour, unreachable(neighbour))
            case Conduct.LIES:
                lied = waiting.arrive(neighbour, (reply(route[-1]), reply(neighbour)))
                assert not lied.accepted
                return lied
            case Conduct.ANSWERS:
                return waiting.arrive(neighbour, self.gather((*route, neighbour)))
            case Conduct.DOUBLES:
                answers = self.gather((*route, neighbour))
                once = waiting.arrive(neighbour, answers)
                assert once.accepted
                twice = once.arrive(neighbour, answers)
                assert not twice.accepted
                return twice
            case Conduct.IS_SILENT | Conduct.IS_LATE:
                return waiting

    def expected(self, route: tuple[CellPath, ...], *, own: bool = True) -> list[tuple[CellPath, bool]]:
        """Say, in plain recursion, which cells are listed in which order, and which of them as errors."""
        listed: list[tuple[CellPath, bool]] = []
        for neighbour in self.ahead(route):
            if self.conducts[neighbour] in HONEST:
                listed += self.expected((*route, neighbour))
            else:
                listed.append((neighbour, True))
        return [*listed, (route[-1], False)] if own else listed


@pytest.mark.proves("Q4", "Q8", "Q10")
@given(tree=trees(8), data=st.data(), direction=st.sampled_from(Direction), own=st.booleans())
def test_each_cell_is_listed_once_or_under_the_neighbour_that_hides_it(
    tree: Tree, data: st.DataObject, direction: Direction, own: bool
) -> None:
    """On any tree, with neighbours that are silent, late, failing, lying or answer twice; in configured order."""
    source = data.draw(st.sampled_from(tree.cells))
    play = Play(tree, direction, data)
    answers = play.gather((source,), own=own)
    assert [(answer.cell, answer.is_error) for answer in answers] == play.expected((source,), own=own)
    listed = [answer.cell for answer in answers]
    assert len(set(listed)) == len(listed)
    for answer in answers:
        assert answer.is_error or answer == reply(answer.cell)
        if answer.is_error and play.conducts[answer.cell] in {Conduct.IS_SILENT, Conduct.IS_LATE}:
            error = error_of(answer)
            assert isinstance(error, CellTimeout)
            assert (error.cell, error.waited_s) == (str(answer.cell), 1.5)


def everybody_answers(tree: Tree, here: CellPath) -> tuple[CellAnswer, ...]:
    """Gather down a tree whose cells all answer, the last child first."""
    children = tree.children(here)
    waiting = Gather.begin(children, own=True, here=here).own(reply(here))
    for child in reversed(children):
        waiting = waiting.arrive(child, everybody_answers(tree, child))
    return waiting.merged()


@pytest.mark.proves("Q24")
@given(tree=trees())
def test_the_deepest_come_first_and_the_source_last(tree: Tree) -> None:
    """Each cell comes behind all cells below it, each side in one piece, children as configured (R86)."""
    listed = [answer.cell for answer in everybody_answers(tree, tree.root)]
    assert sorted(listed) == sorted(tree.cells)
    for cell in tree.cells:
        side = tree.side(cell)
        end = listed.index(cell) + 1
        assert set(listed[end - len(side) : end]) == set(side)
        places = [listed.index(child) for child in tree.children(cell)]
        assert places == sorted(places)


@pytest.mark.proves("R22", "Q24")
def test_nova_s_tree_answers_in_nova_s_order() -> None:
    """Eight answers (R22), the source's last."""
    listed = [str(answer.cell) for answer in everybody_answers(NOVA_TREE, NOVA_TREE.root)]
    assert listed == [
        "api!child1", "api!child2!grand1", "api!child2", "api!child3!grand2", "api!child3!grand3", "api!child3",
        "api!child4", "api",
    ]  # fmt: skip


@pytest.mark.proves("Q14")
def test_a_leaf_that_is_not_asked_itself_answers_with_nothing() -> None:
    """A source may opt out; with no neighbours there is nothing to wait for (Q14)."""
    waiting = Gather.begin((), own=False, here=EU)
    assert waiting.is_complete
    assert waiting.merged() == ()


def test_a_gather_is_complete_when_all_have_answered_and_the_own_cell_too() -> None:
    """What is missing is told, neighbours first."""
    waiting = Gather.begin((EU, US), own=True, here=ROOT)
    assert waiting.missing == (EU, US, ROOT)
    waiting = waiting.arrive(US, (reply(US),)).own(reply(ROOT))
    assert (waiting.missing, waiting.is_complete, waiting.accepted) == ((EU,), False, True)
    waiting = waiting.fail(EU, unreachable(EU))
    assert waiting.is_complete
    assert [answer.cell for answer in waiting.merged()] == [EU, US, ROOT]
    assert isinstance(error_of(waiting.merged()[0]), Unreachable)


def test_all_that_is_missing_is_overdue_at_once() -> None:
    """Each silent neighbour gets a time-out of its own, and so does a slow own run."""
    overdue = Gather.begin((EU, US), own=True, here=ROOT).overdue(2.0)
    errors = [error_of(answer) for answer in overdue.merged()]
    assert [error.arguments for error in errors] == [{"cell": str(cell), "waited_s": 2.0} for cell in (EU, US, ROOT)]


def test_a_slow_own_run_is_overdue_like_a_neighbour() -> None:
    """One answer per cell: the time-out stands, and the own answer that comes later is dropped."""
    overdue = Gather.begin((), own=True, here=ROOT).overdue(2.0)
    assert isinstance(error_of(overdue.merged()[0]), CellTimeout)
    late = overdue.own(reply(ROOT))
    assert (late.accepted, late.merged()) == (False, overdue.merged())


def test_what_was_not_asked_for_is_dropped() -> None:
    """An answer of a neighbour that was not asked, or of the own cell that opted out, counts for nothing."""
    waiting = Gather.begin((EU,), own=False, here=ROOT)
    for dropped in (
        waiting.arrive(US, (reply(US),)),
        waiting.fail(US, unreachable(US)),
        waiting.own(reply(ROOT)),
    ):  # fmt: skip
        assert not dropped.accepted
        assert dropped.missing == (EU,)
    assert waiting.own(reply(ROOT)).arrive(EU, (reply(EU),)).accepted


@pytest.mark.parametrize(
    "answers",
    [
        (),
        (reply(EU_1),),
        (reply(EU), reply(EU_1)),
        (reply(US), reply(EU)),
        (reply(ROOT), reply(EU)),
        (reply(EU_1), reply(EU_1), reply(EU)),
        (reply(EU), reply(EU)),
    ],
)
def test_a_list_that_a_neighbour_may_not_give_is_replaced_by_one_error(answers: tuple[CellAnswer, ...]) -> None:
    """It must end in the neighbour's own answer, and name no cell twice nor one that is not behind it."""
    given_up = Gather.begin((EU, US), own=False, here=ROOT).arrive(EU, answers)
    assert (given_up.accepted, given_up.missing) == (False, (US,))
    [instead, _] = given_up.arrive(US, (reply(US),)).merged()
    error = error_of(instead)
    assert instead.cell == EU
    assert isinstance(error, Malformed)
    assert error.remote_cell == "api"


def test_upwards_only_cells_above_are_behind_a_parent() -> None:
    """A parent answers for those above it; not for the asker's siblings, nor for the asker."""
    waiting = Gather.begin((EU,), own=False, here=EU_1)
    assert waiting.arrive(EU, (reply(ROOT), reply(EU))).accepted
    for wrong in (EU_1, EU_2, US):
        assert not waiting.arrive(EU, (reply(wrong), reply(EU))).accepted


def test_a_gather_does_not_change() -> None:
    """Each step gives a new one; the old one can be kept and compared."""
    begun = Gather.begin((EU,), own=False, here=ROOT)
    assert begun.arrive(EU, (reply(EU),)).is_complete
    assert begun == Gather.begin((EU,), own=False, here=ROOT)


# --- the list on the wire ----------------------------------------------------------------------------------


@pytest.mark.proves("R99")
@given(answers=ANSWERS.map(tuple))
def test_a_list_of_answers_is_read_as_it_was_written(answers: tuple[CellAnswer, ...]) -> None:
    """Cells, bodies and errors survive the wire in their order."""
    assert decode_answers(encode_answers(answers)) == answers


@given(data=st.binary(max_size=40) | PLAIN.map(msgpack.packb))
def test_bytes_that_are_no_list_of_answers_are_refused(data: bytes) -> None:
    """Garbage is refused by name, or is the one list that needs no answer."""
    with suppress(Malformed, TooLarge, InvalidName):
        assert decode_answers(data) == ()


@pytest.mark.parametrize(
    "row", [None, {}, [], ["api", b""], ["api", b"", 0], ["api", "", True], [b"api", b"", True], ["A", b"", True]]
)
def test_an_answer_that_breaks_a_rule_is_refused(row: object) -> None:
    """Each answer is a cell, bytes and whether they are an error."""
    with pytest.raises((Malformed, InvalidName)):
        decode_answers(msgpack.packb([["api", b"", True], row]))


def test_more_answers_than_the_limit_are_refused() -> None:
    """By writer and reader; and the limit can be reached."""
    most = (reply(ROOT),) * ANSWERS_MAX
    assert decode_answers(encode_answers(most)) == most
    with pytest.raises(TooLarge):
        encode_answers((*most, reply(ROOT)))
    with pytest.raises(TooLarge):
        decode_answers(msgpack.packb([["api", b"", True]] * (ANSWERS_MAX + 1)))
