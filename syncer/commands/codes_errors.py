"""The error file of an upload of own codes: each row that is wrong, with its own columns and what is wrong with it.

What always holds: the file appears whole or not at all; what the API says of an upload stands beside the rows that the
check of its file rejected, never in their place; uploads that share an error file share it, none replaces another's; a
file with rows that the new one has not, because somebody has corrected them or another night wrote them, is set aside.
"""

from __future__ import annotations

import csv
import errno
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from syncer.codes.rules import CODES
from syncer.errors import unwritable
from syncer.safe.files import Folder, replacing
from syncer.safe.formulas import EXTRA_COLUMNS, neutral, restored
from syncer.safe.inert import inert

if TYPE_CHECKING:
    from syncer.codes.reading import CodesFile, Reject
    from syncer.ledger.upload_values import CodeError, Upload
    from syncer.request import UploadRequest

log = logging.getLogger(__name__)
ERRORS_SUFFIX = ".errors.csv"
NAMES_MAX = 1000
"""How many error files of one name may be set aside."""
_Row = tuple[dict[str, str], tuple[str, str, str, str]]
"""A row's own cells, and those of `EXTRA_COLUMNS`."""


def error_path(request: UploadRequest, file: str) -> Path:
    """Return where the errors of a file are written."""
    return request.errors or Path(f"{Path(file).stem}{ERRORS_SUFFIX}")


def write_rejects(request: UploadRequest, file: CodesFile, rejects: Sequence[Reject]) -> Path:
    """Write the rejected rows, so that they can be corrected and uploaded; raise `UsageError` when that cannot be."""
    wanted = {one.place for one in rejects}
    rows: dict[int | None, dict[str, str]] = {}
    begin = 0
    for block in file.blocks():
        for place in range(len(block.lines)):
            if begin + place in wanted:
                rows[begin + place] = {
                    name: block.columns.column(name)[place].as_py() or "" for name in block.columns.schema.names
                }
        begin += len(block.lines)
    found = [
        (rows.get(one.place, dict(one.cells or {"id": one.id})), _said(request.file, one.line, one.code, one.message))
        for one in rejects
    ]
    path = error_path(request, request.file)
    _write(path, list(file.columns), found)
    return path


def write_errors(request: UploadRequest, said: Sequence[tuple[Upload, Sequence[CodeError]]]) -> list[Path]:
    """Write what the API said against codes of uploads, with the rows' own columns as the ledger has them."""
    files: dict[Path, list[_Row]] = {}
    for one, errors in said:
        if not errors:
            continue
        path = error_path(request, one.file)
        rows = files.setdefault(path, [])
        if one.left_out.get("invalid"):
            rows += _rejected_there(path, one.file)
        rows += [
            ({"id": error.code, **json.loads(error.data)}, _said(one.file, error.line, error.name, error.message))
            for error in errors
        ]
    for path, rows in files.items():
        _write(path, [], rows)
    return list(files)


def _said(file: str, line: int, code: str, message: str) -> tuple[str, str, str, str]:
    return inert(file), str(line or ""), inert(code), inert(message)


def _rejected_there(path: Path, file: str) -> Iterator[_Row]:
    """Give the rows of a file that its check rejected and wrote to the error file; the ledger has only counted them."""
    try:
        with path.open(newline="", encoding="utf-8") as there:
            lines = csv.reader(there)
            names = [restored(name) for name in next(lines, [])]
            if not set(EXTRA_COLUMNS) <= set(names):
                return
            for line in lines:
                cells = dict(zip(names, map(restored, line), strict=False))
                extra = tuple(cells.pop(name, "") for name in EXTRA_COLUMNS)
                if extra[0] == inert(file) and extra[2] in CODES:
                    yield cells, (extra[0], extra[1], extra[2], extra[3])
    except (OSError, ValueError, csv.Error):  # moved away, or another file by now
        return


def _write(path: Path, names: list[str], rows: Sequence[_Row]) -> None:
    columns = list(dict.fromkeys([*names, *(name for cells, _ in rows for name in cells)]))
    try:
        lines = [[*map(neutral, columns), *EXTRA_COLUMNS]]
        for cells, extra in rows:
            lines.append([*(neutral(cells.get(name, "")) for name in columns), *map(neutral, extra)])
        _set_aside(path, lines)
        with replacing(path) as part:
            csv.writer(part.text(), lineterminator="\n").writerows(lines)
    except OSError as error:
        raise unwritable(path, error) from error


def _set_aside(path: Path, new: Sequence[Sequence[str]]) -> None:
    """Give an error file that is there another name, unless the new one has all of its rows."""
    try:
        with path.open(newline="", encoding="utf-8") as there:
            kept = {tuple(line) for line in csv.reader(there)} <= {tuple(line) for line in new}
    except FileNotFoundError:
        return
    except (UnicodeDecodeError, csv.Error):
        kept = False
    if kept:
        return
    with Folder.above(path, ours=False) as folder:
        for number in range(1, NAMES_MAX):
            aside = f"{path.stem}-{number}{path.suffix}"
            with suppress(FileExistsError):
                folder.move(path.name, aside, new=True)
                log.warning("%s had rows that the new one has not: it is %s now", path, path.with_name(aside))
                return
    raise FileExistsError(errno.EEXIST, f"{NAMES_MAX:,} files are named like it")
