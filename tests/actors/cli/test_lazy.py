"""Commands that are imported when they are asked for: each is where it is said to be, and none comes too early."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points

import click
import pytest
from click.testing import CliRunner

from actors.cli.lazy import Later, LazyGroup
from actors.cli.main import COMMANDS, LINES, PLUG_INS, cellferry

COLUMNS = 80
#: A program that shows the help, and then which of the heavy packages it has loaded for that.
LOADED = """
import sys
from actors.cli.main import cellferry
cellferry(["--help"], standalone_mode=False)
print(sorted({name.partition(".")[0] for name in sys.modules} & {"anyio", "protocol", "rich", "sqlalchemy"}))
"""


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_where_it_is_said_to_be(name: str) -> None:
    """Under its own name, with a help of its own."""
    command = COMMANDS[name].load()
    assert (command.name, bool(command.help)) == (name, True)


def test_what_is_said_of_plug_ins_is_said_of_some_that_are_there() -> None:
    """No line outlives its plug-in."""
    assert LINES.keys() <= {plug_in.name for plug_in in entry_points(group=PLUG_INS)}


def test_the_list_of_commands_is_one_line_each() -> None:
    """Each says what it is for, whole."""
    shown = CliRunner().invoke(cellferry, ["--help"], terminal_width=COLUMNS).output
    lines = shown.partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in lines if line] == sorted(cellferry.later)
    assert all(len(line) <= COLUMNS and line.endswith(".") for line in lines if line)


def test_a_command_of_which_nothing_is_known_is_asked() -> None:
    """A plug-in of somebody else's is imported for its line, and for nothing else."""
    asked = []

    @click.command(help="Sing a song.  Twice.")
    def sing() -> None:
        asked.append("sung")

    def load() -> click.Command:
        asked.append("loaded")
        return sing

    group = LazyGroup("choir", later={"sing": Later(load=load)})
    assert "Sing a song." in CliRunner().invoke(group, ["--help"]).output
    assert CliRunner().invoke(group, ["sing"]).exit_code == 0
    assert asked == ["loaded", "sung"]
    assert CliRunner().invoke(group, ["dance"]).exit_code == click.UsageError.exit_code


def test_help_imports_no_command() -> None:
    """Nor what any of them stands on."""
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)  # noqa: S603 - ours
    assert done.stdout.splitlines()[-1] == "[]"
