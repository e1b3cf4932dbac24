"""What properties of the protocol draw from: cells, trees of cells, envelopes, plain data.  Few and small things."""

from typing import Any

import attrs
from hypothesis import strategies as st

from protocol.cell_path import Address, CellPath
from protocol.envelope import Broadcast, Context, Direction, Envelope, Key, Response, Targeted
from protocol.errors import CODES, Argument, CellferryError, ErrorReport, argument_types

NAMES = st.sampled_from(["a", "b", "0", "z9", "eu-1", "x._-", "n" * 63])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map(lambda names: CellPath(tuple(names)))
MAILBOXES = st.sampled_from(["cell", "host:h1", "replies:conductor:0", "from:api!eu", "0._-", "m" * 191])
ADDRESSES = st.builds(Address, PATHS, MAILBOXES)
TEXTS = st.text("ab\0\n\x7fä\u2028\U0001f6a2", max_size=8)
PRINTABLE = st.text("ab~ä\U0001f6a2 ", max_size=8)
NUMBERS = st.integers(0, 2**63 - 1)
SECONDS = st.floats(0, 1e6, allow_subnormal=False)
IDS = st.binary(min_size=16, max_size=16)
BODIES = st.binary(max_size=64)

KEYS = st.builds(Key.plain, st.text("ab:!/", min_size=1, max_size=9), NUMBERS) | st.builds(
    Key,
    scope=st.text("ab:09", min_size=1, max_size=9),
    attempt=NUMBERS,
    step=st.sampled_from(["copy_records", "spawn", "x.1-2"]),
    is_undo=st.booleans(),
)
CONTEXTS = st.builds(
    Context, request_id=PRINTABLE, user=PRINTABLE, project=PRINTABLE, is_admin=st.booleans(), trace_parent=PRINTABLE
)

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
    | st.binary(max_size=8)
)
PLAIN = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=3), inner, max_size=3)
)
#: What a later version might add behind the header; a reader gives arrays as tuples.
TRAILING = st.lists(SCALARS | st.lists(SCALARS, max_size=2).map(tuple), max_size=3).map(tuple)


@st.composite
def envelopes(draw: st.DrawFn) -> Envelope:
    """Draw an envelope of any kind."""
    source = draw(ADDRESSES)
    common: dict[str, Any] = {
        "id": draw(IDS),
        "method": draw(st.sampled_from(["CopyRecords", "servers.copy", "m"])),
        "context": draw(CONTEXTS),
        "source": source,
        "route": (source.cell, *draw(st.lists(PATHS, max_size=3))),
        "hops_max": draw(st.integers(1, 64)),
        "budget_s": draw(SECONDS),
        "server": draw(PRINTABLE),
        "key": draw(st.none() | KEYS),
        "epoch": draw(NUMBERS),
        "body": draw(BODIES),
        "trailing": draw(TRAILING),
    }
    if draw(st.booleans()):
        return Response(target=draw(ADDRESSES), answers=draw(IDS), is_error=draw(st.booleans()), **common)
    common["reply_to"] = draw(MAILBOXES)
    common["call"] = draw(st.booleans())
    if draw(st.booleans()):
        return Targeted(target=draw(ADDRESSES), **common)
    return Broadcast(direction=draw(st.sampled_from(Direction)), include_self=draw(st.booleans()), **common)


@attrs.frozen
class Tree:
    """A tree of cells; the order of `cells` is the configured one, each parent before its children."""

    cells: tuple[CellPath, ...]

    @property
    def root(self) -> CellPath:
        """The cell above all others."""
        return self.cells[0]

    def children(self, cell: CellPath) -> tuple[CellPath, ...]:
        """The cells directly below, in configured order."""
        return tuple(child for child in self.cells if child.parent == cell)

    def parent(self, cell: CellPath) -> CellPath | None:
        """The cell directly above, if any."""
        return cell.parent

    def neighbours(self, cell: CellPath) -> tuple[CellPath, ...]:
        """All cells that one edge joins with this one."""
        return tuple(other for other in self.cells if other.is_neighbour(cell))

    def side(self, cell: CellPath) -> tuple[CellPath, ...]:
        """The cell and all below it."""
        return tuple(other for other in self.cells if other == cell or cell.is_above(other))


@st.composite
def trees(draw: st.DrawFn, cells_max: int = 10) -> Tree:
    """Draw a tree of cells, whose configured order is not that of the names."""
    cells = [CellPath(("api",))]
    for number in range(draw(st.integers(0, cells_max - 1))):
        cells.append(draw(st.sampled_from(cells)).child(f"c{cells_max - number}"))
    return Tree(tuple(cells))


NOVA_TREE = Tree(
    tuple(
        CellPath.parse(text)
        for text in (
            "api", "api!child1", "api!child2", "api!child3", "api!child4",
            "api!child2!grand1", "api!child3!grand2", "api!child3!grand3",
        )
    )
)  # fmt: skip
"""The tree that Nova's own tests of its cells use."""

ARGUMENTS: dict[object, st.SearchStrategy[Argument]] = {
    str: TEXTS,
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    Argument: st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text("ab", max_size=4),
}


@st.composite
def errors(draw: st.DrawFn) -> CellferryError:
    """Draw an error of any declared class."""
    cls = CODES[draw(st.sampled_from(sorted(CODES)))]
    arguments = {name: draw(ARGUMENTS[wanted]) for name, wanted in argument_types(cls).items()}
    return cls(**arguments)


REPORTS = st.builds(
    ErrorReport,
    code=st.text("az_", min_size=1, max_size=12),
    message=PRINTABLE,
    arguments=st.dictionaries(st.text("az_", min_size=1, max_size=6), ARGUMENTS[Argument], max_size=3),
    is_retryable=st.booleans(),
    cell=PATHS.map(str),
    traceback=PRINTABLE,
)
