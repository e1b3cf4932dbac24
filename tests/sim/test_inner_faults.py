"""Everything that can go wrong on the inner level does, matters, and is survived; and the checkers would see if not."""

from __future__ import annotations

from typing import Any, Final

import attrs
import pytest

from actors.kernel.ports import Fresh
from protocol import saga
from protocol.bodies import decode_body
from protocol.journal import Ending, Kind
from sim.cases.case import Case, Outcome
from sim.cases.swarm import case_of
from sim.cases.workload import Act, Op
from sim.faults import Fault, FaultKind
from sim.history import Crashed, Journaled, Looked, Noted
from sim.inner.conversing import Run
from sim.inner.memory import Memory
from sim.inner.running import run_case

SETUP: Final = (Op(name="create", act=Act.CREATE, server="s1", host="h1", volume="v1"),)
OPS: Final = (
    Op(name="resize", act=Act.RESIZE, server="s1"),
    Op(name="confirm", act=Act.CONFIRM, server="s1", after="resize"),
    Op(name="migrate", act=Act.MIGRATE, server="s1", after="confirm", at_s=1.0),
    Op(name="revert", act=Act.REVERT, server="s1", after="migrate", at_s=1.0),
)
CONDUCTOR: Final = "api/conductor"
HOST: Final = "api!c1/host:h1"
FOREVER: Final[dict[str, Any]] = {"times": 0, "chance": 0.2}

#: Of each kind one fault that matters to these operations.
FAULTS: Final = {
    FaultKind.LOSE: {"point": "begin_move"},
    FaultKind.DOUBLE: {"point": "copy_server"},
    FaultKind.DOUBLE_LATE: {"point": "copy_server", "amount_s": 40.0},
    FaultKind.DELAY: {"point": "copy_server", "amount_s": 40.0},
    FaultKind.REORDER: {"where": CONDUCTOR, "amount_s": 35.0, "point": "copy_server"},
    FaultKind.CONFIRM_LOST: {"point": "copy_server"},
    FaultKind.CUT: {"where": "api/link", "other": "api!c2/link", "for_s": 60.0},
    FaultKind.CUT_ONE_WAY: {"where": "api!c2/link", "other": "api/link", "for_s": 3.0},
    FaultKind.CRASH: {"where": CONDUCTOR, "at_s": 0.1, "for_s": 3.0},
    FaultKind.CRASH_AT: {"where": CONDUCTOR, "point": "spawn_target/do/after_effect", "for_s": 3.0},
    FaultKind.CRASH_ALL: {"at_s": 2.0, "for_s": 3.0},
    FaultKind.PAUSE: {"where": HOST, "at_s": 0.1, "for_s": 20.0},
    FaultKind.PAUSE_AT: {"where": "", "point": "stop_guest/do/before_send", "for_s": 20.0},
    FaultKind.USURP: {"where": CONDUCTOR, "at_s": 1.0, "for_s": 6.0},
    FaultKind.STORE_ERROR: {"where": CONDUCTOR, "skip": 20},
    FaultKind.STORE_UNSURE: {"where": CONDUCTOR, "skip": 20},
    FaultKind.STORE_FULL: {"where": CONDUCTOR, "for_s": 10.0, "times": 0},
    FaultKind.FSYNC_LOST: {"where": CONDUCTOR, "skip": 20},
    FaultKind.DRIVER_REFUSES: {"point": "spawn"},
    FaultKind.DRIVER_DIRTY: {"point": "spawn"},
    FaultKind.DRIVER_SLOW: {"point": "spawn", "amount_s": 40.0},
    FaultKind.GUEST_DIES: {"where": HOST, "at_s": 0.2},
    FaultKind.PARTNER_REFUSES: {"where": "image", "point": "write"},
    FaultKind.PARTNER_UNSURE: {"where": "image", "point": "write"},
    FaultKind.PARTNER_SLOW: {"where": "image", "point": "write", "amount_s": 40.0},
}


