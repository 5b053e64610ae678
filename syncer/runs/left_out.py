"""Reading back the values that answers left out (`execute/left_out.py` says when, and what follows from it).

What always holds: a value is shown to hold a field only when every code that has the value holds just what was sent;
a field is missing only when two looks, at least ``api.settle_s`` apart, show a code without it; no code has a value
only when the document about it has no row at all, since an API may ignore a filter that it does not know.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from syncer.execute.left_out import CodeSeen
from syncer.ledger.unproven import codes_query
from syncer.model import KEY_SEPARATOR, SPECIAL_FIELDS

if TYPE_CHECKING:
    from syncer.execute.left_out import AskedCode
    from syncer.runs.code_rows import CodeRows
    from syncer.runs.read_back import CodeReader

TOGETHER_MAX = 100
"""Values that are asked for at once, each with a document of its own."""


class LeftOutReader:
    """Reads values for one run. Once nothing could be had, nothing more is asked for."""

    def __init__(self, reader: CodeReader) -> None:
        self._reader = reader
        self._is_silent = False

    def __call__(self, asked: Sequence[AskedCode]) -> list[CodeSeen | None]:
        """Return what code data shows of some values, None where it shows nothing; raise `SignalError`."""
        seen: list[CodeSeen | None] = []
        for begin in range(0, len(asked), TOGETHER_MAX):
            seen += self._look(asked[begin : begin + TOGETHER_MAX])
        doubtful = [
            place for place, one in enumerate(seen) if one is not None and one.missing and not asked[place].named
        ]
        if doubtful and not self._is_silent:
            self._reader.pause()
            for place, again in zip(doubtful, self._look([asked[place] for place in doubtful]), strict=True):
                seen[place] = _both(seen[place], again)
        return seen

    def _look(self, asked: Sequence[AskedCode]) -> list[CodeSeen | None]:
        if self._is_silent:
            return [None] * len(asked)
        found, _ = self._reader.rows([codes_query(one.columns, one.key) for one in asked])
        self._is_silent = not any(rows is not None for rows in found)
        return [_compared(one, rows) for one, rows in zip(asked, found, strict=True)]


def _compared(asked: AskedCode, found: CodeRows | None) -> CodeSeen | None:
    """Compare what the codes of one value hold with what was sent. Special fields stand under other names: left out."""
    if found is None:
        return None
    parts = dict(zip(asked.columns, asked.key.split(KEY_SEPARATOR), strict=True))
    rows = [row for row in found.rows if all(row.get(column) == part for column, part in parts.items())]
    if not rows:  # where there is no code, there may be no columns of its campaign either
        return None if found.rows else CodeSeen(exists=False)
    taken, missing, differs = set(), set(), False
    words: dict[str, str] = json.loads(asked.data)
    for name, value in words.items():
        cells = [row.get(name, "") for row in rows]
        if name in SPECIAL_FIELDS or all(cell == value for cell in cells):
            taken.update([name] if value and name not in SPECIAL_FIELDS else [])
        elif all(cells) and (frozenset(cells) - {value}).isdisjoint(asked.earlier.get(name, ())):
            differs = True
        else:
            missing.add(name)
    unread = not SPECIAL_FIELDS.isdisjoint(words)
    repeated = frozenset(name for name in taken if words[name] in asked.earlier.get(name, ()))
    return CodeSeen(True, frozenset(taken), frozenset(missing), differs, unread, repeated)


def _both(first: CodeSeen | None, second: CodeSeen | None) -> CodeSeen | None:
    """Return what two looks at a value show together: what only one of them misses is read by neither."""
    if first is None or second is None or not second.exists:
        return None
    return replace(second, differs=second.differs or bool(second.missing - first.missing))
