"""What servers count for in the quotas of their projects: the mapping says it, one row a server, and so each once.

While a move is under way or waits for its user, the larger of both sizes counts: whichever way it ends, the project has
had that much before.  Nova counts the new size from the resize on, and may then refuse a revert.
"""

from typing import Final

import attrs

from protocol.draft import Draft, Need, need
from protocol.effects.registry import Moment, effect
from protocol.errors import InvalidValue, QuotaExceeded
from protocol.messages import quotas as say
from protocol.records import Flavor, Mapping, Quota, Record, RequestSpec

#: What quotas limit beside the number of servers, as flavors and mappings call it.
SIZES: Final = ("vcpus", "memory_mb")


def limits(project: str, rows: tuple[Record, ...]) -> tuple[Need, ...]:
    """Name the rows by which a project's quota is judged: all its servers, but only if there is a limit."""
    if not project:
        return ()
    limited = need(Quota, project=project)
    is_limited = any(type(row) is Quota and row.project == project for row in rows)
    return (limited, need(Mapping, project=project)) if is_limited else (limited,)


def charge(draft: Draft, mapping: Mapping, *, project: str, flavor: Flavor) -> Mapping:
    """Count a server for what it is to be, too; raise `QuotaExceeded` when its project may not have so much."""
    after = {name: max(getattr(mapping, name), getattr(flavor, name)) for name in SIZES}
    grows = {name: amount - getattr(mapping, name) for name, amount in after.items()}
    grows["servers"] = 0 if mapping.project else 1
    quota = draft.find(Quota, project=project)
    if quota is not None:
        _check(quota, used(draft.all(Mapping, project=project)), grows)
    return attrs.evolve(mapping, project=project, **after)


def _check(quota: Quota, now: dict[str, int], grows: dict[str, int]) -> None:
    for resource, wanted in sorted(grows.items(), key=lambda item: item[0] != "servers"):
        limit = getattr(quota, resource)
        # What needs no more of something is not refused for it, though the limit was lowered since.
        if limit is not None and wanted > 0 and now[resource] + wanted > limit:
            raise QuotaExceeded(
                project=quota.project, resource=resource, used=now[resource], limit=limit, wanted=wanted
            )


def used(mappings: tuple[Mapping, ...]) -> dict[str, int]:
    """Add up what servers count for."""
    sizes = {name: sum(getattr(mapping, name) for mapping in mappings) for name in SIZES}
    return {"servers": len(mappings), **sizes}


def settle(mapping: Mapping, spec: RequestSpec | None) -> Mapping:
    """Count a server for what it is, and no more: nothing that was begun with it may still make it larger."""
    if spec is None or not mapping.project or mapping.is_moved:
        return mapping
    return attrs.evolve(mapping, vcpus=spec.flavor.vcpus, memory_mb=spec.flavor.memory_mb)


# --- what operators ask ------------------------------------------------------------------------------------


def _of_project(command: "say.SetQuota | say.ShowQuota") -> tuple[Need, ...]:
    return need(Quota, project=command.project), need(Mapping, project=command.project)


@effect(say.SetQuota, _of_project)
def _set(draft: Draft, command: say.SetQuota, _: Moment) -> say.QuotaUse:
    for name in ("servers", *SIZES):
        limit = getattr(command, name)
        if limit is not None and limit < 0:
            raise InvalidValue(name=name, value=limit, rule="it must be 0 or more, or none")
    quota = Quota(project=command.project, servers=command.servers, vcpus=command.vcpus, memory_mb=command.memory_mb)
    return _use(draft, draft.put(quota))


@effect(say.ShowQuota, _of_project)
def _show(draft: Draft, command: say.ShowQuota, _: Moment) -> say.QuotaUse:
    return _use(draft, draft.find(Quota, project=command.project) or Quota(project=command.project))


def _use(draft: Draft, quota: Quota) -> say.QuotaUse:
    return say.QuotaUse(quota=quota, **used(draft.all(Mapping, project=quota.project)))
