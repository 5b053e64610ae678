"""Where scans go: parts of a folder (CSV, JSON lines, Parquet by day), or the ledger's own tables.

What always holds: a part's files are whole, synced and under their names before `write` returns; the caller commits it
afterwards. So files of a part beyond the last committed one are those of a process that died, and `drop_after` removes
them. Files are named ``part-000001.csv``, Parquet's ``date=2021-03-17/part-000001.parquet``; nothing else is touched.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa

from syncer.errors import LedgerWriteError, UsageError
from syncer.safe.private import sync_folder
from syncer.scans.columns import FIXED, SCM_PREFIX, ScanBlock
from syncer.scans.seen import ID_BYTES

if TYPE_CHECKING:
    from syncer.ledger.scans import PullState

FORMS = ("csv", "jsonl", "parquet")
DAY_US = 86_400_000_000
JSON_ROWS = 2_000
"""Rows that are turned into objects at a time: bounds the memory."""
SETTLERS = 4
"""Files of one part that are synced at the same time."""
_PART = re.compile(r"part-(\d{6,})\.(csv|jsonl|parquet)(\.tmp)?")


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


class Folder:
    """Parts of a folder."""

    def __init__(self, folder: Path, form: str) -> None:
        self.folder = folder
        self._form = form

    def prepare(self, state: PullState) -> None:
        """See `Destination`; raise `UsageError` when the folder holds parts that this ledger knows nothing of."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            strays = [path for path, number in self._parts() if number > state.parts]
            if strays and state.chain == 0:
                raise UsageError(
                    f"{self.folder} holds parts of a pull that this ledger knows nothing of, like {strays[0].name}",
                    next="name another --out, or use the ledger of that pull",
                )
            for path in strays:
                path.unlink()
        except OSError as error:
            raise _write_error(self.folder, error) from error

    def _parts(self) -> Iterator[tuple[Path, int]]:
        for path in [*self.folder.glob("part-*"), *self.folder.glob("date=*/part-*")]:
            found = _PART.fullmatch(path.name)
            if found:
                yield path, int(found[1])

    def write(self, block: ScanBlock, number: int) -> None:
        """See `Destination`."""
        name = f"part-{number:06d}.{self._form}"
        try:
            if self._form == "parquet":
                self._write_days(block, name)
            else:
                write = _write_csv if self._form == "csv" else _write_jsonl
                _durable(self.folder / name, partial(write, block.table))
        except (OSError, pa.ArrowException) as error:
            raise _write_error(self.folder / name, error) from error

    def _write_days(self, block: ScanBlock, name: str) -> None:
        days = block.times_us // DAY_US
        table = with_times(block)
        folders = {int(day): self.folder / f"date={_day(int(day))}" for day in np.unique(days)}
        missing = [folder for folder in folders.values() if not folder.is_dir()]
        for folder in missing:
            folder.mkdir()
        if missing:
            sync_folder(self.folder)

        paths = [folder / name for folder in folders.values()]
        for day, path in zip(folders, paths, strict=True):
            _write_beside(path, partial(_write_parquet, table.filter(pa.array(days == day))))
        # A part may span a year, so have 365 files, and each waits for the disk: they wait together. They are written
        # one after the other, because each thread that writes Parquet keeps memory of its own.
        with ThreadPoolExecutor(SETTLERS) as pool:
            list(pool.map(_settle, paths))

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

    write_csv(table, file)  # every text in quotes, so that an empty one differs from none


def _write_jsonl(table: pa.Table, file: IO[bytes]) -> None:
    import msgspec

    encoder = msgspec.json.Encoder()
    for begin in range(0, table.num_rows, JSON_ROWS):
        file.write(encoder.encode_lines(list(_objects(table.slice(begin, JSON_ROWS)))))


def _write_parquet(table: pa.Table, file: IO[bytes]) -> None:
    from pyarrow.parquet import write_table

    write_table(table, file, compression="zstd")


def _durable(path: Path, write: Callable[[IO[bytes]], None]) -> None:
    """Write a file whole, or not at all."""
    _write_beside(path, write)
    _settle(path)


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".tmp")


def _write_beside(path: Path, write: Callable[[IO[bytes]], None]) -> None:
    with _beside(path).open("wb") as file:
        write(file)


def _settle(path: Path) -> None:
    """Sync what was written beside a file's name, then give it that name, then sync the folder."""
    part = _beside(path)
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.rename(path)
    sync_folder(path.parent)


def _day(number: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=number)).strftime("%Y-%m-%d")


def _write_error(path: Path, error: Exception) -> LedgerWriteError:
    words = getattr(error, "strerror", None) or str(error)
    return LedgerWriteError(
        f"{path} cannot be written: {words}", next="make room or give write access, then run the same command again"
    )
