"""What ``status`` shows: runs and all other work in one table, the rows of a run that were refused, a watch."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from itertools import accumulate
from typing import TYPE_CHECKING, Any, TypeVar

from rich.console import Group, RenderableType
from rich.text import Text

from syncer.lifecycle.batch import Bucket
from syncer.process.owner import Life
from syncer.report.console import cell
from syncer.report.document import summary_document
from syncer.report.table import FittedTable
from syncer.report.text import STYLES, WORDS, after_death, counts_by_word
from syncer.report.words import many
from syncer.safe.inert import inert

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from syncer.ledger.buckets import RefusedRow
    from syncer.results import RefusedRows, RunSummary, StatusResult, WorkSummary

T = TypeVar("T")
ALIKE_MAX = 20
"""Rows that are refused for the same reason, and listed; ``--json`` lists all that the ledger keeps."""
LIFE_WORDS = {Life.ALIVE: "running", Life.DEAD: "dead", Life.UNKNOWN: "unknown"}
"""``unknown``: it runs, or ran, on another machine."""


CAME_TO = {
    "products": "products", "new": "new", "gone": "gone", "scans": "scans", "missing": "missing", "lines": "lines",
    "broken": "broken", "created": "created", "not_created": "not created", "open": "open",
}  # fmt: skip
"""What works other than runs come to, in words."""


def status_document(found: StatusResult) -> dict[str, Any]:
    """Return what ``status --json`` says."""
    return {
        "runs": [summary_document(one) for one in found.runs],
        "works": [_work_document(one) for one in found.works],
    }


def _work_document(summary: WorkSummary) -> dict[str, Any]:
    work = asdict(summary.work)
    owner = work.pop("owner")
    return {**work, "state": _state(summary), "process": {"host": owner["host"], "pid": owner["pid"]}}


def _state(summary: WorkSummary) -> str:
    return "ended" if summary.life is None else LIFE_WORDS[summary.life]


def status_text(found: StatusResult) -> RenderableType:
    """Return the table of ``status``: what is going on and what was done, newest first."""
    if not found.runs and not found.works:
        return Text("no run yet; the first one: syncer sync FILE")
    table = FittedTable("run", "job", "started", "state", "exit", "rows", "confirmed", "not confirmed")
    lines = [(at, 1, _run_line(one)) for at, one in _in_order(found.runs, lambda one: one.run.started_at)]
    works = _in_order(found.works, lambda one: one.work.started_at)
    lines += [(at, int(one.work.parent_id is not None), _work_line(one)) for at, one in works]
    lines.sort(key=lambda one: one[:2])
    for _, _, line in lines[::-1]:
        table.add_row(*line)
    dead = [one.run for one in found.runs if one.life is Life.DEAD]
    hints = [Text(f"run {run.id} died without recording an end: {after_death(run)}", "yellow") for run in dead]
    return Group(table, *hints)


def _in_order(newest_first: Sequence[T], begun: Callable[[T], str]) -> list[tuple[str, T]]:
    """Return what was recorded, oldest first, each with its time, or a later one that stands before it."""
    oldest_first = newest_first[::-1]
    return list(zip(accumulate(map(begun, oldest_first), max), oldest_first, strict=True))


def _run_line(summary: RunSummary) -> tuple[str | Text, ...]:
    run = summary.run
    others = {name: n for name, n in counts_by_word(summary).items() if n and name != WORDS[Bucket.CONFIRMED]}
    return (
        str(run.id),
        cell(run.job.name),
        _moment(run.started_at),
        Text(run.state, STYLES.get(run.state, "")),
        "" if run.exit_code is None else str(run.exit_code),
        f"{run.rows['read']:,}" if run.rows else "-",
        f"{summary.values.get(Bucket.CONFIRMED, 0):,}",
        ", ".join(f"{count:,} {name}" for name, count in others.items()) or "-",
    )


def _work_line(summary: WorkSummary) -> tuple[str | Text, ...]:
    work, state = summary.work, _state(summary)
    kind = "night" if work.kind == "run" else work.kind
    return (
        "",
        Text(f"({kind})" if work.parent_id is None else f"(night: {kind})", "dim"),
        _moment(work.started_at),
        Text(state, STYLES.get(state, "")),
        "" if work.exit_code is None else str(work.exit_code),
        "",
        "",
        cell(work.error or _came_to(work.counts)),
    )


def _came_to(counts: Mapping[str, int]) -> str:
    """Return what a pull or an upload came to; its calls are counted in the document alone."""
    return ", ".join(f"{counts[name]:,} {words}" for name, words in CAME_TO.items() if counts.get(name))


def _moment(at: str) -> str:
    return at[:19].replace("T", " ")


def rows_document(found: RefusedRows) -> dict[str, Any]:
    """Return what ``status RUN --rows --json`` says; ``left_out`` counts the rows that are not listed."""
    return {
        "run": summary_document(found.summary),
        "invalid": [asdict(row) for row in found.invalid],
        "rejected": [asdict(row) for row in found.untaken],
        "left_out": {"invalid": found.invalid_left_out, "rejected": found.untaken_left_out},
    }


def rows_text(found: RefusedRows) -> RenderableType:
    """Return the rows of a run that were refused: by our rules, then by the API."""
    parts: list[RenderableType] = []
    for words, rows, left_out in (
        ("not valid", found.invalid, found.invalid_left_out),
        ("not taken by the API", found.untaken, found.untaken_left_out),
    ):
        if rows or left_out:
            parts += [Text(f"{many(len(rows) + left_out, 'row')} {words}", "bold"), _rows_table(rows)]
        if left_out:
            parts.append(Text(f"… and {left_out:,} more: the ledger keeps the first ones", "dim"))
    return Group(*parts) if parts else Text(f"run {found.summary.run.id} has no invalid or rejected row")


def _rows_table(rows: Iterable[RefusedRow]) -> FittedTable:
    """Return the rows; of those that are refused for one reason, the first ones."""
    table, reasons = FittedTable("file and line", "code", "key", "what is wrong"), Counter[tuple[str, str]]()
    for row in rows:
        reasons[row.code, row.message] += 1
        if reasons[row.code, row.message] <= ALIKE_MAX:
            table.add_row(cell(f"{row.file}:{row.line}"), row.code, cell(row.key), cell(row.message))
    for (code, message), count in reasons.items():
        if count > ALIKE_MAX:
            table.add_row(Text(f"… {count - ALIKE_MAX:,} more: --json", "dim"), code, "", cell(message))
    return table


def watch_line(found: StatusResult) -> str:
    """Return what is going on in one line, for where nobody can be shown a table."""
    runs = [_progress(one) for one in found.runs if one.life is Life.ALIVE]
    works = [("night" if one.work.kind == "run" else one.work.kind) + " is going on"
             for one in found.works if one.life is Life.ALIVE]  # fmt: skip
    return "; ".join([*works, *runs]) or _last_end(found)


def _progress(summary: RunSummary) -> str:
    named = f"run {summary.run.id} of job {inert(summary.run.job.name)}"
    planned, confirmed = sum(summary.values.values()), summary.values.get(Bucket.CONFIRMED, 0)
    return (
        f"{named}: {confirmed:,} of {many(planned, 'value')} confirmed" if planned else f"{named}: settling, planning"
    )


def _last_end(found: StatusResult) -> str:
    if not found.runs:
        return "nothing is going on"
    run = found.runs[0].run
    return f"nothing is going on; the last run, {run.id} of job {inert(run.job.name)}, is {run.state}"
