"""Words that more than one report writes; loads nothing."""

from __future__ import annotations

from datetime import datetime


def many(count: int, word: str) -> str:
    """Write how many there are of what ``word`` names: `1 call`, `2,000 calls`."""
    ending = "" if count == 1 else "es" if word.endswith("ch") else "s"
    return f"{count:,} {word}{ending}"


def span(begin: str, end: str) -> str:
    """Write how long it is between two UTC texts, in the two greatest units: `3 d 4 h`, `2 min 5 s`, `0.4 s`."""
    seconds = (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds()
    if seconds < 10:  # noqa: PLR2004
        return f"{max(seconds, 0):.1f} s"
    units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    place = next(n for n, (_, size) in enumerate(units) if seconds >= size)
    (unit, size), rest = units[place], int(seconds)
    words = f"{rest // size} {unit}"
    if place + 1 < len(units) and (more := rest % size // units[place + 1][1]):
        words += f" {more} {units[place + 1][0]}"
    return words
