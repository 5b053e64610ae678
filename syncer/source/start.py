"""Where the header of a text stands: behind titles and comments, told by the key's names or by a setting. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from syncer.errors import SourceError
from syncer.source.dialect import DELIMITERS, RARE, CsvForm
from syncer.source.rows import count_lines
from syncer.source.table import HEADER_ROWS_MAX, TableForm, find_header, first_content, holds_key

_NEWLINE = re.compile(r"\r\n|\n|\r")
_LINE_CHARACTERS_MAX = 1 << 16
"""Of a line in which the key is looked for; a longer one is the header itself, or nothing that can be told."""


def find_start(sample: str, start: int, form: CsvForm, table: TableForm, key: Sequence[str] | None, name: str) -> int:
    """Return where in the text the header begins: `start`, or the line further down that a setting or the key tells.

    Raises `SourceError` when two lines may be the header, or the one that is named is not there.
    """
    lines = list(_lines(sample, start))
    if table.header_row is not None:
        place = next((begin for line, begin, text in lines if line == table.header_row and text.strip()), None)
        if place is None:
            raise SourceError(
                f"line {table.header_row}, which jobs.<name>.table.header_row names, is blank or missing",
                file=name,
                remedy="name the line that holds the columns' names, or leave the setting out",
            )
        return place
    content = [(line, begin, text) for line, begin, text in lines if _is_content(text, table)]
    if not content or form.widths is not None:
        return content[0][1] if content else start
    delimiters = [form.delimiter] if form.delimiter else [*DELIMITERS, *RARE]
    if any(holds_key(_cells(content[0][2], delimiter), key) for delimiter in delimiters):
        return content[0][1]
    found: list[int] = []
    for delimiter in delimiters:
        rows = ((line, _cells(text, delimiter)) for line, _, text in content[:HEADER_ROWS_MAX])
        header = find_header(rows, table, key, name)
        if header is not None and len(header[1]) > 1 and holds_key(header[1], key):
            found.append(header[0])
    if not found:
        return content[0][1] if table.comment else start
    return next(begin for line, begin, _ in content if line == min(found))


def _is_content(text: str, table: TableForm) -> bool:
    return bool(text.strip()) and not (table.comment and text.startswith(table.comment))


def _cells(text: str, delimiter: str) -> list[str]:
    cells = [cell.strip().strip("\"'").strip() for cell in text[:_LINE_CHARACTERS_MAX].split(delimiter)]
    return cells if first_content(cells) else []


def _lines(sample: str, start: int) -> Iterator[tuple[int, int, str]]:
    """Give the numbers, places and texts of lines."""
    line, place = 1 + count_lines(sample, 0, start), start
    while place < len(sample):
        newline = _NEWLINE.search(sample, place)
        end, stop = (newline.start(), newline.end()) if newline is not None else (len(sample), len(sample))
        yield line, place, sample[place:end]
        line, place = line + 1, stop
