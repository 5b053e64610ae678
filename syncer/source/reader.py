"""Files as chunks of text columns: the plain parts at Arrow's speed, the rest by the strict parser.

A block is *plain* when it has no quote, no NUL, no lone CR and no blank line, and every line has the header's number
of separators: then there is only one way to read it, and `pyarrow.csv` reads it the same way. Every other block goes
through `RowParser`. Memory is bounded by a block, and only wanted columns are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.csv

from syncer.errors import SourceError
from syncer.model import Chunk, Dialect, Rejection, SourceInfo
from syncer.source.dialect import CsvForm, detect_delimiter
from syncer.source.files import InputFile, utf8_blocks
from syncer.source.rows import Row, RowParser

# Arrow would take SIGINT for itself while it reads, and a signal could get lost; the program has handlers of its own.
pa.enable_signal_handlers(False)

ROW_BYTES_MAX = 64 << 20
"""A row longer than this is no row: a quote swallows the file."""
SAMPLE_BYTES = 1 << 16
QUOTE = '"'


class Source:
    """One input file. ``position`` is its place on the command line, from 0."""

    def __init__(self, position: int, name: str, form: CsvForm, stdin: IO[bytes] | None) -> None:
        self.position = position
        self.name = name
        self._file = InputFile(name, stdin)
        self._declared = form.encoding
        quote = QUOTE if form.quote is None else form.quote
        self._rows = 0
        try:
            encoding, sample = self._sample()
            delimiter = form.delimiter or detect_delimiter(sample, quote, name=name)
            self.dialect = Dialect(encoding, delimiter, quote)
            self.header, self._header_lines = self._read_header(sample)
        except SourceError:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _sample(self) -> tuple[str, str]:
        encoding, blocks = utf8_blocks(self._file, self._declared)
        text = b""
        for block in blocks:
            text += block
            if len(text) >= SAMPLE_BYTES:
                break
        if not text.strip(b"\r\n"):
            raise SourceError("the file is empty", file=self.name, next="check the export that writes it")
        return encoding, text[:SAMPLE_BYTES].decode("utf-8", "ignore")

    def _read_header(self, sample: str) -> tuple[tuple[str, ...], str]:
        parser = RowParser(self.dialect.delimiter, self.dialect.quote, name=self.name, width=None)
        row = next(parser.rows(sample, final=len(sample) < SAMPLE_BYTES // 2), None)
        if row is None:
            raise SourceError("there is no header", file=self.name, line=1)
        names = row.cells
        for place, name in enumerate(names, 1):
            if not name.strip():
                raise SourceError(f"column {place} of the header has no name", file=self.name, line=row.line)
            if name in names[: place - 1]:
                raise SourceError(f"the header names {name!r} twice", file=self.name, line=row.line)
        return tuple(names), sample[: parser.consumed]

    @property
    def info(self) -> SourceInfo:
        """What is known of the file after a full pass of `chunks`."""
        file = self._file
        return SourceInfo(self.name, file.sha256, file.size_bytes, self._rows, self.dialect, self.header)

    def chunks(self, wanted: Sequence[str] | None = None) -> Iterator[Chunk]:
        """Read the file from its beginning; ``wanted`` names the columns to keep (None: all).

        Raises `SourceError` when its structure is in doubt, or when it changed since an earlier pass.
        """
        keep = [name for name in self.header if wanted is None or name in wanted]
        reader = _Reader(self, keep)
        rows = 0
        _, blocks = utf8_blocks(self._file, self._declared)
        rest = b""
        skip = len(self._header_lines.encode())
        parser = RowParser(
            self.dialect.delimiter,
            self.dialect.quote,
            name=self.name,
            width=len(self.header),
            line=1 + _lines(self._header_lines),
        )
        for block in blocks:
            text = rest + block[skip:]
            skip = max(0, skip - len(block))
            cut = text.rfind(b"\n") + 1
            chunk, rest = reader.read(parser, text, cut)
            if len(rest) > ROW_BYTES_MAX:
                raise SourceError(f"a row is longer than {ROW_BYTES_MAX >> 20} MB", file=self.name, line=parser.line)
            if chunk is not None:
                rows += len(chunk.lines) + len(chunk.rejections)
                yield chunk
        last = reader.read_strictly(parser, rest.decode(), final=True)
        if last is not None:
            rows += len(last.lines) + len(last.rejections)
            yield last
        self._rows = rows


class _Reader:
    """Turns blocks of one file into chunks."""

    def __init__(self, source: Source, keep: list[str]) -> None:
        self._source = source
        self._keep = keep
        self._places = [source.header.index(name) for name in keep]
        self._schema = pa.schema([(name, pa.string()) for name in keep])

    def read(self, parser: RowParser, text: bytes, cut: int) -> tuple[Chunk | None, bytes]:
        """Read the whole lines of a block: a chunk, and the bytes that are left for the next."""
        plain = text[:cut]
        dialect = self._source.dialect
        lines = _plain_lines(plain, dialect, len(self._source.header))
        if lines:
            chunk = Chunk(
                self._source.position,
                self._read_plain(plain),
                np.arange(parser.line, parser.line + lines, dtype=np.int64),
            )
            parser.line += lines
            return chunk, text[cut:]
        decoded = text.decode()
        rest = self.read_strictly(parser, decoded, final=False)
        return rest, text[len(decoded[: parser.consumed].encode()) :]

    def _read_plain(self, text: bytes) -> pa.RecordBatch:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(text),
            read_options=pyarrow.csv.ReadOptions(
                column_names=list(self._source.header), use_threads=False, block_size=len(text) + 1
            ),
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

    def read_strictly(self, parser: RowParser, text: str, *, final: bool) -> Chunk | None:
        """Read text by the strict parser; None when there is no whole row in it."""
        rows: list[Row] = []
        rejections: list[Rejection] = []
        for row in parser.rows(text, final=final):
            if row.fault is None:
                rows.append(row)
            else:
                code, message = row.fault
                rejections.append(Rejection(self._source.position, row.line, code, message, cells=tuple(row.cells)))
        if not rows and not rejections:
            return None
        columns = [pa.array([row.cells[place] for row in rows], pa.string()) for place in self._places]
        batch = pa.RecordBatch.from_arrays(columns, schema=self._schema)
        lines = np.array([row.line for row in rows], np.int64)
        return Chunk(self._source.position, batch, lines, tuple(rejections))


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


def _lines(text: str) -> int:
    return text.count("\n") + text.count("\r") - text.count("\r\n")


def open_sources(names: Sequence[str], form: CsvForm, *, stdin: IO[bytes] | None = None) -> list[Source]:
    """Open files as far as their headers; ``-`` is standard input. Raises `SourceError` for one that cannot be read."""
    if len(set(names)) < len(names):
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise SourceError("the file is named twice", file=twice)
    return [Source(position, name, form, stdin) for position, name in enumerate(names)]
