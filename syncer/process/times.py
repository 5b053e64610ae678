"""Times as people read and write them: dates and ages of options, and how long something took or waits. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta

from syncer.errors import UsageError

_ISO = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,6})?)?\s?(?:Z|[+-]\d\d:?\d\d)?)?", re.ASCII)


_UNITS_S = {"m": 60, "h": 3_600, "d": 86_400}


def parse_age(text: str, option: str, command: str) -> float:
    """Return the seconds of an age like ``90m``, ``26h`` or ``3d``; raise `UsageError` for everything else."""
    shaped = re.fullmatch(r"(\d{1,6})([mhd])", text.strip(), re.ASCII)
    if shaped is None:
        words = f"{option} {text!r} is no age, like 90m, 26h or 3d"
        raise UsageError(words, remedy="take minutes, hours or days", next=f"syncer {command} --help")
    return float(shaped[1]) * _UNITS_S[shaped[2]]


def duration(seconds: float) -> str:
    """Write how long something is, in the two greatest units: `3 d 4 h`, `2 min 5 s`, `0.4 s`; never below 0."""
    if seconds < _UNITS_S["m"]:
        return f"{round(max(seconds, 0.0), 1):g} s"
    units, rest = (("d", _UNITS_S["d"]), ("h", _UNITS_S["h"]), ("min", _UNITS_S["m"]), ("s", 1)), int(seconds)
    place = next(n for n, (_, size) in enumerate(units) if rest >= size)
    (unit, size), words = units[place], ""
    if place + 1 < len(units) and (more := rest % size // units[place + 1][1]):
        words = f" {more} {units[place + 1][0]}"
    return f"{rest // size:,} {unit}{words}"


def wait_asked(seconds: float) -> str:
    """Write for how long somebody else asks us to wait: as people read it, and as it was asked."""
    return duration(seconds) if seconds < _UNITS_S["m"] else f"{duration(seconds)} ({seconds:.0f} s)"


def parse_moment(text: str, option: str, command: str) -> datetime:
    """Return the moment that `text` names, in UTC: ``2026-11-20``, ``2026-11-20T07:00:00+02:00``, ``… 05:00Z``.

    A date is its first moment; without an offset a time is UTC. Raises `UsageError` for everything else: a time that
    is read in another way than it was meant gives an empty or a whole history without a word.
    """
    shaped = _ISO.fullmatch(text.strip())
    try:
        if shaped is None:
            raise ValueError
        found = datetime.fromisoformat(re.sub(r"\s(?=[Z+-])", "", text.strip()).replace(",", "."))
    except ValueError:
        words = f"{option} {text!r} is no ISO date or time, like 2026-11-20, 2026-11-20T05:00:00Z or …T07:00:00+02:00"
        remedy = "write the time as YYYY-MM-DD or YYYY-MM-DDTHH:MM:SS with Z or an offset"
        raise UsageError(words, remedy=remedy, next=f"syncer {command} --help") from None
    try:
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except OverflowError:
        words = f"{option} {text!r} lies before the year 1 or after the year 9999 in UTC"
        remedy = "leave the option out, or name a time in between"
        raise UsageError(words, remedy=remedy, next=f"syncer {command} --help") from None


def day_later(moment: datetime) -> str | None:
    """Write the moment a day after one in UTC, as `parse_moment` reads it; None after the year 9999."""
    try:
        later = moment + timedelta(days=1)
    except OverflowError:
        return None
    return later.date().isoformat() if later.time() == time() else later.isoformat().replace("+00:00", "Z")
