"""The server for those who watch: it speaks HTTP, is bounded, and harms nobody who is watched."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import anyio
import pytest

from actors.ops import http
from actors.ops.events import MemoryEvents
from actors.ops.http import Answer, Asked, serve

pytestmark = pytest.mark.anyio

HOST: Final = "127.0.0.1"


@pytest.fixture(scope="module")
def anyio_backend(real_loop: str) -> str:
    """These tests open sockets."""
    return real_loop


def echo(asked: Asked) -> Answer:
    """Answer with what was asked for; one path cannot be answered."""
    if asked.path == "/broken":
        raise RuntimeError
    return Answer(status=200, body=f"{asked.path}?{asked.query}".encode())


@asynccontextmanager
async def served(events: MemoryEvents) -> AsyncIterator[int]:
    async with anyio.create_task_group() as tasks:
        yield await tasks.start(serve, HOST, 0, echo, events)
        tasks.cancel_scope.cancel()


async def talk(port: int, sent: bytes) -> bytes:
    """Send something, and read until the other end closes."""
    async with await anyio.connect_tcp(HOST, port) as stream:
        await stream.send(sent)
        return await rest(stream)


async def rest(stream: anyio.abc.ByteReceiveStream) -> bytes:
    heard = b""
    try:
        while True:
            heard += await stream.receive()
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        return heard


#: What is sent, and what the answer begins and ends with.
DIALOGUES: Final = {
    "a page": (b"GET /livez?x=1 HTTP/1.1\r\nHost: h\r\n\r\n", b"HTTP/1.1 200 ", b"/livez?x=1"),
    "its head alone": (b"HEAD /livez HTTP/1.1\r\nHost: h\r\n\r\n", b"HTTP/1.1 200 ", b"\r\n\r\n"),
    "an old client": (b"GET /livez HTTP/1.0\r\n\r\n", b"HTTP/1.1 200 ", b"/livez?"),
    "another method": (
        b"POST /livez HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 405 ",
        b"only GET\n",
    ),
    "what cannot be answered": (b"GET /broken HTTP/1.1\r\nHost: h\r\n\r\n", b"HTTP/1.1 500 ", b"RuntimeError\n"),
    "no HTTP": (b"\x00\x01\x02\r\n\r\n", b"HTTP/1.1 400 ", b"no HTTP request\n"),
    "too long": (b"GET /" + b"x" * 2 * http.HEADERS_BYTES_MAX, b"HTTP/1.1 431 ", b"no HTTP request\n"),
}


@pytest.mark.parametrize(("sent", "begins", "ends"), DIALOGUES.values(), ids=DIALOGUES)
async def test_whatever_is_sent_has_its_answer(sent: bytes, begins: bytes, ends: bytes) -> None:
    """And the connection ends with it."""
    async with served(MemoryEvents()) as port:
        heard = await talk(port, sent)
        assert (heard[: len(begins)], heard[-len(ends) :]) == (begins, ends)


async def test_who_says_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection lasts so long and no longer, whatever its other end does."""
    monkeypatch.setattr(http, "CONNECTION_S", 0.01)
    async with served(MemoryEvents()) as port, await anyio.connect_tcp(HOST, port) as idle:
        await idle.send(b"GET /livez HT")
        assert await rest(idle) == b""


async def test_more_connections_than_there_is_room_for_are_closed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are there go on, and when one is over there is room again."""
    monkeypatch.setattr(http, "CONNECTIONS_MAX", 1)
    asking = b"GET /livez HTTP/1.1\r\nHost: h\r\n\r\n"
    async with served(MemoryEvents()) as port:
        async with await anyio.connect_tcp(HOST, port) as first:
            await first.send(asking[:10])
            async with await anyio.connect_tcp(HOST, port) as second:
                assert await rest(second) == b""
            await first.send(asking[10:])
            assert (await rest(first)).endswith(b"/livez?")
        assert (await talk(port, asking)).endswith(b"/livez?")


async def test_a_port_that_is_taken_is_told_and_nobodys_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process goes on without, and listens when the port is free."""
    monkeypatch.setattr(http, "PAUSE_S", 0.0)
    first, second = MemoryEvents(), MemoryEvents()
    async with anyio.create_task_group() as tasks:
        async with served(first) as port:
            assert await tasks.start(serve, HOST, port, echo, second) == 0
            assert second.counts["http_failed"] == 1
        while not second.counts["http_listening"]:
            await anyio.lowlevel.checkpoint()
        assert (await talk(port, b"GET /x HTTP/1.0\r\n\r\n")).endswith(b"/x?")
        tasks.cancel_scope.cancel()
