"""What a child cell may try that has been taken over: by what its credentials allow, and by what they do not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any, Final, Protocol

import attrs
import msgpack

from actors.kernel.ports import Queue
from protocol.bodies import encode_body
from protocol.cell_path import Address, CellPath
from protocol.codec import encode, encode_frame
from protocol.envelope import SCHEMA, Broadcast, Context, Direction, Envelope, Key, Response, Targeted, answer
from protocol.messages.capacity import AddHost
from protocol.messages.fencing import PayOwed
from protocol.messages.mirror import UpdateMirror
from protocol.messages.root import RegisterHost
from protocol.records import Mirror, OwedAct
from protocol.requests import Request
from protocol.states import Owed, PowerState, VmState

ROOT, EU, US = (CellPath.parse(text) for text in ("api", "api!eu", "api!us"))
CELL, UP = Address(EU, "cell"), Address(ROOT, "cell")
#: So many envelopes a neighbour may send each second where these acts are tried.
RATE: Final = 20
#: What the asker of the root waits for, and of whom.
ASKED: Final = b"asked of api!us."
#: What the broker itself says no to.
BROKER: Final = "broker"


_NUMBERS: Final = count(2**100)


class Denied(Exception):
    """The broker has said no."""


class Villain(Protocol):
    """One who has all the secrets of the cell `api!eu`."""

    #: Where the root's asker waits for answers.
    replies: str

    async def send(self, frame: bytes) -> None:
        """Put a frame into the one queue that the root keeps for `api!eu`, as its link does."""
        ...

    async def send_nameless(self, frame: bytes) -> None:
        """Put it there without a name of its own."""
        ...

    async def send_as_other(self, frame: bytes) -> None:
        """Put it there under another's name; raise `Denied`."""
        ...

    async def write(self, queue: Queue, frame: bytes) -> None:
        """Put a frame into another queue; raise `Denied`."""
        ...

    async def read(self, queue: Queue) -> None:
        """Take from a queue; raise `Denied`."""
        ...

    async def declare(self, queue: Queue) -> None:
        """Make a queue; raise `Denied`."""
        ...

    async def delete(self, queue: Queue) -> None:
        """Take a queue away; raise `Denied`."""
        ...


@attrs.frozen(kw_only=True)
class Act:
    """Something forbidden: what it is, who refuses it with which reason, and in which words."""

    name: str
    text: str
    reason: str
    why: str
    act: Callable[[Villain], Awaitable[None]]


ACTS: Final[list[Act]] = []


def forbidden(name: str, reason: str, why: str) -> Callable[[Callable[[Villain], Awaitable[None]]], Act]:
    """Enter an act; its docstring says what it is."""

    def enter(act: Callable[[Villain], Awaitable[None]]) -> Act:
        ACTS.append(Act(name=name, text=act.__doc__ or "", reason=reason, why=why, act=act))
        return ACTS[-1]

    return enter


def news(request: Request[Any], **fields: Any) -> Targeted:
    """Make news of `api!eu` for the root; fields as they should not be."""
    made = Targeted(
        id=next(_NUMBERS).to_bytes(16), method=type(request).METHOD.name, context=Context(request_id=""), source=CELL,
        route=(EU,), budget_s=10.0, body=encode_body(request), target=UP,
    )  # fmt: skip
    return attrs.evolve(made, **fields)


def mirror(cell: CellPath) -> UpdateMirror:
    """Say how a cell has a server."""
    return UpdateMirror(
        mirror=Mirror(
            server="s", cell=str(cell), generation=9, version=9, name="n", vm_state=VmState.DELETED, task_state=None,
            power_state=PowerState.SHUTDOWN, host="h1", flavor="f",
        )
    )  # fmt: skip


GOOD: Final = RegisterHost(host="h1", cell=EU)


def frame(*envelopes: Envelope) -> bytes:
    """Put envelopes into a frame."""
    return encode_frame([encode(envelope) for envelope in envelopes])


