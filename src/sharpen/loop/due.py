"""When a commit is due that no round asks for, so that a kill costs little however long a round takes."""

from __future__ import annotations

import time
from collections.abc import Callable

DEAREST = 0.02  # share of the time that commits by the clock may take at most


class Due:
    """Asked after every step: have `seconds` gone by since the last commit?

    Where a commit takes so long that more than DEAREST of the time would go into them, they come less often.

    clock  seconds that only grow; tests have one that counts events
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock, self.seconds, self.every = clock, seconds, seconds
        self._last = clock()

    def __call__(self) -> bool:
        return self.clock() - self._last >= self.every

    def committed(self, began: float, beside: float = 0.0) -> None:
        """A commit that began at that time is done, but for what goes on beside the run: seconds, as the last one took."""
        self._last = self.clock()
        beside = beside if self.clock is time.monotonic else 0.0  # a clock that counts events has no seconds
        self.every = max(self.seconds, (self._last - began + beside) / DEAREST)
