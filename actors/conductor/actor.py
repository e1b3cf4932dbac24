"""The actor that takes users' orders: it journals each, has the root take the server for it, and carries it out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, get_args

import anyio

from actors.conductor.changing import Changing
from actors.conductor.chores import Chores
from actors.conductor.fencing import Fencing
from actors.conductor.removing import Removing
from actors.kernel.actor import Actor
from actors.kernel.conversation import Conversations
from actors.kernel.handlers import Ensuring
from actors.store.listings import conversation_page, find_create
from protocol.bodies import encode_body
from protocol.errors import InvalidValue, NothingToRetry, Unavailable, report, revive
from protocol.ids import derived_id
from protocol.journal import Journal, Kind, ending_of
from protocol.messages import orders as say
from protocol.messages.changes import ChangeServer
from protocol.messages.creates import FindCreate, FoundCreate
from protocol.messages.handing import TakeBuild, TakeOrder
from protocol.messages.tree import RemoveCell
from protocol.moves.chores import NEVER, Waits
from protocol.moves.crossing import FREELY, Crossing
from protocol.moves.parties import OWE, brief_of
from protocol.moves.plans import PLANS
from protocol.moves.queueing import TurnAway, admit, ended_by, verdict
from protocol.saga import address_of

if TYPE_CHECKING:
    from anyio.abc import TaskGroup, TaskStatus

    from actors.kernel.ports import Clock, Connection, Inbox, Journals, Random, Store
    from actors.kernel.post import Post
    from protocol.effects.registry import Moment

#: How long an order waits for its decision before it is to be asked again: less than whoever placed it waits.
DECIDED_S: Final = 25.0
#: How long an order that has the server waits for its cell to let it in, and one that it did not let in for its server
#: to be free again: a cell that is away holds up no user.
LET_IN_S: Final = 3.0
#: How long a watch waits for news before it says that there is none.
WATCH_S: Final = 20.0
#: How long whoever has a conversation try again waits for what comes of it.
RETRY_S: Final = 20.0


#: What users ask.
ORDERS: Final[tuple[type[say.Order], ...]] = get_args(say.Order)


class Conductor:
    """One replica of the conductor."""

    def __init__(
        self, *, post: Post, store: Store, inbox: Inbox, journals: Journals, clock: Clock, random: Random, owner: str,
        waits: Waits = NEVER, crossing: Crossing = FREELY,
    ) -> None:  # fmt: skip
        self._root = post.me.cell
        self._store = store
        self._crossing = crossing
        self._journals = journals
        self._conversations = Conversations(
            post=post, store=store, journals=journals, clock=clock, random=random, owner=owner,
            plan_of=PLANS.__getitem__,
        )  # fmt: skip
        self._chores = Chores(
            post=post, store=store, journals=journals, clock=clock, conversations=self._conversations, waits=waits
        )  # fmt: skip
        self._fencing = Fencing(post=post, store=store, journals=journals)
        takes = ORDERS
        self._actor = Actor(
            post=post, store=store, inbox=inbox, clock=clock,
            handlers=(
                # What a restart goes on with is the conversation.
                *(Ensuring(request=order, accept=self._begin, ensure=self._take, is_resumed=False) for order in takes),
                Ensuring(request=TakeOrder, accept=self._begin_handed, ensure=self._take_handed, is_resumed=False),
                Ensuring(request=TakeBuild, accept=self._begin_handed, ensure=self._take_handed, is_resumed=False),
                Ensuring(request=say.WatchConversation, ensure=self._watch),
                Ensuring(request=say.ListConversations, ensure=self._list),
                Ensuring(request=FindCreate, ensure=self._find_create),
                Ensuring(request=say.RetryConversation, ensure=self._retry),
                Ensuring(request=say.FenceHost, ensure=self._fencing.fence),
                Ensuring(request=say.UnfenceHost, ensure=self._fencing.unfence),
                Ensuring(request=RemoveCell, ensure=Removing(post=post, store=store, journals=journals).remove),
                Ensuring(request=ChangeServer, ensure=Changing(post=post).change),
            ),
        )  # fmt: skip
        self._tasks: TaskGroup | None = None

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Go on with what this slot left open, then take orders until cancelled; whoever is left has all that then."""
        try:
            async with anyio.create_task_group() as tasks:
                self._tasks = tasks
                await self._conversations.resume(tasks)
                self._chores.start(tasks)
                await self._actor.run(task_status=task_status)
        finally:
            await self._conversations.let_go()

    def tune(self, *, waits: Waits, crossing: Crossing) -> None:
        """Take up what was decided anew: what begins from now on is decided by it."""
        self._crossing = crossing
        self._chores.tune(waits)

    def _begin(self, connection: Connection, order: Any, moment: Moment) -> None:
        goal, lease = order.goal, self._conversations.lease(derived_id(moment.key), order.server)
        others = self._journals.others(connection, order.server, but=lease.conversation)
        admission = admit(goal, server=order.server, others=others)
        if isinstance(admission, TurnAway):
            raise admission.error
        for other in admission.ends:
            cause = ended_by(order.server, other.goal, lease.conversation)
            self._journals.end(connection, other.conversation, cause=encode_body(report(cause, cell=str(self._root))))
        brief = brief_of(self._root, order, is_queued=bool(admission.ends), crossing=self._crossing)
        payload = self._conversations.written(brief)
        self._journals.begin(connection, lease, goal=goal, payload=payload, at_us=moment.now_us)

    async def _take(self, order: Any, moment: Moment) -> say.Accepted:
        self._require_key(moment)
        assert self._tasks is not None, "the conductor is not running"
        conversation = derived_id(moment.key)
        await self._conversations.go_on(conversation, self._tasks)
        journal, waits_for = await self._conversations.read(conversation)
        with anyio.move_on_after(DECIDED_S):
            while verdict(journal) is None:
                journal, waits_for = await self._conversations.changed(conversation, seen=len(journal.entries))
        with anyio.move_on_after(LET_IN_S):
            while (found := verdict(journal)) is not None and found.is_open:
                journal, waits_for = await self._conversations.changed(conversation, seen=len(journal.entries))
        decided = verdict(journal)
        if decided is None:
            raise Unavailable(what=f"conversation {conversation}", reason=waits_for or "it is not decided yet")
        if decided.refusal is not None:
            raise revive(decided.refusal)
        return say.Accepted(conversation=conversation, server=order.server)

    def _begin_handed(self, connection: Connection, request: TakeOrder | TakeBuild, moment: Moment) -> None:
        self._begin(connection, request.order, moment)

    async def _take_handed(self, request: TakeOrder | TakeBuild, moment: Moment) -> say.Accepted:
        """Begin what a cell has handed on, and wait for nothing: others of it wait behind this one."""
        self._require_key(moment)
        assert self._tasks is not None, "the conductor is not running"
        conversation = derived_id(moment.key)
        await self._conversations.go_on(conversation, self._tasks)
        return say.Accepted(conversation=conversation, server=request.order.server)

    def _require_key(self, moment: Moment) -> None:
        if not moment.key:
            raise InvalidValue(name="key", value=None, rule="an order needs one, so that it is taken once")

    async def _watch(self, request: say.WatchConversation, _moment: Moment) -> say.Progress:
        journal, waits_for = await self._conversations.read(request.conversation)
        with anyio.move_on_after(WATCH_S):
            journal, waits_for = await self._conversations.changed(request.conversation, seen=request.seen)
        return progress(journal, seen=request.seen, parked=waits_for)

    async def _list(self, request: say.ListConversations, _moment: Moment) -> say.ConversationPage:
        return await self._store.transact(conversation_page, request)

    async def _find_create(self, request: FindCreate, _moment: Moment) -> FoundCreate:
        return await self._store.transact(find_create, request)

    async def _retry(self, request: say.RetryConversation, _moment: Moment) -> say.Retried:
        journal, waited_for = await self._conversations.read(request.conversation)
        if waited_for is None:
            state = "over" if journal.entries[-1].kind is Kind.RELEASED else "under way"
            raise NothingToRetry(
                goal=journal.goal.value, conversation=journal.conversation, server=journal.server, state=state
            )
        with anyio.move_on_after(RETRY_S) as heard:
            await self._try_again(journal)
        after, waits_for = await self._conversations.read(request.conversation)
        return say.Retried(
            waited_for=waited_for,
            went_on=len(after.entries) > len(journal.entries),
            waits_for=waits_for,
            is_trying=heard.cancelled_caught,
        )

    async def _try_again(self, journal: Journal) -> None:
        """Have a conversation try again; return when there is news of it."""
        news = self._conversations.wake(journal.conversation)
        if news is not None:
            await news.wait()
            return
        # A mistake of ours has ended it, unless it is another's: it is begun anew.
        assert self._tasks is not None, "the conductor is not running"
        await self._conversations.go_on(journal.conversation, self._tasks)
        if not self._conversations.is_running(journal.conversation):
            raise Unavailable(what=f"conversation {journal.conversation}", reason="another conductor has it")
        await self._conversations.changed(journal.conversation, seen=len(journal.entries))


def progress(journal: Journal, *, seen: int, parked: str | None) -> say.Progress:
    """Tell what is new in a journal, and how it stands."""
    plan = PLANS[journal.goal]
    news = []
    for entry in journal.entries[seen:]:
        actor = str(address_of(plan, journal, entry)) if entry.step else ""
        news.append(say.StepNews(entry=entry, actor=actor))
    return say.Progress(
        news=tuple(news),
        parked=parked,
        ending=ending_of(journal),
        is_closed=journal.entries[-1].kind is Kind.RELEASED,
        owes=OWE in journal.facts.names and journal.entries[-1].kind is not Kind.RELEASED,
    )
