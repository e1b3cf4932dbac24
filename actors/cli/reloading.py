"""What SIGHUP does: settings are read again, those that may change are taken up, and all others are named."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

from actors.ops.changes import changed, with_live
from actors.ops.checks import SettingsError

if TYPE_CHECKING:
    from actors.kernel.ports import Events
    from actors.ops.settings import Cloud

AsyncTune: TypeAlias = "Callable[[Cloud], Awaitable[None]]"


class Reload:
    """Reads settings again for a process that runs with some."""

    def __init__(self, cloud: Cloud, reread: Callable[[], Cloud] | None, events: Events) -> None:
        """Compare with `cloud` what `reread` gives; `tune` is set when there is somebody to take it up."""
        self.tune: AsyncTune | None = None
        self._cloud = cloud
        self._reread = reread
        self._events = events

    async def run(self) -> None:
        """Take up what may change.  Settings that are no good change nothing, and neither does what must not change."""
        if self._reread is None or self.tune is None:
            return
        try:
            new = self._reread()
        except SettingsError as error:
            self._events.emit("settings_refused", error=str(error))
            return
        made = with_live(self._cloud, new)
        taken, left = changed(self._cloud, made), changed(made, new)
        await self.tune(made)
        self._cloud = made
        self._events.emit("settings_read", taken_up=taken)
        for where in left:
            self._events.emit("setting_needs_restart", setting=where)
