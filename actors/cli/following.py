"""Follows a conversation: a line a step, and on a terminal what it is doing right now; until its user has it done."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import anyio
import attrs

from actors.cli.failures import within
from actors.cli.output import StepLines, short
from protocol.cell_path import Address
from protocol.errors import revive
from protocol.journal import Kind
from protocol.messages.orders import Accepted, ListConversations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from actors.cli.speaking import Session
    from protocol.messages.orders import Progress, StepNews

#: How often it is asked what a conversation waits for.
REASON_S: Final = 2.0


class Screen:
    """Shows steps as they come; below them, on a terminal, the one under way and what it waits for."""

    def __init__(self, console: Console, *, tell_doing: Callable[[str], None]) -> None:
        """Write to the console."""
        self._lines = StepLines(console)
        self._tell_doing = tell_doing
        self._doing = ""
        self._reason: str | None = None

    def begin(self, server: str, what: str) -> None:
        """Show a heading."""
        self._lines.begin(server, what)

    def say(self, text: str) -> None:
        """Show a line of its own."""
        self._lines.say(text)

    def tell(self, news: StepNews) -> None:
        """Show an entry of the journal."""
        self._lines.tell(news)
        if news.entry.kind is Kind.INTENT:
            undo = "undo: " if news.entry.is_undo else ""
            self._doing = f"{undo}{news.entry.step} at {Address.parse(news.actor)}"
            self._tell_doing(self._doing)

    def waits(self, reason: str | None) -> None:
        """Show what the conversation waits for, when that is something new."""
        if reason is not None and reason != self._reason:
            self._lines.say(f"waits: {reason}")
        self._reason = reason


@contextmanager
def screen_on(console: Console) -> Iterator[Screen]:
    """Open a screen: a living last line on a terminal, plain lines elsewhere."""
    if not console.is_terminal:
        yield Screen(console, tell_doing=lambda _: None)
        return
    with console.status("") as status:
        yield Screen(console, tell_doing=status.update)


async def follow(session: Session, accepted: Accepted, screen: Screen, *, to_the_end: bool = False) -> Progress:
    """Follow a conversation until its user has it done, or to the end of all clean-up; give all that it told."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_tell_reasons, session, accepted, screen)
        progress = await session.client.watch(accepted, seen=0)
        told: list[StepNews] = []
        while True:
            for news in progress.news:
                if news.entry.step:
                    screen.tell(news)
            told.extend(progress.news)
            if progress.is_closed or (progress.owes and not to_the_end):
                break
            progress = await session.client.watch(accepted, seen=len(told))
        tasks.cancel_scope.cancel()
    return attrs.evolve(progress, news=tuple(told))


async def _tell_reasons(session: Session, accepted: Accepted, screen: Screen) -> None:
    """Say what the conversation waits for: its journal has no entry of that."""
    while True:
        await anyio.sleep(REASON_S)
        page = await session.look(ListConversations(id_start=accepted.conversation, limit=1), at="conductor")
        screen.waits(page.lines[0].waits_for if page.lines else None)


async def finish(session: Session, accepted: Accepted, *, what: str, name: str, timeout_s: float | None) -> Progress:
    """Follow an order to where its user has it done, in time; raise the cause with which it failed."""
    said = (
        f"{what} of {name} goes on, and has not ended; watch it with: cellferry migration watch {accepted.conversation}"
    )
    with screen_on(session.progress) as screen, within(timeout_s, said):
        screen.begin(name, f"{what} (conversation {short(accepted.conversation)})")
        progress = await follow(session, accepted, screen)
    if progress.ending is not None and progress.ending.cause is not None:
        raise revive(progress.ending.cause)
    if progress.owes:
        session.progress.print("done; what is left to clean up is owed, and tried until it is done")
    return progress
