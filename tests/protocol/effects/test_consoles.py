"""Tokens at the root, and what makes one void."""

from __future__ import annotations

import attrs
import pytest

from protocol.draft import Changes
from protocol.effects.consoles import LIFE_US, grant_of, hash_of, is_void, kept, void_after
from protocol.effects.news import news
from protocol.errors import NotFound
from protocol.messages.consoles import Console
from protocol.messages.top import AuthoriseConsole, DeleteConsoleTokens, FindConsole
from protocol.records import ConsoleGrant, ConsoleToken
from protocol.states import PowerState
from tests.protocol.effects.ledger import MOMENT, Ledger
from tests.protocol.effects.test_usage import SERVER

RUNNING = attrs.evolve(SERVER, power_state=PowerState.RUNNING)
SECRET = hash_of("a secret")
CONSOLE = Console(
    token=SECRET, server="web", host="h1", kind="tcp", address="127.0.0.1", port=7, expires_at_us=LIFE_US
)  # fmt: skip


def token(console: Console = CONSOLE) -> ConsoleToken:
    """Give what is kept of a console."""
    [row] = kept(console, 0, ()).puts
    assert isinstance(row, ConsoleToken)
    return row


def test_the_old_cells_word_does_not_void_the_new_ones_token() -> None:
    """The news of two cells may come in any order: each voids its own tokens only, and an operator all."""
    ledger = Ledger()
    for cell in ("api!eu", "api!us"):
        other = attrs.evolve(CONSOLE, token=SECRET + cell)
        ledger.do(AuthoriseConsole(grant=grant_of(token(other), cell)))
    ledger.do(DeleteConsoleTokens(server="web", cell="api!eu"))
    assert [row.cell for row in ledger.all(ConsoleGrant)] == ["api!us"]
    ledger.do(DeleteConsoleTokens(server="web"))
    assert not ledger.all(ConsoleGrant)


def test_what_has_expired_leads_nowhere_and_goes_with_the_next_one() -> None:
    """To the microsecond, by the root's clock."""
    ledger = Ledger()
    ledger.do(AuthoriseConsole(grant=grant_of(token(), "api!eu")))
    assert ledger.do(FindConsole(token=SECRET), attrs.evolve(MOMENT, now_us=LIFE_US - 1)).port == 7
    late = attrs.evolve(MOMENT, now_us=LIFE_US)
    for wrong in (SECRET, hash_of(SECRET), ""):
        with pytest.raises(NotFound):
            ledger.do(FindConsole(token=wrong), late)
    newer = attrs.evolve(CONSOLE, token=SECRET * 2, expires_at_us=9 * LIFE_US)
    ledger.do(AuthoriseConsole(grant=grant_of(token(newer), "api!eu")), late)
    assert [row.token_hash for row in ledger.all(ConsoleGrant)] == [hash_of(SECRET * 2)]
    assert kept(newer, LIFE_US, (token(),)).drops == (token(),)


def test_a_token_is_void_when_its_guest_is_not_where_it_was() -> None:
    """Off, hidden, elsewhere, or gone; another server's change is none of its own."""
    assert not is_void(token(), RUNNING)
    for change in ({"power_state": PowerState.SHUTDOWN}, {"is_hidden": True}, {"host": "h2"}):
        assert void_after(Changes(puts=(attrs.evolve(RUNNING, **change),)), (token(),)) == (token(),)
    assert void_after(Changes(drops=(RUNNING,)), (token(),)) == (token(),)
    assert void_after(Changes(puts=(RUNNING,)), (token(),)) == ()


def test_the_root_hears_of_each_token_and_once_of_those_that_are_void() -> None:
    """One that only makes room for a newer one is void by its age: no word about it."""
    moment = attrs.evolve(MOMENT, cell="api!eu")
    other = token(attrs.evolve(CONSOLE, token=SECRET * 2))
    [told] = news(Changes(puts=(token(),), drops=(other,)), moment)
    assert told.request == AuthoriseConsole(grant=grant_of(token(), "api!eu"))
    [void] = news(Changes(drops=(token(), other)), moment)
    assert void.request == DeleteConsoleTokens(server="web", cell="api!eu")
