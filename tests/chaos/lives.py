"""The life of a server under chaos: one order after the other, a death in each, and a judgement after each."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final

import anyio
import attrs

from actors.kernel.leases import LEASE_S
from actors.ops.system import SystemClock
from protocol.journal import ending_of
from protocol.messages.orders import ChangeVolume, CreateServer, MoveServer, NewVolume, PowerServer, SettleMove
from protocol.messages.servers import Origin
from protocol.records import Bandwidth, BandwidthUse, HeldPermit, MirroredDevice, Permit
from protocol.states import Goal
from protocol.truth import Witnessed
from tests.chaos.fleet import IMAGE, POLL_S, SMALL, SOURCE, TARGET, TINY, Stuck
from tests.chaos.traps import DIE, FORGET, REFUSE, Trap
from tests.clouds import HISTORY, essence

if TYPE_CHECKING:
    from protocol.journal import Journal
    from protocol.messages.orders import Order
    from protocol.truth import Truth
    from tests.chaos.fleet import Fleet

#: Kinds of life, by the order that ends them.  The undone one's resize is refused by the target's hypervisor.
LIVES: Final = {
    "confirm": ("create", "resize", "confirm"),
    "revert": ("create", "resize", "revert"),
    "undone": ("create", "undone"),
    "swap": ("create", "reboot", "swap"),
}
TARGET_ROLE: Final = f"api!us/host:{TARGET}"
CONDUCTOR: Final = "api/conductor"
#: Within which another conductor must have gone on: its lease and a second.
TAKEOVER_S_MAX: Final = LEASE_S + 1
#: How long the dead conductor is kept away at most, when nothing of the conversation is left to go on with.
AWAY_S_MAX: Final = TAKEOVER_S_MAX + 1
#: How far a guest counts before it is moved, so that there is something to lose.
COUNTS_MIN: Final = 3
COUNTING_S_MAX: Final = 30.0
A_SECOND_US: Final = 1_000_000
UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME: Final = re.compile(r"_at_us=\d+")
HARDWARE: Final = re.compile(r"fa(:[0-9a-f]{2}){5}")
#: What was counted by then: these deployments live in real time, and some orders take longer than others.
COUNTED: Final = (Bandwidth, BandwidthUse)

#: What there is of a server, without ids and times, each as often as it is there.
Picture = Counter[str]


@attrs.frozen(kw_only=True, order=True)
class Trial:
    """One death: in which order, of which role, at which point; and whether it has forgotten by it what it did."""

    order: str
    who: str
    point: str
    deed: str = attrs.field(default=DIE, order=False)

    def __str__(self) -> str:
        return f"{self.order}: {self.who} at {self.point}"


@attrs.define
class Takeover:
    """How soon after a conductor's death another had its conversation, and how soon that one wrote the next entry."""

    taken_s: float | None = None
    entry_s: float | None = None
    lag_s: float = 0.0  # How late the machine let this very process go on, at worst: so late are others, too.

    @property
    def problem(self) -> str | None:
        """Say that it was too late, if it was: three times a conductor waits for the machine, to look, ask and take."""
        if self.taken_s is None or self.taken_s <= TAKEOVER_S_MAX + 3 * self.lag_s:
            return None
        return f"taken over only after {self.taken_s:.2f} s, on a machine that was {self.lag_s:.2f} s late"


@attrs.frozen(kw_only=True)
class Result:
    """What came of a trial."""

    trial: Trial
    by: str  # The process that died.
    takeover: Takeover  # Of a conductor that died.
    took_s: float
    problems: tuple[str, ...]


@attrs.frozen(kw_only=True)
class Reference:
    """What orders come to when nobody dies: the picture after each, and the points that each role passes."""

    pictures: dict[tuple[str, str], Picture] = attrs.field(factory=dict)
    points: dict[str, dict[str, list[str]]] = attrs.field(factory=dict)


