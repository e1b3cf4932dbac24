"""Messages between the cells of a live tree: what is asked, what goes wrong meanwhile, and what came of each."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import anyio
import attrs
from hypothesis import strategies as st

from protocol.cell_path import Address
from protocol.errors import CellferryError
from protocol.messages.capacity import FindRoom
from protocol.messages.servers import ReadServer
from sim.cases.layout import Layout
from sim.faults import MEANINGS, Family, Fault, FaultKind
from tests.properties.live import Live
from tests.properties.strategies import faults
from tests.strategies import Tree, trees

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

    from protocol.cell_path import CellPath

#: What can go wrong between cells, without anybody dying.
KINDS: Final = tuple(
    kind for kind, meaning in MEANINGS.items() if meaning.family in {Family.MESSAGE, Family.LINK, Family.BROKER}
)
CELLS_MAX: Final = 6
ASKED_MAX: Final = 5
FAULTS_MAX: Final = 4
MINUTES: Final = 0.5
BUDGET_S: Final = 10.0
#: Cells that are not in the tree are asked for, too.
STRANGER: Final = "nowhere"
ROOM: Final = FindRoom(vcpus=1, memory_mb=1, disk_gb=1)


@attrs.frozen(kw_only=True)
class Question:
    """What one cell asks another (of a gather: all below it), at a time."""

    form: str  # call, cast or gather.
    source: CellPath
    target: CellPath
    at_s: float

    @property
    def is_downward(self) -> bool:
        """Whether the target is where such requests may go."""
        return self.source == self.target or self.source.is_above(self.target)


@attrs.frozen(kw_only=True)
class Talk:
    """A tree, what is asked in it, and what goes wrong meanwhile."""

    tree: Tree
    questions: tuple[Question, ...]
    plan: tuple[Fault, ...]
    seed: int

    @property
    def layout(self) -> Layout:
        """The cloud, with a host in its last cell."""
        return Layout(cells=self.tree.cells, hosts={"h1": self.tree.cells[-1]})


@attrs.define
class Said:
    """What came of a question."""

    question: Question
    took_s: float = -1.0
    error: str = ""
    answers: list[tuple[CellPath, bool]] = attrs.field(factory=list)  # Of a gather: who answered, and whether by error.
    ends: int = 0


@st.composite
def talks(draw: DrawFn, kinds: tuple[FaultKind, ...] = KINDS) -> Talk:
    """Draw a talk."""
    tree = draw(trees(cells_max=CELLS_MAX).filter(lambda tree: len(tree.cells) > 1))
    layout = Layout(cells=tree.cells, hosts={"h1": tree.cells[-1]})
    asked = st.builds(
        Question,
        form=st.sampled_from(["call", "gather", "cast"]),
        source=st.sampled_from(tree.cells),
        target=st.sampled_from((*tree.cells, tree.root.child(STRANGER))),
        at_s=st.sampled_from([0.0, 1.0, 10.0]),
    )
    wanted = draw(st.integers(0, FAULTS_MAX)) if kinds else 0
    plan = [draw(faults(layout, minutes=MINUTES, number=number, kinds=kinds)) for number in range(1, wanted + 1)]
    questions = draw(st.lists(asked, min_size=1, max_size=ASKED_MAX))
    return Talk(tree=tree, questions=tuple(questions), plan=tuple(plan), seed=draw(st.integers(0, 9)))


def hold(talk: Talk) -> tuple[list[Said], list[str]]:
    """Hold a talk to its end; give what came of each question, and what promises did not hold."""
    live = Live(talk.layout, seed=talk.seed)
    said = [Said(question) for question in talk.questions]
    try:
        for fault in talk.plan:
            live.do(partial(live.stage.add, fault))
        for each in said:
            live.loop.spawn(_ask(live, each))
        live.pass_time(MINUTES * 60.0)
        live.rest()
        return said, [*(f"{each.invariant}: {each.text}" for each in live.breaches), *live.failures]
    finally:
        live.close()


async def _ask(live: Live, said: Said) -> None:
    question = said.question
    await anyio.sleep(question.at_s)
    begun_s = live.loop.time()
    post = live.stage.posts[question.source]
    address = Address(question.target, "cell")
    try:
        if question.form == "gather":
            gathered = await post.gather(ROOM, budget_s=BUDGET_S)
            said.answers = [(answer.cell, answer.is_error) for answer in gathered.answers]
        elif question.form == "cast":
            await post.cast(address, ReadServer(server="nobody"))
        else:
            await post.call(address, ReadServer(server="nobody"), budget_s=BUDGET_S)
    except CellferryError as error:
        said.error = error.code
    said.ends += 1
    said.took_s = live.loop.time() - begun_s
