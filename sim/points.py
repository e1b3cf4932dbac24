"""Points of a conversation at which a process can be stopped: which happening is at which, on both levels.

A point is written `STEP/WAY/POSITION` (the way is `do` or `undo`), or `driver/CALL/before` and `driver/CALL/after`.
"""

from typing import Final, TypeAlias

from protocol.journal import Entry, Kind
from sim.cases.layout import REPLICA
from sim.history import Begun, Called, Calling, Carried, Happening, Journaled, Note, Sent

BEFORE_SEND: Final = "before_send"
AFTER_SEND: Final = "after_send"
AFTER_EFFECT: Final = "after_effect"
AFTER_REPLY: Final = "after_reply"
AFTER_RECORD: Final = "after_record"
#: What is called that is no hypervisor: no crash point is named after its calls.
PARTNERS: Final = ("image", "volume")

Point: TypeAlias = str

_WHOLE: Final = {Kind.END: f"end/do/{AFTER_RECORD}", Kind.CLOSED: f"closed/do/{AFTER_RECORD}"}


def point(step: str, position: str, *, is_undo: bool) -> Point:
    """Name a point of a step's exchange."""
    return f"{step}/{'undo' if is_undo else 'do'}/{position}"


def driver_point(call: str, position: str) -> Point:
    """Name a point of a hypervisor's call: `before` or `after`."""
    return f"driver/{call}/{position}"


def point_of(what: Happening) -> Point | None:
    """Tell at which point a happening is; None when at none."""
    match what:
        case Journaled(entry=entry):
            return _of_entry(entry)
        case Carried(key=key) | Begun(key=key):
            return of_key(key, AFTER_EFFECT)
        case Calling(call=call):
            return driver_point(call, "before")
        case Called(where=where, call=call):
            return None if where in PARTNERS else driver_point(call, "after")
        case Sent(process=process, notes=notes):
            # A link only passes on what another has sent.
            actor = process.partition(REPLICA)[0]
            own = (note for note in notes if note.source == actor and note.key)
            return next((found for note in own if (found := _of_note(note)) is not None), None)
        case _:
            return None


def of_key(key: str, position: str) -> Point | None:
    """Name a point of the exchange that a key is of; None when it is no step's key."""
    _, _, rest = key.rpartition(":")
    if rest not in {"execute", "undo"}:
        return None
    return point(key.split(":")[-2], position, is_undo=rest == "undo")


def _of_entry(entry: Entry) -> Point | None:
    if entry.kind in _WHOLE:
        return _WHOLE[entry.kind]
    if not entry.step:
        return None
    return point(entry.step, BEFORE_SEND if entry.kind is Kind.INTENT else AFTER_RECORD, is_undo=entry.is_undo)


def _of_note(note: Note) -> Point | None:
    return of_key(note.key, AFTER_REPLY if note.kind == "answer" else AFTER_SEND)
