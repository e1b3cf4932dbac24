"""What a running simulation shuts out: real clocks and chance, threads and sockets, and the whims of the collector."""

from __future__ import annotations

import gc
import inspect
from asyncio import AbstractEventLoop, _get_running_loop
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from importlib import import_module
from typing import Any, Final

#: Whose calls are refused, by the beginning of the caller's module; libraries, such as logging, may go on.
OURS: Final = ("protocol.", "actors.", "sim.", "tests.")

_CLOCKS: Final = ("time", "monotonic", "perf_counter", "process_time")


def _public(module: str, *, but: str) -> list[str]:
    return [name for name in import_module(module).__all__ if name != but]


#: Module or class, the names in it, and what to use instead.
SEALED: Final = (
    ("time", [*_CLOCKS, *(f"{clock}_ns" for clock in _CLOCKS)], "use the port Clock"),
    ("time", ["sleep"], "use anyio.sleep"),
    ("uuid", ["uuid1", "uuid4"], "use the port Ids"),
    ("os", ["urandom", "getrandom"], "use the port Random"),
    ("random", _public("random", but="Random"), "use the port Random"),
    ("secrets", _public("secrets", but="compare_digest"), "use the port Random"),
    ("threading.Thread", ["start"], "start a task"),
    ("socket.socket", ["__init__"], "use the memory wire"),
    ("socket", ["create_connection", "create_server", "getaddrinfo", "socketpair"], "use the memory wire"),
    ("subprocess.Popen", ["__init__"], "use the memory driver"),
    ("subprocess", ["call", "check_call", "check_output", "run"], "use the memory driver"),
)

Refuse = Callable[[str, str], Exception]


def _owner(path: str) -> Any:
    module, _, name = path.partition(".")
    return getattr(import_module(module), name) if name else import_module(module)


class Seal:
    """Guards for all that is sealed, which refuse our own code while a given loop runs."""

    def __init__(self, refuse: Refuse) -> None:
        self._refuse = refuse
        self._loop: AbstractEventLoop | None = None
        self._guards = [
            (owner, name, getattr(owner, name), self._guard(getattr(owner, name), f"{path}.{name}", instead))
            for path, names, instead in SEALED
            for owner in [_owner(path)]
            for name in names
            if hasattr(owner, name)  # Not every system has each, nor every Python.
        ]

    def _guard(self, real: Callable[..., Any], what: str, instead: str) -> Callable[..., Any]:
        what = what.removesuffix(".__init__")

        @wraps(real)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            # Other threads may go on, and so may whoever still holds a guard when the loop has ended.
            if self._loop is not None and _get_running_loop() is self._loop:
                here = inspect.currentframe()
                caller = here.f_back if here is not None else None
                if caller is not None and str(caller.f_globals.get("__name__")).startswith(OURS):
                    raise self._refuse(what, instead)
            return real(*args, **kwargs)

        return guarded

    @contextmanager
    def shut(self, loop: AbstractEventLoop) -> Iterator[None]:
        """Refuse while the context is open and this loop runs."""
        self._loop = loop
        for owner, name, _, guard in self._guards:
            setattr(owner, name, guard)
        try:
            yield
        finally:
            self._loop = None
            for owner, name, real, _ in self._guards:
                setattr(owner, name, real)


@contextmanager
def collected_by_hand() -> Iterator[None]:
    """Switch the garbage collector off: when it runs by itself depends on all that the process ever did.

    Generators that it finds unfinished are closed by the loop, and so would be at another step in every process.
    """
    was_enabled, was_frozen = gc.isenabled(), gc.get_freeze_count() > 0
    gc.disable()
    if not was_frozen:
        gc.freeze()  # What is older than the run need not be looked at again and again.
    try:
        yield
    finally:
        if not was_frozen:
            gc.unfreeze()
        if was_enabled:
            gc.enable()
