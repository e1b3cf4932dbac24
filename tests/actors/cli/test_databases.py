"""`cellferry db`: databases are looked at, taken to today's revision, and copied while they are in use."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import stat
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any, Final

import anyio.to_thread
import attrs
import pytest
from click.testing import CliRunner, Result

from actors.cli.configuring import deployment_of
from actors.cli.main import cellferry
from actors.deployment import Deployment, Duty, Task
from actors.kernel.metrics import NO_METERS
from actors.process import Stores
from actors.store.backing import BackupFailed, copy_sqlite, dump_postgresql
from actors.store.kinds import KINDS
from actors.store.postgresql import drop_postgresql, open_postgresql
from actors.store.records import save
from actors.store.revisions import HEAD, SchemaMismatch
from actors.store.truth import all_rows
from protocol.draft import Changes
from protocol.records import Image
from tests.actors.cli.clouds import CLOUD, write_cloud

pytestmark = pytest.mark.anyio

DEPLOYMENT: Final = '\n[deployment]\nwire = "amqp://guest:guest@127.0.0.1:1/"\ndirectory = "data"\n'
IMAGE: Final = Image(id="i1", name="cirros", size_bytes=1, status="active")
LATE: Final = attrs.evolve(IMAGE, id="i2")


@pytest.fixture
def anyio_backend() -> str:
    """Threads and sockets need a real loop."""
    return "asyncio"


def ran(*arguments: str) -> Result:
    return CliRunner().invoke(cellferry, ["db", *arguments, "-f", "json"])


async def run(*arguments: str) -> tuple[int, list[dict[str, Any]]]:
    """Run a command that has a loop of its own; give the exit code and the rows."""
    done = await anyio.to_thread.run_sync(lambda: ran(*arguments))
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, json.loads(done.stdout)


@asynccontextmanager
async def stores(deployment: Deployment) -> AsyncIterator[Stores]:
    """Open stores as a process does."""
    async with AsyncExitStack() as stack:
        yield Stores(deployment, stack, NO_METERS)


def task_of(deployment: Deployment, duty: Duty) -> Task:
    return next(task for task in deployment.tasks() if task.duty is duty)


async def test_a_store_is_looked_at_upgraded_and_opened_again(tmp_path: Path) -> None:
    """One that is behind is refused by its process with the next step, which does what it says."""
    config = write_cloud(tmp_path, CLOUD + DEPLOYMENT)
    deployment = deployment_of(config)
    task = task_of(deployment, Duty.IMAGE)
    assert {row["state"] for row in (await run("check", "--config", str(config)))[1]} == {"absent"}
    async with stores(deployment) as opened:
        await (await opened.of(task)).transact(save, Changes(puts=(IMAGE,)))
    path = deployment.place_of(task).path
    assert path is not None
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE alembic_version")
    async with stores(deployment) as opened:
        with pytest.raises(SchemaMismatch, match=r"image\.sqlite is behind: .*cellferry db upgrade --config FILE"):
            await opened.of(task)
    code, rows = await run("check", "--config", str(config), "--cell", "api")
    assert code == 1
    assert [row["state"] for row in rows if row["role"] == "api/image"] == ["behind"]
    code, rows = await run("upgrade", "--config", str(config))
    assert (code, [row["revision"] for row in rows if row["role"] == "api/image"]) == (0, [HEAD])
    async with stores(deployment) as opened:
        assert await (await opened.of(task)).transact(all_rows, (Image,)) == (IMAGE,)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.execute("UPDATE served_revision SET oldest = '9999'")
        connection.commit()
    code, rows = await run("upgrade", "--config", str(config))
    assert (code, [row["state"] for row in rows if row["role"] == "api/image"]) == (1, ["ahead"])


def put_back(copy: Path, path: Path) -> None:
    """Put a copy, the only one of its directory, in the place of a store that nobody has open."""
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert [each.name for each in copy.parent.iterdir()] == ["api.image.sqlite"]
    for beside in path.parent.glob(f"{path.name}*"):
        beside.unlink()
    shutil.copyfile(copy, path)


async def test_a_backup_is_made_of_a_store_in_use_and_can_be_put_back(tmp_path: Path) -> None:
    """Only its owner can read it; put in the place of the file it is that file."""
    config = write_cloud(tmp_path, CLOUD + DEPLOYMENT)
    deployment = deployment_of(config)
    task = task_of(deployment, Duty.IMAGE)
    path = deployment.place_of(task).path
    assert path is not None
    async with stores(deployment) as opened:
        store = await opened.of(task)
        await store.transact(save, Changes(puts=(IMAGE,)))
        _code, (row,) = await run("backup", "--config", str(config), "--to", str(tmp_path / "copies"))
        await store.transact(save, Changes(puts=(LATE,)))
    put_back(Path(row["copy"]), path)
    async with stores(deployment) as opened:
        assert await (await opened.of(task)).transact(all_rows, (Image,)) == (IMAGE,)


def test_a_file_that_is_no_database_is_not_backed_up(tmp_path: Path) -> None:
    """And leaves nothing that looks like a copy."""
    (tmp_path / "bad.sqlite").write_text("no database" * 1000)
    with pytest.raises(BackupFailed, match=r"bad\.sqlite was not backed up: file is not a database"):
        copy_sqlite(tmp_path / "bad.sqlite", tmp_path / "copies" / "bad.sqlite")
    assert list((tmp_path / "copies").iterdir()) == []


async def test_a_schema_is_dumped_and_can_be_put_back(postgresql_url: str, tmp_path: Path) -> None:
    """By PostgreSQL's own programs."""
    schema = f"test_backup_{os.getpid()}"
    try:
        async with open_postgresql(postgresql_url, schema, metadata=KINDS["image"]) as store:
            await store.transact(save, Changes(puts=(IMAGE,)))
            dump_postgresql(postgresql_url, schema, tmp_path / "image.dump")
        await drop_postgresql(postgresql_url, schema)
        await anyio.run_process(["pg_restore", f"--dbname={postgresql_url}", str(tmp_path / "image.dump")])
        async with open_postgresql(postgresql_url, schema, metadata=KINDS["image"]) as store:
            assert await store.transact(all_rows, (Image,)) == (IMAGE,)
    finally:
        await drop_postgresql(postgresql_url, schema)


def test_what_keeps_a_schema_from_being_dumped_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is away, and a machine without pg_dump; never with the password."""
    url = "postgresql://u:hunter2@127.0.0.1:1/d"
    with pytest.raises(BackupFailed, match=r"127\.0\.0\.1/d/s was not backed up: .*refused") as away:
        dump_postgresql(url, "s", tmp_path / "s.dump")
    assert "hunter2" not in str(away.value)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BackupFailed, match="there is no pg_dump on this machine; install PostgreSQL's client"):
        dump_postgresql(url, "s", tmp_path / "s.dump")
