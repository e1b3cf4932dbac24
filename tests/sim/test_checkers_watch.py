"""The watch over a run: every oracle is proved, what always holds is asked for, and what was seen is not forgotten."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import attrs
import pytest

from protocol.bodies import encode_body
from protocol.journal import Kind
from protocol.messages.hosts import GuestReport
from protocol.records import Permit
from protocol.states import Goal, PowerState
from protocol.truth import CallTruth, GuestTruth, Truth, VolumeTruth
from sim.checkers import ORACLES, watch
from sim.history import Broken, Called, Crashed, History, Noted, Paused, Resumed
from tests.protocol.invariants import worlds
from tests.sim import test_checkers, test_checkers_changes, test_checkers_images, test_checkers_rest
from tests.sim.histories import CONDUCTOR, DONE, NOWHERE, C, Hand, S

OVERDUE: Final = attrs.evolve(NOWHERE, calls=(CallTruth(call="c1", answers=0, is_overdue=True),))
CALL: Final = Called(process="api/image", where="image", call="write", about="img")
#: Oracles that judge snapshots and ends, which their own tests show.
AT_THE_END: Final = (
    "acknowledged_kept", "ends_in_time", "parked_truly", "status_graph", "one_open_move", "history_kept", "told_once",
    "faults_kept", "changes_kept", "fences_lifted", "disk_of_image",
)  # fmt: skip
SHOWN_IN: Final = (test_checkers_rest, test_checkers_changes, test_checkers_images)


@pytest.fixture
def hand() -> Hand:
    return Hand()


# --- the list of oracles -----------------------------------------------------------------------------------


def test_every_oracle_has_a_history_that_keeps_its_promise_and_one_that_breaks_it() -> None:
    """No oracle is there that nobody has seen fail."""
    shown = {oracle for oracle, _ in test_checkers.BROKEN} & {oracle for oracle, _ in test_checkers.KEPT}
    assert shown | set(AT_THE_END) == set(ORACLES)
    source = "".join(Path(each.__file__ or "").read_text() for each in SHOWN_IN)
    assert all(f'"{name}"' in source for name in AT_THE_END)


@pytest.mark.parametrize("name", ORACLES)
def test_every_oracle_has_a_promise_of_one_sentence_and_its_letters(name: str) -> None:
    """Docs list them by just these."""
    oracle = ORACLES[name]
    assert re.fullmatch(r"[A-Z][^.]*\.", oracle.text())
    assert re.fullmatch(r"[SELMPRV]\d(, [SELMPRV]\d)*", oracle.letters)
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", name)


# --- breaches ----------------------------------------------------------------------------------------------


def test_a_breach_is_recorded_once_with_the_line_at_which_it_was_found(hand: Hand) -> None:
    """The same promise to the same server is broken once, and the history says so behind the line that broke it."""
    hand.begin()
    hand.entry(Kind.DONE, "take", payload=DONE)
    hand.entry(Kind.DONE, "begin_move", payload=DONE)
    [breach] = hand.watch.breaches
    assert (breach.invariant, breach.server, breach.step) == ("outcomes_true", S, 1)
    [line] = [line for line in hand.history.lines if isinstance(line.what, Broken)]
    assert (line.number, line.what) == (2, Broken(invariant="outcomes_true", subject=S, detail=breach.text))


def test_a_watch_hears_what_was_before_it(hand: Hand) -> None:
    """Attached in the midst of a run, it judges as if it had been there from the first line."""
    hand.begin()
    hand.entry(Kind.DONE, "take", payload=DONE)
    late = watch(hand.history)
    assert [attrs.evolve(each, text="") for each in late.breaches] == [
        attrs.evolve(each, text="") for each in hand.watch.breaches
    ]


def watched(*truths: Truth, every: int = 1) -> tuple[History, Any]:
    """Watch a world that is in one of these states after the other."""
    history, left = History(lambda: round(len(history.lines) * 0.1e9)), list(truths)
    return history, watch(history, peek=lambda: left.pop(0), always_every=every)


def test_what_must_always_hold_is_judged_after_every_so_many_effects() -> None:
    """Two effects pass, at the third the truth is looked at; lines that change nothing do not count."""
    history, checks = watched(OVERDUE, every=3)
    for what in (CALL, Noted(event="e", detail=""), CALL):
        history.record(what)
    assert checks.breaches == []
    history.record(CALL)
    [breach] = checks.breaches
    assert (breach.invariant, breach.server, breach.step) == ("one_answer", "c1", 3)


@pytest.mark.parametrize(
    ("after", "found"), [((), []), ((Resumed(process=CONDUCTOR),), []), ((Crashed(process=CONDUCTOR),) * 20, ["c1"])]
)
def test_who_stands_still_need_not_answer_in_time(after: tuple[Any, ...], found: list[str]) -> None:
    """A paused process cannot know that a deadline has passed, until it goes on, and a moment longer."""
    history, checks = watched(OVERDUE)
    for what in (Paused(process=CONDUCTOR), *after, CALL):
        history.record(what)
    assert [breach.server for breach in checks.breaches] == found


# --- what was seen -----------------------------------------------------------------------------------------


def counting(truth: Truth, *, root: int, volume: int) -> Truth:
    """Set the counters of the server's guest, where it is defined, and of its volume; forget what was seen."""

    def count(guest: GuestTruth) -> GuestTruth:
        return attrs.evolve(guest, counter=root) if guest.is_defined else guest

    guests = tuple(map(count, truth.guests))
    volumes = (VolumeTruth(volume="v1", writer=S, counter=volume), truth.volumes[1])
    return attrs.evolve(truth, guests=guests, volumes=volumes, witnessed=())


