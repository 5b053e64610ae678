"""What earlier runs left in a results folder: said whose it is, and set aside where nobody has mended it yet.

``results.json`` names the run whose files the folder holds. What always holds: an ``error.csv`` of an earlier run is
replaced only by one that has all of its rows, or when it is the input of this run, which recorded them (`read_from` of
the folder: else nothing is written); else it stays, named for its run.
"""

from __future__ import annotations

import csv
import io
import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO

from syncer.safe.files import new_file
from syncer.safe.formulas import EXTRA_COLUMNS
from syncer.source.dialect import DELIMITERS

if TYPE_CHECKING:
    from syncer.safe.files import Folder

ABOUT = "results.json"
ERRORS = "error.csv"
COMPARED_BYTES_MAX = 64 << 20
"""A larger ``error.csv`` is not compared row by row: it is set aside."""
_ENCODINGS = ("utf-8-sig", "utf-16", "cp1252")


def write_about(folder: Folder, about: Mapping[str, Any]) -> None:
    """Write whose results these are."""
    with new_file(folder, ABOUT) as part:
        part.file.write(json.dumps(about, ensure_ascii=False, indent=1).encode() + b"\n")
        part.keep()


def set_aside(folder: Folder, names: Sequence[str], new_errors: BinaryIO | None, inputs: Sequence[str]) -> list[str]:
    """Give files of an earlier run names of their own; return these.

    ``new_errors`` is the file that comes in place of ``error.csv``; None: nothing comes, and all of `names` are moved.
    ``inputs`` are the files that this run has read.
    """
    moved = []
    for name in names:
        found = folder.stat(name)
        if found is None or not stat.S_ISREG(found.st_mode):  # what is no plain file was not written here
            continue
        if new_errors is not None and (
            name != ERRORS or is_input(folder, name, inputs) or _has_all(folder, new_errors)
        ):
            continue
        moved.append(_moved(folder, name))
    return moved


def _moved(folder: Folder, name: str) -> str:
    stem, run = name.removesuffix(".csv"), _run_of(folder)
    for number in range(1000):
        to = f"{stem}-{run}{f'-{number}' if number else ''}.csv"
        with suppress(FileExistsError):
            folder.move(name, to, new=True)
            return to
    raise FileExistsError(f"{folder.path} holds a thousand files named like {name} of {run}")


def _run_of(folder: Folder) -> str:
    """Return a word for the run whose results the folder holds."""
    try:
        with folder.read(ABOUT) as file:
            run = json.load(file).get("run")
    except (OSError, ValueError, AttributeError):
        return "earlier"
    return f"run-{run}" if isinstance(run, int) else "plan"


def is_input(folder: Folder, name: str, inputs: Sequence[str]) -> bool:
    """Tell whether the folder's file of this name is one of `inputs`, by whatever path."""
    found = folder.stat(name)
    for path in inputs:
        with suppress(OSError):
            other = os.stat(path.encode("utf-8", "surrogateescape"))  # as the name was read, whatever the locale
            if found is not None and (found.st_ino, found.st_dev) == (other.st_ino, other.st_dev):
                return True
    return False


def _has_all(folder: Folder, new: BinaryIO) -> bool:
    """Tell whether every row of the folder's ``error.csv`` stands among the new ones too."""
    found = folder.stat(ERRORS)
    new.seek(0, 2)
    if found is None or max(found.st_size, new.tell()) > COMPARED_BYTES_MAX:
        return False
    with folder.read(ERRORS) as file:
        old = list(_rows(file.read()))
    if len(old) <= 1:
        return True
    new.seek(0)
    rows = set(_rows(new.read()))
    new.seek(0, 2)
    return rows.issuperset(old)


def _rows(content: bytes) -> Iterator[tuple[str, ...]]:
    """Give the rows of a result file by the input's own cells, whatever form it has."""
    for encoding in _ENCODINGS:
        with suppress(UnicodeError):
            text = content.decode(encoding)
            head = text.partition("\n")[0]
            delimiter = max(DELIMITERS, key=head.count)
            for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
                yield tuple(row[: -len(EXTRA_COLUMNS)])
            return
