"""The one classifier of answers: not processed, refused, unknown. Nothing else looks at status codes.

Sources of fact: scantrust-api.md, "Hosts, auth, errors, limits". The question behind every verdict is whether the API
may have processed the request; where that is not certain, the verdict is `UNKNOWN`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from syncer.api.transport import Reply

RETRY_AFTER_DEFAULT_S = 1.0
RETRY_AFTER_MAX_S = 900.0
_SECONDS = re.compile(r"available in (\d+) second")


class Verdict(StrEnum):
    """What an answer, or its absence, says about the request."""

    OK = "ok"
    """Processed: 2xx. (A 2xx that cannot be read becomes `UNKNOWN` in the client.)"""
    REFUSED = "refused"
    """Not processed, because the request itself is at fault: 400, 406 and other 4xx."""
    NOT_PROCESSED = "not_processed"
    """Not processed, and may be made again: 429, connection refused, DNS, TLS."""
    DENIED = "denied"
    """Not processed, because the token or a permission is missing: 401, 403."""
    MISDIRECTED = "misdirected"
    """Not processed, because this is not the API's address: 3xx, 404, 405."""
    UNKNOWN = "unknown"
    """Nobody knows: time-out, reset, 5xx, an answer that cannot be read."""


def classify(reply: Reply) -> Verdict:
    """Return the verdict on a reply."""
    code = reply.status_code
    if code is None:
        return Verdict.UNKNOWN if reply.sent else Verdict.NOT_PROCESSED
    if 200 <= code < 300:
        return Verdict.OK
    if code == 429:
        return Verdict.NOT_PROCESSED
    if code in {401, 403}:
        return Verdict.DENIED
    if code in {404, 405} or 300 <= code < 400:
        return Verdict.MISDIRECTED
    if code == 408 or not 400 <= code < 500:
        return Verdict.UNKNOWN
    return Verdict.REFUSED


def retry_after_s(reply: Reply, now: datetime | None = None) -> float | None:
    """Return how long a 429 asks to wait: its header, else the number in its body, else a second; None for others."""
    if reply.status_code != 429:
        return None
    seconds = _from_header(reply.headers, now or datetime.now(UTC))
    if seconds is None:
        found = _SECONDS.search(reply.body[:1000].decode("utf-8", "replace"))
        seconds = float(found[1]) if found else RETRY_AFTER_DEFAULT_S
    return min(max(seconds, 0.0), RETRY_AFTER_MAX_S)


def _from_header(headers: Mapping[str, str], now: datetime) -> float | None:
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        until = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    return (until - now).total_seconds() if until.tzinfo is not None else None
