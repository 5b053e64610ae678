"""The history of many values as CSV or JSON lines, streamed block by block through a frame."""

from __future__ import annotations

from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING, TextIO

import pandas as pd

from syncer.ledger.values import HistoryEntry
from syncer.model import shown_key
from syncer.report.document import entry_document

if TYPE_CHECKING:
    from collections.abc import Iterable

BLOCK_ENTRIES = 5_000


def write_export(entries: Iterable[HistoryEntry], form: str, out: TextIO) -> None:
    """Write entries as ``csv`` (with a header) or ``jsonl``, one a line; memory is bounded by a block."""
    remaining = iter(entries)
    header = form == "csv"
    while (block := list(islice(remaining, BLOCK_ENTRIES))) or header:
        if form == "jsonl":
            frame = pd.DataFrame([entry_document(entry) for entry in block], dtype=object)
            out.write(frame.to_json(orient="records", lines=True, force_ascii=False))
        else:
            rows = [{**asdict(entry), "key": shown_key(entry.key)} for entry in block]
            frame = pd.DataFrame(rows, columns=list(HistoryEntry.__slots__), dtype=object)
            frame.to_csv(out, header=header, index=False, lineterminator="\n")
        header = False
