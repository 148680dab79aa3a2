"""When a commit is due that no round asks for, so that a kill costs little however long a round takes."""

from __future__ import annotations

import time
from collections.abc import Callable

DEAREST = 0.05  # share of the time that commits by the clock may take at most


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

    def committed(self, began: float) -> None:
        """A commit that began at that time is done."""
        self._last = self.clock()
        self.every = max(self.seconds, (self._last - began) / DEAREST)
