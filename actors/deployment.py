"""A deployment: a cloud, over which wire and on which stores it runs, and the roles that processes play in it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import attrs
from cattrs.preconf.json import JsonConverter, make_converter

from actors.accounts import MEMORY, Accounts
from actors.kernel.ports import Queue
from actors.ops.checks import SettingsError, check_url
from actors.ops.links import BROKERS, STORES
from actors.ops.settings import Cloud
from actors.store.schemas import ROOT, schema_name
from actors.wire.topology import dead_letter_queue
from protocol.cell_path import CellPath, host_mailbox, replies_of

SQLITE: Final = "sqlite"
#: How long what was taken may take to be finished when a process is told to stop.
DRAIN_S_MAX: Final = 10.0


class Duty(StrEnum):
    """What a process may be there for."""

    CELL = "cell"  # The actor that owns the cell's database, and the cell's router.
    HOST = "host"
    CONDUCTOR = "conductor"
    IMAGE = "image"
    VOLUME = "volume"
    NETWORK = "network"


@attrs.frozen(kw_only=True)
class Task:
    """One role of one cell or host: what one operating-system process does when each has its own."""

    duty: Duty
    cell: CellPath
    host: str = ""
    replica: int = 0  # Of those that share a mailbox and a store, which.

    def __str__(self) -> str:
        """Name it as addresses do; each replica but the first with its number."""
        return f"{self.cell}/{self.mailbox}" + (f"~{self.replica}" if self.replica else "")

    @property
    def mailbox(self) -> str:
        """Name the mailbox that its actor reads."""
        return host_mailbox(self.host) if self.host else self.duty.value


@attrs.frozen(kw_only=True)
class Place:
    """Where the store of a role is: in a file, or in a schema of a PostgreSQL database; and of which kind it is."""

    kind: str
    path: Path | None = None
    url: str = attrs.field(default="", repr=False)
    schema: str = ""

    def __str__(self) -> str:
        """Name it, without what is secret."""
        return str(self.path or f"{urlsplit(self.url).hostname}{urlsplit(self.url).path}/{self.schema}")


@attrs.frozen(kw_only=True)
class Deployment:
    """One run of a cloud: over which wire, on which stores, in which directory, by which prefix of all names.

    A host keeps its store beside its guests, always as a file: what it may run is known on its own disk.
    """

    cloud: Cloud
    wire: str = attrs.field(default=MEMORY, repr=False)
    store: str = attrs.field(default=SQLITE, repr=False)
    directory: Path
    prefix: str
    #: Where the passwords are of those who are users of their own to their brokers; None: nobody is.
    secrets: Path | None = None

    def __attrs_post_init__(self) -> None:
        """Refuse URLs that cannot be, and what does not fit together."""
        if self.wire != MEMORY:
            check_url("wire", self.wire, BROKERS)
        if self.store != SQLITE:
            check_url("store", self.store, STORES)
        for index, cell in enumerate(self.cloud.cells):
            if cell.broker and self.wire == MEMORY:
                what = "the memory wire has no brokers; give the wire a URL too (amqp://...), or remove this one"
                raise SettingsError(where=f"cells[{index}].broker", what=what)

    @property
    def accounts(self) -> Accounts:
        """Who is who to the brokers."""
        return Accounts(cloud=self.cloud, wire=self.wire, prefix=self.prefix, secrets=self.secrets)

    def broker_of(self, cell: CellPath) -> str:
        """Give the URL of a cell's broker."""
        return self.cloud.cell(cell).broker or self.wire

    def store_of(self, cell: CellPath) -> str:
        """Give the URL of a cell's stores, or the word for files."""
        return self.cloud.cell(cell).store or self.store

    def place_of(self, task: Task) -> Place:
        """Tell where the store of a role is, which its replicas share."""
        duty, url = task.duty, self.store_of(task.cell)
        kind = ROOT if duty is Duty.CELL and task.cell == self.cloud.root else duty.value
        if url == SQLITE or duty is Duty.HOST:
            below = self.directory / ("hosts" if task.host else "stores") / (task.host or str(task.cell))
            return Place(kind=kind, path=below / f"{duty}.sqlite")
        return Place(kind=kind, url=url, schema=self.schema("" if duty is Duty.CELL else duty, task.cell))

    def schema(self, name: str, cell: CellPath) -> str:
        """Name the schema of an actor's tables in a PostgreSQL database; the cell's own actor has no name."""
        prefix = self.prefix.replace("-", "_")
        return schema_name(f"{prefix}_{name}" if name else prefix, cell)

    def tasks(self) -> tuple[Task, ...]:
        """List every role that there is to play, cells first: hosts announce themselves to them."""
        root = self.cloud.root
        partners = (Duty.IMAGE, Duty.VOLUME, Duty.NETWORK)
        return (
            *(
                Task(duty=Duty.CELL, cell=cell.path, replica=replica)
                for cell in self.cloud.cells
                for replica in range(cell.replicas)
            ),
            *(Task(duty=duty, cell=root) for duty in partners),
            *(Task(duty=Duty.HOST, cell=host.cell, host=host.name) for host in self.cloud.hosts),
            *(Task(duty=Duty.CONDUCTOR, cell=root, replica=replica) for replica in range(self.cloud.conductors)),
        )

    def queues(self) -> tuple[Queue, ...]:
        """List every durable queue that the actors and the wire itself declare."""
        queues = []
        for cell in self.cloud.cells:
            queues.extend([dead_letter_queue(cell.path), Queue(cell.path, "link")])
            queues.extend(_replies(cell.path, "link", str(replica)) for replica in range(cell.replicas))
            queues.extend(Queue(cell.path, f"from:{neighbour}") for neighbour in self.cloud.neighbours(cell.path))
        for task in self.tasks():
            queues.extend([Queue(task.cell, task.mailbox), _replies(task.cell, task.mailbox, str(task.replica))])
        return tuple(dict.fromkeys(queues))

    def encode(self) -> bytes:
        """Write it as one line, for a process of this deployment."""
        return bytes(_CONVERTER.dumps(self).encode())

    @classmethod
    def decode(cls, line: bytes) -> Deployment:
        """Read what `encode` wrote."""
        decoded: Deployment = _CONVERTER.loads(line, cls)
        return decoded


def _make_converter() -> JsonConverter:
    converter = make_converter()
    for kind, parse in ((CellPath, CellPath.parse), (Path, Path)):
        converter.register_unstructure_hook(kind, str)
        converter.register_structure_hook(kind, lambda text, _, parse=parse: parse(text))
    return converter


_CONVERTER: Final = _make_converter()


def _replies(cell: CellPath, mailbox: str, slot: str) -> Queue:
    return Queue(cell, replies_of(mailbox, slot))
