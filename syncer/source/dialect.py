"""How a file is written: declared in the settings, or found from its first rows; refused when it reads in two ways."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

from syncer.errors import SourceError
from syncer.source.rows import RowParser

DELIMITERS = (",", ";", "\t", "|")
SAMPLE_ROWS = 20
NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


@dataclass(frozen=True, slots=True)
class CsvForm:
    """What ``jobs.<name>.csv`` declares; None: to be detected. ``quote`` is empty when cells are never quoted."""

    encoding: str | None = None
    delimiter: str | None = None
    quote: str | None = None


def detect_delimiter(sample: str, quote: str, *, name: str) -> str:
    """Return the delimiter of a file's first rows; raise `SourceError` when there are two ways to read them.

    A delimiter must stand in the header. One that gives every sampled row the header's width is right; when several
    stand in the header and not exactly one of them does, nobody can tell.
    """
    widths = {delimiter: _widths(sample, delimiter, quote) for delimiter in DELIMITERS}
    in_header = [delimiter for delimiter in DELIMITERS if widths[delimiter] and widths[delimiter][0] > 1]
    if not in_header:
        return ","  # a file of one column: any delimiter reads it
    steady = [delimiter for delimiter in in_header if len(set(widths[delimiter])) == 1]
    candidates = steady if len(in_header) > 1 else in_header
    if len(candidates) == 1:
        return candidates[0]
    found = " or ".join(NAMES[delimiter] for delimiter in (steady or in_header))
    raise SourceError(
        f"its columns may be separated by {found}",
        file=name,
        line=1,
        next="declare which: jobs.<name>.csv.delimiter",
    )


def _widths(sample: str, delimiter: str, quote: str) -> list[int]:
    """Return the widths of the first rows as read with one delimiter; -1 where they cannot be read so."""
    widths: list[int] = []
    for final in (False, True):  # the last row of a sample may be cut; when there is no other, it has to do
        parser = RowParser(delimiter, quote, name="", width=None)
        try:
            widths += [len(row.cells) for row in islice(parser.rows(sample, final=final), SAMPLE_ROWS)]
        except SourceError:
            widths.append(-1)
        if widths:
            break
    return widths
