"""Is the API answering? Backing off while it fails, and giving up after `give_up_after_s` without one success. Pure.

One lost answer is noise and costs no pause. From the second failure in a row on, calls pause for a time that doubles
up to `PAUSE_MAX_S`, and one call at a time asks whether things are better; the first success ends it.
"""

from __future__ import annotations

PAUSE_FIRST_S = 0.25
PAUSE_MAX_S = 30.0


class Health:
    """What the last answers say about the API. All times are monotonic seconds."""

    def __init__(self, give_up_after_s: float) -> None:
        self._give_up_after_s = give_up_after_s
        self._failures = 0
        self._failing_since_s: float | None = None
        self.not_before_s = 0.0
        self.last_failure = ""

    def succeeded(self) -> None:
        """Take note of an answer that shows the API at work."""
        self._failures = 0
        self._failing_since_s = None
        self.not_before_s = 0.0

    def failed(self, now_s: float, words: str) -> None:
        """Take note of an answer that was lost, or of a call that could not be made."""
        self._failures += 1
        self.last_failure = words
        if self._failing_since_s is None:
            self._failing_since_s = now_s
        if self._failures > 1:
            pause_s = min(PAUSE_FIRST_S * 2 ** min(self._failures - 2, 10), PAUSE_MAX_S)
            self.not_before_s = now_s + min(pause_s, self._give_up_after_s / 4)

    @property
    def troubled(self) -> bool:
        """Whether only one call at a time should be made, to see if things are better."""
        return self._failures > 2

    def given_up(self, now_s: float) -> bool:
        """Tell whether the API has failed for too long without one success."""
        return self._failing_since_s is not None and now_s - self._failing_since_s >= self._give_up_after_s