class Life:
    """A server of its own, from its making to its rest."""

    def __init__(self, fleet: Fleet, kind: str) -> None:
        self._fleet = fleet
        self._kind = kind
        self._server = fleet.new_server()
        self._volume = f"data-{self._server}"
        self._spare = f"spare-{self._server}"  # What the volume is swapped for.
        self._witnessed: list[Witnessed] = []
        self._twice: list[str] = []

    async def undisturbed(self, reference: Reference) -> None:
        """Live it without a death, and note what it came to."""
        results = await self.live({}, reference, is_reference=True)
        problems = [problem for result in results for problem in result.problems]
        if problems:
            raise Stuck(f"an undisturbed life does not end well: {problems}")

    async def live(self, trials: dict[str, Trial], reference: Reference, *, is_reference: bool = False) -> list[Result]:
        """Carry out its orders, with one of these trials in each, until something is wrong; then let it rest."""
        results: list[Result] = []
        for volume in self._volumes():
            await self._fleet.add_volume(volume)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch)
            for name in self._orders(trials, is_all=is_reference):
                trial = trials.get(name, Trial(order=name, who="", point=""))
                before = self._fleet.traps.passed(self._server) if is_reference else {}
                result, picture = await self._trial(trial)
                if is_reference:
                    reference.pictures[self._kind, name] = picture
                    _note_points(reference, name, before, self._fleet.traps.passed(self._server))
                else:
                    wrong = _differences(picture, reference.pictures[self._kind, name]) if picture else ()
                    result = attrs.evolve(result, problems=(*result.problems, *wrong))
                results.append(result)
                if result.problems:
                    break
            tasks.cancel_scope.cancel()
        if not results[-1].problems:
            # Its guest would only count on, and there will be many.
            await self._fleet.carry_out(PowerServer(server=self._server, goal=Goal.STOP, origin=self._origin()))
        return results

    def _volumes(self) -> tuple[str, ...]:
        """Name the volumes that it uses."""
        return (self._volume, self._spare) if "swap" in LIVES[self._kind] else (self._volume,)

    def _orders(self, trials: dict[str, Trial], *, is_all: bool) -> tuple[str, ...]:
        """List its orders, up to the last one with a trial."""
        orders = LIVES[self._kind]
        last = max((place for place, name in enumerate(orders) if name in trials), default=0)
        return orders if is_all else orders[: last + 1]

    # --- one order -----------------------------------------------------------------------------------------------

    async def _trial(self, trial: Trial) -> tuple[Result, Picture]:
        fleet = self._fleet
        await fleet.whole()
        if trial.order != "create":
            await self._witness(trial.order)
        fleet.keeper.hold()
        name = self._set(trial) if trial.point else ""
        began_s = anyio.current_time()
        takeover = Takeover()
        problems: list[str] = []
        picture: Picture = Counter()

        async def tend(conversation: str) -> None:
            if name:
                await self._tend(name, conversation, takeover)

        try:
            journal = await fleet.carry_out(self._order(trial.order), meanwhile=tend)
            problems.extend(_ended(trial.order, journal))
            fleet.keeper.bring_back()
            if not problems:
                await fleet.whole()
                truth, broken = await fleet.at_rest(tuple(self._witnessed))
                problems.extend(f"{each.invariant} of {each.subject}: {each.text}" for each in broken)
                picture = await self._picture(truth)
        except Stuck as error:
            problems.append(str(error))
        fleet.keeper.bring_back()
        sprung = fleet.traps.sprung(name) if name else None
        if name and sprung is None:
            problems.append("its point was never passed")
        fleet.traps.clear()
        problems.extend(self._twice)
        if takeover.problem:
            problems.append(takeover.problem)
        return Result(
            trial=trial, by=sprung.by if sprung else "", takeover=takeover, took_s=anyio.current_time() - began_s,
            problems=tuple(problems),
        ), picture  # fmt: skip

    def _set(self, trial: Trial) -> str:
        traps, here = self._fleet.traps, {"who": trial.who, "server": self._server}
        if trial.deed == FORGET:
            # It dies when it has done it, and is asked again: what is patched is what it then knows of it.
            traps.set(Trap(**here, point=trial.point.replace("/carried", "/known"), deed=FORGET))
        return traps.set(Trap(**here, point=trial.point))

    def _refuse(self) -> None:
        self._fleet.traps.set(Trap(who=TARGET_ROLE, server=self._server, point="driver/spawn/before", deed=REFUSE))

    async def _tend(self, name: str, conversation: str, takeover: Takeover) -> None:
        """Wait for a death; keep a dead conductor away until the other has gone on."""
        fleet = self._fleet
        while (sprung := fleet.traps.sprung(name)) is None:  # noqa: ASYNC110 - the dead set no event of ours
            await anyio.sleep(POLL_S)
        if CONDUCTOR in sprung.by and fleet.deployment.cloud.conductors > 1:
            with anyio.move_on_after(AWAY_S_MAX):
                while takeover.entry_s is None:
                    if takeover.taken_s is None and await fleet.is_taken(conversation, but=sprung.by):
                        takeover.taken_s = (SystemClock().now_us() - sprung.at_us) / A_SECOND_US
                    takeover.entry_s = _after(await fleet.journal(conversation), sprung.at_us)
                    takeover.lag_s = max(takeover.lag_s, await _lag_s())
        fleet.keeper.bring_back()

    # --- what is ordered -----------------------------------------------------------------------------------------

    def _order(self, name: str) -> Order:
        origin = self._origin()
        match name:
            case "create":
                data = NewVolume(volume=self._volume, device="/dev/vdb")
                return CreateServer(
                    server=self._server,
                    name="web",
                    flavor=TINY,
                    image=IMAGE,
                    volumes=(data,),
                    host=SOURCE,
                    origin=origin,
                )
            case "resize" | "undone":
                if name == "undone":
                    self._refuse()
                return MoveServer(server=self._server, flavor=SMALL, host=TARGET, origin=origin)
            case "reboot":
                return PowerServer(server=self._server, goal=Goal.REBOOT, origin=origin)
            case "swap":
                return ChangeVolume(
                    server=self._server, goal=Goal.SWAP, volume=self._volume, device="", origin=origin,
                    replacement=self._spare,
                )  # fmt: skip
            case _:
                return SettleMove(server=self._server, goal=Goal(name), origin=origin)

    def _origin(self) -> Origin:
        return Origin(request_id=f"req-{self._server}", user="u", project="p")

    # --- what is seen --------------------------------------------------------------------------------------------

    async def _witness(self, order: str) -> None:
        """Wait until the guest counts, and note how far it is: less than that after the order would be a loss."""
        with anyio.move_on_after(COUNTING_S_MAX):
            while self._fleet.counter(self._server) <= COUNTS_MIN:  # noqa: ASYNC110 - a guest sets no event of ours
                await anyio.sleep(POLL_S)
        if order == "revert":
            # What the guest has written at the target it counts anew at the source, from where it was before the move:
            # that was noted then, and less than that would be a loss.
            return
        data = self._fleet.observed.read_volume(self._volume).counter
        self._witnessed.append(Witnessed(server=self._server, volume=None, counter=self._fleet.counter(self._server)))
        # What is swapped is kept as it was, and the other one has all of it.
        for volume in self._volumes() if order == "swap" else (self._volume,):
            self._witnessed.append(Witnessed(server=self._server, volume=volume, counter=data))

    async def _watch(self) -> None:
        """Look at the hypervisors all the time: a guest must not run at two of them."""
        while True:
            where = self._fleet.runs_on(self._server)
            if len(where) > 1:
                self._twice.append("its guest ran on two hosts at once")
                return
            await anyio.sleep(POLL_S)

    async def _picture(self, truth: Truth) -> Picture:
        rows = [
            f"{cell.path} {_text(row)}"
            for cell in truth.cells
            for row in cell.rows
            if self._server in str(row) and not isinstance(row, COUNTED)
        ]
        rows += [_text(row) for row in truth.partners if self._server in str(row)]
        rows += [f"{host} {row}" for host, row in await self._fleet.held() if self._server in str(row)]
        rows += [
            f"{attrs.evolve(guest, counter=0, boots=())} started {[(boot.host, boot.permit) for boot in guest.boots]}"
            for guest in truth.guests
            if guest.server == self._server
        ]
        rows += [f"file {name}" for name in self._fleet.files() if self._server in name or name.startswith("images")]
        return Counter(self._nameless(row) for row in rows)

    def _nameless(self, row: str) -> str:
        return HARDWARE.sub("MAC", TIME.sub("_at_us=0", UUID.sub("ID", row.replace(self._server, "SERVER"))))


