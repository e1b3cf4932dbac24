"""Operators read dead letters of cells on two brokers, have some tried again and drop others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import anyio
import pytest

from actors.kernel.ports import Queue
from actors.wire.rabbitmq import RabbitWire
from actors.wire.topology import RabbitSettings
from protocol.bodies import encode_body
from protocol.cell_path import Address, CellPath
from protocol.codec import encode, encode_frame
from protocol.envelope import Context, Targeted
from protocol.messages.tree import ShowCell
from sim.ports import SeededRandom
from tests.actors.cli.clouds import CLOUD, write_cloud
from tests.actors.wire.inbox import Diary, Inbox
from tests.e2e.deployments import Run
from tests.own_services import OwnRabbitMQ, spare_port

pytestmark = pytest.mark.timeout(300)

PREFIX: Final = "cellferry-dead"
ROOT, EU = CellPath.parse("api"), CellPath.parse("api!eu")
WHY: Final = "api!eu may not send show_cell: no way"
PATIENCE_S: Final = 60.0


@pytest.fixture
def config(broker: OwnRabbitMQ, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write the file of a deployment, whose broker is as no test before has left it."""
    settings = f'[deployment]\nwire = "{broker.url}"\ndirectory = "data"\nprefix = "{PREFIX}"\n'
    path = write_cloud(tmp_path, f"{CLOUD}\n{settings}")
    monkeypatch.setenv("CELLFERRY_CONFIG", str(path))
    for name in broker.control("list_queues", "name").split():
        if name.startswith(PREFIX):
            broker.control("delete_queue", name)
    return path


def frame() -> bytes:
    """Make a frame with one call in it."""
    target = Address(ROOT, "cell")
    envelope = Targeted(
        id=bytes(16), method="show_cell", context=Context(request_id="r"), source=Address(EU, "cell"), route=(EU, ROOT),
        call=True, reply_to="replies:cell:0", budget_s=30.0, body=encode_body(ShowCell()), target=target,
    )  # fmt: skip
    return encode_frame([encode(envelope)])


def bury(url: str, *letters: tuple[Queue, bytes, str, str]) -> None:
    """Have frames rejected by who consumes them."""

    async def burying() -> None:
        diary = Diary()
        connecting = RabbitWire.connect(url, prefix=PREFIX, events=diary, random=SeededRandom(0))
        async with connecting as wire:
            for count, (queue, data, reason, why) in enumerate(letters, start=1):
                inbox = Inbox()
                await wire.declare(queue)
                async with wire.consume(queue, inbox, prefetch=1):
                    await wire.send(queue, data)
                    await inbox.until(1, patience_s=PATIENCE_S)
                    inbox.deliveries[0].reject(reason, why)
                    await diary.until("frame_dead_lettered", count=count, patience_s=PATIENCE_S)

    anyio.run(burying)


async def declare_small(url: str, queue: Queue) -> None:
    """Make a queue that takes one frame."""
    settings = RabbitSettings(messages_max=1)
    connecting = RabbitWire.connect(url, prefix=PREFIX, events=Diary(), random=SeededRandom(0), settings=settings)
    async with connecting as wire:
        await wire.declare(queue)


def waiting(broker: OwnRabbitMQ) -> dict[str, int]:
    """Count what waits in each queue of the deployment."""
    lines = broker.control("list_queues", "name", "messages").splitlines()
    counts = dict(line.split("\t") for line in lines if line.startswith(PREFIX))
    return {name.removeprefix(f"{PREFIX}."): int(count) for name, count in counts.items()}


