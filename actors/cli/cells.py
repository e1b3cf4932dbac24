"""`cellferry cell`: the tree of cells as it is now, and cells that join and leave it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anyio
import click
from rich.text import Text

from actors.cli.configuring import config_option
from actors.cli.failures import NotThere
from actors.cli.formats import Shape, shape_options, show_fields, show_rows
from actors.cli.histories import audits
from actors.cli.hosts import uses
from actors.cli.parameters import CellName
from actors.cli.speaking import LOOK_S, Session, speak, user_here
from actors.cli.syncing import sync
from actors.cli.trees import Seen, drawn, fields_of, rows_of
from protocol.bodies import decode_body
from protocol.cell_path import Address, CellPath
from protocol.errors import CellferryError, InvalidValue, NotFound, UnknownCell, revive
from protocol.errors_wire import decode_error
from protocol.messages.tree import AddNeighbour, CellState, FreezeCell, RemoveCell, SetNeighbour, ShowCell, ThawCell

if TYPE_CHECKING:
    from collections.abc import Callable

    from protocol.requests import Request

LISTED: Final = (
    "cell",
    "heard",
    "mute",
    "frozen",
    "memory_mb_free",
    "disk_mb_free",
    "hosts",
    "capabilities",
    "trouble",
)
#: How long a cell that was added may take to be there.
JOIN_S: Final = 10.0
PAUSE_S: Final = 0.5


@click.group()
def cell() -> None:
    """Look at the tree of cells; add cells to it, weigh them otherwise, freeze them, remove them."""


for from_elsewhere in (sync, audits):
    cell.add_command(from_elsewhere)


def _path_argument(command: Callable[..., None]) -> Callable[..., None]:
    return click.argument("path", metavar="PATH", type=CellName())(command)


def _weights(command: Callable[..., None]) -> Callable[..., None]:
    scale = click.option("--weight-scale", type=float, help="The room it has counts so many times.")
    offset = click.option("--weight-offset", type=float, help="What is added to its weight when a cell is chosen.")
    return offset(scale(command))


@cell.command()
@config_option()
@shape_options
def tree(*, config: Path, shape: Shape) -> None:
    """Draw the tree of cells as it is now: what each has left, when it was last heard, and who does not answer."""

    async def work(session: Session) -> None:
        seen = await look(session)
        if shape.form == "table" and not shape.columns:
            for line in drawn(seen):
                session.out.print(Text(line))
        else:
            show_rows(session.out, rows_of(seen), shape, usual=LISTED)

    speak(config, work)


async def look(session: Session) -> Seen:
    """Ask all cells how they stand, and for their hosts; cells that do not answer are named by their neighbours."""
    states: dict[CellPath, CellState] = {}
    silent: dict[CellPath, str] = {}
    for answer in (await session.client.gather(ShowCell(), budget_s=LOOK_S)).answers:
        if answer.is_error:
            silent[answer.cell] = str(revive(decode_error(answer.body)))
        else:
            states[answer.cell] = decode_body(answer.body, CellState)
    known = {use.host: use for use in await uses(session)}
    return Seen(cloud=session.deployment.cloud, states=states, silent=silent, hosts=known)


@cell.command()
@_path_argument
@config_option()
@shape_options
def show(*, path: CellPath, config: Path, shape: Shape) -> None:
    """Show a cell: what it has, what it tells its parent, what it knows of its children, and how its links stand."""

    async def work(session: Session) -> None:
        try:
            state = await session.client.ask(Address(path, "cell"), ShowCell(), budget_s=LOOK_S)
        except UnknownCell as error:
            raise _not_there(error) from error
        show_fields(session.out, fields_of(state, is_short=shape.form == "table"), shape)

    speak(config, work)


@cell.command()
@_path_argument
@_weights
@config_option()
def add(*, path: CellPath, weight_offset: float | None, weight_scale: float | None, config: Path) -> None:
    """Add the cell PATH to the running deployment, below a cell that is part of it."""
    parent = _parent(path)

    async def work(session: Session) -> None:
        request = AddNeighbour(cell=path, weight_offset=weight_offset, weight_scale=weight_scale)
        await _tell(session, parent, request)
        session.out.print(f"cell {path} is a child of {parent} now")
        if await _joins(session, path, parent):
            session.out.print(f"cell {path} answers")
        else:
            session.progress.print(
                f"it does not run yet; start it with: cellferry run all --cell '{path}' --config FILE"
            )

    speak(config, work)


async def _joins(session: Session, path: CellPath, parent: CellPath) -> bool:
    """Tell a cell that runs already that it has its parent (again); tell whether it answered."""
    until_s = anyio.current_time() + JOIN_S
    while (left_s := until_s - anyio.current_time()) > 0:
        try:
            await session.client.ask(Address(path, "cell"), AddNeighbour(cell=parent), budget_s=left_s)
        except CellferryError:
            # Its parent's link has not heard of it yet, or it does not run: either ends by itself.
            await anyio.sleep(PAUSE_S)
        else:
            return True
    return False


@cell.command("set")
@_path_argument
@_weights
@click.option("--frozen/--no-frozen", default=None, help="Let nothing new begin with its servers, and take no others.")
@click.option("--reason", default="", help="Why it is frozen, for whoever wonders.")
@config_option()
def set_(
    *, path: CellPath, weight_offset: float | None, weight_scale: float | None, frozen: bool | None, reason: str,
    config: Path,
) -> None:  # fmt: skip
    """Weigh the cell PATH otherwise, when a cell is chosen for a server; freeze it, or thaw it."""
    is_weighed = weight_offset is not None or weight_scale is not None
    if reason and not frozen:
        raise click.UsageError("--reason says why a cell is frozen: it goes with --frozen")
    if not is_weighed and frozen is None:
        raise click.UsageError("say what is to change: --weight-offset, --weight-scale, --frozen or --no-frozen")
    parent = _parent(path) if is_weighed else path
    change = _freeze(reason) if frozen else ThawCell()

    async def work(session: Session) -> None:
        if is_weighed:
            weighed = SetNeighbour(cell=path, weight_offset=weight_offset, weight_scale=weight_scale)
            await _tell(session, parent, weighed)
            session.out.print(f"cell {path} is weighed so from now on")
        if frozen is not None:
            await _tell(session, path, change)
            says = "is frozen: nothing new begins there; what has begun goes on"
            session.out.print(f"cell {path} {says if frozen else 'takes orders and servers again'}")

    speak(config, work)


@cell.command()
@_path_argument
@click.option("--force", is_flag=True, help="Even if servers are there; nobody reaches them until it is added again.")
@config_option()
def remove(*, path: CellPath, force: bool, config: Path) -> None:
    """Remove the cell PATH, and all below it, from the running deployment; refused while it has servers."""
    parent = _parent(path)

    async def work(session: Session) -> None:
        try:
            await session.client.call(Address(parent.root, "conductor"), RemoveCell(cell=path, is_forced=force))
        except UnknownCell as error:
            raise _not_there(error) from error
        session.out.print(f"cell {path} is removed; what is sent there is refused as unknown_cell")

    speak(config, work)


def _freeze(reason: str) -> FreezeCell:
    try:
        return FreezeCell(reason=reason, user=user_here())
    except InvalidValue as error:
        raise click.UsageError(str(error)) from error


def _parent(path: CellPath) -> CellPath:
    if path.parent is None:
        raise click.BadParameter(f"{path} is a root, and has no parent to tell", param_hint="PATH")
    return path.parent


async def _tell(session: Session, cell: CellPath, request: Request[Any]) -> None:
    try:
        await session.client.call(Address(cell, "cell"), request)
    except (UnknownCell, NotFound) as error:
        raise _not_there(error) from error


def _not_there(error: CellferryError) -> NotThere:
    return NotThere(f"{error}; look at the tree with: cellferry cell tree")
