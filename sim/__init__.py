"""The simulator: the production actors under virtual time.

A reader's map:

- `sim.scenario`: `Scenario`, a story in a cloud told in a few lines, for whoever wants to see what happens when; what
  it stands on is in `sim.stages`: the inner level, the loop, or a real RabbitMQ;
- `sim.clock` with `sim.loop`: `SimLoop`, the event loop whose time is virtual, and `run`, which runs a coroutine
  function under one;
- `sim.world`: `World`, a whole deployment in one process, with its processes (`sim.machines`), its users and the truth
  to judge it by; `sim.brokers` and `sim.edges` (disks, hypervisors, partners, clocks) stand in for the world outside;
- `sim.faults`: the vocabulary of what goes wrong; `sim.injector` and `sim.director` let it happen;
- `sim.history`: what has happened, line by line, and its hash; `sim.checkers` and `sim.probes` listen to it;
- `sim.cases`: what decides a run, and how a seed makes one; `sim.running` runs it, `sim.inner` runs it without a loop;
- `sim.shrink`, `sim.exhaustive`, `sim.telling`, `sim.diagram`, `sim.commands`: what people have of it.

Nothing imports `sim` except tests; the command line finds its commands by an entry point.
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
