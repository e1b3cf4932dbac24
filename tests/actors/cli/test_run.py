"""What `cellferry run` refuses, before anything starts; that it runs is shown over a real broker in tests/e2e."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from actors.cli.configuring import deployment_of
from actors.cli.failures import RunsAlready
from actors.cli.holding import held
from actors.cli.main import main
from tests.actors.cli.clouds import CLOUD, write_cloud
from tests.own_services import spare_port

DEPLOYMENT: Final = '\n[deployment]\nwire = "amqp://guest:hunter2@127.0.0.1:1/"\ndirectory = "data"\n'


def ended(*arguments: str) -> int:
    """Run a command line to its end and give the exit code."""
    with pytest.raises(SystemExit) as end:
        main(list(arguments))
    assert isinstance(end.value.code, int)
    return end.value.code


#: What is asked for, and what must be said of it.
REFUSED: Final = {
    "no such role": (["captain"], "'captain' is not one of 'all', 'cell', 'host'"),
    "no such cell": (["cell", "--cell", "api!asia"], "there is no cell api!asia; the file has api, api!eu, "),
    "no cell's name": (["cell", "--cell", "API"], "'API' is not a cell name"),
    "which cell": (["cell"], "name one; the file has api, api!eu, "),
    "no such host": (["host", "--host", "h9"], "there is no host h9; the file has h1, h2, h3"),
    "which host": (["host"], "name one; the file has h1, h2, h3"),
    "a host that does not go there": (["all", "--host", "h1"], "it goes with the role host"),
    "what only the root has": (["conductor", "--cell", "api!eu"], "conductor is the root's; leave it out"),
}


@pytest.mark.parametrize(("options", "said"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_run_is_refused(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, and a message that names what there is; nothing is made."""
    config = write_cloud(tmp_path, CLOUD + DEPLOYMENT)
    assert ended("run", *options, "--config", str(config)) == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [config]


def test_without_a_file_the_next_step_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both ways to name the file are named."""
    monkeypatch.delenv("CELLFERRY_CONFIG", raising=False)
    assert ended("run", "all") == 2
    assert "--config FILE, or the variable CELLFERRY_CONFIG" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (CLOUD, "deployment: it is missing; add [deployment] with wire"),
        (CLOUD.replace('"process"', '"memory"') + DEPLOYMENT, "driver: guests in memory do not survive a restart"),
        (CLOUD + DEPLOYMENT.replace("amqp", "http"), "deployment.wire: it must be a URL like amqp://"),
        (CLOUD + DEPLOYMENT + 'prefix = "a.b"', "deployment.prefix: 'a.b' begins no name"),
    ],
)
def test_a_file_that_describes_no_deployment_is_refused(
    text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file may be named by the variable; what is missing or wrong in it is named with its path, without secrets."""
    monkeypatch.setenv("CELLFERRY_CONFIG", str(write_cloud(tmp_path, text)))
    assert ended("run", "all") == 2
    complained = capsys.readouterr().err
    assert said in complained
    assert "hunter2" not in complained


def test_a_broker_that_is_away_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Host, port, and where in the file another one can be named."""
    port = spare_port()
    config = write_cloud(tmp_path, CLOUD + DEPLOYMENT.replace(":1/", f":{port}/"))
    assert ended("server", "list", "--config", str(config)) == 1
    complained = capsys.readouterr().err
    assert f"127.0.0.1:{port}" in complained
    assert f"or name another under [deployment] in {config}" in complained


def test_a_role_runs_once(tmp_path: Path) -> None:
    """Who starts a role that runs already hears which process has it; afterwards it is free."""
    deployment = deployment_of(write_cloud(tmp_path, CLOUD + DEPLOYMENT))
    first, second, *_ = deployment.tasks()
    with held(deployment, (first,)):
        with pytest.raises(RunsAlready, match=r"api/cell runs already in .*process \d+"), held(deployment, (first,)):
            pass
        with held(deployment, (second,)):
            pass
    with held(deployment, (first, second)):
        pass
