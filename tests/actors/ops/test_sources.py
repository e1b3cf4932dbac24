"""Where settings come from: each source goes over those before it, is named, and gives no secret away."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Final

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.ops.declared import Setting, Shape
from actors.ops.sample import sample, toml
from actors.ops.settings import Reading, declared, examine, load_cloud, parse_cloud
from actors.ops.sources import CREDENTIALS, DEFAULT
from protocol.cell_path import CellPath
from tests.actors.cli.clouds import CLOUD, write_cloud

BROKER: Final = "amqp://u:hunter2@broker/v"
DEPLOYMENT: Final = '\n[deployment]\ndirectory = "data"\n'
#: All sources of one setting, the lowest first, as how each says it and as what names it as the origin.
SOURCES: Final = ("included", "file", "credential", "variable", "option")
NO_LIST: Final = [
    setting for setting in declared()
    if setting.shape is Shape.VALUE and not setting.is_required
    and next(top for top in declared() if top.names == setting.names[:1]).shape is not Shape.LIST
]  # fmt: skip


def read(directory: Path, text: str, *options: str, **variables: str) -> Reading:
    """Read a file of that text with these options and variables."""
    return examine(write_cloud(directory, text), variables=variables, options=options)


@given(said=st.lists(st.sampled_from(SOURCES), unique=True))
def test_each_source_goes_over_those_before_it(said: list[str]) -> None:
    """Whichever say something of a setting, the last of them is believed, and named."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        value = {source: 10 + SOURCES.index(source) for source in said}
        table = {source: f"[moves]\nconfirm_after_s = {value[source]}\n" for source in said}
        (directory / "common.toml").write_text(f"{CLOUD}\n{table.get('included', '')}")
        (directory / "cellferry.moves.confirm_after_s").write_text(str(value.get("credential", "")))
        variables = {CREDENTIALS: name} if "credential" in said else {}
        if "variable" in said:
            variables["CELLFERRY_MOVES__CONFIRM_AFTER_S"] = str(value["variable"])
        options = [f"moves.confirm_after_s={value['option']}"] if "option" in said else []
        reading = read(directory, f'include = ["common.toml"]\n{table.get("file", "")}', *options, **variables)
    assert reading.problems == ()
    assert reading.cloud is not None
    highest = max(said, key=SOURCES.index, default="")
    assert reading.cloud.moves.confirm_after_s == value.get(highest, 0)
    named = {
        "included": "common.toml:", "file": "cloud.toml:3", "credential": "credential cellferry.moves",
        "variable": "CELLFERRY_MOVES__", "option": "--set moves.", "": DEFAULT,
    }  # fmt: skip
    assert named[highest] in reading.sources.origin("moves.confirm_after_s")


@pytest.mark.parametrize("setting", NO_LIST, ids=[setting.path for setting in NO_LIST])
def test_every_setting_that_is_in_no_list_has_a_variable(setting: Setting, tmp_path: Path) -> None:
    """Its default, or of one that has none some text, said by its variable, is what it is."""
    value = {"store": "postgresql://u:p@h/d", "secrets": "keys"}.get(setting.names[-1], setting.default)
    said = value if isinstance(value, str) else toml(value)
    others = {"CELLFERRY_DEPLOYMENT__WIRE": BROKER, "CELLFERRY_DEPLOYMENT__DIRECTORY": "d"}
    reading = read(tmp_path, CLOUD, **others, **{setting.variable: said})
    found: object = reading.cloud
    for name in setting.names:
        found = getattr(found, name)
    assert found == value
    assert reading.sources.origin(setting.path) == setting.variable


