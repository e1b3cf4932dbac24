"""What operators ask the root about quotas: how much a project may have, and what it has."""

import attrs

from protocol.errors import InvalidValue
from protocol.records import Quota
from protocol.requests import Method, Request, Role, Way


@attrs.frozen(kw_only=True)
class QuotaUse:
    """What a project may have, and what its servers count for: each once, wherever it is and goes."""

    quota: Quota
    servers: int
    vcpus: int
    memory_mb: int


def _limit(_request: object, field: "attrs.Attribute[int | None]", value: int | None) -> None:
    if value is not None and value < 0:
        raise InvalidValue(name=field.name, value=value, rule="it must be 0 or more, or none")


@attrs.frozen(kw_only=True)
class SetQuota(Request[QuotaUse]):
    """Say how much a project may have; None: as much as there is.  What it has already stays."""

    METHOD = Method(name="set_quota", at=Role.CELL, way=Way.NONE, is_for_people=True)

    project: str
    servers: int | None = attrs.field(validator=_limit)
    vcpus: int | None = attrs.field(validator=_limit)
    memory_mb: int | None = attrs.field(validator=_limit)


@attrs.frozen(kw_only=True)
class ShowQuota(Request[QuotaUse]):
    """Tell how much a project may have, and what it has."""

    METHOD = Method(name="show_quota", at=Role.CELL, way=Way.NONE, is_for_people=True)

    project: str
