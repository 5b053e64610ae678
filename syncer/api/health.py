"""Is the API answering? Backing off while it fails, and giving up after `give_up_after_s` without one success. Pure.

One lost answer is noise and costs no pause. From the second failure in a row on, calls pause for a time that doubles
up to `PAUSE_MAX_S`, and one call at a time asks whether things are better; the first success ends it. Being throttled
is no failure, but no success either: it counts towards giving up, and its pauses grow, too.
"""

from __future__ import annotations

from syncer.process.times import wait_asked

PAUSE_FIRST_S = 0.25
PAUSE_MAX_S = 30.0


class Health:
    """What the last answers say about the API. All times are monotonic seconds."""

    def __init__(self, give_up_after_s: float) -> None:
        self._give_up_after_s = give_up_after_s
        self._failures = 0
        self._throttles = 0
        self._throttled_until_s = 0.0
        self._asked_s = 0.0
        self._failing_since_s: float | None = None
        self.not_before_s = 0.0
        self.last_failure = ""
        self.successes = 0
        """How often the API was seen at work."""
        self.success_s: float | None = None
        """When it was last."""

    def succeeded(self, now_s: float = 0.0) -> None:
        """Take note of an answer that shows the API at work."""
        self.successes += 1
        self.success_s = now_s
        self._failures = self._throttles = 0
        self._asked_s = 0.0
        self._failing_since_s = None
        self.not_before_s = 0.0

    def rest(self) -> None:
        """Take note that no call waits: the time until the next one is none in which the API fails."""
        self._failing_since_s = None
        self._asked_s = 0.0

    def failed(self, now_s: float, words: str) -> None:
        """Take note of an answer that was lost, or of a call that could not be made."""
        self._failures += 1
        self.last_failure = words
        if self._failing_since_s is None:
            self._failing_since_s = now_s
        if self._failures > 1:
            self.not_before_s = now_s + self._pause_s(self._failures)

    def throttled(self, now_s: float, asked_s: float) -> float:
        """Take note that the API asked to wait `asked_s`; return for how long; it grows when it asks again."""
        if self._failing_since_s is None:
            self._failing_since_s = now_s
        if now_s >= self._throttled_until_s:  # of calls made at the same time each is told the same
            self._throttles += 1
        self._asked_s = asked_s
        self.last_failure = f"throttled: the API asks to wait {wait_asked(asked_s)}"
        pause_s = max(asked_s, self._pause_s(self._throttles) if self._throttles > 1 else 0.0)
        pause_s = min(pause_s, self._give_up_after_s)
        self._throttled_until_s = now_s + pause_s
        return pause_s

    def _pause_s(self, times: int) -> float:
        return min(PAUSE_FIRST_S * 2.0 ** min(times - 2, 10), PAUSE_MAX_S, self._give_up_after_s / 4)

    @property
    def troubled(self) -> bool:
        """Whether only one call at a time should be made, to see if things are better."""
        return self._failures > 2

    def given_up(self, now_s: float) -> bool:
        """Tell whether the API has failed for too long without one success, or asks for a longer wait than that."""
        if self._failing_since_s is None:
            return False
        return self._asked_s > self._give_up_after_s or now_s - self._failing_since_s >= self._give_up_after_s
