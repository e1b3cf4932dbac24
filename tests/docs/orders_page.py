"""Writes the page of what becomes of each order in each state of a server, from a run of every one of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

from protocol.records import CellFreeze
from sim import Scenario
from sim.cases.workload import Act, Op
from sim.scenario import Move
from sim.stages.inner import InnerStage
from tests.docs.markdown import table

SERVER: Final = "web"
HOSTS: Final = {"h1": "api!c1", "h2": "api!c2", "h3": "api!c3"}
DATA: Final = "data"
#: Where an order needs more than its server's name.
FIELDS: Final[dict[Act, dict[str, Any]]] = {
    Act.ATTACH: {"volume": "extra", "device": "/dev/vdc"},
    Act.DETACH: {"volume": DATA},
    Act.SWAP: {"volume": DATA, "replacement": "extra"},
}
#: So long a host takes for what is under way.
SLOW_S: Final = 20.0
#: Every order, in the order of its use; a create is about a server that is not there yet.
ORDERS: Final = tuple(act for act in Act if act is not Act.CREATE)

INTRODUCTION: Final = """\
# Orders and states

What becomes of each order when a server is in each state. Written from a run by `tests/docs/orders_page.py`: every cell
is one server of the simulator, brought into that state, given that order, and judged by all invariants afterwards.

`done` means that the order was accepted and came to its end; a code in backticks is the error of a refusal, which left
all as it was. An order that is refused because something is under way can be given again when that is over.
"""
NOTES: Final = """
A move that *waits* is in VERIFY_RESIZE: its user confirms or reverts it. As in Nova, volumes come and go meanwhile, and
what a guest does (start, stop, reboot) has to wait; unlike there, its tags may change, too: they follow the server
whichever way it goes. *Under way* is a resize whose target host is about to start the guest; a delete is accepted then,
and done when the move has come to its end or was undone. A lock binds everybody; whoever set it, anybody may lift it.

As in Nova, images are made of servers that are paused or suspended, and volumes come and go while a server is paused,
not while it is suspended. Stricter than Nova: a server that is softly deleted takes and loses no volumes, one that is
paused is not migrated live, and one that is paused or suspended is not rebooted hard: let it go on first.

In a *frozen* cell nothing new begins; a move that waits there may be confirmed and reverted all the same
([how](../how-to/freeze-a-cell.md)).
"""


@asynccontextmanager
async def _active(s: Scenario) -> AsyncIterator[None]:
    await s.create(SERVER, host="h1", volume=DATA)
    yield


@asynccontextmanager
async def _stopped(s: Scenario) -> AsyncIterator[None]:
    async with _active(s):
        await (await s.stop(SERVER)).done()
        yield


@asynccontextmanager
async def _paused(s: Scenario) -> AsyncIterator[None]:
    async with _active(s):
        await (await s.pause(SERVER)).done()
        yield


@asynccontextmanager
async def _suspended(s: Scenario) -> AsyncIterator[None]:
    async with _active(s):
        await (await s.suspend(SERVER)).done()
        yield


@asynccontextmanager
async def _softly_deleted(s: Scenario) -> AsyncIterator[None]:
    async with _active(s):
        await (await s.soft_delete(SERVER)).done()
        yield


@asynccontextmanager
async def _waits(s: Scenario) -> AsyncIterator[None]:
    async with _active(s):
        await (await s.resize(SERVER, host="h2")).done()
        yield


@asynccontextmanager
async def _under_way(s: Scenario) -> AsyncIterator[None]:
    async with _active(s):
        s.fail("h2", "spawn", how="late", late_s=SLOW_S)
        await s.resize(SERVER, host="h2")
        await s.wait(SLOW_S / 2)
        yield


@asynccontextmanager
async def _locked(s: Scenario) -> AsyncIterator[None]:
    async with _active(s):
        await (await s.lock(SERVER)).done()
        yield


@asynccontextmanager
async def _frozen(s: Scenario) -> AsyncIterator[None]:
    async with _active(s):
        cell = HOSTS["h1"]
        s.plant(f"{cell}/cell", CellFreeze(cell=cell, reason="new switches"))
        yield


@asynccontextmanager
async def _being_deleted(s: Scenario) -> AsyncIterator[None]:
    async with _active(s):
        s.fail("h1", "destroy", how="late", late_s=SLOW_S)
        await s.delete(SERVER)
        await s.wait(SLOW_S / 2)
        yield


@asynccontextmanager
async def _deleted(s: Scenario) -> AsyncIterator[None]:
    async with _active(s):
        await (await s.delete(SERVER)).done()
        yield


STATES: Final[dict[str, Callable[[Scenario], AbstractAsyncContextManager[None]]]] = {
    "active": _active,
    "stopped": _stopped,
    "paused": _paused,
    "suspended": _suspended,
    "softly deleted": _softly_deleted,
    "a move waits": _waits,
    "a move is under way": _under_way,
    "locked": _locked,
    "in a frozen cell": _frozen,
    "being deleted": _being_deleted,
    "deleted": _deleted,
}


def orders_page() -> str:
    """Give every order every server in every state, and write down what came of it."""
    rows = [[f"`{act}`", *(told(act, state) for state in STATES)] for act in ORDERS]
    return f"{INTRODUCTION}\n{table(['order', *STATES], rows)}\n{NOTES}"


def told(act: Act, state: str) -> str:
    """Give an order to a server in a state, and say what came of it."""

    async def story(s: Scenario) -> str:
        async with STATES[state](s):
            move = await s.order(_op(act))
        text = _told(await move.over())
        s.heal()
        await s.quiet()
        s.check()
        return text

    return Scenario.run(story, hosts=HOSTS, on=InnerStage)


def _op(act: Act) -> Op:
    return Op(name=f"asked-{act}", act=act, server=SERVER, **FIELDS.get(act, {}))


def _told(move: Move) -> str:
    if move.error and move.conversation:
        return f"accepted, then `{move.error}`"
    return f"`{move.error}`" if move.error else "done"
