"""No bytes pass on the inner level, so what would change on its way as bytes must not be there in the first place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, get_args

import pytest

from protocol.bodies import decode_body, encode_body
from protocol.errors import Argument, report
from sim.cases.case import Case
from sim.cases.workload import Act, Op
from sim.inner.conductor import Conductor
from sim.inner.running import run_case

if TYPE_CHECKING:
    from sim.inner.conversing import Asking
    from sim.inner.memory import Reply
    from sim.inner.messages import Question

ACTS: Final = (
    Act.START, Act.STOP, Act.STOP, Act.START, Act.RESIZE, Act.RESIZE, Act.CONFIRM, Act.MIGRATE, Act.STOP, Act.REVERT,
    Act.ATTACH, Act.SWAP, Act.SWAP, Act.DETACH,
)  # fmt: skip
VOLUMES: Final = {10: "v2", 11: "v2", 12: "v3", 13: "v2"}
REPLACEMENTS: Final = {11: "v3", 12: "v2"}
#: Each after the other; some are refused, for the server is not in the state for it.
OPS: Final = tuple(
    Op(name=f"{number}", act=act, server="s1", volume=VOLUMES.get(number, ""), replacement=REPLACEMENTS.get(number, ""),
       after=f"{number - 1}" if number else "")
    for number, act in enumerate(ACTS)
)  # fmt: skip
AT_ONCE: Final = Op(name="at once", act=Act.MIGRATE, server="s1")
CREATE: Final = Op(name="create", act=Act.CREATE, server="s1", host="h1")
CASE: Final = Case(seed=1, cells=4, hosts=3, minutes=20.0, setup=(CREATE,), ops=(*OPS, AT_ONCE))


def test_what_is_asked_and_answered_reads_back_as_exactly_what_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values that only equal what is declared (a state where a text is) read back as something else."""
    said: list[Any] = []
    ask, take = Conductor._ask, Conductor.take  # noqa: SLF001  the only place where every request passes

    def noting_ask(conductor: Conductor, asking: Asking) -> Question:
        said.append(asking.request)
        return ask(conductor, asking)

    def noting_take(conductor: Conductor, question: Question, reply: Reply) -> None:
        said.append(reply.value)
        take(conductor, question, reply)

    monkeypatch.setattr(Conductor, "_ask", noting_ask)
    monkeypatch.setattr(Conductor, "take", noting_take)
    assert run_case(CASE).breaches == ()
    assert len(said) > len(ACTS)
    assert [each for each in said if repr(decode_body(encode_body(each), type(each))) != repr(each)] == []


def test_what_a_refusal_tells_is_made_of_scalars(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error's arguments are what a wire can carry, before it carries them."""
    told: list[object] = []

    def noting(error: Any, *, cell: str) -> Any:
        found = report(error, cell=cell)
        told.extend(found.arguments.values())
        return found

    monkeypatch.setattr("sim.inner.coding.report", noting)
    run_case(CASE)
    assert {"active", "migrate"} <= set(told), "a start of what runs is refused, and who comes second"
    assert [each for each in told if type(each) not in get_args(Argument)] == []
