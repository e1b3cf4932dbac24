"""`cellferry cell`: the tree of cells, and which of them answer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.text import Text

from actors.cli.configuring import config_option
from actors.cli.hosts import uses
from actors.cli.speaking import Session, speak

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.ops.settings import Cloud
    from protocol.cell_path import CellPath
    from protocol.messages.capacity import HostUse


@click.group()
def cell() -> None:
    """Look at cells."""


@cell.command()
@config_option()
def tree(*, config: Path) -> None:
    """Draw the tree of cells with their hosts: those of the file, and whether each is known to its cell."""

    async def work(session: Session) -> None:
        known = {use.host: use for use in await uses(session)}
        for line in drawn(session.deployment.cloud, known):
            session.out.print(Text(line))

    speak(config, work)


def drawn(cloud: Cloud, known: dict[str, HostUse]) -> Iterator[str]:
    """Draw the tree from the root down, a line a cell and a host."""
    yield str(cloud.root)
    yield from _below(cloud, cloud.root, known, indent="")


def _below(cloud: Cloud, path: CellPath, known: dict[str, HostUse], *, indent: str) -> Iterator[str]:
    hosts = [_host(known.get(host.name), host.name) for host in cloud.hosts_of(path)]
    children = cloud.children(path)
    for place, host in enumerate(hosts):
        is_last = not children and place == len(hosts) - 1
        yield f"{indent}{'└── ' if is_last else '├── '}{host}"
    for place, child in enumerate(children):
        is_last = place == len(children) - 1
        yield f"{indent}{'└── ' if is_last else '├── '}{child.names[-1]}"
        yield from _below(cloud, child, known, indent=indent + ("    " if is_last else "│   "))


def _host(use: HostUse | None, name: str) -> str:
    if use is None:
        return f"host {name}: not announced"
    return f"host {name}: {use.servers} server(s), {use.memory_mb_used} of {use.memory_mb} MB"
