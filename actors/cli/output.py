"""What people see: a line a step while something runs, and tables at the end.  Plain text when not on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from actors.cli.report import power_name
from protocol.bodies import decode_body
from protocol.cell_path import Address
from protocol.errors import ErrorReport
from protocol.invariants import INVARIANTS
from protocol.journal import Entry, Kind
from protocol.moves.plans import PLANS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from protocol.messages.orders import StepNews
    from protocol.truth import Violation

#: Steps that are done several times: what they have is no attempt.
REPEATED: Final = frozenset(step.name for plan in PLANS.values() for step in plan.steps if step.times is not None)
#: Wide enough that no line of plain text is ever broken.
PLAIN_COLUMNS: Final = 240
ID_CHARS: Final = 8
STEP_COLUMNS: Final = 32
ACTOR_COLUMNS: Final = 16
CELL_COLUMNS: Final = 14
US_A_MS: Final = 1000.0
NOTHING: Final = "-"
WRAPPED: Final = frozenset({"flow", "promise", "task", "from", "to", "flavor", "connected to"})
RIGHT: Final = frozenset({"vcpus", "memory MB", "disk GB", "before", "after", "boots", "generation", "bytes"})


def console_for(file: TextIO) -> Console:
    """Make a console for a stream; what is no terminal gets plain text of any width."""
    console = Console(file=file, highlight=False, markup=False, emoji=False)
    return console if console.is_terminal else Console(
        file=file, highlight=False, markup=False, emoji=False, width=PLAIN_COLUMNS, no_color=True
    )  # fmt: skip


class StepLines:
    """Shows what a conversation does: a heading, then a line a step, those of an undo marked."""

    def __init__(self, console: Console) -> None:
        """Write to the console."""
        self._console = console
        self._since_us: dict[tuple[str, int, bool], int] = {}

    def say(self, text: str) -> None:
        """Show a line of its own."""
        self._console.print(Text(text, style="dim"))

    def begin(self, server: str, what: str) -> None:
        """Show a heading."""
        self._since_us.clear()
        self._console.print()
        self._console.print(Text(f"{server}: ", style="bold cyan") + Text(what, style="bold"))

    def tell(self, news: StepNews) -> None:
        """Show a step when its outcome is known."""
        entry = news.entry
        exchange = (entry.step, entry.attempt, entry.is_undo)
        if entry.kind is Kind.INTENT:
            self._since_us.setdefault(exchange, entry.at_us)
        elif entry.kind in {Kind.DONE, Kind.REFUSED}:
            took_us = entry.at_us - self._since_us.pop(exchange, entry.at_us)
            self._console.print(step_line(entry, news.actor, took_us=took_us))


def step_line(entry: Entry, actor: str, *, took_us: int) -> Text:
    """Write the line of one step."""
    address = Address.parse(actor)
    attempt = f" (attempt {entry.attempt})" if entry.attempt > 1 else ""
    if entry.step in REPEATED:
        attempt = f" ({entry.attempt})"
    name = f"{'undo: ' if entry.is_undo else ''}{entry.step}{attempt}"
    line = Text("  ")
    line.append(f"{name:<{STEP_COLUMNS}} ", style="yellow" if entry.is_undo else "")
    line.append(f"{address.mailbox:<{ACTOR_COLUMNS}} {address.cell!s:<{CELL_COLUMNS}}", style="dim")
    line.append(f"{took_us / US_A_MS:9.1f} ms")
    if entry.kind is Kind.REFUSED:
        line.append(f"  refused: {decode_body(entry.payload, ErrorReport).message}", style="bold red")
    return line


# --- the end -----------------------------------------------------------------------------------------------


class Tables:
    """Shows the end's document as tables."""

    def __init__(self, console: Console, document: dict[str, Any]) -> None:
        """Write to the console."""
        self._console = console
        self._document = document
        self._names = {server["uuid"]: server["name"] for server in document["servers"]}

    def show(self) -> None:
        """Write all of them."""
        self._servers()
        self._flows()
        self._records()
        self._moves()
        self._ownership()
        self._partners()
        self._invariants()

    def _servers(self) -> None:
        self._table(
            "Servers",
            ("server", "id", "home cell", "host", "vm state", "power", "before", "after", "boots"),
            (
                (
                    row["name"], short(row["uuid"]), row["home_cell"], row["host"], row["vm_state"],
                    row["power_state"], row["counter_before"], row["counter_after"], row["boots"],
                )
                for row in self._document["servers"]
            ),
            caption="before, after: how far its guest had counted on disk before the move, and now",
        )  # fmt: skip

    def _flows(self) -> None:
        rows = ((row["name"], row["flow"]) for row in self._document["servers"])
        self._table("What was done", ("server", "flow"), rows)

    def _records(self) -> None:
        self._table(
            "Records: where each server lives in each cell",
            ("cell", "server", "hidden", "host", "vm state", "task", "power", "flavor"),
            (
                (
                    cell["cell"], row["name"], "yes" if row["is_hidden"] else "no", row["host"],
                    row["vm_state"], row["task_state"], power_name(row["power_state"]), row["flavor"]["name"],
                )
                for cell in self._document["cells"]
                for row in cell["servers"]
            ),
        )  # fmt: skip

    def _moves(self) -> None:
        self._table(
            "Migrations",
            ("cell", "server", "id", "kind", "status", "from", "to", "flavor"),
            (
                (
                    cell["cell"], self._name(row["server"]), short(row["uuid"]), row["kind"], row["status"],
                    f"{row['source_cell']}/{row['source_host']}", f"{row['target_cell']}/{row['target_host']}",
                    f"{row['old_flavor']} to {row['new_flavor']}",
                )
                for cell in self._document["cells"]
                for row in cell["migrations"]
            ),
        )  # fmt: skip

    def _ownership(self) -> None:
        self._table(
            "Mappings",
            ("server", "cell", "generation", "taken for"),
            (
                (self._name(row["server"]), row["cell"], row["generation"], row["goal"])
                for row in self._document["mappings"]
            ),
        )
        self._table(
            "Allocations",
            ("cell", "host", "server", "held by", "vcpus", "memory MB", "disk GB"),
            (
                (
                    row["cell"], row["host"], self._name(row["server"]),
                    "server" if row["consumer"] == row["server"] else f"migration {short(row['consumer'])}",
                    row["vcpus"], row["memory_mb"], row["disk_gb"],
                )
                for row in self._document["allocations"]
            ),
        )  # fmt: skip

    def _partners(self) -> None:
        self._table(
            "Port bindings",
            ("server", "port", "host", "active"),
            (
                (self._name(row["server"]), short(row["port"]), row["host"], "yes" if row["is_active"] else "no")
                for row in self._document["bindings"]
            ),
        )
        self._table(
            "Attachments",
            ("server", "volume", "id", "device", "connected to"),
            (
                (self._name(row["server"]), row["volume"], short(row["id"]), row["device"], row["host"] or "(reserved)")
                for row in self._document["attachments"]
            ),
        )
        self._table(
            "Images",
            ("image", "status", "bytes", "of server"),
            (
                (row["name"], row["status"], row["size_bytes"], self._name(row["server"]) if row["server"] else None)
                for row in self._document["images"]
            ),
        )

    def _invariants(self) -> None:
        self._table(
            "Invariants",
            ("holds", "invariant", "promise"),
            (
                (self._held(name, held=held), name, INVARIANTS[name].text)
                for name, held in self._document["invariants"].items()
            ),
        )

    def _print(self, table: Table) -> None:
        if self._console.is_terminal:
            self._console.print(table)
            return
        with self._console.capture() as captured:
            self._console.print(table)
        for line in captured.get().splitlines():
            self._console.print(line.rstrip())

    def _held(self, name: str, *, held: bool) -> Text:
        if name in self._document["not_judged"]:
            return Text("not judged", style="dim")
        return Text("yes", style="green") if held else Text("NO", style="bold red")

    def _name(self, server: str) -> str:
        return str(self._names.get(server, short(server)))

    def _table(
        self, title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, caption: str = ""
    ) -> None:
        is_terminal = self._console.is_terminal
        table = Table(
            box=box.SIMPLE_HEAD if is_terminal else None, pad_edge=False, collapse_padding=is_terminal, show_edge=False
        )
        for column in columns:
            # Words and addresses wrap where a terminal is narrow; ids and numbers never do.
            table.add_column(
                column, justify="right" if column in RIGHT else "left", no_wrap=column not in WRAPPED, overflow="fold"
            )
        for row in rows:
            table.add_row(*(cell if isinstance(cell, Text) else Text(_plain(cell)) for cell in row))
        self._console.print()
        self._console.print(Text(title, style="bold cyan"))
        self._print(table)
        if caption:
            self._console.print(Text(caption, style="dim"))


def _plain(value: object) -> str:
    return NOTHING if value is None or value == "" else str(value)


def short(text: str) -> str:
    """Shorten an id for people."""
    return text[:ID_CHARS]


def show_verdict(console: Console, document: dict[str, Any], violations: Iterable[Violation], *, took_s: float) -> None:
    """Write what does not hold, then one line that says how it went."""
    for violation in violations:
        console.print(Text(f"{violation.invariant}: {violation.subject} {violation.text}", style="red"))
    judged = [held for name, held in document["invariants"].items() if name not in document["not_judged"]]
    what = (
        f"{sum(judged)} of {len(judged)} invariants hold; {len(document['servers'])} servers ferried in {took_s:.1f} s"
    )
    if document["not_judged"]:
        what += f" (not judged, for nothing was recorded: {', '.join(document['not_judged'])})"
    style = "bold green" if document["ok"] else "bold red"
    console.print()
    console.print(Text(f"{'OK' if document['ok'] else 'BROKEN'}: {what}.", style=style))
