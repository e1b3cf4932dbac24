"""Consoles: tokens that a cell makes and the root authorises, and that are void when the guest is not where it was."""

from hashlib import sha256
from typing import Final

from protocol.draft import Changes, Draft, need
from protocol.effects.registry import Moment, effect
from protocol.errors import NotFound
from protocol.messages import consoles as say
from protocol.messages import top
from protocol.records import ConsoleGrant, ConsoleToken, Server
from protocol.requests import Done
from protocol.states import PowerState

#: So long a token is good for.
LIFE_US: Final = 600 * 1_000_000


def hash_of(token: str) -> str:
    """Make of a token what is kept of it."""
    return sha256(token.encode()).hexdigest()


def kept(found: say.Console, now_us: int, tokens: tuple[ConsoleToken, ...]) -> Changes:
    """Keep a new token of a server; what has expired of its others goes."""
    row = ConsoleToken(
        token_hash=hash_of(found.token), server=found.server, host=found.host, kind=found.kind, address=found.address,
        port=found.port, created_at_us=now_us, expires_at_us=found.expires_at_us,
    )  # fmt: skip
    return Changes(puts=(row,), drops=tuple(token for token in tokens if token.expires_at_us <= now_us))


def is_void(token: ConsoleToken, server: Server | None) -> bool:
    """Tell whether a token leads nowhere any more: its server is gone, hidden, off, or on another host."""
    if server is None or server.is_hidden or server.host != token.host:
        return True
    return server.power_state is not PowerState.RUNNING


def void_after(changes: Changes, tokens: tuple[ConsoleToken, ...]) -> tuple[ConsoleToken, ...]:
    """List the tokens that a change of their servers has made void."""
    now = {row.uuid: row for row in changes.puts if isinstance(row, Server)}
    return tuple(token for token in tokens if is_void(token, now.get(token.server)))


def grant_of(token: ConsoleToken, cell: str) -> ConsoleGrant:
    """Write what the root is told of a token."""
    return ConsoleGrant(
        token_hash=token.token_hash, server=token.server, cell=cell, host=token.host, kind=token.kind,
        address=token.address, port=token.port, expires_at_us=token.expires_at_us,
    )  # fmt: skip


# --- at the root -------------------------------------------------------------------------------------------


@effect(top.AuthoriseConsole, lambda _: (need(ConsoleGrant),))
def _authorise(draft: Draft, command: top.AuthoriseConsole, moment: Moment) -> Done:
    for row in draft.all(ConsoleGrant):
        if row.expires_at_us <= moment.now_us:
            draft.drop(row)
    draft.put(command.grant)
    return Done()


@effect(top.DeleteConsoleTokens, lambda command: (need(ConsoleGrant, server=command.server),))
def _delete(draft: Draft, command: top.DeleteConsoleTokens, _: Moment) -> Done:
    for row in draft.all(ConsoleGrant, server=command.server):
        if command.cell in {"", row.cell}:
            draft.drop(row)
    return Done()


@effect(top.FindConsole, lambda command: (need(ConsoleGrant, token_hash=hash_of(command.token)),))
def _find(draft: Draft, command: top.FindConsole, moment: Moment) -> ConsoleGrant:
    found = draft.find(ConsoleGrant, token_hash=hash_of(command.token))
    if found is None or found.expires_at_us <= moment.now_us:
        raise NotFound(kind="console", name="that token (it may have expired)")
    return found