def test_entries_of_lists_are_named_by_number_or_name(tmp_path: Path) -> None:
    """By options and by variables; values of tables whose keys are the operator's are set one at a time."""
    reading = read(
        tmp_path, CLOUD, "cells[api!us].replicas=2", "hosts[h2].vcpus=4", "hosts[0].disk_gb=7",
        "cells[1].capabilities.os=['l']",
        CELLFERRY_HOSTS__2__MEMORY_MB="99", CELLFERRY_SCHEDULER__MULTIPLIERS__RAM="2",
    )  # fmt: skip
    assert reading.problems == ()
    cloud = reading.cloud
    assert cloud is not None
    assert cloud.cell(CellPath.parse("api!us")).replicas == 2
    assert (cloud.host("h2").vcpus, cloud.host("h1").disk_gb, cloud.host("h3").memory_mb) == (4, 7, 99)
    assert cloud.cells[1].capabilities == {"os": ("l",)}
    assert cloud.scheduler.multipliers == {"ram": 2.0}


#: What is said wrongly, by a variable or an option, and what is said of it.
WRONG: Final = {
    "unknown": ("tree.anounce_s=1", "--set tree.anounce_s: there is no setting tree.anounce_s; did you mean"),
    "no value": ("tree.announce_s", "--set tree.announce_s: it gives no value; write --set section.key=value"),
    "no number": ("tree.announce_s=often", "--set tree.announce_s (tree.announce_s): it cannot be read"),
    "two values": ("tree.announce_s=1\nx = 2", "(tree.announce_s): it cannot be read"),
    "too much": ("tree.reserve_percent=101", "tree.reserve_percent: it must be from 0 to 100, and is 101"),
    "no entry": ("cells[api!as].replicas=1", "[api!as].replicas: there is no entry api!as of cells; name one by"),
    "a table": ("tree=1", "--set tree: there is no setting tree;"),
    "no file": ("deployment.wire_file=gone", "gone cannot be read (No such file or directory); name the file"),
}  # fmt: skip


@pytest.mark.parametrize(("option", "said"), WRONG.values(), ids=WRONG)
def test_what_is_said_wrongly_is_refused_by_where_it_was_said(option: str, said: str, tmp_path: Path) -> None:
    """Every problem names the option, and the next step."""
    problems = read(tmp_path, CLOUD, option).problems
    assert any(said in str(problem) for problem in problems), problems


def test_variables_that_are_no_settings_are_left_alone(tmp_path: Path) -> None:
    """Only two underscores make a setting's name, or the whole name of one; then it must be one."""
    assert read(tmp_path, CLOUD, CELLFERRY_CONFIG="x", CELLFERRY_TEST_RUN="y", HOME="/").problems == ()
    (problem,) = read(tmp_path, CLOUD, CELLFERRY_TREE__LOOKS_S="1").problems
    assert str(problem) == "CELLFERRY_TREE__LOOKS_S: there is no setting tree.looks_s; did you mean tree.look_s?"
    cloud = read(tmp_path, CLOUD, CELLFERRY_DRIVER="memory").cloud
    assert cloud is not None
    assert cloud.driver == "memory"


def test_a_secret_comes_from_a_file_of_its_own(tmp_path: Path) -> None:
    """Named in the file, by a variable or an option, or given as a credential; a line's end is no part of it."""
    (tmp_path / "wire").write_text(f"{BROKER}\n")
    (tmp_path / "cellferry.cells.api!us.broker").write_text(BROKER)
    by_file = read(tmp_path, f'{CLOUD}{DEPLOYMENT}wire_file = "wire"\n')
    by_variable = read(tmp_path, CLOUD + DEPLOYMENT, CELLFERRY_DEPLOYMENT__WIRE_FILE="wire")
    by_option = read(tmp_path, CLOUD + DEPLOYMENT, f"deployment.wire_file={tmp_path / 'wire'}")
    for reading in (by_file, by_variable, by_option):
        assert reading.problems == ()
        assert reading.cloud is not None
        assert reading.cloud.deployment is not None
        assert reading.cloud.deployment.wire == BROKER
        assert "wire)" in reading.sources.origin("deployment.wire")
    (tmp_path / "cellferry.cells[api!us].broker").write_text(BROKER)
    (tmp_path / "cellferry.cells.api!us.broker").unlink()
    cloud = read(tmp_path, CLOUD, CREDENTIALS_DIRECTORY=str(tmp_path)).cloud
    assert cloud is not None
    assert cloud.cell(CellPath.parse("api!us")).broker == BROKER


