"""A server's cell hands on what it is asked: to the root, which takes it from the server's home and nobody else."""

from __future__ import annotations

from typing import Any, Final, cast

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.bodies import decode_body, encode_body
from protocol.cell_path import Address, CellPath
from protocol.draft import News
from protocol.effects.instances import conversation_of, order_key
from protocol.effects.registry import Moment, Refused, apply, gather
from protocol.envelope import Key
from protocol.errors import Conflict, InvalidName, InvalidState, InvalidValue, NotFound, NotItsHome
from protocol.messages import instances as say
from protocol.messages.changes import ServerChange, UpdateFromApi
from protocol.messages.handing import NoteAbsent, PassOrder, TakeOrder
from protocol.messages.instances import Handed
from protocol.messages.orders import (
    DeleteServer,
    ImageServer,
    LiveMigrateServer,
    MoveServer,
    PowerServer,
    RebuildServer,
    SettleMove,
    WireServer,
)
from protocol.messages.servers import Origin
from protocol.records import Flavor, Mapping, Mirror, Record, Server, ServerAction
from protocol.requests import Done
from protocol.states import Goal, PowerState, TaskState, VmState

EU: Final = "api!eu"
KEY: Final = Key.plain("asker", 7)
TINY: Final = Flavor(name="tiny", vcpus=1, memory_mb=1, disk_gb=1)
USER: Final = Origin(request_id="r1", user="u", project="p", is_admin=True)
SERVER: Final = Server(
    uuid="s1", name="web", project="p", user="u", flavor=TINY, host="h1", vm_state=VmState.ACTIVE, task_state=None,
    power_state=PowerState.RUNNING, created_at_us=1, updated_at_us=1,
)  # fmt: skip
HOME: Final = Mapping(server="s1", cell=EU, generation=1)
START: Final = say.AskStart(server="s1", origin=USER)
BACKUP: Final = ImageServer(
    server="s1", goal=Goal.BACKUP, image="i", name="n", origin=USER, backup_type="daily", rotation=2
)


def do(
    command: Any, *rows: Record, cell: str = EU, key: Key | None = KEY, sender: str = "api"
) -> tuple[Any, Any, tuple[News, ...]]:  # fmt: skip
    """Carry a command out on these rows; give the reply, what it writes, and what it tells."""
    moment = Moment(now_us=1, cell=cell, key=str(key) if key else "", sender=sender)

    def load(needs: Any) -> tuple[Record, ...]:
        return tuple(row for row in rows if any(type(row) is need.record for need in needs))

    needs, loaded = gather(command, load)
    changes, reply = apply(loaded, command, moment, needs=needs)
    return reply, (changes.puts, changes.drops), changes.tells


