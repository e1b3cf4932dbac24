"""What is answered to those who watch a process: /metrics, /healthcheck, /livez and /readyz."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from actors.ops.health import document
from actors.ops.http import NOT_FOUND, OK, UNAVAILABLE, Answer, Asked

if TYPE_CHECKING:
    from actors.ops.health import Finding, Health
    from actors.ops.prometheus import PrometheusMeters

METRICS_KIND: Final = "text/plain; version=0.0.4; charset=utf-8"
JSON_KIND: Final = "application/json"
PATHS: Final = ("/metrics", "/healthcheck", "/livez", "/readyz")


class Pages:
    """Answers from what is known already: nobody who asks can make a process wait, or work."""

    def __init__(self, health: Health, meters: PrometheusMeters) -> None:
        self._health = health
        self._meters = meters

    def answer(self, asked: Asked) -> Answer:
        """Answer what was asked for."""
        match asked.path.rstrip("/"):
            case "/metrics":
                return Answer(status=OK, body=self._meters.text(), kind=METRICS_KIND)
            case "/livez":
                return _plain(self._health.live())
            case "/readyz":
                return _plain(self._health.findings())
            case "/healthcheck":
                return self._summary(is_json="json" in asked.accept or "detailed" in asked.query)
            case _:
                return Answer(status=NOT_FOUND, body=f"there is {', '.join(PATHS)}\n".encode())

    def _summary(self, *, is_json: bool) -> Answer:
        findings = (*self._health.live(), *self._health.findings())
        if not is_json:
            return _plain(findings)
        body = json.dumps(document(findings, self._health.process), indent=2).encode()
        return Answer(status=_status(findings), body=body + b"\n", kind=JSON_KIND)


def _status(findings: tuple[Finding, ...]) -> int:
    return OK if all(each.is_good for each in findings) else UNAVAILABLE


def _plain(findings: tuple[Finding, ...]) -> Answer:
    """Say OK, or what is missing: a line each."""
    missing = [f"{each.what}: {each.says}\n" for each in findings if not each.is_good]
    return Answer(status=_status(findings), body="".join(missing or ["OK\n"]).encode())
