"""The figures of a run of chaos: how many deaths of whom, in what, and how long until another conductor went on."""

from __future__ import annotations

import json
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from tests.chaos.lives import TAKEOVER_S_MAX
from tests.chaos.run import victim

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.chaos.lives import Result
    from tests.chaos.run import Outcome

ORDERS: Final = ("create", "resize", "confirm", "revert", "undone", "reboot", "swap")


def figures(outcome: Outcome, *, lanes: int, conductors: int, took_s: float) -> dict[str, Any]:
    """Sum a run up."""
    taken = [result.takeover.taken_s for result in outcome.results]
    entries = [result.takeover.entry_s for result in outcome.results]
    return {
        "planned": outcome.planned,
        "deaths": sum(bool(result.by) for result in outcome.results),
        "by_victim": _by_victim(outcome.results),
        "takeover": {**_spread(taken), "limit_s": TAKEOVER_S_MAX},
        "next_entry": _spread(entries),
        "machine_lag_max_s": round(max((each.takeover.lag_s for each in outcome.results), default=0.0), 2),
        "recovery_median_s": _recoveries(outcome.results),
        "deployments": lanes,
        "conductors": conductors,
        "took_s": round(took_s),
        "problems": list(outcome.problems),
    }


def write(path: Path, found: dict[str, Any]) -> None:
    """Keep the figures."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=2) + "\n")


def table(found: dict[str, Any]) -> str:
    """Write the figures for people, as a table of Markdown."""
    rows = [f"| {' | '.join(('who is killed', *ORDERS))} |", f"|---|{'--:|' * len(ORDERS)}"]
    for who, counts in found["by_victim"].items():
        rows.append(f"| {who} | {' | '.join(str(counts.get(order, '')) for order in ORDERS)} |")
    takeover = found["takeover"]
    deaths = f"{found['deaths']} deaths of {found['planned']} planned, in {found['took_s']} s"
    how = f"{found['deployments']} deployments at once; broken promises: {len(found['problems'])}"
    taken = f"takeovers: {takeover['count']}, median {takeover['median_s']} s, longest {takeover['max_s']} s"
    entry = f"to the next entry: median {found['next_entry']['median_s']} s, longest {found['next_entry']['max_s']} s"
    lag = f"the machine was late by up to {found['machine_lag_max_s']} s"
    limit = f"(at most {takeover['limit_s']:g} s)"
    return "\n".join([*rows, "", f"{deaths}; {how}", f"{taken} {limit}; {entry}; {lag}"])


def _by_victim(results: Iterable[Result]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for result in results:
        if result.by:
            counts = found.setdefault(victim(result.trial.who), {})
            counts[result.trial.order] = counts.get(result.trial.order, 0) + 1
    return dict(sorted(found.items()))


def _spread(times: Iterable[float | None]) -> dict[str, Any]:
    known = [time for time in times if time is not None]
    return {
        "count": len(known),
        "median_s": round(median(known), 2) if known else None,
        "max_s": round(max(known), 2) if known else None,
    }


def _recoveries(results: Iterable[Result]) -> dict[str, float]:
    """Tell how long orders took in which a process died, from when they were placed until all was at rest again."""
    took: dict[str, list[float]] = {}
    for result in results:
        if result.by:
            took.setdefault(victim(result.trial.who), []).append(result.took_s)
    return {who: round(median(times), 1) for who, times in sorted(took.items())}
