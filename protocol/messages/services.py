"""What cells are asked about the services on their hosts, and what these tell them."""

from typing import Final

import attrs

from protocol.errors import InvalidValue
from protocol.records import Service
from protocol.requests import Done, Form, Method, Request, Role, Way

#: What runs on a compute host.
COMPUTE: Final = "compute"
#: The version of it that this code is.
VERSION: Final = 1
REASON_CHARS_MAX: Final = 255


@attrs.frozen(kw_only=True)
class ReportService(Request[Done]):
    """A service tells its cell that it is alive; refused when its cell knows no such host (any more)."""

    METHOD = Method(name="report_service", at=Role.CELL, way=Way.NONE, is_idempotent=False, is_routine=True)

    host: str
    binary: str = COMPUTE
    version: int = VERSION


@attrs.frozen(kw_only=True)
class FindService(Request[Service]):
    """Give the service of a compute host of the cell."""

    METHOD = Method(name="find_service", at=Role.CELL, reference="service_get_by_compute_host", is_read=True)

    host: str
    binary: str = COMPUTE


def _reason(request: "UpdateService", _field: object, reason: str) -> None:
    if reason and request.is_enabled:
        raise InvalidValue(name="reason", value=reason[:80], rule="what is enabled needs none")
    if len(reason) > REASON_CHARS_MAX:
        raise InvalidValue(name="reason", value=reason[:80], rule=f"it has at most {REASON_CHARS_MAX} characters")


@attrs.frozen(kw_only=True)
class UpdateService(Request[Service]):
    """Enable or disable a service: no new servers come to a host whose compute service is disabled."""

    METHOD = Method(name="update_service", at=Role.CELL, reference="service_update")

    host: str
    binary: str = COMPUTE
    is_enabled: bool
    reason: str = attrs.field(default="", validator=_reason)


@attrs.frozen(kw_only=True)
class DeleteService(Request[Done]):
    """Forget a service that runs no more, and with a compute service its host; refused while servers are there."""

    METHOD = Method(name="delete_service", at=Role.CELL, reference="service_delete")

    id: str


@attrs.frozen(kw_only=True)
class ServiceLine:
    """A service, and how long ago it was heard of, by its cell's clock."""

    service: Service
    heard_ago_us: int


@attrs.frozen(kw_only=True)
class ServiceList:
    """One cell's services."""

    services: tuple[ServiceLine, ...]


@attrs.frozen(kw_only=True)
class ListServices(Request[ServiceList]):
    """Ask every cell for its services; each filter that is given leaves out others."""

    METHOD = Method(
        name="list_services", at=Role.CELL, form=Form.BROADCAST, reference="service_get_all", is_read=True
    )  # fmt: skip

    is_enabled: bool | None = None
    host: str = ""
    binary: str = ""
    version: int | None = None
