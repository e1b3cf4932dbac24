"""Locks on files that their holders rename and remove, among threads that race for them."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from actors.partners.durable import hidden, is_at, replace, try_lock

TURNS = 100


def test_a_lock_whose_file_is_removed_by_its_holder_has_one_holder(tmp_path: Path) -> None:
    """However opening, locking and removing interleave, no two hold the lock at once, and all get it."""
    path = tmp_path / "lock"
    inside: list[int] = []

    def contend(who: int) -> int:
        held = most = 0
        while held < TURNS:
            fd = try_lock(path)
            if fd is None:
                os.sched_yield()
                continue
            inside.append(who)
            os.sched_yield()
            held, most = held + 1, max(most, len(inside))
            inside.remove(who)
            path.unlink()
            os.close(fd)
        return most

    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(contend, range(4))) == {1}


def test_a_replaced_file_is_another_file(tmp_path: Path) -> None:
    """Replacing leaves whoever has the old file open with the old content, and nothing beside the new."""
    path = tmp_path / "file"
    replace(path, b"old")
    with path.open("rb") as file:
        assert is_at(path, file.fileno())
        replace(path, b"new")
        assert not is_at(path, file.fileno())
        assert file.read() == b"old"
    assert path.read_bytes() == b"new"
    assert not hidden(path, "partial").exists()
