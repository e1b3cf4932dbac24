"""`cellferry server reset-network|inject-network-info|network`: the ports of a guest, as its host has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from actors.cli.configuring import config_option
from actors.cli.failures import NotThere
from actors.cli.formats import Shape, shape_options, show_rows
from actors.cli.servers import Waiting, orders, origin, place
from actors.cli.speaking import LOOK_S, Session, speak
from protocol.cell_path import Address, CellPath, host_mailbox
from protocol.messages.orders import WireServer
from protocol.messages.wiring import FindNetwork
from protocol.states import Goal

if TYPE_CHECKING:
    from pathlib import Path

LISTED: Final = ("what", "port", "address", "by")
_SERVER: Final = click.argument("which", metavar="SERVER")


def _wiring(goal: Goal, name: str, text: str) -> click.Command:
    def command(*, which: str, config: Path, waiting: Waiting, shape: Shape) -> None:
        async def work(session: Session) -> None:
            line = await session.server(which)
            order = WireServer(server=line.mirror.server, goal=goal, origin=origin(session))
            what = goal.value.replace("_", " ")
            await place(session, order, name=line.mirror.name, what=what, waiting=waiting, shape=shape)

        speak(config, work)

    return click.command(name, help=text)(_SERVER(orders(command)))


@click.command()
@_SERVER
@config_option()
@shape_options
def network(*, which: str, config: Path, shape: Shape) -> None:
    """Show the ports that a server's host has last applied, and those that it has last told the guest of."""

    async def work(session: Session) -> None:
        mirror = (await session.server(which)).mirror
        if mirror.host is None:
            raise NotThere(f"server {which} is on no host yet")
        host = Address(CellPath.parse(mirror.cell), host_mailbox(mirror.host))
        found = await session.client.ask(host, FindNetwork(server=mirror.server), budget_s=LOOK_S)
        rows = [
            {"what": what, "port": port.port, "address": port.address, "by": applied.by}
            for what, applied in (("reset", found.reset), ("injected", found.injected))
            for port in applied.ports
        ]
        show_rows(session.out, rows, shape, usual=LISTED)

    speak(config, work)


#: The commands, for the group of those about servers.
WIRING: Final[tuple[click.Command, ...]] = (
    _wiring(
        Goal.RESET_NETWORK, "reset-network", "Have a server's host apply its ports again, and its traffic go there."
    ),
    _wiring(Goal.INJECT_NETWORK_INFO, "inject-network-info", "Have a server's host tell its guest of its ports."),
    network,
)
