"""Writes the pages of `docs/reference` that follow from the code's tables: `python -m tests.docs.generate`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.docs.commands_page import commands_page
from tests.docs.failures_page import failures_page
from tests.docs.faults_page import faults_page
from tests.docs.nova_page import nova_page
from tests.docs.orders_page import orders_page
from tests.docs.reference_pages import errors_page, methods_page, states_page
from tests.docs.settings_page import settings_page
from tests.docs.simulator_page import simulator_page
from tests.docs.steps_page import steps_page
from tests.docs.watching_pages import logs_page, metrics_page

REFERENCE: Final = Path(__file__).parents[2] / "docs" / "reference"
PAGES: Final[dict[str, Callable[[], str]]] = {
    "steps.md": steps_page,
    "methods.md": methods_page,
    "states.md": states_page,
    "errors.md": errors_page,
    "settings.md": settings_page,
    "simulator.md": simulator_page,
    "commands.md": commands_page,
    "orders.md": orders_page,
    "nova-cells.md": nova_page,
    "faults.md": faults_page,
    "failures.md": failures_page,
    "logs.md": logs_page,
    "metrics.md": metrics_page,
}


def main() -> None:
    """Write every page."""
    for name, write in PAGES.items():
        (REFERENCE / name).write_text(write(), encoding="utf-8")


if __name__ == "__main__":
    main()
