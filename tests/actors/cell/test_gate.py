"""A router's gate: who the broker says a sender is, how much he sends, and whether it came before."""

from __future__ import annotations

from typing import Final

import anyio
import attrs
import pytest

from actors.cell.gate import SEEN_MAX, UNGUARDED, Gate, Guard
from protocol.cell_path import Address, CellPath
from protocol.envelope import Context, Key, Targeted, answer
from protocol.errors import Doubled, Forbidden, Overflow

pytestmark = pytest.mark.anyio

ROOT, EU, US = (CellPath.parse(text) for text in ("api", "api!eu", "api!us"))
LINK_OF_EU: Final = "deployed.api/from:api+eu"
NEWS: Final = Targeted(
    id=bytes(16), method="of_tomorrow", context=Context(request_id=""), source=Address(EU, "cell"), route=(EU,),
    budget_s=1.0, body=b"", target=Address(ROOT, "cell"),
)  # fmt: skip


def numbered(number: int) -> Targeted:
    """Make news that did not come before."""
    return attrs.evolve(NEWS, id=number.to_bytes(16))


@pytest.mark.parametrize("sender", ["", "deployed.api/from:api+us", "guest"])
def test_a_frame_is_of_whom_the_broker_says(sender: str) -> None:
    """Another user, or none at all, is not the neighbour, whatever the frame says."""
    gate = Gate(ROOT, Guard(users={EU: frozenset({LINK_OF_EU, "operator"})}.__getitem__))
    assert isinstance(gate.check_sender(EU, sender), Forbidden)
    assert gate.check_sender(EU, LINK_OF_EU) is None
    assert gate.check_sender(EU, "operator") is None


def test_where_the_broker_knows_nobody_apart_nobody_is_asked() -> None:
    """All cells on one broker, by prefix, are one user; and within a cell the broker itself decides."""
    assert Gate(ROOT, UNGUARDED).check_sender(EU, "") is None
    assert Gate(ROOT, Guard(users={EU: frozenset({LINK_OF_EU})}.__getitem__)).check_sender(None, "guest") is None


async def test_a_neighbour_has_a_rate_of_its_own() -> None:
    """What is more than that is refused, and what comes later is taken again; another neighbour feels nothing."""
    gate = Gate(ROOT, Guard(per_s_max=3))
    for number in range(3):
        gate.admit(numbered(number), via=EU)
    with pytest.raises(Overflow):
        gate.admit(numbered(4), via=EU)
    gate.admit(attrs.evolve(numbered(5), source=Address(US, "cell"), route=(US,)), via=US)
    await anyio.sleep(0.4)
    gate.admit(numbered(6), via=EU)
    with pytest.raises(Overflow):
        gate.admit(numbered(7), via=EU)


async def test_a_rate_that_is_changed_holds_from_then_on() -> None:
    """Of a neighbour that was free before as of one that was not."""
    gate = Gate(ROOT, UNGUARDED)
    gate.admit(numbered(1), via=EU)
    gate.tune(Guard(per_s_max=1))
    gate.admit(numbered(2), via=EU)
    with pytest.raises(Overflow):
        gate.admit(numbered(3), via=EU)
    gate.tune(UNGUARDED)
    gate.admit(numbered(4), via=EU)


async def test_what_has_come_before_is_refused_where_no_key_tells_it_from_new() -> None:
    """The same envelope again is stale; one with a key is its receiver's to know, an answer its asker's."""
    gate = Gate(ROOT, Guard(refuses_doubles=True))
    keyed = attrs.evolve(NEWS, id=b"k" * 16, key=Key.plain("me", 1))
    call = attrs.evolve(NEWS, source=Address(ROOT, "cell"), route=(ROOT,), call=True, reply_to="replies:cell:0")
    answered = answer(call, id=b"a" * 16, source=NEWS.source, body=b"", is_error=False)
    gate.admit(NEWS, via=EU)
    for again in (keyed, keyed, answered, answered):
        gate.admit(again, via=EU)
    with pytest.raises(Doubled):
        gate.admit(NEWS, via=EU)
    gate.forget(NEWS)
    gate.admit(NEWS, via=EU)


async def test_what_is_remembered_is_bounded() -> None:
    """The oldest is forgotten; and without that wish nothing is remembered at all."""
    gate = Gate(ROOT, Guard(refuses_doubles=True))
    for number in range(SEEN_MAX + 1):
        gate.admit(numbered(number), via=EU)
    gate.admit(numbered(0), via=EU)
    with pytest.raises(Doubled):
        gate.admit(numbered(SEEN_MAX), via=EU)
    careless = Gate(ROOT, UNGUARDED)
    assert careless.admit(NEWS, via=EU) == careless.admit(NEWS, via=EU)
