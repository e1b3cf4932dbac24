"""What users do under a seed: each server's story, told by people who change their minds, hurry and click twice."""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Final

import attrs

from sim.cases.layout import Layout
from sim.cases.workload import Act, Op
from sim.chance import Chance

#: So long does a move and its settling take at least, with what its users do meanwhile: so many fit into the minutes.
CHAPTER_S: Final = 60.0
CHAPTERS_MAX: Final = 8
#: So many servers are created while things go wrong, and so many last moves wait for a confirm that never comes.
BORN_LATE: Final = 0.2
LEFT_OPEN: Final = 0.2
#: So many servers are deleted at some moment of their last chapter; some of their users click twice.
DELETED: Final = 0.3
#: So many ports are guaranteed a bandwidth, of which a host has enough for three: they stay in their cells.
GUARANTEED: Final = 0.1
HOLDS: Final = ((Act.PAUSE, Act.UNPAUSE), (Act.SUSPEND, Act.RESUME), (Act.SOFT_DELETE, Act.RESTORE))
#: Under so many seeds nobody takes his time, but this part of it.
HASTY: Final = 0.3
HASTE: Final = 0.05
#: So many rebuilds are from an image of the server's own, if it has any; a later backup may delete that meanwhile.
OF_ITS_OWN: Final = 0.5
ROTATIONS: Final = (1, 1, 2, 3)
BACKUP_TYPES: Final = ("daily", "daily", "weekly")
#: So many reboots are hard.
HARD: Final = 0.3
#: What a server's host does beside its life: one of these.
HOST_ACTS: Final = (
    Act.SNAPSHOT, Act.BACKUP, Act.BACKUP, Act.RESET_NETWORK, Act.INJECT_NETWORK_INFO, Act.REBUILD, Act.REBUILD,
    Act.LIVE_MIGRATE, Act.LIVE_MIGRATE, Act.LIVE_MIGRATE,
)  # fmt: skip
#: So many errands has a chapter at most, and so many of them something in their midst.
ERRANDS_MAX: Final = 5
IN_ITS_MIDST: Final = 0.25
DEVICES: Final = ("/dev/vdc", "/dev/vdd", "/dev/vde", "/dev/vdf")


@attrs.frozen(kw_only=True)
class Habits:
    """How much users do that is no move."""

    #: Under so many seeds servers are held by their users for a while: so many chapters each.
    holders: float = 0.15
    held: float = 0.4
    #: In so many chapters a server's host does something beside its life, whatever is done to it just then.
    of_its_host: float = 0.15
    #: So many chapters have no move, but errands one after the other: only then are most of these not refused.
    errands: float = 0.3


USUAL: Final = Habits()


def stories(
    chance: Chance, *, layout: Layout, servers: int, minutes: float, group: str = "", habits: Habits = USUAL
) -> tuple[tuple[Op, ...], tuple[Op, ...]]:
    """Draw what is set up before any fault, and what users do while things go wrong; all servers may be of a group."""
    numbers = count(1)
    authors = [
        _Author(
            chance=chance,
            server=f"s{number}",
            hosts=tuple(layout.hosts),
            minutes=minutes,
            numbers=numbers,
            group=group,
            habits=habits,
        )
        for number in range(1, servers + 1)
    ]
    setup = tuple(op for author in authors for op in author.setup())
    return setup, tuple(op for author in authors for op in author.chapters())


