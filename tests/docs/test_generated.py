"""What the documents say is what the code says: generated pages are fresh, links and files named in them exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from actors.cli.planning import plan
from actors.ops.settings import parse_cloud
from protocol.moves.plans import PLANS
from tests.docs.failures_page import outline
from tests.docs.generate import PAGES, REFERENCE
from tests.docs.moves_seen import moves_seen
from tests.docs.steps_page import SHOWN_BY
from tests.tidy_rules import ROOT

#: Pages that are read off the same moves in a simulated cloud are made in one process.
TOGETHER: Final = pytest.mark.xdist_group("pages")
#: Made by failing every step: each section is compared where that is done anyway, in `tests/sagas`.
ELSEWHERE: Final = "failures.md"

DOCUMENTS: Final = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK: Final = re.compile(r"\]\(([^)\s#]*)(?:#([^)\s]+))?\)")
HEADING: Final = re.compile(r"^#+ (.+)$", re.MULTILINE)
FENCED: Final = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
#: A file or folder of the repository, named as code.
NAMED: Final = re.compile(r"`((?:protocol|actors|sim|tests|docs|deploy)/[\w./-]*)`")
EACH_DOCUMENT: Final = pytest.mark.parametrize(
    "path", [pytest.param(path, id=path.relative_to(ROOT).as_posix()) for path in DOCUMENTS]
)


def anchors(text: str) -> set[str]:
    """Make the anchors of a page's headings as GitHub does."""
    headings = HEADING.findall(FENCED.sub("", text))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@TOGETHER
@pytest.mark.parametrize("name", [name for name in PAGES if name != ELSEWHERE])
def test_a_generated_page_says_what_the_code_says(name: str) -> None:
    """Each committed page equals what the tables make now; `make docs` writes them anew."""
    assert (REFERENCE / name).read_text(encoding="utf-8") == PAGES[name](), "run make docs"


def test_the_page_of_failures_has_a_section_of_each_move_in_order() -> None:
    """And no other; what is in them is compared in `tests/sagas/test_each_way_to_fail.py`."""
    text = (REFERENCE / ELSEWHERE).read_text(encoding="utf-8")
    head, *sections = outline()
    assert text.startswith(head)
    assert [line for line in text.splitlines() if line.startswith("## ")] == sections


@TOGETHER
def test_every_plan_is_shown_with_all_of_its_steps() -> None:
    """Every goal's plan is on the page, and the conversation that shows it has gone through each of its steps."""
    assert {id(plan) for plan in PLANS.values()} == {id(PLANS[goal]) for goal in SHOWN_BY}
    for goal, shown in SHOWN_BY.items():
        done = {entry.step for name in shown for entry in moves_seen()[name].journal.entries}
        assert [step.name for step in PLANS[goal].steps if step.name not in done] == []


@EACH_DOCUMENT
def test_every_link_of_a_document_leads_to_a_file_and_a_heading(path: Path) -> None:
    """Relative links lead to files that exist, and their anchors to headings there."""
    for target, anchor in LINK.findall(FENCED.sub("", path.read_text(encoding="utf-8"))):
        if ":" in target:
            continue
        linked = (path.parent / target).resolve() if target else path
        assert linked.exists(), target
        if anchor:
            assert anchor in anchors(linked.read_text(encoding="utf-8")), f"{target}#{anchor}"


@EACH_DOCUMENT
def test_every_file_that_a_document_names_exists(path: Path) -> None:
    """A path of the repository that is named as code is there."""
    for name in NAMED.findall(path.read_text(encoding="utf-8")):
        assert (ROOT / name).exists(), name


def test_the_smallest_cloud_of_the_how_to_is_one() -> None:
    """The file that the how-to shows is accepted, and the demo can be done in it."""
    text = (ROOT / "docs" / "how-to" / "write-a-cloud-file.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```toml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert plan(parse_cloud(shown.encode())).named_host


def test_no_key_of_the_shipped_cloud_is_undocumented() -> None:
    """The page of settings names every key that the file which ships uses."""
    page = (REFERENCE / "settings.md").read_text(encoding="utf-8")
    shown = (ROOT / "deploy" / "demo.toml").read_text(encoding="utf-8")
    for key in re.findall(r"^(\w+) =", shown, re.MULTILINE):
        assert f"`{key}`" in page
