"""Where scans go: parts of a folder (CSV, JSON lines, Parquet by day), or the ledger's own tables.

What always holds: a part's files are whole, synced and under their names before `write` returns; the caller commits it
afterwards. So files of a part beyond the last committed one are those of a process that died, and `drop_after` removes
them. Files are named ``part-000001.csv``, Parquet's ``date=2021-03-17/part-000001.parquet``; nothing else is touched.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import date, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syncer.errors import AGAIN, OutputError, SyncerError, UntrustedFileError, UsageError
from syncer.safe.files import PART, Folder, NewFile, new_file
from syncer.safe.formulas import NEEDING
from syncer.safe.trust import UntrustedError
from syncer.scans.columns import FIXED, SCM_PREFIX, TEXT, ScanBlock
from syncer.scans.seen import ID_BYTES

if TYPE_CHECKING:
    from syncer.ledger.scans import PullState

log = logging.getLogger(__name__)
FORMS = ("csv", "jsonl", "parquet")
DAY_US = 86_400_000_000
JSON_ROWS = 2_000
"""Rows that are turned into objects at a time: bounds the memory."""
SETTLERS = 4
"""Files of one part that are synced at the same time."""
OPEN_DAYS = 64
"""Files of one part that are open at the same time."""
_PART = re.compile(rf"part-(\d{{6,}})\.(csv|jsonl|parquet)({re.escape(PART)})?")
_DAY = re.compile(r"date=\d{4,}-\d{2}-\d{2}")


class Destination(Protocol):
    """What a pull needs of the place its scans go to."""

    def prepare(self, state: PullState) -> None:
        """Make ready, and remove what was written beyond the last commit."""
        ...

    def write(self, block: ScanBlock, number: int) -> None:
        """Make a part durable, except for what `rows` leaves to the commit."""
        ...

    def rows(self, block: ScanBlock, state: PullState) -> Iterator[Sequence[Any]]:
        """Return what is to be stored in the ledger, in the transaction of the commit."""
        ...


class PartsFolder:
    """Parts of a folder."""

    def __init__(self, folder: Path, form: str) -> None:
        self.folder = folder
        self._form = form

    def prepare(self, state: PullState) -> None:
        """See `Destination`; raise `UsageError` when the folder holds parts that this ledger knows nothing of."""
        try:
            with Folder.open(self.folder, make=True) as folder:
                names = folder.names()
                self._sweep(folder, names, state)
                for day in filter(_DAY.fullmatch, names):
                    with folder.sub(day) as inner:
                        self._sweep(inner, inner.names(), state)
        except OSError as error:
            raise _write_error(self.folder, error) from error
        if state.is_put_back:
            words = "the ledger was put back: scans that went into %s since its backup, in parts beyond %d, come again"
            log.warning(words, self.folder, state.parts)

    def _sweep(self, folder: Folder, names: Sequence[str], state: PullState) -> None:
        """Remove the parts beyond the last committed one."""
        parts = [(name, found) for name in names if (found := _PART.fullmatch(name))]
        for name, found in parts:
            if int(found[1]) <= state.parts:
                continue
            if state.is_put_back and found[3] is None:
                raise UsageError(
                    f"the ledger was put back and knows nothing of {name} in {self.folder}: its scans would come again",
                    remedy="move away what the ledger does not know, also where it went on to; or name another --out",
                    next="syncer scans pull --help",
                )
            if state.chain == 0:
                raise UsageError(
                    f"{self.folder} holds parts of a pull that this ledger knows nothing of, like {name}",
                    remedy="name another --out, or use the ledger of that pull",
                    next="syncer scans pull --help",
                )
            folder.remove(name)

    def write(self, block: ScanBlock, number: int) -> None:
        """See `Destination`."""
        name = f"part-{number:06d}.{self._form}"
        try:
            with Folder.open(self.folder) as folder:
                if self._form == "parquet":
                    _write_days(folder, block, name)
                    return
                with new_file(folder, name) as part:
                    (_write_csv if self._form == "csv" else _write_jsonl)(block.table, part.file)
                    part.keep()
        except (OSError, pa.ArrowException) as error:
            raise _write_error(self.folder / name, error) from error

    def rows(self, block: ScanBlock, state: PullState) -> Iterator[Sequence[Any]]:  # noqa: ARG002
        """See `Destination`: nothing."""
        return iter(())


class Tables:
    """The ledger's own tables."""

    def __init__(self, campaign: int) -> None:
        self._campaign = campaign

    def prepare(self, state: PullState) -> None:
        """See `Destination`: what was not committed is not there."""

    def write(self, block: ScanBlock, number: int) -> None:
        """See `Destination`: the commit does it all."""

    def rows(self, block: ScanBlock, state: PullState) -> Iterator[Sequence[Any]]:
        """See `Destination`."""
        own = {"scan.uuid", "code.extended_id", "code.serial_number"}
        ids = block.ids.tobytes()
        for place, scan in enumerate(_objects(block.table)):
            scm = {name.removeprefix(SCM_PREFIX): value for name, value in scan.items() if name.startswith(SCM_PREFIX)}
            data = {name: scan[name] for name in FIXED if name not in own and scan.get(name) is not None}
            yield (
                state.id,
                ids[place * ID_BYTES : (place + 1) * ID_BYTES],
                self._campaign,
                int(block.times_us[place]),
                scan.get("code.extended_id"),
                scan.get("code.serial_number"),
                json.dumps(scm, ensure_ascii=False),
                json.dumps(data, ensure_ascii=False),
            )


