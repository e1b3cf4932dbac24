"""RabbitMQ and PostgreSQL for the tests: found, else started, else installed, else an error; never a silent skip.

A test that administers, kills or wipes a service never does so to one that it found: it opens one by `own_rabbitmq()`
or `own_postgresql()`, which are processes on spare ports with data of their own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Final, Generic, TypeVar
from urllib.parse import urlsplit

import asyncpg
import attrs

from tests.own_services import (
    LOG_TAIL_CHARACTERS,
    OwnPostgreSQL,
    OwnRabbitMQ,
    OwnService,
    ServiceMissing,
    aside,
    log_in_to_postgresql,
    log_in_to_rabbitmq,
    refusal,
)

Own = TypeVar("Own", bound=OwnService)


@attrs.frozen(kw_only=True)
class Kind(Generic[Own]):
    """A kind of service: where to look for one, and how to make one."""

    name: str
    variable: str
    url_default: str
    log_in: Callable[[str], Awaitable[None]]
    packages: tuple[str, ...]
    programs: Callable[[], Path | None]
    own: Callable[..., Own]


def rabbitmq_programs() -> Path | None:
    """Find the directory of RabbitMQ's programs; Debian's are not on the PATH, only wrappers for its own service."""
    debian = Path("/usr/lib/rabbitmq/bin")
    on_path = shutil.which("rabbitmq-server")
    return debian if debian.exists() else Path(on_path).parent if on_path else None


def postgresql_programs() -> Path | None:
    """Find the directory of the newest PostgreSQL's programs."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    return debian[-1].parent if debian else Path(on_path).resolve().parent if on_path else None


RABBITMQ: Final = Kind(
    name="RabbitMQ",
    variable="CELLFERRY_TEST_AMQP_URL",
    url_default="amqp://guest:guest@127.0.0.1:5672/",
    log_in=log_in_to_rabbitmq,
    packages=("rabbitmq-server",),
    programs=rabbitmq_programs,
    own=OwnRabbitMQ,
)
POSTGRESQL: Final = Kind(
    name="PostgreSQL",
    variable="CELLFERRY_TEST_POSTGRESQL_URL",
    url_default="postgresql://postgres@127.0.0.1:5432/postgres",
    log_in=log_in_to_postgresql,
    packages=("postgresql",),
    programs=postgresql_programs,
    own=OwnPostgreSQL,
)


def find(kind: Kind[Own]) -> str | None:
    """Give the URL of a service that lets us in: the one that the environment names, else the one on the usual port."""
    named = os.environ.get(kind.variable)
    url = named or kind.url_default
    refused = aside(lambda: refusal(kind.log_in, url))
    if refused is None:
        return url
    if named is not None:
        where = urlsplit(url)
        raise ServiceMissing(
            f"{kind.variable} names {kind.name} at {where.hostname}:{where.port}, which does not let us in:\n"
            f"{refused}\nMend or unset it: without it the tests start a service of their own."
        )
    return None


def installed(kind: Kind[Own]) -> Path:
    """Give the directory of the programs, installing them where we may."""
    programs = kind.programs()
    if programs is None:
        install(kind)
        programs = kind.programs()
    if programs is None:
        raise ServiceMissing(f"{' '.join(kind.packages)} is installed, yet its programs are not found.")
    return programs


def install(kind: Kind[Own]) -> None:
    """Install the packages by apt-get, as root; else say what to install."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise ServiceMissing(
            f"The tests need {kind.name}: none lets us in at {kind.url_default}, and none is installed.\n"
            f"Install it (Debian, Ubuntu: apt-get install {' '.join(kind.packages)}), or name one in {kind.variable}."
        )
    options = ["-qq", "-o", "DPkg::Lock::Timeout=300"]
    for arguments in (["update"], ["install", "--yes", "--no-install-recommends", *kind.packages]):
        done = subprocess.run(
            [shutil.which("apt-get") or "apt-get", *options, *arguments],
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise ServiceMissing(f"apt-get {' '.join(arguments)} failed:\n{done.stdout[-LOG_TAIL_CHARACTERS:]}")


@contextmanager
def own(kind: Kind[Own]) -> Iterator[Own]:
    """Start a service for this test alone, and leave nothing of it behind."""
    programs = installed(kind)
    with tempfile.TemporaryDirectory(prefix="cellferry-test-", ignore_cleanup_errors=True) as directory:
        service = kind.own(programs=programs, directory=Path(directory))
        service.start()
        try:
            yield service
        finally:
            service.close()


@contextmanager
def found_or_own(kind: Kind[Own]) -> Iterator[str]:
    """Give the URL of a service that listens, else of one that lives as long as this context."""
    url = find(kind)
    if url is not None:
        yield url
        return
    with own(kind) as service:
        yield service.url


def rabbitmq() -> AbstractContextManager[str]:
    """Give the URL of a RabbitMQ that the tests share: let each use names of its own."""
    return found_or_own(RABBITMQ)


def postgresql() -> AbstractContextManager[str]:
    """Give the URL of a PostgreSQL that the tests share: let each use a database of its own."""
    return found_or_own(POSTGRESQL)


@contextmanager
def database(server_url: str) -> Iterator[str]:
    """Make a database on a server that others use too, give its URL, and drop it at the end."""
    name = f"cellferry_test_{uuid.uuid4().hex}"
    aside(lambda: _execute(server_url, f"CREATE DATABASE {name}"))
    try:
        yield urlsplit(server_url)._replace(path=f"/{name}").geturl()
    finally:
        aside(lambda: _execute(server_url, f"DROP DATABASE {name} WITH (FORCE)"))


async def _execute(url: str, statement: str) -> None:
    """Run one statement outside any transaction."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def own_rabbitmq(*, is_managed: bool = False) -> AbstractContextManager[OwnRabbitMQ]:
    """Start a RabbitMQ that a test may administer, stop, kill and wipe; with its management plug-in, if told so."""
    return own(attrs.evolve(RABBITMQ, own=partial(OwnRabbitMQ, is_managed=is_managed)))


def own_postgresql() -> AbstractContextManager[OwnPostgreSQL]:
    """Start a PostgreSQL that a test may administer, stop, kill and wipe."""
    return own(POSTGRESQL)