def case(*faults: Fault, seed: int = 1) -> Case:
    """Make a case of four moves, one of each kind, with these faults."""
    return Case(seed=seed, cells=4, hosts=3, minutes=5.0, setup=SETUP, ops=OPS, faults=faults)


def fault(kind: FaultKind) -> Fault:
    """Make the fault of that kind."""
    fields: Any = FAULTS[kind]
    return Fault(kind=kind, name="f", **fields)


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_of_each_kind_fires_and_matters_and_every_move_ends_well_or_undone(kind: FaultKind) -> None:
    """Its probe is hit, no oracle has anything to say, and as many moves end as were asked for."""
    outcome = run_case(case(fault(kind)))
    assert outcome.mattered.get(kind, 0) >= 1
    assert outcome.probes[f"fault:{kind}"] >= 1
    assert outcome.breaches == ()
    assert outcome.moves >= 2


def test_the_same_case_is_the_same_run_and_another_seed_is_another() -> None:
    """The hash of all that happened says so, faults and chances included."""
    plan = [Fault(kind=FaultKind.LOSE, name="f", **FOREVER), fault(FaultKind.CRASH)]
    first, again, other = run_case(case(*plan)), run_case(case(*plan)), run_case(case(*plan, seed=2))
    assert first == again
    assert first.trace_sha256 != other.trace_sha256


def test_a_fault_that_never_strikes_changes_nothing() -> None:
    """Chances are keyed by what they are about: with such a fault taken away every other decision stays what it was."""
    plan = [Fault(kind=FaultKind.LOSE, name="f", **FOREVER), fault(FaultKind.CRASH)]
    idle = Fault(kind=FaultKind.DOUBLE, name="idle", where="nowhere")
    assert run_case(case(*plan)).trace_sha256 == run_case(case(*plan, idle)).trace_sha256


def test_without_faults_nothing_is_asked_twice_and_nobody_falls() -> None:
    """A healthy run has only fresh commands, no crash, and nothing that a conductor notes but that it is there."""
    lines: list[object] = []
    outcome = run_case(case(), listeners=(lambda line: lines.append(line.what),))
    assert outcome.moves == len(OPS)
    assert {line.verdict for line in lines if isinstance(line, Looked)} == {"fresh"}
    assert not [line for line in lines if isinstance(line, Crashed)]
    assert [line.event for line in lines if isinstance(line, Noted)] == ["leases_watched"]


def test_a_crash_point_kills_the_very_process_each_time_that_it_is_passed_but_no_other() -> None:
    """With `times` open, each undo or step of that name costs the host one life."""
    struck = Fault(kind=FaultKind.CRASH_AT, name="f", where=HOST, point="stop_guest/do/before_send", for_s=1.0, times=0)
    killed: list[str] = []

    def listen(line: Any) -> None:
        if isinstance(line.what, Crashed):
            killed.append(line.what.process)

    run_case(case(struck), listeners=(listen,))
    assert killed == [HOST, HOST], "a resize and a migration stop a guest; a revert's stop has another name"


def endings(outcome_of: Case) -> list[bool]:
    """Run a case, and tell of each conversation whether it ended well."""
    ended: list[bool] = []

    def listen(line: Any) -> None:
        if isinstance(line.what, Journaled) and line.what.entry.kind is Kind.END:
            ended.append(decode_body(line.what.entry.payload, Ending).is_success)

    outcome = run_case(outcome_of, listeners=(listen,))
    assert outcome.breaches == ()
    return ended


@pytest.mark.parametrize("kind", [FaultKind.PAUSE, FaultKind.CRASH])
def test_who_stands_still_or_is_down_for_ever_goes_on_when_everything_is_healed(kind: FaultKind) -> None:
    """The moves of a conductor that is away for the whole of the faults end when it is back; patience may have not."""
    away = Fault(kind=kind, name="f", where=CONDUCTOR, at_s=0.1)
    assert len(endings(case(away))) == 1 + len(OPS)


