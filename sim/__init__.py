"""The simulator: the production actors under virtual time.

A reader's map:

- `sim.clock`: `SimLoop`, the event loop whose time is virtual, and `run`, which runs a coroutine function under one;
- `sim.ports`: what a simulated process gets for its ports `Clock`, `Ids` and `Random`;
- `sim.world`: `World`, a whole deployment in one process: every actor over memory ports, a client to make it move, and
  the truth to judge it by.

Nothing imports `sim` except tests.
"""
