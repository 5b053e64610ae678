"""How large a call may be, as far as the API's answers taught: too large is refused, or not answered in time. Pure.

What was refused for its size is never tried again. A time-out may have been the network's, so after a number of good
calls of that kind twice the size is tried; each further time-out, of any kind, doubles that number.
"""

from __future__ import annotations

GOOD_CALLS = 20


class Sizes:
    """Most values of a call, by kind."""

    def __init__(self) -> None:
        self._refused: dict[str, int] = {}
        self._slow: dict[str, int] = {}
        self._good: dict[str, int] = {}
        """Good calls since the last time-out of that kind; only of kinds that had one."""
        self._good_enough = GOOD_CALLS

    def most(self, kind: str, size: int) -> int:
        """Return how many values of `size` a call of this kind may carry."""
        return min(size, self._refused.get(kind, size), self._slow.get(kind, size))

    def refused(self, kind: str, size: int) -> None:
        """Take note that a call of `size` values was too large."""
        self._refused[kind] = max(1, size // 2)

    def timed_out(self, kind: str, size: int) -> None:
        """Take note that a call of `size` values was not answered in time."""
        self._slow[kind] = max(1, size // 2)
        self._good[kind] = 0
        self._good_enough *= 2

    def answered(self, kind: str, size: int) -> None:
        """Take note that a call of `size` values was answered in time."""
        if kind not in self._slow or size < self._slow[kind]:
            return
        self._good[kind] += 1
        if self._good[kind] >= self._good_enough:
            self._good[kind] = 0
            self._slow[kind] = size * 2
