"""`cellferry server`: what users do with servers of a running deployment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs
import click

from actors.cli import groups
from actors.cli.configuring import config_option
from actors.cli.creates import show_create
from actors.cli.failures import NotThere
from actors.cli.following import finish
from actors.cli.formats import Shape, shape_options, show_fields, show_rows
from actors.cli.report import power_name
from actors.cli.speaking import ADMIN, LOOK_S, Session, speak, user_here
from actors.cli.times import shown_time
from actors.cli.wishes import wish_options
from protocol.cell_path import Address, CellPath
from protocol.messages.orders import (
    BANDWIDTH_KBPS_MAX,
    ChangeVolume,
    CreateServer,
    DeleteServer,
    MoveServer,
    NewVolume,
    PowerServer,
    SettleMove,
)
from protocol.messages.root import PageServers, ServerLine
from protocol.messages.servers import Origin, ReadServer, ServerBundle
from protocol.records import KeyPair
from protocol.requests import PAGE_MAX
from protocol.states import Goal

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.cli.formats import Row
    from protocol.messages.orders import Order
    from protocol.records import Flavor, Mirror
    from protocol.scheduling import Wish

LISTED: Final = ("id", "name", "vm_state", "task_state", "power_state", "host", "cell", "flavor", "taken_for")
PUBLIC_KEY: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
#: In place of a state: the cell that is its home has no record of it; the root has not heard of it.
MISSING: Final = "missing"
UNHEARD: Final = "unheard"
DEVICES: Final = tuple(f"/dev/vd{letter}" for letter in "abcdefghijklmnopqrstuvwxyz")


@attrs.frozen(kw_only=True)
class Waiting:
    """Whether a command waits for the end of what it orders, and for how long at most."""

    is_on: bool
    timeout_s: float | None


@click.group()
def server() -> None:
    """Create, move and change servers."""


def orders(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of all that place orders, as the arguments `config`, `waiting` and `shape`."""

    def with_waiting(*, wait: bool, timeout: float | None, **others: Any) -> None:
        command(waiting=Waiting(is_on=wait, timeout_s=timeout), **others)

    with_waiting.__doc__ = command.__doc__
    with_waiting.__name__ = command.__name__
    with_waiting.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]  # how click hands options on
    wait = click.option("--wait", is_flag=True, help="Wait until it is done, and show each step.")
    limit = click.option("--timeout", type=click.FloatRange(min=0.1), metavar="SECONDS", help="With --wait: at most.")
    return config_option()(shape_options(wait(limit(with_waiting))))


# --- looking -----------------------------------------------------------------------------------------------


@server.command("list")
@click.option("--limit", type=click.IntRange(1, PAGE_MAX), default=100, show_default=True, help="So many at most.")
@click.option("--marker", default="", metavar="ID", help="Begin behind this server: the last one of the page before.")
@click.option("--name", help="Only servers of this name.")
@config_option()
@shape_options
def list_(*, limit: int, marker: str, name: str | None, config: Path, shape: Shape) -> None:
    """List servers, by id: each once, as its home cell has it."""

    async def work(session: Session) -> None:
        page = await session.look(PageServers(after=marker, limit=limit, name=name))
        show_rows(session.out, [row_of(line) for line in page.lines], shape, usual=LISTED)
        if not page.is_last:
            session.progress.print(f"there are more; go on with: --marker {page.lines[-1].mirror.server}")

    speak(config, work)


def row_of(line: ServerLine) -> Row:
    """Make a row of a listing."""
    mirror = line.mirror
    return {
        "id": mirror.server,
        "name": mirror.name,
        "vm_state": state_of(mirror),
        "task_state": mirror.task_state.value if mirror.task_state else None,
        "power_state": power_name(mirror.power_state),
        "host": mirror.host,
        "cell": mirror.cell,
        "flavor": mirror.flavor,
        "taken_for": line.goal.value if line.goal else None,
        "conversation": line.conversation,
    }


