"""The passwords of a cell's actors and links: a file for each cell, that only its owner can read, and nobody prints."""

from __future__ import annotations

import os
import secrets
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from actors.ops.checks import SettingsError
from protocol.cell_path import CellPath

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PASSWORD_BYTES: Final = 24
OWNER_ONLY: Final = 0o600
OTHERS: Final = 0o077
TABLE: Final = "users"


def secrets_file(directory: Path, cell: CellPath) -> Path:
    """Name the file of a cell."""
    return directory / f"{str(cell).replace('!', '+')}.toml"


def read_secrets(directory: Path, cell: CellPath) -> dict[str, str]:
    """Give the passwords of a cell, by user; raise `SettingsError` when others could read them, too."""
    path = secrets_file(directory, cell)
    try:
        mode = path.stat().st_mode
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SettingsError(where=str(path), what=f"it cannot be read ({type(error).__name__})") from error
    if mode & OTHERS:
        raise SettingsError(where=str(path), what=f"others may read it; say: chmod 600 {path}")
    users = table.get(TABLE, {})
    return {str(user): str(password) for user, password in users.items()}


def complete_secrets(directory: Path, cell: CellPath, users: Iterable[str]) -> dict[str, str]:
    """Give each of these users of a cell a password that has none yet, and write the file; others stay as they are."""
    known = read_secrets(directory, cell)
    missing = {user: secrets.token_urlsafe(PASSWORD_BYTES) for user in users if user not in known}
    if missing:
        _write(secrets_file(directory, cell), known | missing)
    return known | missing


def new_salt(size: int) -> bytes:
    """Make a salt for a password's hash."""
    return secrets.token_bytes(size)


def _write(path: Path, passwords: Mapping[str, str]) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lines = [f'"{user}" = "{password}"' for user, password in sorted(passwords.items())]
    beside = path.with_suffix(".new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY), "w", encoding="utf-8") as file:
        file.write("\n".join([f"[{TABLE}]", *lines, ""]))
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
