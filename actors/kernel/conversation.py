"""Runs conversations: writes each intent, sends the command until it is answered, writes the outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, assert_never

import anyio
import attrs

from actors.kernel.fences import Fences
from actors.kernel.leases import Leases
from actors.kernel.noting import Noting
from actors.kernel.pauses import CALL_BUDGET_S, GATHER_BUDGET_S, PATIENCE_S, backoff_s
from actors.kernel.ports import Lease
from actors.kernel.post import Stamp
from actors.kernel.sweeper import Sweeper
from actors.kernel.watched import Watched
from protocol import pins
from protocol.bodies import encode_body
from protocol.envelope import Context
from protocol.errors import CellferryError, ErrorReport, StaleEpoch, StoreUnavailable, report
from protocol.journal import Entry, Journal, Kind
from protocol.requests import Close, Form, Request
from protocol.saga import CloseAll, Finish, Over, Plan, Release, Send, may_be_aborted, next_command

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.abc import TaskGroup

    from actors.kernel.ports import Clock, Journals, Random, Store
    from actors.kernel.post import Post
    from protocol.cell_path import Address
    from protocol.states import Goal

#: How often it is looked for news of a conversation that another replica carries out.
FOLLOW_S: Final = 0.2
#: What comes of a command that is not waited for any more, since its conversation is to end.
ENDED: Final = object()


class Conversations:
    """The conversations of one conductor replica."""

    def __init__(
        self, *, post: Post, store: Store, journals: Journals, clock: Clock, random: Random, owner: str,
        plan_of: Callable[[Goal], Plan],
    ) -> None:  # fmt: skip
        self._post = post
        self._store = store
        self._journals = journals
        self._clock = clock
        self._random = random
        self._owner = owner
        self._plan_of = plan_of
        self._running: dict[str, Watched] = {}
        self._given_up: set[str] = set()  # What a mistake of ours ended: it would meet it again.
        self._leases: Leases | None = None
        self.fences = Fences(post)
        self.noting = Noting(post.events)
        self._sweeper = Sweeper(post=post, store=store, journals=journals, plan_of=plan_of, pause_s=self.pause_s)

    def lease(self, conversation: str, server: str) -> Lease:
        """Say that this replica has a conversation from now on."""
        return Lease(conversation=conversation, server=server, owner=self._owner)

    async def resume(self, tasks: TaskGroup) -> None:
        """Go on with what this slot had; from now on, take over what others let lie, and sweep after all."""
        self._given_up.clear()

        def adopt(conversation: str) -> None:
            if conversation not in self._given_up:
                self.start(conversation, tasks)

        leases = self._leases = Leases(
            store=self._store, journals=self._journals, events=self._post.events, owner=self._owner,
            runs=self._running.keys, adopt=adopt,
        )  # fmt: skip
        await leases.inherit()
        tasks.start_soon(leases.run, name="leases")
        tasks.start_soon(self._sweeper.run, name="sweeper")

    async def let_go(self) -> None:
        """Leave everything to others, once this replica carries nothing out any more."""
        if self._leases is not None:
            await self._leases.let_go()

    async def go_on(self, conversation: str, tasks: TaskGroup) -> None:
        """Go on with a conversation in the background if it is this replica's; another's is left to that one."""
        try:
            await self._store.transact(self._journals.epoch, conversation, owner=self._owner)
        except StaleEpoch:
            return
        self._given_up.discard(conversation)
        self.start(conversation, tasks)

    def start(self, conversation: str, tasks: TaskGroup) -> None:
        """Go on with a conversation, in the background, unless this replica does already."""
        if conversation not in self._running:
            self._running[conversation] = Watched()
            tasks.start_soon(self._run, conversation, name=f"conversation {conversation}")

    def is_running(self, conversation: str) -> bool:
        """Tell whether this replica is carrying a conversation out."""
        return conversation in self._running

    async def changed(self, conversation: str, *, seen: int) -> tuple[Journal, str | None]:
        """Wait until a conversation's journal has more than `seen` entries; give it, and what it waits for.

        Whichever replica carries it out: of what is not this one's the store tells, now and then.
        """
        while True:
            while (watched := self._running.get(conversation)) is not None and watched.count <= seen:
                await watched.changed.wait()
            journal, waits_for = await self.read(conversation)
            if len(journal.entries) > seen or journal.entries[-1].kind is Kind.RELEASED:
                return journal, waits_for
            await anyio.sleep(FOLLOW_S)

    async def read(self, conversation: str) -> tuple[Journal, str | None]:
        """Give a conversation's journal as it is, and what it waits for."""
        watched = self._running.get(conversation)
        if watched is not None and watched.journal is not None:
            return watched.journal, watched.waits_for
        return await self._store.transact(self._journals.standing, conversation)

    # --- one conversation --------------------------------------------------------------------------------------

    async def _run(self, conversation: str) -> None:
        try:
            await self._steadily(conversation)
            self._sweeper.wake()
        except StaleEpoch as error:
            self._post.events.emit("conversation_lost", conversation=conversation, error=str(error))
        except Exception as error:  # noqa: BLE001  our mistake in one conversation must not end the others
            self._given_up.add(conversation)
            self._post.events.emit("conversation_failed", conversation=conversation, error=repr(error))
            await self._store.transact(self._journals.park, conversation, f"a mistake of cellferry: {error!r}")
        finally:
            watched = self._running.pop(conversation)
            watched.changed.set()

    async def _carry_out(self, conversation: str) -> None:
        epoch = await self._store.transact(self._journals.epoch, conversation, owner=self._owner)
        # What was written last may be there although the store said that it is away: only the store knows.
        journal, waits_for = await self._store.transact(self._journals.standing, conversation)
        self._tell(journal, waits_for)
        run = _Run(self, journal, self._plan_of(journal.goal), epoch)
        run.ends_for = await self.ends_for(journal)
        await run.to_its_end()

    async def _steadily(self, conversation: str) -> None:
        """Carry it out; begin again, from what the store has, for as long as the store is away now and then."""
        tries = 0
        while True:
            try:
                return await self._carry_out(conversation)
            except StoreUnavailable as error:
                self._post.events.emit("conversation_waits", conversation=conversation, error=str(error), tries=tries)
            await anyio.sleep(self.pause_s(tries))
            tries += 1

    async def mark_swept(self, journal: Journal) -> None:
        """Write that no receiver remembers a conversation any more."""
        await self._store.transact(self._journals.swept, journal.conversation)

    def written(self, value: object) -> bytes:
        """Write what a journal is to keep, as other replicas of the conductor read it, too."""
        return pins.written(value, pin=self._post.pin.version)

    async def append(self, journal: Journal, entry: Entry) -> tuple[Journal, bytes | None]:
        """Make an entry durable, and tell whoever watches; give also the cause for which it is to end, if any."""
        ends_for = await self._store.transact(self._journals.append, journal.conversation, entry)
        after = journal.followed_by(entry)
        self._tell(after, None)
        return after, ends_for

    async def ends_for(self, journal: Journal) -> bytes | None:
        """Give the cause for which a conversation is to end, if somebody wants that."""
        return await self._store.transact(self._journals.ends_for, journal.conversation)

    async def park(self, journal: Journal, waits_for: str | None) -> None:
        """Make durable what a conversation waits for; raise `StaleEpoch` when another conductor has it."""
        await self.epoch_of(journal)
        await self._store.transact(self._journals.park, journal.conversation, waits_for)
        if waits_for is not None and self._running[journal.conversation].waits_for is None:  # Told once, not each try.
            self.noting.parked(journal, waits_for)
        self._tell(journal, waits_for)

    def _tell(self, journal: Journal, waits_for: str | None) -> None:
        watched = self._running[journal.conversation]
        watched.journal, watched.waits_for = journal, waits_for
        watched.changed.set()
        watched.changed = anyio.Event()

    async def pause(self, journal: Journal, tries: int) -> None:
        """Wait before the next try, unless somebody wakes the conversation."""
        with anyio.move_on_after(self.pause_s(tries)):
            await self._running[journal.conversation].woken.wait()

    def wake(self, conversation: str) -> anyio.Event | None:
        """Have a conversation that waits try again now; give what its next news will set.

        None: this replica does not carry it out.
        """
        watched = self._running.get(conversation)
        if watched is None:
            return None
        watched.woken.set()
        watched.woken = anyio.Event()
        return watched.changed

    async def epoch_of(self, journal: Journal) -> int:
        """Give the epoch that a conversation is at; raise `StaleEpoch` when another conductor has it."""
        return await self._store.transact(self._journals.epoch, journal.conversation, owner=self._owner)

    async def renew(self, journal: Journal) -> int:
        """Take the next epoch for a conversation; raise `StaleEpoch` when another conductor has it."""
        return await self._store.transact(self._journals.renew, journal.conversation, owner=self._owner)

    async def lowest_open(self, *, but: str) -> int:
        """Give the lowest epoch of the conversations that are not closed, `but` left out."""
        return await self._store.transact(self._journals.lowest_open, but=but)

    async def ask(self, to: Address, send: Send, stamp: Stamp, *, waited_s: float) -> Any:
        """Send a command once; give its reply or raise the error."""
        if type(send.request).METHOD.form is Form.BROADCAST:
            return await self._post.gather(send.request, budget_s=GATHER_BUDGET_S)
        budget_s = send.step.budget_s(CALL_BUDGET_S, waited_s=waited_s)
        asking = self._post.call(to, send.request, stamp=stamp, budget_s=budget_s)
        return await self.fences.answer(asking, send, stamp)

    async def tell(self, to: Address, request: Request[Any], stamp: Stamp) -> None:
        """Send once what is not a step."""
        await self._post.call(to, request, stamp=stamp, budget_s=CALL_BUDGET_S)

    def report(self, error: CellferryError) -> ErrorReport:
        """Describe an error for the journal."""
        return report(error, cell=str(self._post.me.cell))

    def now_us(self) -> int:
        """Tell the time for an entry."""
        return self._clock.now_us()

    def pause_s(self, tries: int) -> float:
        """Tell how long to wait before the next try."""
        return backoff_s(tries, self._random.uniform())


