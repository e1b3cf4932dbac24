"""Effects on a cell's services: heard of, enabled, disabled, forgotten."""

import attrs

from protocol.draft import Draft, Need, need
from protocol.effects.registry import Moment, effect
from protocol.errors import ComputeHostNotFound, InvalidState, NotFound
from protocol.ids import derived_id
from protocol.messages import services as say
from protocol.records import Allocation, Claim, Host, Record, Service
from protocol.requests import Done


def service_of(draft: Draft, host: str, binary: str = say.COMPUTE) -> Service | None:
    """Find a host's service."""
    return next((row for row in draft.all(Service, host=host) if row.binary == binary), None)


def hear_of(draft: Draft, moment: Moment, host: str, binary: str, version: int) -> Service:
    """Write that a service was heard of; one that is disabled stays so."""
    known = service_of(draft, host, binary) or Service(
        id=derived_id("service", moment.cell, host, binary), host=host, binary=binary, created_at_us=moment.now_us,
        last_seen_us=moment.now_us,
    )  # fmt: skip
    return draft.put(
        attrs.evolve(known, version=version, report_count=known.report_count + 1, last_seen_us=moment.now_us)
    )


def _of_host(command: say.ReportService | say.FindService | say.UpdateService) -> tuple[Need, ...]:
    return need(Host, name=command.host), need(Service, host=command.host)


def _known(draft: Draft, host: str, binary: str) -> Service:
    found = service_of(draft, host, binary)
    if found is None:
        raise ComputeHostNotFound(host=host)
    return found


@effect(say.ReportService, _of_host)
def _report(draft: Draft, command: say.ReportService, moment: Moment) -> Done:
    _known(draft, command.host, command.binary)
    hear_of(draft, moment, command.host, command.binary, command.version)
    return Done()


@effect(say.FindService, _of_host)
def _find(draft: Draft, command: say.FindService, _: Moment) -> Service:
    return _known(draft, command.host, command.binary)


@effect(say.UpdateService, _of_host)
def _update(draft: Draft, command: say.UpdateService, _: Moment) -> Service:
    service = _known(draft, command.host, command.binary)
    if service.binary == say.COMPUTE:
        draft.put(attrs.evolve(draft.one(Host, name=service.host), is_enabled=command.is_enabled))
    return draft.put(attrs.evolve(service, is_enabled=command.is_enabled, disabled_reason=command.reason))


def _of_its_host(_: say.DeleteService, rows: tuple[Record, ...]) -> tuple[Need, ...]:
    hosts = sorted({row.host for row in rows if isinstance(row, Service)})
    return tuple(
        each for host in hosts for each in (need(Host, name=host), need(Allocation, host=host), need(Claim, host=host))
    )


@effect(say.DeleteService, lambda command: (need(Service, id=command.id),), _of_its_host)
def _delete(draft: Draft, command: say.DeleteService, _: Moment) -> Done:
    service = draft.find(Service, id=command.id)
    if service is None:
        raise NotFound(kind="service", name=command.id)
    if service.binary == say.COMPUTE:
        _forget_host(draft, service.host)
    draft.drop(service)
    return Done()


def _forget_host(draft: Draft, name: str) -> None:
    held = {row.server for row in draft.all(Allocation, host=name)}
    held |= {row.server for row in draft.all(Claim, host=name)}
    if held:
        raise InvalidState(kind="host", name=name, field="servers", found=str(len(held)), expected="none")
    if host := draft.find(Host, name=name):
        draft.drop(host)


@effect(say.ListServices, lambda _: (need(Service),))
def _list(draft: Draft, command: say.ListServices, moment: Moment) -> say.ServiceList:
    wanted = {
        "is_enabled": command.is_enabled,
        "version": command.version,
        "host": command.host or None,
        "binary": command.binary or None,
    }
    filters = {name: value for name, value in wanted.items() if value is not None}
    found = [row for row in draft.all(Service) if all(getattr(row, name) == value for name, value in filters.items())]
    lines = (
        say.ServiceLine(service=row, heard_ago_us=max(0, moment.now_us - row.last_seen_us))
        for row in sorted(found, key=lambda row: (row.host, row.binary))
    )
    return say.ServiceList(services=tuple(lines))
