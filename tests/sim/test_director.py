"""Faults that befall processes, one in the midst of another."""

from __future__ import annotations

import pytest

from sim.cases.case import Case
from sim.cases.workload import Act, Op
from sim.faults import Fault, FaultKind
from sim.running import run_case

USURPED_AT_S = 2.0


@pytest.mark.parametrize("later_s", [0.0, 0.001, 0.003, 0.006, 0.01])
def test_a_second_conductor_that_is_killed_as_it_comes_up_ends_nothing_but_itself(later_s: float) -> None:
    """It is started again like any other; the move that both had is carried out once."""
    case = Case(
        seed=1, cells=3, hosts=2, minutes=1.0,
        setup=(Op(name="o1", act=Act.CREATE, server="s1", host="h1"),),
        ops=(Op(name="o2", act=Act.MIGRATE, server="s1"),),
        faults=(
            Fault(kind=FaultKind.USURP, name="f1", at_s=USURPED_AT_S, for_s=10.0),
            Fault(kind=FaultKind.CRASH_ALL, name="f2", at_s=USURPED_AT_S + later_s, for_s=1.0),
        ),
    )  # fmt: skip
    outcome = run_case(case).outcome
    assert outcome.breaches == ()
    assert outcome.fired[FaultKind.USURP] == 1
    assert outcome.moves == 1
