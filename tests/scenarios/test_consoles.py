"""Consoles: a token leads to the guest as it runs now, and nowhere once it is off, moved, gone, or too old."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import pytest

from protocol.errors import GuestBusy, NotFound
from protocol.messages.consoles import CheckConsole, Console, OpenConsole
from protocol.messages.top import FindConsole
from protocol.records import ConsoleGrant, ConsoleToken
from sim import Scenario
from tests.scenarios.endings import at_rest

HOSTS: Final = {"h1": "api!eu!eu-1", "h2": "api!eu!eu-1", "h4": "api!us"}
DEEP: Final = "api!eu!eu-1"


async def opened(s: Scenario, cell: str = DEEP, *, number: int = 1) -> Console:
    """Open a console, and have the root hear of it."""
    console = await s.call(cell, OpenConsole(server="web"), key=f"visitor:{number}")
    await s.quiet()
    return console


async def is_good(s: Scenario, console: Console) -> bool:
    """Ask as a proxy does: the root where it leads, and then the server's cell whether it still does."""
    try:
        grant = await s.call("api", FindConsole(token=console.token))
    except NotFound:
        return False
    return (await s.call(grant.cell, CheckConsole(server="web", port=grant.port, kind=grant.kind))).is_valid


async def stop(s: Scenario) -> None:
    await (await s.stop("web")).done()


async def migrate(s: Scenario) -> None:
    await (await s.migrate("web", host="h4")).done()


async def migrate_inside(s: Scenario) -> None:
    await (await s.migrate("web", host="h2")).done()


async def delete(s: Scenario) -> None:
    await (await s.delete("web")).done()


@pytest.mark.proves("R91")
@pytest.mark.parametrize("act", [stop, migrate, migrate_inside, delete])
def test_what_takes_the_guest_away_takes_its_tokens_too(act: Callable[[Scenario], Awaitable[None]]) -> None:
    """In its cell at once, and at the root as soon as it hears of that; nothing is left of them."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        consoles = [await opened(s, number=number) for number in (1, 2)]
        assert [await is_good(s, console) for console in consoles] == [True, True]
        assert len(s.truth.rows(ConsoleToken)) == len(s.truth.rows(ConsoleGrant)) == 2
        await act(s)
        await s.quiet()
        assert [await is_good(s, console) for console in consoles] == [False, False]
        assert not s.truth.rows(ConsoleToken) + s.truth.rows(ConsoleGrant)
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS)


@pytest.mark.proves("R45")
def test_a_token_is_of_one_start_of_the_guest_and_expires() -> None:
    """After a reboot the guest has another port; after ten minutes the token leads nowhere, and the next one sweeps."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        console = await opened(s)
        await (await s.reboot("web")).done()
        assert not await is_good(s, console)
        again = await opened(s, number=2)
        assert await is_good(s, again)
        await s.wait(601)
        assert not await is_good(s, again)
        assert await is_good(s, await opened(s, number=3))
        assert len(s.truth.rows(ConsoleToken)) == len(s.truth.rows(ConsoleGrant)) == 1
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS)


def test_the_token_itself_is_kept_nowhere() -> None:
    """Whoever reads a database cannot use what is there."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        console = await opened(s)
        assert console.token not in str(s.truth.all)
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS)


def test_a_console_is_opened_once_however_often_it_is_asked_for_under_one_key() -> None:
    """And a server that does not run, or is not here, has none; what is refused says why."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        assert await opened(s) == await opened(s)
        await stop(s)
        for cell, error in ((DEEP, GuestBusy), ("api!us", NotFound)):
            with pytest.raises(error):
                await opened(s, cell, number=2)
        await s.quiet()
        checked = await s.call(DEEP, CheckConsole(server="web", port=1, kind="tcp"))
        assert "it is off" in checked.reason
        s.kill("h1", down_s=60)
        assert "does not answer its cell" in (await s.call(DEEP, CheckConsole(server="web", port=1, kind="tcp"))).reason

    Scenario.run(story, hosts=HOSTS)
