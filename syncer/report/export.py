"""The history of many values as CSV or JSON lines, streamed block by block through a frame.

CSV is for spreadsheets: texts that they would compute are written as `formulas.neutral` text. JSON lines hold them as
they are.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING, TextIO

import pandas as pd

from syncer.errors import UsageError
from syncer.ledger.values import HistoryEntry
from syncer.model import shown_key
from syncer.process import streams
from syncer.report.document import entry_document
from syncer.safe.files import replacing
from syncer.safe.formulas import neutral
from syncer.safe.inert import inert, inert_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

BLOCK_ENTRIES = 5_000
STANDARD_INPUT = "-"
"""The name of a file that was none. By itself it is no formula."""


def write_export(entries: Iterable[HistoryEntry], form: str, out: TextIO) -> int:
    """Write entries as ``csv`` (with a header) or ``jsonl``; return how many. Memory is bounded by a block."""
    remaining = iter(entries)
    count = 0
    header = form == "csv"
    while (block := list(islice(remaining, BLOCK_ENTRIES))) or header:
        if form == "jsonl":
            frame = pd.DataFrame([entry_document(entry) for entry in block], dtype=object)
            out.write(inert_json(frame.to_json(orient="records", lines=True, force_ascii=False)))
        else:
            rows = [{name: _cell(name, value) for name, value in asdict(entry).items()} for entry in block]
            frame = pd.DataFrame(rows, columns=list(HistoryEntry.__slots__), dtype=object)
            frame.to_csv(out, header=header, index=False, lineterminator="\n")
        header = False
        count += len(block)
    return count


@contextmanager
def export_target(path: Path | None) -> Iterator[TextIO]:
    """Give standard output, or a file that appears whole at the end, 0600; raise `UsageError` when it cannot."""
    if path is None:
        yield streams.utf8_stdout()
        return
    try:
        with replacing(path) as part:
            yield part.text()
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", next="name another file") from error


def _cell(name: str, value: object) -> object:
    if not isinstance(value, str) or value == STANDARD_INPUT:
        return value
    if name == "key":
        return neutral(shown_key(value))
    return neutral(inert(value) if name in {"file", "message"} else value)