@attrs.define(kw_only=True)
class _Author:
    """Tells one server's story: chapters, each of a move and its settling, one after the other."""

    chance: Chance
    server: str
    hosts: tuple[str, ...]
    minutes: float
    numbers: Iterator[int]
    group: str
    habits: Habits
    chapter: int = 0
    attached: list[str] = attrs.field(factory=list)
    images: list[str] = attrs.field(factory=list)  # That the server's users have had made of it.

    # --- draws, keyed by the server, the chapter and what they are about ---------------------------------------

    def _hits(self, chance: float, what: str) -> bool:
        return self.chance.hits(chance, self.server, self.chapter, what)

    def _after_s(self, what: str, *, most_s: float) -> float:
        # All at once under some seeds: only then do the moves of several servers meet.
        most_s *= HASTE if self.chance.hits(HASTY, "hasty users") else 1.0
        return float(f"{self.chance.between(0, most_s, self.server, self.chapter, what):.3g}")

    def _host(self, what: str, *, share: float) -> str:
        named = self._hits(share, f"names {what}")
        return self.chance.pick(self.hosts, self.server, self.chapter, what) if named else ""

    def _op(self, act: Act, *, after: Op | None = None, at_s: float = 0.0, host: str = "", volume: str = "") -> Op:
        op = Op(
            name=f"o{next(self.numbers)}", act=act, server=self.server, at_s=at_s, after=after.name if after else "",
            host=host, volume=volume,
        )  # fmt: skip
        return attrs.evolve(op, device=DEVICES[len(self.attached) % len(DEVICES)]) if volume else op

    # --- before any fault --------------------------------------------------------------------------------------

    def setup(self) -> Iterator[Op]:
        """Create the server, unless it is created while things go wrong."""
        if not self._is_late:
            yield from self._birth(0.0)

    @property
    def _is_late(self) -> bool:
        return self._hits(BORN_LATE, "born late")

    def _birth(self, at_s: float) -> Iterator[Op]:
        """Create the server, of whatever kind; some are stopped then."""
        volume = f"data-{self.server}" if self._hits(0.4, "data volume") else ""
        create = Op(
            name=f"o{next(self.numbers)}", act=Act.CREATE, server=self.server, host=self._host("home", share=0.5),
            volume=volume, is_volume_backed=self._hits(0.3, "volume-backed"), at_s=at_s, group=self.group,
            bandwidth_kbps=300_000 if self._hits(GUARANTEED, "a guarantee") else 0,
        )  # fmt: skip
        yield create
        if volume:
            self.attached.append(volume)
        if self._hits(0.2, "stopped"):
            yield self._op(Act.STOP, after=create)

    # --- while things go wrong ---------------------------------------------------------------------------------

    def chapters(self) -> Iterator[Op]:
        """Tell chapter after chapter, each when the one before is over."""
        most = max(1, min(CHAPTERS_MAX, int(self.minutes * 60 / CHAPTER_S)))
        before: Op | None = None
        if self._is_late:
            *others, before = self._birth(self._after_s("birth", most_s=self.minutes * 60 * 0.3))
            yield from (*others, before)
        last = self.chance.count(1, most, self.server, "chapters")
        for number in range(1, last + 1):
            self.chapter = number
            told = list(self._tell(before, is_last=number == last))
            yield from told
            if number == last and self._hits(DELETED, "deleted"):
                yield from self._delete(before, told)
            before = told[-1]

    def _delete(self, before: Op | None, told: list[Op]) -> Iterator[Op]:
        """Delete the server: in the middle of the chapter, wherever that is, or long after; or as it is restored."""
        restore = next((op for op in told if op.act is Act.RESTORE), None)
        if restore is not None and self._hits(0.5, "deleted as it is restored"):
            at_s = self._after_s("deleted around that", most_s=2 * restore.at_s)
            delete = attrs.evolve(restore, name=f"o{next(self.numbers)}", act=Act.DELETE, at_s=at_s)
        else:
            most_s = 25.0 if self._hits(0.7, "deleted in its midst") else self.minutes * 60 * 0.5
            delete = self._op(Act.DELETE, after=before, at_s=self._after_s("delete", most_s=most_s))
        yield delete
        if self._hits(0.3, "deletes twice"):
            yield self._again(delete)

    def _tell(self, before: Op | None, *, is_last: bool) -> Iterator[Op]:
        start_s = self._after_s("pause", most_s=20.0 if before else self.minutes * 60 * 0.3)
        if self._hits(self.habits.errands, "only errands"):
            yield from self._errands(before, start_s)
            return
        if self.group and before is None:
            # Those of a group begin together: what one of them chooses, the others choose, too.
            start_s = float(f"{self.chance.between(0, 5.0, self.group, 'begins'):.3g}")
        if self.chance.hits(self.habits.holders, "holders") and self._hits(self.habits.held, "holds it"):
            yield from self._hold(before, start_s, "hold")
        if self._hits(0.25, "prelude"):
            before = self._prelude(before, start_s)
            yield before
            start_s = self._after_s("pause after it", most_s=5.0)
        move = self._move(before, start_s)
        yield move
        if self._hits(0.15, "clicks the move twice"):
            yield self._again(move)
        if self._hits(0.2, "does something meanwhile"):
            yield self._errand(before, start_s + self._after_s("meanwhile", most_s=15.0), "meanwhile")
        yield from self._besides(before, start_s)
        if self._hits(0.3, "swaps a volume"):
            yield from self._swap(move, self._after_s("swap", most_s=10.0), "swap")
        if not (is_last and self._hits(LEFT_OPEN, "leaves it open")):
            yield from self._settle(move, start_s, before)

    def _errands(self, before: Op | None, start_s: float) -> Iterator[Op]:
        """Do one errand after the other; something else comes in the midst of some of them."""
        for number in range(self.chance.count(1, ERRANDS_MAX, self.server, self.chapter, "errands")):
            what = f"errand {number}"
            at_s = self._after_s(f"pause before {what}", most_s=5.0) if number else start_s
            if self._hits(IN_ITS_MIDST, f"something in the midst of {what}"):
                yield self._of_its_host(
                    before, at_s + self._after_s(f"midst of {what}", most_s=3.0), f"midst of {what}"
                )
            told = list(self._errand_of_a_day(before, at_s, what))
            yield from told
            before = told[-1]

    def _errand_of_a_day(self, before: Op | None, at_s: float, what: str) -> Iterator[Op]:
        if self._hits(0.5, f"its host does {what}"):
            yield self._of_its_host(before, at_s, what)
        elif self._hits(0.5, f"it is held for {what}"):
            yield from self._hold(before, at_s, what)
        elif self.attached and self._hits(0.3, f"it is swapped for {what}"):
            yield from self._swap(before, at_s, what)
        else:
            yield self._errand(before, at_s, what)

    def _besides(self, before: Op | None, start_s: float) -> Iterator[Op]:
        """Do what has nothing to do with the move, wherever that is by then."""
        if self._hits(0.2, "renames it"):
            yield self._op(Act.RENAME, after=before, at_s=start_s + self._after_s("rename", most_s=20.0))
        if self._hits(0.1, "locks it"):
            yield from self._lock(before, start_s + self._after_s("lock", most_s=15.0))
        if self._hits(0.12, "repairs it"):
            yield self._op(Act.REPAIR, after=before, at_s=start_s + self._after_s("repair", most_s=20.0))
        if self._hits(self.habits.of_its_host, "has its host do something"):
            yield self._of_its_host(before, start_s + self._after_s("its host", most_s=15.0), "of its host")

    def _of_its_host(self, before: Op | None, at_s: float, what: str) -> Op:
        """Have the server's host do something beside its life."""
        act = self.chance.pick(HOST_ACTS, self.server, self.chapter, what)
        op = self._op(act, after=before, at_s=at_s)
        match act:
            case Act.BACKUP:
                rotation = self.chance.pick(ROTATIONS, self.server, self.chapter, f"rotation of {what}")
                backup_type = self.chance.pick(BACKUP_TYPES, self.server, self.chapter, f"type of {what}")
                op = attrs.evolve(op, rotation=rotation, backup_type=backup_type)
            case Act.REBUILD if self.images and self._hits(OF_ITS_OWN, f"an image of its own for {what}"):
                op = attrs.evolve(op, image=self.images[-1])
            case Act.LIVE_MIGRATE:
                op = attrs.evolve(op, host=self._host(f"live target of {what}", share=0.2))
            case _:
                pass
        if act in {Act.SNAPSHOT, Act.BACKUP}:
            self.images.append(op.image_made)
        return op

    def _lock(self, before: Op | None, at_s: float) -> Iterator[Op]:
        """Lock the server for a while, wherever its move is by then."""
        lock = self._op(Act.LOCK, after=before, at_s=at_s)
        yield lock
        yield self._op(Act.UNLOCK, after=lock, at_s=self._after_s("unlock", most_s=10.0))

    def _hold(self, before: Op | None, at_s: float, what: str) -> Iterator[Op]:
        """Hold the server for a while, before its move or in its midst: the one that comes later is refused."""
        act, back = self.chance.pick(HOLDS, self.server, self.chapter, f"how: {what}")
        hold = self._op(act, after=before, at_s=at_s + self._after_s(what, most_s=10.0))
        yield hold
        yield self._op(back, after=hold, at_s=self._after_s(f"let go of {what}", most_s=10.0))

    def _swap(self, after: Op | None, at_s: float, what: str) -> Iterator[Op]:
        """Swap a volume while the move waits, or is being settled already; whoever has none has nothing to swap."""
        if self.attached:
            volume, replacement = self.attached.pop(), f"{what}-{self.server}-{self.chapter}".replace(" ", "-")
            yield attrs.evolve(self._op(Act.SWAP, after=after, at_s=at_s, volume=volume), replacement=replacement)
            self.attached.append(replacement)

    def _prelude(self, before: Op | None, at_s: float) -> Op:
        return self._errand(before, at_s, "prelude")

    def _move(self, before: Op | None, at_s: float) -> Op:
        act = self.chance.pick((Act.RESIZE, Act.MIGRATE), self.server, self.chapter, "move")
        return self._op(act, after=before, at_s=at_s, host=self._host("target", share=0.3))

    def _settle(self, move: Op, moved_s: float, before: Op | None) -> Iterator[Op]:
        if self._hits(0.25, "does something in between"):
            errand = self._errand(move, self._after_s("in between", most_s=5.0), "in between")
            yield errand
            move = errand
        act = self.chance.pick((Act.CONFIRM, Act.REVERT), self.server, self.chapter, "settle")
        if self._hits(0.15, "cannot wait"):
            yield self._op(act, after=before, at_s=moved_s + self._after_s("hurry", most_s=10.0))
        settle = self._op(act, after=move, at_s=self._after_s("settle after", most_s=20.0))
        if self._hits(0.15, "clicks both"):
            other = Act.REVERT if act is Act.CONFIRM else Act.CONFIRM
            yield self._again(attrs.evolve(settle, act=other))
        if self._hits(0.15, "settles twice"):
            yield self._again(settle)
        if self._hits(0.3, "does something at once"):
            yield from self._at_once(settle)
        yield settle

    def _at_once(self, settle: Op) -> Iterator[Op]:
        """Use the server while what the move has left may still be cleaned up, two acts in a row."""
        for number, act in enumerate((Act.STOP, Act.START)):
            late_s = self._after_s(f"{act} at once", most_s=4.0)
            yield attrs.evolve(settle, name=f"{settle.name}{'ab'[number]}", act=act, at_s=settle.at_s + late_s)

    def _again(self, op: Op) -> Op:
        """Ask for the same at the same time once more."""
        return attrs.evolve(op, name=f"o{next(self.numbers)}")

    def _errand(self, after: Op | None, at_s: float, what: str) -> Op:
        """Do something small, which may well be refused in the state that the server is in then."""
        errands: tuple[Callable[[], Op], ...] = (
            lambda: self._op(Act.STOP, after=after, at_s=at_s),
            lambda: self._op(Act.START, after=after, at_s=at_s),
            lambda: self._reboot(after, at_s),
            lambda: self._attach(after, at_s),
            lambda: self._attach(after, at_s),
            lambda: self._detach(after, at_s),
        )
        return self.chance.pick(errands, self.server, self.chapter, "errand", what)()

    def _reboot(self, after: Op | None, at_s: float) -> Op:
        return attrs.evolve(self._op(Act.REBOOT, after=after, at_s=at_s), is_hard=self._hits(HARD, "reboots hard"))

    def _attach(self, after: Op | None, at_s: float) -> Op:
        volume = f"extra-{self.server}-{len(self.attached)}"
        op = self._op(Act.ATTACH, after=after, at_s=at_s, volume=volume)
        self.attached.append(volume)
        return op

    def _detach(self, after: Op | None, at_s: float) -> Op:
        if not self.attached:
            return self._attach(after, at_s)
        return self._op(Act.DETACH, after=after, at_s=at_s, volume=self.attached.pop())
