"""What a dead host parks is shown with what it waits for, tried again by hand, and done when the host is back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.actors.cli.clouds import write_cloud
from tests.e2e.deployments import answering, cellferry, deployed, shown_until
from tests.own_services import OwnRabbitMQ
from tests.services import own_rabbitmq

pytestmark = pytest.mark.timeout(900)

#: A host that is run by itself, so that it can be down while all others are up.
CLOUD: Final = """
driver = "process"

[[cells]]
path = "api"
[[cells]]
path = "api!eu"

[[hosts]]
name = "h1"
cell = "api!eu"
vcpus = 8
memory_mb = 8192
disk_gb = 100
[[hosts]]
name = "h2"
cell = "api"
vcpus = 8
memory_mb = 4096
disk_gb = 100

[[flavors]]
name = "tiny"
vcpus = 1
memory_mb = 512
disk_gb = 1

[[images]]
name = "cirros"
size_bytes = 4096

[deployment]
wire = "{wire}"
directory = "{directory}"
prefix = "cellferry-retry"
"""


@pytest.fixture(scope="module")
def broker() -> Iterator[OwnRabbitMQ]:
    """Start a broker of the tests' own."""
    with own_rabbitmq() as service:
        yield service


def test_what_waits_for_a_dead_host_is_shown_and_tried_again(
    tmp_path: Path, broker: OwnRabbitMQ, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In vain as long as the host is down; then done; and every other id is refused in words."""
    config = write_cloud(tmp_path, CLOUD.format(wire=broker.url, directory=tmp_path / "data"))
    monkeypatch.setenv("CELLFERRY_CONFIG", str(config))
    places = {name: tmp_path / name for name in ("root", "cell", "host")}
    for place in places.values():
        place.mkdir()

    answered = answering(tmp_path)

    def retried(which: str) -> tuple[int, str]:
        run = cellferry(tmp_path, "migration", "retry", which)
        return run.returncode, run.stdout + run.stderr

    host = ("--host", "h1")
    with (
        deployed(places["root"], config, "--cell", "api"),
        deployed(places["cell"], config, "--cell", "api!eu", role="cell"),
    ):
        with deployed(places["host"], config, *host, role="host"):
            (tmp_path / "disk").write_bytes(bytes(4096))
            assert cellferry(tmp_path, "image", "add", "disk", "--name", "cirros").returncode == 0
            wanted = ("--flavor", "tiny", "--image", "cirros", *host)
            made = answered("server", "create", "web", *wanted, "--wait")
            code, said = retried("web")
            assert (code, "is over: it waits for nothing" in said) == (1, True), said
        code, said = retried("nothing")
        assert code == 1
        assert "there is no move or other conversation nothing, nor a server of that name or id" in said
        deleted = answered("server", "delete", "web")["conversation"]
        code, said = retried(deleted)
        assert (code, "is under way: it waits for nothing" in said) == (1, True), said
        shown = shown_until(answered, deleted, state="parked")
        assert (shown["kind"], shown["server"]) == ("delete", made["id"])
        assert "api!eu/host:h1" in shown["waits_for"]
        code, said = retried(deleted[:8])
        assert code == 0, said
        assert re.search("still waits for: .*host:h1|is at it, without an answer yet", said), said
        with deployed(places["host"], config, *host, role="host"):
            retried("web")
            watched = cellferry(tmp_path, "migration", "watch", deleted)
            assert watched.stdout.splitlines()[-1] == "done", watched.stderr
            assert answered("server", "list") == []
