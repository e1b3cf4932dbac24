"""Errors of servers, moves, hosts, volumes and images."""

from protocol.errors.base import CellferryError, declared, define

# --- servers and moves ------------------------------------------------------------------------------------


@declared
@define
class NotFound(CellferryError):
    """Something named in a request does not exist."""

    code = "not_found"
    template = "there is no {kind} {name}"
    kind: str
    name: str


@declared
@define
class AlreadyExists(CellferryError):
    """Something to be made exists already."""

    code = "already_exists"
    template = "the {kind} {name} exists already"
    kind: str
    name: str


@declared
@define
class Conflict(CellferryError):
    """The server is busy with something else, or owes clean-up of it."""

    code = "conflict"
    template = "server {server} cannot {action}: {reason}"
    server: str
    action: str
    reason: str


@declared
@define
class NothingToRetry(CellferryError):
    """A conversation is to try again that waits for nothing."""

    code = "nothing_to_retry"
    template = "{goal} {conversation} of server {server} is {state}: it waits for nothing that could be tried again"
    goal: str
    conversation: str
    server: str
    state: str


@declared
@define
class ServerBusy(CellferryError):
    """Another conversation has the server; who may wait asks again."""

    code = "server_busy"
    template = "server {server} is taken by {goal} {conversation}"
    is_retryable = True
    server: str
    goal: str
    conversation: str


@declared
@define
class VolumeBacked(CellferryError):
    """What was asked for is done with a root disk of the host's own, and the server has a volume instead."""

    code = "volume_backed"
    template = "server {server} has a volume as its root disk: {action} is for servers that were made from an image"
    server: str
    action: str


@declared
@define
class NotItsHome(CellferryError):
    """A cell is not a server's home just now: it may be on its way."""

    code = "not_its_home"
    template = "cell {cell} is not the home of server {server} just now; look again where it is"
    is_retryable = True
    server: str
    cell: str


@declared
@define
class ServerLocked(CellferryError):
    """A server is locked, against mistakes: whoever means it unlocks it first."""

    code = "server_locked"
    template = "server {server} is locked: unlock it first, with `cellferry server unlock`"
    server: str


@declared
@define
class InvalidState(CellferryError):
    """A record is not in the state that a command expects."""

    code = "invalid_state"
    template = "{kind} {name}: {field} is {found}, but must be {expected}"
    kind: str
    name: str
    field: str
    found: str
    expected: str


@declared
@define
class NoValidHost(CellferryError):
    """No host can take the server."""

    code = "no_valid_host"
    template = "no host can take server {server}: {reason}"
    server: str
    reason: str


@declared
@define
class ComputeHostNotFound(CellferryError):
    """A host was asked for that no cell has."""

    code = "compute_host_not_found"
    template = "there is no compute host {host}; `cellferry host list` names them all"
    host: str


@declared
@define
class CannotMigrateToSameHost(CellferryError):
    """A server is to move to the host that it is on."""

    code = "cannot_migrate_to_same_host"
    template = "server {server} is on host {host} already; name another one, or none"
    server: str
    host: str


@declared
@define
class CannotTravel(CellferryError):
    """A server has something of its host alone, which would be lost on the way."""

    code = "cannot_travel"
    template = "server {server} cannot move: {reason}, and that stays behind; create it anew where it is to be"
    server: str
    reason: str


@declared
@define
class DiskTooSmall(CellferryError):
    """A server's root disk does not fit into a flavor."""

    code = "disk_too_small"
    template = (
        "flavor {flavor} has a disk of {disk_gb} GB, and server {server} has one of {needed_gb} GB, which cannot "
        "shrink; choose a flavor with a larger disk"
    )
    server: str
    flavor: str
    disk_gb: int
    needed_gb: int


@declared
@define
class CapacityExceeded(CellferryError):
    """A host has too little of a resource left."""

    code = "capacity_exceeded"
    template = "host {host} has {free} {resource} free, {wanted} are wanted"
    host: str
    resource: str
    wanted: int
    free: int


@declared
@define
class QuotaExceeded(CellferryError):
    """A project has used up what it may have."""

    code = "quota_exceeded"
    template = (
        "project {project} has {used} of {limit} {resource}, {wanted} more are wanted: delete servers of it, or have "
        "an operator raise the limit with `cellferry quota set {project}`"
    )
    project: str
    resource: str
    used: int
    limit: int
    wanted: int


