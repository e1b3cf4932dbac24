"""The commands `cellferry sim`: what they print, how they end, and that a replay is the run again."""

from __future__ import annotations

import json
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from actors.compute.drivers.memory import MemoryDriver
from protocol.invariants import INVARIANTS
from sim.commands.choices import Choices
from sim.commands.cli import sim
from sim.commands.hunting import Bag, Limits, hunt
from sim.faults import FaultKind
from sim.telling.report import CASE, MERMAID, STORY, SVG, TRACE

ROOT = Path(__file__).parents[2]
#: A world that is small enough for a test, in which a server can move.
SMALL = ("--cells", "3", "--hosts", "2", "--servers", "1", "--minutes", "0.5")
KEYS = {"seed", "trace_sha256", "moves", "messages", "faults", "virtual_s", "real_s", "violations"}


def command(*arguments: str) -> Result:
    """Run `cellferry sim` with these arguments."""
    return CliRunner().invoke(sim, arguments)


def document(result: Result) -> Any:
    """Read what a command wrote as JSON."""
    return json.loads(result.stdout)


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hypervisor that says that a guest is off, and lets it run."""

    async def power_off(_driver: MemoryDriver, _server: str, *, grace_s: float = 0.0) -> None:
        assert grace_s >= 0

    monkeypatch.setattr(MemoryDriver, "power_off", power_off)


# --- run ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [(), ("--inner",)])
def test_run_tells_everything_as_json(level: tuple[str, ...]) -> None:
    """A run in which all holds ends with 0, and says what it was and came to."""
    result = command("run", "--seed", "4", *SMALL, "--faults", "none", *level, "-f", "json")
    assert result.exit_code == 0, result.output
    told = document(result)
    assert set(told) >= KEYS
    assert (told["seed"], told["faults"], told["violations"]) == (4, {}, [])
    assert told["moves"] > 0
    assert told["virtual_s"] > 30


def test_the_same_seed_is_the_same_run() -> None:
    """Its trace's hash is the same each time, and another seed's is another."""
    runs = [document(command("run", "--seed", seed, *SMALL, "-f", "json"))["trace_sha256"] for seed in ("5", "5", "6")]
    assert runs[0] == runs[1] != runs[2]


def test_run_tells_people_in_plain_text() -> None:
    """Without a terminal there are no colours, and the verdict is the last line."""
    result = command("run", "--seed", "3", *SMALL, "--faults", "delay,double")
    assert "\x1b" not in result.output
    assert result.output.startswith("Seed 3: ")
    assert result.output.splitlines()[-1] == "OK: every invariant and oracle holds."


@pytest.mark.usefixtures("planted")
def test_a_run_that_breaks_something_ends_with_one() -> None:
    """It names the invariant, the line and the server, and the command that replays it."""
    result = command("run", "--seed", "2", *SMALL, "--faults", "none", "-f", "json")
    assert result.exit_code == 1
    first, *_ = document(result)["violations"]
    assert set(first) >= {"invariant", "step", "server"}
    assert first["server"] == "s1"
    people = command("run", "--seed", "2", *SMALL, "--faults", "none")
    assert people.exit_code == 1
    replay = "cellferry sim replay 2 --cells 3 --hosts 2 --servers 1 --minutes 0.5 --faults none --at"
    assert f"Replay it with: {replay} {first['step']}\n" in people.output


@pytest.mark.parametrize("kind", [FaultKind.DELAY, FaultKind.DOUBLE, FaultKind.STORE_SLOW])
def test_only_the_kinds_that_are_named_are_on(kind: FaultKind) -> None:
    """Whoever looks for what one kind does asks for that one."""
    told = document(command("run", "--seed", "8", *SMALL, "--faults", str(kind), "-f", "json"))
    assert set(told["faults"]) <= {kind.value}


def test_a_clouds_file_takes_the_place_of_the_generated_tree() -> None:
    """The demo's cloud is one."""
    cloud = str(ROOT / "deploy" / "demo.toml")
    result = command("run", "--seed", "2", "--servers", "1", "--minutes", "0.5", "--cloud", cloud, "-f", "json")
    assert result.exit_code == 0, result.output
    assert document(result)["moves"] >= 0