def reply(villain: Villain, source: Address) -> Response:
    """Make an answer to what the root has asked `api!us`."""
    asked = Targeted(
        id=ASKED, method="free_host", context=Context(request_id=""), source=UP, route=(ROOT,), call=True,
        reply_to=villain.replies, budget_s=10.0, body=b"", target=Address(US, "cell"),
    )  # fmt: skip
    return answer(asked, id=bytes(16), source=source, body=b"", is_error=False)


# --- what the broker refuses -----------------------------------------------------------------------------------


@forbidden("write to an actor", BROKER, "")
async def _write(villain: Villain) -> None:
    """It puts a command straight into the mailbox of the parent's actor."""
    await villain.write(Queue(ROOT, "cell"), frame(news(GOOD)))


@forbidden("write to the parent's link", BROKER, "")
async def _write_link(villain: Villain) -> None:
    """It puts a message into the queue by which the parent's own actors send."""
    await villain.write(Queue(ROOT, "link"), frame(news(GOOD)))


@forbidden("write in a sibling's place", BROKER, "")
async def _write_sibling(villain: Villain) -> None:
    """It puts a message into the queue that the parent keeps for its sibling."""
    await villain.write(Queue(ROOT, f"from:{US}"), frame(news(GOOD, source=Address(US, "cell"), route=(US,))))


@forbidden("read the parent's mail", BROKER, "")
async def _read(villain: Villain) -> None:
    """It takes messages from the mailbox of the parent's actor."""
    await villain.read(Queue(ROOT, "cell"))


@forbidden("read what it has sent", BROKER, "")
async def _read_own(villain: Villain) -> None:
    """It takes messages back from the queue that the parent keeps for it."""
    await villain.read(Queue(ROOT, f"from:{EU}"))


@forbidden("make a queue", BROKER, "")
async def _declare(villain: Villain) -> None:
    """It makes a queue at the parent's broker."""
    await villain.declare(Queue(ROOT, "of-its-own"))


@forbidden("take a queue away", BROKER, "")
async def _delete(villain: Villain) -> None:
    """It deletes a mailbox at the parent's broker."""
    await villain.delete(Queue(ROOT, "cell"))


@forbidden("bear another's name", BROKER, "")
async def _as_other(villain: Villain) -> None:
    """It sends under the name that its sibling has at the broker."""
    await villain.send_as_other(frame(news(GOOD)))


# --- what the parent's link refuses ----------------------------------------------------------------------------


@forbidden("bear no name", "forbidden", "nobody to the broker")
async def _nameless(villain: Villain) -> None:
    """It sends without a name, so that nobody could tell who it was."""
    await villain.send_nameless(frame(news(GOOD)))


@forbidden("forge the sender", "forbidden", "does not end in the neighbour")
async def _forged_sender(villain: Villain) -> None:
    """It says in the message that its sibling has sent it."""
    await villain.send(frame(news(GOOD, source=Address(US, "cell"), route=(US,))))


@forbidden("forge the route", "forbidden", "enters a cell twice")
async def _forged_route(villain: Villain) -> None:
    """It says that the message came from the parent, and has gone round."""
    await villain.send(frame(news(GOOD, source=UP, route=(ROOT, EU))))


@forbidden("skip the tree", "forbidden", "leaves the edges")
async def _forged_edge(villain: Villain) -> None:
    """It says that the message came to it from its sibling, to which it has no edge."""
    await villain.send(frame(news(GOOD, source=Address(US, "cell"), route=(US, EU))))


@forbidden("command its parent", "forbidden", "does not lead down")
async def _wrong_direction(villain: Villain) -> None:
    """It sends what only parents send."""
    request = AddHost(name="h9", vcpus=1, memory_mb=1, disk_gb=1, availability_zone="")
    await villain.send(frame(news(request, method="free_host")))


@forbidden("call the root's own", "forbidden", "never leaves its cell")
async def _inner(villain: Villain) -> None:
    """It asks the root for a permit to run a guest."""
    await villain.send(frame(news(GOOD, method="issue_permit")))


