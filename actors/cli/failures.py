"""How errors end a command: one message that names the thing and the next step, and an exit code."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import anyio
import attrs

from actors.kernel.supervisor import TooManyRestarts
from actors.ops.checks import SettingsError
from protocol.errors import CellferryError, StoreUnavailable, TransportLost

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.deployment import Deployment

FAILED: Final = 1
USAGE: Final = 2
PORTS: Final = {"amqp": 5672, "amqps": 5671, "postgresql": 5432, "postgres": 5432}


class Interrupted(Exception):
    """The user, or the system, asked the command to stop."""


class TookTooLong(Exception):
    """Something did not come to its end in time."""


class ProcessDied(Exception):
    """A process of an actor ended, though nobody had asked it to, or never came up."""


class GuestSilent(Exception):
    """A guest that runs does not count."""


class Stuck(Exception):
    """A conversation neither goes on nor ends."""


class RunsAlready(Exception):
    """A role of this deployment runs here already."""


class NotThere(Exception):
    """What the user names is not there, or is not one thing."""


class ServiceAway(Exception):
    """A broker or a database cannot be used."""


class AnswersFailed(Exception):
    """Of several answers, all of which are shown, some are errors."""


@contextmanager
def within(limit_s: float | None, failure: str) -> Iterator[None]:
    """Give what is done here so much time, if it is limited; raise `TookTooLong` with these words after it."""
    with anyio.move_on_after(limit_s) as scope:
        yield
    if scope.cancelled_caught:
        raise TookTooLong(f"{failure} within {limit_s:g} s")


@attrs.frozen(kw_only=True)
class Failure:
    """What is told of an error."""

    text: str
    exit_code: int = FAILED


def failure_of(error: BaseException) -> Failure | None:
    """Tell how an error ends the command; None for a mistake of ours, which ends it with its traceback."""
    first = leaf(error)
    match first:
        case SettingsError():
            return Failure(text=str(first), exit_code=USAGE)
        case CellferryError():
            where = f" (in cell {first.remote_cell})" if first.remote_cell else ""
            return Failure(text=f"{first}{where}")
        case (
            Interrupted()
            | TookTooLong()
            | NotThere()
            | AnswersFailed()
            | ServiceAway()
            | GuestSilent()
            | Stuck()
            | ProcessDied()
            | TooManyRestarts()
            | RunsAlready()
        ):
            return Failure(text=str(first))
        case OSError():
            return Failure(text=str(first) or type(first).__name__)
        case _:
            return None


def leaf(error: BaseException) -> BaseException:
    """Give what went wrong first in a group of errors: all else followed from it."""
    return leaf(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


def named(
    error: Exception, deployment: Deployment, *, wire: str = "with --wire", store: str = "with --store"
) -> Exception:
    """Name the service that an error speaks of, by host and port, with the next step; give other errors as they are.

    `wire` and `store` say where another one is named.
    """
    match first := leaf(error):
        case TransportLost():
            return ServiceAway(
                f"RabbitMQ cannot be used: {first.reason}; start or mend it there, or name another {wire}"
            )
        case StoreUnavailable() if "://" in deployment.store:
            url = urlsplit(deployment.store)
            place = f"{url.hostname}:{url.port or PORTS[url.scheme]}"
            what = f"PostgreSQL at {place} cannot be used: {first.reason}"
            return ServiceAway(f"{what}; start or mend it there, or name another {store}")
        case _:
            return error
