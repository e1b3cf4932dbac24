"""Commands that are imported when they are asked for: `server list` does not wait for what `run` needs."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import attrs
import click

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@attrs.frozen(kw_only=True)
class Later:
    """A command that is not imported yet: where it comes from, and its line in the list of commands."""

    load: Callable[[], click.Command]
    help: str = ""  # Empty: the command itself is asked.


def at(module: str, name: str, text: str) -> Later:
    """Say where a command is, and what it is for."""

    def load() -> click.Command:
        found: click.Command = getattr(import_module(module), name)
        return found

    return Later(load=load, help=text)


class LazyGroup(click.Group):
    """A group of commands that are imported one at a time."""

    def __init__(self, *arguments: Any, later: Mapping[str, Later], **named: Any) -> None:
        """Take what any group takes, and what is to be imported later."""
        super().__init__(*arguments, **named)
        self.later = dict(later)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name all commands, imported or not."""
        return sorted({*super().list_commands(ctx), *self.later})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Give a command, imported now if it was not; None when there is none of that name."""
        if cmd_name not in self.commands and cmd_name in self.later:
            self.add_command(self.later[cmd_name].load(), cmd_name)
        return super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands; only those are imported of which nothing is known."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._line(ctx, name)) for name in self.list_commands(ctx)])

    def _line(self, ctx: click.Context, name: str) -> str:
        if name in self.later and self.later[name].help:
            return self.later[name].help
        command = self.get_command(ctx, name)
        return command.get_short_help_str() if command else ""
