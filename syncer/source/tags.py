"""What stands in result files before a cell that the reader could not take: ``[E124] #N/A``. Pure.

What always holds: of a row that the reader refused at least one cell has a tag, and a row with a tag is refused again,
whatever a spreadsheet made of its cells. So only who takes the tag out, or writes another cell, says that it is right.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from syncer.safe.formulas import EXTRA_COLUMNS
from syncer.source.encodings import NOT_TEXT

if TYPE_CHECKING:
    from syncer.rejections import Rejection

TAG = r"\[(E1[0-9][0-9])\]"
"""A regular expression for a tag, which may stand anywhere in a cell; its group is the code."""
_TAG = re.compile(TAG)
_SHOWN = "\ufffd"
"""What people see where a byte was no text."""


def tagged(code: str, text: str) -> str:
    """Return a cell with the code for which its row is refused; one that has a tag keeps it."""
    if _TAG.search(text):
        return text
    return f"[{code}] {text}" if text else f"[{code}]"


def tag_of(text: str) -> str | None:
    """Return the code that a cell is tagged with; None: it has no tag."""
    found = _TAG.search(text)
    return None if found is None else found[1]


def refused_cells(row: Rejection, header: Sequence[str], between: str) -> dict[str, str]:
    """Return the cells of a row that the reader refused by the columns of the input, those at fault with a tag.

    What is beyond the last column stands in it, behind ``between``. Of a row that is refused as a whole the first cell
    that is missing has the tag, or the last one.
    """
    names, cells = [name for name in header if name not in EXTRA_COLUMNS], list(row.cells)
    wrong = {header[place] for place in row.wrong if place < len(header)}
    if len(cells) == len(header):
        wrong |= {name for name, cell in zip(header, cells, strict=True) if NOT_TEXT in cell}
        cells = [cell for name, cell in zip(header, cells, strict=True) if name not in EXTRA_COLUMNS]
    elif len(cells) > len(header):
        cells = cells[: len(cells) - (len(header) - len(names))]  # what this program said of the row stands last
    width = len(names)
    missing = names[min(len(cells), width - 1)]
    shown = [*cells[: width - 1], between.join(cells[width - 1 :]), *[""] * (width - 1 - len(cells))][:width]
    found = dict(zip(names, shown, strict=True))
    wrong &= found.keys()
    for name in wrong or ({missing} if not any(map(tag_of, shown)) else ()):
        found[name] = tagged(row.code, found[name])
    return {name: cell.replace(NOT_TEXT, _SHOWN) for name, cell in found.items()}
