"""A draft gives the rows that were declared, and tells exactly what was changed."""

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.draft import Changes, Draft, need
from protocol.errors import NotFound
from protocol.ids import derived_id
from protocol.records import Allocation, Claim, HostMapping

ROWS = st.lists(
    st.builds(HostMapping, host=st.sampled_from("abc"), cell=st.sampled_from(["api", "api!eu"])),
    unique_by=lambda row: row.host,
)
STEPS = st.lists(st.tuples(st.booleans(), st.sampled_from("abcd"), st.sampled_from(["api", "api!eu"])), max_size=8)


@given(rows=ROWS, steps=STEPS)
def test_changes_are_the_difference_and_nothing_more(
    rows: list[HostMapping], steps: list[tuple[bool, str, str]]
) -> None:
    """Applied to what was read they give what the draft shows; a row put back as it was is no change."""
    draft = Draft(tuple(rows), (need(HostMapping),))
    for is_put, host, cell in steps:
        row = HostMapping(host=host, cell=cell)
        if is_put:
            assert draft.put(row) is row
        else:
            draft.drop(row)
    changes = draft.changes()
    before = {row.key: row for row in rows}
    after = {row.key: row for row in draft.all(HostMapping)}
    applied = {key: row for key, row in before.items() if row not in changes.drops}
    applied.update({row.key: row for row in changes.puts if isinstance(row, HostMapping)})
    assert applied == after
    assert all(before.get(row.key) != row for row in changes.puts)
    assert list(after) == sorted(after)


def test_rows_that_were_not_declared_cannot_be_read() -> None:
    """A store would not have loaded them: it is our mistake, and not an empty answer."""
    draft = Draft((), (need(Allocation, server="s1"),))
    assert draft.all(Allocation, server="s1", host="h1") == ()
    for where in ({}, {"server": "s2"}, {"host": "h1"}):
        with pytest.raises(AssertionError, match="not declared"):
            draft.all(Allocation, **where)
    with pytest.raises(AssertionError, match="not declared"):
        draft.all(Claim, server="s1")


def test_a_single_row_is_one_or_none() -> None:
    """Two are our mistake; none is None, or `NotFound` where one must be."""
    row = Claim(server="s1", host="h1")
    draft = Draft((row, attrs.evolve(row, host="h2")), (need(Claim),))
    assert draft.find(Claim, server="s1", host="h1") is row
    assert draft.find(Claim, server="s2") is None
    with pytest.raises(AssertionError, match="not one row"):
        draft.find(Claim, server="s1")
    with pytest.raises(NotFound) as caught:
        draft.one(Claim, server="s9", host="h1")
    assert (caught.value.kind, caught.value.name) == ("claim", "s9/h1")


def test_nothing_done_is_no_change() -> None:
    """A drop of what is not there, too."""
    draft = Draft((), (need(Claim),))
    draft.drop(Claim(server="s1", host="h1"))
    assert draft.changes() == Changes()


@given(st.lists(st.text(max_size=3), min_size=1, max_size=3), st.lists(st.text(max_size=3), min_size=1, max_size=3))
def test_an_id_follows_from_its_parts(one: list[str], other: list[str]) -> None:
    """Equal parts give one id, others another, each in the form of a UUID."""
    clean = [[part.replace("\x1f", "") for part in parts] for parts in (one, other)]
    first, second = (derived_id(*parts) for parts in clean)
    assert (first == second) is (clean[0] == clean[1])
    assert [len(part) for part in first.split("-")] == [8, 4, 4, 4, 12]
