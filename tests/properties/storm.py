"""A storm over a live tree: broadcasts once a second while frames are lost, doubled, late and overtaken, and cells die.

What a gather may say of a cell is judged on what the simulator saw: when each message of the gather was sent and when
somebody got it, and who died or stood still meanwhile.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import anyio
import attrs
from hypothesis import strategies as st

from actors.kernel.post import Stamp
from protocol.errors import CallTimeout, CellTimeout, Unreachable, revive
from protocol.errors_wire import decode_error
from protocol.gather import CellAnswer
from protocol.messages.capacity import FindRoom
from sim.cases.layout import REPLICA, Layout
from sim.faults import Fault, FaultKind
from sim.history import Crashed, Handed, Paused, Resumed, Sent, Started
from tests.properties.live import Live
from tests.strategies import Tree, trees

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

    from protocol.cell_path import CellPath
    from sim.history import Line

ROOM: Final = FindRoom(vcpus=1, memory_mb=1, disk_gb=1)
CELLS_MAX: Final = 9
SECONDS: Final = 12
TIMES_S: Final = (0.0, 2.0, 4.0, 7.0)
BUDGET_S: Final = 4.0
NS_PER_S: Final = 1_000_000_000
#: A message that nothing befalls is there long before.
SLOW_S: Final = 0.05
#: What a message is counted with when it never arrived.
NEVER: Final = float("inf")
#: The weather of the whole storm, anywhere: loss 10 %, duplicates 30 %, delay, reorder.
WEATHER: Final = (
    Fault(kind=FaultKind.LOSE, name="lose", chance=0.1, times=0),
    Fault(kind=FaultKind.DOUBLE, name="double", chance=0.2, times=0),
    Fault(kind=FaultKind.DOUBLE_LATE, name="double-late", chance=0.1, times=0, amount_s=2.0),
    Fault(kind=FaultKind.DELAY, name="delay", chance=0.05, times=0, amount_s=1.5),
    Fault(kind=FaultKind.REORDER, name="reorder", chance=0.1, times=0, amount_s=0.3),
)


@attrs.frozen(kw_only=True)
class Storm:
    """A tree, and what befalls its processes beside the weather."""

    tree: Tree
    replicas: int
    troubles: tuple[Fault, ...]  # Cells that die, and cells that are mute.
    seed: int

    @property
    def layout(self) -> Layout:
        """The cloud, with a host in its last cell."""
        return Layout(cells=self.tree.cells, hosts={"h1": self.tree.cells[-1]}, cell_replicas=self.replicas)


@attrs.define
class Asked:
    """A gather of a storm, and what came of it."""

    name: str
    begun_ns: int = 0
    took_s: float = NEVER
    answers: tuple[CellAnswer, ...] | None = None  # None: nobody answered in time.


@st.composite
def storms(draw: DrawFn) -> Storm:
    """Draw a storm."""
    tree = draw(trees(cells_max=CELLS_MAX).filter(lambda tree: len(tree.cells) > 1))
    replicas = draw(st.sampled_from((1, 1, 2)))
    layout = Layout(cells=tree.cells, hosts={}, cell_replicas=replicas)
    process = st.sampled_from((*layout.replicas("link"), *layout.replicas("cell")))
    troubles = [
        Fault(
            kind=draw(st.sampled_from((FaultKind.CRASH, FaultKind.PAUSE))), name=f"trouble-{number}",
            where=draw(process), at_s=draw(st.sampled_from(TIMES_S)), for_s=draw(st.sampled_from((0.5, 3.0, 9.0))),
        )
        for number in range(draw(st.integers(0, 4)))
    ]  # fmt: skip
    return Storm(tree=tree, replicas=replicas, troubles=tuple(troubles), seed=draw(st.integers(0, 99)))


def ride(storm: Storm) -> tuple[list[Asked], list[Line], list[str]]:
    """Ask once a second through a storm, then once in fine weather; give what was asked, seen, and did not hold."""
    live = Live(storm.layout, seed=storm.seed)
    asked = [Asked(name=f"probe-{number}") for number in range(SECONDS + 1)]
    try:
        for fault in (*WEATHER, *storm.troubles):
            live.do(partial(live.stage.add, fault))
        for each in asked[:-1]:
            live.loop.spawn(_ask(live, each))
            live.pass_time(1.0)
        live.pass_time(2 * BUDGET_S)
        live.rest()
        live.settle(_ask(live, asked[-1]))
        lines = list(live.stage.history.lines)
        return asked, lines, [*(f"{each.invariant}: {each.text}" for each in live.breaches), *live.failures]
    finally:
        live.close()


async def _ask(live: Live, asked: Asked) -> None:
    post = live.stage.posts[live.stage.layout.root]
    asked.begun_ns, begun_s = live.stage.history.now_ns(), anyio.current_time()
    try:
        # The name goes with every message of the gather, so that all of them are known by it.
        gathered = await post.gather(ROOM, budget_s=BUDGET_S, stamp=Stamp(server=asked.name))
    except CallTimeout:
        pass
    else:
        asked.answers = gathered.answers
    asked.took_s = anyio.current_time() - begun_s


class Seen:
    """What the simulator saw of the messages of gathers, and of processes."""

    def __init__(self, lines: list[Line]) -> None:
        #: By gather and queue: frames with whose messages, and when they were sent.
        self._sent: dict[tuple[str, str], dict[tuple[int, str], int]] = {}
        self._handed: dict[int, int] = {}  # By frame: when first.
        self._away: list[tuple[str, int, int]] = []  # Who was down or stood still, from when, until when.
        since: dict[str, int] = {}
        for line in lines:
            what = line.what
            if isinstance(what, Sent):
                for note in what.notes:
                    about = self._sent.setdefault((note.server, what.queue), {})
                    about.setdefault((what.frame, note.source), line.at_ns)
            elif isinstance(what, Handed):
                self._handed.setdefault(what.frame, line.at_ns)
            elif isinstance(what, Crashed | Paused):
                since.setdefault(what.process, line.at_ns)
            elif isinstance(what, Started | Resumed) and what.process in since:
                self._away.append((what.process, since.pop(what.process), line.at_ns))

    def is_disturbed(self, asked: Asked, parent: CellPath | None, cell: CellPath) -> bool:
        """Tell whether anything befell what the two said to each other for a gather, or to their own actors.

        Without a parent: what the cell's link and whoever asked there said to each other.
        """
        ends = [cell] if parent is None else [cell, parent]
        processes = {f"{end}/{role}" for end in ends for role in ("cell", "link")}
        until_ns = asked.begun_ns + int(2 * BUDGET_S * NS_PER_S)
        if any(
            process.partition(REPLICA)[0] in processes and begun < until_ns and ended + NS_PER_S > asked.begun_ns
            for process, begun, ended in self._away
        ):
            return True
        return any(late_s > SLOW_S for late_s in self._late(asked.name, parent, cell))

    def _late(self, name: str, parent: CellPath | None, cell: CellPath) -> list[float]:
        """Tell how long each message between the two took, and each between the cell's link and its own actor."""
        found: list[float] = []
        link, actor = f"{cell}/link", f"{cell}/cell"
        for (server, queue), frames in self._sent.items():
            if server != name:
                continue
            for (frame, source), sent_ns in frames.items():
                at_parent = parent is not None and (
                    queue in {f"{parent}/from:{cell}", f"{cell}/from:{parent}"}
                    or (queue.startswith(f"{parent}/replies:link:") and source == link)
                    or (queue == link and source == link)
                )
                by_asker = parent is None and (queue == link or ":visitor:" in queue)
                inside = queue == actor or (queue.startswith(f"{cell}/replies:link:") and source == actor)
                if at_parent or by_asker or inside:
                    handed_ns = self._handed.get(frame)
                    found.append(NEVER if handed_ns is None else (handed_ns - sent_ns) / NS_PER_S)
        return found


def wrongly_named(asked: Asked, seen: Seen, root: CellPath) -> list[str]:
    """Name the cells that a gather says are unreachable or late, and that nothing has befallen."""
    found = []
    if asked.answers is None and not seen.is_disturbed(asked, None, root):
        found.append(f"{asked.name} is not answered, and nothing befell it")
    for answer in asked.answers or ():
        if not answer.is_error:
            continue
        error = revive(decode_error(answer.body))
        if not isinstance(error, CellTimeout | Unreachable) or error.arguments["cell"] != str(answer.cell):
            found.append(f"{answer.cell} answers with {error!r}")
        elif not seen.is_disturbed(asked, answer.cell.parent, answer.cell):
            found.append(f"{answer.cell} is named in {asked.name} ({error}), and nothing befell it")
    return found
