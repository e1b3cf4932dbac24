"""Users change a server's record at any time, and nothing of it is lost: not in the middle of a move, nor after it."""

from __future__ import annotations

from typing import Any, Final

import anyio
import pytest

from protocol.errors import CallTimeout, CellferryError, NotFound, ServerLocked
from protocol.messages.changes import ChangeServer, ServerChange, UpdateServer
from protocol.messages.servers import Origin
from protocol.records import Server
from sim import Scenario
from sim.points import point_of
from tests.scenarios.endings import at_rest

HOSTS: Final = {"h1": "api!eu", "h2": "api!us"}
USER: Final = Origin(request_id="r", user="u", project="p")
RENAME: Final = ServerChange(
    name="new", description="renamed", tags=("blue",), metadata={"tier": "web"}, is_locked=False
)  # fmt: skip


async def change(s: Scenario, change_: ServerChange, *, id_: str = "change-1") -> Server:
    """Ask the conductor for it."""
    return await s.call("conductor", ChangeServer(id=id_, server="web", change=change_, origin=USER))


def is_renamed(record: Server | None) -> bool:
    """Tell whether a record has all of the change."""
    assert record is not None
    return record.name == "new" and all(getattr(record, name) == value for name, value in RENAME.fields().items())


def updates(s: Scenario) -> list[str]:
    """List the changes in the server's history, in any cell."""
    return [row.action for row in s.truth.actions("web") if row.action in {"update", "lock", "unlock"}]


#: From the copy of the records on, to the end of the move.
BETWEEN: Final = (
    "copy_records/do/after_record", "stop_guest/do/after_record", "spawn_target/do/after_send",
    "seal_source/do/before_send", "finish_target/do/before_send", "commit/do/before_send", "commit/do/after_record",
    "show_target/do/after_record",
)  # fmt: skip


@pytest.mark.parametrize("point", BETWEEN)
@pytest.mark.parametrize("end", ["confirm", "revert"])
def test_a_rename_between_copy_and_commit_is_kept(point: str, end: str) -> None:
    """It is done at the source, or waits while the record is sealed and is done at the target; once in either case."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        # The conductor that carries the move out is in no hurry; it answers all the same.
        s.delay("conductor", "api/cell", 0.5)
        reached = anyio.Event()
        s.stage.history.listeners.append(_at(point, reached))
        move = await s.resize("web", host="h2")
        await reached.wait()
        assert (await change(s, RENAME)).name == "new"
        assert (await change(s, RENAME)).name == "new"
        await move.done()
        assert is_renamed(s.truth.home("web"))
        await (await getattr(s, end)("web")).done()
        assert is_renamed(s.truth.home("web"))
        s.heal()
        await at_rest(s)
        assert updates(s) == ["update"]

    Scenario.run(story, hosts=HOSTS)


def test_a_rename_of_a_sealed_record_waits_and_is_done_at_the_target() -> None:
    """The source's last word was given: what came after it there would be lost."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        held = s.hold("api!us/cell", at="finish_target/do/before_send")
        move = await s.resize("web", host="h2")
        await held.reached()
        with pytest.raises(CallTimeout):
            await s.call("conductor", _renamed(), budget_s=2.0)
        assert updates(s) == []
        held.let_go()
        assert (await s.call("conductor", _renamed())).name == "new"
        await move.done()
        assert is_renamed(s.truth.home("web"))
        await at_rest(s)
        assert updates(s) == ["update"]

    Scenario.run(story, hosts=HOSTS)


def _renamed() -> ChangeServer:
    return ChangeServer(id="change-1", server="web", change=RENAME, origin=USER)


