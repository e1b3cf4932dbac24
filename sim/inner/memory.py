"""What an actor remembers of commands, on dicts: the rules of `actors.store.inbox`, said again without SQL."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import attrs

from actors.kernel.ports import Accepted, Fresh
from protocol.errors import StaleEpoch, Superseded
from protocol.truth import Memory as MemoryTruth

if TYPE_CHECKING:
    from protocol.envelope import Key
    from protocol.requests import Request

ACCEPTED: Final = "accepted"
REPLIED: Final = "replied"
POISONED: Final = "poisoned"

_FRESH: Final = Fresh(undoes_nothing=False)
_NOTHING_TO_UNDO: Final = Fresh(undoes_nothing=True)
_ACCEPTED: Final = Accepted()


@attrs.frozen(eq=False)
class Command:
    """A keyed request; `text` is its key as inboxes keep it."""

    key: Key
    text: str
    server: str
    epoch: int
    request: Request[Any]


@attrs.frozen(eq=False)
class Reply:
    """What a command is answered with: a value or an error report, its bytes, and which of the two it is."""

    value: Any
    body: bytes
    is_error: bool


@attrs.define(eq=False)
class Row:
    """What is remembered of one command."""

    command: Command
    state: str
    reply: Reply | None
    had_effect: bool


class Memory:
    """The inbox of one actor."""

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}
        self._of_steps: dict[int, dict[str, Row]] = {}  # By epoch.
        self._effects: Counter[str] = Counter()  # By scope: how many rows had an effect.
        self._epochs: dict[str, int] = {}
        self._floor = 0
        self._has_renounced = False

    def look(self, command: Command) -> Fresh | Accepted | Reply:
        """Tell whether the command is new here, known, or being worked on; refuse one that may not be carried out."""
        if not command.key.is_plain:
            self._check_epoch(command)
        row = self._rows.get(command.text)
        if row is not None:
            if row.state == POISONED:
                raise Superseded(key=command.text)
            return _ACCEPTED if row.reply is None else row.reply
        if command.key.is_undo and not self._poison(command) and not self._has_renounced:
            return _NOTHING_TO_UNDO
        return _FRESH

    def accept(self, command: Command) -> None:
        """Note that the command is being worked on."""
        self._raise_epoch(command)
        self._write(command, ACCEPTED, None)

    def settle(self, command: Command, reply: Reply) -> None:
        """Note the reply with which the command is answered from now on, unless it was poisoned meanwhile."""
        if not reply.is_error and self._has_effect(command):
            self._raise_epoch(command)
        self._write(command, REPLIED, reply)

    def unfinished(self) -> list[Command]:
        """List the commands that were accepted and never answered, in the order of their epochs."""
        found = [row.command for row in self._rows.values() if row.state == ACCEPTED]
        return sorted(found, key=lambda command: (command.epoch, command.text))

    def close(self, conversation: str, server: str, epoch: int, lowest_open: int) -> None:
        """Refuse older commands for the server from now on; forget everything behind the lowest open epoch."""
        if self._effects[conversation] and self._epochs.get(server, 0) < epoch:
            self._epochs[server] = epoch
        self._floor = max(self._floor, lowest_open)
        for behind in [epoch for epoch in self._of_steps if epoch < lowest_open]:
            for text, row in self._of_steps.pop(behind).items():
                del self._rows[text]
                self._effects[row.command.key.scope] -= row.had_effect
        for name in [name for name, highest in self._epochs.items() if highest < lowest_open]:
            del self._epochs[name]

    def renounce(self, epoch: int) -> None:
        """Refuse and forget everything of a lower epoch; from then on nothing is known not to have been done."""
        self._has_renounced = True
        self.close("", "", 0, epoch)

    def truth(self, actor: str, waiting: int) -> MemoryTruth:
        """Tell what is remembered of conversations."""
        keys = tuple((row.command.text, row.command.epoch) for rows in self._of_steps.values() for row in rows.values())
        return MemoryTruth(actor=actor, keys=tuple(sorted(keys)), waiting=waiting)

    def _check_epoch(self, command: Command) -> None:
        highest = max(self._epochs.get(command.server, 0), self._floor)
        if command.epoch < highest:
            raise StaleEpoch(server=command.server, epoch=command.epoch, highest=highest)

    def _raise_epoch(self, command: Command) -> None:
        if not command.key.is_plain and self._epochs.get(command.server, 0) < command.epoch:
            self._epochs[command.server] = command.epoch

    def _has_effect(self, command: Command) -> bool:
        if not command.key.is_undo:
            return True
        execute = self._rows.get(_execute_of(command.text))
        return execute is not None and execute.had_effect

    def _poison(self, command: Command) -> bool:
        """Turn the execute of this undo into a tombstone; tell whether it may have left anything."""
        text = _execute_of(command.text)
        row = self._rows.get(text)
        if row is None:
            execute = attrs.evolve(command, key=attrs.evolve(command.key, is_undo=False), text=text)
            self._write(execute, POISONED, None)
            return False
        may_be_left = row.state == ACCEPTED or row.had_effect
        row.state, row.reply = POISONED, None
        return may_be_left

    def _write(self, command: Command, state: str, reply: Reply | None) -> None:
        row = self._rows.get(command.text)
        if row is not None:
            if row.state == ACCEPTED:
                row.state, row.reply = state, reply
            return
        is_refusal = state == POISONED or (reply is not None and reply.is_error)
        row = Row(command, state, reply, not is_refusal and self._has_effect(command))
        self._rows[command.text] = row
        if not command.key.is_plain:
            self._of_steps.setdefault(command.epoch, {})[command.text] = row
            self._effects[command.key.scope] += row.had_effect


def _execute_of(undo: str) -> str:
    return undo.removesuffix("undo") + "execute"
