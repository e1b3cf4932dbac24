"""What every driver refuses, and in what order volumes stand: decided here once, so that drivers do not differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.errors import HypervisorFailed, InvalidValue, NotFound, PermitRefused

if TYPE_CHECKING:
    from actors.compute.drivers.disk import DiskWitness
    from actors.compute.drivers.domain import NetworkInfo, VolumeConnection


def check_permit(server: str, host: str, permit: int, *, runs_by: int | None, had: int | None) -> None:
    """Raise `PermitRefused` unless a guest that runs by `runs_by` and last had `had` may be running by `permit`."""
    if runs_by is not None and runs_by != permit:
        raise PermitRefused(server=server, number=permit, reason=f"on host {host} it runs by {runs_by}")
    if had is not None and permit < had:
        # Permits of a server only rise: this is a start that comes too late.
        raise PermitRefused(server=server, number=permit, reason=f"on host {host} it has had {had} already")


def check_origin(witness: DiskWitness | None, *, image: str, server: str, host: str) -> None:
    """Raise `HypervisorFailed` unless a disk that is there already was made from that image."""
    origin = witness.image if witness else ""
    if origin != image:
        reason = f"its disk is there already, made from image {origin!r}, not {image!r}"
        raise HypervisorFailed(server=server, host=host, action="spawn", reason=reason)


def unprepared(server: str, host: str) -> HypervisorFailed:
    """Make the error that says that there is no disk to put in the place of a guest's."""
    return HypervisorFailed(server=server, host=host, action="replace_disk", reason="no disk is prepared")


def with_connection(before: tuple[VolumeConnection, ...], connection: VolumeConnection) -> tuple[VolumeConnection, ...]:
    """Add the connection, in the place of an older one to the same volume.

    Raises `InvalidValue` when the guest would lose its root disk by it, or get a second one.
    """
    if connection.is_root != _is_root(before, connection.volume):
        raise _root_change(connection.volume)
    if all(each.volume != connection.volume for each in before):
        return (*before, connection)
    return tuple(connection if each.volume == connection.volume else each for each in before)


def to_copy(before: tuple[VolumeConnection, ...], volume: str, connection: VolumeConnection) -> VolumeConnection | None:
    """Tell which of a guest's volumes is to be copied to the connection's; None: the guest writes to both already.

    Raises `InvalidValue` for a root disk, and `NotFound` when the guest has no such volume.
    """
    if any(each.volume == connection.volume for each in before):
        return None
    if connection.is_root or _is_root(before, volume):
        raise _root_change(volume)
    for each in before:
        if each.volume == volume:
            return each
    raise NotFound(kind="connected volume", name=volume)


def without_volume(before: tuple[VolumeConnection, ...], volume: str) -> tuple[VolumeConnection, ...]:
    """Leave out the connection to that volume; raise `InvalidValue` when it is the guest's root disk."""
    if _is_root(before, volume):
        raise _root_change(volume)
    return tuple(each for each in before if each.volume != volume)


def with_network(before: tuple[NetworkInfo, ...], info: NetworkInfo) -> tuple[NetworkInfo, ...]:
    """Replace what was last done of that kind."""
    return (*(each for each in before if each.is_reset is not info.is_reset), info)


def _is_root(connections: tuple[VolumeConnection, ...], volume: str) -> bool:
    return any(each.is_root for each in connections if each.volume == volume)


def _root_change(volume: str) -> InvalidValue:
    return InvalidValue(name="volume", value=volume, rule="a guest keeps the root disk that it was defined with")