def state_of(mirror: Mirror) -> str:
    """Name a server's state, or say why that is not known."""
    if mirror.is_missing:
        return MISSING
    return UNHEARD if mirror.vm_state is None else mirror.vm_state.value


@server.command()
@click.argument("which", metavar="SERVER")
@config_option()
@shape_options
def show(*, which: str, config: Path, shape: Shape) -> None:
    """Show a server, by its name, its id, or the start of that."""

    async def work(session: Session) -> None:
        line = await session.find_server(which)
        await (show_create(session, which, shape) if line is None else show_server(session, line, shape))

    speak(config, work)


async def show_server(session: Session, line: ServerLine, shape: Shape) -> None:
    """Show a server as its home cell has it now."""
    bundle = await read(session, line)
    record = bundle.server
    actions = sorted(bundle.actions, key=lambda action: action.started_at_us)
    fields = row_of(line) | {
        "name": record.name,
        "description": record.description or None,
        "vm_state": record.vm_state.value,
        "task_state": record.task_state.value if record.task_state else None,
        "power_state": power_name(record.power_state),
        "host": record.host,
        "flavor": record.flavor.name,
        "image": record.image or None,
        "volumes": [f"{device.volume} on {device.device}" for device in bundle.block_devices],
        "availability_zone": record.availability_zone,
        "key": record.key_pair.name if record.key_pair else None,
        "bandwidth_kbps": record.bandwidth_kbps or None,
        "locked": record.is_locked,
        "tags": list(record.tags),
        "metadata": dict(record.metadata),
        "user": record.user,
        "created": shown_time(record.created_at_us),
        "updated": shown_time(record.updated_at_us),
        "last_action": actions[-1].action if actions else None,
        "last_error": next((action.message for action in reversed(actions) if action.message), None),
    }
    show_fields(session.out, fields, shape)


async def read(session: Session, line: ServerLine) -> ServerBundle:
    """Read the whole record of a server in its home cell."""
    home = Address(CellPath.parse(line.mirror.cell), "cell")
    return await session.client.ask(home, ReadServer(server=line.mirror.server), budget_s=LOOK_S)


@server.command()
@click.argument("name")
@click.option("--flavor", "flavor_name", required=True, help="A flavor of the deployment's file.")
@click.option("--image", default="", help="What its root disk is made from.")
@click.option("--boot-volume", help="Instead of an image: the volume that is its root disk.")
@click.option("--volume", "volumes", multiple=True, help="A volume for it; repeatable.")
@click.option("--host", help="The compute host; without, the one with most room.")
@click.option("--key", type=PUBLIC_KEY, help="A file with its user's public key, which is called as the file is.")
@click.option("--group", "group_name", metavar="GROUP", help="A group whose servers are on different hosts.")
@click.option("--bandwidth", type=click.IntRange(0, BANDWIDTH_KBPS_MAX), default=0, metavar="KBPS",
              help="What its port is guaranteed of its host; such a server does not leave its cell.")  # fmt: skip
@wish_options
@orders
def create(
    *, name: str, flavor_name: str, image: str, boot_volume: str | None, volumes: tuple[str, ...], host: str | None,
    key: Path | None, group_name: str | None, bandwidth: int, wish: Wish, config: Path, waiting: Waiting, shape: Shape,
) -> None:  # fmt: skip
    """Create a server, called NAME."""
    if bool(image) is bool(boot_volume):
        raise click.UsageError("a server has a root disk: give either --image or --boot-volume")
    if len(volumes) >= len(DEVICES):
        raise click.UsageError(f"a server can be created with {len(DEVICES) - 1} volumes besides its root disk at most")
    root = [NewVolume(volume=boot_volume, device=DEVICES[0], boot_index=0)] if boot_volume else []
    pair = key_pair(key) if key else None
    data = [NewVolume(volume=each, device=device) for each, device in zip(volumes, DEVICES[1:], strict=False)]

    async def work(session: Session) -> None:
        order = CreateServer(
            server=session.client.fresh_id("server", name), name=name, flavor=flavor(session, flavor_name), image=image,
            volumes=(*root, *data), host=host, origin=origin(session), key_pair=pair,
            group=(await groups.find(session, group_name)).id if group_name else "", bandwidth_kbps=bandwidth,
            wish=wish,
        )  # fmt: skip
        await place(session, order, name=name, what=f"create {flavor_name}", waiting=waiting, shape=shape)

    speak(config, work)


