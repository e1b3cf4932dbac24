"""RabbitMQ's own tool on this machine: reads what a broker has, and gives it what it is to have."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any, Final

import attrs

from actors.cli.failures import ServiceAway

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PROGRAM: Final = "rabbitmqctl"
DEADLINE_S: Final = 60.0
LAST_CHARS: Final = 500


@attrs.frozen(kw_only=True)
class RabbitMQCtl:
    """The tool, for the node on this machine, or one that is named."""

    program: str = PROGRAM
    node: str = ""

    def export(self) -> Mapping[str, Any]:
        """Read all definitions of the broker; raise `ServiceAway`."""
        text = self._run("export_definitions", "-")
        try:
            found: dict[str, Any] = json.loads(text[text.index("{") :])
        except ValueError as error:
            raise ServiceAway(f"{self.program} export_definitions gave no definitions ({error})") from error
        return found

    def import_(self, definitions: Mapping[str, Any]) -> None:
        """Give the broker definitions, which never takes anything away; raise `ServiceAway`."""
        self._run("import_definitions", "--format", "json", given=json.dumps(definitions))

    def _run(self, *command: str, given: str = "") -> str:
        program = shutil.which(self.program)
        if program is None:
            raise ServiceAway(
                f"{self.program} is not here; run this beside the broker, or give --api URL, or write a file: --to FILE"
            )
        node = ("--node", self.node) if self.node else ()
        try:
            done = subprocess.run(  # noqa: S603 - an argument list of our own, and no shell
                [program, "--quiet", *node, *command],
                input=given, capture_output=True, text=True, timeout=DEADLINE_S, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise ServiceAway(f"{self.program} {command[0]} did not end within {DEADLINE_S:g} s") from error
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip()[-LAST_CHARS:]
            raise ServiceAway(f"{self.program} {command[0]} failed: {said}")
        return done.stdout


def write_private(path: Path, definitions: Mapping[str, Any]) -> None:
    """Write definitions into a file that nobody else can read: they hold hashes of passwords."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(definitions, file, indent=2)
