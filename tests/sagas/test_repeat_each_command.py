"""Every command delivered twice or more, at once, after its answer, or after all is over: nothing changes by it."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import attrs
import pytest

from actors.kernel.ports import Queue
from actors.wire.memory import MemoryWire
from protocol.codec import decode, decode_frame
from protocol.envelope import Response, Targeted
from protocol.errors import HypervisorFailed
from protocol.errors_wire import decode_error
from protocol.messages.orders import Order
from protocol.moves.plans import PLANS
from protocol.states import Goal
from sim.clock import run
from sim.world import World
from tests import clouds
from tests.clouds import (
    BACKUP,
    CONFIRM,
    DELETE,
    REBOOT,
    REPAIR,
    REVERT,
    SNAPSHOT,
    START,
    STOP,
    WIDE,
    Backing,
    Dump,
    broken_promises,
    cloud,
    dump,
)
from tests.sagas.trouble import How, Trouble, TroubledInbox


class When(StrEnum):
    """When the copies come."""

    AT_ONCE = "at once"
    AFTER_THE_ANSWER = "after the answer"
    AFTER_ITS_UNDO = "after its undo"
    NEVER = "never"


class EchoWire(MemoryWire):
    """A wire that delivers the commands of conversations again, and keeps what is answered."""

    def __init__(self, when: When) -> None:
        super().__init__()
        self._when = when
        self.frames: dict[bytes, tuple[Queue, bytes]] = {}  # By the id of a command in it.
        self.commands: dict[bytes, Targeted] = {}
        self.answers: dict[bytes, list[Response]] = {}
        self.late: list[bytes] = []  # Those that came once more after their undo.

    async def send(self, queue: Queue, frame: bytes) -> None:
        await super().send(queue, frame)
        for envelope in (decode(data) for data in decode_frame(frame)):
            match envelope:
                case Targeted(key=key) if (
                    key is not None and not key.is_plain and queue.name == envelope.target.mailbox
                ):
                    self.frames[envelope.id], self.commands[envelope.id] = (queue, frame), envelope
                    if self._when is When.AT_ONCE:
                        await self._again(envelope.id)
                case Response() if queue.name == envelope.target.mailbox and envelope.answers in self.frames:
                    answers = self.answers.setdefault(envelope.answers, [])
                    answers.append(envelope)
                    if self._when is When.AFTER_THE_ANSWER and len(answers) == 1:
                        await self._again(envelope.answers)
                    if self._when is When.AFTER_ITS_UNDO:
                        await self._too_late(self.commands[envelope.answers])

    async def _again(self, command: bytes) -> None:
        for _ in range(COPIES):
            await self.again(command)

    async def _too_late(self, undo: Targeted) -> None:
        assert undo.key is not None
        execute = attrs.evolve(undo.key, is_undo=False)
        for command in [each for each in self.commands.values() if undo.key.is_undo and each.key == execute]:
            self.late.append(command.id)
            self.answers.pop(command.id, None)  # What it was answered when it came in time.
            await self.again(command.id)

    async def again(self, command: bytes) -> None:
        """Deliver a command once more."""
        await super().send(*self.frames[command])


def _is_command(envelope: Targeted) -> bool:
    return envelope.key is not None and not envelope.key.is_plain


#: Every plan has its part in these.
STORY: Final[tuple[Order, ...]] = (
    clouds.create(), STOP, START, clouds.power(Goal.SOFT_DELETE), clouds.power(Goal.RESTORE), REBOOT,
    SNAPSHOT, BACKUP, clouds.REBUILD, clouds.live_migrate(),
    clouds.live_migrate(clouds.SOURCE_HOST), clouds.wire(Goal.RESET_NETWORK),
    clouds.wire(Goal.INJECT_NETWORK_INFO), REPAIR, clouds.migrate(clouds.NEAR_HOST), CONFIRM,
    clouds.migrate(clouds.SOURCE_HOST), REVERT, clouds.swap(), clouds.resize(), clouds.attach(),
    clouds.swap("spare", "data"), clouds.detach(), REVERT, clouds.migrate(), CONFIRM,
    clouds.resize(host=clouds.SOURCE_HOST), DELETE,
)  # fmt: skip
VOLUME_STORY: Final[tuple[Order, ...]] = (clouds.create(Backing.VOLUME), clouds.resize(), REVERT)
STORIES: Final = [
    pytest.param(STORY, When.AT_ONCE, id="image-backed, at once"),
    pytest.param(STORY, When.AFTER_THE_ANSWER, id="image-backed, after the answer"),
    pytest.param(VOLUME_STORY, When.AT_ONCE, id="volume-backed, at once"),
]
COPIES: Final = 2
#: Of a server whose record its cell has lost: `tests/scenarios/test_mirror.py` deletes one.
ELSEWHERE: Final = frozenset({"erase_lost"})


def told(orders: tuple[Order, ...], wire: EchoWire) -> Dump:
    """Carry the orders out, from the beginning of time, and dump what there is then."""

    async def main() -> Dump:
        async with cloud(*orders, world=World(WIDE, wires=lambda _process: wire)) as world:
            return await dump(world)

    return run(main)


@pytest.mark.parametrize(("orders", "when"), STORIES)
def test_a_command_delivered_again_and_again_is_carried_out_once(orders: tuple[Order, ...], when: When) -> None:
    """The final world is the one without repeats, times, versions and permits included, and all answers are alike."""
    wire = EchoWire(when)
    plain, repeated = told(orders, EchoWire(When.NEVER)), told(orders, wire)
    assert repeated.truth.cells == plain.truth.cells
    assert repeated.truth.partners == plain.truth.partners
    assert attrs.evolve(repeated.truth, calls=()) == attrs.evolve(plain.truth, calls=()), "hosts, volumes, journals"
    assert (repeated.rows, repeated.history) == (plain.rows, plain.history), "what hosts have stored"
    assert broken_promises(repeated) == ()
    for command, answers in wire.answers.items():
        assert len(answers) == 1 + COPIES, wire.commands[command]
        assert len({(answer.body, answer.is_error) for answer in answers}) == 1, wire.commands[command]


@pytest.mark.anyio
async def test_the_story_has_every_command_of_every_plan() -> None:
    """A step that is added later is repeated too, or this says that the story lacks it."""
    wire = EchoWire(When.NEVER)
    async with cloud(*STORY, world=World(WIDE, wires=lambda _process: wire)):
        pass
    sent = {envelope.key.step for envelope in wire.commands.values() if envelope.key is not None}
    assert sent >= {step.name for goal in Goal for step in PLANS[goal].steps if not step.is_read} - ELSEWHERE


@pytest.mark.anyio
async def test_commands_that_come_after_all_is_over_change_nothing() -> None:
    """Of two moves that are over, every command is delivered again: each is answered that it is stale."""
    wire = EchoWire(When.NEVER)
    async with cloud(
        clouds.create(), clouds.resize(), CONFIRM, STOP, world=World(WIDE, wires=lambda _process: wire)
    ) as world:
        before = await dump(world)
        wire.answers.clear()
        for command in tuple(wire.frames):
            await wire.again(command)
        after = await dump(world)
        assert after.truth.cells == before.truth.cells
        assert after.differences(before) == []
        assert broken_promises(after) == ()
        codes = [decode_error(answer.body).code for answers in wire.answers.values() for answer in answers]
        assert set(codes) == {"stale_epoch"}
        assert len(codes) == len(wire.commands)


@pytest.mark.anyio
@pytest.mark.parametrize("host", [clouds.TARGET_HOST, clouds.NEAR_HOST])
@pytest.mark.parametrize("how", [How.CLEAN, How.DIRTY])
async def test_a_command_that_comes_after_its_undo_is_not_carried_out(how: How, host: str) -> None:
    """A move fails at its last step; each command of it comes once more as soon as it is undone, and is refused."""
    wire, inbox = EchoWire(When.AFTER_ITS_UNDO), TroubledInbox()
    async with cloud(clouds.create(), world=World(WIDE, wires=lambda _process: wire, inbox=inbox)) as world:
        before = await dump(world)
        inbox.trouble = Trouble("spawn_target", how)
        wire.answers.clear()
        with pytest.raises(HypervisorFailed):
            await world.client.finish(clouds.resize(host=host))
        after = await dump(world)
        assert after.differences(before) == []
        assert broken_promises(after, seen=before) == ()
    answers = [answer for command in wire.late for answer in wire.answers[command]]
    assert {decode_error(answer.body).code for answer in answers} == {"superseded"}
    undone = {envelope.key for envelope in wire.commands.values() if envelope.key and envelope.key.is_undo}
    assert len(answers) == len(undone) > 20