@server.command()
@click.argument("which", metavar="SERVER")
@click.option("--flavor", "flavor_name", required=True, help="The flavor that it is to have.")
@click.option("--host", help="The target host; without, one with room, by the cloud's [moves].")
@orders
def resize(*, which: str, flavor_name: str, host: str | None, config: Path, waiting: Waiting, shape: Shape) -> None:
    """Resize a server: it moves to another host, and waits there for `confirm` or `revert`."""

    def order(session: Session, server_id: str) -> Order:
        wanted = flavor(session, flavor_name)
        return MoveServer(server=server_id, flavor=wanted, host=host, origin=origin(session))

    order_server(config, which, f"resize to {flavor_name}", order, waiting=waiting, shape=shape)


@server.command()
@click.argument("which", metavar="SERVER")
@click.option("--host", help="The target host; without, one with room, by the cloud's [moves].")
@orders
def migrate(*, which: str, host: str | None, config: Path, waiting: Waiting, shape: Shape) -> None:
    """Cold-migrate a server to another host, where it waits for `confirm` or `revert`."""

    def order(session: Session, server_id: str) -> Order:
        return MoveServer(server=server_id, flavor=None, host=host, origin=origin(session))

    what = f"cold migrate to host {host}" if host else "cold migrate"
    order_server(config, which, what, order, waiting=waiting, shape=shape)


def _settling(goal: Goal) -> Callable[..., None]:
    def command(*, which: str, config: Path, waiting: Waiting, shape: Shape) -> None:
        def order(session: Session, server_id: str) -> Order:
            return SettleMove(server=server_id, goal=goal, origin=origin(session))

        order_server(config, which, goal.value, order, waiting=waiting, shape=shape)

    return command


def powering(goal: Goal) -> Callable[..., None]:
    """Make a command that has a server's guest do something."""

    def command(*, which: str, config: Path, waiting: Waiting, shape: Shape) -> None:
        def order(session: Session, server_id: str) -> Order:
            return PowerServer(server=server_id, goal=goal, origin=origin(session))

        order_server(config, which, goal.value, order, waiting=waiting, shape=shape)

    return command


#: The commands that need no more than the server: how each places its order, and its words of help.
SIMPLE: Final = {
    Goal.CONFIRM: (_settling(Goal.CONFIRM), "Confirm a move: the server stays, and what is left at its source goes."),
    Goal.REVERT: (_settling(Goal.REVERT), "Revert a move: the server goes back to where it was."),
    Goal.START: (powering(Goal.START), "Start a server."),
    Goal.STOP: (powering(Goal.STOP), "Stop a server."),
}
for _goal, (_command, _help) in SIMPLE.items():
    _argument = click.argument("which", metavar="SERVER")
    server.command(_goal.value, help=_help)(_argument(orders(_command)))


@server.command()
@click.argument("which", metavar="SERVER")
@click.option("--soft", "is_soft", is_flag=True, help="Only switch it off and mark it: `restore` takes it back.")
@orders
def delete(*, which: str, is_soft: bool, config: Path, waiting: Waiting, shape: Shape) -> None:
    """Delete a server, whatever is being done to it; its volumes stay."""

    def order(session: Session, server_id: str) -> Order:
        if is_soft:
            return PowerServer(server=server_id, goal=Goal.SOFT_DELETE, origin=origin(session))
        return DeleteServer(server=server_id, origin=origin(session))

    order_server(config, which, "soft delete" if is_soft else "delete", order, waiting=waiting, shape=shape)


