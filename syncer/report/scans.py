"""What ``syncer scans`` says: one JSON document, or text for people."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from syncer.process.help import configured, help_lines
from syncer.report.console import cell
from syncer.report.document import SCHEMA, error_document
from syncer.report.table import FittedTable
from syncer.report.words import many
from syncer.safe.inert import pasted
from syncer.scans.pull import iso

if TYPE_CHECKING:
    from syncer.scans.compare import Comparison
    from syncer.scans.pull_result import RawResult, ScansPullResult

SHOWN_ROWS = 10


def pull_document(result: ScansPullResult) -> dict[str, Any]:
    """Return the document of ``scans pull``."""
    state = result.state
    return {
        "schema": SCHEMA,
        "command": "scans pull",
        "exit_code": result.exit_code,
        "destination": result.destination,
        "format": result.form,
        "scans": {
            "delivered": result.counts.delivered,
            "repeated": result.counts.repeated,
            "too_late": result.counts.too_late,
            "missing": result.counts.missing,
            "total": state.scans if state else 0,
        },
        "pages": result.counts.pages,
        "parts": {"written": result.counts.parts, "total": state.parts if state else 0},
        "retries": result.counts.retries,
        "restarts": result.counts.restarts,
        "watermark": iso(state.watermark_us) if state and state.watermark_us is not None else None,
        "fields": list(state.fields) if state else [],
        "complete": state is not None
        and state.chain_query is None
        and result.error is None
        and not result.counts.missing,
        "seconds": round(result.seconds, 3),
        "error": error_document(result.error) if result.error else None,
    }


def pull_text(result: ScansPullResult) -> RenderableType:
    """Return what a pull came to, in words."""
    counts, state = result.counts, result.state
    rate = f", {counts.delivered / result.seconds:,.0f} a second" if result.seconds > 1 and counts.delivered else ""
    pages = f"{counts.pages:,} {'page' if counts.pages == 1 else 'pages'}"
    lines = [
        f"{many(counts.delivered, 'new scan')} in {result.seconds:.1f} s{rate} → {_here(result.destination)}",
        f"{pages}, {counts.repeated:,} scans known already, {state.scans if state else 0:,} in all",
    ]
    if state and not state.scans and result.error is None:
        lines.append("! no scan so far: if there should be some, look at the campaign's number and at the filters")
    if counts.missing:
        lines.append(f"! the API counts {counts.missing:,} scans more than its pages showed: run it again")
    if counts.too_late:
        lines.append(
            f"! {counts.too_late:,} scans are from before the overlap and were left out: they may have been delivered "
            "earlier (scans.overlap_h)"
        )
    if result.error is not None:
        lines += [f"error ({result.error.code}): {result.error.message}"]
        lines += [f"  {line}" for line in help_lines(result.error)]
    return Text("\n".join(lines))


def _here(path: str) -> str:
    """Return a path as people would name it in the folder in which they are."""
    return str(Path(path).relative_to(Path.cwd())) if Path(path).is_relative_to(Path.cwd()) else path


def raw_document(result: RawResult) -> dict[str, Any]:
    """Return the document of ``scans pull --raw-csv``."""
    return {
        "schema": SCHEMA,
        "command": "scans pull",
        "exit_code": result.exit_code,
        "destination": str(result.path),
        "format": "raw-csv",
        "lines": result.lines,
        "bytes": result.size_bytes,
        "broken": result.broken,
        "broken_lines": list(result.broken_lines),
        "seconds": round(result.seconds, 3),
        "error": None,
    }


def raw_text(result: RawResult) -> RenderableType:
    """Return what the API's own CSV came to, in words."""
    lines = [f"{result.lines:,} lines, {result.size_bytes:,} bytes → {_here(str(result.path))}"]
    if result.broken:
        shown = ", ".join(map(str, result.broken_lines))
        more = " …" if result.broken > len(result.broken_lines) else ""
        lines.append(
            f"! {result.broken:,} lines are broken, because the API does not quote its values: {shown}{more}\n"
            "  without --raw-csv the scans are taken from JSON, and every value is whole"
        )
    return Text("\n".join(lines))


def compare_document(result: Comparison, envelope: dict[str, Any]) -> dict[str, Any]:
    """Return the document of ``scans compare``: exit code 3 when something disagrees."""
    return {
        **envelope,
        "exit_code": 3 if result.disagree else 0,
        "scans": {"read": result.scans, "compared": result.scans_compared},
        "values": {"agree": result.agree, "under_way": result.under_way, "disagree": result.disagree},
        "fields": {name: dict(counts) for name, counts in sorted(result.fields.items())},
        "not_compared": dict(sorted(result.not_compared.items())),
        "disagreements": [asdict(one) for one in result.disagreements],
    }


def compare_text(result: Comparison) -> RenderableType:
    """Return what scans saw against what was confirmed, in words."""
    parts: list[RenderableType] = [
        Text(
            f"{result.scans:,} scans, {result.scans_compared:,} of codes whose data was confirmed by then: "
            f"{result.agree:,} values agree, {result.under_way:,} with an upload that was under way, "
            f"{result.disagree:,} DISAGREE"
        )
    ]
    if not result.scans_compared:
        parts.append(
            Text(
                "! nothing was compared, so nothing is shown: no scan is of a code whose data was confirmed before it, "
                "in this ledger, by extended_id or serial_number",
                "yellow",
            )
        )
    if result.disagreements:
        table = FittedTable(
            "code", "field", "scan saw", "ledger expects", "scanned at", "confirmed at", "upload", header_style="bold"
        )
        for one in result.disagreements[:SHOWN_ROWS]:
            seen = "(nothing)" if one.seen is None else one.seen
            upload = f"run {one.run_id}, batch {one.batch_id}, {one.file}:{one.line}"
            cells = (one.key, one.field, seen, " or ".join(one.expected), one.at, one.confirmed_at, upload)
            table.add_row(*map(cell, cells))
        parts.append(table)
        if result.disagree > SHOWN_ROWS:
            parts.append(Text(f"… and {result.disagree - SHOWN_ROWS:,} more"))
        parts.append(Text(f"next: {configured(pasted(['syncer', 'audit', 'show', result.disagreements[0].key]))}"))
    parts += [Text(f"not compared: {name}: {why}") for name, why in sorted(result.not_compared.items())]
    return Group(*parts)
