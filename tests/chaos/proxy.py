"""A way to a broker that can be cut in one direction: what is sent then waits on the way, as in a bad network."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import anyio

from tests.own_services import spare_port

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from anyio.abc import ByteReceiveStream, ByteSendStream, SocketStream

CHUNK_BYTES: Final = 65_536
LOCAL: Final = "127.0.0.1"


class Proxy:
    """Passes bytes on between those who connect and a broker."""

    def __init__(self, url: str) -> None:
        self._to = urlsplit(url)
        self._open = anyio.Event()
        self._open.set()
        self.url = ""

    def cut(self) -> None:
        """From now on nothing gets to the broker; what it says is still heard."""
        self._open = anyio.Event()

    def heal(self) -> None:
        """Let everything through again, and what waited first."""
        self._open.set()

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator[None]:
        """Take connections on a port of its own, which `url` names, while the context is open."""
        port = spare_port()
        listener = await anyio.create_tcp_listener(local_host=LOCAL, local_port=port)
        who, _, _ = self._to.netloc.rpartition("@")
        self.url = self._to._replace(netloc=f"{who}@{LOCAL}:{port}").geturl()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, self._serve)
            yield
            tasks.cancel_scope.cancel()

    async def _serve(self, client: SocketStream) -> None:
        assert self._to.hostname is not None
        assert self._to.port is not None
        async with client:
            try:
                broker = await anyio.connect_tcp(self._to.hostname, self._to.port)
            except OSError:
                return  # It is away; so is the way to it.
            async with broker, anyio.create_task_group() as tasks:
                tasks.start_soon(self._pass_on, client, broker, tasks.cancel_scope, True)
                await self._pass_on(broker, client, tasks.cancel_scope, False)

    async def _pass_on(
        self, source: ByteReceiveStream, target: ByteSendStream, scope: anyio.CancelScope, is_cuttable: bool
    ) -> None:
        try:
            while True:
                chunk = await source.receive(CHUNK_BYTES)
                if is_cuttable:
                    await self._open.wait()
                await target.send(chunk)
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            scope.cancel()