BAD = {
    ("run",): "--seed",
    ("run", "--seed", "x"): "x",
    ("run", "--seed", "1", "--faults", "delay,weather"): "weather",
    ("run", "--seed", "1", "--cells", "1"): "cells is 1",
    ("run", "--seed", "1", "--hosts", "0"): "hosts is 0",
    ("run", "--seed", "1", "--servers", "0"): "--servers",
    ("run", "--seed", "1", "--minutes", "nan"): "--minutes",
    ("run", "--seed", "1", "--minutes", "-1"): "--minutes",
    ("run", "--seed", "1", "--cloud", "no-such.toml"): "no-such.toml",
    ("run", "--seed", "1", "--cloud", str(ROOT / "pyproject.toml")): "pyproject.toml",
    ("replay", "no-such.json"): "no-such.json",
    ("replay", str(ROOT / "pyproject.toml")): "is no case",
    ("replay", "1", *SMALL, "--at", "999999999"): "lines only",
    ("hunt", "--for", "10x"): "10x",
    ("hunt", "--seeds", "9-1"): "9-1",
    ("hunt", "--jobs", "0"): "0",
}


@pytest.mark.parametrize("arguments", BAD)
def test_bad_input_is_named_and_ends_with_two(arguments: tuple[str, ...]) -> None:
    """The message names the thing that is wrong; there is no traceback."""
    result = command(*arguments)
    assert result.exit_code == 2
    assert BAD[arguments] in result.stderr
    assert "Traceback" not in result.output


# --- hunt and replay ---------------------------------------------------------------------------------------


def test_a_hunt_counts_what_it_ran() -> None:
    """Seeds, moves, faults and what was never reached; it ends with 0 when all holds."""
    result = command("hunt", "--seeds", "1-3", "--jobs", "1", *SMALL, "--faults", "none", "-f", "json")
    assert result.exit_code == 0, result.output
    told = document(result)
    assert (told["seeds"], told["violations"]) == (3, [])
    assert told["moves"] > 0
    assert "fault:lose" in told["missed_probes"]


def test_a_hunt_that_must_probe_fails_without() -> None:
    """What was never reached was never tested."""
    result = command("hunt", "--seeds", "1-1", "--jobs", "1", *SMALL, "--faults", "none", "--probes")
    assert result.exit_code == 1
    assert "Probes never reached: fault:lose" in result.stdout


def test_a_hunt_on_many_cores_finds_what_one_on_one_core_finds() -> None:
    """The seeds are spread over processes; each run is the same anywhere."""
    choices = Choices(cells=3, hosts=2, servers=1, minutes=0.5, is_inner=True)
    bags = [hunt(choices, range(1, 6), Limits(for_s=60, jobs=jobs), lambda _bag, _s: None) for jobs in (1, 2)]
    assert _counts(bags[0]) == _counts(bags[1])
    assert bags[0].seeds == 5


def _counts(bag: Bag) -> tuple[object, ...]:
    found = sorted((each.case.seed, each.breach.invariant, each.breach.step) for each in bag.found)
    return bag.seeds, bag.moves, round(bag.virtual_s, 6), bag.fired, bag.probes, found


def test_a_hunt_stops_when_its_time_is_over() -> None:
    """It needs no seeds to end."""
    told: list[int] = []
    bag = hunt(Choices(minutes=0.5), iter(range(10**9)), Limits(for_s=0.0), lambda bag, _: told.append(bag.seeds))
    assert bag.seeds == 0


