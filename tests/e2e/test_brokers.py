"""Operators give a broker what a tree needs, by its own tool or by a file, and look at what it has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pytest

from tests.actors.cli.clouds import CLOUD, write_cloud
from tests.e2e.deployments import Run
from tests.own_services import OwnRabbitMQ
from tests.services import own_rabbitmq

pytestmark = pytest.mark.timeout(600)

PREFIX: Final = "cellferry-brokers"


def write(
    directory: Path, url: str, *, of_eu: str = "", secrets: str = 'secrets = "secrets"', prefix: str = PREFIX
) -> str:
    """Write the file of a deployment; whatever a test leaves in the broker has a prefix of its own."""
    settings = f'[deployment]\nwire = "{url}"\ndirectory = "data"\nprefix = "{prefix}"\n{secrets}\n'
    text = CLOUD.replace('path = "api!eu"\n', f'path = "api!eu"\n{of_eu}\n')
    return str(write_cloud(directory, f"{text}\n{settings}"))


@pytest.fixture
def beside(broker: OwnRabbitMQ, monkeypatch: pytest.MonkeyPatch) -> OwnRabbitMQ:
    """Be on the broker's machine: its tool is on the path, and knows the broker."""
    monkeypatch.setenv("PATH", str(broker.programs), prepend=":")
    for name, value in broker.environment.items():
        monkeypatch.setenv(name, value)
    return broker


def states(run: Run, *options: str) -> set[str]:
    """Give the states of all that a broker needs."""
    code, out, err = run("broker", "plan", "-f", "json", *options)
    assert (code, err) == (0, "")
    return {row["state"] for row in json.loads(out)}


def test_a_broker_is_given_what_it_needs_and_keeps_it(beside: OwnRabbitMQ, tmp_path: Path, run: Run) -> None:
    """First all is missing, then it is there; given once more nothing changes; what is changed or too much is seen."""
    options = ("--config", write(tmp_path, beside.url), "--node", beside.node)
    code, out, _ = run("broker", "plan", *options)
    head, *lines = (line.split() for line in out.splitlines())
    assert (code, head) == (0, ["broker", "vhost", "kind", "name", "state"])
    assert {line[-1] for line in lines} == {"missing", "there"}  # The virtual host is.
    where = beside.url.partition("@")[2].rstrip("/")
    assert run("broker", "apply", *options) == (0, f"{where} has what 4 cell(s) need\n", "")
    secrets = tmp_path / "secrets" / "api+eu.toml"
    assert secrets.stat().st_mode & 0o077 == 0
    assert states(run, *options) == {"there"}
    known, hashes = secrets.read_bytes(), users(beside)
    assert run("broker", "apply", *options)[0] == 0
    assert (secrets.read_bytes(), users(beside)) == (known, hashes)
    beside.control("set_permissions", f"{PREFIX}.api+eu/cell", ".*", ".*", ".*")
    beside.control("add_user", f"{PREFIX}.stranger", "secret")
    assert states(run, *options) == {"differs", "superfluous", "there"}
    assert "superfluous" in run("broker", "plan", *options)[1]
    assert run("broker", "apply", *options)[0] == 0
    assert states(run, *options) == {"superfluous", "there"}


def users(broker: OwnRabbitMQ) -> dict[str, str]:
    """Give the hashes of all passwords."""
    return {
        user["name"]: user["password_hash"] for user in json.loads(broker.control("export_definitions", "-"))["users"]
    }


def test_a_file_is_written_for_a_broker_elsewhere(broker: OwnRabbitMQ, tmp_path: Path, run: Run) -> None:
    """It can be imported there, and what was exported there is compared; nothing but the file is touched here."""
    config = write(tmp_path, broker.url.replace("guest:guest", "other:other"), prefix=f"{PREFIX}-file")
    to, found = tmp_path / "needed.json", tmp_path / "found.json"
    code, out, _ = run("broker", "apply", "--config", config, "--to", str(to))
    assert (code, "import it there with: rabbitmqctl import_definitions needed.json" in out) == (0, True)
    assert to.stat().st_mode & 0o077 == 0
    to.chmod(0o644)
    broker.control("import_definitions", str(to))
    found.write_text(broker.control("export_definitions", "-"), encoding="utf-8")
    assert "missing" not in states(run, "--config", config, "--found", str(found))
    assert "there" in states(run, "--config", config, "--found", str(found))
    for nonsense in ("[]", "{", '{"users": 1}'):
        found.write_text(nonsense, encoding="utf-8")
        code, _, err = run("broker", "plan", "--config", config, "--found", str(found))
        assert (code, "has no definitions" in err) == (1, True)
    code, _, err = run("broker", "plan", "--config", config, "--found", str(tmp_path / "nothing"))
    assert (code, "does not exist" in err) == (2, True)


