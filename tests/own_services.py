"""A RabbitMQ and a PostgreSQL that a test starts for itself, on spare ports and with data of their own."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlsplit

import aio_pika
import anyio
import asyncpg

T = TypeVar("T")

LOGIN_TIMEOUT_S: Final = 5.0
START_TIMEOUT_S: Final = 90.0
STOP_TIMEOUT_S: Final = 20.0
POLL_S: Final = 0.1
LOG_TAIL_CHARACTERS: Final = 2000


class ServiceMissing(Exception):
    """A service that the tests need does not let us in, and cannot be started here."""


# ------------------------------------------------------------------------------------------------- does it let us in?


async def log_in_to_rabbitmq(url: str) -> None:
    """Open a connection and a channel, or raise."""
    async with await aio_pika.connect(url, timeout=LOGIN_TIMEOUT_S) as connection:
        channel = await connection.channel()
        await channel.close()


async def log_in_to_postgresql(url: str) -> None:
    """Run a statement, or raise."""
    connection = await asyncpg.connect(url, timeout=LOGIN_TIMEOUT_S)
    try:
        await connection.execute("SELECT 1")
    finally:
        await connection.close()


async def refusal(log_in: Callable[[str], Awaitable[None]], url: str) -> str | None:
    """Say why `url` does not let us in; None if it does.  A port that listens is not enough: it may be anything."""
    where = urlsplit(url)
    try:
        with anyio.fail_after(LOGIN_TIMEOUT_S):
            # The bare port first: the AMQP library would log each refusal.
            await (await anyio.connect_tcp(where.hostname or "localhost", where.port or 0)).aclose()
            await log_in(url)
    except (OSError, aio_pika.exceptions.AMQPError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def aside(function: Callable[[], Awaitable[T]]) -> T:
    """Run `function` on a real event loop in a thread of its own, so that tests inside a loop may ask for it too."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(anyio.run, function).result()


# ------------------------------------------------------------------------------------------------ services of our own