@pytest.mark.proves(
    "R28", "R29", "R48", "R52", "R53", "R54", "R55", "R56", "R57", "R59", "R60", "R61", "R62", "R63", "R64", "R65",
    "R66", "R67", "R68", "R69", "R70",
)  # fmt: skip
@pytest.mark.parametrize(
    ("ask", "order"),
    [
        (START, PowerServer(server="s1", goal=Goal.START, origin=USER)),
        (say.AskStop(server="s1", origin=USER), PowerServer(server="s1", goal=Goal.STOP, origin=USER)),
        (
            say.AskReboot(server="s1", origin=USER, is_hard=True),
            PowerServer(server="s1", goal=Goal.REBOOT, origin=USER, is_hard=True),
        ),
        (
            say.AskResize(server="s1", origin=USER, flavor=TINY, host="h2"),
            MoveServer(server="s1", flavor=TINY, host="h2", origin=USER),
        ),
        (say.AskConfirm(server="s1", origin=USER), SettleMove(server="s1", goal=Goal.CONFIRM, origin=USER)),
        (say.AskRevert(server="s1", origin=USER), SettleMove(server="s1", goal=Goal.REVERT, origin=USER)),
        (say.AskDelete(server="s1", origin=USER), DeleteServer(server="s1", origin=USER)),
        (say.AskSuspend(server="s1", origin=USER), PowerServer(server="s1", goal=Goal.SUSPEND, origin=USER)),
        (say.AskResume(server="s1", origin=USER), PowerServer(server="s1", goal=Goal.RESUME, origin=USER)),
        (say.AskPause(server="s1", origin=USER), PowerServer(server="s1", goal=Goal.PAUSE, origin=USER)),
        (say.AskUnpause(server="s1", origin=USER), PowerServer(server="s1", goal=Goal.UNPAUSE, origin=USER)),
        (say.AskSoftDelete(server="s1", origin=USER), PowerServer(server="s1", goal=Goal.SOFT_DELETE, origin=USER)),
        (
            say.AskOrder(order=PowerServer(server="s1", goal=Goal.STOP, origin=USER)),
            PowerServer(server="s1", goal=Goal.STOP, origin=USER),
        ),
        (
            say.AskRebuild(server="s1", origin=USER, image="i", change=ServerChange(name="n"), preserve_ephemeral=True),
            RebuildServer(server="s1", image="i", origin=USER, change=ServerChange(name="n"), preserve_ephemeral=True),
        ),
        (
            say.AskSnapshot(server="s1", origin=USER, image="i", name="n"),
            ImageServer(server="s1", goal=Goal.SNAPSHOT, image="i", name="n", origin=USER),
        ),
        (say.AskBackup(server="s1", origin=USER, image="i", name="n", backup_type="daily", rotation=2), BACKUP),
        (
            say.AskLiveMigrate(server="s1", origin=USER, host="h2"),
            LiveMigrateServer(server="s1", host="h2", origin=USER),
        ),
        (
            say.AskResetNetwork(server="s1", origin=USER),
            WireServer(server="s1", goal=Goal.RESET_NETWORK, origin=USER),
        ),
        (
            say.AskInjectNetworkInfo(server="s1", origin=USER),
            WireServer(server="s1", goal=Goal.INJECT_NETWORK_INFO, origin=USER),
        ),
        (say.AskOrder(order=BACKUP), BACKUP),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_a_cell_is_asked_about_a_server_of_its_own_is_handed_on_with_all_that_was_said(
    ask: Any, order: Any
) -> None:
    """Each to the root's cell as the order that it stands for; the reply names the conversation that is to come."""
    reply, written, told = do(ask, SERVER)
    assert reply == Handed(conversation=conversation_of(order_key(EU, str(KEY))), server="s1")
    assert written == ((), ())
    assert [(each.target, each.server, each.request) for each in told] == [
        (Address(CellPath.parse("api"), "cell"), "s1", PassOrder(asked=str(KEY), order=order))
    ]
    assert decode_body(encode_body(ask), type(ask)) == ask


@pytest.mark.proves("R30", "R49")
@pytest.mark.parametrize("ask", [START, say.AskOrder(order=DeleteServer(server="s1", origin=USER))], ids=str)
def test_who_asks_about_an_unknown_server_hears_so_and_so_does_the_root(ask: Any) -> None:
    """The refusal is the reply, and goes out together with the news: nothing is handed on."""
    reply, _, told = do(ask)
    assert isinstance(reply, Refused)
    assert isinstance(reply.error, NotFound)
    assert [each.request for each in told] == [NoteAbsent(server="s1")]


@pytest.mark.parametrize("copy", [attrs.evolve(SERVER, is_hidden=True), attrs.evolve(SERVER, is_sealed=True)])
def test_a_copy_that_its_users_do_not_see_hands_nothing_on(copy: Server) -> None:
    """Its home is elsewhere, or is about to be: to be asked again, there."""
    with pytest.raises(NotItsHome):
        do(START, copy)


@pytest.mark.parametrize("key", [None, Key(scope="c1", attempt=1, step="begin", is_undo=False)])
def test_an_order_that_could_be_taken_twice_is_not_handed_on(key: Key | None) -> None:
    """Without a key, or under that of a conversation's step, nobody could tell the second from the first."""
    with pytest.raises(InvalidValue):
        do(START, SERVER, key=key)


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (say.AskSnapshot, {"image": "../away", "name": "n"}),
        (say.AskBackup, {"image": "i", "name": "n", "backup_type": "", "rotation": 1}),
        (say.AskBackup, {"image": "i", "name": "n", "backup_type": "daily", "rotation": 1001}),
        (say.AskRebuild, {"image": "i", "change": ServerChange(is_locked=True)}),
    ],
)
def test_what_no_order_may_say_cannot_be_asked_either(ask: Any, said: dict[str, Any]) -> None:
    """It is refused where it is made, or comes in: not when it is handed on."""
    with pytest.raises(InvalidValue):
        ask(server="s1", origin=USER, **said)


@given(st.lists(st.tuples(st.sampled_from([EU, "api!us"]), st.sampled_from("ab"), st.integers(0, 3)), max_size=6))
def test_the_same_request_is_one_conversation_and_another_is_another(asked: list[tuple[str, str, int]]) -> None:
    """By cell, asker and number: so no cell's word passes for another's."""
    keys = {each: order_key(each[0], str(Key.plain(each[1], each[2]))) for each in asked}
    assert len({conversation_of(key) for key in keys.values()}) == len(set(asked))
    assert len({key.scope for key in keys.values()}) == len({each[:2] for each in asked})


@pytest.mark.proves("R80", "R81")
@pytest.mark.parametrize(
    ("is_soft", "order"),
    [
        (False, DeleteServer(server="s1", origin=USER)),
        (True, PowerServer(server="s1", goal=Goal.SOFT_DELETE, origin=USER)),
    ],
)
def test_of_all_cells_the_one_that_has_the_server_hands_its_delete_on(is_soft: bool, order: Any) -> None:
    """The others say that they have not: it is no error, and nothing that the root is to hear of."""
    request = say.DeleteEverywhere(server="s1", origin=USER, is_soft=is_soft)
    reply, _, (told,) = do(request, SERVER)
    assert told.request == PassOrder(asked=str(KEY), order=order)
    assert reply == say.HandedIfHere(conversation=conversation_of(order_key(EU, str(KEY))))
    for elsewhere in ((), (attrs.evolve(SERVER, is_hidden=True),), (attrs.evolve(SERVER, is_sealed=True),)):
        assert do(request, *elsewhere)[::2] == (say.HandedIfHere(), ())
    with pytest.raises(InvalidValue):
        do(request, SERVER, key=None)


