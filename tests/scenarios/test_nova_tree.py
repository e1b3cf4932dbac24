"""Broadcasts over the tree of Nova's own tests, with the actors of a deployment in its eight cells."""

from __future__ import annotations

from typing import Final

import attrs
import pytest

from protocol.errors import UnknownMethod, revive
from protocol.errors_wire import decode_error
from protocol.messages.capacity import FindRoom
from protocol.methods import METHODS
from protocol.reference import NOT_OFFERED
from protocol.requests import Done, Form, Method, Request, Role
from sim import Scenario
from sim.world import Layout, World
from tests.scenarios.endings import at_rest
from tests.strategies import NOVA_TREE

pytestmark = pytest.mark.anyio
LAYOUT: Final = Layout(cells=NOVA_TREE.cells, hosts={"h1": NOVA_TREE.cells[-1]})


@attrs.frozen(kw_only=True)
class Nothing(Request[Done]):
    """What no cell of this version knows."""

    METHOD = Method(name="nothing_of_the_kind", at=Role.CELL, form=Form.BROADCAST)


@pytest.mark.proves("Q15")
async def test_an_unknown_method_is_an_error_of_each_cell() -> None:
    """Eight answers, each saying which method was not known where."""
    async with World(LAYOUT).running() as world, world.ports.post(LAYOUT.root, "asker").open() as asker:
        gathered = await asker.gather(Nothing())
        errors = [revive(decode_error(answer.body)) for answer in gathered.answers if answer.is_error]
        assert {answer.cell for answer in gathered.answers} == set(NOVA_TREE.cells)
        assert [type(error) for error in errors] == [UnknownMethod] * 8
        assert {error.remote_cell for error in errors} == {str(cell) for cell in NOVA_TREE.cells}


@attrs.frozen(kw_only=True)
class Shelve(Request[Done]):
    """What Nova's cells could be asked, and these cannot."""

    METHOD = Method(name="shelve", at=Role.CELL)

    server: str


@attrs.frozen(kw_only=True)
class SetAdminPassword(Request[Done]):
    """Likewise."""

    METHOD = Method(name="set_admin_password", at=Role.CELL)

    server: str
    new: str


@pytest.mark.proves("R104", "R105")
@pytest.mark.parametrize("request_", [Shelve(server="web"), SetAdminPassword(server="web", new="secret")])
def test_what_is_not_offered_is_refused_as_unknown_by_whoever_is_asked(request_: Request[Done]) -> None:
    """By the server's cell, the root's and the conductor, whatever the key; the server is untouched."""
    method = type(request_).METHOD.name
    assert method in NOT_OFFERED
    assert method not in METHODS

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        await s.quiet()
        before = s.truth.servers("web"), s.truth.actions("web")
        for number, actor in enumerate(("api!c1/cell", "api/cell", "api/conductor")):
            with pytest.raises(UnknownMethod, match=method):
                await s.call(actor, request_, server="web", key=f"asker:{number}")
        await at_rest(s)
        assert (s.truth.servers("web"), s.truth.actions("web")) == before
        assert s.truth.running("web") == ("h1",)

    Scenario.run(story, hosts={"h1": "api!c1"})


@pytest.mark.proves("R22", "Q16", "Q24")
async def test_every_cell_carries_out_the_same_request_and_the_source_s_is_unchanged() -> None:
    """Asked twice with the very same request, all cells answer both times alike, in the same order."""
    async with World(LAYOUT).running() as world, world.ports.post(LAYOUT.root, "asker").open() as asker:
        request = FindRoom(vcpus=1, memory_mb=1, disk_gb=1)
        first = await asker.gather(request)
        second = await asker.gather(request)
        assert request == FindRoom(vcpus=1, memory_mb=1, disk_gb=1)
        assert first == second
        assert [answer.cell for answer in first.answers][-1] == LAYOUT.root
        assert not any(answer.is_error for answer in first.answers)
