"""Asking again, within bounds: backing off while the API fails, and stopping for what no patience can mend.

What always holds: a refusal of access stops at once; an API that has not answered well for ``give_up_after_s`` stops;
every wait looks at the deadline and at signals.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from syncer.api.classify import Verdict
from syncer.api.health import Health
from syncer.errors import AccessError, DeadlineError, UnreachableError

if TYPE_CHECKING:
    from syncer.api.client import Answer
    from syncer.process.clock import Clock
    from syncer.process.signals import Interrupt

log = logging.getLogger(__name__)
A = TypeVar("A", bound="Answer")
SLICE_S = 0.2
"""How long a signal can wait to be seen."""
RESUME = "syncer codes resume"


class Patience:
    """Waits, and knows when to stop waiting; ``again`` is the command that goes on from there."""

    def __init__(
        self,
        clock: Clock,
        interrupt: Interrupt,
        *,
        give_up_after_s: float,
        deadline_s: float | None,
        again: str = RESUME,
    ) -> None:
        self._clock = clock
        self._interrupt = interrupt
        self._health = Health(give_up_after_s)
        self._deadline_s = deadline_s
        self._again = again

    def ask(self, call: Callable[[], A]) -> A:
        """Make a call that may be repeated, until it is answered or refused; raise what stops the work."""
        while True:
            answer = call()
            self.note(answer)
            if answer.verdict in {Verdict.OK, Verdict.REFUSED}:
                return answer

    def note(self, answer: Answer) -> None:
        """Take note of an answer: raise what stops the work, wait when it asks to, or when the API is failing."""
        match answer.verdict:
            case Verdict.OK | Verdict.REFUSED:
                self.succeeded()
            case Verdict.DENIED:
                raise AccessError(f"the API refused access: {answer.message}")
            case Verdict.MISDIRECTED:
                words = f"what answers at api.base_url is not what was asked for: {answer.message}"
                raise UnreachableError(words, next="correct api.base_url, then: syncer check")
            case Verdict.NOT_PROCESSED if answer.retry_after_s is not None:
                log.warning("throttled: the API asks to wait %g s", answer.retry_after_s)
                now_s = self._clock.monotonic_s()
                pause_s = self._health.throttled(now_s, answer.retry_after_s)
                self._stop_if_given_up(now_s)
                self.wait(pause_s)
            case _:
                self.failed(answer.message)

    def succeeded(self) -> None:
        """Take note that the other side is at work."""
        self._health.succeeded()

    def failed(self, words: str) -> None:
        """Take note of a failure; wait before the next try, or raise when there have been enough."""
        log.warning("a call failed: %s", words)
        now_s = self._clock.monotonic_s()
        self._health.failed(now_s, words)
        self._stop_if_given_up(now_s)
        self.wait(max(0.05, self._health.not_before_s - now_s))

    def _stop_if_given_up(self, now_s: float) -> None:
        if self._health.given_up(now_s):
            words = f"there was no answer for too long; the last failure: {self._health.last_failure}"
            raise UnreachableError(words, next=self._again)

    def wait(self, seconds: float) -> None:
        """Let time pass; raise when the deadline or a signal comes first."""
        until_s = self._clock.monotonic_s() + seconds
        while True:
            self._interrupt.check(f"while waiting; to go on: {self._again}")
            now_s = self._clock.monotonic_s()
            if self._deadline_s is not None and now_s >= self._deadline_s:
                raise DeadlineError("the deadline came before the end of the work", next=self._again)
            if now_s >= until_s:
                return
            self._clock.sleep_s(min(SLICE_S, until_s - now_s))
