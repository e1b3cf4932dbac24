"""The list of known flaws cannot rot: each still breaks what it is said to break, and nothing lies beside the list."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Final

import attrs

from protocol.invariants import INVARIANTS
from sim.cases.case import Case
from sim.cases.places import mistakes
from sim.checkers import ORACLES
from sim.commands.levels import Level

HERE: Final = Path(__file__).parent


@attrs.frozen(kw_only=True)
class Known:
    name: str
    level: str
    case: str
    invariant: str
    issue: int
    reason: str

    def read(self) -> Case:
        return Case.from_json((HERE / self.case).read_text(encoding="utf-8"))


def listed() -> list[Known]:
    plain = tomllib.loads((HERE / "known.toml").read_text(encoding="utf-8"))
    return [Known(**entry) for entry in plain.get("known", [])]


def broken_by(known: Known) -> set[str]:
    outcome = Level(is_inner=known.level == "inner").run(known.read()).outcome
    return {breach.invariant for breach in outcome.breaches}


def test_every_known_flaw_still_breaks_its_invariant() -> None:
    """If one does not, it is mended: take its entry and its case away."""
    assert not [known.name for known in listed() if known.invariant not in broken_by(known)]


def test_every_entry_is_whole_and_names_what_there_is() -> None:
    """A level, an invariant or oracle of ours, an issue that is still to come, a reason, and a case that can be run."""
    for known in listed():
        assert known.level in {"real", "inner"}, known.name
        assert known.invariant in {*INVARIANTS, *ORACLES}, known.name
        assert known.issue > 3, known.name
        assert known.reason.strip(), known.name
        assert not mistakes(known.read()), known.name


def test_the_list_and_the_files_beside_it_are_the_same() -> None:
    """No case is missing, and none is left that no entry names."""
    cases = [known.case for known in listed()]
    assert len(set(cases)) == len({known.name for known in listed()}) == len(cases)
    assert sorted(cases) == sorted(path.name for path in HERE.glob("*.json"))
