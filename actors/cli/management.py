"""RabbitMQ's management plug-in: reads over HTTP what a broker has, and gives it what it is to have."""

from __future__ import annotations

import base64
import http.client
import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

import attrs

from actors.cli.failures import ServiceAway

if TYPE_CHECKING:
    from collections.abc import Mapping

DEADLINE_S: Final = 60.0
DEFINITIONS: Final = "/api/definitions"
LAST_CHARS: Final = 500
OK: Final = range(200, 300)
CONNECTIONS: Final = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}


@attrs.frozen(kw_only=True)
class ManagementAPI:
    """The plug-in of one broker, by a URL with the user and the password of an administrator."""

    url: str = attrs.field(repr=False)

    def export(self) -> Mapping[str, Any]:
        """Read all definitions of the broker; raise `ServiceAway`."""
        text = self._ask("GET")
        try:
            found: dict[str, Any] = json.loads(text)
        except ValueError as error:
            raise ServiceAway(f"the management API at {self._place} gave no definitions ({error})") from error
        return found

    def import_(self, definitions: Mapping[str, Any]) -> None:
        """Give the broker definitions, which never takes anything away; raise `ServiceAway`."""
        self._ask("POST", json.dumps(definitions))

    @property
    def _place(self) -> str:
        parts = urlsplit(self.url)
        return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)

    def _ask(self, method: str, body: str | None = None) -> str:
        parts = urlsplit(self.url)
        user = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
        headers = {"Authorization": f"Basic {base64.b64encode(user.encode()).decode()}"}
        headers |= {"Content-Type": "application/json"} if body is not None else {}
        connection = CONNECTIONS[parts.scheme](str(parts.hostname), parts.port, timeout=DEADLINE_S)
        try:
            connection.request(method, parts.path.rstrip("/") + DEFINITIONS, body, headers)
            answer = connection.getresponse()
            text = str(answer.read(), encoding="utf-8", errors="replace")
        except (OSError, http.client.HTTPException) as error:
            why = str(error) or type(error).__name__
            raise ServiceAway(f"the management API at {self._place} cannot be used: {why}") from error
        finally:
            connection.close()
        if answer.status not in OK:
            said = f"{answer.status} {answer.reason}: {text.strip()[:LAST_CHARS]}"
            raise ServiceAway(f"the management API at {self._place} refuses {method} {DEFINITIONS}: {said}")
        return text
