"""Effects on volumes and attachments."""

import attrs

from protocol.draft import Draft, Need, need
from protocol.effects.registry import Moment, effect
from protocol.errors import AlreadyExists, InvalidValue, VolumeInUse
from protocol.messages import partners as say
from protocol.records import Attachment, Volume
from protocol.requests import Done


@effect(say.RegisterVolume, lambda command: (need(Volume, id=command.volume),))
def _register(draft: Draft, command: say.RegisterVolume, _: Moment) -> Volume:
    known = draft.find(Volume, id=command.volume)
    volume = Volume(id=command.volume, name=command.name, size_gb=command.size_gb)
    if known is not None and known != volume:
        raise AlreadyExists(kind="volume", name=command.volume)
    return draft.put(volume)


def _all_of(volumes: tuple[str, ...], server: str) -> tuple[Need, ...]:
    return (
        need(Attachment, server=server),
        *(need(Volume, id=volume) for volume in volumes),
        *(need(Attachment, volume=volume) for volume in volumes),
    )


def _reserving(command: say.ReserveAttachments) -> tuple[Need, ...]:
    copied = tuple(need(Volume, id=row.copy_of) for row in command.attachments if row.copy_of)
    return (*_all_of(tuple(row.volume for row in command.attachments), command.server), *copied)


@effect(say.ReserveAttachments, _reserving)
def _reserve(draft: Draft, command: say.ReserveAttachments, _: Moment) -> say.AttachmentList:
    for new in command.attachments:
        volume = draft.one(Volume, id=new.volume)
        if new.copy_of and volume.size_gb < (least_gb := draft.one(Volume, id=new.copy_of).size_gb):
            rule = f"it has {volume.size_gb} GB, and {new.copy_of} has {least_gb} GB"
            raise InvalidValue(name="volume", value=new.volume, rule=rule)
        for other in draft.all(Attachment, volume=new.volume):
            # Empty and the server's own: what a move keeps for its revert, of a volume that was detached since.
            is_taken = other.server != command.server or (command.is_new and other.host is not None)
            if other.id != new.id and is_taken:
                raise VolumeInUse(volume=new.volume, server=other.server)
        draft.put(Attachment(id=new.id, volume=new.volume, server=command.server, device=new.device))
    return _list(draft, command.server, tuple(new.id for new in command.attachments))


def _list(draft: Draft, server: str, ids: tuple[str, ...]) -> say.AttachmentList:
    rows = tuple(row for row in draft.all(Attachment, server=server) if row.id in ids)
    return say.AttachmentList(attachments=rows)


@effect(say.DeleteAttachments, lambda command: (need(Attachment, server=command.server),))
def _delete(draft: Draft, command: say.DeleteAttachments, _: Moment) -> Done:
    for row in draft.all(Attachment, server=command.server):
        if row.id in command.attachments:
            draft.drop(row)
    return Done()


@effect(say.ConnectAttachments, lambda command: (need(Attachment, server=command.server),))
def _connect(draft: Draft, command: say.ConnectAttachments, _: Moment) -> say.AttachmentList:
    rows = draft.all(Attachment, server=command.server)
    for attachment in command.attachments:
        row = draft.one(Attachment, server=command.server, id=attachment)
        if any(other.volume == row.volume and other.host and other.id != row.id for other in rows):
            raise VolumeInUse(volume=row.volume, server=command.server)
        draft.put(attrs.evolve(row, host=command.host))
    return _list(draft, command.server, command.attachments)


@effect(say.DisconnectAttachments, lambda command: (need(Attachment, server=command.server),))
def _disconnect(draft: Draft, command: say.DisconnectAttachments, _: Moment) -> Done:
    for row in draft.all(Attachment, server=command.server):
        if row.id in command.attachments:
            draft.put(attrs.evolve(row, host=None))
    return Done()


@effect(say.EmptyAttachments, lambda command: (need(Attachment, server=command.server),))
def _empty(draft: Draft, command: say.EmptyAttachments, _: Moment) -> Done:
    for swap in command.swaps:
        connected = draft.one(Attachment, server=command.server, id=swap.connected)
        draft.put(attrs.evolve(connected, id=swap.empty, host=None))
        draft.drop(connected)
    return Done()


@effect(say.RefillAttachments, lambda command: (need(Attachment, server=command.server),))
def _refill(draft: Draft, command: say.RefillAttachments, _: Moment) -> Done:
    for swap in command.swaps:
        draft.put(
            Attachment(
                id=swap.connected, volume=swap.volume, server=command.server, host=command.host, device=swap.device
            )
        )
        if empty := draft.find(Attachment, server=command.server, id=swap.empty):
            draft.drop(empty)
    return Done()


@effect(say.ListAttachments, lambda command: (need(Attachment, server=command.server),))
def _show(draft: Draft, command: say.ListAttachments, _: Moment) -> say.AttachmentList:
    return say.AttachmentList(attachments=draft.all(Attachment, server=command.server))