@declared
@define
class HostOfGroup(CellferryError):
    """A host has, or expects, another server of a group whose servers are to be on different hosts."""

    code = "host_of_group"
    template = "server {server} cannot go to host {host}: server {other} of its group {group} is there, or is expected"
    server: str
    host: str
    other: str
    group: str


@declared
@define
class PermitRefused(CellferryError):
    """A guest may not be started with that permit, or a permit not be issued yet."""

    code = "permit_refused"
    template = "permit {number} of server {server}: {reason}"
    server: str
    number: int
    reason: str


@declared
@define
class VolumeInUse(CellferryError):
    """A volume is attached elsewhere."""

    code = "volume_in_use"
    template = "volume {volume} is attached to server {server}"
    volume: str
    server: str


# --- hosts ------------------------------------------------------------------------------------------------


@declared
@define
class GuestNotFound(CellferryError):
    """A host has no guest, or no disk, of that server."""

    code = "guest_not_found"
    template = "host {host} has no guest of server {server}"
    server: str
    host: str


@declared
@define
class GuestBusy(CellferryError):
    """A guest is in the wrong power state for what is asked, or another driver holds it."""

    code = "guest_busy"
    template = "the guest of server {server} on host {host} is busy: {reason}"
    is_retryable = True
    server: str
    host: str
    reason: str


@declared
@define
class HypervisorFailed(CellferryError):
    """A hypervisor refused or failed."""

    code = "hypervisor_failed"
    template = "host {host} failed to {action} server {server}: {reason}"
    server: str
    host: str
    action: str
    reason: str


@declared
@define
class HostDown(CellferryError):
    """The host that has a server does not answer."""

    code = "host_down"
    template = (
        "host {host} of server {server} does not answer ({reason}), and nothing was changed: order it again when it "
        "does, or fence it with `cellferry host fence` if its machine is off for ever"
    )
    server: str
    host: str
    reason: str


@declared
@define
class HostSilent(CellferryError):
    """A host that its cell knows does not answer it."""

    code = "host_silent"
    template = "host {host} of cell {cell} does not answer its cell: {reason}; is it up? See: cellferry host list"
    host: str
    cell: str
    reason: str


@declared
@define
class HostFenced(CellferryError):
    """A step needs a host whose machine is off, as its operator says."""

    code = "host_fenced"
    template = "host {host} is fenced: it cannot {method} before its fence is lifted"
    host: str
    method: str


@declared
@define
class HostNotFenced(CellferryError):
    """Something is to be done because a host is fenced, and it is not."""

    code = "host_not_fenced"
    template = "host {host} is not fenced"
    host: str


@declared
@define
class VolumeUnreachable(CellferryError):
    """A host cannot reach a volume's bytes."""

    code = "volume_unreachable"
    template = "volume {volume} cannot be reached from host {host}"
    volume: str
    host: str


@declared
@define
class ImageDamaged(CellferryError):
    """An image's bytes are not the ones that were registered."""

    code = "image_damaged"
    template = "image {image} is damaged: expected {expected}, found {found}"
    image: str
    expected: str
    found: str


@declared
@define
class ImageTooLarge(CellferryError):
    """An image has more bytes than the store takes."""

    code = "image_too_large"
    template = "image {image} is larger than {size_bytes_max} bytes"
    image: str
    size_bytes_max: int


@declared
@define
class CellInUse(CellferryError):
    """A cell that is to be removed still has servers, or conversations are under way there."""

    code = "cell_in_use"
    template = "cell {cell} cannot be removed: {what}; move or delete what is there, or force it"
    cell: str
    what: str


@declared
@define
class CellFrozen(CellferryError):
    """A cell is frozen: it lets nothing new begin with its servers, and takes no others."""

    code = "cell_frozen"
    template = (
        "cell {cell} is frozen ({reason}): nothing new begins there before it is thawed, with: cellferry cell set "
        "'{cell}' --no-frozen"
    )
    cell: str
    reason: str


@declared
@define
class NoCellsAvailable(CellferryError):
    """No cell takes a new server, after as many tries as the settings allow."""

    code = "no_cells_available"
    template = "no cell takes server {server}, after {tries} tries: {reason}"
    server: str
    tries: int
    reason: str
