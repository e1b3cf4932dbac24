"""The cloud's TOML file: what ships is good, and whatever is wrong is refused with its path and the next step."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.ops.checks import SettingsError
from actors.ops.settings import examine, load_cloud, parse_cloud
from protocol.cell_path import CellPath
from protocol.healing import Healing
from protocol.moves.crossing import Crossers, Crossing
from sim.cases.layout import Layout
from tests.actors.cli.clouds import CLOUD
from tests.tidy_rules import ROOT

#: What is changed in a good file, and what must be said of it.
BROKEN: Final = {
    "a misspelt key": ("memory_mb = 8192", "memroy_mb = 8192", "hosts[1].memroy_mb: unknown key; did you mean memory"),
    "a foreign key": ('driver = "process"', "colour = 3", "colour: unknown key; known keys are cells, hosts, flavors"),
    "a missing key": ("vcpus = 8\nmemory_mb = 4096", "memory_mb = 4096", "hosts[2].vcpus: it is missing; add it"),
    "a text for a number": ("memory_mb = 8192", 'memory_mb = "8192"', "hosts[1].memory_mb: a whole number is expected"),
    "a truth for a number": ("disk_gb = 10\n", "disk_gb = true\n", "flavors[1].disk_gb: a whole number is expected"),
    "a number for a text": ('path = "api!us"', "path = 7", "cells[3].path: a text is expected, and 7 is none"),
    "no amount": ("memory_mb = 8192", "memory_mb = 0", "hosts[1].memory_mb: it must be from 1 to 2147483647, and is 0"),
    "less than no amount": ("disk_gb = 10\n", "disk_gb = -1\n", "flavors[1].disk_gb: it must be from 1 to"),
    "too much": ("size_bytes = 4096", f"size_bytes = {2**41}", "images[0].size_bytes: it must be from 1 to"),
    "an unknown cell": ('cell = "api!us"', 'cell = "api!su"', "hosts[1].cell: there is no cell api!su; did you mean"),
    "a duplicate host": ('name = "h3"', 'name = "h1"', "hosts[2].name: h1 is there already, as hosts[0]; rename"),
    "a duplicate cell": ('path = "api!us"', 'path = "api!eu"', "cells[3].path: api!eu is there already, as cells[1]"),
    "a duplicate flavor": ('"small"', '"tiny"', "flavors[1].name: tiny is there already, as flavors[0]"),
    "a duplicate volume": ('"extra"', '"data"', "volumes[2].name: data is there already, as volumes[0]"),
    "an orphan": ('path = "api!us"', 'path = "api!asia!us"', "cells[3].path: api!asia!us has no parent; add the cell"),
    "a second root": ('path = "api!us"', 'path = "other"', "cells[3].path: other is a second root beside api"),
    "no root": ('[[cells]]\npath = "api"\n', "", "cells: there is no root; add a cell whose path is a single name"),
    "no cell's name": ('path = "api!us"', 'path = "api!US"', "cells[3].path: 'US' is no cell name; it must match"),
    "no host's name": ('name = "h1"', 'name = "../h1"', "hosts[0].name: '../h1' is no name; it must be a lower-case"),
    "an unknown driver": ('"process"', '"qemu"', "driver: 'qemu' is none; known drivers are process, memory"),
    "no broker's URL": ('path = "api!us"', 'path = "api!us"\nbroker = "redis://x"', "cells[3].broker: it must be a"),
    "no store's URL": ('path = "api!us"', 'path = "api!us"\nstore = "file:x"', "cells[3].store: it must be a URL like"),
    "a table for a list": ('[[images]]\nname = "cirros"', '[images]\nname = "cirros"', "write [[images]] above each"),
    "no TOML": ('driver = "process"', "driver = ", "not TOML: Invalid value (at line 2"),
}  # fmt: skip


@pytest.mark.parametrize(("good", "bad", "said"), BROKEN.values(), ids=BROKEN)
def test_what_is_wrong_is_refused_with_its_path(good: str, bad: str, said: str) -> None:
    """Each mistake in the file has one message, which begins with the path of the value or says where it is."""
    assert good in CLOUD
    with pytest.raises(SettingsError) as refused:
        parse_cloud(CLOUD.replace(good, bad, 1).encode())
    assert said in str(refused.value)


def test_how_long_a_move_waits_for_its_user_is_for_ever_unless_the_file_says_it(tmp_path: Path) -> None:
    """In whole seconds, also in a simulated cloud of that file; a time that has passed before is refused."""
    assert parse_cloud(CLOUD.encode()).moves.confirm_after_s == 0
    for text in ("60", "0"):
        (tmp_path / "cloud.toml").write_text(f"{CLOUD}\n[moves]\nconfirm_after_s = {text}\n")
        assert Layout.load(tmp_path / "cloud.toml").waits.confirm_after_s == int(text)
    with pytest.raises(SettingsError, match=r"moves\.confirm_after_s: it must be from 1 to"):
        parse_cloud(f"{CLOUD}\n[moves]\nconfirm_after_s = -1\n".encode())


def test_what_is_softly_deleted_can_be_restored_for_ever_unless_the_file_says_it(tmp_path: Path) -> None:
    """Likewise."""
    assert parse_cloud(CLOUD.encode()).servers.reclaim_after_s == 0
    (tmp_path / "cloud.toml").write_text(f"{CLOUD}\n[servers]\nreclaim_after_s = 60\n")
    assert Layout.load(tmp_path / "cloud.toml").waits.reclaim_after_s == 60
    with pytest.raises(SettingsError, match=r"servers\.reclaim_after_s: it must be from 1 to"):
        parse_cloud(f"{CLOUD}\n[servers]\nreclaim_after_s = -1\n".encode())


def test_admins_cross_and_the_own_cell_is_preferred_unless_the_file_says_otherwise(tmp_path: Path) -> None:
    """Also in a simulated cloud of that file; what is no such value, or no weight, is refused."""
    assert parse_cloud(CLOUD.encode()).moves.crossing == Crossing(who=Crossers.ADMINS, own_cell_weight=1)
    for who, weight in ((Crossers.EVERYONE, -1), (Crossers.NOBODY, 0)):
        (tmp_path / "cloud.toml").write_text(f'{CLOUD}\n[moves]\ncross_cell = "{who}"\nown_cell_weight = {weight}\n')
        assert Layout.load(tmp_path / "cloud.toml").crossing == Crossing(who=who, own_cell_weight=weight)
    with pytest.raises(SettingsError, match=r"moves\.cross_cell: 'admin' is none; did you mean admins"):
        parse_cloud(f'{CLOUD}\n[moves]\ncross_cell = "admin"\n'.encode())
    with pytest.raises(SettingsError, match=r"moves\.own_cell_weight: it must be from -2147483647 to 2147483647"):
        parse_cloud(f"{CLOUD}\n[moves]\nown_cell_weight = {-(2**31)}\n".encode())


def test_a_password_is_never_shown() -> None:
    """A URL that is refused may hold a password, so the message does not repeat it."""
    text = CLOUD.replace('path = "api!us"', 'path = "api!us"\nbroker = "http://u:hunter2@x"')
    with pytest.raises(SettingsError) as refused:
        parse_cloud(text.encode())
    assert "hunter2" not in str(refused.value)


def test_the_cloud_that_ships_is_good() -> None:
    """The demo's file has a root, cells two levels deep, and hosts in several of them."""
    cloud = load_cloud(ROOT / "deploy" / "demo.toml")
    assert cloud.root == CellPath.parse("api")
    assert max(len(cell.path.names) for cell in cloud.cells) == 3
    assert len({host.cell for host in cloud.hosts}) >= 2


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A missing file, and a directory, are refused by their names."""
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(SettingsError, match=str(path)):
            load_cloud(path)


def test_a_message_names_the_file(tmp_path: Path) -> None:
    """Whoever has several files is told which one is wrong."""
    path = tmp_path / "mine.toml"
    path.write_text(CLOUD.replace("vcpus = 8", "vcpus = 0", 1))
    with pytest.raises(SettingsError, match=r"mine\.toml:16: hosts\[0\]\.vcpus"):
        load_cloud(path)


def test_hosts_in_one_cell_alone_are_refused() -> None:
    """Ferrying needs two cells with hosts."""
    text = CLOUD.replace('cell = "api!us"', 'cell = "api!eu"').replace('cell = "api!eu!eu-1"', 'cell = "api!eu"')
    with pytest.raises(SettingsError, match="hosts are in 1 cell"):
        parse_cloud(text.encode())


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    """Unknown keys, wrong types, values out of range, and what does not fit together, each once, with its line."""
    text = CLOUD.replace("vcpus = 8\nmemory_mb = 16384", "vcpus = 0\nmemory_mb = true", 1)
    text = text.replace('path = "api!us"', 'path = "api!us"\nreplicas = 17\ncolour = 3')
    text = text.replace('name = "small"', 'name = "tiny"')
    (tmp_path / "mine.toml").write_text(text)
    reading = examine(tmp_path / "mine.toml")
    assert reading.cloud is None
    found = {problem.where.removeprefix(f"{tmp_path}/"): problem.what for problem in reading.problems}
    assert found == {
        "mine.toml:13: cells[3].colour": "unknown key; known keys are path, availability_zone, capabilities, "
        "weight_offset, weight_scale, broker, store, replicas",
        "mine.toml:12: cells[3].replicas": "it must be from 1 to 16, and is 17",
        "mine.toml:18: hosts[0].vcpus": "it must be from 1 to 2147483647, and is 0",
        "mine.toml:19: hosts[0].memory_mb": "a whole number is expected, and True is none",
        "mine.toml:40: flavors[1].name": "tiny is there already, as flavors[0]; rename or remove one",
    }


@given(content=st.binary(max_size=200) | st.text(alphabet="[]=\"'#.\n a1{},", max_size=60).map(str.encode))
def test_no_bytes_break_the_reader(content: bytes) -> None:
    """Whatever a file holds, the answer is a cloud or a `SettingsError`."""
    with pytest.raises(SettingsError):
        parse_cloud(content)


def test_a_mirror_heals_unless_its_cloud_says_otherwise() -> None:
    """So often, so many and so far back as the file says; an interval of 0 is never, and no batch is empty."""
    assert parse_cloud(CLOUD.encode()).mirror.healing == Healing(interval_s=60, batch=16, window_s=3600)
    assert parse_cloud(f"{CLOUD}\n[mirror]\nheal_interval_s = 0\n".encode()).mirror.healing is None
    with pytest.raises(SettingsError, match=r"mirror\.heal_batch: it must be from 1 to 1000, and is 0"):
        parse_cloud(f"{CLOUD}\n[mirror]\nheal_batch = 0\n".encode())