@pytest.mark.usefixtures("config")
def test_dead_letters_are_listed_shown_put_back_and_dropped(broker: OwnRabbitMQ, run: Run) -> None:
    """In words for people and with all values for programs; each command touches what it was told to, and no more."""
    bury(
        broker.url,
        (Queue(ROOT, f"from:{EU}"), frame(), "forbidden", WHY),
        (Queue(EU, "cell"), b"\xc1 no frame", "malformed", ""),
        (Queue(EU, "cell"), b"\xc1 another", "malformed", "it is none"),
    )
    code, out, _ = run("dead-letters", "list", "-f", "json")
    rows = json.loads(out)
    assert code == 0
    by_reason = {(row["reason"], row["why"]): row for row in rows}
    first, none = by_reason["forbidden", WHY], by_reason["malformed", None]
    words = by_reason["malformed", "it is none"]
    assert (first["cell"], first["queue"], first["methods"]) == ("api", "from:api!eu", ["show_cell"])
    assert (none["cell"], none["queue"], none["methods"]) == ("api!eu", "cell", ["?"])
    _, out, _ = run("dead-letters", "list")
    assert out.splitlines()[0].split() == ["id", "cell", "queue", "reason", "methods", "why"]
    assert f"{first['id']}  api     from:api!eu  forbidden  show_cell  {WHY}" in out
    _, out, _ = run("dead-letters", "list", "--cell", "api!eu", "--reason", "malformed", "-f", "value", "-c", "id")
    assert sorted(out.split()) == sorted([none["id"], words["id"]])
    assert json.loads(run("dead-letters", "list", "--reason", "stale", "-f", "json")[1]) == []

    code, out, _ = run("dead-letters", "show", first["id"], "-f", "json")
    shown = json.loads(out)
    assert shown["messages"] == ["show_cell from api!eu/cell to api/cell over api!eu api, server -"]
    assert (code, shown["bytes"], shown["why"]) == (0, len(frame()), WHY)
    assert shown["messages"][0] in run("dead-letters", "show", first["id"])[1]

    assert run("dead-letters", "replay", first["id"]) == (0, "1 dead letter(s) put back\n", "")
    assert waiting(broker) == {
        "api/from:api+eu": 1, "api/.dead": 0, "api+eu/cell": 0, "api+eu/.dead": 2,
    }  # fmt: skip
    code, out, err = run("dead-letters", "drop", none["id"], "0123456789ab")
    assert (code, out) == (1, "1 dead letter(s) dropped\n")
    assert "there is no dead letter 0123456789ab; list them with: cellferry dead-letters list" in err
    assert [row["id"] for row in json.loads(run("dead-letters", "list", "-f", "json")[1])] == [words["id"]]


@pytest.mark.usefixtures("config")
def test_what_is_not_there_is_named(run: Run) -> None:
    """A cell, and an id for each command."""
    code, _, err = run("dead-letters", "list", "--cell", "api!nowhere")
    assert (code, "there is no cell api!nowhere; list them with: cellferry cell tree" in err) == (1, True)
    for command in ("show", "replay", "drop"):
        code, out, err = run("dead-letters", command, "abc")
        assert (code, out) == (1, "")
        assert err == "Error: there is no dead letter abc; list them with: cellferry dead-letters list\n"


@pytest.mark.usefixtures("config")
def test_what_has_no_room_in_its_queue_stays_a_dead_letter(broker: OwnRabbitMQ, run: Run) -> None:
    """The queue is named, and of several what was put back is told."""
    queue = Queue(ROOT, "cell")
    bury(broker.url, *((queue, b"%d" % number, "poison", "") for number in range(2)))
    broker.control("delete_queue", f"{PREFIX}.api/cell")
    anyio.run(declare_small, broker.url, queue)
    names = run("dead-letters", "list", "-f", "value", "-c", "id")[1].split()
    code, out, err = run("dead-letters", "replay", *names)
    assert (code, out) == (1, "1 dead letter(s) put back\n")
    assert "warning: cell api: the queue cell of cell api is full" in err
    assert waiting(broker) == {"api/cell": 1, "api/.dead": len(names) - 1}


def test_a_broker_that_is_away_hides_its_own_letters_only(config: Path, broker: OwnRabbitMQ, run: Run) -> None:
    """All others are listed; that some are not known is an error, and no letter is said to be nowhere for that."""
    away = f"127.0.0.1:{spare_port()}"
    text = config.read_text(encoding="utf-8").replace(
        'path = "api!eu"\n', f'path = "api!eu"\nbroker = "amqp://{away}/"\n'
    )
    config.write_text(text, encoding="utf-8")
    bury(broker.url, (Queue(ROOT, "cell"), b"bad", "malformed", "it is none"))
    code, out, err = run("dead-letters", "list", "-f", "json")
    (row,) = json.loads(out)
    assert (code, row["cell"]) == (1, "api")
    assert f"warning: cell api!eu: the broker of api!eu was lost: {away}: connection refused" in err
    assert err.endswith("Error: the dead letters of api!eu are not known\n")
    code, _, err = run("dead-letters", "show", "abc")
    assert (code, "there is no dead letter abc where it could be looked for; not known are those of api!eu" in err) == (
        1,
        True,
    )
    assert run("dead-letters", "drop", row["id"])[:2] == (0, "1 dead letter(s) dropped\n")
