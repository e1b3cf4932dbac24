"""`cellferry dead-letters`: what could not be taken, why, and what is to become of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import anyio
import attrs
import click

from actors.cli.configuring import config_option, deployment_of
from actors.cli.failures import AnswersFailed, NotThere, leaf
from actors.cli.formats import Shape, shape_options, show_fields, show_rows
from actors.cli.output import console_for
from actors.ops.events import MemoryEvents
from actors.ops.system import SystemRandom
from actors.wire.identities import OPERATOR
from actors.wire.rabbitmq import DEAD_LETTERS_LISTED_MAX, RabbitWire
from protocol.codec import decode, decode_frame
from protocol.envelope import Broadcast
from protocol.errors import CellferryError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from actors.deployment import Deployment
    from actors.wire.topology import DeadLetter
    from protocol.cell_path import CellPath

T = TypeVar("T")
LISTED: Final = ("id", "cell", "queue", "reason", "methods", "why")


@click.group("dead-letters")
def dead_letters() -> None:
    """Look at messages that could not be taken; have them tried again, or drop them."""


@attrs.frozen(kw_only=True)
class Reader:
    """Who looks after the dead letters of a deployment, cell by cell."""

    deployment: Deployment
    warn: Callable[[str], None]
    #: Cells of which nothing is known, because their brokers could not be used.
    unknown: list[CellPath] = attrs.field(factory=list)

    async def each(self, work: Callable[[RabbitWire, CellPath], Awaitable[T]], cell: str = "") -> list[T]:
        """Do something at the broker of each cell, or of one; what is away is told of."""
        cells = [each.path for each in self.deployment.cloud.cells if cell in {"", str(each.path)}]
        if not cells:
            raise NotThere(f"there is no cell {cell}; list them with: cellferry cell tree")
        found: list[T] = []
        for path in cells:
            connecting = RabbitWire.connect(
                {path: self.deployment.accounts.access(path, OPERATOR)[path]}, prefix=self.deployment.prefix,
                events=MemoryEvents(), random=SystemRandom(),
            )  # fmt: skip
            try:
                async with connecting as wire:
                    found.append(await work(wire, path))
            except* CellferryError as group:
                self.warn(f"warning: cell {path}: {leaf(group)}")
                self.unknown.append(path)
        return found

    async def letters(self, cell: str = "") -> list[DeadLetter]:
        """Read all dead letters."""
        return [letter for found in await self.each(self._read, cell) for letter in found]

    async def _read(self, wire: RabbitWire, cell: CellPath) -> tuple[DeadLetter, ...]:
        found = await wire.dead_letters(cell)
        if len(found) == DEAD_LETTERS_LISTED_MAX:
            self.warn(f"warning: cell {cell} has more than these {len(found)}; replay or drop some to see the others")
        return found

    def missing(self, names: Iterable[str]) -> NotThere:
        """Say that some are nowhere, or may be where nobody could look."""
        text = f"there is no dead letter {', '.join(names)}"
        if self.unknown:
            return NotThere(f"{text} where it could be looked for; not known are those of {self._unknown}")
        return NotThere(f"{text}; list them with: cellferry dead-letters list")

    def check_all_known(self) -> None:
        """Raise `AnswersFailed` when some brokers could not be used."""
        if self.unknown:
            raise AnswersFailed(f"the dead letters of {self._unknown} are not known")

    @property
    def _unknown(self) -> str:
        return ", ".join(map(str, self.unknown))


def _reader(config: Path) -> Reader:
    return Reader(deployment=deployment_of(config), warn=console_for(sys.stderr).print)


@dead_letters.command("list")
@click.option("--cell", default="", metavar="CELL", help="Only those of this cell.")
@click.option("--reason", default="", metavar="REASON", help="Only those with this reason.")
@config_option()
@shape_options
def list_(*, cell: str, reason: str, config: Path, shape: Shape) -> None:
    """List dead letters, oldest first: in which queue they were, and why nobody could take them."""
    reader = _reader(config)
    found = anyio.run(reader.letters, cell)
    rows = [row_of(letter) for letter in found if reason in {"", letter.reason}]
    show_rows(console_for(sys.stdout), rows, shape, usual=LISTED)
    reader.check_all_known()


@dead_letters.command()
@click.argument("name", metavar="ID")
@config_option()
@shape_options
def show(*, name: str, config: Path, shape: Shape) -> None:
    """Show a dead letter, with the headers of the messages in it."""
    reader = _reader(config)
    found = [letter for letter in anyio.run(reader.letters) if letter.id == name]
    if not found:
        raise reader.missing([name])
    row = row_of(found[0]) | {"sender": found[0].sender or None, "bytes": len(found[0].frame)}
    messages = headers_of(found[0].frame)
    shown = "; ".join(messages) if shape.form == "table" else messages
    show_fields(console_for(sys.stdout), row | {"messages": shown}, shape)


@dead_letters.command()
@click.argument("names", metavar="ID...", nargs=-1, required=True)
@config_option()
def replay(*, names: tuple[str, ...], config: Path) -> None:
    """Put dead letters back into their queues: what is still wrong with one makes it a dead letter again."""
    _settle(config, names, replayed=True)


@dead_letters.command()
@click.argument("names", metavar="ID...", nargs=-1, required=True)
@config_option()
def drop(*, names: tuple[str, ...], config: Path) -> None:
    """Forget dead letters."""
    _settle(config, names, replayed=False)


def _settle(config: Path, names: tuple[str, ...], *, replayed: bool) -> None:
    settled: list[str] = []

    async def settle(wire: RabbitWire, cell: CellPath) -> None:
        async for name in wire.settle_dead_letters(cell, names, replayed=replayed):
            settled.append(name)  # noqa: PERF401 - what is settled before something fails is settled

    reader = _reader(config)
    anyio.run(reader.each, settle)
    if settled:
        console_for(sys.stdout).print(f"{len(settled)} dead letter(s) {'put back' if replayed else 'dropped'}")
    if left := [name for name in dict.fromkeys(names) if name not in settled]:
        raise reader.missing(left)


def row_of(letter: DeadLetter) -> dict[str, Any]:
    """Make a row of a dead letter."""
    return {
        "id": letter.id, "cell": str(letter.queue.cell), "queue": letter.queue.name, "reason": letter.reason,
        "methods": list(dict.fromkeys(_methods(letter.frame))), "why": letter.why or None,
    }  # fmt: skip


def _methods(frame: bytes) -> list[str]:
    return [text.partition(" ")[0] for text in headers_of(frame)]


def headers_of(frame: bytes) -> list[str]:
    """Tell of each message of a frame what it asks, from whom to whom, and by which way; of what is none, that."""
    try:
        parts = decode_frame(frame)
    except CellferryError as error:
        return [f"? ({error})"]
    texts = []
    for part in parts:
        try:
            envelope = decode(part)
        except CellferryError as error:
            texts.append(f"? ({error})")
            continue
        target = envelope.direction if isinstance(envelope, Broadcast) else envelope.target
        way = " ".join(map(str, envelope.route))
        texts.append(
            f"{envelope.method} from {envelope.source} to {target} over {way}, server {envelope.server or '-'}"
        )
    return texts
