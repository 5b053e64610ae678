"""What is sent of one cell, as the rules of its field say, or why its row is rejected. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Protocol

from syncer.errors import did_you_mean

_STATUS = {"inactive": "0", "active": "1", "blacklisted": "2", "0": "0", "1": "1", "2": "2"}
_INTEGER = re.compile(r"[+-]?[0-9]+")
_REASON = re.compile("0*(10|[0-9])")  # [P]
_FIGURES_ALONE = re.compile("%[dmYyjHMSIGVu]%[dmYyjHMSIGVu]")
_FIRST_YEAR = 1000  # before it are two digits that were filled up, or a program's word for nothing

MARK = "\ufeff"
"""A byte order mark: where two files were put together, it stands before what was the first cell of the second."""

DAY = "\0"
"""Stands before the text of a cell that was a date in its source, while rules run; no cell has it (E103)."""

Rule = Callable[[str], tuple[str | None, str | None, str]]
"""From a cell to (what is sent; None: left alone, rejection code or None, words)."""


class CellRule(Protocol):
    """What a job declares of the cells of one field, once their steps are done."""

    @property
    def type(self) -> str: ...
    @property
    def formats(self) -> Sequence[str]: ...
    @property
    def choices(self) -> Sequence[str]: ...
    @property
    def required(self) -> bool: ...
    @property
    def max_length(self) -> int | None: ...


def make_rule(scm: str, rule: CellRule, blank: str) -> Rule:
    """Return the function that checks and normalises one cell of a field."""
    value_rule = _value_rule(scm, rule)

    def check(cell: str) -> tuple[str | None, str | None, str]:
        if cell.startswith(MARK):
            return None, "E203", "begins with the mark that stands before a file: were two files put together?"
        if cell.startswith(DAY):
            cell = cell[len(DAY) :]
            value = _text if rule.type == "date" else value_rule
        else:
            value = value_rule
        if _is_blank(cell):
            if rule.required:
                return None, "E301", "is required and blank"
            if blank == "reject":
                return None, "E302", "is blank"
            empties = blank == "clear" and scm not in _SPECIAL  # these are always something
            return ("" if empties else None), None, ""
        if rule.max_length is not None and len(cell) > rule.max_length:
            return None, "E306", f"has {len(cell)} characters, {rule.max_length} are allowed"
        return value(cell)

    return check


def _value_rule(scm: str, rule: CellRule) -> Rule:
    """Return what judges a cell that is not blank."""
    special = _SPECIAL.get(scm)
    if special is not None:
        return partial(_special_choice, special=special, choices=rule.choices) if rule.type == "choice" else special
    if rule.type == "date":
        return partial(_date, formats=rule.formats)
    if rule.type == "choice":
        return partial(_choice, choices=rule.choices)
    return _integer if rule.type == "integer" else _text


def is_plain(rule: CellRule) -> bool:
    """Tell whether every text that is not blank is right, and is sent as its steps make it."""
    return rule.type == "text" and rule.max_length is None


def keeps_text(scm: str, rule: CellRule) -> bool:
    """Tell whether the rule of a field sends every cell that is not blank as it stands."""
    return scm not in _SPECIAL and is_plain(rule)


def _is_blank(cell: str) -> bool:
    """Tell whether nobody sees anything in a cell: white space, and characters that have no shape."""
    rest = cell.strip()
    return not rest or (not rest[0].isprintable() and all(map(_is_unseen, rest)))


def _is_unseen(sign: str) -> bool:
    return sign.isspace() or unicodedata.category(sign) in {"Cc", "Cf"}


def _text(cell: str) -> tuple[str | None, str | None, str]:
    return cell, None, ""


def _status(cell: str) -> tuple[str | None, str | None, str]:
    status = _STATUS.get(cell.strip().lower())
    if status is None:
        return None, "E307", f"{cell!r} is not 0, 1, 2, inactive, active or blacklisted"
    return status, None, ""


def _reason(cell: str) -> tuple[str | None, str | None, str]:
    reason = _REASON.fullmatch(cell.strip())
    if reason is None:
        return None, "E308", f"{cell!r} is not a number from 0 to 10"
    return reason[1], None, ""


_SPECIAL: dict[str, Rule] = {"activation_status": _status, "blacklist_reason": _reason}


def _special_choice(cell: str, *, special: Rule, choices: Sequence[str]) -> tuple[str | None, str | None, str]:
    """Check a cell by what it means: ``active`` and ``1`` are one choice."""
    outcome = special(cell)
    if outcome[0] is None or outcome[0] in {special(word)[0] for word in choices}:
        return outcome
    return None, "E305", f"{cell!r} is not one of {', '.join(choices)}"


def _date(cell: str, *, formats: Sequence[str]) -> tuple[str | None, str | None, str]:
    written, days = cell.strip(), dict[str, None]()
    for form in formats:
        try:
            day = datetime.strptime(written, form)  # noqa: DTZ007  a calendar day
        except ValueError:
            continue
        if day.year >= _FIRST_YEAR and _is_sure(day, form, written):
            days[day.date().isoformat()] = None
    if len(days) == 1:
        return next(iter(days)), None, ""
    words = f"may be {' or '.join(days)}" if days else f"is not a date like {' or '.join(formats)}"
    return None, "E303", f"{cell!r} {words}"


def _is_sure(day: datetime, form: str, written: str) -> bool:
    """Tell whether a text is no other day: 1122026 lost a zero, and day 366 of 2025 would be in the next year."""
    if _FIGURES_ALONE.search(form):
        return day.strftime(form).lower() == written.lower()
    year = day.isocalendar().year if "%G" in form else day.year
    return not {year, year % 100}.isdisjoint(map(int, re.findall(r"\d+", written)))


def _integer(cell: str) -> tuple[str | None, str | None, str]:
    if not _INTEGER.fullmatch(cell.strip()):
        return None, "E304", f"{cell!r} is not a whole number"
    return cell.strip(), None, ""


def _choice(cell: str, *, choices: Sequence[str]) -> tuple[str | None, str | None, str]:
    if cell not in choices:
        return None, "E305", f"{cell!r} is not one of {', '.join(choices)}{did_you_mean(cell, choices)}"
    return cell, None, ""
