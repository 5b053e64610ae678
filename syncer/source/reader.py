"""Files as chunks of text columns: the plain parts at Arrow's speed, the rest by the strict parser.

A block is *plain* when it has no quote, no NUL, no lone CR and no blank line, and every line has the header's number
of separators: then there is only one way to read it, and `pyarrow.csv` reads it the same way. Every other block goes
through `RowParser`. Memory is bounded by a block, and only wanted columns are kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.csv

from syncer.arrow import texts
from syncer.errors import SourceError
from syncer.model import Chunk, Dialect, Rejection, SourceInfo
from syncer.source import results_reader
from syncer.source.damage import DamageCount
from syncer.source.dialect import CsvForm, describe
from syncer.source.files import BLOCK_BYTES, InputFile, utf8_blocks
from syncer.source.header import read_head
from syncer.source.rows import EVIDENCE, WIDTH, Row, RowParser, count_lines

# Arrow would take SIGINT for itself while it reads, and a signal could get lost; the program has handlers of its own.
pa.enable_signal_handlers(False)

ROW_BYTES_MAX = 64 << 20
"""A row longer than this is no row: a quote swallows the file."""
SAMPLE_BYTES = 1 << 16
TOTAL = "E105"
_TOTAL = re.compile(
    r"((grand|sub)[ -]?)?(total|totals|sum|summe|gesamt|gesamtsumme|somme|suma|totale|totaal)\s*:?", re.IGNORECASE
)


class CsvSource:
    """One input file. ``position`` is its place on the command line, from 0.

    ``header`` names the columns; ``dialect`` says how the file is written, and how sure that is; ``warnings`` what the
    last full pass of `chunks` noticed and people should know.
    """

    def __init__(self, position: int, file: InputFile, form: CsvForm) -> None:
        self.position = position
        self._file = file
        self.name = file.name
        self._rows = 0
        self.warnings: tuple[str, ...] = ()
        try:
            self.form = form = results_reader.form_of(self._file, form)
            encoding, sample, final = self._sample()
            self.head = read_head(sample, form, encoding=encoding, name=self.name, final=final)
            self.header = results_reader.restored_header(self.head.names, self.name)
        except SourceError:
            self.close()
            raise
        self.dialect = self.head.dialect

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _sample(self) -> tuple[str, str, bool]:
        """Return the encoding, the first text, and whether that is all of it."""
        encoding, blocks = utf8_blocks(self._file, self.form.encoding)
        text = b""
        final = True
        for block in blocks:
            text += block
            if len(text) > SAMPLE_BYTES:
                final = False
                break
        if not text.strip(b"\r\n"):
            raise SourceError("the file is empty", file=self.name, next="check the export that writes it")
        return encoding, text[:SAMPLE_BYTES].decode("utf-8", "ignore"), final

    @property
    def form_note(self) -> str:
        """What was found of the file's form, and how sure that is."""
        return f"{self.name}: {describe(self.dialect, self.form)}"

    @property
    def info(self) -> SourceInfo:
        """What is known of the file after a full pass of `chunks`."""
        file = self._file
        return SourceInfo(self.name, file.sha256, file.size_bytes, self._rows, self.dialect, self.header, file.mtime_s)

    def chunks(self, wanted: Sequence[str] | None = None) -> Iterator[Chunk]:
        """Read the file from its beginning; ``wanted`` names the columns to keep (None: all).

        Raises `SourceError` when its structure is in doubt, or when it changed since an earlier pass.
        """
        return results_reader.restored_chunks(self.header, self._chunks(wanted))

    def _chunks(self, wanted: Sequence[str] | None) -> Iterator[Chunk]:
        keep = [name for name in self.header if wanted is None or name in wanted]
        reader = _CsvReader(self, keep)
        tally = DamageCount(self.name, self.form.max_damaged_percent)
        for chunk in self._pass(reader):
            tally.add(len(chunk.lines), chunk.rejections)
            yield chunk
        tally.end()
        self._rows = tally.rows
        self.warnings = reader.warnings()

    def _pass(self, reader: _CsvReader) -> Iterator[Chunk]:
        """Read the file once."""
        _, blocks = utf8_blocks(self._file, self.form.encoding)
        rest, wait = b"", 0
        head = self.head.text
        skip = len(head.encode())
        parser = reader.parser(1 + count_lines(head, 0, len(head)))
        for block in blocks:
            text = rest + block[skip:]
            skip = max(0, skip - len(block))
            if len(text) < wait:
                rest = text
                continue
            chunk, rest = reader.read(parser, text)
            if chunk is None and len(rest) > ROW_BYTES_MAX:
                chunk, rest = reader.give_up(parser, rest)
            # A row that goes on is read again from its beginning: only when there is twice as much of it.
            wait = 2 * len(rest) if len(rest) > BLOCK_BYTES else 0
            if chunk is not None:
                yield chunk
        last = reader.read_strictly(parser, rest.decode(), final=True)
        if last is not None:
            yield last


