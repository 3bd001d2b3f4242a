"""When bugs are too many. Law: it counts bugs alone, opens at one too many in a window, and stays open until a restart.

What a faulty deployment would set aside one by one, record after record, must not drain a topic into its dead letters.
Source: contract section 8 (STOCK_BREAKER_FAULTS, STOCK_BREAKER_WINDOW_S).
"""

from collections import deque
from dataclasses import dataclass, field

from stock_worker.faults import Stop


class Held(Stop):
    """The breaker opened: too many bugs in its window."""


@dataclass(slots=True)
class Breaker:
    """Counts bugs; opens at `faults` within `window_s`, and stays open until the process is started anew."""

    faults: int
    window_s: float
    is_open: bool = False
    _times: deque[float] = field(default_factory=deque)

    def count(self, now: float) -> None:
        """Count one bug. Raises Held when it is one too many."""
        self._times.append(now)
        while self._times[0] < now - self.window_s:
            self._times.popleft()
        if len(self._times) >= self.faults:
            self.is_open = True
            raise Held(f"{len(self._times)} bugs within {self.window_s:g} s")