class OwnService(ABC):
    """A service on spare ports with data of its own, which a test may stop, kill, wipe and start again."""

    url: str
    stop_signal: signal.Signals

    def __init__(self, *, programs: Path, directory: Path) -> None:
        """Use the programs of one installation; keep everything that the service writes below `directory`."""
        self.programs = programs
        self.directory = directory
        self.data = directory / "data"
        self.log = directory / "output.log"
        self.processes: list[subprocess.Popen[bytes]] = []

    @abstractmethod
    def spawn(self) -> None:
        """Make the data if there are none, and start the processes, the service itself last."""

    @abstractmethod
    async def log_in(self, url: str) -> None:
        """Log in at `url`, or raise."""

    def start(self) -> None:
        """Start it, and return when it lets us in."""
        assert not self.processes, "it runs already"
        try:
            self.spawn()
            aside(self._answering)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Stop it as an administrator would."""
        for service in self.processes[-1:]:
            service.send_signal(self.stop_signal)
            with suppress(subprocess.TimeoutExpired):
                service.wait(STOP_TIMEOUT_S)
        self.kill()

    def kill(self) -> None:
        """End its processes at once, as `kill -9` does; the data stay."""
        for process in reversed(self.processes):
            family = [process.pid, *_children(process.pid)]
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            for pid in family[1:]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()
        self.processes.clear()

    def signal_all(self, number: signal.Signals) -> None:
        """Send a signal to all its processes and theirs: SIGSTOP lets it hang, SIGCONT lets it go on."""
        for process in self.processes:
            for pid in (process.pid, *_children(process.pid)):
                with suppress(ProcessLookupError):
                    os.kill(pid, number)

    def wipe(self) -> None:
        """Throw its data away."""
        assert not self.processes, "stop or kill it first"
        shutil.rmtree(self.data, ignore_errors=True)

    def close(self) -> None:
        """End it for good, in whatever state a test has left it."""
        self.stop()

    def run(self, *command: str | Path, environment: Mapping[str, str] | None = None, user: str | None = None) -> None:
        """Start one process of the service, in a group of its own."""
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=self.directory,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=user,
                group=None if user is None else pwd.getpwnam(user).pw_gid,
                extra_groups=None if user is None else [],
            )
        self.processes.append(process)

    async def _answering(self) -> None:
        """Wait until it lets us in.  A real process tells nobody when it is ready, so this asks again and again."""
        refused: str | None = "not asked yet"
        with anyio.move_on_after(START_TIMEOUT_S):
            while refused is not None and self.processes[-1].poll() is None:
                await anyio.sleep(POLL_S)
                refused = await refusal(self.log_in, self.url)
        if refused is not None:
            last_words = self.log.read_text(errors="replace")[-LOG_TAIL_CHARACTERS:]
            raise ServiceMissing(f"{type(self).__name__} did not come up ({refused}). Its last words:\n{last_words}")


class OwnRabbitMQ(OwnService):
    """A RabbitMQ node that knows no other, with one user, guest, and no plug-in but that for management, if wanted."""

    stop_signal = signal.SIGTERM

    def __init__(self, *, programs: Path, directory: Path, is_managed: bool = False) -> None:
        """Take spare ports for clients, for the distribution and for the port mapper."""
        super().__init__(programs=programs, directory=directory)
        self.management_port = spare_port() if is_managed else 0
        port, distribution_port, mapper_port = (spare_port() for _ in range(3))
        self.url = f"amqp://guest:guest@127.0.0.1:{port}/"
        self.node = f"cellferry-{port}@localhost"
        self.environment = {
            "HOME": str(directory),  # where Erlang keeps the cookie
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(mapper_port),
            "RABBITMQ_CONF_ENV_FILE": str(directory / "none"),
            "RABBITMQ_CONFIG_FILE": str(directory / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(directory / "none.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "plugins"),
            "RABBITMQ_DIST_PORT": str(distribution_port),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_LOG_BASE": str(directory / "log"),
            "RABBITMQ_MNESIA_BASE": str(self.data),
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(port),
            "RABBITMQ_PID_FILE": str(directory / "pid"),
            # Idle schedulers sleep at once: the tests need the cores.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+sbwt none +sbwtdcpu none +sbwtdio none"
            " -kernel inet_dist_use_interface {127,0,0,1}",
        }

    def spawn(self) -> None:
        """Start a port mapper of its own (else Erlang leaves one behind), then the node."""
        port = self.management_port
        listening = f"management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {port}\n" if port else ""
        (self.directory / "rabbitmq.conf").write_text(listening)
        (self.directory / "plugins").write_text("[rabbitmq_management].\n" if port else "[].\n")
        self.run("epmd", environment=self.environment)
        self.run(self.programs / "rabbitmq-server", environment=self.environment)

    async def log_in(self, url: str) -> None:
        """Open a connection and a channel, or raise."""
        await log_in_to_rabbitmq(url)

    def keep_declared(self) -> None:
        """Return when all queues that were declared are on disk.

        RabbitMQ says that a queue is declared before that (seen in 3.10, on a busy machine): killed in that moment, it
        comes back without the queue, and without all frames that it had confirmed there.
        """
        self.control("eval", "mnesia:sync_log().")

    def control(self, *command: str) -> str:
        """Run one `rabbitmqctl` command on the node, and give what it printed."""
        program = self.programs / "rabbitmqctl"
        done = subprocess.run(
            [program, "--quiet", "--node", self.node, *command],
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    def close(self) -> None:
        """Kill it: nothing but its data would profit from a slow farewell, and those go too."""
        self.kill()


class OwnPostgreSQL(OwnService):
    """A PostgreSQL cluster that trusts everybody on this machine, with one user: postgres."""

    # "Fast": sessions are cut, and the shared memory is given back, which a killed server would leave behind.
    stop_signal = signal.SIGINT

    def __init__(self, *, programs: Path, directory: Path) -> None:
        """Take a spare port; initdb and postgres refuse to run as root, so root hands the directory to another user."""
        super().__init__(programs=programs, directory=directory)
        self.port = spare_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        self.user = _unprivileged_user()
        if self.user is not None:
            shutil.chown(directory, self.user)

    def spawn(self) -> None:
        """Make the cluster if there is none, and start the server."""
        if not self.data.exists():
            options = ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync"]
            self.run(self.programs / "initdb", *options, "-D", self.data, user=self.user)
            self.processes.pop().wait()
        # A power cut is beyond what a test can do, so nothing needs to reach the disk.
        settings = ["fsync=off", "listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=200"]
        settings.append("dynamic_shared_memory_type=mmap")
        options = [part for setting in settings for part in ("-c", setting)]
        self.run(self.programs / "postgres", "-D", self.data, "-p", str(self.port), *options, user=self.user)

    async def log_in(self, url: str) -> None:
        """Run a statement, or raise."""
        await log_in_to_postgresql(url)

    def close(self) -> None:
        """Stop it; a killed one is started for that, since only its successor gives the shared memory back."""
        if not self.processes and (self.data / "postmaster.pid").exists():
            self.start()
        self.stop()


def spare_port() -> int:
    """Find a port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _children(pid: int) -> list[int]:
    """List the children of a process: PostgreSQL's leave its process group."""
    with suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def _unprivileged_user() -> str | None:
    """Name the user to become where we are root; None where we are not."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"
