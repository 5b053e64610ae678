"""Cells that a spreadsheet would take for a formula: made harmless in files for people, and made themselves again.

What always holds: ``restored(neutral(text)) == text`` for every text, and no neutral text begins like a formula. The
API and JSON get the text as it is; only CSV files that people open get the apostrophe.
"""

from __future__ import annotations

import re

EXTRA_COLUMNS = ("_file", "_line", "_code", "_message")
"""What the results folder adds to the input's own columns. A file with all of them was written by this program."""

# A spreadsheet may pass over what is blank before the sign. Python and RE2 (Arrow) read these classes the same way.
_LIKE_A_FORMULA = "(?:[\t\r\n]|[ \t\r\n\x0b\x0c\x00\xa0\u200b\u3000\ufeff]*[-=+@\uff1d\uff0b\uff0d\uff20])"
NEUTRAL = f"^'('*{_LIKE_A_FORMULA})"
"""A regular expression for what `neutral` writes; its group is the beginning of what was there before."""
NEEDING = f"^('*{_LIKE_A_FORMULA})"
"""A regular expression for what `neutral` changes; its group is the beginning of it."""
_NEEDS_ONE = re.compile(f"'*{_LIKE_A_FORMULA}")
_NEUTRAL = re.compile(NEUTRAL)


def neutral(text: str) -> str:
    """Return a cell that no spreadsheet computes: an apostrophe stands before what begins like a formula.

    A text that already looks like that gets one more, so that `restored` can tell them apart.
    """
    return "'" + text if _NEEDS_ONE.match(text) else text


def restored(text: str) -> str:
    """Return the cell that `neutral` was given."""
    return text[1:] if _NEUTRAL.match(text) else text
