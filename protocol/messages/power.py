"""What a host asks its own cell about guests that are off: one that died by itself is nobody's step."""

import attrs

from protocol.requests import Done, Method, Request, Role, Way


@attrs.frozen(kw_only=True)
class ExpectedGuest:
    """How a cell expects a host to have a server's guest."""

    is_settled: bool  # The server is that host's, and nobody works on it: what the record says is how it should be.
    is_running: bool  # Or is held: it is not to be off.
    version: int  # Of the record that says so.


@attrs.frozen(kw_only=True)
class ExpectGuest(Request[ExpectedGuest]):
    """A host asks how its cell expects it to have a guest."""

    METHOD = Method(name="expect_guest", at=Role.CELL, way=Way.NONE, is_read=True)

    server: str
    host: str


@attrs.frozen(kw_only=True)
class NoteGuestOff(Request[Done]):
    """A host found a guest off that was to run by the record's `version`; a record that changed since stays as it is.

    A guest does not go on again by itself, and whoever starts it changes the record before: so the report is true for
    as long as the record has that version, however late it comes.
    """

    METHOD = Method(name="note_guest_off", at=Role.CELL, way=Way.NONE)

    server: str
    host: str
    version: int
