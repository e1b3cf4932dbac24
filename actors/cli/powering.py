"""`cellferry server reboot|pause|unpause|suspend|resume|restore`: what a server's guest is to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from actors.cli.servers import Waiting, order_server, orders, origin, powering
from protocol.messages.orders import PowerServer
from protocol.states import Goal

if TYPE_CHECKING:
    from pathlib import Path

    from actors.cli.formats import Shape
    from actors.cli.speaking import Session
    from protocol.messages.orders import Order


@click.command()
@click.argument("which", metavar="SERVER")
@click.option("--hard", "is_hard", is_flag=True, help="Also when it is stopped: it runs then.")
@orders
def reboot(*, which: str, is_hard: bool, config: Path, waiting: Waiting, shape: Shape) -> None:
    """Switch a server off and on again, on its host."""

    def order(session: Session, server_id: str) -> Order:
        return PowerServer(server=server_id, goal=Goal.REBOOT, origin=origin(session), is_hard=is_hard)

    order_server(config, which, "hard reboot" if is_hard else "reboot", order, waiting=waiting, shape=shape)


#: What needs no more than the server, and its words of help.
HELP: Final = {
    Goal.PAUSE: "Hold a server where it is: it keeps its place and its memory on its host.",
    Goal.UNPAUSE: "Let a paused server go on.",
    Goal.SUSPEND: "Save where a server is, and end its guest until it is resumed.",
    Goal.RESUME: "Have a suspended server go on where it was.",
    Goal.RESTORE: "Take a server back that was deleted softly; it runs then.",
}


def _command(goal: Goal, words: str) -> click.Command:
    argument = click.argument("which", metavar="SERVER")
    return click.command(goal.value, help=words)(argument(orders(powering(goal))))


POWERING: Final = (reboot, *(_command(goal, words) for goal, words in HELP.items()))
