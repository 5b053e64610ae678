"""Reading back what a pull wrote into a folder, in whichever format; a block at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from syncer.errors import SourceError
from syncer.ledger.scans import StoredScan
from syncer.safe.formulas import NEUTRAL
from syncer.scans.columns import SCM_PREFIX, microseconds

if TYPE_CHECKING:
    import pyarrow as pa

NEEDED = ("scan.uuid", "scan.datetime", "code.extended_id", "code.serial_number")
BLOCK_ROWS = 10_000


def pulled_scans(folder: Path) -> Iterator[StoredScan]:
    """Stream the scans of a folder; raise `SourceError` naming what cannot be read, or a folder without parts."""
    files = sorted(
        path
        for path in [*folder.glob("part-*"), *folder.glob("date=*/part-*")]
        if path.suffix in {".csv", ".jsonl", ".parquet"}
    )
    if not files:
        raise SourceError("there are no parts of a pull here", file=str(folder), next="syncer scans pull --help")
    for file in files:
        try:
            for row in _rows(file):
                yield _scan(row)
        except (OSError, ValueError, KeyError) as error:
            raise SourceError(
                f"not a part of a pull: {error}", file=str(file), next="syncer scans pull --help"
            ) from error


def _rows(file: Path) -> Iterator[Mapping[str, Any]]:
    if file.suffix == ".jsonl":
        with file.open(encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)
        return
    for batch in _batches(file):
        names = [name for name in batch.schema.names if name in NEEDED or name.startswith(SCM_PREFIX)]
        yield from batch.select(names).to_pylist()


def _batches(file: Path) -> Iterator[pa.RecordBatch]:
    if file.suffix == ".parquet":
        from pyarrow.parquet import ParquetFile

        yield from ParquetFile(file).iter_batches(BLOCK_ROWS)
        return
    import csv

    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow.csv import ConvertOptions, ParseOptions, open_csv

    with file.open(newline="", encoding="utf-8") as head:
        header = next(csv.reader(head))
    # Texts stay texts: nothing is guessed.
    options = ConvertOptions(
        column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=True, null_values=[""],
        quoted_strings_can_be_null=False,
    )  # fmt: skip
    for batch in open_csv(file, parse_options=ParseOptions(newlines_in_values=True), convert_options=options):
        # As `parts` wrote it: what a spreadsheet would compute has an apostrophe.
        columns = [pc.replace_substring_regex(one, NEUTRAL, r"\1", max_replacements=1) for one in batch.columns]
        yield pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _scan(row: Mapping[str, Any]) -> StoredScan:
    at = row["scan.datetime"]
    return StoredScan(
        uuid=row["scan.uuid"],
        at_us=microseconds(at),
        extended_id=row.get("code.extended_id") or "",
        serial_number=row.get("code.serial_number") or "",
        scm={
            name.removeprefix(SCM_PREFIX): value
            for name, value in row.items()
            if name.startswith(SCM_PREFIX) and value is not None
        },
    )
