"""What cells are asked about what was done: actions on servers with their events, and audits of usage."""

from typing import Final

import attrs

from protocol.errors import InvalidValue
from protocol.records import ActionEvent, ServerAction, TaskLog
from protocol.requests import PAGE_MAX, Done, Form, Method, Request, Role, Way

#: What a periodic audit of usage is called in the task log, as in Nova.
USAGE_AUDIT: Final = "instance_usage_audit"


@attrs.frozen(kw_only=True)
class ActionList:
    """The actions on a server, newest first."""

    actions: tuple[ServerAction, ...]


@attrs.frozen(kw_only=True)
class ListActions(Request[ActionList]):
    """List what was done to a server that the cell has a record of."""

    METHOD = Method(name="list_actions", at=Role.CELL, reference="actions_get", is_read=True)

    server: str


@attrs.frozen(kw_only=True)
class FindAction(Request[ServerAction]):
    """Give the action on a server that a request began."""

    METHOD = Method(name="find_action", at=Role.CELL, reference="action_get_by_request_id", is_read=True)

    server: str
    request_id: str


@attrs.frozen(kw_only=True)
class EventList:
    """The events of an action, newest first."""

    events: tuple[ActionEvent, ...]


@attrs.frozen(kw_only=True)
class ListEvents(Request[EventList]):
    """List the parts of an action, as they were carried out."""

    METHOD = Method(name="list_events", at=Role.CELL, reference="action_events_get", is_read=True)

    action: str


# --- audits ------------------------------------------------------------------------------------------------


def _period(request: "AuditUsage", _field: object, end_us: int) -> None:
    if end_us <= request.begin_us:
        raise InvalidValue(name="end_us", value=end_us, rule=f"it is later than begin_us, {request.begin_us}")


@attrs.frozen(kw_only=True)
class AuditUsage(Request[Done]):
    """A cell notes, host by host, which servers were there in a period; a period is audited once."""

    METHOD = Method(name="audit_usage", at=Role.CELL, way=Way.NONE, is_routine=True)

    begin_us: int
    end_us: int = attrs.field(validator=_period)


@attrs.frozen(kw_only=True)
class TaskLogPage:
    """Some of a cell's task log, newest first; `is_last`: there is no more."""

    entries: tuple[TaskLog, ...]
    is_last: bool


@attrs.frozen(kw_only=True)
class ListTaskLog(Request[TaskLogPage]):
    """Ask one cell, or every one, for what periodic tasks have noted of periods within a span of time."""

    METHOD = Method(
        name="list_task_log", at=Role.CELL, form=Form.EITHER, reference="task_log_get_all", is_read=True
    )  # fmt: skip

    task: str = USAGE_AUDIT
    begin_us: int = 0
    end_us: int = 2**62
    host: str = ""
    state: str = ""
    limit: int = PAGE_MAX
