"""Writes histories by hand, as a world would: orders, steps with their messages, faults, crashes, guests."""

from __future__ import annotations

from typing import Any

from protocol.bodies import encode_body
from protocol.errors import InvalidState, report
from protocol.journal import Ending, Entry, Kind
from protocol.states import Goal
from sim.cases.case import Breach, Case, Outcome
from sim.cases.workload import Act, Op
from sim.commands.levels import Heard, Lines
from sim.faults import Fault, FaultKind
from sim.history import (
    Answered,
    Broken,
    Carried,
    Crashed,
    Fired,
    GuestOff,
    GuestOn,
    Handed,
    Happening,
    History,
    Journaled,
    Looked,
    Lost,
    Note,
    Ordered,
    Phase,
    Sent,
    Started,
    TakenOver,
)

CONDUCTOR = "api/conductor"
CONVERSATION = "9c0e3937-0000-4000-8000-000000000001"
REFUSAL = InvalidState(kind="server", name="s1", field="task_state", found="none", expected="another")


class Script:
    """A history that is being written."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.history = History(lambda: self.now_ns)
        self._frames = 0
        self._orders = 0
        self._seq = 0
        self.conversation, self.goal, self.server, self.epoch = CONVERSATION, Goal.MIGRATE, "s1", 5

    def wait(self, seconds: float) -> None:
        """Let virtual time pass."""
        self.now_ns += round(seconds * 1_000_000_000)

    def write(self, what: Happening) -> int:
        """Write a line a millisecond later; give its number."""
        self.wait(0.001)
        self.history.record(what)
        return len(self.history.lines) - 1

    def phase(self, name: str) -> None:
        """Enter a phase."""
        self.write(Phase(name=name))

    def order(self, op: Op, *, error: str = "") -> None:
        """Have a user ask for something, and be answered; what is accepted has begun by then."""
        self._orders += 1
        self.write(Ordered(process="user", number=self._orders, order=op.wish()))
        if not error:
            self.begin()
        conversation = "" if error else self.conversation
        self.write(Answered(process="user", number=self._orders, conversation=conversation, error=error))

    # --- conversations -----------------------------------------------------------------------------------------

    def journal(self, kind: Kind, step: str = "", *, is_undo: bool = False, payload: bytes = b"") -> None:
        """Write an entry."""
        entry = Entry(
            seq=self._seq, epoch=self.epoch, kind=kind, at_us=0, step=step, is_undo=is_undo, payload=payload
        )  # fmt: skip
        self._seq += 1
        self.write(
            Journaled(
                process=CONDUCTOR, conversation=self.conversation, server=self.server, goal=self.goal, entry=entry
            )
        )

    def begin(self, conversation: str = CONVERSATION, goal: Goal = Goal.MIGRATE, *, epoch: int = 5) -> None:
        """Begin a conversation: what follows is of it."""
        self.conversation, self.goal, self.epoch, self._seq = conversation, goal, epoch, 0
        self.journal(Kind.BEGIN)

    def end(self, *, is_success: bool = True) -> None:
        """End the conversation, and let the server go."""
        self.journal(Kind.END, payload=encode_body(Ending(is_success=is_success)))
        self.journal(Kind.CLOSED)
        self.journal(Kind.RELEASED)

    def take_over(self, epoch: int) -> None:
        """Go on with the conversation under another epoch."""
        self.epoch = epoch
        self.write(TakenOver(process=CONDUCTOR, conversation=self.conversation, epoch=epoch))

    def step(
        self, name: str, at: str = "api!c1/cell", *, takes_s: float = 0.0, is_undo: bool = False, copies: int = 1,
        loses: str = "", verdict: str = "fresh", error: bool = False, is_asked: bool = True, on_wire: bool = True,
    ) -> None:  # fmt: skip
        """Have a step asked for, done and answered; `loses` the command or the answer."""
        key = f"{self.conversation}:0:{name}:{'undo' if is_undo else 'execute'}"
        if is_asked:
            self.journal(Kind.INTENT, name, is_undo=is_undo)
        command = self._send(key, CONDUCTOR, at, copies=copies, is_lost=loses == "command") if on_wire else ""
        if loses == "command":
            return
        self._carry_out(key, at, verdict, error=error)
        self.wait(takes_s)
        if on_wire:
            self._send(key, at, CONDUCTOR, answers=command, is_lost=loses == "answer", error=error)
        if loses == "answer":
            return
        payload = encode_body(report(REFUSAL, cell="api!c1")) if error else b""
        self.journal(Kind.REFUSED if error else Kind.DONE, name, is_undo=is_undo, payload=payload)

    def steps(self, count: int) -> None:
        """Have many steps done, as on a good day."""
        for number in range(count):
            self.step(f"step_{number}")

    def _carry_out(self, key: str, at: str, verdict: str, *, error: bool) -> None:
        facts: dict[str, Any] = {"key": key, "server": self.server, "epoch": self.epoch, "method": "some_method"}
        self.write(Looked(process=at, verdict=verdict, **facts))
        if verdict == "fresh":
            self.write(Carried(process=at, reply="00", is_error=error, **facts))

    def _send(
        self, key: str, sender: str, to: str, *, answers: str = "", copies: int = 1, is_lost: bool = False,
        error: bool = False,
    ) -> str:  # fmt: skip
        """Send an envelope in two hops, by the link of the root."""
        self._frames += 2
        id_ = f"{self._frames:032x}"
        target = f"{to.partition('/')[0]}/replies:conductor:0" if answers else to
        note = Note(
            id=id_, kind="answer" if answers else "call", method="some_method", source=sender, target=target,
            route=("api",), hops_max=10, server=self.server, key=key, epoch=self.epoch, answers=answers, is_error=error,
        )  # fmt: skip
        self.write(Sent(process=sender, queue="api/link", frame=self._frames, notes=(note,)))
        self.write(Handed(process="api/link", queue="api/link", frame=self._frames, copy=1, notes=(note,)))
        self.write(Sent(process="api/link", queue=target, frame=self._frames + 1, notes=(note,)))
        if is_lost:
            self.write(Lost(queue=target, frame=self._frames + 1, why="lose"))
        else:
            for _ in range(copies):
                self.write(Handed(process=to, queue=target, frame=self._frames + 1, copy=1, notes=(note,)))
        return id_

    # --- trouble -----------------------------------------------------------------------------------------------

    def fault(self, kind: FaultKind, name: str, *, text: str, process: str = "", mattered: bool = True) -> None:
        """Have a fault strike."""
        self.write(Fired(process=process, fault=Fault(kind=kind, name=name), mattered=mattered, text=text))

    def crash(self, process: str, *, by: str = "f9") -> None:
        """Kill a process."""
        self.write(Crashed(process=process))
        fault = Fault(kind=FaultKind.CRASH, name=by, where=process)
        self.history.record(Fired(process=process, fault=fault, mattered=True, text=f"{process} was killed"))

    def start(self, process: str, run: int = 2) -> None:
        """Start it again."""
        self.write(Started(process=process, run=run))

    def guest(self, host: str, *, permit: int = 0) -> None:
        """Have the guest run on a host by a permit; without one it is off."""
        process = f"api!c{host[1:]}/host:{host}"
        if permit:
            self.write(GuestOn(process=process, host=host, server=self.server, permit=permit))
        else:
            self.write(GuestOff(process=process, host=host, server=self.server))

    def breach(self, invariant: str = "one_guest", text: str = "the guest runs on h1 and on h3") -> Breach:
        """Find that something does not hold."""
        step = self.write(Broken(process="", invariant=invariant, subject=self.server, detail=text))
        return Breach(invariant=invariant, server=self.server, step=step, text=text)

    def run(self, breach: Breach | None = None, *, case: Case | None = None) -> Heard:
        """Give the run whose history this is."""
        outcome = Outcome(
            case=case or Case(seed=7), trace_sha256=self.history.sha256, moves=0, messages=0,
            steps=len(self.history.lines), virtual_s=self.now_ns / 1e9, fired={}, mattered={}, probes={},
            breaches=(breach,) if breach else (),
        )  # fmt: skip
        return Heard(outcome=outcome, history=Lines(tuple(self.history.lines)))


def eventful() -> tuple[Script, Breach]:
    """Write a history with a bit of everything that a diagram or a story has words for."""
    script = Script()
    script.phase("setup")
    script.guest("h1", permit=1)
    script.wait(20)
    script.phase("faults")
    script.wait(10)
    script.order(Op(name="o1", act=Act.MIGRATE, server="s1"))
    script.step("take", "api/cell")
    script.steps(6)
    script.fault(FaultKind.LOSE, "f1", text=f"some {CONVERSATION}:0:stop:execute from {CONDUCTOR} to api/link: lose")
    script.step("stop", "api!c1/host:h1", loses="command")
    script.wait(30)
    script.step("stop", "api!c1/host:h1", is_asked=False, takes_s=2, copies=2)
    script.guest("h1")
    script.step("spawn", "api!c2/host:h2", loses="answer")
    script.guest("h2", permit=2)
    script.crash(CONDUCTOR, by="f2")
    script.wait(5)
    script.start(CONDUCTOR)
    script.take_over(6)
    script.step("spawn", "api!c2/host:h2", is_asked=False, verdict="known")
    script.step("commit", "api/cell", error=True)
    script.step("spawn", "api!c2/host:h2", is_undo=True)
    script.end(is_success=False)
    return script, script.breach()