def test_what_a_host_refuses_after_the_settling_step_is_asked_again() -> None:
    """A confirm only goes forward: a hypervisor that refuses twice does not end it."""
    refusing = Fault(kind=FaultKind.DRIVER_REFUSES, name="f", point="destroy", times=2)
    assert endings(case(refusing)) == [True] * 5


def test_a_guest_whose_host_dies_right_behind_its_spawn_is_found_as_it_was_left() -> None:
    """The disk that is there was made from the right image, so the spawn that is done again is no stranger's."""
    stop = Op(name="stop", act=Act.STOP, server="s1", at_s=0.0)
    ops = (stop, *(attrs.evolve(op, after=op.after or "stop") for op in OPS))
    dies = Fault(kind=FaultKind.CRASH_AT, name="f", point="driver/spawn/after", for_s=1.0)
    assert endings(attrs.evolve(case(dies), ops=ops)) == [True] * 6


def test_a_conductor_that_dies_between_intent_and_command_writes_no_intent_twice() -> None:
    """Whoever goes on finds the intent, and sends the command that it announces."""
    dies = Fault(
        kind=FaultKind.CRASH_AT, name="f", where=CONDUCTOR, point="copy_records/do/before_send", for_s=1.0, times=0
    )
    intents: list[tuple[str, str, int, bool]] = []

    def listen(line: Any) -> None:
        if isinstance(line.what, Journaled) and line.what.entry.kind is Kind.INTENT:
            entry = line.what.entry
            intents.append((line.what.conversation, entry.step, entry.attempt, entry.is_undo))

    assert run_case(case(dies), listeners=(listen,)).fired[FaultKind.CRASH_AT] == 2
    assert len(intents) == len(dict.fromkeys(intents))


@pytest.mark.parametrize("seed", [2251, 3218])
def test_a_case_that_once_left_something_behind_or_was_accused_of_it_is_clean(seed: int) -> None:
    """In the one an actor remembered too much at rest; in the other a permit came back and nobody heard of it."""
    found = case_of(seed)
    faults = tuple(each for each in found.faults if each.kind is not FaultKind.GUEST_DIES)
    assert run_case(attrs.evolve(found, faults=faults)).breaches == ()


# --- the checkers see what is planted ----------------------------------------------------------------------


def found(*faults: Fault) -> list[str]:
    """Name the promises that are broken, in the order in which that is seen."""
    outcome: Outcome = run_case(case(*faults))
    return [breach.invariant for breach in outcome.breaches]


def test_an_inbox_that_forgets_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands that are carried out twice break the oracle named for it."""
    monkeypatch.setattr(Memory, "look", lambda _memory, _command: Fresh(undoes_nothing=False))
    doubled = Fault(kind=FaultKind.DOUBLE, name="f", times=0, point="mark_cross_cell")
    assert found(doubled)[0] == "carried_once"


def test_undoing_only_what_is_done_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step whose outcome is unknown must be undone too: a planner that skips it leaves something behind."""
    honest = saga.next_command

    def forgetful(plan: saga.Plan, journal: Any) -> saga.Decision:
        decision = honest(plan, journal)
        refusals = [entry for entry in journal.entries if entry.kind == "refused"]
        if isinstance(decision, saga.Send) and decision.is_undo and refusals[-1].step == decision.step.name:
            kept = [entry for entry in journal.entries if entry.step != decision.step.name or entry is refusals[-1]]
            return honest(plan, attrs.evolve(journal, entries=tuple(kept)))
        return decision

    monkeypatch.setattr("sim.inner.conversing.next_command", forgetful)
    assert "undo_whole" in found(Fault(kind=FaultKind.DRIVER_DIRTY, name="f", point="spawn"))


def test_a_command_sent_before_its_intent_is_durable_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A conductor that skips the write is caught at the first command."""
    honest = Run._write  # noqa: SLF001  the bug is planted at this very place

    def skipping(run: Run, entry: Any) -> Any:
        if entry.kind == "intent" and entry.step == "copy_records":
            return
        yield from honest(run, entry)

    monkeypatch.setattr(Run, "_write", skipping)
    assert found()[0] == "intent_first"
