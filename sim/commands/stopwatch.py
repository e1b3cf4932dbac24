"""How much real time something takes: only the commands look at it, and nothing in a run ever does."""

import time


class Stopwatch:
    """Counts real seconds from when it was made."""

    def __init__(self) -> None:
        self._begun_s = time.perf_counter()

    @property
    def elapsed_s(self) -> float:
        """How long it has been."""
        return time.perf_counter() - self._begun_s
