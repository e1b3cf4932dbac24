"""What a cell tells of what was done to its servers, and its periodic audits of which there were."""

from collections.abc import Iterator
from operator import attrgetter
from typing import Final

from protocol.draft import Draft, Need, need
from protocol.effects.registry import Moment, effect
from protocol.errors import NotFound
from protocol.ids import derived_id
from protocol.messages import histories as say
from protocol.records import ActionEvent, Host, Server, ServerAction, TaskLog
from protocol.requests import Done, in_page
from protocol.states import VmState

DONE: Final = "done"
#: So many periods are kept: with one an hour, two weeks.
KEPT_PERIODS: Final = 336
#: So many older ones are looked for, each time: some may have been left while nobody audited.
SWEPT_PERIODS: Final = 24


# --- actions -----------------------------------------------------------------------------------------------


@effect(say.ListActions, lambda command: (need(Server, uuid=command.server), need(ServerAction, server=command.server)))
def _actions(draft: Draft, command: say.ListActions, _: Moment) -> say.ActionList:
    draft.one(Server, uuid=command.server)
    rows = draft.all(ServerAction, server=command.server)
    return say.ActionList(actions=tuple(sorted(rows, key=attrgetter("started_at_us", "id"), reverse=True)))


@effect(say.FindAction, lambda command: (need(ServerAction, server=command.server),))
def _action(draft: Draft, command: say.FindAction, _: Moment) -> ServerAction:
    for row in draft.all(ServerAction, server=command.server):
        if row.request_id == command.request_id:
            return row
    raise NotFound(kind="action", name=f"{command.request_id} on server {command.server}")


@effect(
    say.ListEvents, lambda command: (need(ServerAction, id=command.action), need(ActionEvent, action=command.action))
)
def _events(draft: Draft, command: say.ListEvents, _: Moment) -> say.EventList:
    draft.one(ServerAction, id=command.action)
    rows = draft.all(ActionEvent, action=command.action)
    return say.EventList(events=tuple(sorted(rows, key=attrgetter("started_at_us", "id"), reverse=True)))


# --- audits ------------------------------------------------------------------------------------------------


def period_of(begin_us: int, end_us: int) -> str:
    """Name a period."""
    return f"{begin_us}-{end_us}"


def _swept(command: say.AuditUsage) -> Iterator[str]:
    length = command.end_us - command.begin_us
    for number in range(KEPT_PERIODS, KEPT_PERIODS + SWEPT_PERIODS):
        yield period_of(command.begin_us - number * length, command.end_us - number * length)


def _of_audit(command: say.AuditUsage) -> tuple[Need, ...]:
    periods = (period_of(command.begin_us, command.end_us), *_swept(command))
    logs = (need(TaskLog, period=period) for period in periods)
    return need(Host), need(Server), *logs


@effect(say.AuditUsage, _of_audit)
def _audit(draft: Draft, command: say.AuditUsage, moment: Moment) -> Done:
    period = period_of(command.begin_us, command.end_us)
    for old in _swept(command):
        for row in draft.all(TaskLog, period=old):
            draft.drop(row)
    if draft.all(TaskLog, period=period):
        return Done()
    there = [row for row in draft.all(Server) if not row.is_hidden and row.created_at_us < command.end_us]
    for host in draft.all(Host):
        mine = [row for row in there if row.host == host.name]
        draft.put(
            TaskLog(
                id=derived_id(say.USAGE_AUDIT, moment.cell, host.name, period), task=say.USAGE_AUDIT, host=host.name,
                period=period, begin_us=command.begin_us, end_us=command.end_us, state=DONE, items=len(mine),
                errors=sum(row.vm_state is VmState.ERROR for row in mine), written_at_us=moment.now_us,
            )
        )  # fmt: skip
    return Done()


@effect(say.ListTaskLog, lambda command: (need(TaskLog, task=command.task),))
def _task_log(draft: Draft, command: say.ListTaskLog, _: Moment) -> say.TaskLogPage:
    found = [
        row
        for row in draft.all(TaskLog, task=command.task)
        if row.begin_us >= command.begin_us
        and row.end_us <= command.end_us
        and command.host in {"", row.host}
        and command.state in {"", row.state}
    ]
    limit = in_page(command.limit)
    newest = sorted(found, key=attrgetter("begin_us", "host"), reverse=True)
    return say.TaskLogPage(entries=tuple(newest[:limit]), is_last=len(newest) <= limit)
