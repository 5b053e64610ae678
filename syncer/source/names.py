"""The names of a table's columns: each its own, or told by its place where the job says which columns count. Pure.

What always holds: no two columns have one name; a column that has none of its own (no text, the text of another one,
a text that is not certain) is never sent unless the job names it by its place: ``column 4``, ``Lot (column 4)``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from syncer.errors import SourceError
from syncer.safe.inert import brief

NAME_THOSE = "name those that count in [jobs.<name>.columns], where this one is"
NO_HEADER = 'when no row has the names: jobs.<name>.csv.header = ["…", "…"]'


def column_names(names: Sequence[str | None], file: str, line: int | None, *, by_place: bool) -> tuple[str, ...]:
    """Return the names of columns; None stands for a cell without a certain text.

    ``by_place``: the job says which columns count, so that others may be without a name of their own. Raises
    `SourceError` for one that is, else.
    """
    counts = Counter(names)
    found: list[str] = []
    for place, text in enumerate(names, 1):
        if text is not None and text.strip() and counts[text] == 1:
            found.append(text)
            continue
        named = f"column {place}" if text is None or not text.strip() else f"{text} (column {place})"
        found.append(named)
        if by_place:
            continue
        if text is not None and text.strip():
            words, other = f"the header names {brief(text)!r} twice", "rename one"
        else:
            words, other = f"column {place} of the header has no name", "name it in the export"
        where = "or, when the header stands further down: jobs.<name>.table.header_row"
        raise SourceError(words, file=file, line=line, remedy=f"{other}; or {NAME_THOSE} {brief(named)!r}; {where}")
    if len(set(found)) < len(found):
        words = "the header names a column as another one is named by its place"
        raise SourceError(words, file=file, line=line, remedy="name each column in the export")
    return tuple(found)
