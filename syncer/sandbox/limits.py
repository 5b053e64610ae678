"""The API's limits, as Django REST framework counts them: N calls admitted within the last period, per token [P]."""

from __future__ import annotations

import math
from collections import deque


class Throttle:
    """A sliding window: a call is refused when ``limit`` were admitted within the last ``period_s``."""

    def __init__(self, limit: int, period_s: float) -> None:
        self._limit = limit
        self._period_s = period_s
        self._admitted: dict[str, deque[float]] = {}

    def admit(self, token: str, now_s: float) -> int | None:
        """Admit a call, or return after how many whole seconds the next may be made."""
        admitted = self._admitted.setdefault(token, deque())
        while admitted and admitted[0] <= now_s - self._period_s:
            admitted.popleft()
        if len(admitted) >= self._limit:
            return max(1, math.ceil(admitted[0] + self._period_s - now_s))
        admitted.append(now_s)
        return None
