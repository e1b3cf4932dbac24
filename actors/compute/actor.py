"""The actor of one compute host: its guests, its permits, its inbox.  It answers; it never writes others' records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import anyio

from actors.compute.guests import Guests
from actors.compute.lookout import Lookout
from actors.compute.metering import Metering
from actors.compute.reporting import Reporting
from actors.compute.starting import FenceWatch, Start
from actors.kernel.actor import Actor
from actors.kernel.handlers import Ensuring
from protocol.errors import CellferryError
from protocol.messages import hosts as say
from protocol.messages import live, rebuilding
from protocol.messages.consoles import ShowConsole
from protocol.messages.imaging import CaptureDisk
from protocol.messages.nodes import ShowUptime
from protocol.messages.wiring import ApplyNetwork, FindNetwork

if TYPE_CHECKING:
    from actors.compute.drivers.base import Driver
    from actors.kernel.ports import Clock, Inbox, Store
    from actors.kernel.post import Post
    from actors.partners.ports import ImageFiles, VolumeFiles
    from protocol.cell_path import Address
    from protocol.requests import Request

ANNOUNCE_PAUSE_S: Final = 1.0


def host_actor(
    *, post: Post, store: Store, inbox: Inbox, clock: Clock, name: str, driver: Driver, images: ImageFiles,
    volumes: VolumeFiles, announcement: tuple[Address, Request[Any]], report_s: float = 0, usage_s: float = 0,
) -> Actor:  # fmt: skip
    """Make the actor of the compute host `name`, which announces itself to its cell."""
    guests = Guests(name, store=store, driver=driver, images=images, volumes=volumes)
    start = Start(name, post=post, store=store, inbox=inbox, driver=driver)
    fences = FenceWatch(post=post)
    lookout = Lookout(name, post=post, store=store, driver=driver, cell=announcement[0])
    reporting = Reporting(name, post=post, driver=driver, cell=announcement[0], every_s=report_s)
    metering = Metering(name, post=post, driver=driver, cell=announcement[0], every_s=usage_s)

    async def announce() -> None:
        to, request = announcement
        while True:
            try:
                await post.call(to, request)
            except CellferryError as error:
                post.events.emit("announcement_waits", host=name, error=str(error))
            else:
                break
            await anyio.sleep(ANNOUNCE_PAUSE_S)
        await reporting.run()

    return Actor(
        post=post, store=store, inbox=inbox, clock=clock, handlers=_handlers(guests, fences, reporting),
        background=(announce, lookout.run, fences.watch, *((metering.run,) if usage_s else ())), prepare=start.run,
    )  # fmt: skip


def _handlers(guests: Guests, fences: FenceWatch, reporting: Reporting) -> tuple[Ensuring, ...]:
    return (
        Ensuring(request=say.ProveTarget, ensure=guests.prove_target),
        Ensuring(request=say.ProveSource, ensure=guests.prove_source),
        Ensuring(request=say.SpawnGuest, accept=guests.hold, ensure=guests.spawn),
        Ensuring(request=say.DestroyGuest, ensure=guests.destroy, settle=guests.forget),
        Ensuring(request=say.StopGuest, ensure=guests.stop, settle=guests.give_back),
        Ensuring(request=say.ResumeGuest, accept=guests.hold, ensure=guests.resume, settle=guests.settle_resumed),
        Ensuring(request=say.SnapshotGuest, ensure=guests.snapshot),
        Ensuring(request=CaptureDisk, ensure=guests.capture),
        Ensuring(request=say.DetachGuest, ensure=guests.detach),
        Ensuring(request=say.ReattachGuest, accept=guests.hold_again, ensure=guests.reattach),
        Ensuring(request=say.PowerGuest, accept=guests.check_held, ensure=guests.power),
        Ensuring(request=say.ConnectVolume, ensure=guests.connect),
        Ensuring(request=say.CopyVolume, ensure=guests.copy),
        Ensuring(request=say.DisconnectVolume, ensure=guests.disconnect),
        Ensuring(request=say.ShowGuest, ensure=guests.show),
        Ensuring(request=say.FindGuest, ensure=guests.find),
        Ensuring(request=live.SaveGuest, ensure=guests.save, settle=guests.give_back_saved),
        Ensuring(request=live.RestoreGuest, accept=guests.hold, ensure=guests.restore, settle=guests.settle_resumed),
        Ensuring(request=live.ReceiveDisk, ensure=guests.receive_disk),
        Ensuring(request=live.ReceiveGuest, accept=guests.hold, ensure=guests.receive),
        Ensuring(request=rebuilding.PrepareDisk, ensure=guests.prepare_disk),
        Ensuring(request=rebuilding.ReplaceDisk, ensure=guests.replace_disk),
        Ensuring(request=rebuilding.RestoreDisk, ensure=guests.restore_disk),
        Ensuring(request=rebuilding.KeepDisk, ensure=guests.keep_disk),
        Ensuring(request=ApplyNetwork, ensure=guests.apply_network),
        Ensuring(request=FindNetwork, ensure=guests.find_network),
        Ensuring(request=say.StartAnew, ensure=fences.hear),
        Ensuring(request=ShowUptime, ensure=reporting.uptime),
        Ensuring(request=ShowConsole, ensure=guests.console),
    )
