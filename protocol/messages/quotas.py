"""What operators ask the root about quotas: how much a project may have, and what it has."""

import attrs

from protocol.records import Quota
from protocol.requests import Method, Request, Role, Way


@attrs.frozen(kw_only=True)
class QuotaUse:
    """What a project may have, and what its servers count for: each once, wherever it is and goes."""

    quota: Quota
    servers: int
    vcpus: int
    memory_mb: int


@attrs.frozen(kw_only=True)
class SetQuota(Request[QuotaUse]):
    """Say how much a project may have; None: as much as there is.  What it has already stays."""

    METHOD = Method(name="set_quota", at=Role.CELL, way=Way.NONE, is_for_people=True)

    project: str
    servers: int | None
    vcpus: int | None
    memory_mb: int | None


@attrs.frozen(kw_only=True)
class ShowQuota(Request[QuotaUse]):
    """Tell how much a project may have, and what it has."""

    METHOD = Method(name="show_quota", at=Role.CELL, way=Way.NONE, is_for_people=True, is_read=True)

    project: str
