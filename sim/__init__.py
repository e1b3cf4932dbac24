"""The simulator: the production actors under virtual time.

A reader's map:

- `sim.scenario`: `Scenario`, a story in a cloud told in a few lines, for whoever wants to see what happens when;
- `sim.clock`: `SimLoop`, the event loop whose time is virtual, and `run`, which runs a coroutine function under one;
- `sim.ports`: what a simulated process gets for its ports `Clock`, `Ids` and `Random`;
- `sim.world`: `World`, a whole deployment in one process: every actor over memory ports, a client to make it move, and
  the truth to judge it by.

Nothing imports `sim` except tests.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sim.scenario import Move, Scenario

__all__ = ["Move", "Scenario"]


def __getattr__(name: str) -> object:
    # Late: whoever wants the loop alone need not load a whole cloud.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from sim import scenario  # noqa: PLC0415 - see above.

    return getattr(scenario, name)
