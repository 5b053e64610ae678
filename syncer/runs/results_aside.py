"""What earlier runs left in a results folder: said whose it is, and set aside where nobody has mended it yet.

``results.json`` names the run whose files the folder holds. What always holds: an ``error.csv`` of an earlier run is
replaced only by one that has all of its rows, or when it is the input of this run, which recorded them (`read_from` of
the folder: else nothing is written); else it stays, named for its run. What has one of our names and is none of our
files is never replaced.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import os
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import islice
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
HEAD_BYTES = 1 << 20
"""Of a file in which its header is looked for."""


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
        if not _is_ours(folder, name):
            moved.append(_moved(folder, name, "own"))
        elif new_errors is None or (
            name == ERRORS and not is_input(folder, name, inputs) and not _has_all(folder, new_errors)
        ):
            moved.append(_moved(folder, name, _run_of(folder)))
    return moved


def _moved(folder: Folder, name: str, run: str) -> str:
    stem = name.removesuffix(".csv")
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


def _is_ours(folder: Folder, name: str) -> bool:
    """Tell whether a file is one of a results folder, whatever a spreadsheet made of it; one without content too."""
    with folder.read(name) as file:
        head = file.read(HEAD_BYTES)
    return not head or _rows(head, most=1) is not None


def _has_all(folder: Folder, new: BinaryIO) -> bool:
    """Tell whether every row of the folder's ``error.csv`` stands among the new ones too."""
    found = folder.stat(ERRORS)
    new.seek(0, 2)
    if found is None or max(found.st_size, new.tell()) > COMPARED_BYTES_MAX:
        return False
    with folder.read(ERRORS) as file:
        old = _rows(file.read())
    new.seek(0)
    rows = _rows(new.read())
    new.seek(0, 2)
    return old is not None and (len(old) <= 1 or set(rows or ()).issuperset(old))


def _rows(content: bytes, most: int | None = None) -> list[tuple[str, ...]] | None:
    """Return the first rows of a result file, its header too, by the input's own cells; None: it is none."""
    text = _text(content)
    for delimiter in DELIMITERS:
        with suppress(csv.Error):
            rows = islice(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), most)
            header = next(rows, [])
            if set(EXTRA_COLUMNS) <= set(header):
                own = [place for place, name in enumerate(header) if name not in EXTRA_COLUMNS]
                return [tuple(row[place] for place in own if place < len(row)) for row in (header, *rows)]
    return None


def _text(content: bytes) -> str:
    """Return the text of a file: UTF-16 behind its mark alone, for nearly any bytes read so; else what is possible."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", "replace")
    with suppress(UnicodeDecodeError):
        return content.decode("utf-8-sig")
    return content.decode("latin-1")  # each byte as a letter: files are alike when their bytes are
