"""What is left over of a server, what of that may be removed, and by which requests.  Pure.

What there is, and what there should be, is said by the invariant `no_leaks`.  What is removed must not be missed: so
what may be the only copy of a disk stays, and so does everything that a host may still use which has not said what it
has.  Each of these is told with its reason.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import attrs

from protocol import records
from protocol.cell_path import Address, CellPath, host_mailbox, host_of
from protocol.invariants import no_leaks
from protocol.invariants.no_leaks import Trace
from protocol.invariants.standing import Place, Standing, settled
from protocol.messages import hosts, partners
from protocol.messages.hosts import GuestHoldings
from protocol.messages.partners import PortList
from protocol.messages.repair import CellHoldings, DropHoldings
from protocol.messages.root import DropRootHoldings, RootHoldings
from protocol.requests import Request
from protocol.truth import CellTruth, GuestTruth, Truth

ONLY_COPY: Final = "the server's own disk was not seen at {host}, so this may be the only one"
NO_HOME: Final = "the server has no home any more, so this may be its only disk; --disks removes it, too"
OWN_GUEST: Final = "the server's own guest is on it"
NOT_SEEN: Final = "host {host} did not say what it has"
KEPT_GUEST: Final = "its guest at host {host} is kept"
SILENT_CELL: Final = "cell {cell} did not say what it has"


@attrs.frozen(kw_only=True)
class Looked:
    """What everybody said that there is of a server, while nobody else had it."""

    server: str
    root: CellPath
    mapping: records.Mapping  # Without a cell: the server has no home.
    fenced: tuple[str, ...]
    cells: Mapping[str, CellHoldings]  # Of those cells that answered.
    at_root: RootHoldings
    ports: PortList
    attachments: tuple[records.Attachment, ...]
    images: tuple[records.Image, ...]
    guests: Mapping[Place, GuestHoldings]  # Of those hosts that answered.


@attrs.frozen(kw_only=True)
class Kept:
    """Something that is left over and stays, and why."""

    trace: Trace
    why: str


@attrs.frozen(kw_only=True)
class Removal:
    """A request that removes something, and who is asked."""

    at: Address
    request: Request[Any]


@attrs.frozen(kw_only=True)
class Findings:
    """What is left over of a server: what is to go, what stays and why, what is missing; and how it is removed."""

    left: tuple[Trace, ...]
    kept: tuple[Kept, ...]
    missing: tuple[Trace, ...]
    unseen: tuple[str, ...]  # Hosts that did not answer.
    fenced: tuple[str, ...]  # Hosts that were not asked: their machines are off.
    at_hosts: tuple[Removal, ...] = ()
    in_cells: tuple[Removal, ...] = ()
    at_network: tuple[Removal, ...] = ()
    at_volumes: tuple[Removal, ...] = ()
    at_images: tuple[Removal, ...] = ()
    at_root: tuple[Removal, ...] = ()


def find(looked: Looked, *, has_disks: bool) -> Findings:
    """Compare what there is with what there should be."""
    truth = _truth(looked)
    standing = next(iter(settled(truth)), None)
    found = no_leaks.traces(truth).get(looked.server, set()) | set(_parts(looked))
    due = no_leaks.wanted(standing, truth) if standing else set[Trace]()
    judging = _Judging(looked=looked, standing=standing, found=found, due=due, has_disks=has_disks)
    kept = tuple(judging.kept())
    left = tuple(sorted(found - due - {each.trace for each in kept}))
    return Findings(
        left=left, kept=kept, missing=tuple(sorted(judging.missing())), unseen=tuple(sorted(judging.unseen)),
        fenced=looked.fenced, **_removals(looked, set(left), due),
    )  # fmt: skip


# --- what there is -----------------------------------------------------------------------------------------


def _truth(looked: Looked) -> Truth:
    cells = [CellTruth(path=CellPath.parse(name), rows=_rows(holdings)) for name, holdings in looked.cells.items()]
    told = looked.at_root
    mapping = (looked.mapping,) if looked.mapping.cell is not None else ()
    ledger = [row for row in (told.permit, told.spec) if row is not None]
    own = next((cell.rows for cell in cells if cell.path == looked.root), ())
    at_root = CellTruth(path=looked.root, rows=(*own, *mapping, *told.mirrors, *ledger))
    return Truth(
        root=looked.root,
        cells=(at_root, *(cell for cell in cells if cell.path != looked.root)),
        partners=(*looked.ports.ports, *looked.ports.bindings, *looked.attachments, *looked.images),
        image_files=(),
        guests=tuple(_guest(looked.server, place, guest) for place, guest in looked.guests.items()),
    )


def _rows(holdings: CellHoldings) -> tuple[records.Record, ...]:
    server = () if holdings.server is None else (holdings.server,)
    return (*server, *holdings.block_devices, *holdings.migrations, *holdings.allocations, *holdings.claims)


def _guest(server: str, place: Place, guest: GuestHoldings) -> GuestTruth:
    cell, host = place
    return GuestTruth(
        server=server, host=host, cell=CellPath.parse(cell), is_defined=guest.is_defined, is_running=guest.is_running,
        has_disk=guest.has_disk, permit=None, volumes=(), counter=0, boots=(),
    )  # fmt: skip


def _parts(looked: Looked) -> Iterator[Trace]:
    for cell, holdings in looked.cells.items():
        for table in holdings.parts:
            yield "part of a record", cell, table


# --- what of it stays --------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class _Judging:
    """Decides what of the leftovers stays."""

    looked: Looked
    standing: Standing | None
    found: set[Trace]
    due: set[Trace]
    has_disks: bool

    @property
    def seen(self) -> set[str]:
        """Name the hosts of which it is known what they have; a machine that is off runs no guest."""
        return {host for _, host in self.looked.guests} | set(self.looked.fenced)

    @property
    def unseen(self) -> set[str]:
        """Name the hosts that did not answer."""
        known = {host for holdings in self.looked.cells.values() for host in holdings.hosts}
        return known - self.seen

    def missing(self) -> set[Trace]:
        """List what there should be, and is not; what is on hosts that were not seen, nobody knows."""
        seen = {host for _, host in self.looked.guests}
        return {trace for trace in self.due - self.found if trace[0] not in no_leaks.ON_HOSTS or trace[-1] in seen}

    def kept(self) -> Iterator[Kept]:
        """List what stays."""
        extra = sorted(self.found - self.due)
        on_hosts = {trace: why for trace in extra if (why := self._why_on_host(trace)) is not None}
        hosts_kept = {trace[-1] for trace in on_hosts if trace[0] == "guest"}
        for trace in extra:
            why = on_hosts.get(trace)
            if trace[0] not in no_leaks.ON_HOSTS:
                why = self._why(trace, hosts_kept)
            if why is not None:
                yield Kept(trace=trace, why=why)

    def _why_on_host(self, trace: Trace) -> str | None:
        if trace[0] not in no_leaks.ON_HOSTS:
            return None
        if self.standing is None:
            return None if self.has_disks else NO_HOME
        home = self.standing.home.place
        if trace[1:] == home:
            return OWN_GUEST
        is_there = ("guest", *home) in self.found and ("disk", *home) not in self.due - self.found
        return None if is_there else ONLY_COPY.format(host=home[1])

    def _why(self, trace: Trace, hosts_kept: set[str]) -> str | None:
        if trace[0] == "mirror":
            return None if trace[1] in self.looked.cells else SILENT_CELL.format(cell=trace[1])
        for host in self._hosts_of(trace):
            if host in hosts_kept:
                return KEPT_GUEST.format(host=host)
            if host not in self.seen:
                return NOT_SEEN.format(host=host)
        return None

    def _hosts_of(self, trace: Trace) -> tuple[str, ...]:
        """Name the hosts that use something."""
        looked = self.looked
        match trace:
            case ("allocation" | "claim" | "binding", _, host, *_):
                return (host,)
            case ("attachment", _, id_):
                return _hosts(*(row.host for row in looked.attachments if row.id == id_))
            case ("permits", *_):
                return _hosts(looked.at_root.permit.holder) if looked.at_root.permit else ()
            case ("ports", port):
                return tuple(row.host for row in looked.ports.bindings if row.port == port)
            case _:
                return ()


def _hosts(*holders: str | None) -> tuple[str, ...]:
    found = (host_of(Address.parse(holder)) for holder in holders if holder)
    return tuple(host for host in found if host)


# --- how it is removed -------------------------------------------------------------------------------------


def _removals(looked: Looked, left: set[Trace], due: set[Trace]) -> dict[str, tuple[Removal, ...]]:
    at = looked.root
    return {
        "at_hosts": tuple(_at_hosts(looked.server, left, due)),
        "in_cells": tuple(_in_cells(looked, left)),
        "at_network": tuple(Removal(at=Address(at, "network"), request=each) for each in _at_network(looked, left)),
        "at_volumes": tuple(Removal(at=Address(at, "volume"), request=each) for each in _at_volumes(looked, left)),
        "at_images": tuple(
            Removal(at=Address(at, "image"), request=partners.DeleteImage(image=trace[1], server=looked.server))
            for trace in sorted(left)
            if trace[0] == "image"
        ),
        "at_root": tuple(Removal(at=Address(at, "cell"), request=each) for each in _at_root(looked, left)),
    }


def _at_hosts(server: str, left: set[Trace], due: set[Trace]) -> Iterator[Removal]:
    for cell, host in sorted({(trace[1], trace[2]) for trace in left if trace[0] in no_leaks.ON_HOSTS}):
        is_disk_due = ("disk", cell, host) in due
        request = hosts.DetachGuest(server=server) if is_disk_due else hosts.DestroyGuest(server=server)
        yield Removal(at=Address(CellPath.parse(cell), host_mailbox(host)), request=request)


def _in_cells(looked: Looked, left: set[Trace]) -> Iterator[Removal]:
    for cell, holdings in sorted(looked.cells.items()):
        request = DropHoldings(
            server=looked.server,
            has_record=("hidden record", cell) in left,
            parts=tuple(table for table in holdings.parts if ("part of a record", cell, table) in left),
            allocations=tuple(
                row for row in holdings.allocations if ("allocation", cell, row.host, row.consumer) in left
            ),
            claims=tuple(
                row for row in holdings.claims if ("claim", cell, row.host, row.migration or "settled") in left
            ),
        )
        if request != DropHoldings(server=looked.server):
            yield Removal(at=Address(CellPath.parse(cell), "cell"), request=request)


def _at_network(looked: Looked, left: set[Trace]) -> Iterator[Request[Any]]:
    if any(trace[0] == "ports" for trace in left):
        yield partners.DeletePorts(server=looked.server)
        return
    bound = sorted({trace[2] for trace in left if trace[0] == "binding"})
    if not bound:
        return
    if any(row.is_active and row.host in bound for row in looked.ports.bindings):
        # What is active is not unbound: its traffic goes to the server's own host first.
        yield partners.ActivateBindings(server=looked.server, host=_home_host(looked))
    for host in bound:
        yield partners.UnbindPorts(server=looked.server, host=host)


def _home_host(looked: Looked) -> str:
    home = looked.cells[looked.mapping.cell or ""].server
    assert home is not None, "a server whose ports are bound elsewhere has a home"
    return home.host or ""


def _at_volumes(looked: Looked, left: set[Trace]) -> Iterator[Request[Any]]:
    ids = tuple(sorted(trace[2] for trace in left if trace[0] == "attachment"))
    if ids:
        yield partners.DeleteAttachments(server=looked.server, attachments=ids)


def _at_root(looked: Looked, left: set[Trace]) -> Iterator[Request[Any]]:
    request = DropRootHoldings(
        server=looked.server,
        mirrors=tuple(sorted(trace[1] for trace in left if trace[0] == "mirror")),
        has_permit=any(trace[0] == "permits" for trace in left),
        has_spec=any(trace[0] == "request_specs" for trace in left),
    )
    if request != DropRootHoldings(server=looked.server):
        yield request