@server.command()
@click.argument("which", metavar="SERVER")
@click.argument("volume")
@click.option("--device", help="What its guest calls it; without, the next free one.")
@orders
def attach(*, which: str, volume: str, device: str | None, config: Path, waiting: Waiting, shape: Shape) -> None:
    """Attach VOLUME to a server."""

    async def work(session: Session) -> None:
        line = await session.server(which)
        bundle = await read(session, line)
        order = ChangeVolume(
            server=line.mirror.server, goal=Goal.ATTACH, volume=volume, device=device or next_device(bundle),
            origin=origin(session),
        )  # fmt: skip
        await place(session, order, name=line.mirror.name, what=f"attach {volume}", waiting=waiting, shape=shape)

    speak(config, work)


@server.command()
@click.argument("which", metavar="SERVER")
@click.argument("volume")
@orders
def detach(*, which: str, volume: str, config: Path, waiting: Waiting, shape: Shape) -> None:
    """Detach VOLUME from a server."""

    def order(session: Session, server_id: str) -> Order:
        return ChangeVolume(server=server_id, goal=Goal.DETACH, volume=volume, device="", origin=origin(session))

    order_server(config, which, f"detach {volume}", order, waiting=waiting, shape=shape)


@server.command()
@click.argument("which", metavar="SERVER")
@click.argument("old")
@click.argument("new")
@orders
def swap(*, which: str, old: str, new: str, config: Path, waiting: Waiting, shape: Shape) -> None:
    """Swap the volume OLD of a server for NEW, which becomes a copy of it, while its guest runs."""

    def order(session: Session, server_id: str) -> Order:
        return ChangeVolume(
            server=server_id, goal=Goal.SWAP, volume=old, device="", origin=origin(session), replacement=new
        )

    order_server(config, which, f"swap {old} for {new}", order, waiting=waiting, shape=shape)


def order_server(
    config: Path, which: str, what: str, order: Callable[[Session, str], Order], *, waiting: Waiting, shape: Shape
) -> None:
    """Find a server by what it is called, and place an order about it."""

    async def work(session: Session) -> None:
        line = await session.server(which)
        placed = order(session, line.mirror.server)
        await place(session, placed, name=line.mirror.name, what=what, waiting=waiting, shape=shape)

    speak(config, work)


async def place(session: Session, order: Order, *, name: str, what: str, waiting: Waiting, shape: Shape) -> None:
    """Place an order; show what was accepted, or wait for its end and show the server."""
    accepted = await session.client.order(order)
    if not waiting.is_on:
        fields = {"conversation": accepted.conversation, "server": accepted.server, "name": name, "accepted": what}
        show_fields(session.out, fields, shape)
        return
    await finish(session, accepted, what=what, name=name, timeout_s=waiting.timeout_s)
    if isinstance(order, DeleteServer):
        session.progress.print(f"{name} is gone; its volumes stay")
        return
    await show_server(session, await session.server(accepted.server), shape)


def key_pair(file: Path) -> KeyPair:
    """Read a file with a public key."""
    try:
        return KeyPair(name=file.stem, public_key=file.read_text(encoding="utf-8").strip())
    except UnicodeDecodeError:
        raise click.BadParameter(f"{file} is no text; name the file with the public key", param_hint="--key") from None


def flavor(session: Session, name: str) -> Flavor:
    """Find a flavor of the deployment's file; raise `NotThere`."""
    known = {each.name: each for each in session.deployment.cloud.flavors}
    if name not in known:
        raise NotThere(f"there is no flavor {name}; the file has {', '.join(known)}")
    return known[name]


def origin(session: Session) -> Origin:
    """Say who asks: whoever has the deployment's file is an admin of it."""
    request = f"req-{session.client.fresh_id('request')}"
    return Origin(request_id=request, user=user_here(), project=ADMIN, is_admin=True)


def next_device(bundle: ServerBundle) -> str:
    """Name the first device that is free; that of the root disk never is."""
    used = {device.device for device in bundle.block_devices}
    found = next((device for device in DEVICES[1:] if device not in used), None)
    if found is None:
        raise NotThere(
            f"no device of {DEVICES[1]} to {DEVICES[-1]} is free at {bundle.server.name}; name one: --device"
        )
    return found
