"""`cellferry service`: what runs on hosts, and when it was last heard of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from actors.cli.configuring import config_option
from actors.cli.failures import NotThere
from actors.cli.formats import Shape, shape_options, show_rows
from actors.cli.hosts import US_A_S, gathered
from actors.cli.speaking import Session, speak
from protocol.cell_path import Address
from protocol.messages.services import DeleteService, ListServices, ServiceLine

if TYPE_CHECKING:
    from actors.cli.formats import Row
    from protocol.cell_path import CellPath

LISTED: Final = ("id", "host", "cell", "binary", "enabled", "reason", "heard_ago_s", "reports", "version")


@click.group()
def service() -> None:
    """Look at the services of hosts; forget one that runs no more."""


@service.command("list")
@click.option("--disabled", is_flag=True, help="Only those that are disabled.")
@click.option("--host", default="", help="Only those of this host.")
@config_option()
@shape_options
def list_(*, disabled: bool, host: str, config: Path, shape: Shape) -> None:
    """List services of all cells."""
    request = ListServices(is_enabled=False if disabled else None, host=host)

    async def work(session: Session) -> None:
        found = await _by_cell(session, request)
        show_rows(session.out, [row_of(cell, line) for cell, line in found], shape, usual=LISTED)

    speak(config, work)


@service.command()
@click.argument("which", metavar="SERVICE")
@config_option()
def delete(*, which: str, config: Path) -> None:
    """Forget a service, by its id or its host: its machine is gone for good.  Refused while servers are there."""

    async def work(session: Session) -> None:
        found = [
            (cell, line) for cell, line in await _by_cell(session, ListServices())
            if which in {line.service.id, line.service.host}
        ]  # fmt: skip
        if not found:
            raise NotThere(f"there is no service {which}; list them with: cellferry service list")
        for cell, line in found:
            await session.client.call(Address(cell, "cell"), DeleteService(id=line.service.id))
            session.out.print(f"service {line.service.binary} of host {line.service.host} in cell {cell} is forgotten")

    speak(config, work)


async def _by_cell(session: Session, request: ListServices) -> list[tuple[CellPath, ServiceLine]]:
    found = [(cell, line) for cell, answer in await gathered(session, request) for line in answer.services]
    return sorted(found, key=lambda each: (each[0], each[1].service.host))


def row_of(cell: CellPath, line: ServiceLine) -> Row:
    """Make a row of a listing."""
    service = line.service
    return {
        "id": service.id,
        "host": service.host,
        "cell": str(cell),
        "binary": service.binary,
        "enabled": service.is_enabled,
        "reason": service.disabled_reason or None,
        "heard_ago_s": round(line.heard_ago_us / US_A_S),
        "reports": service.report_count,
        "version": service.version,
    }
