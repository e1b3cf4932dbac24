"""What a cell is asked to tell the root again."""

import attrs

from protocol.requests import Form, Method, Request, Role


@attrs.frozen(kw_only=True)
class Synced:
    """So many servers are told of again, and so many told to be gone; `last`: the one to go on behind, if any."""

    told: int
    gone: int
    last: str = ""


@attrs.frozen(kw_only=True)
class SyncServers(Request[Synced]):
    """Have every cell tell the root its servers again, a page at once; what a cell has more, it is asked for alone."""

    METHOD = Method(
        name="sync_servers", at=Role.CELL, form=Form.EITHER, reference="sync_instances", is_for_people=True,
    )  # fmt: skip

    project: str = ""  # Empty: of all projects.
    since_us: int = 0  # Only those that changed then or later.
    is_deleted: bool | None = None  # True: only what was deleted lately; false: only what is there; None: both.
    after: str = ""
    limit: int = 100


@attrs.frozen(kw_only=True)
class Held:
    """What the root has of a cell's record: how new it is, and of how many block devices and faults it knows."""

    server: str
    generation: int
    version: int
    parts: int


@attrs.frozen(kw_only=True)
class Audited:
    """Of these servers the cell has no record; of so many it tells again, for the root had them otherwise."""

    lacking: tuple[str, ...]
    told: int


@attrs.frozen(kw_only=True)
class AuditServers(Request[Audited]):
    """The root asks a cell whether it has what the root has of it."""

    METHOD = Method(name="audit_servers", at=Role.CELL, is_routine=True)

    held: tuple[Held, ...]
