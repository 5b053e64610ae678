"""The report of runs as one HTML page that needs nothing else: verdict first, then what needs a person, then numbers.

What always holds: texts of others are escaped (autoescape) and inert; the page loads nothing from anywhere and runs no
script (its content security policy says so); every picture stands beside its numbers.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from syncer.lifecycle.batch import Bucket
from syncer.report.text import MEANING, WORDS
from syncer.safe.inert import inert

if TYPE_CHECKING:
    from jinja2 import Environment as Templates

    from syncer.results import RunDetails, RunSummary

TREND_HEIGHT = 60
"""Units of the picture of past runs; a column is as high as its share of the largest run."""
WELL, LOOK, STOPPED = "well", "look", "stopped"
_VERDICTS: Mapping[str, tuple[str, str]] = {
    "complete": (WELL, "All is confirmed."),
    "incomplete": (LOOK, "Finished, but some rows are not confirmed."),
    "stopped": (STOPPED, "Stopped before its end."),
    "running": (LOOK, "Not ended: it is still at work, or it died."),
}
_OPEN_BUCKETS = (Bucket.IN_DOUBT, Bucket.PENDING, Bucket.UNSENT)


@dataclass(frozen=True, slots=True)
class Need:
    """Something that needs a person, and the command that helps."""

    words: str
    command: str


@dataclass(frozen=True, slots=True)
class TrendColumn:
    """One past run in the picture of the trend: heights in units of `TREND_HEIGHT`, and the numbers behind them."""

    summary: RunSummary
    confirmed: int
    others: int
    confirmed_height: float
    others_height: float
    verdict: str


@dataclass(frozen=True, slots=True)
class Night:
    """One run as the page shows it."""

    details: RunDetails
    verdict: str
    words: str
    needs: tuple[Need, ...]
    rows: Sequence[tuple[str, int]]
    values: Sequence[tuple[str, int]]


def report_html(details: Sequence[RunDetails], trend: Sequence[RunSummary], *, made_at: str, program: str) -> str:
    """Return the page: `details` newest first, `trend` the past runs, newest first; ``made_at`` is UTC text."""
    return rendered(
        "report.html.j2",
        nights=[night_of(one) for one in details],
        columns=columns_of(trend),
        height=TREND_HEIGHT,
        made_at=made_at,
        program=program,
    )


def rendered(template: str, **values: Any) -> str:
    """Return a page of this template: its style inside, and its hash in the content security policy."""
    style = _style()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return _templates().get_template(template).render(**values, style=style, style_digest=digest)


def night_of(details: RunDetails) -> Night:
    """Return what the page says of one run."""
    summary = details.summary
    verdict, words = _VERDICTS.get(summary.run.state, _VERDICTS["stopped"])
    rows = [(name, count) for name, count in summary.run.rows.items() if count or name == "read"]
    values = [(WORDS[bucket], count) for bucket, count in summary.values.items() if count]
    return Night(details, verdict, words, tuple(_needs(details)), rows, values)


def _needs(details: RunDetails) -> list[Need]:
    run, needs = details.summary.run, list[Need]()
    if run.error:
        needs.append(Need(run.error, f"syncer status {run.id}"))
    if run.rows.get("invalid"):
        words = f"{run.rows['invalid']:,} rows are not valid: correct them in the source system, or in error.csv"
        needs.append(Need(words, f"syncer sync --job {run.job.name} --results DIR FILE"))
    for concern in details.concerns:
        words = f"{concern.values:,} values {WORDS[concern.bucket]}: {concern.message} (for example {concern.example})"
        is_open = concern.bucket in _OPEN_BUCKETS
        command = f"syncer resume --job {run.job.name}" if is_open else f"syncer audit show {concern.example}"
        needs.append(Need(f"{words}. What it means: {MEANING.get(concern.bucket, concern.message)}", command))
    if run.discarded_fields:
        words = f"the API took the codes, but not these fields: {', '.join(run.discarded_fields)}"
        needs.append(Need(words, "syncer check"))
    return needs


def columns_of(trend: Sequence[RunSummary]) -> list[TrendColumn]:
    """Return the past runs as columns, oldest first; all heights are shares of the largest run."""
    counts = []
    for summary in reversed(trend):
        confirmed = summary.values.get(Bucket.CONFIRMED, 0)
        others = sum(n for bucket, n in summary.values.items() if bucket not in {Bucket.CONFIRMED, Bucket.SUPERSEDED})
        counts.append((summary, confirmed, others + summary.run.rows.get("invalid", 0)))
    most = max([1, *(confirmed + others for _, confirmed, others in counts)])
    return [
        TrendColumn(
            summary,
            confirmed,
            others,
            round(confirmed * TREND_HEIGHT / most, 2),
            round(others * TREND_HEIGHT / most, 2),
            _VERDICTS.get(summary.run.state, _VERDICTS["stopped"])[0],
        )
        for summary, confirmed, others in counts
    ]


@cache
def _templates() -> Templates:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    templates = Environment(
        loader=PackageLoader("syncer.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    templates.filters["thousands"] = lambda number: f"{number:,}"
    return templates


def _shown(value: Any) -> Any:
    """Texts lose what a terminal or a reader's eye could be led astray by; all else is shown as it is."""
    return inert(value) if type(value) is str else value


def _style() -> str:
    from importlib.resources import files

    return (files("syncer.report") / "templates" / "report.css").read_text(encoding="utf-8")