def test_what_cannot_be_done_is_said(
    broker: OwnRabbitMQ, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is no tool, where it reaches nobody, for a cell that is none, and where passwords have no place."""
    config = write(tmp_path, broker.url)
    code, _, err = run("broker", "plan", "--config", config, "--cell", "api!nowhere")
    assert (code, "there is no cell api!nowhere" in err) == (1, True)
    monkeypatch.setenv("PATH", str(tmp_path))
    code, _, err = run("broker", "apply", "--config", config)
    assert (code, "rabbitmqctl is not here; run this beside the broker, or give --api URL, or write a file" in err) == (
        1,
        True,
    )
    code, out, err = run("broker", "plan", "--config", config, "-f", "json")
    assert (code, {row["state"] for row in json.loads(out)}) == (0, {"unknown"})
    assert "warning: what is there is not known: rabbitmqctl is not here" in err
    monkeypatch.undo()
    monkeypatch.setenv("PATH", str(broker.programs), prepend=":")
    for name, value in broker.environment.items():
        monkeypatch.setenv(name, value)
    code, _, err = run("broker", "apply", "--config", config, "--node", "nobody@localhost")
    assert (code, "rabbitmqctl export_definitions failed: " in err) == (1, True)
    code, _, err = run("broker", "plan", "--config", write(tmp_path, broker.url, secrets=""))
    assert (code, 'say where the passwords are to be: secrets = "secrets"' in err) == (2, True)


def test_of_several_brokers_one_is_looked_at_and_given_things_at_a_time(
    beside: OwnRabbitMQ, tmp_path: Path, run: Run
) -> None:
    """For the tool speaks to one: what that has says nothing of the others."""
    config = write(tmp_path, beside.url, of_eu='broker = "amqp://elsewhere.example/"')
    options = ("--config", config, "--node", beside.node)
    code, out, err = run("broker", "plan", *options, "-f", "json")
    assert (code, {row["state"] for row in json.loads(out)}) == (0, {"unknown"})
    assert {row["broker"] for row in json.loads(out)} == {"elsewhere.example:5672", beside.url.partition("@")[2][:-1]}
    assert "look at one at a time, with --cell: " in err
    code, _, err = run("broker", "apply", *options)
    assert (code, "apply to one at a time, beside it, with --cell: " in err) == (1, True)
    assert "unknown" not in states(run, *options, "--cell", "api")


def test_a_broker_is_given_what_it_needs_by_its_management_plug_in(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by its own tool, from any machine; who is refused and who reaches nobody is told so, without the password."""
    with own_rabbitmq(is_managed=True) as managed:
        config, place = write(tmp_path, managed.url), f"127.0.0.1:{managed.management_port}"
        monkeypatch.setenv("CELLFERRY_BROKER_API", f"http://guest:guest@{place}")
        assert states(run, "--config", config) == {"missing", "there"}
        assert run("broker", "apply", "--config", config)[:1] == (0,)
        assert states(run, "--config", config) == {"there"}
        managed.control("set_permissions", f"{PREFIX}.api+eu/cell", ".*", ".*", ".*")
        assert states(run, "--config", config) == {"differs", "there"}
        exported = tmp_path / "exported.json"
        exported.write_text(managed.control("export_definitions", "-"), encoding="utf-8")
        assert states(run, "--config", config, "--found", str(exported)) == {"differs", "there"}
        code, _, err = run("broker", "apply", "--config", config, "--api", f"http://guest:secret@{place}/")
        assert (code, f"the management API at {place} refuses GET /api/definitions: 401 " in err) == (1, True)
        assert "secret" not in err
    code, _, err = run("broker", "apply", "--config", config)
    assert (code, f"the management API at {place} cannot be used: " in err) == (1, True)
    assert "guest" not in err
    code, _, err = run("broker", "apply", "--config", config, "--api", place)
    assert (code, "it must be a URL like http://USER:PASSWORD@HOST:15672" in err) == (2, True)
