"""A small server of HTTP for those who watch a process: few connections, short ones, and only what is to be read.

h11 reads and writes the protocol; the rest is bounded here: how many connections there are, how long each may last, how
long a request may be.  A whole web server would bring signal handlers, a log of its own and idle connections without a
time limit into a process whose work is another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio
import attrs
import h11
from anyio.abc import SocketAttribute

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.abc import SocketStream, TaskStatus

    from actors.kernel.ports import Events

CONNECTIONS_MAX: Final = 16
#: How long a connection may last, whatever its other end does.
CONNECTION_S: Final = 10.0
HEADERS_BYTES_MAX: Final = 16 * 1024
RECEIVE_BYTES: Final = 16 * 1024
#: How long until it is tried again to listen where that failed.
PAUSE_S: Final = 5.0
OK: Final = 200
BAD_REQUEST: Final = 400
NOT_FOUND: Final = 404
NOT_ALLOWED: Final = 405
FAILED: Final = 500
UNAVAILABLE: Final = 503
TEXT: Final = "text/plain; charset=utf-8"


@attrs.frozen(kw_only=True)
class Asked:
    """What was asked for: the path, and what stands behind its question mark."""

    path: str
    query: str
    accept: str


@attrs.frozen(kw_only=True)
class Answer:
    """What is answered."""

    status: int
    body: bytes
    kind: str = TEXT


async def serve(
    bind: str, port: int, answer: Callable[[Asked], Answer], events: Events, *,
    task_status: TaskStatus[int] = anyio.TASK_STATUS_IGNORED,
) -> None:  # fmt: skip
    """Answer for ever, and say on which port; one that is taken is tried again, and is nobody's end."""
    room = anyio.Semaphore(CONNECTIONS_MAX)

    async def handle(stream: SocketStream) -> None:
        async with stream:
            if not _enter(room):
                return
            try:
                with anyio.move_on_after(CONNECTION_S):
                    await _converse(stream, answer)
            except Exception as error:  # noqa: BLE001 - this edge: who watches must not harm what is watched
                events.emit("http_request_failed", error=repr(error))
            finally:
                room.release()

    while True:
        try:
            async with await anyio.create_tcp_listener(local_host=bind, local_port=port) as listener:
                bound = listener.extra(SocketAttribute.local_port)  # noqa: S610 - anyio's, no query of Django's
                events.emit("http_listening", address=f"{bind}:{bound}")
                task_status.started(bound)
                task_status = anyio.TASK_STATUS_IGNORED
                await listener.serve(handle)
        except OSError as error:
            events.emit("http_failed", address=f"{bind}:{port}", error=str(error))
        task_status.started(0)
        task_status = anyio.TASK_STATUS_IGNORED
        await anyio.sleep(PAUSE_S)


def _enter(room: anyio.Semaphore) -> bool:
    try:
        room.acquire_nowait()
    except anyio.WouldBlock:
        return False
    return True


async def _converse(stream: SocketStream, answer: Callable[[Asked], Answer]) -> None:
    """Read one request, answer it, and be done: whoever scrapes once in fifteen seconds needs no more."""
    speech = h11.Connection(h11.SERVER, max_incomplete_event_size=HEADERS_BYTES_MAX)
    try:
        asked = await _request(stream, speech)
    except h11.RemoteProtocolError as error:
        found, is_head = Answer(status=error.error_status_hint, body=b"no HTTP request\n"), False
    else:
        if asked is None:
            return
        found, is_head = _answered(asked, answer), asked.method == b"HEAD"
    headers = [("Content-Type", found.kind), ("Content-Length", str(len(found.body))), ("Connection", "close")]
    sent = speech.send(h11.Response(status_code=found.status, headers=headers)) or b""
    await stream.send(sent + (b"" if is_head else found.body))


async def _request(stream: SocketStream, speech: h11.Connection) -> h11.Request | None:
    while True:
        event = speech.next_event()
        if isinstance(event, h11.Request):
            return event
        if event is not h11.NEED_DATA:
            return None
        try:
            speech.receive_data(await stream.receive(RECEIVE_BYTES))
        except anyio.EndOfStream:
            return None


def _answered(request: h11.Request, answer: Callable[[Asked], Answer]) -> Answer:
    if request.method not in {b"GET", b"HEAD"}:
        return Answer(status=NOT_ALLOWED, body=b"only GET\n")
    path, _, query = request.target.decode("latin-1").partition("?")
    accept = b",".join(value for name, value in request.headers if name == b"accept").decode("latin-1")
    try:
        return answer(Asked(path=path, query=query, accept=accept))
    except Exception as error:  # noqa: BLE001 - this edge: who watches must not harm what is watched
        return Answer(status=FAILED, body=f"{type(error).__name__}\n".encode())
