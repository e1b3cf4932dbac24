"""Takes frames apart, so that one envelope that is none does not take the others with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from protocol.codec import decode, decode_frame
from protocol.errors import CellferryError

if TYPE_CHECKING:
    from collections.abc import Callable

    from protocol.envelope import Envelope

T = TypeVar("T")


def take_apart(frame: bytes, admit: Callable[[Envelope], T]) -> tuple[list[T], CellferryError | None]:
    """Decode and admit each envelope alone; give the good ones, and what is wrong with the first bad one.

    A frame with a bad envelope is to become a dead letter once the good ones are dealt with.  It holds doubles of
    these then, which are harmless: keys, and the ids of calls and broadcasts, tell them from new ones.
    """
    good: list[T] = []
    failure: CellferryError | None = None
    try:
        parts = decode_frame(frame)
    except CellferryError as error:
        return [], error
    for part in parts:
        try:
            good.append(admit(decode(part)))
        except CellferryError as error:
            failure = failure or error
    return good, failure
