"""What the commands about own codes and work orders show: documents, and text for people."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from syncer.lifecycle.part import NOTHING_CREATED, PartState, fate
from syncer.process.help import configured
from syncer.report.console import cell
from syncer.report.document import SCHEMA, error_document
from syncer.report.table import FittedTable
from syncer.report.text import error_text
from syncer.report.words import many

if TYPE_CHECKING:
    from syncer.api.ingestion import WorkOrder
    from syncer.codes.reading import Reject
    from syncer.codes.upload_result import CodesResult
    from syncer.ledger.upload_values import CodeError, CodeUpload, Upload

DOCUMENT_ROWS_MAX = 100
TEXT_ROWS_MAX = 10
STYLES = {"complete": "green", "open": "yellow", "failed": "red"}


def result_document(result: CodesResult) -> dict[str, Any]:
    """Return the document of ``codes upload`` and ``codes resume``."""
    checked = result.checked
    uploads = [upload_document(one) for one in result.uploads]
    return {
        "schema": SCHEMA,
        "command": result.command,
        "exit_code": result.exit_code,
        "upload": uploads[-1] if uploads else None,
        "uploads": uploads,
        "rows": None
        if checked is None
        else {
            "read": checked.rows,
            "valid": int(checked.good.sum()),
            "invalid": checked.rejected,
            "duplicate": checked.ignored,
        },
        "codes": dict(code_counts(result.uploads)),
        "rejected": [_reject(one) for one in (checked.rejects if checked else ())[:DOCUMENT_ROWS_MAX]],
        "errors": [asdict(one) for one in result.errors],
        "error_file": str(result.error_file) if result.error_file else None,
        "notes": list(result.notes),
        "error": error_document(result.error) if result.error else None,
    }


def _reject(one: Reject) -> dict[str, object]:
    return {"line": one.line, "code": one.code, "message": one.message, "id": one.id}


def code_counts(uploads: Sequence[Upload]) -> Counter[str]:
    """Count the codes of uploads by where they ended: created, not_created, open."""
    counts = Counter({"created": 0, "not_created": 0, "open": 0})
    for one in uploads:
        for part in one.parts:
            counts[fate(part.state)] += part.codes
    return counts


def upload_document(upload: Upload) -> dict[str, Any]:
    """Return an upload with its parts; the forms for storage are nobody's business."""
    shown = ("id", "created_at", "file", "sha256", "size_bytes", "filetype", "url_prefix", "allow_duplicates", "codes")
    parts = ("number", "state", "codes", "size_bytes", "record_key", "remote_status", "message", "changed_at")
    return {
        **{name: getattr(upload, name) for name in shown},
        "state": upload.state,
        "defaults": dict(upload.defaults),
        "left_out": dict(upload.left_out),
        "parts": [{name: getattr(part, name) for name in parts} for part in upload.parts],
    }


def code_upload_document(entry: CodeUpload) -> dict[str, Any]:
    """Return one upload of one code, its data as mappings."""
    return {**asdict(entry), "data": json.loads(entry.data), "defaults": json.loads(entry.defaults)}


def result_text(result: CodesResult) -> RenderableType:
    """Return the summary of ``codes upload`` and ``codes resume``."""
    parts: list[RenderableType] = []
    checked = result.checked
    if checked is not None:
        words = f"{many(checked.rows, 'row')} read: {int(checked.good.sum()):,} valid, {checked.rejected:,} invalid"
        words += f", {checked.ignored:,} later duplicates left out" if checked.ignored else ""
        parts.append(Text(words))
        if checked.rejects:
            parts.append(_rejects_table(checked.rejects, checked.rejected))
    parts += [upload_text(one) for one in result.uploads]
    if result.errors:
        parts.append(errors_table(result.errors))
    if result.error_file is not None:
        parts.append(Text(f"the rows with their errors: {result.error_file}"))
    parts += [Text(f"note: {note}", style="dim") for note in result.notes]
    if result.error is not None:
        parts.append(error_text(result.error))
    elif any(one.open for one in result.uploads):
        parts.append(Text(f"next: {configured('syncer codes resume')}", "bold"))
    elif any(part.state is PartState.COMPLETE for one in result.uploads for part in one.parts):
        parts.append(
            Text("the codes' file with URLs: syncer workorders list, then: syncer workorders download ID", "dim")
        )
    return Group(*parts)


def _rejects_table(rejects: Sequence[Reject], count: int) -> RenderableType:
    table = FittedTable("line", "code", "what is wrong")
    for one in rejects[:TEXT_ROWS_MAX]:
        table.add_row(str(one.line), one.code, cell(one.message))
    more = count - min(len(rejects), TEXT_ROWS_MAX)
    return Group(table, *([Text(f"… and {more:,} more", "dim")] if more > 0 else []))


def upload_text(upload: Upload) -> RenderableType:
    """Return an upload with its parts."""
    head = Text(f"upload {upload.id} of {upload.file}: {upload.state}", f"bold {STYLES[upload.state]}")
    table = FittedTable("part", "state", "codes", "MB", "record", "changed", "said")
    for part in upload.parts:
        style = "green" if part.state is PartState.COMPLETE else "red" if part.state in NOTHING_CREATED else ""
        table.add_row(
            str(part.number),
            Text(part.state.value, style),
            f"{part.codes:,}",
            f"{part.size_bytes / 1e6:,.1f}",
            part.record_key or "",
            part.changed_at[:19].replace("T", " "),
            cell(part.message or ""),
        )
    left_out = ", ".join(f"{count:,} {why}" for why, count in upload.left_out.items() if count)
    more = [Text(f"left out of it: {left_out} rows of the file", "yellow")] if left_out else []
    return Group(head, table, *more)


def errors_table(errors: Sequence[CodeError]) -> RenderableType:
    """Return what the API said against codes."""
    table = FittedTable("line", "code", "error", "words")
    for one in errors[:TEXT_ROWS_MAX]:
        table.add_row(str(one.line or ""), cell(one.code), cell(one.name), cell(one.message))
    more = len(errors) - TEXT_ROWS_MAX
    return Group(table, *([Text(f"… and {more:,} more", "dim")] if more > 0 else []))


def uploads_text(uploads: Sequence[Upload]) -> RenderableType:
    """Return the table of ``codes list``."""
    if not uploads:
        return Text("no upload of own codes yet; the first one: syncer codes upload FILE")
    table = FittedTable("upload", "file", "recorded", "state", "codes", "parts")
    for one in uploads:
        table.add_row(
            str(one.id),
            cell(one.file),
            one.created_at[:19].replace("T", " "),
            Text(one.state, STYLES[one.state]),
            f"{one.codes:,}",
            str(len(one.parts)),
        )
    return table


def orders_text(orders: Sequence[WorkOrder], *, complete: bool) -> RenderableType:
    """Return the table of ``workorders list``."""
    table = FittedTable("id", "reference", "state", "codes", "created", "archived")
    for one in orders:
        table.add_row(
            str(one.id),
            cell(one.reference),
            cell(one.state),
            "" if one.quantity is None else f"{one.quantity:,}",
            one.created_at[:19].replace("T", " "),
            "yes" if one.archived else "",
        )
    return Group(table, *([] if complete else [Text("… there are more: --limit, --search", "dim")]))


def files_text(order_id: int, files: Sequence[Path]) -> str:
    """Return what ``workorders download`` says."""
    return "\n".join([f"work order {order_id}:", *(f"  {file}" for file in files)])