@forbidden("shout down the tree", "forbidden", "does not lead down")
async def _broadcast(villain: Villain) -> None:
    """It has the root ask all cells for something."""
    await villain.send(
        frame(
            Broadcast(
                id=bytes(16), method="show_hosts", context=Context(request_id=""), source=CELL, route=(EU,), call=True,
                reply_to="replies:cell:0", budget_s=10.0, body=b"", direction=Direction.DOWN,
            )
        )
    )  # fmt: skip


@forbidden("speak to a sibling", "forbidden", "api!us is not up of api!eu")
async def _foreign_path(villain: Villain) -> None:
    """It sends news to its sibling, over the parent."""
    await villain.send(frame(news(GOOD, target=Address(US, "cell"))))


@forbidden("speak for a sibling", "forbidden", "does not speak for that")
async def _foreign_server(villain: Villain) -> None:
    """It tells the root that its sibling has lost a server."""
    await villain.send(frame(news(mirror(US))))


@forbidden("pay another's debts", "forbidden", "does not speak for that")
async def _foreign_debt(villain: Villain) -> None:
    """It says that a fenced host of its sibling has done what it owes."""
    owed = PayOwed(host=Address(US, "host:h2"), acts=(OwedAct(host="h2", server="s", act=next(iter(Owed))),))
    await villain.send(frame(news(owed, source=Address(EU, "host:h2"))))


@forbidden("poison a key", "forbidden", "only the root commands")
async def _key(villain: Villain) -> None:
    """It gives its news the key of a command, whose answer that would be."""
    await villain.send(frame(news(GOOD, key=Key(scope="c", attempt=1, step="take_server", is_undo=False))))


@forbidden("fence the root", "forbidden", "only the root commands")
async def _epoch(villain: Villain) -> None:
    """It gives its news an epoch, below which nobody may command a server any more."""
    await villain.send(frame(news(GOOD, server="s", epoch=2**62)))


@forbidden("answer for a sibling", "forbidden", "was asked, and not")
async def _answer(villain: Villain) -> None:
    """It answers what its sibling was asked."""
    await villain.send(frame(reply(villain, CELL)))


@forbidden("replay", "stale", "before")
async def _replay(villain: Villain) -> None:
    """It sends the very same news again."""
    again = news(GOOD, id=b"the same again, ")
    await villain.send(frame(again))
    await villain.send(frame(again))


@forbidden("send too much at once", "malformed", "limit")
async def _oversize(villain: Villain) -> None:
    """It sends news as large as no news is."""
    await villain.send(frame(news(GOOD, body=bytes(512 * 1024))))


@forbidden("send what is none", "malformed", "malformed")
async def _malformed(villain: Villain) -> None:
    """It sends bytes that are no message."""
    await villain.send(encode_frame([b"\xc1 no message"]))


@forbidden("speak of tomorrow", "unknown_schema", "schema version")
async def _schema(villain: Villain) -> None:
    """It sends a message of a version that there is not."""
    header = msgpack.packb((SCHEMA + 1, 1)) + msgpack.packb(b"")
    await villain.send(encode_frame([header]))


@forbidden("lead nowhere", "no_route", "no neighbour")
async def _nowhere(villain: Villain) -> None:
    """It sends a message to a cell that there is not."""
    await villain.send(frame(news(GOOD, method="of_tomorrow", target=Address(ROOT.child("x"), "cell"))))


@forbidden("go further than it may", "too_many_hops", "had passed")
async def _too_far(villain: Villain) -> None:
    """It sends a message on that has come as far as it may."""
    await villain.send(frame(news(GOOD, hops_max=1)))


@forbidden("have it wait for ever", "forbidden", "waited for longer")
async def _for_ever(villain: Villain) -> None:
    """It has the parent keep a place for an answer until the end of time."""
    await villain.send(frame(news(GOOD, budget_s=1e300)))


@forbidden("flood", "overflow", "in a second")
async def _flood(villain: Villain) -> None:
    """It sends more than a neighbour may."""
    await villain.send(frame(*(news(GOOD) for _ in range(2 * RATE))))
