"""The history of many values as CSV or JSON lines, streamed."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, TextIO

from syncer.ledger.values import HistoryEntry
from syncer.model import shown_key
from syncer.report.document import entry_document

if TYPE_CHECKING:
    from collections.abc import Iterable


def write_export(entries: Iterable[HistoryEntry], form: str, out: TextIO) -> None:
    """Write entries as ``csv`` (with a header) or ``jsonl``, one a line."""
    if form == "jsonl":
        out.writelines(json.dumps(entry_document(entry), ensure_ascii=False) + "\n" for entry in entries)
        return
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HistoryEntry.__slots__)
    for entry in entries:
        writer.writerow({**asdict(entry), "key": shown_key(entry.key)}.values())
