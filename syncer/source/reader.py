"""Files of text as chunks of text columns: read as far as the header, then block by block.

Memory is bounded by a block, and only wanted columns are kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from syncer.errors import SourceError
from syncer.model import Chunk, SourceInfo
from syncer.source import results_reader
from syncer.source.cells import CellForm
from syncer.source.damage import DamageCount
from syncer.source.dialect import CsvForm, describe
from syncer.source.files import BLOCK_BYTES, InputFile, utf8_blocks
from syncer.source.header import read_head
from syncer.source.rows import count_lines
from syncer.source.table import UNDECLARED, TableForm, key_names
from syncer.source.textblocks import ROW_BYTES_MAX, TextReader

SAMPLE_BYTES = 1 << 16
SAMPLE_BYTES_MAX = 4 << 20
SAMPLE_LINES = 20
"""A sample is longer where these lines are: a header may name thousands of columns."""
_LINE = re.compile(rb"\n|\r\n?")


class CsvSource:
    """One input file. ``position`` is its place on the command line, from 0.

    ``header`` names the columns; ``dialect`` says how the file is written, and how sure that is; ``warnings`` what the
    last full pass of `chunks` noticed and people should know.
    """

    def __init__(
        self,
        position: int,
        file: InputFile,
        form: CsvForm,
        *,
        key: Sequence[str] | None = None,
        table: TableForm = UNDECLARED,
        by_place: bool = False,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.position = position
        self._file = file
        self.name = file.name
        self._rows = 0
        self._strict: frozenset[str] | None = None
        self._notes = notes
        self.warnings: tuple[str, ...] = notes
        try:
            self.form = results_reader.form_of(self._file, form)
            # A file of the results folder is written as this program writes, whatever the job declares of its exports.
            self.table = table if self.form is form else results_reader.table_of(table)
            encoding, sample, final = self._sample()
            self.head = read_head(
                sample,
                self.form,
                encoding=encoding,
                name=self.name,
                final=final,
                table=self.table,
                key=key,
                by_place=by_place,
            )
            self.header = results_reader.restored_header(self.head.names, self.name)
        except SourceError:
            self.close()
            raise
        self.dialect = self.head.dialect
        self.cells = CellForm(self.table, self.header, key_names(self.header, key))

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
                end = _sample_end(text)
                if end or len(text) > SAMPLE_BYTES_MAX:
                    text, final = text[: end or SAMPLE_BYTES_MAX], False
                    break
        if not text.strip(b"\r\n"):
            raise SourceError("the file is empty", file=self.name, remedy="check the export that writes it")
        return encoding, text.decode("utf-8", "ignore"), final

    @property
    def form_note(self) -> str:
        """What was found of the file's form, and how sure that is."""
        where = "" if self.head.line == 1 or self.form.header else f", the header is line {self.head.line}"
        return f"{self.name}: {describe(self.dialect, self.form)}{where}"

    @property
    def info(self) -> SourceInfo:
        """What is known of the file after a full pass of `chunks`."""
        file = self._file
        return SourceInfo(self.name, file.sha256, file.size_bytes, self._rows, self.dialect, self.header, file.mtime_s)

    def chunks(self, wanted: Sequence[str] | None = None) -> Iterator[Chunk]:
        """Read the file from its beginning; ``wanted`` names the columns to keep (None: all).

        Raises `SourceError` when its structure is in doubt, or when it changed since an earlier pass.
        """
        keep = [name for name in self.header if wanted is None or name in wanted]
        if wanted is not None or self._strict is None:
            self._strict = frozenset(keep)
        reader = TextReader(self, results_reader.read_columns(self.header, wanted), self._strict)
        tally = DamageCount(self.name, self.form.max_damaged_percent, self.dialect.encoding)
        for chunk in self._pass(reader):
            tally.add(len(chunk.lines), chunk.rejections)
            yield results_reader.of_columns(chunk, keep)
        tally.end()
        self._rows = tally.rows
        self.warnings = (*self._notes, *reader.warnings())

    def _pass(self, reader: TextReader) -> Iterator[Chunk]:
        """Read the file once."""
        _, blocks = utf8_blocks(self._file, self.form.encoding)
        rest, wait = b"", 0
        head = self.head.text
        skip = len(head.encode())
        parser = reader.parser(1 + count_lines(head, 0, len(head)))
        for block in blocks:
            if reader.ended_table:
                continue  # the rest is read for the file's hash alone
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
        last = None if reader.ended_table else reader.read_strictly(parser, rest.decode(), final=True)
        if last is not None:
            yield last


def _sample_end(text: bytes) -> int:
    """Return how much of a text is a sample of it: at least some rows, however long they are; 0: more is needed."""
    end = SAMPLE_BYTES
    if text.count(b"\n", 0, end) + text.count(b"\r", 0, end) >= SAMPLE_LINES:
        return end
    last = next(islice(_LINE.finditer(text), SAMPLE_LINES - 1, None), None)
    return 0 if last is None else max(last.end(), SAMPLE_BYTES)
