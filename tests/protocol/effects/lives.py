"""Lives of a server over two cells: what each cell tells of it, and orders in which that reaches the root."""

from __future__ import annotations

from typing import Final, NamedTuple

import attrs
from hypothesis import strategies as st

from protocol.draft import Changes, News
from protocol.effects.news import news
from protocol.effects.resize import COPY_VERSIONS
from protocol.records import VERSIONS_MAX, BlockDevice, Fault, Flavor, Mapping, Server
from protocol.states import VmState
from tests.protocol.effects.ledger import MOMENT

EU, US = "api!eu", "api!us"
HOME: Final = Mapping(server="s1", cell=EU, generation=1)
SERVER: Final = Server(
    uuid="s1", name="web", project="p", user="u", flavor=Flavor(name="f", vcpus=1, memory_mb=1, disk_gb=1),
    vm_state=VmState.ACTIVE, version=1, created_at_us=0, updated_at_us=0,
)  # fmt: skip
DEVICE: Final = BlockDevice(id="d1", server="s1", volume="v1", attachment="a1", device="/dev/vdb")
FAULT: Final = Fault(id="f1", server="s1", code="c", message="m", created_at_us=1)


@attrs.define
class Cell:
    """One cell's record of the server, and the news of every change of it."""

    path: str
    told: list[News]
    server: Server | None = None
    parts: dict[str, BlockDevice | Fault] = attrs.field(factory=dict)

    def write(self, server: Server, parts: dict[str, BlockDevice | Fault]) -> None:
        """Write the record, and tell what differs."""
        puts = [row for name, row in parts.items() if self.parts.get(name) != row]
        drops = [row for name, row in self.parts.items() if name not in parts]
        self._tell(Changes(puts=(server, *puts), drops=tuple(drops)))
        self.server, self.parts = server, dict(parts)

    def change(self, **parts: BlockDevice | Fault | None) -> None:
        """Raise the version, with these parts written or taken away."""
        assert self.server is not None
        after = {**self.parts, **parts}
        version = self.server.version + 1
        self.write(attrs.evolve(self.server, version=version), {n: row for n, row in after.items() if row is not None})

    def destroy(self) -> None:
        """Drop the record."""
        assert self.server is not None
        self._tell(Changes(drops=(self.server, *self.parts.values())))
        self.server, self.parts = None, {}

    def _tell(self, changes: Changes) -> None:
        self.told.extend(news(changes, attrs.evolve(MOMENT, cell=self.path)))


@attrs.define
class Story:
    """A server's life over two cells: what each cell tells, and how often its home is moved."""

    told: list[News] = attrs.field(factory=list)
    commits: list[tuple[str, str]] = attrs.field(factory=list)
    serial: int = 0
    cells: dict[str, Cell] = attrs.field(init=False)
    home: Cell = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Begin in one of the cells."""
        self.cells = {path: Cell(path, self.told) for path in (EU, US)}
        self.home = self.cells[EU]
        self.home.write(SERVER, {})

    @property
    def other(self) -> Cell:
        """The cell that is not its home."""
        return self.cells[US if self.home.path == EU else EU]

    def do(self, act: str) -> None:
        """Carry out one act of its life."""
        self.serial += 1
        name = f"p{self.serial}"
        match act:
            case "change":
                self.home.change()
            case "attach":
                self.home.change(**{name: attrs.evolve(DEVICE, id=name, volume=name)})
            case "detach":
                kept = [row.id for row in self.home.parts.values() if isinstance(row, BlockDevice)]
                self.home.change(**dict.fromkeys(kept[:1]))
            case "fault":
                self.home.change(**{name: attrs.evolve(FAULT, id=name, created_at_us=self.serial)})
            case "try":
                self._copy()
                self.other.change()
                self.other.change(**{name: attrs.evolve(DEVICE, id=name, volume=name)})
                self.other.destroy()
            case _:
                self._move()

    def _copy(self) -> None:
        server = self.home.server
        assert server is not None
        marked = attrs.evolve(server, version=server.version + COPY_VERSIONS)
        self.home.write(marked, self.home.parts)
        generation = server.generation + 1
        copied_at = generation * VERSIONS_MAX + marked.version
        copy = attrs.evolve(marked, is_hidden=True, generation=generation, copied_at=copied_at)
        self.other.write(copy, self.home.parts)

    def _move(self) -> None:
        self._copy()
        source, target = self.home, self.other
        target.change()
        self.commits.append((source.path, target.path))
        self.home = target
        target.change()
        source.destroy()


ACTS: Final = st.lists(st.sampled_from(["change", "attach", "detach", "fault", "try", "move"]), max_size=9)
Event = News | tuple[str, str]


class Life(NamedTuple):
    """What happened in the cells, and the order in which the root hears of it."""

    story: Story
    events: list[Event]

    def __repr__(self) -> str:
        """Write it so that a person can read it."""
        said = (
            f"{type(each.request).__name__}@{each.rank}" if isinstance(each, News) else each for each in self.events
        )
        return f"Life({', '.join(map(str, said))})"


@st.composite
def deliveries(draw: st.DrawFn) -> Life:
    """A life, and an order in which all that was told of it reaches the root, twice, between its commits."""
    story = Story()
    for act in draw(ACTS):
        story.do(act)
    events: list[Event] = list(draw(st.permutations(story.told * 2)))
    places = sorted(draw(st.lists(st.integers(0, len(events)), min_size=(n := len(story.commits)), max_size=n)))
    for number, (place, commit) in enumerate(zip(places, story.commits, strict=True)):
        events.insert(place + number, commit)
    return Life(story, events)