@pytest.mark.usefixtures("planted")
def test_a_hunt_stops_at_the_first_breach_and_leaves_a_report(tmp_path: Path) -> None:
    """It shrinks the case, tells its story, and the one command it prints fails the same way at the same line."""
    folder = tmp_path / "report"
    world = ("--cells", "4", "--hosts", "4", "--servers", "2", "--minutes", "1")
    result = command(
        "hunt", "--seeds", "1-99", "--jobs", "1", *world, "--faults", "delay,double", "--report", str(folder)
    )
    assert result.exit_code == 1
    assert {CASE, STORY, MERMAID, SVG, TRACE} <= {path.name for path in folder.iterdir()}
    assert (folder / STORY).read_text() in result.stdout
    assert f"Replay it with: cellferry sim replay {folder / CASE}\n" in result.output
    small = json.loads((folder / CASE).read_text())
    assert len(small["faults"]) <= 3
    assert len({op["server"] for op in small["setup"]}) == 1
    verdict = json.loads((folder / "verdict.json").read_text())["first"]
    again = command("replay", str(folder / CASE), "-f", "json")
    assert again.exit_code == 1
    told = document(again)
    assert told["same_as_found"] is True
    assert (told["violations"][0]["invariant"], told["violations"][0]["step"]) == (
        verdict["invariant"],
        verdict["step"],
    )


@pytest.mark.usefixtures("planted")
def test_a_hunt_that_collects_goes_on(tmp_path: Path) -> None:
    """It lists each invariant that broke with the seed that shows it soonest, and writes no report."""
    arguments = (
        "--seeds",
        "1-4",
        "--jobs",
        "1",
        "--collect",
        *SMALL,
        "--faults",
        "none",
        "--report",
        str(tmp_path / "r"),
    )
    result = command("hunt", *arguments, "-f", "json")
    assert result.exit_code == 1
    told = document(result)
    assert told["seeds"] == 4
    assert told["breaches"] > 1
    assert all(row["replay"].startswith("cellferry sim replay ") for row in told["violations"])
    assert not (tmp_path / "r").exists()


def test_a_replay_shows_what_was_around_a_line() -> None:
    """The lines before and after it, and what everybody held then."""
    arguments = ("replay", "3", *SMALL, "--faults", "none", "--at", "800")
    told = document(command(*arguments, "-f", "json"))["around"]
    assert [line["number"] for line in told["lines"]] == list(range(788, 813))
    assert any(held.startswith("Journal: ") for held in told["held"])
    assert any(held.startswith("Hypervisors: ") for held in told["held"])
    people = command(*arguments).output
    assert ">     800 " in people
    assert "What everybody held at line 800" in people


# --- lists -------------------------------------------------------------------------------------------------


def test_the_faults_are_listed_with_their_meanings() -> None:
    """Every kind that can be asked for is there."""
    rows = document(command("faults", "-f", "json"))
    assert [row["name"] for row in rows] == [str(kind) for kind in FaultKind]
    assert all(row["does"] and row["matters when"] for row in rows)
    assert command("faults").output.splitlines()[-1] == f"{len(FaultKind)} faults"


def test_the_checkers_are_listed_with_their_promises() -> None:
    """The invariants first, then the oracles."""
    rows = document(command("checkers", "-f", "json"))
    assert [row["name"] for row in rows][: len(INVARIANTS)] == list(INVARIANTS)
    assert len(rows) > len(INVARIANTS)
    assert all(row["promise"].endswith(".") for row in rows)


def test_the_probes_are_listed() -> None:
    """There are forty at least, and each kind of fault is one."""
    rows = document(command("probes", "-f", "json"))
    assert len(rows) >= 40
    assert {f"fault:{kind}" for kind in FaultKind} <= {row["name"] for row in rows}


def test_the_commands_are_found_by_their_entry_point() -> None:
    """`cellferry` loads them so, and knows nothing else of the simulator."""
    entry = EntryPoint(name="sim", value="sim.commands.cli:sim", group="cellferry.commands")
    assert entry.load() is sim
    assert 'sim = "sim.commands.cli:sim"' in (ROOT / "pyproject.toml").read_text()
