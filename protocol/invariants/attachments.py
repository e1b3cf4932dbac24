"""Attachments and bindings: a volume is connected at most once, and a port's traffic goes to one place."""

from collections import Counter

from protocol.invariants.findings import Findings, checker
from protocol.invariants.standing import holder, settled
from protocol.records import Attachment, Port, PortBinding
from protocol.truth import Truth


@checker("attachments")
def check(truth: Truth) -> Findings:
    """Ask that no volume and no port is given to two, and that guests use only what they were given."""
    connected = [row for row in truth.all(Attachment) if row.host is not None]
    for volume, count in Counter(row.volume for row in connected).items():
        if count > 1:
            yield volume, f"is connected {count} times"
    for port, count in Counter(row.port for row in truth.all(PortBinding) if row.is_active).items():
        if count > 1:
            yield port, f"has {count} active bindings"
    given = {(row.server, row.volume, row.host) for row in connected}
    for guest in truth.guests:
        for volume in guest.volumes if guest.is_running else ():
            if (guest.server, volume, holder(guest.cell, guest.host)) not in given:
                yield volume, f"is in use by {guest.server} on {guest.host}, without a connected attachment"


@checker("attachments")
def check_at_rest(truth: Truth) -> Findings:
    """Ask that a server's volumes are connected, and its ports active, where it is."""
    attachments = {row.id: row for row in truth.all(Attachment)}
    ports = truth.all(Port)
    active: dict[str, list[str]] = {}
    for binding in truth.all(PortBinding):
        if binding.is_active:
            active.setdefault(binding.port, []).append(binding.host)
    for standing in settled(truth):
        here = holder(*standing.home.place)
        for device in standing.home.devices:
            row = attachments.get(device.attachment)
            if row is None or (row.server, row.volume, row.host) != (standing.server, device.volume, here):
                yield standing.server, f"its volume {device.volume} should be connected at {here}, and there is {row}"
        for port in ports:
            hosts = active.get(port.id, [])
            if port.server == standing.server and hosts != [standing.record.host]:
                yield standing.server, f"its port {port.id} is active on {hosts}, and it is on {standing.record.host}"
