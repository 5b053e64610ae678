"""Blocks of text → chunks: the plain parts at Arrow's speed, the rest by the strict parser.

A block is *plain* when it has no quote, no NUL, no line end but the file's, no blank line and no row to leave out, and
every line has the header's number of separators: then there is only one way to read it, and `pyarrow.csv` reads it the
same way. Every other block goes through the strict parser.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.csv

from syncer.arrow import texts
from syncer.errors import SourceError
from syncer.model import Chunk, Dialect
from syncer.rejections import Rejection
from syncer.safe.inert import brief
from syncer.source.dialect import QUOTE, parser_of
from syncer.source.encodings import NOT_TEXT
from syncer.source.rows import EVIDENCE, WIDTH, Row, RowFault, RowParser
from syncer.source.table import MARK, UNDECLARED, Fate, Marks, TableForm, refuse_repeated, total

if TYPE_CHECKING:
    from syncer.source.cells import CellForm
    from syncer.source.dialect import CsvForm
    from syncer.source.fixed import FixedParser
    from syncer.source.header import Head

# Arrow would take SIGINT for itself while it reads, and a signal could get lost; the program has handlers of its own.
pa.enable_signal_handlers(False)

ROW_BYTES_MAX = 64 << 20
"""A row longer than this is no row: a quote swallows the file."""
_NOT_TEXT = NOT_TEXT.encode()
SPACES = (
    "\t\v\f\x1c\x1d\x1e\x1f \x85\xa0\u1680"
    + "".join(map(chr, range(0x2000, 0x200B)))
    + "\u2028\u2029\u202f\u205f\u3000"
)
"""What `str.strip` takes away within a line: a row of nothing else is blank, and no content begins with it."""


class TextFile(Protocol):
    """What blocks need to know of the file that they come from."""

    name: str
    position: int
    form: CsvForm
    table: TableForm
    dialect: Dialect
    head: Head
    header: tuple[str, ...]
    cells: CellForm


class TextReader:
    """Turns blocks of one file into chunks."""

    def __init__(self, source: TextFile, keep: list[str], strict: frozenset[str]) -> None:
        self._source = source
        self._keep = keep
        self._strict = strict
        self._before, self._behind = int(source.head.before), int(source.head.behind)
        places = {name: place for place, name in enumerate(source.header, self._before)}
        self._places = [places[name] for name in keep]
        self._schema = pa.schema([(name, pa.string()) for name in keep])
        self._width = source.head.width
        self._skipped = 0
        self._ended = True
        self._held: Row | None = None
        self._above: Sequence[str] = ()
        """The cells of the row that was given last."""
        self.ended_table = False
        """Whether the row was read that ends the table: nothing behind it is a row."""
        self._names = ["\0before"] * self._before + list(source.header) + ["\0behind"] * self._behind
        self._header_cells = ["" if name.startswith("\0") else name for name in self._names]
        self._marks = Marks(source.table)
        edge = source.dialect.delimiter
        self._repeated = edge.join(self._header_cells).encode()
        self._special = _special_lines(source.table, edge)

    def parser(self, line: int) -> RowParser | FixedParser:
        """Return the strict parser for the rows, of which the first stands on `line`."""
        source = self._source
        return parser_of(source.dialect, source.table, name=source.name, width=self._width, line=line)

    def warnings(self) -> tuple[str, ...]:
        """Return what people should know of the pass."""
        name = self._source.name
        found = []
        if self._skipped:
            found.append(f"{name}: {self._skipped} repeated header lines were skipped")
        if not self._ended:
            found.append(f"{name}: its last line has no line end; make sure that the file was not cut there")
        return tuple(found)

    def read(self, parser: RowParser | FixedParser, text: bytes) -> tuple[Chunk | None, bytes]:
        """Read the whole lines of a block: a chunk, and the bytes that are left for the next.

        The last lines are always left: damage at the beginning of the next block could put them in doubt.
        """
        lines = _plain_lines(text[: text.rfind(b"\n") + 1], self._source.dialect, self._width)
        if lines:
            cut = text.rfind(b"\n") + 1
            left = -(-EVIDENCE // (self._width - 1))
            if lines <= left:
                return None, text
            for _ in range(left):
                cut = text.rfind(b"\n", 0, cut - 1) + 1
            # The line behind them is a row, too: the last row of the table, which may be a total, is never among them.
            if not self._is_special(text[: text.find(b"\n", cut) + 1], lines - left + 1):
                chunk = self._plain_chunk(text[:cut], parser.line, lines - left)
                parser.line += lines - left
                return chunk, text[cut:]
        decoded = text.decode()
        rest = self.read_strictly(parser, decoded, final=False)
        return rest, text[len(decoded[: parser.consumed].encode()) :]

    def _is_special(self, plain: bytes, lines: int) -> bool:
        """Tell whether a plain block needs the strict parser: it may hold what is no row, or a cell without a name."""
        if self._repeated in plain:
            return True
        if self._special is not None and self._special.search(plain):
            return True
        edge = self._source.dialect.delimiter.encode()
        if self._before and plain.count(b"\n" + edge) + plain.startswith(edge) != lines:
            return True
        return bool(self._behind) and plain.count(edge + b"\n") + plain.count(edge + b"\r\n") != lines

    def _plain_chunk(self, plain: bytes, line: int, lines: int) -> Chunk:
        """Return the rows of a plain block, behind the one that was held back."""
        batches, numbers = [self._read_plain(plain)], np.arange(line, line + lines, dtype=np.int64)
        if self._held is not None:
            batches, numbers = [self._batch([self._held]), *batches], np.concatenate(([self._held.line], numbers))
        last = plain[plain.rfind(b"\n", 0, -1) + 1 :].decode().rstrip("\r\n")
        self._held, self._above = None, last.split(self._source.dialect.delimiter)
        batch = batches[0] if len(batches) == 1 else pa.Table.from_batches(batches).combine_chunks().to_batches()[0]
        return self._formed_plain(Chunk(self._source.position, batch, numbers))

    def _batch(self, rows: Sequence[Row]) -> pa.RecordBatch:
        columns = [texts([row.cells[place] for row in rows]).cast(pa.string()) for place in self._places]
        return pa.RecordBatch.from_arrays(columns, schema=self._schema)

    def _formed(self, chunk: Chunk) -> Chunk:
        return self._source.cells.formed(chunk, self._strict)

    def _formed_plain(self, chunk: Chunk) -> Chunk:
        """Form the cells of a plain block: without a quote in it no cell can be one that is looked for unasked."""
        source = self._source
        asked = source.table != UNDECLARED or source.dialect.quote != QUOTE or source.cells.restores
        return self._formed(chunk) if asked else chunk

    def give_up(self, parser: RowParser | FixedParser, text: bytes) -> tuple[Chunk | None, bytes]:
        """Read on where a row is longer than any row may be: its first line is rejected."""
        decoded = text.decode()
        chunk = self.read_strictly(parser, decoded, final=False, give_up=True)
        if chunk is None:
            raise SourceError(
                f"a row is longer than {ROW_BYTES_MAX >> 20} MB",
                file=self._source.name,
                line=parser.line,
                remedy="check the export that writes it: no table has such a row",
            )
        return chunk, text[len(decoded[: parser.consumed].encode()) :]

    def _read_plain(self, text: bytes) -> pa.RecordBatch:
        if text.startswith(codecs.BOM_UTF8):
            text = codecs.BOM_UTF8 + text  # Arrow leaves one out; here it is a part of the first cell
        table = pyarrow.csv.read_csv(
            pa.BufferReader(text),
            read_options=pyarrow.csv.ReadOptions(column_names=self._names, use_threads=False, block_size=len(text) + 1),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=self._source.dialect.delimiter,
                quote_char=False,
                double_quote=False,
                escape_char=False,
                newlines_in_values=False,
                ignore_empty_lines=False,
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(self._keep, pa.string()),
                include_columns=self._keep,
                strings_can_be_null=False,
                check_utf8=False,  # the text was decoded strictly, or transcoded, just before
            ),
        )
        return table.combine_chunks().to_batches()[0]

    def read_strictly(
        self, parser: RowParser | FixedParser, text: str, *, final: bool, give_up: bool = False
    ) -> Chunk | None:
        """Read text by the strict parser; None when there is no row in it that can be given.

        The last row is held back until one follows, or none does: it may be a total.
        """
        rows: list[Row] = [] if self._held is None else [self._held]
        rejections: list[Rejection] = []
        for row in parser.rows(text, final=final, give_up=give_up):
            fate = self._fate(row)
            if fate is Fate.END:
                self.ended_table = True
                break
            if fate is Fate.LEFT_OUT:
                continue
            fault = row.fault or self._unnamed(row.cells)
            if fault is None:
                rows.append(row)
            else:
                rejections.append(self._refused(row, fault))
        if final:
            self._ended = not text or text[-1] in "\r\n"
        self._held = None
        if rows and not any(row.line > rows[-1].line for row in rejections):
            last, above = rows.pop(), rows[-1].cells if rows else self._above
            if not final and not self.ended_table:
                self._held = last
            elif (fault_of_last := total(self._source.position, last.line, self._named(last.cells), above)) is not None:
                rejections.append(fault_of_last)
            else:
                rows.append(last)
        if not rows and not rejections:
            return None
        self._above = rows[-1].cells if rows else self._above
        lines = np.array([row.line for row in rows], np.int64)
        return self._formed(Chunk(self._source.position, self._batch(rows), lines, tuple(rejections)))

    def _fate(self, row: Row) -> Fate:
        """Return what becomes of a row: blank ones, and a header that stands again, are none."""
        cells = row.cells
        if not any(cells) and (row.fault is None or cells == [""]):
            return self._marks.blank() if self._width > 1 or "" in self._source.table.end else Fate.ROW
        fate = self._marks.fate(cells) if self._marks.declared else Fate.ROW
        if fate is Fate.ROW and row.fault is None and [cells[0].removeprefix(MARK), *cells[1:]] == self._header_cells:
            if self._source.form.repeated_header != "skip":
                raise refuse_repeated(self._source.name, row.line, 'csv.repeated_header = "skip"')
            self._skipped += 1
            return Fate.LEFT_OUT
        return fate

    def _refused(self, row: Row, fault: RowFault) -> Rejection:
        place = fault.column - self._before - 1
        wrong = (place,) if place >= 0 else ()
        cells = tuple(self._named(row.cells))
        message = fault.message(self._before)
        return Rejection(self._source.position, row.line, fault.code, message, cells=cells, wrong=wrong)

    def _named(self, cells: list[str]) -> list[str]:
        """Return the cells of a row from the first column that has a name on; what stands before it is part of that."""
        if self._before and len(cells) > 1:
            first, second, *others = cells
            cells = [first + self._source.dialect.delimiter + second if first else second, *others]
        return cells[:-1] if self._behind and len(cells) > 1 and not cells[-1] else cells

    def _unnamed(self, cells: list[str]) -> RowFault | None:
        """Return the fault of a row with content before the first column that has a name, or behind the last."""
        if self._behind and cells[-1]:
            return RowFault(WIDTH, _nameless(f"behind {self._names[-2]!r}", cells[-1]))
        if self._before and cells[0]:
            return RowFault(WIDTH, _nameless(f"before {self._names[1]!r}", cells[0]))
        return None


def _nameless(where: str, cell: str) -> str:
    counts = "when it does not count, name those that do: [jobs.<name>.columns]"
    return f"the column {where} has no name, but the cell holds {brief(cell)!r}; {counts}"


def _special_lines(table: TableForm, delimiter: str) -> re.Pattern[bytes] | None:
    """Return what finds lines that may be no rows, where a job declares any: blank ones, and those that begin so."""
    if not Marks(table).declared:
        return None
    begins = [text.partition("*")[0] for text in (*table.end, *table.skip) if text]
    begins += [table.comment] if table.comment else []
    edges, marks = (b"|".join(re.escape(text.encode()) for text in texts) for texts in ((*SPACES, delimiter), begins))
    return re.compile(rb"(?m)^(?:" + edges + rb")*(?:\r?\n" + (b"|" + marks if begins else b"") + b")")


def _plain_lines(text: bytes, dialect: Dialect, width: int) -> int:
    """Return the number of lines of a plain block; 0 when it is not plain."""
    if not text or (dialect.quote and dialect.quote.encode() in text) or b"\0" in text:
        return 0
    if (dialect.escape and dialect.escape.encode() in text) or (not text.isascii() and _NOT_TEXT in text):
        return 0
    returns = text.count(b"\r") if b"\r" in text else 0
    if returns and (returns != text.count(b"\r\n") or returns != text.count(b"\n")):
        return 0
    if dialect.newline == "\r" or (dialect.newline == "\r\n" and not returns):
        return 0
    if len(dialect.delimiter) != 1 or not dialect.delimiter.isascii() or width == 1:
        return 0
    data = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero(data == ord("\n"))
    separators = np.flatnonzero(data == ord(dialect.delimiter))
    if len(separators) != len(ends) * (width - 1):
        return 0
    if (np.diff(ends, prepend=-1) == width + bool(returns)).any():  # a line of separators alone is no row
        return 0
    of_lines = separators.reshape(len(ends), width - 1)
    return len(ends) if (of_lines[:, -1] < ends).all() and (of_lines[1:, 0] > ends[:-1]).all() else 0
