"""What hypervisors are called for in the simulator: how long each call takes, and whether it would change something."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.compute.drivers.base import Power

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from actors.compute.drivers.base import GuestState

#: How long each call takes, from and to, in virtual seconds.
DURATIONS_S: Final[Mapping[str, tuple[float, float]]] = {
    "guests": (0.01, 0.05),
    "guest": (0.01, 0.05),
    "spawn": (2.0, 8.0),
    "define": (0.1, 0.5),
    "power_on": (0.1, 0.5),
    "power_off": (0.5, 2.0),
    "pause": (0.01, 0.05),
    "unpause": (0.01, 0.05),
    "suspend": (0.5, 2.0),
    "snapshot": (1.0, 5.0),
    "live_snapshot": (1.0, 5.0),
    "connect_volume": (0.01, 0.05),
    "disconnect_volume": (0.01, 0.05),
    "copy_volume": (0.1, 0.5),
    "save": (0.1, 0.5),
    "restore": (0.1, 0.5),
    "receive": (0.1, 0.5),
    "prepare_disk": (2.0, 8.0),
    "replace_disk": (0.1, 0.5),
    "restore_disk": (0.1, 0.5),
    "keep_disk": (0.1, 0.5),
    "apply_network": (0.01, 0.05),
    "networks": (0.01, 0.05),
    "undefine": (0.1, 0.5),
    "destroy": (0.1, 0.5),
}

#: Whether a call would change something, given what there is of the guest; of a call that is not here: never.
CHANGES: Final[Mapping[str, Callable[[GuestState | None], bool]]] = {
    "spawn": lambda state: state is None or state.power is not Power.RUNNING,
    "define": lambda state: state is None or state.power is not Power.RUNNING,
    "power_on": lambda state: state is not None and state.power is not Power.RUNNING,
    "power_off": lambda state: state is not None and state.power is not Power.SHUTDOWN,
    "pause": lambda state: state is not None and state.power is Power.RUNNING,
    "unpause": lambda state: state is not None and state.power is Power.PAUSED,
    "suspend": lambda state: state is not None and state.power.is_on,
    "snapshot": lambda state: state is not None and state.power is not Power.RUNNING,  # It would make an image.
    "live_snapshot": lambda state: state is not None,
    "connect_volume": lambda state: state is not None and state.is_defined,
    "disconnect_volume": lambda state: state is not None and state.is_defined,
    "copy_volume": lambda state: state is not None and state.is_defined,
    "save": lambda state: state is not None and state.power is not Power.SHUTDOWN,
    "restore": lambda state: state is not None and state.power is not Power.RUNNING,
    "receive": lambda state: state is None or state.power is not Power.RUNNING,
    "prepare_disk": lambda state: state is not None and state.has_disk,
    "replace_disk": lambda state: state is not None and state.has_spare,
    "restore_disk": lambda state: state is not None and state.has_spare,
    "keep_disk": lambda state: state is not None and state.has_spare,
    "apply_network": lambda state: state is not None and state.is_defined,
    "undefine": lambda state: state is not None and state.is_defined,
    "destroy": lambda state: state is not None,
}
