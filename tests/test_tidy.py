"""The tree keeps the bars of style that a machine can check; each rule is shown to refuse a bad sample."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import attrs
import pytest

from tests import tidy_rules
from tests.docs import nova_page
from tests.tidy_rules import FUNCTION_LINES_MAX, MODULE_LINES_MAX, ROOT, Tree

PACKAGES: Final = ("protocol/", "actors/", "sim/")

#: Modules that a program writes: nobody reads them from top to bottom, so they may be long.
GENERATED: Final = frozenset[str]()


@attrs.frozen(kw_only=True, repr=False)
class Rule:
    """What to look for, where, and a sample of either kind."""

    name: str
    complaints: Callable[[Tree], list[str]]
    covers: Callable[[str], bool]
    bad: Tree
    good: Tree


# -------------------------------------------------------------------------------------------------- what is covered


def is_python(path: str) -> bool:
    """Tell whether a path is a module's."""
    return path.endswith(".py")


def inside(*folders: str) -> Callable[[str], bool]:
    """Cover the modules below some folders."""
    return lambda path: is_python(path) and path.startswith(folders)


def sample(path: str, *lines: str) -> Tree:
    """Make a tree of one file."""
    return {path: "\n".join(lines) + "\n"}


def function_of(lines: int) -> str:
    """Write a function of so many lines."""
    return "def f():\n" + "    x = 1\n" * (lines - 1)


# --------------------------------------------------------------------------------------------- the table, with samples

RULES: Final = (
    Rule(
        name="no overlong function",
        complaints=tidy_rules.overlong_functions,
        covers=is_python,
        bad={"actors/a.py": function_of(FUNCTION_LINES_MAX + 1)},
        good={"actors/a.py": function_of(FUNCTION_LINES_MAX)},
    ),
    Rule(
        name="no overlong module",
        complaints=tidy_rules.overlong_modules,
        covers=lambda path: is_python(path) and path not in GENERATED,
        bad={"actors/a.py": "x = 1\n" * (MODULE_LINES_MAX + 1)},
        good={"actors/a.py": "x = 1\n" * MODULE_LINES_MAX},
    ),
    Rule(
        name="few long functions",
        complaints=tidy_rules.many_long_functions,
        covers=inside(*PACKAGES),
        bad={"actors/a.py": function_of(41) + function_of(2) * 31},
        good={"actors/a.py": function_of(41) + function_of(2) * 33},
    ),
    Rule(
        name="a low median",
        complaints=tidy_rules.high_median,
        covers=inside(*PACKAGES),
        bad={"actors/a.py": function_of(11) * 2 + function_of(2)},
        good={"actors/a.py": function_of(11) + function_of(10) * 2},
    ),
    Rule(
        name="no deep folder",
        complaints=tidy_rules.deep_folders,
        covers=inside(*PACKAGES),
        bad=sample("actors/a/b/c/d.py"),
        good=sample("actors/a/b/d.py"),
    ),
    Rule(
        name="no vague name",
        complaints=tidy_rules.vague_names,
        covers=is_python,
        bad=sample("actors/utils/a.py"),
        good=sample("actors/wire/a.py"),
    ),
    Rule(
        name="no bare excuse",
        complaints=tidy_rules.bare_excuses,
        covers=is_python,
        bad=sample("actors/a.py", "x = 1  # noqa: E501"),
        good=sample("actors/a.py", "x = 1  # noqa: E501 - a URL", "y = 1  # type: ignore[misc]  # a stub is wrong"),
    ),
    Rule(
        name="few excuses",
        complaints=tidy_rules.many_excuses,
        covers=is_python,
        bad=sample("actors/a.py", *["x = 1  # type: ignore[misc]  # why"] * 3),
        good=sample("actors/a.py", *["x = 1  # type: ignore[misc]  # why", "y = 1  # noqa: E501 - why"] * 2),
    ),
    Rule(
        name="no leftovers",
        complaints=tidy_rules.leftovers,
        covers=is_python,
        bad=sample("actors/a.py", "# FIX" + "ME: later"),
        good=sample("actors/a.py", "# Fixed."),
    ),
    Rule(
        name="no print outside the command line",
        complaints=tidy_rules.prints,
        covers=lambda path: inside(*PACKAGES)(path) and not path.startswith(("actors/cli/", "sim/cli")),
        bad=sample("actors/a.py", "def f():", "    print(1)"),
        good=sample("actors/a.py", "fingerprint(1)"),
    ),
    Rule(
        name="module docstrings",
        complaints=tidy_rules.silent_modules,
        covers=is_python,
        bad=sample("actors/a.py", "# A comment.", "x = 1"),
        good=sample("actors/a.py", '"""A docstring."""'),
    ),
    *(
        Rule(
            name=f"public docstrings in {package}",
            complaints=tidy_rules.undocumented,
            covers=inside(package),
            bad={"protocol/a.py": "class A:\n    def f(self): pass\n"},
            good={"protocol/a.py": 'class A:\n    """A."""\n    def _f(self): pass\n'},
        )
        for package in ("protocol/", "actors/kernel/")
    ),
    Rule(
        name="every test says what it proves",
        complaints=tidy_rules.silent_tests,
        covers=inside("tests/"),
        bad=sample("tests/test_a.py", "def test_a():", "    pass"),
        good=sample("tests/test_a.py", "def test_a():", '    """It holds."""'),
    ),
    Rule(
        name="no package index",
        complaints=tidy_rules.places,
        covers=lambda _: True,
        bad=sample("a.toml", "url = 'https://py" + "pi.org/simple'"),
        good=sample("a.toml", "url = 'https://example.org/simple'"),
    ),
    Rule(
        name="no path of this machine",
        complaints=tidy_rules.places,
        covers=lambda _: True,
        bad=sample("a.md", f"See {ROOT}/README.md."),
        good=sample("a.md", "See README.md."),
    ),
    Rule(
        name="no path of a person's machine",
        complaints=tidy_rules.places,
        covers=lambda _: True,
        bad=sample("a.md", "See /ho" + "me/ann/cellferry."),
        good=sample("a.md", "See docs/home/ann."),
    ),
    Rule(
        name="links lead somewhere",
        complaints=tidy_rules.broken_links,
        covers=lambda _: True,
        bad=sample("docs/a.md", "[b](../b.md)"),
        good={"docs/a.md": "[b](../b.md#x) [docs](../docs) [web](https://example.org) [here](#x)", "b.md": ""},
    ),
)