def test_a_secret_is_not_taken_from_a_command_line_nor_from_a_file_that_all_may_write(tmp_path: Path) -> None:
    """What a process list shows, or everybody may change, is none; nor may it be said twice."""
    (problem,) = read(tmp_path, CLOUD, f"cells[0].broker={BROKER}").problems
    assert "say --set cells[0].broker_file=FILE instead" in str(problem)
    (tmp_path / "wire").write_text(BROKER)
    twice = read(tmp_path, f'{CLOUD}{DEPLOYMENT}wire_file = "wire"\nwire = "{BROKER}"\n').problems
    assert any("wire is there as well; remove one of them" in str(each) for each in twice)
    (tmp_path / "wire").chmod(0o666)
    open_to_all = read(tmp_path, f'{CLOUD}{DEPLOYMENT}wire_file = "wire"\n').problems
    assert any("everybody may change" in str(each) for each in open_to_all)
    assert "hunter2" not in f"{problem}{twice}{open_to_all}"


@pytest.mark.parametrize(
    "said", ["[deployment]\nwire = 7", '[deployment]\nwire = "hunter2://x"', "[deployment]\nwire = ['hunter2']"]
)
def test_a_secret_that_is_no_good_is_not_repeated(said: str, tmp_path: Path) -> None:
    """Whatever is wrong with it."""
    problems = read(tmp_path, f"{CLOUD}\n{said}\ndirectory = 'd'\n").problems
    assert problems
    assert not any(secret in str(problem) for problem in problems for secret in ("hunter2", "7 is none"))


def test_files_that_include_each_other_are_refused(tmp_path: Path) -> None:
    """Instead of being read for ever."""
    path = write_cloud(tmp_path, 'include = "cloud.toml"\n')
    with pytest.raises(Exception, match="files include each other"):
        load_cloud(path)


def test_an_entry_of_an_included_file_is_laid_over_and_not_added(tmp_path: Path) -> None:
    """A role's own file changes the cell of that path; what one file says twice stays a mistake."""
    (tmp_path / "common.toml").write_text(CLOUD)
    own = 'include = "common.toml"\n[[cells]]\npath = "api!us"\nreplicas = 3\n'
    cloud = read(tmp_path, own).cloud
    assert cloud is not None
    *others, last = parse_cloud(CLOUD.encode()).cells
    assert cloud.cells == (*others, attrs.evolve(last, replicas=3))
    assert read(tmp_path, own + '[[hosts]]\nname = "h9"\n').cloud is None


# --- the sample --------------------------------------------------------------------------------------------


def test_the_sample_is_good_as_it_is_and_says_the_defaults() -> None:
    """Its own values are accepted; those that it comments out are what holds without them."""
    text = sample(declared())
    plain = parse_cloud(text.encode())
    on = [line.removeprefix("# ") for line in text.splitlines() if re.match(r"(# )?(\[|\w+ = )", line)]
    # Those that stand for values of which there is no default.
    on = [line for line in on if not line.startswith(("broker", "store", "secrets", "source", "target", "[[links"))]
    full = parse_cloud("\n".join(on).encode())
    assert attrs.evolve(full, images=(), volumes=()) == plain


def test_the_sample_names_every_setting_with_its_help() -> None:
    """Each of them has one, which is a sentence, and is not named without it."""
    text = sample(declared())
    for setting in declared():
        assert setting.about.help.endswith("."), setting.path
        if setting.shape is Shape.VALUE:
            assert f"{setting.names[-1]} = " in text
