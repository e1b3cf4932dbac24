"""How a command speaks to a running deployment: through the root's broker, with a queue of its own for the answers."""

from __future__ import annotations

import getpass
import sys
from typing import TYPE_CHECKING, Final, TypeVar

import anyio
import attrs

from actors.accounts import CLIENT
from actors.cli.configuring import deployment_of
from actors.cli.failures import NotThere, ServiceAway, leaf, named
from actors.cli.output import console_for
from actors.client import Client
from actors.kernel.post import Pin, Post
from actors.ops.events import MemoryEvents
from actors.ops.system import SystemClock, SystemIds, SystemRandom
from actors.wire.rabbitmq import RabbitWire
from protocol.cell_path import Address, replies_of
from protocol.errors import CallTimeout, CellferryError, NotFound, Unroutable
from protocol.messages.creates import START_CHARS
from protocol.messages.root import PageServers, ServerLine

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from rich.console import Console

    from actors.deployment import Deployment
    from actors.kernel.ports import Clock
    from protocol.requests import Request

T = TypeVar("T")
ADMIN: Final = "admin"
#: How long an answer may take that needs nothing but a look.
LOOK_S: Final = 10.0
#: What ids are made of.
ID_CHARS: Final = frozenset("0123456789abcdef-")


@attrs.frozen(kw_only=True)
class Session:
    """A user who speaks to a deployment, and where he reads: answers, and what goes on meanwhile."""

    client: Client
    deployment: Deployment
    clock: Clock
    out: Console
    progress: Console

    async def look(self, request: Request[T], *, at: str = "cell") -> T:
        """Ask an actor of the root something that changes nothing."""
        return await self.client.ask(Address(self.client.root.cell, at), request, budget_s=LOOK_S)

    async def server(self, text: str) -> ServerLine:
        """Find a server by its name, its id, or the start of that; raise `NotThere`."""
        found = await self.find_server(text)
        if found is None:
            raise NotThere(f"there is no server {text}; list them with: cellferry server list")
        return found

    async def find_server(self, text: str) -> ServerLine | None:
        """Find a server, if there is one; raise `NotThere` when there are several."""
        page = await self.look(PageServers(name=text, limit=2))
        if not page.lines and len(text) >= START_CHARS and set(text) <= ID_CHARS:
            page = await self.look(PageServers(id_start=text, limit=2))
        if not page.lines:
            return None
        if len(page.lines) > 1:
            first, second = (line.mirror.server for line in page.lines)
            raise NotThere(f"{text} is more than one server, {first} and {second} among them; name one by its id")
        return page.lines[0]


def user_here() -> str:
    """Name who gives the command, as this machine knows him."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # No name in this container.
        return ADMIN


def speak(config: Path, work: Callable[[Session], Awaitable[T]]) -> T:
    """Do something with the running deployment of a file; errors say what is away, and what to do."""
    deployment = deployment_of(config)

    async def speaking() -> T:
        root, ids = deployment.cloud.root, SystemIds()
        connecting = RabbitWire.connect(
            deployment.accounts.access(root, CLIENT),
            prefix=deployment.prefix,
            events=MemoryEvents(),
            random=SystemRandom(),
        )
        async with connecting as wire:
            opening = Post(
                me=Address(root, CLIENT), replies=replies_of(CLIENT, ids.new().hex()), wire=wire, ids=ids,
                events=MemoryEvents(), is_passing=True, pin=Pin(deployment.cloud.upgrade.version),
            )  # fmt: skip
            async with opening.open() as post:
                return await work(
                    Session(
                        client=Client(post, incarnation=ids.new().hex()), deployment=deployment, clock=SystemClock(),
                        out=console_for(sys.stdout), progress=console_for(sys.stderr),
                    )
                )  # fmt: skip

    try:
        return anyio.run(speaking)
    except Exception as error:  # The command's edge, where what happened gets its words.
        raise _said(error, deployment, config) from error


def _said(error: Exception, deployment: Deployment, config: Path) -> Exception:
    match first := leaf(error):
        case Unroutable() | CallTimeout():
            return ServiceAway(f"{first}; is the deployment up? Start it with: cellferry run all --config {config}")
        case NotFound(kind="conversation"):
            return NotThere(f"{first}; list them with: cellferry migration list")
        case CellferryError():
            where = f"under [deployment] in {config}"
            return named(error, deployment, wire=where, store=where)
        case _:
            return error