def with_times(block: ScanBlock) -> pa.Table:
    """Return the table with ``scan.datetime`` as a time, for Parquet."""
    at = block.table.column_names.index("scan.datetime")
    times = pa.array(block.times_us, pa.int64()).cast(pa.timestamp("us", "UTC"))
    return block.table.set_column(at, "scan.datetime", times)


def _objects(table: pa.Table) -> Iterator[dict[str, Any]]:
    """Stream rows as objects without their nulls."""
    for begin in range(0, table.num_rows, JSON_ROWS):
        for row in table.slice(begin, JSON_ROWS).to_pylist():
            yield {name: value for name, value in row.items() if value is not None}


def _write_csv(table: pa.Table, file: IO[bytes]) -> None:
    from pyarrow.csv import write_csv

    columns = [
        pc.replace_substring_regex(column, NEEDING, r"'\1", max_replacements=1) if column.type == TEXT else column
        for column in table.columns
    ]
    table = pa.table(columns, names=table.column_names)
    write_csv(table, file)  # every text in quotes, so that an empty one differs from none


def _write_jsonl(table: pa.Table, file: IO[bytes]) -> None:
    import msgspec

    encoder = msgspec.json.Encoder()
    for begin in range(0, table.num_rows, JSON_ROWS):
        file.write(encoder.encode_lines(list(_objects(table.slice(begin, JSON_ROWS)))))


def _write_parquet(table: pa.Table, file: IO[bytes]) -> None:
    from pyarrow.parquet import write_table

    write_table(table, file, compression="zstd")


def _write_days(folder: Folder, block: ScanBlock, name: str) -> None:
    """Write a part as one file for each day."""
    days = block.times_us // DAY_US
    table = with_times(block)
    every = np.unique(days)
    for begin in range(0, len(every), OPEN_DAYS):
        with ExitStack() as stack, ThreadPoolExecutor(SETTLERS) as pool:
            parts = []
            for day in every[begin : begin + OPEN_DAYS]:
                inner = stack.enter_context(folder.sub(f"date={_day(int(day))}", make=True))
                parts.append(stack.enter_context(new_file(inner, name)))
                _write_parquet(table.filter(pa.array(days == day)), parts[-1].file)
            folder.sync()
            # A part may span a year, so have 365 files, and each waits for the disk: they wait together. They are
            # written one after the other, because each thread that writes Parquet keeps memory of its own.
            list(pool.map(NewFile.keep, parts))


def _day(number: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=number)).isoformat()


def _write_error(path: Path, error: Exception) -> SyncerError:
    if isinstance(error, UntrustedError):
        return UntrustedFileError.of(error)
    words = getattr(error, "strerror", None) or str(error)
    words = f"{path} cannot be written: {words}; what is in whole parts is recorded"
    return OutputError(words, remedy="make room or give write access", next=AGAIN)
