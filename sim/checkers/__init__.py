"""Checkers: the invariants of the protocol fed with the truth, and finer oracles over histories, judged line by line.

What is judged is the simulated world (wires, stores, hypervisors), never what an actor believes.  `ORACLES` lists the
oracles: each has a name, a promise of one sentence, and the letters of that promise in the reference on reliability.
"""

from sim.checkers.judging import Watch, watch
from sim.checkers.oracle import Oracle
from sim.checkers.table import ORACLES

__all__ = ["ORACLES", "Oracle", "Watch", "watch"]
