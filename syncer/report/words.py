"""Words that more than one report writes; loads nothing."""

from __future__ import annotations

from datetime import datetime

from syncer.process.times import duration


def many(count: int, word: str) -> str:
    """Write how many there are of what ``word`` names: `1 call`, `2,000 calls`."""
    ending = "" if count == 1 else "es" if word.endswith("ch") else "s"
    return f"{count:,} {word}{ending}"


def span(begin: str, end: str) -> str:
    """Write how long it is between two UTC texts (`duration`)."""
    return duration((datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds())
