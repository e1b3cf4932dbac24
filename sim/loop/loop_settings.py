"""What asyncio and anyio set on any loop, and ask it for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

ExceptionHandler = Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object]
TaskFactory = Callable[..., Any]


class LoopSettings(asyncio.AbstractEventLoop):
    """The settings of a loop, which have nothing to do with how it runs."""

    def __init__(self) -> None:
        self.slow_callback_duration = 0.1  # asyncio's debug mode looks for it; no callback takes virtual time.
        self._is_debug = False
        self._exception_handler: ExceptionHandler | None = None
        self._task_factory: TaskFactory | None = None

    def set_task_factory(self, factory: TaskFactory | None) -> None:
        """Have tasks made by a factory, or by asyncio again."""
        self._task_factory = factory

    def get_task_factory(self) -> TaskFactory | None:
        """Return the factory that makes tasks, if one was set."""
        return self._task_factory

    def set_exception_handler(self, handler: ExceptionHandler | None) -> None:
        """Have unhandled exceptions handled by a function, or logged again."""
        self._exception_handler = handler

    def get_exception_handler(self) -> ExceptionHandler | None:
        """Return the function that handles unhandled exceptions, if one was set."""
        return self._exception_handler

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """Log an unhandled exception."""
        logging.getLogger(__name__).error("%s: %r", context.get("message"), context, exc_info=context.get("exception"))

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Hand on an unhandled exception; what the handler itself raises stops the loop."""
        if self._exception_handler is None:
            self.default_exception_handler(context)
        else:
            self._exception_handler(self, context)

    def get_debug(self) -> bool:
        """Tell whether asyncio's debug mode is on."""
        return self._is_debug

    def set_debug(self, enabled: bool) -> None:
        """Switch asyncio's debug mode."""
        self._is_debug = enabled