def _text(row: object) -> str:
    match row:
        case Permit() | HeldPermit():
            return str(row)  # Its number too: nobody was given one twice.
        case _ if isinstance(row, HISTORY):
            return str(row)
        case MirroredDevice():  # Healing tells of it again, under the generation of then.
            return essence(attrs.evolve(row, generation=0)) or ""
        case _:
            return essence(row) or ""  # type: ignore[arg-type]  # the rows of a truth are records


def _note_points(
    reference: Reference, order: str, before: dict[tuple[str, str], list[str]], after: dict[tuple[str, str], list[str]]
) -> None:
    found = reference.points.setdefault(order, {})
    for (who, by), points in after.items():
        fresh = points[len(before.get((who, by), ())) :]
        found[who] = list(dict.fromkeys([*found.get(who, ()), *fresh]))


def _after(journal: Journal | None, at_us: int) -> float | None:
    """Tell how long after a moment the next entry was written; None: none was."""
    later = [entry.at_us for entry in journal.entries if entry.at_us > at_us] if journal else []
    return (later[0] - at_us) / A_SECOND_US if later else None


async def _lag_s() -> float:
    """Sleep for a moment; tell how much later than that it went on."""
    began_s = anyio.current_time()
    await anyio.sleep(POLL_S)
    return anyio.current_time() - began_s - POLL_S


def _ended(order: str, journal: Journal) -> list[str]:
    ending = ending_of(journal)
    if ending is None:
        return ["it has no ending"]
    if ending.is_success is (order != "undone"):
        return []
    return [f"it ended otherwise: {ending}"]


def _differences(now: Picture, then: Picture) -> tuple[str, ...]:
    more = [f"beside what there is undisturbed: {row}" for row in (now - then).elements()]
    less = [f"missing of what there is undisturbed: {row}" for row in (then - now).elements()]
    return (*more, *less)
