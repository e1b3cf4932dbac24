"""What a machine tells of itself is read from where its operating system keeps it."""

from __future__ import annotations

import struct
from pathlib import Path

from actors.compute.drivers.machine import LOGIN_BYTES, USER_PROCESS, read_uptime


def login(kind: int) -> bytes:
    return struct.pack("h", kind).ljust(LOGIN_BYTES, b"\0")


def test_only_users_who_are_logged_in_are_counted(tmp_path: Path) -> None:
    """Boots, getty's and the dead are in the same file; one that is cut off is no login."""
    uptime, logins = tmp_path / "uptime", tmp_path / "utmp"
    uptime.write_text("123.45 400.00\n")
    logins.write_bytes(login(2) + login(USER_PROCESS) + login(8) + login(USER_PROCESS) + login(USER_PROCESS)[:9])
    found = read_uptime(uptime, logins)
    assert (found.up_s, found.users, len(found.loads)) == (123.45, 2, 3)


def test_a_machine_without_a_record_of_logins_has_no_users(tmp_path: Path) -> None:
    """As in a container; and this very machine has been up for a while."""
    assert read_uptime(logins=tmp_path / "nothing").users == 0
    assert read_uptime().up_s > 0
