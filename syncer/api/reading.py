"""Reads made one after the other, outside an engine: lists that are pulled, single look-ups.

What always holds: the API's limit for reads is kept and its throttling obeyed; a read that failed is made again until
the API has failed for ``give_up_after_s`` without one success; a signal or the deadline ends every wait within a
moment. Only reads go through here: making one again harms nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from syncer.api.classify import Verdict
from syncer.api.health import Health
from syncer.errors import AccessError, DeadlineError, SignalError, SyncerError, UnreachableError
from syncer.process.clock import Clock, utc_text

if TYPE_CHECKING:
    from syncer.api.client import Answer, Client
    from syncer.api.limits import ReadLimiter
    from syncer.process.signals import Interrupt

log = logging.getLogger(__name__)
A = TypeVar("A", bound="Answer")
UNAUTHENTICATED = 401
FORBIDDEN = 403
AGAIN = "run the same command again"
WAIT_STEP_S = 0.1
"""Waits are cut into steps of this length, between which a signal is looked for."""


class ForbiddenError(AccessError):
    """The token works, but lacks the permission for this read (403)."""


@dataclass(slots=True)
class RequestCounts:
    """Calls made by this process, as ``requests`` of the contract counts them."""

    updates: int = 0
    reads: int = 0
    throttled: int = 0
    retries: int = 0


@dataclass(slots=True)
class Reader:
    """Makes reads. ``deadline_s`` is monotonic; ``counts`` may be shared with an engine, so that all reads add up.

    ``poll_s`` is how long to wait, at first, before a list that changed is read again.
    """

    client: Client
    clock: Clock
    limiter: ReadLimiter
    interrupt: Interrupt
    give_up_after_s: float
    poll_s: float = 2.0
    deadline_s: float | None = None
    counts: RequestCounts = field(default_factory=RequestCounts)
    worked: bool = False
    """Whether any read was answered: the API was there."""

    def ask(self, call: Callable[[Client], A], *, refusable: bool = False) -> A:
        """Return the first answer that was processed; raise `SyncerError` when there will be none.

        ``refusable``: a refusal is an answer, too, unless it is of the token itself.
        """
        health = Health(self.give_up_after_s)
        while True:  # bounded by `give_up_after_s`, by the deadline, or by the first success
            self._wait(max(self.limiter.next_s(self.clock.monotonic_s()), health.not_before_s))
            self.limiter.started(self.clock.monotonic_s())
            answer = call(self.client)
            self.counts.reads += answer.calls
            now_s = self.clock.monotonic_s()
            match answer.verdict:
                case Verdict.OK:
                    self.worked = True
                    return answer
                case Verdict.NOT_PROCESSED if answer.retry_after_s is not None:
                    self.counts.throttled += 1
                    log.warning("throttled: the API asks to wait %g s", answer.retry_after_s)
                    self.limiter.throttled(now_s + health.throttled(now_s, answer.retry_after_s))
                    self._stop_if_given_up(health, now_s)
                case Verdict.NOT_PROCESSED | Verdict.UNKNOWN | Verdict.MISDIRECTED if self._may_mend(answer, refusable):
                    log.warning("a read failed (%s): %s", answer.verdict, answer.message)
                    health.failed(now_s, answer.message)
                    self.counts.retries += 1
                    self._stop_if_given_up(health, now_s)
                case _ if refusable and answer.status_code != UNAUTHENTICATED:
                    return answer
                case _:
                    raise refusal(answer)

    def _may_mend(self, answer: Answer, refusable: bool) -> bool:
        """Tell whether asking again may help: a page where the API was a moment ago is that of a deployment."""
        return answer.verdict is not Verdict.MISDIRECTED or (answer.page and self.worked and not refusable)

    def _stop_if_given_up(self, health: Health, now_s: float) -> None:
        if health.given_up(now_s):
            raise UnreachableError(
                f"the API has failed for {self.give_up_after_s:g} s without one success; "
                f"the last failure: {health.last_failure}",
                next=f"syncer check, then {AGAIN}",
            )

    def close(self) -> None:
        """Close the connection."""
        self.client.close()

    def pause(self, seconds: float) -> None:
        """Wait, unless a signal or the deadline comes first, which raises."""
        self._wait(self.clock.monotonic_s() + seconds)

    def at(self) -> str:
        """Return the wall time as the ledger writes it."""
        return utc_text(self.clock.wall_s())

    def _wait(self, until_s: float) -> None:
        while True:  # bounded: every step but the last takes `WAIT_STEP_S`
            try:
                self.interrupt.check("while reading; nothing was changed")
            except SignalError as error:
                error.next = AGAIN
                raise
            now_s = self.clock.monotonic_s()
            if self.deadline_s is not None and now_s >= self.deadline_s:
                raise DeadlineError("the deadline came while reading; nothing was changed", next=AGAIN)
            if now_s >= until_s:
                return
            self.clock.sleep_s(min(until_s - now_s, WAIT_STEP_S))


def refusal(answer: Answer) -> SyncerError:
    """Return the error of an answer that will not get better by asking again."""
    if answer.verdict is Verdict.DENIED:
        kind = ForbiddenError if answer.status_code == FORBIDDEN else AccessError
        return kind(f"the API refused access: {answer.message}")
    if answer.verdict is Verdict.MISDIRECTED:
        return UnreachableError(
            f"what answers at api.base_url is not the API: {answer.message}",
            next="correct api.base_url, then: syncer check",
        )
    return SyncerError(f"the API refused a read: {answer.message}")
