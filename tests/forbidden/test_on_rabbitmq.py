"""The same acts against a real broker, with the users and rights that `cellferry broker apply` gives them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import Final, TypeAlias

import aio_pika
import anyio
import anyio.to_thread
import pytest
from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import AMQPException

from actors.accounts import Wires
from actors.cell.gate import Guard
from actors.cell.router import Neighbours, Router
from actors.cli.brokers import findings_of, servers, written
from actors.deployment import Deployment
from actors.kernel.ports import Queue
from actors.kernel.post import Post
from actors.ops.settings import parse_cloud
from actors.ops.system import SystemIds, SystemRandom
from actors.wire.identities import OPERATOR, link_user
from actors.wire.rabbitmq import RabbitWire
from protocol.cell_path import Address
from tests.actors.wire.inbox import Diary
from tests.forbidden.acts import ACTS, ASKED, BROKER, EU, RATE, ROOT, US
from tests.own_services import OwnRabbitMQ
from tests.services import own_rabbitmq

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

PREFIX: Final = "taken"
CLOUD: Final = """
[[cells]]
path = "api"
broker = "{url}of.api"
[[cells]]
path = "api!eu"
broker = "{url}of.eu"
[[cells]]
path = "api!us"
broker = "{url}of.us"
[[hosts]]
name = "h1"
cell = "api!eu"
vcpus = 1
memory_mb = 1
disk_gb = 1
[[hosts]]
name = "h2"
cell = "api!us"
vcpus = 1
memory_mb = 1
disk_gb = 1
[[flavors]]
name = "tiny"
vcpus = 1
memory_mb = 1
disk_gb = 1
"""
PATIENCE_S: Final = 20.0
OnChannel: TypeAlias = Callable[[AbstractChannel], Awaitable[object]]


@pytest.fixture
def anyio_backend(real_loop: str) -> str:
    """These tests open sockets."""
    return real_loop


@pytest.fixture(scope="module")
def broker() -> Iterator[OwnRabbitMQ]:
    """Give a broker of our own."""
    with own_rabbitmq() as own:
        yield own


@pytest.fixture
def deployment(broker: OwnRabbitMQ, tmp_path: Path) -> Deployment:
    """Give a deployment whose brokers have what they need: virtual hosts of one server."""
    cloud = parse_cloud(CLOUD.format(url=broker.url).encode())
    made = Deployment(cloud=cloud, wire=broker.url, directory=tmp_path, prefix=PREFIX, secrets=tmp_path / "secrets")
    (server,) = servers(made, "")
    path = tmp_path / "definitions.json"
    for _again in range(2):  # To give it all once more changes nothing.
        path.write_text(json.dumps(written(made, server, json.loads(broker.control("export_definitions", "-")))))
        path.chmod(0o644)
        broker.control("import_definitions", str(path))
    found = findings_of(made, server, json.loads(broker.control("export_definitions", "-")))
    assert {each.state for each in found} == {"there"}
    return made


class AmqpVillain:
    """Who has the secrets of `api!eu`, and speaks AMQP himself."""

    def __init__(self, deployment: Deployment) -> None:
        self.replies = "replies:cell:0"
        self._deployment = deployment
        accounts = deployment.accounts
        self._topology = accounts.topology
        self._url = accounts.access(EU, "cell")[ROOT].url
        self._user = link_user(self._topology, EU, ROOT)
        self._way = self._topology.name(Queue(ROOT, f"from:{EU}"))

    async def send(self, frame: bytes) -> None:
        """Send as the link does."""
        await self._publish(self._way, "", frame, self._user)

    async def send_nameless(self, frame: bytes) -> None:
        """The broker asks for no name."""
        await self._publish(self._way, "", frame, None)

    async def send_as_other(self, frame: bytes) -> None:
        """The broker knows by whom the connection was opened."""
        await self._denied(self._publish(self._way, "", frame, link_user(self._topology, US, ROOT)))

    async def write(self, queue: Queue, frame: bytes) -> None:
        """By the default exchange, by the exchange of the cell's own actors, and by the sibling's."""
        name = self._topology.name(queue)
        for exchange, key in (("", name), (f"{PREFIX}.{ROOT}/.local", queue.name), (name, "")):
            await self._denied(self._publish(exchange, key, frame, self._user))

    async def read(self, queue: Queue) -> None:
        """By a consumer, and one by one."""
        name = self._topology.name(queue)

        async def nothing(_message: object) -> None:
            pytest.fail("it got a frame")

        async def consume(channel: AbstractChannel) -> None:
            source = await channel.get_queue(name, ensure=False)
            await source.consume(nothing, timeout=PATIENCE_S)

        async def get(channel: AbstractChannel) -> None:
            await (await channel.get_queue(name, ensure=False)).get(fail=False, timeout=PATIENCE_S)

        await self._denied(self._on_channel(consume))
        await self._denied(self._on_channel(get))

    async def declare(self, queue: Queue) -> None:
        """Durable, named by the broker, and an exchange; and a binding to what it may write to."""
        name = self._topology.name(queue)

        async def bind(channel: AbstractChannel) -> None:
            source = await channel.get_queue(self._way, ensure=False)
            await source.bind(f"{PREFIX}.{ROOT}/.local", "cell")

        await self._denied(self._on_channel(lambda channel: channel.declare_queue(name, durable=True)))
        await self._denied(self._on_channel(lambda channel: channel.declare_queue(exclusive=True)))
        await self._denied(self._on_channel(lambda channel: channel.declare_exchange(name)))
        await self._denied(self._on_channel(bind))

    async def delete(self, queue: Queue) -> None:
        """The whole queue, what is in it, and the queue that it may write to."""
        for name in (self._topology.name(queue), self._way):
            await self._denied(self._on_channel(lambda channel, name=name: channel.queue_delete(name)))  # type: ignore[misc]  # a lambda with a default

    async def _publish(self, exchange: str, key: str, frame: bytes, user: str | None) -> None:
        async def publish(channel: AbstractChannel) -> None:
            way = await channel.get_exchange(exchange, ensure=False)
            await way.publish(aio_pika.Message(frame, user_id=user), key, mandatory=True, timeout=PATIENCE_S)

        await self._on_channel(publish)

    async def _on_channel(self, work: OnChannel) -> None:
        async with await aio_pika.connect(self._url) as connection:
            await work(await connection.channel(on_return_raises=True))

    @staticmethod
    async def _denied(trying: Awaitable[None]) -> None:
        with pytest.raises(AMQPException, match=r"ACCESS_REFUSED|PRECONDITION_FAILED"):
            await trying


@pytest.mark.proves("R141")
async def test_each_forbidden_act_is_refused_with_its_own_reason(deployment: Deployment) -> None:
    """By the broker's own rights, or by the link as one dead letter; nothing comes to any actor."""
    accounts, events = deployment.accounts, Diary()
    async with AsyncExitStack() as stack:
        wire = await Wires(accounts, stack, events).of(ROOT, "cell")
        post = Post(me=Address(ROOT, "cell"), replies="replies:cell:0", wire=wire, ids=SystemIds(), events=events)
        guard = Guard(users=lambda via: accounts.senders(ROOT, via), per_s_max=RATE, refuses_doubles=True)
        router = Router(
            here=ROOT, neighbours=Neighbours(parent=None, children=(EU, US)), slot="0", wire=wire, ids=SystemIds(),
            events=events, guard=guard,
        )  # fmt: skip
        tasks = await stack.enter_async_context(anyio.create_task_group())
        await stack.enter_async_context(post.open())
        await tasks.start(router.run)
        operator = await stack.enter_async_context(operating(deployment))
        post.calls.open(ASKED, until_s=1e12, asked=Address(US, "cell"))
        villain, by_link = AmqpVillain(deployment), [act for act in ACTS if act.reason != BROKER]
        for act in ACTS:
            await act.act(villain)
            if act in by_link:
                await events.until("frame_dead_lettered", count=by_link.index(act) + 1, patience_s=PATIENCE_S)
        letters = await operator.dead_letters(ROOT)
        assert [letter.reason for letter in letters] == [act.reason for act in by_link]
        assert [act.name for act, letter in zip(by_link, letters, strict=True) if act.why not in letter.why] == []
        assert post.calls.asked(ASKED) is not None, "it was answered"
        tasks.cancel_scope.cancel()


def operating(deployment: Deployment) -> AbstractAsyncContextManager[RabbitWire]:
    """Open the wire of the root's operator."""
    access = deployment.accounts.access(ROOT, OPERATOR)
    return RabbitWire.connect(access, prefix=PREFIX, events=Diary(), random=SystemRandom())