def test_a_change_that_comes_again_late_undoes_none_that_came_between() -> None:
    """It is in the server's history: also where the server has gone since."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        await change(s, RENAME)
        await change(s, ServerChange(name="newer"), id_="change-2")
        await (await s.resize("web", host="h2")).done()
        assert (await change(s, RENAME)).name == "newer"
        await (await s.confirm("web")).done()
        await at_rest(s)
        assert updates(s) == ["update", "update"]

    Scenario.run(story, hosts=HOSTS)


def _at(point: str, reached: anyio.Event) -> Any:
    def listen(line: Any) -> None:
        if point_of(line.what) == point:
            reached.set()

    return listen


def test_a_rename_and_a_lock_in_verify_resize_come_home_with_a_revert() -> None:
    """Nova loses both; and a locked server is reverted when it is unlocked."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        await (await s.resize("web", host="h2")).done()
        await change(s, ServerChange(name="new", is_locked=True))
        refused = await s.revert("web")
        assert (refused.conversation, refused.error) == ("", "server_locked")
        with pytest.raises(ServerLocked, match="unlock it first"):
            await change(s, ServerChange(name="other"), id_="change-2")
        await change(s, ServerChange(is_locked=False), id_="change-3")
        await (await s.revert("web")).done()
        await change(s, ServerChange(is_locked=True), id_="change-4")
        home = s.truth.home("web")
        assert home is not None
        assert (home.name, home.is_locked, home.host) == ("new", True, "h1")
        await change(s, ServerChange(is_locked=False), id_="change-5")
        assert (await change(s, ServerChange(description="d"), id_="change-6")).description == "d"
        await at_rest(s)
        assert sorted(updates(s)) == ["lock", "unlock", "unlock", "update", "update"]

    Scenario.run(story, hosts=HOSTS)


def test_a_locked_server_refuses_every_order_of_its_user() -> None:
    """All are refused at the door, and a lock in the middle of a move does not stop that."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1", volume="data")
        move = await s.resize("web", host="h2")
        await change(s, ServerChange(is_locked=True))
        assert (await change(s, ServerChange(is_locked=True), id_="again")).is_locked
        await move.done()
        orders = (s.confirm, s.revert, s.delete)
        errors = [(await order("web")).error for order in orders]
        errors.append((await s.attach("web", "extra")).error)
        assert set(errors) == {"server_locked"}
        await change(s, ServerChange(is_locked=False), id_="change-2")
        await (await s.confirm("web")).done()
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS)


def test_a_lock_that_comes_when_a_delete_has_no_way_back_holds_up_nothing() -> None:
    """The delete was let in by the confirm that it begins with, which only goes forward."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        await (await s.resize("web", host="h2")).done()
        held = s.hold("conductor", at="begin_confirm/do/after_record")
        lock = UpdateServer(server="web", change=ServerChange(is_locked=True), action="a", origin=USER)

        async def lock_then() -> None:
            await held.reached()
            assert (await s.call("api!us/cell", lock)).is_locked
            held.let_go()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lock_then)
            delete = await s.delete("web")
        await delete.done()
        assert s.truth.home("web") is None
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS)


def test_a_change_of_what_is_not_there_is_refused() -> None:
    """Whoever was deleted is not looked for for ever."""

    async def story(s: Scenario) -> None:
        await s.create("web", host="h1")
        await (await s.delete("web")).done()
        with pytest.raises(NotFound, match="there is no server web"):
            await change(s, RENAME)
        await at_rest(s)

    Scenario.run(story, hosts=HOSTS)


@pytest.mark.parametrize(
    "fields",
    [
        {"name": ""}, {"name": "n" * 256}, {"description": "d" * 256}, {"tags": ("t", "t")}, {"tags": ("t" * 61,)},
        {"tags": tuple(map(str, range(51)))}, {"metadata": {"": "v"}}, {"metadata": {"k": "v" * 256}},
        {"metadata": {str(n): "v" for n in range(129)}},
    ],
)  # fmt: skip
def test_everything_that_users_write_has_its_limit(fields: dict[str, Any]) -> None:
    """As Nova has them; the field is named."""
    with pytest.raises(CellferryError, match=next(iter(fields))):
        ServerChange(**fields)
