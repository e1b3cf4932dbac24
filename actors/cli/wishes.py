"""Where a server may go, beside where there is room: options that commands which place servers share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from actors.cli.parameters import CellName
from protocol.errors import InvalidValue
from protocol.scheduling import Wish, check_requirement

if TYPE_CHECKING:
    from collections.abc import Callable

    from protocol.cell_path import CellPath


def wish_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say where a server may go, as one argument `wish`."""

    def with_wish(
        *, target_cell: CellPath | None, different_cells: tuple[CellPath, ...], hypervisor_version: str, **others: Any
    ) -> None:
        try:
            check_requirement(hypervisor_version)
        except InvalidValue as error:
            raise click.BadParameter(str(error), param_hint="--hypervisor-version") from error
        wish = Wish(
            target_cell=target_cell, different_cell=different_cells, hypervisor_version=hypervisor_version
        )  # fmt: skip
        command(wish=wish, **others)

    with_wish.__doc__ = command.__doc__
    with_wish.__name__ = command.__name__
    with_wish.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]  # how click hands options on
    within = click.option(
        "--cell", "target_cell", type=CellName(), help="Only to this cell, or below it as it chooses."
    )
    without = click.option(
        "--not-cell",
        "different_cells",
        type=CellName(),
        multiple=True,
        help="Not to this cell, nor below it; repeatable.",
    )
    version = click.option(
        "--hypervisor-version", default="", metavar="RULE", help="Of the cell's hypervisors, like '>6.0, <=6.3'."
    )
    return within(without(version(with_wish)))
