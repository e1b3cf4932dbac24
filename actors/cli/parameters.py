"""Kinds of options and arguments that commands share."""

from __future__ import annotations

import click

from protocol.cell_path import CellPath
from protocol.errors import InvalidName


class CellName(click.ParamType[CellPath]):
    """A cell's path, as an option of a command."""

    name = "path"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> CellPath:
        """Read it, or say what is wrong with it."""
        try:
            return CellPath.parse(str(value))
        except InvalidName as error:
            self.fail(str(error), param, ctx)
