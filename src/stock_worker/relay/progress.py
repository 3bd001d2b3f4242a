"""How far a relay is. Law: nothing is skipped that may still appear, and nothing is called settled that is not.

Rows are read from `after` on, and not from the beginning: while an old snapshot is held anywhere (a backup runs), the
rows that were deleted cannot be cleared away, and every read would walk over all of them. `after` is a seq at or below
which no row can appear any more. That takes three steps: a *mark* is what was published, with the number of the next
transaction to come; it has *ended* when all transactions before that number have; and it is *passed* when a read that
began after that has been published too. Once in a while everything is read from the beginning all the same.
"""

from typing import Final

FROM_THE_START_EVERY_S: Final = 30.0


class Progress:
    """Where one session reads from, and whether all that was under way before is published. Times are monotonic."""

    def __init__(self, newest: int) -> None:
        self.after = 0
        self._unsettled = newest  # what a former life has under way is at most this
        self._published = 0
        self._mark: tuple[int, int] | None = None  # seq, the next transaction then
        self._ended: int | None = None
        self._from_the_start_at = 0.0

    @property
    def settled(self) -> bool:
        """Whether all that may have been under way at a fault, here or in a former life, is published since."""
        return self._unsettled == 0

    def failed(self, last: int) -> None:
        """Rows up to `last` are under way, or not; they are read again."""
        self._unsettled = max(self._unsettled, last)
        self.restart()

    def restart(self) -> None:
        """Read from the beginning: after a fault, and when shards have come."""
        self.after = self._published = 0
        self._mark = self._ended = None

    def passed(self, last: int | None, *, whole: bool) -> None:
        """All rows of a read are published: `last` is the seq of the last one, `whole` if the read met the end."""
        if last is not None:
            self._published = last
        if whole or (last is not None and last >= self._unsettled):
            self._unsettled = 0
        if self._ended is not None and (whole or (last is not None and last >= self._ended)):
            self.after, self._ended = self._ended, None

    def horizon(self, oldest: int, following: int, now: float) -> None:
        """Learn which transaction is the oldest open one, and which number the next to come will have."""
        if now - self._from_the_start_at > FROM_THE_START_EVERY_S:
            self._from_the_start_at = now
            self.after, self._mark, self._ended = 0, None, None
        if self._mark and oldest >= self._mark[1]:
            self._ended, self._mark = self._mark[0], None
        if self._mark is None and self._ended is None and self._published > self.after:
            self._mark = self._published, following
