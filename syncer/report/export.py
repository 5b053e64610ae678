"""The history of many values as CSV, JSON lines, Parquet or a workbook, streamed block by block: memory is bounded.

Every form has the same columns: those of an upload, then one for each field that was sent. JSON lines have the fields
as one object, ``data``. CSV and workbooks are for spreadsheets: texts that they would compute are written as
`formulas.neutral` text. The other forms hold them as they are.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZipFile

from syncer.errors import UsageError, unwritable
from syncer.ledger.values import HistoryEntry
from syncer.model import shown_key
from syncer.process import streams
from syncer.report.document import entry_document
from syncer.safe.files import replacing
from syncer.safe.formulas import neutral
from syncer.safe.inert import inert, inert_json

BLOCK_ENTRIES = 5_000
STANDARD_INPUT = "-"
"""The name of a file that was none. By itself it is no formula."""
BINARY = frozenset({"parquet", "xlsx"})
"""Forms that no terminal shows: they need a file."""
OWN_COLUMNS = HistoryEntry.__slots__
_WHOLE = frozenset({"run_id", "line", "batch_id", "attempts", "codes_affected"})
_SAID_BY_OTHERS = frozenset({"file", "message"})
SHEET_ROWS_MAX = 1_048_576
"""Rows of one sheet, the header too; what is more goes into further sheets."""
CELL_CHARACTERS_MAX = 32_767
"""Of a workbook's cell: the format has room for no more."""


def write_export(entries: Iterable[HistoryEntry], fields: Sequence[str], form: str, out: Path | None) -> int:
    """Write entries, with a column for each of `fields`; return how many. The file appears whole at the end, 0600.

    Without a file they go to standard output. Raises what `unwritable` says when the file cannot be written.
    """
    with _target(out, form) as file:
        return _WRITERS[form](entries, fields, file)


@contextmanager
def _target(path: Path | None, form: str) -> Iterator[Any]:
    if path is None:
        yield streams.utf8_stdout()
        return
    try:
        with replacing(path) as part:
            yield part.file if form in BINARY else part.text()
    except OSError as error:
        raise unwritable(path, error) from error


def _write_jsonl(entries: Iterable[HistoryEntry], _fields: Sequence[str], file: IO[str]) -> int:
    count = 0
    for entry in entries:
        document = json.dumps(entry_document(entry), ensure_ascii=False, separators=(",", ":"))
        file.write(inert_json(document) + "\n")
        count += 1
    return count


def _write_csv(entries: Iterable[HistoryEntry], fields: Sequence[str], file: IO[str]) -> int:
    writer, count = csv.writer(file, lineterminator="\n"), 0
    writer.writerow([neutral(inert(name)) for name in header(fields)])
    for entry in entries:
        writer.writerow(_for_people(entry, fields))
        count += 1
    return count


def _write_parquet(entries: Iterable[HistoryEntry], fields: Sequence[str], file: IO[bytes]) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {name: pa.int64() if name in _WHOLE else pa.string() for name in OWN_COLUMNS}
    types["confirmed_now"] = pa.bool_()
    schema = pa.schema([(name, types.get(name, pa.string())) for name in header(fields)])
    remaining, count = iter(entries), 0
    with pq.ParquetWriter(file, schema) as writer:
        while block := list(islice(remaining, BLOCK_ENTRIES)):
            rows = [_row(entry, fields) for entry in block]
            columns = [
                pa.array(column, kind) for column, kind in zip(zip(*rows, strict=True), schema.types, strict=True)
            ]
            writer.write_batch(pa.record_batch(columns, schema=schema))
            count += len(block)
    return count


def _write_xlsx(entries: Iterable[HistoryEntry], fields: Sequence[str], file: IO[bytes]) -> int:
    try:
        from openpyxl import Workbook
        from openpyxl.writer.excel import ExcelWriter
    except ModuleNotFoundError as error:
        words = "workbooks are written by openpyxl, which is not installed"
        raise UsageError(words, remedy="or take --format csv", next="pip install 'syncer[excel]'") from error
    book, count = Workbook(write_only=True), 0
    titles = [neutral(inert(name)) for name in header(fields)]
    try:
        for entry in entries:
            if count % (SHEET_ROWS_MAX - 1) == 0:
                sheet = _new_sheet(book, titles)
            sheet.append([_fitting(cell, entry) for cell in _for_people(entry, fields)])
            count += 1
        if not count:
            _new_sheet(book, titles)
    finally:
        for sheet in book.worksheets:
            sheet.close()
    # What `book.save` could not write it would leave open, and Python would close it when the file is long gone.
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        ExcelWriter(book, archive).save()
    return count


def _new_sheet(book: Any, titles: Sequence[str]) -> Any:
    sheet = book.create_sheet(f"history {len(book.worksheets) + 1}")
    sheet.append(titles)
    return sheet


_WRITERS: Mapping[str, Callable[[Iterable[HistoryEntry], Sequence[str], Any], int]] = {
    "csv": _write_csv,
    "jsonl": _write_jsonl,
    "parquet": _write_parquet,
    "xlsx": _write_xlsx,
}


def header(fields: Sequence[str]) -> list[str]:
    """Return the names of the columns; a field that has the name of one of ours is called ``data.NAME``."""
    return [*OWN_COLUMNS, *(f"data.{name}" if name in OWN_COLUMNS else name for name in fields)]


def _row(entry: HistoryEntry, fields: Sequence[str]) -> list[Any]:
    """Return an upload as one row: texts, whole numbers, and nothing where there is nothing."""
    values = {name: getattr(entry, name) for name in OWN_COLUMNS}
    values["key"] = shown_key(entry.key)
    values["columns"] = " + ".join(entry.columns)
    values["before"] = json.dumps(dict(entry.before), ensure_ascii=False)
    values["origins"] = json.dumps(list(entry.origins), ensure_ascii=False)
    data = json.loads(entry.data)
    return [*values.values(), *map(data.get, fields)]


def _for_people(entry: HistoryEntry, fields: Sequence[str]) -> list[Any]:
    """Return an upload as one row that no spreadsheet computes."""
    row = _row(entry, fields)
    return [
        value
        if not isinstance(value, str) or value == STANDARD_INPUT
        else neutral(inert(value) if place >= len(OWN_COLUMNS) or OWN_COLUMNS[place] in _SAID_BY_OTHERS else value)
        for place, value in enumerate(row)
    ]


def _fitting(cell: Any, entry: HistoryEntry) -> Any:
    """Return a cell of a workbook; raise `UsageError` for one that would be cut off without a word."""
    if isinstance(cell, str):
        if len(cell) > CELL_CHARACTERS_MAX:
            words = f"a value of {shown_key(entry.key)} has {len(cell):,} characters; a cell has room for 32,767"
            raise UsageError(words, remedy="take --format csv, or parquet")
        return inert(cell)
    return cell
