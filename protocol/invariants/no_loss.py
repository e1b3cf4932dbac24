"""No loss: an intact copy of what a server has written exists always, and at rest it is where the server is."""

from protocol.effects.images import ACTIVE
from protocol.invariants.findings import Findings, checker
from protocol.invariants.standing import Home, Standing, homes, settled
from protocol.records import Image, Volume
from protocol.states import TaskState
from protocol.truth import Truth, VolumeTruth


@checker("no_loss")
def check(truth: Truth) -> Findings:
    """Ask for a root disk, or a checked image of it, and for every volume.

    A server gets its home after its disk, and loses it after; what is being deleted is nobody's loss.
    """
    disks = {guest.server for guest in truth.guests if guest.has_disk}
    disks |= {
        image.server
        for image in truth.all(Image)
        if image.server and image.status == ACTIVE and image.id in truth.image_files
    }
    volumes = {volume.id for volume in truth.all(Volume)}
    written = {volume.volume for volume in truth.volumes}
    for home in homes(truth):
        if home.record.task_state is TaskState.DELETING:
            continue
        if not _has_root(home, disks, written):
            yield home.server, "its root disk is nowhere"
        for device in home.devices:
            if device.volume not in volumes:
                yield home.server, f"its volume {device.volume} is gone"


def _has_root(home: Home, disks: set[str], written: set[str]) -> bool:
    return home.root_volume in written if home.is_volume_backed else home.server in disks


@checker("no_loss")
def check_at_rest(truth: Truth) -> Findings:
    """Ask that nothing is older than what somebody has already seen on it."""
    written = {volume.volume: volume for volume in truth.volumes}
    disks = {(guest.server, str(guest.cell), guest.host): guest.counter for guest in truth.guests if guest.has_disk}
    standings = {standing.server: standing for standing in settled(truth)}
    for server, standing in standings.items():
        if not standing.home.is_volume_backed:
            for place in (standing.home.place, standing.source_place):
                if place is not None and (server, *place) not in disks:
                    yield server, f"its disk is not on {place[1]}"
    for seen in truth.witnessed:
        witness = standings.get(seen.server)
        if witness is None:
            continue
        if seen.volume is not None:
            if _is_older(written.get(seen.volume), seen.server, seen.counter):
                yield seen.server, f"had {seen.counter} on volume {seen.volume}, which is {written.get(seen.volume)}"
        elif (counter := _root_counter(witness, disks, written)) < seen.counter:
            yield seen.server, f"had {seen.counter} on its root disk, which has {counter}"


def _is_older(volume: VolumeTruth | None, server: str, counter: int) -> bool:
    """Tell whether a volume has lost a server's write; another server may have had it since, and counts for itself."""
    if volume is None:
        return True
    return volume.writer in {None, server} and volume.counter < counter


def _root_counter(standing: Standing, disks: dict[tuple[str, str, str], int], written: dict[str, VolumeTruth]) -> int:
    if not standing.home.is_volume_backed:
        return disks.get((standing.server, *standing.home.place), 0)
    volume = written.get(standing.home.root_volume or "")
    return volume.counter if volume else 0
