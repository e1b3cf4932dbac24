"""How the command line ends: exit codes, one message, and nothing left behind by what is refused."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Final

import pytest

from actors.cli.main import main
from tests.actors.cli.clouds import CLOUD, demo, files, write_cloud
from tests.own_services import spare_port

USAGE: Final = 2


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have everything temporary made in a directory of the test's own."""
    directory = tmp_path / "tmp"
    directory.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(directory))
    return directory


def ended(*arguments: str) -> int:
    """Run a command line to its end and give the exit code."""
    with pytest.raises(SystemExit) as end:
        main(list(arguments))
    assert isinstance(end.value.code, int)
    return end.value.code


#: Options, what the message must say, and the exit code.
REFUSED: Final = {
    "an unknown option": (["--colour"], "No such option", USAGE),
    "an unknown format": (["-f", "yaml"], "'yaml' is not one of", USAGE),
    "no such file": (["--cloud", "nowhere.toml"], "nowhere.toml: it cannot be read", USAGE),
    "no wire": (["--wire", "carrier-pigeon"], "wire: it must be a URL like amqp://", USAGE),
    "no store": (["--store", "mysql://host/db"], "store: it must be a URL like postgresql://", USAGE),
    "no port": (["--wire", "amqp://host:port/"], "wire: it must be a URL like amqp://", USAGE),
    "processes without a broker": (["--processes"], "cannot share a wire in memory; give --wire amqp://", USAGE),
}


@pytest.mark.parametrize(("options", "said", "code"), REFUSED.values(), ids=REFUSED)
def test_bad_usage_is_refused(
    options: list[str], said: str, code: int, temporary: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One message names the thing and the next step; nothing is printed as a result, and nothing left behind."""
    assert ended("demo", *options) == code
    output = capsys.readouterr()
    assert said in output.err
    assert not output.out
    assert not list(temporary.iterdir())


#: Options of `server set`, and what the message must say.
UNCHANGED: Final = {
    "nothing": ([], "say what is to be another: --name, --description"),
    "both ways": (["--tag", "blue", "--no-tag"], "either --tag or --no-tag"),
    "no property": (["--property", "tier"], "tier is no KEY=VALUE"),
    "too long a name": (["--name", "n" * 256], "it has 1 to 255 characters"),
}


@pytest.mark.parametrize(("options", "said"), UNCHANGED.values(), ids=UNCHANGED)
def test_a_change_that_is_none_is_refused_before_anybody_is_asked(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The deployment need not even be up."""
    assert ended("server", "set", "web", *options, "--config", str(write_cloud(tmp_path))) == USAGE
    assert said in " ".join(capsys.readouterr().err.split())


#: Options of `cell set`, and what the message must say.
UNSET: Final = {
    "nothing": ([], "say what is to change: --weight-offset, --weight-scale, --frozen or --no-frozen"),
    "a reason alone": (["--reason", "why"], "--reason says why a cell is frozen: it goes with --frozen"),
    "a reason to thaw": (["--no-frozen", "--reason", "why"], "it goes with --frozen"),
    "too long a reason": (["--frozen", "--reason", "n" * 256], "it has at most 255 characters"),
}


@pytest.mark.parametrize(("options", "said"), UNSET.values(), ids=UNSET)
def test_a_cell_is_not_set_to_what_cannot_be(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anybody is asked."""
    assert ended("cell", "set", "api!us", *options, "--config", str(write_cloud(tmp_path))) == USAGE
    assert said in " ".join(capsys.readouterr().err.split())


def test_a_key_that_is_no_text_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file is named, and what to name instead."""
    (tmp_path / "laptop").write_bytes(b"\xff\xfe")
    wanted = ("--flavor", "tiny", "--image", "cirros", "--key", str(tmp_path / "laptop"))
    assert ended("server", "create", "web", *wanted, "--config", str(write_cloud(tmp_path))) == USAGE
    assert "laptop is no text; name the file with the public key" in " ".join(capsys.readouterr().err.split())


#: What is changed in a good file, and what must be said of it.
CLOUDS: Final = {
    "a broken file": ('driver = "process"', "driver = ", "not TOML"),
    "an unknown key": ("memory_mb = 8192", "memroy_mb = 8192", "hosts[1].memroy_mb: unknown key"),
    "an unknown cell": ('cell = "api!us"', 'cell = "api!su"', "hosts[1].cell: there is no cell api!su"),
    "a duplicate host": ('name = "h3"', 'name = "h1"', "hosts[2].name: h1 is there already"),
    "too little capacity": ("memory_mb = 1024", "memory_mb = 20000", "memory_mb 20000 wanted, 8192 free"),
    "a broker for a wire in memory": (
        'path = "api!us"', 'path = "api!us"\nbroker = "amqp://h/"', "cells[3].broker: the memory wire has no brokers",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CLOUDS.values(), ids=CLOUDS)
def test_a_cloud_that_cannot_be_is_refused_before_anything_starts(
    case: tuple[str, str, str], tmp_path: Path, temporary: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, one message with the path of the value, and nothing left behind."""
    good, bad, said = case
    assert good in CLOUD
    cloud = write_cloud(tmp_path, CLOUD.replace(good, bad, 1))
    assert ended("demo", "--cloud", str(cloud), "-f", "json") == USAGE
    output = capsys.readouterr()
    assert said in output.err
    assert output.err.count("\n") == 1
    assert not output.out
    assert not list(temporary.iterdir())


@pytest.mark.parametrize(
    ("option", "url"), [("--wire", "amqp://guest:hunter2@127.0.0.1"), ("--store", "postgresql://u:hunter2@127.0.0.1")]
)
def test_a_service_that_is_away_is_named(option: str, url: str, tmp_path: Path) -> None:
    """Host and port, what to do next, exit code 1; no password, and nothing left behind."""
    port = spare_port()
    run = demo(tmp_path, option, f"{url}:{port}/x", "-f", "json")
    assert run.returncode == 1
    assert f"127.0.0.1:{port}" in run.stderr
    assert f"name another with {option}" in run.stderr
    assert run.stderr.count("\n") == 1
    assert "hunter2" not in run.stderr
    assert not run.stdout
    assert not files(tmp_path)


def test_a_service_that_is_no_broker_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """A port that takes connections and says nothing is no broker, and does not hold the demo up for long."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert ended("demo", "--wire", f"amqp://127.0.0.1:{port}/") == 1
    assert f"127.0.0.1:{port}" in capsys.readouterr().err


def test_a_directory_in_use_is_not_kept_into(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Files of the user are neither mixed with those of a run nor removed with them."""
    write_cloud(tmp_path)
    assert ended("demo", "--keep", str(tmp_path)) == USAGE
    assert "name a new directory, or an empty one" in capsys.readouterr().err
    assert (tmp_path / "cloud.toml").exists()


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """`cellferry --version` names the program."""
    assert ended("--version") == 0
    assert capsys.readouterr().out.startswith("cellferry")
