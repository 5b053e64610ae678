"""Tables for a terminal of any width: side by side where every word fits, else stacked, one record beneath the other.

What always holds: nothing is cut off, and no word is folded unless it is longer than a whole line. A table in a file
or pipe has one line a row, since the console is as wide there as any text (`console.plain_console`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console, ConsoleOptions, RenderableType

GAP = 2
"""Blanks between two columns, and before a value that stands beneath its name."""
CELL_LINES_MAX = 5


class FittedTable:
    """Rows under headings. Cells are `Text`, or plain text that is never markup."""

    def __init__(self, *columns: str, header_style: str = "dim") -> None:
        self._columns = columns
        self._header_style = header_style
        self._rows: list[list[Text]] = []

    def add_row(self, *cells: str | Text) -> None:
        """Add a row with a cell for every column."""
        self._rows.append([_as_text(cell) for cell in cells])

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """Draw the table, as rich asks for it."""
        headings = [Text(name, self._header_style) for name in self._columns]
        widths = _fitting([headings, *self._rows], options.max_width)
        if widths is not None:
            yield _side_by_side(headings, self._rows, widths)
            return
        for place, row in enumerate(self._rows):
            if place:
                yield Text("")
            yield Facts(zip(headings, row, strict=True))


class Facts:
    """Names with their values, one fact a line; where a value does not fit beside its name, it stands beneath it."""

    def __init__(self, facts: Iterator[tuple[Text, Text]] | Sequence[tuple[str | Text, str | Text]] = ()) -> None:
        self._facts = [(_named(name), _as_text(value)) for name, value in facts]

    def add_row(self, name: str | Text, value: str | Text) -> None:
        """Add a fact."""
        self._facts.append((_named(name), _as_text(value)))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """Draw the facts that have a value, as rich asks for it."""
        told = [(name, value) for name, value in self._facts if value.plain]
        name_width = max((cell_len(name.plain) for name, _ in told), default=0)
        room = options.max_width - name_width - GAP
        for name, value in told:
            if _longest_word(value) <= room:
                yield _side_by_side(None, [[name, value]], [name_width, room])
            else:
                yield name
                yield Padding(value, (0, 0, 0, GAP), expand=False)


def _as_text(cell: str | Text) -> Text:
    return Text(cell) if isinstance(cell, str) else cell


def _named(name: str | Text) -> Text:
    return Text(name, "dim") if isinstance(name, str) else name


def _side_by_side(headings: Sequence[Text] | None, rows: Sequence[Sequence[Text]], widths: Sequence[int]) -> Table:
    table = Table(box=None, show_header=headings is not None, padding=(0, GAP, 0, 0), pad_edge=False)
    for place, width in enumerate(widths):
        table.add_column(headings[place] if headings else "", width=width, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _fitting(rows: Sequence[Sequence[Text]], width: int) -> list[int] | None:
    """Return a width for each column, none below its longest word; None when the line is too short for that.

    None, too, when a cell would take more than `CELL_LINES_MAX` lines: beneath its name it is read at once.

    What is left over goes to the columns that need least first: so most cells stay on one line.
    """
    columns = list(zip(*rows, strict=True))
    widths = [max(map(_longest_word, column)) for column in columns]
    spare = width - sum(widths) - GAP * (len(widths) - 1)
    if spare < 0:
        return None
    needs = [max(map(_longest_line, column)) - least for column, least in zip(columns, widths, strict=True)]
    by_need = sorted(range(len(widths)), key=needs.__getitem__)
    for done, place in enumerate(by_need):
        more = min(needs[place], spare // (len(widths) - done))
        widths[place] += more
        spare -= more
    long = any(
        _longest_line(cell) > CELL_LINES_MAX * width for row in rows for cell, width in zip(row, widths, strict=True)
    )
    return None if long else widths


def _longest_word(cell: Text) -> int:
    return max(map(cell_len, cell.plain.split()), default=0)


def _longest_line(cell: Text) -> int:
    return max(map(cell_len, cell.plain.splitlines()), default=0)
