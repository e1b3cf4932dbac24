"""The architecture holds, and what checks it can fail: every import contract is broken once, in a copy of the tree."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import distribution, packages_distributions
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import pytest

ROOT: Final = Path(__file__).parents[1]
PACKAGES: Final = ("protocol", "actors", "sim")
SETTINGS: Final[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]

#: What breaks each contract: its name, a package or module, and an import planted there.
BREACHES: Final = (
    ("The simulator stands on the actors, the actors on the protocol", "protocol", "import actors"),
    ("The protocol is pure", "protocol", "import time"),
    ("Roles never import each other", "actors/cell", "import actors.conductor"),
    ("Inside actors: cli, process, assembly, roles, adapters, kernel", "actors/kernel", "import actors.store"),
    ("Only the RabbitMQ wire speaks AMQP", "actors/conductor", "import aio_pika"),
    ("Only the store speaks SQL", "actors/cell", "import sqlalchemy"),
    ("Who only speaks to a deployment loads no store and no actor", "actors/cli/hosts.py", "import actors.process"),
    ("Nothing imports the tests", "actors/kernel", "import tests"),
    ("The simulator replaces processes, RabbitMQ and the command line", "sim", "import actors.cli"),
    ("Only a real process is watched over sockets, and by libraries", "actors/kernel", "import structlog"),
)

# The linter reads the whole tree anew for each breach.


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Copy what the import linter looks at."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def broken_contracts(tree: Path) -> set[str]:
    """Run the import linter over a tree, and name the contracts that it finds broken."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    broken = set(re.findall(r"^(.+) BROKEN", done.stdout, re.MULTILINE))
    assert done.returncode == (1 if broken else 0), done.stdout + done.stderr
    return broken


def test_a_clean_copy_of_the_tree_keeps_every_contract(copy: Path) -> None:
    """The import linter passes on what is here, so that a red run below is the breach's doing."""
    assert broken_contracts(copy) == set()


@pytest.mark.parametrize(("contract", "place", "line"), BREACHES)
def test_a_breach_of_an_import_contract_turns_the_linter_red(copy: Path, contract: str, place: str, line: str) -> None:
    """One forbidden import is enough, and the linter names the contract."""
    module = copy / place if place.endswith(".py") else copy / place / "__init__.py"
    module.write_text(f"{module.read_text()}\n{line}\n")
    assert contract in broken_contracts(copy)


def test_every_contract_has_a_breach_that_trips_it() -> None:
    """No contract is there for show."""
    assert {contract for contract, _, _ in BREACHES} == {contract["name"] for contract in SETTINGS["contracts"]}


def test_every_module_that_a_contract_names_exists() -> None:
    """A module of ours in parentheses may be absent for the linter; a misspelt one would make its contract empty."""
    named: set[str] = set()
    for contract in SETTINGS["contracts"]:
        prefix = "".join(f"{container}." for container in contract.get("containers", ()))
        named |= {f"{prefix}{name}" for layer in contract.get("layers", ()) for name in re.findall(r"[\w.]+", layer)}
        named |= {line.partition(" -> ")[0].removesuffix(".**") for line in contract.get("ignore_imports", ())}
        named |= set(contract.get("source_modules", ()))
    missing = [name for name in sorted(named) if not module_exists(name)]
    assert not missing


def module_exists(name: str) -> bool:
    """Tell whether a module of ours is in the tree."""
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_comes_from_our_distribution(package: str) -> None:
    """The three names are generic: no other distribution may hold them, nor shadow ours."""
    ours = distribution("cellferry")
    assert set(packages_distributions().get(package, ["cellferry"])) == {"cellferry"}

    installed = {Path(str(file.locate())) for file in ours.files or ()}
    origin = json.loads(ours.read_text("direct_url.json") or "{}")
    if origin.get("dir_info", {}).get("editable"):
        installed.add(Path(unquote(urlsplit(origin["url"]).path)) / package / "__init__.py")
    assert Path(importlib.import_module(package).__file__ or "") in installed