# ------------------------------------------------------------------------------------------------------------ the tests


def files(folder: Path) -> Iterator[Path]:
    """List the files of the repository, leaving out what tools make (in a worktree of git, `.git` is a file)."""
    made = {"build", "dist", "__pycache__"}
    for path in folder.iterdir():
        is_hidden = path.name.startswith(".") and path.name != ".ci"
        if path.is_file() and path.name != ".git":
            yield path
        elif path.is_dir() and not is_hidden and path.name not in made and not path.name.endswith(".egg-info"):
            yield from files(path)


@pytest.fixture(scope="module")
def tree() -> Tree:
    """Read the repository; a file that is not text counts as empty."""
    paths = sorted(files(ROOT))
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8", errors="ignore") for path in paths}


EACH_RULE: Final = pytest.mark.parametrize("rule", [pytest.param(rule, id=rule.name) for rule in RULES])


@EACH_RULE
def test_the_tree_keeps_the_rule(rule: Rule, tree: Tree) -> None:
    """The repository gives no cause for complaint, and the rule looks at some part of it."""
    covered = {path: source for path, source in tree.items() if rule.covers(path)}
    assert covered
    complaints = rule.complaints(covered)
    assert not complaints, "\n".join(complaints)


@EACH_RULE
def test_the_rule_refuses_its_bad_sample(rule: Rule) -> None:
    """The rule can fail."""
    assert rule.complaints(rule.bad)


@EACH_RULE
def test_the_rule_accepts_its_good_sample(rule: Rule) -> None:
    """The rule asks for no more than it says."""
    assert not rule.complaints(rule.good)


def test_every_number_of_the_reference_is_shown_by_a_test_or_still_to_come() -> None:
    """What tests are marked with is in the table; a number of the table has a test, or waits in the list of them."""
    known = set(nova_page.numbers())
    shown = set(nova_page.shown(nova_page.sources()))
    assert shown <= known, f"no such numbers: {sorted(shown - known)}"
    assert known >= nova_page.NOT_YET
    done, lost = sorted(nova_page.NOT_YET & shown), sorted(known - shown - nova_page.NOT_YET)
    assert not done, f"shown now, so take out of tests/docs/nova_not_yet.txt: {done}"
    assert not lost, f"no test shows any more: {lost}"


def test_the_page_of_numbers_names_the_tests_that_show_them() -> None:
    """It is written from the marks."""
    page = (ROOT / "docs" / "reference" / "nova-cells.md").read_text(encoding="utf-8")
    assert page == nova_page.nova_page(), "run: python -m tests.docs.nova_page"
