"""Effects on a cell's records of what a host sees its guests do by themselves."""

from typing import Final

from protocol.draft import Draft, need
from protocol.effects.history import change
from protocol.effects.registry import Moment, effect
from protocol.messages import power as say
from protocol.records import Server
from protocol.requests import Done
from protocol.states import PowerState, VmState

#: What no guest leaves by itself but by dying: one that is suspended is found off when what was saved of it is lost.
ALIVE: Final = frozenset({PowerState.RUNNING, PowerState.PAUSED, PowerState.SUSPENDED})
#: What a server is no more whose guest has died.
LIVES: Final = frozenset({VmState.ACTIVE, VmState.PAUSED, VmState.SUSPENDED})


def _is_settled(server: Server | None, host: str) -> bool:
    """Tell whether a server is that host's, and nobody works on it."""
    if server is None or server.host != host or server.task_state is not None:
        return False
    return not (server.is_hidden or server.is_sealed)


@effect(say.ExpectGuest, lambda command: (need(Server, uuid=command.server),))
def _expect(draft: Draft, command: say.ExpectGuest, _: Moment) -> say.ExpectedGuest:
    server = draft.find(Server, uuid=command.server)
    if server is None:
        return say.ExpectedGuest(is_settled=False, is_running=False, version=0)
    return say.ExpectedGuest(
        is_settled=_is_settled(server, command.host), is_running=server.power_state in ALIVE,
        version=server.version,
    )  # fmt: skip


@effect(say.NoteGuestOff, lambda command: (need(Server, uuid=command.server),))
def _note_off(draft: Draft, command: say.NoteGuestOff, moment: Moment) -> Done:
    server = draft.find(Server, uuid=command.server)
    if server is None or not _is_settled(server, command.host) or server.version != command.version:
        return Done()
    # One in VERIFY_RESIZE stays there: its confirm makes it stopped, its revert starts it where it came from.
    vm_state = VmState.STOPPED if server.vm_state in LIVES else server.vm_state
    change(draft, server, moment, power_state=PowerState.SHUTDOWN, vm_state=vm_state)
    return Done()
