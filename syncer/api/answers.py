"""What every answer of the API has, whatever was asked; each client adds its own members in a class of its own.

What always holds: an answer is a value, never an exception of the network; its words are one bounded line, without the
token and without control characters.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypedDict, TypeVar

from syncer.api.classify import Verdict, classify, is_page, retry_after_s, timed_out
from syncer.api.words import body_text, complaint, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from syncer.api.transport import Reply, Transport
    from syncer.api.wire import UnreadableError

S = TypeVar("S", bound="Speaker")
GRACE_S = 1.0
"""How long after the deadline an answer may still come to a call that reads: most are under way for less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What every answer has. Times are monotonic seconds; ``body_text`` is what a refusal said, as the API wrote it.

    ``page`` is whether a page for people came in place of the API's words, ``timed_out`` whether the answer took too
    long. ``arrived_by_s`` and ``took_s`` are for `UpdateLimiter.answered`: by when the request had arrived at the
    latest, and how long its answer took (None when it was lost, or the connection was fresh).
    """

    verdict: Verdict
    status_code: int | None = None
    message: str = ""
    body_text: str = field(default="", repr=False)
    retry_after_s: float | None = None
    calls: int = 1
    answered_s: float = 0.0
    arrived_by_s: float = 0.0
    took_s: float | None = None
    page: bool = False
    timed_out: bool = False


class Common(TypedDict, total=False):
    """The members of an `Answer`, as a client hands them to its own class."""

    verdict: Verdict
    status_code: int | None
    message: str
    body_text: str
    retry_after_s: float | None
    calls: int
    answered_s: float
    arrived_by_s: float
    took_s: float | None
    page: bool
    timed_out: bool


class Speaker:
    """What clients share: one `Transport`, and how what it brings becomes members of an answer. Used by one thread."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def speaking(self, kind: type[S]) -> S:
        """Return a client of another kind that calls over the same connection."""
        return kind(self._transport)

    @contextmanager
    def until(self, deadline_s: float | None) -> Iterator[None]:
        """Let no call inside last beyond a deadline (monotonic; None: there is none) and its grace: for reads alone."""
        self._transport.end_s = None if deadline_s is None else deadline_s + GRACE_S
        try:
            yield
        finally:
            self._transport.end_s = None

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()

    def abort(self) -> None:
        """End the call under way, and every later one; for another thread."""
        self._transport.abort()

    def _common(self, reply: Reply, *, is_update: bool = False) -> Common:
        verdict = classify(reply, is_update=is_update)
        return {
            "verdict": verdict,
            "status_code": reply.status_code,
            "message": "" if verdict is Verdict.OK else self._shown(complaint(reply)),
            "body_text": body_text(reply) if verdict is Verdict.REFUSED else "",
            "retry_after_s": retry_after_s(reply),
            "page": is_page(reply),
            "timed_out": timed_out(reply),
            "answered_s": reply.answered_s,
            "arrived_by_s": reply.arrived_by_s,
            "took_s": None if reply.failure or reply.fresh_connection else reply.answered_s - reply.sent_s,
        }

    def _unreadable(self, reply: Reply, error: UnreadableError) -> Common:
        """Return the members of an answer that came and cannot be read: what was asked may have been done."""
        message = self._shown(complaint(reply) if is_page(reply) else f"status {reply.status_code}, but {error}")
        return {**self._common(reply), "verdict": Verdict.UNKNOWN, "message": message}

    def _shown(self, text: str) -> str:
        """Return words for people: a token too short to be taken out of the whole answer is taken out of them."""
        return one_line(self._transport.masked(text))
