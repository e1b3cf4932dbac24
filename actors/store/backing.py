"""Copies of databases that are in use, each as it was at one instant."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING, Final

import sqlalchemy

from actors.store.schemas import checked_schema
from protocol.errors import CellferryError, define

if TYPE_CHECKING:
    from pathlib import Path

#: What makes the copy of a schema of PostgreSQL; it comes with the server, and with its client.
DUMP: Final = "pg_dump"
WORDS_MAX: Final = 500
#: How many pages of a file are copied before others may write again, and how long that takes a break.
PAGES: Final = 1_000
PAUSE_S: Final = 0.005
OWNER_ONLY: Final = 0o600


@define
class BackupFailed(CellferryError):
    """A database could not be copied."""

    code = "backup_failed"
    template = "{store} was not backed up: {reason}"
    store: str
    reason: str


def copy_sqlite(source: Path, target: Path) -> None:
    """Copy a file by SQLite's own online backup, which others may write to meanwhile; raise `BackupFailed`.

    The copy is checked before it gets its name.
    """
    beside = _fresh(target)
    try:
        reading, writing = sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True), sqlite3.connect(beside)
        with closing(reading), closing(writing):
            reading.backup(writing, pages=PAGES, sleep=PAUSE_S)
            # The copy would else ask for a log beside it, which there is none of.
            writing.execute("PRAGMA journal_mode = DELETE")
            found = writing.execute("PRAGMA integrity_check").fetchone()[0]
    except (sqlite3.Error, OSError) as error:
        beside.unlink(missing_ok=True)
        raise BackupFailed(store=str(source), reason=str(error)) from error
    if found != "ok":
        beside.unlink(missing_ok=True)
        raise BackupFailed(store=str(source), reason=f"its copy is damaged: {found}")
    beside.replace(target)


def dump_postgresql(url: str, schema: str, target: Path) -> None:
    """Copy a schema by pg_dump, as an archive for pg_restore; raise `BackupFailed`, also where there is no pg_dump."""
    parsed = sqlalchemy.make_url(url)
    store = f"{parsed.host}/{parsed.database}/{schema}"
    program = shutil.which(DUMP)
    if program is None:
        reason = f"there is no {DUMP} on this machine; install PostgreSQL's client (Debian: postgresql-client)"
        raise BackupFailed(store=store, reason=reason)
    beside = _fresh(target)
    # The password goes by the environment: what is on a command line everybody can read.
    environment = {**os.environ, **({"PGPASSWORD": str(parsed.password)} if parsed.password else {})}
    if mode := parsed.query.get("sslmode") or parsed.query.get("ssl"):
        environment["PGSSLMODE"] = str(mode)
    options = [
        "--format=custom", f"--schema={checked_schema(schema)}", f"--file={beside}", f"--host={parsed.host}",
        f"--port={parsed.port or 5432}", *([f"--username={parsed.username}"] if parsed.username else []),
        "--no-password",
    ]  # fmt: skip
    done = subprocess.run(  # noqa: S603 - a list of arguments of our own, without a shell
        [program, *options, f"--dbname={parsed.database}"],
        env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        beside.unlink(missing_ok=True)
        raise BackupFailed(
            store=store, reason=done.stderr.strip()[-WORDS_MAX:] or f"{DUMP} ended with {done.returncode}"
        )
    beside.replace(target)


def _fresh(target: Path) -> Path:
    """Make an empty file beside the target, which only its owner may read: there are secrets in databases."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = target.with_name(f"{target.name}.new")
    beside.unlink(missing_ok=True)
    os.close(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY))
    return beside