class _CsvReader:
    """Turns blocks of one file into chunks."""

    def __init__(self, source: CsvSource, keep: list[str]) -> None:
        self._source = source
        self._keep = keep
        self._places = [source.header.index(name) for name in keep]
        self._schema = pa.schema([(name, pa.string()) for name in keep])
        self._width = source.head.width
        self._skipped = 0
        self._ended = True
        names = source.header if self._width == len(source.header) else (*source.header, "")
        self._names = list(names)
        self._repeated = source.dialect.delimiter.join(names).encode()

    def parser(self, line: int) -> RowParser:
        """Return the strict parser for the rows, of which the first stands on `line`."""
        dialect = self._source.dialect
        return RowParser(
            dialect.delimiter,
            dialect.quote,
            name=self._source.name,
            width=self._width,
            line=line,
            escape=dialect.escape,
        )

    def warnings(self) -> tuple[str, ...]:
        """Return what people should know of the pass."""
        name = self._source.name
        found = []
        if self._skipped:
            found.append(f"{name}: {self._skipped} repeated header lines were skipped")
        if not self._ended:
            found.append(f"{name}: its last line has no line end; make sure that the file was not cut there")
        return tuple(found)

    def read(self, parser: RowParser, text: bytes) -> tuple[Chunk | None, bytes]:
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
            plain = text[:cut]
            if not self._is_special(plain, lines - left):
                chunk = Chunk(
                    self._source.position,
                    self._read_plain(plain),
                    np.arange(parser.line, parser.line + lines - left, dtype=np.int64),
                )
                parser.line += lines - left
                return chunk, text[cut:]
        decoded = text.decode()
        rest = self.read_strictly(parser, decoded, final=False)
        return rest, text[len(decoded[: parser.consumed].encode()) :]

    def _is_special(self, plain: bytes, lines: int) -> bool:
        """Tell whether a plain block needs the strict parser: it holds the header, or a cell behind the last column."""
        if self._repeated in plain:
            return True
        if self._width == len(self._source.header):
            return False
        edge = self._source.dialect.delimiter.encode()
        return plain.count(edge + b"\n") + plain.count(edge + b"\r\n") != lines

    def give_up(self, parser: RowParser, text: bytes) -> tuple[Chunk | None, bytes]:
        """Read on where a row is longer than any row may be: its first line is rejected."""
        decoded = text.decode()
        chunk = self.read_strictly(parser, decoded, final=False, give_up=True)
        if chunk is None:
            raise SourceError(
                f"a row is longer than {ROW_BYTES_MAX >> 20} MB",
                file=self._source.name,
                line=parser.line,
                next="declare how the file is written: jobs.<name>.csv.delimiter, quote",
            )
        return chunk, text[len(decoded[: parser.consumed].encode()) :]

    def _read_plain(self, text: bytes) -> pa.RecordBatch:
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

    def read_strictly(self, parser: RowParser, text: str, *, final: bool, give_up: bool = False) -> Chunk | None:
        """Read text by the strict parser; None when there is no whole row in it."""
        rows: list[Row] = []
        rejections: list[Rejection] = []
        for row in parser.rows(text, final=final, give_up=give_up):
            fault = row.fault
            if fault is None and row.cells == self._names:
                self._skip_header(row)
                continue
            if fault is None and self._width > len(self._source.header) and row.cells[-1]:
                fault = (
                    WIDTH,
                    f"the column behind {self._names[-2]!r} has no name, but the cell holds {row.cells[-1]!r}",
                )
            if fault is None:
                rows.append(row)
            else:
                rejections.append(Rejection(self._source.position, row.line, *fault, cells=tuple(row.cells)))
        if final:
            self._ended = not text or text[-1] in "\r\n"
            if rows and not any(row.line > rows[-1].line for row in rejections):
                self._reject_total(rows, rejections)
        if not rows and not rejections:
            return None
        columns = [texts([row.cells[place] for row in rows]).cast(pa.string()) for place in self._places]
        batch = pa.RecordBatch.from_arrays(columns, schema=self._schema)
        lines = np.array([row.line for row in rows], np.int64)
        return Chunk(self._source.position, batch, lines, tuple(rejections))

    def _reject_total(self, rows: list[Row], rejections: list[Rejection]) -> None:
        """Reject the last row of the file when it looks like a total under the others."""
        row = rows[-1]
        first = next((cell.strip() for cell in row.cells if cell.strip()), "")
        if _TOTAL.fullmatch(first) is not None:
            message = f"the last row begins with {first!r}: a total is no code"
            rejections.append(Rejection(self._source.position, row.line, TOTAL, message, cells=tuple(row.cells)))
            rows.pop()

    def _skip_header(self, row: Row) -> None:
        if self._source.form.repeated_header != "skip":
            raise SourceError(
                "the header stands here again: are these two tables, or the pages of one?",
                file=self._source.name,
                line=row.line,
                next='when it is one table: jobs.<name>.csv.repeated_header = "skip"; else give each a file of its own',
            )
        self._skipped += 1


def _plain_lines(text: bytes, dialect: Dialect, width: int) -> int:
    """Return the number of lines of a plain block; 0 when it is not plain."""
    if not text or (dialect.quote and dialect.quote.encode() in text) or b"\0" in text:
        return 0
    returns = text.count(b"\r") if b"\r" in text else 0
    if returns and (returns != text.count(b"\r\n") or returns != text.count(b"\n")):
        return 0
    if not dialect.delimiter.isascii() or width == 1:
        return 0
    data = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero(data == ord("\n"))
    separators = np.flatnonzero(data == ord(dialect.delimiter))
    if len(separators) != len(ends) * (width - 1):
        return 0
    counts = np.searchsorted(separators, ends)
    return len(ends) if (counts == np.arange(1, len(ends) + 1) * (width - 1)).all() else 0
