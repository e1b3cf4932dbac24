"""The simulator: the production actors under virtual time.

A reader's map:

- `sim.clock`: `SimLoop`, the event loop whose time is virtual, and `run`, which runs a coroutine function under one;
- `sim.ports`: what a simulated process gets for its ports `Clock`, `Ids` and `Random`.

Nothing imports `sim` except tests.
"""
