"""What a night runs works, so that a night is not lost for a slip: a small part of it, and a night that fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner

from sim.races import RACES
from tests.seeds import night
from tests.seeds.night import Night, run_night

SHORT: Final = Night(
    seeds=2, real_hunt_s=1.0, inner_hunt_s=0.5, share=0.005, stories=("confirm-image",), races=1,
    meetings=tuple(RACES)[::10], jobs=1,
)  # fmt: skip


def test_a_very_short_night_tells_figures_of_every_part() -> None:
    """Each part has run something, and all but the probes, of which so little reaches few, are in order."""
    parts = run_night(SHORT)["parts"]
    assert len(parts) == 11
    broken = [name for name, part in parts.items() if not part["is_ok"]]
    assert broken == ["probes"]
    assert all(part["seeds"] > 0 for name, part in parts.items() if "hunt" in name or "determinism" in name)
    assert all(part["trials"] > 0 for name, part in parts.items() if "deaths" in name or "races" in name)


def test_a_part_of_a_night_is_a_part_of_everything() -> None:
    """A hundredth runs a hundredth of the seeds, of the hunts and of the deaths."""
    part = Night().scaled(0.01)
    assert (part.seeds, part.real_hunt_s, part.inner_hunt_s, part.share, part.races) == (10, 36.0, 12.0, 0.01, 3)


def test_a_night_in_which_something_does_not_hold_ends_with_1_and_leaves_its_summary(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One part is enough; what it found is in the file."""
    monkeypatch.setattr(night, "_parts", lambda _night: iter([("a", {"is_ok": True}), ("b", {"is_ok": False, "n": 2})]))
    result = CliRunner().invoke(night.main, ["--to", str(tmp_path / "build" / "night.json")])
    assert result.exit_code == 1
    assert "BROKEN b: 2 n" in result.output
    assert json.loads((tmp_path / "build" / "night.json").read_text(encoding="utf-8"))["parts"]["b"]["n"] == 2