# --- what the API has changed ------------------------------------------------------------------------------

CHANGE: Final = UpdateFromApi(
    server="s1", change=ServerChange(name="new", tags=("blue",), metadata={"left": "out"}), action="a1", origin=USER,
    vm_states=(VmState.ACTIVE,), has_no_task=True, vm_state=VmState.ERROR,
)  # fmt: skip


def saved(request: UpdateFromApi, server: Server = SERVER) -> Server:
    """Give the record as it is then."""
    return cast("Server", do(request, server, key=None)[0])


@pytest.mark.proves("R50")
def test_what_the_api_has_changed_is_saved_without_states_and_metadata() -> None:
    """And it is in the server's history, once."""
    reply, (puts, _), _ = do(CHANGE, SERVER, key=None)
    assert reply == attrs.evolve(SERVER, name="new", tags=("blue",), version=1, updated_at_us=1)
    assert [row.action for row in puts if isinstance(row, ServerAction)] == ["update"]
    done = next(row for row in puts if isinstance(row, ServerAction))
    assert do(CHANGE, reply, done, key=None)[:2] == (reply, ((), ()))


@pytest.mark.proves("R51")
def test_an_administrator_may_reset_the_state_and_nobody_a_task() -> None:
    """Metadata are left out all the same."""
    reset = attrs.evolve(CHANGE, is_reset=True)
    assert (saved(reset).vm_state, saved(reset).metadata) == (VmState.ERROR, {})
    with pytest.raises(Conflict, match="its task is deleting"):
        saved(attrs.evolve(reset, has_no_task=False), attrs.evolve(SERVER, task_state=TaskState.DELETING))


def test_what_was_decided_about_another_state_is_not_saved() -> None:
    """Nor what a cell is told about a server that is not its own."""
    with pytest.raises(InvalidState, match="vm_state"):
        saved(CHANGE, attrs.evolve(SERVER, vm_state=VmState.STOPPED))
    with pytest.raises(Conflict):
        saved(CHANGE, attrs.evolve(SERVER, task_state=TaskState.DELETING))
    with pytest.raises(NotItsHome):
        saved(CHANGE, attrs.evolve(SERVER, is_hidden=True))
    assert isinstance(do(CHANGE, key=None)[0], Refused)


# --- at the root -------------------------------------------------------------------------------------------

PASS: Final = PassOrder(asked=str(KEY), order=START.order)


def test_the_root_passes_on_what_the_home_hands_it_under_the_key_that_was_promised() -> None:
    """Nothing of it is an administrator's any more: a cell cannot make anybody one."""
    reply, written, (told,) = do(PASS, HOME, cell="api", key=None, sender=EU)
    assert (reply, written) == (Done(), ((), ()))
    assert told.key is not None
    assert conversation_of(told.key) == do(START, SERVER)[0].conversation
    assert told.target == Address(CellPath.parse("api"), "conductor")
    assert told.request == TakeOrder(order=attrs.evolve(START.order, origin=attrs.evolve(USER, is_admin=False)))


@pytest.mark.parametrize("sender", ["api", "api!us", "api!eu!eu-1", ""])
def test_the_root_takes_no_order_about_a_server_but_from_its_home(sender: str) -> None:
    """Not from cells above it or below it, nor from one that had it before."""
    with pytest.raises(Conflict, match="is not its home"):
        do(PASS, HOME, cell="api", key=None, sender=sender)
    with pytest.raises(Conflict):
        do(PASS, cell="api", key=None, sender=sender)


@pytest.mark.parametrize("asked", ["", "x", "c1:1:begin:execute"])
def test_the_root_takes_no_order_under_what_is_no_plain_key(asked: str) -> None:
    """Whatever a cell sends: it would not be taken once."""
    with pytest.raises((InvalidValue, InvalidName)):
        do(attrs.evolve(PASS, asked=asked), HOME, cell="api", key=None, sender=EU)


def mirror(cell: str, version: int = 3) -> Mirror:
    """Write what a cell told of the server once."""
    return Mirror(
        server="s1", cell=cell, generation=1, version=version, name="web", vm_state=VmState.ACTIVE, task_state=None,
        power_state=PowerState.RUNNING, host="h1", flavor="tiny",
    )  # fmt: skip


@pytest.mark.proves("R30", "R49")
def test_what_a_cell_told_of_a_server_that_it_has_not_is_gone_unless_it_is_the_home() -> None:
    """The home's own word is left to whoever works on it there: late news must not hide a server."""
    absent = NoteAbsent(server="s1")
    rows = (mirror(EU), mirror("api!us"))
    assert do(absent, HOME, *rows, cell="api", sender="api!us")[1] == ((attrs.evolve(rows[1], is_gone=True),), ())
    assert do(absent, HOME, *rows, cell="api", sender=EU)[1] == ((), ())
    assert do(absent, *rows, cell="api", sender=EU)[1] == ((attrs.evolve(rows[0], is_gone=True),), ())
