"""The page of commands, as click has them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Final

import click

from actors.cli.main import cellferry
from tests.docs.markdown import code, page, table

INTRO: Final = """
`cellferry COMMAND --help` says the same. Commands that speak to a deployment need its file: `--config FILE`, or the
variable `CELLFERRY_CONFIG`. What they show can be had for programs: `-f json|yaml|csv|value`, `-c COLUMN`. Exit codes:
0 it went well, 1 it did not (the last line on standard error says why, and what to do), 2 the command itself was wrong.
`cellferry sim` is on [a page of its own](simulator.md).
"""


def commands_page() -> str:
    """Write the page of commands."""
    parts = []
    for names, command in sorted(_leaves(cellferry, ("cellferry",))):
        arguments = [each.make_metavar(click.Context(command)) for each in command.params if _is_argument(each)]
        options = [each for each in command.params if isinstance(each, click.Option) and not each.hidden]
        title = f"## `{' '.join((*names, *arguments))}`"
        parts.extend([title, " ".join(inspect.cleandoc(command.help or "").split())])
        parts.append(table(("Option", "Means"), [_option(each) for each in options]))
    return page("Commands", INTRO, *parts)


def _leaves(group: click.Group, names: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group) and name != "sim":
            yield from _leaves(command, (*names, name))
        elif name != "sim":
            yield (*names, name), command


def _is_argument(parameter: click.Parameter) -> bool:
    return isinstance(parameter, click.Argument)


def _option(option: click.Option) -> tuple[str, str]:
    names = ", ".join(code(name) for name in option.opts)
    choices = option.type.choices if isinstance(option.type, click.Choice) else ()
    known = f"{', '.join(map(str, choices))}." if choices else ""
    is_required = "Required." if option.required else ""
    return names, " ".join(part for part in (option.help, known, is_required) if part)