def losses(hand: Hand, truth: Truth) -> list[str]:
    hand.judged(truth)
    return [breach.text for breach in hand.watch.breaches if breach.invariant == "no_loss"]


@pytest.mark.parametrize(("root", "volume", "is_lost"), [(100, 100, False), (99, 100, True), (100, 99, True)])
def test_a_lost_write_is_found_on_the_disk_and_on_the_volume(hand: Hand, root: int, volume: int, is_lost: bool) -> None:
    """Each is asked for by itself."""
    hand.watch.see(counting(worlds.active(), root=100, volume=100))
    assert bool(losses(hand, counting(worlds.active(), root=root, volume=volume))) is is_lost


def test_another_server_that_has_the_volume_now_counts_for_itself(hand: Hand) -> None:
    """Its counter has nothing to do with that of the server before."""
    hand.watch.see(counting(worlds.active(), root=100, volume=100))
    after = counting(worlds.active(), root=100, volume=100)
    other = attrs.evolve(after, volumes=(VolumeTruth(volume="v1", writer="s2", counter=5), after.volumes[1]))
    hand.watch.see(other)
    again = attrs.evolve(after, volumes=(VolumeTruth(volume="v1", writer=S, counter=10), after.volumes[1]))
    assert losses(hand, again) == []


def revert(hand: Hand, *, stopped_at: int, is_image_backed: bool) -> None:
    """Resize a server that had this on its disk at the stop, look at it at the target, and revert."""
    report = encode_body(GuestReport(power_state=PowerState.RUNNING, permit=None, counter=stopped_at))
    hand.begin()
    hand.step("take")
    if is_image_backed:
        hand.step("create_snapshot")
    hand.step("stop_guest", payload=report)
    hand.step("spawn_target", payload=encode_body(GuestReport(power_state=PowerState.RUNNING, permit=2)))
    hand.close()
    world = worlds.verify_resize() if is_image_backed else worlds.verify_resize_volume_backed()
    hand.watch.see(counting(world, root=900, volume=900))
    hand.begin("c2", goal=Goal.REVERT)
    hand.step("take", conversation="c2", goal=Goal.REVERT, payload=encode_body(Permit(server=S, number=2, holder=None)))
    hand.close(conversation="c2", goal=Goal.REVERT)


@pytest.mark.parametrize(("counter", "is_lost"), [(499, True), (500, False)])
def test_a_revert_discards_what_the_target_wrote_on_its_own_disk_and_no_more(
    hand: Hand, counter: int, is_lost: bool
) -> None:
    """The source's disk goes on where it was stopped, and with it what its guest writes on its volumes."""
    revert(hand, stopped_at=500, is_image_backed=True)
    assert bool(losses(hand, counting(worlds.active(), root=counter, volume=counter))) is is_lost


@pytest.mark.parametrize(("counter", "is_lost"), [(899, True), (900, False)])
def test_a_revert_discards_nothing_of_a_root_disk_that_is_a_volume(hand: Hand, counter: int, is_lost: bool) -> None:
    """It goes back with all that was written on it."""
    revert(hand, stopped_at=500, is_image_backed=False)
    assert bool(losses(hand, counting(worlds.volume_backed(), root=counter, volume=counter))) is is_lost


def test_what_a_move_stopped_at_the_source_has_arrived_at_the_target(hand: Hand) -> None:
    """Nobody looked at it before: the report of the stop is enough."""
    report = encode_body(GuestReport(power_state=PowerState.RUNNING, permit=None, counter=500))
    hand.begin(C)
    hand.step("take")
    hand.step("stop_guest", payload=report)
    assert losses(hand, counting(worlds.verify_resize(), root=499, volume=499))


@pytest.mark.parametrize(("volume", "is_lost"), [(900, False), (20, False), (4, True)])
def test_what_a_guest_wrote_before_its_rebuild_is_asked_for_no_more(hand: Hand, volume: int, is_lost: bool) -> None:
    """It counts anew: what is on its volumes is overwritten by less, and from then on no less is enough."""
    before, after = (counting(worlds.active(), root=root, volume=900) for root in (900, 0))
    hand.watch.see(before)
    hand.begin(C, goal=Goal.REBUILD)
    hand.step("take", goal=Goal.REBUILD)
    hand.close(goal=Goal.REBUILD)
    hand.watch.see(after)
    hand.watch.see(after)
    if volume < before.volumes[0].counter:
        hand.watch.see(counting(worlds.active(), root=5, volume=5))
    assert bool(losses(hand, counting(worlds.active(), root=volume, volume=volume))) is is_lost
