"""The one classifier of answers: not processed, refused, unknown. Nothing else looks at status codes.

Sources of fact: docs/api.md, "Hosts, auth, errors, limits". The question behind every verdict is whether the API
may have processed the request; where that is not certain, the verdict is `UNKNOWN`.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from syncer.api.wire import speaks

if TYPE_CHECKING:
    from syncer.api.transport import Reply

RETRY_AFTER_DEFAULT_S = 1.0
RETRY_AFTER_MAX_S = 30 * 86_400.0
"""A month: what asks for more is no answer that a program could wait for."""
_SECONDS = re.compile(r"available in (\d{1,9}(?:\.\d{1,9})?) second")
_NUMBER = re.compile(r"\d+(?:\.\d*)?", re.ASCII)
FORBIDDEN = 403
NOT_FOUND = 404
JUDGED = frozenset({400, NOT_FOUND, 406, 422})
"""What the API answers when it has looked at the request, and found a fault in it; a 404 says so to an update alone."""
_ELSEWHERE = frozenset({404, 405, 407, 410, 421, 426, 451})
"""Client errors that are about the address or the way to it, not about the request: no row is at fault."""


class Verdict(StrEnum):
    """What an answer, or its absence, says about the request."""

    OK = "ok"
    """Processed: 2xx. (A 2xx that cannot be read becomes `UNKNOWN` in the client.)"""
    REFUSED = "refused"
    """Not processed, because the request itself is at fault: 400, 406, other 4xx, the API's own 404 to an update."""
    NOT_PROCESSED = "not_processed"
    """Not processed, and may be made again: 429, connection refused, DNS, TLS."""
    DENIED = "denied"
    """Not processed, because the token or a permission is missing: 401, 403. (In a page, something else speaks.)"""
    MISDIRECTED = "misdirected"
    """Not processed, because this is not the API's address, or not the way to it: 3xx, 404, 405, 407 and the like; or
    a page for people in place of the API's own 401 or 403."""
    UNKNOWN = "unknown"
    """Nobody knows: time-out, reset, 5xx, an answer that cannot be read."""


def classify(reply: Reply, *, is_update: bool = False) -> Verdict:
    """Return the verdict on a reply; `is_update`: to an update, whose values the API may look up, and not find."""
    code = reply.status_code
    if code is None:
        return Verdict.UNKNOWN if reply.sent else Verdict.NOT_PROCESSED
    if 200 <= code < 300:
        return Verdict.OK
    if code == 429:
        return Verdict.NOT_PROCESSED
    if code == NOT_FOUND and is_update and speaks(reply.body):
        return Verdict.REFUSED
    if code in {401, FORBIDDEN}:
        return Verdict.MISDIRECTED if is_page(reply) else Verdict.DENIED
    if code in _ELSEWHERE or 300 <= code < 400:
        return Verdict.MISDIRECTED
    if code == 408 or not 400 <= code < 500:
        return Verdict.UNKNOWN
    return Verdict.REFUSED


def is_page(reply: Reply) -> bool:
    """Tell whether an answer is a page for people: written by something on the way, not by the API.

    So is every 403 that does not speak as the API does: firewalls answer in text and in JSON of their own, too.
    """
    if reply.status_code == FORBIDDEN:
        return not speaks(reply.body)
    return reply.status_code is not None and reply.body.removeprefix(BOM_UTF8).lstrip()[:1] == b"<"


def timed_out(reply: Reply) -> bool:
    """Tell whether the answer took too long, for us or for a gateway: a smaller call may be answered in time."""
    return reply.status_code in {408, 504} or (reply.status_code is None and reply.sent and reply.timed_out)


def retry_after_s(reply: Reply) -> float | None:
    """Return how long a 429 asks to wait: its header, else the number in its body, else a second; None for others.

    Between 0 and `RETRY_AFTER_MAX_S`, whatever the server says.
    """
    if reply.status_code != 429:
        return None
    seconds = _from_header(reply)
    if seconds is None:
        found = _SECONDS.search(reply.body[:1000].decode("utf-8", "replace"))
        seconds = float(found[1]) if found else RETRY_AFTER_DEFAULT_S
    return min(max(seconds, 0.0), RETRY_AFTER_MAX_S)


def _from_header(reply: Reply) -> float | None:
    """Read ``Retry-After``: seconds, or a date, which counts from the server's own ``Date``: clocks differ."""
    value = reply.headers.get("Retry-After", "").strip()
    if _NUMBER.fullmatch(value):  # RFC 9110 has whole seconds; some servers write 30.5
        return float(value)
    until_s = _epoch_s(value)
    if until_s is None:
        return None
    sent_s = _epoch_s(reply.headers.get("Date", ""))
    return until_s - (reply.answered_wall_s if sent_s is None else sent_s)


def _epoch_s(http_date: str) -> float | None:
    """Return a date of HTTP as seconds since the Unix epoch; None when it is none."""
    try:
        date = parsedate_to_datetime(http_date)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError, OSError):
        return None