class _Run:
    """One conversation on its way to its end."""

    def __init__(self, all_: Conversations, journal: Journal, plan: Plan, epoch: int) -> None:
        self._all = all_
        self._journal = journal
        self._plan = plan
        self._epoch = epoch
        self._is_swept = False  # Whether its own closing made every receiver forget it.
        self.ends_for: bytes | None = None  # The cause for which somebody wants it to end.

    async def to_its_end(self) -> None:
        while True:
            if self.ends_for is not None and may_be_aborted(self._plan, self._journal):
                await self._write(Kind.ABORTED, payload=self.ends_for)
            decision = next_command(self._plan, self._journal)
            match decision:
                case Send():
                    await self._exchange(decision)
                case Finish(ending=ending):
                    await self._write(Kind.END, payload=self._all.written(ending))
                    self._all.noting.end(self._journal, is_success=ending.is_success)
                case CloseAll(receivers=receivers):
                    await self._close(receivers)
                case Release(address=address, request=request):
                    await self._insist("release", address, request, Stamp(server=self._journal.server))
                    await self._write(Kind.RELEASED)
                    if self._is_swept:
                        await self._all.mark_swept(self._journal)
                case Over():
                    return
                case _:
                    assert_never(decision)

    async def _exchange(self, send: Send) -> None:
        with self._all.noting.step(self._journal, send) as going:
            going.outcome = await self._carry_out(send, going.trace_parent)

    async def _carry_out(self, send: Send, trace_parent: bytes) -> str:
        last = self._journal.entries[-1]
        mine = (Kind.INTENT, send.step.name, send.attempt, send.is_undo)
        if (last.kind, last.step, last.attempt, last.is_undo) != mine:
            if send.pause_s:
                await self._all.park(self._journal, f"{send.step.name}: there was nothing to choose; it is tried again")
                await anyio.sleep(send.pause_s)
            await self._write(Kind.INTENT, send, trace_parent)
        outcome = await self._answer(send)
        if outcome is ENDED:
            return "ended"
        if isinstance(outcome, CellferryError):
            await self._write(Kind.REFUSED, send, encode_body(self._all.report(outcome)))
            return "refused"
        return await self._write_outcome(send, outcome, self._all.written(outcome))

    async def _write_outcome(self, send: Send, reply: Any, payload: bytes) -> str:
        # An objection reads the reply through the journal, as every later step will: so it is entered on trial.
        done = self._entry(Kind.DONE, send, payload)
        story = attrs.evolve(send.story, journal=self._journal.followed_by(done))
        objection = None if send.is_undo else send.step.objection(story, reply)
        if objection is not None:
            done = self._entry(Kind.REFUSED, send, encode_body(self._all.report(objection)))
        self._journal, self.ends_for = await self._all.append(self._journal, done)
        return done.kind.value

    async def _answer(self, send: Send) -> Any:
        tries, since_s = 0, anyio.current_time()
        patience_s = PATIENCE_S if send.step.patience_s is None else send.step.patience_s
        while True:
            waited_s = anyio.current_time() - since_s
            try:
                return await self._all.ask(send.address, send, self._stamp(send), waited_s=waited_s)
            except StaleEpoch as error:
                # A newer conversation had the server, or the receiver was told to close it.  That is no refusal yet:
                # whoever still has his conversation asks under the next epoch, and hears what the receiver thinks.
                self._epoch = await self._all.renew(self._journal)
                await self._all.park(self._journal, f"{send.step.name} at {send.address}: {error}")
            except CellferryError as error:
                # A refusal is an outcome; anything else leaves it unknown, and unknown means: ask again.
                is_patient = error.is_retryable and anyio.current_time() - since_s < patience_s
                if not send.must_succeed and not is_patient:
                    return send.step.outcome(send.story, error)
                await self._all.park(self._journal, f"{send.step.name} at {send.address}: {error}")
            self.ends_for = await self._all.ends_for(self._journal)
            if self.ends_for is not None and may_be_aborted(self._plan, self._journal):
                # Whatever became of the command, it is undone now; its undo tells it not to happen any more.
                return ENDED
            await self._all.pause(self._journal, tries)
            tries += 1
            self._all.noting.retry(send)

    def _stamp(self, send: Send) -> Stamp:
        return Stamp(
            server=self._journal.server,
            key=None if send.step.is_read else send.key,
            epoch=0 if send.step.is_read else self._epoch,
            context=Context(request_id=self._journal.conversation),
        )

    async def _close(self, receivers: tuple[Address, ...]) -> None:
        self._epoch = await self._all.renew(self._journal)
        lowest_open = await self._all.lowest_open(but=self._journal.conversation)
        self._is_swept = lowest_open > self._epoch
        request = Close(server=self._journal.server, conversation=self._journal.conversation, lowest_open=lowest_open)
        stamp = Stamp(server=self._journal.server, epoch=self._epoch)
        failures: list[CellferryError] = []

        async def close(receiver: Address) -> None:
            try:
                await self._insist("close", receiver, request, stamp)
            except CellferryError as error:
                # Not let out into the group: as part of a group nobody would know it for what it is.
                failures.append(error)
                tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            for receiver in receivers:
                tasks.start_soon(close, receiver)
        if failures:
            raise failures[0]
        await self._write(Kind.CLOSED)

    async def _insist(self, what: str, to: Address, request: Request[Any], stamp: Stamp) -> None:
        """Send what is not a step until it is done; sending it again is harmless."""
        tries = 0
        while True:
            try:
                await self._all.tell(to, request, stamp)
            except CellferryError as error:
                if await self._all.fences.is_fenced(to):
                    return  # What it was told is void when its fence is lifted: that closes it, too.
                await self._all.park(self._journal, f"{what} at {to}: {error}")
            else:
                return
            await self._all.pause(self._journal, tries)
            tries += 1

    def _entry(self, kind: Kind, send: Send | None, payload: bytes) -> Entry:
        return Entry(
            seq=len(self._journal.entries),
            epoch=self._epoch,
            kind=kind,
            at_us=self._all.now_us(),
            step=send.step.name if send else "",
            attempt=send.attempt if send else 0,
            is_undo=send.is_undo if send else False,
            payload=payload,
        )

    async def _write(self, kind: Kind, send: Send | None = None, payload: bytes = b"") -> None:
        entry = self._entry(kind, send, payload)
        self._journal, self.ends_for = await self._all.append(self._journal, entry)
