"""The report of runs as one HTML page that needs nothing else: verdict first, then what needs a person, then numbers.

What always holds: texts of others are escaped (autoescape) and inert; the page loads nothing from anywhere and runs no
script (its content security policy says so); every picture has a text alternative and stands beside its numbers.
"""

from __future__ import annotations

import base64
import hashlib
import shlex
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from syncer.lifecycle.batch import Bucket
from syncer.model import shown_key
from syncer.process.help import configured
from syncer.process.owner import Life
from syncer.report.pictures import CallsPicture, Share, calls_picture, shares_of, trend_columns
from syncer.report.story import quoted
from syncer.report.text import WORDS, after_death, meaning_of
from syncer.report.words import many, span
from syncer.safe.inert import inert

if TYPE_CHECKING:
    from jinja2 import Environment as Templates

    from syncer.ledger.night import FieldChange, NightFacts, NotThrough
    from syncer.results import RunDetails, RunSummary

WELL, LOOK, STOPPED = "well", "look", "stopped"
_VERDICTS: Mapping[str, tuple[str, str]] = {
    "complete": (WELL, "All is confirmed."),
    "incomplete": (LOOK, "Finished, but some rows are not confirmed."),
    "stopped": (STOPPED, "Stopped before its end."),
    "running": (LOOK, "Not ended: it is still at work, or it died."),
    "dead": (STOPPED, "The process died before its end."),
    "unknown": (LOOK, "Not ended: it is at work on another machine, or it died."),
}
_AGAIN = "its task failed, or it was let go of: the next run sends it again, as does syncer resume"
_OPEN_BUCKETS = (Bucket.IN_DOUBT, Bucket.PENDING, Bucket.UNSENT)


@dataclass(frozen=True, slots=True)
class Need:
    """What needs a person, and the one command that helps with all of it."""

    words: tuple[str, ...]
    command: str


@dataclass(frozen=True, slots=True)
class Cause:
    """Why rows or values are not confirmed, how they ended, how many they are, and one of them."""

    words: str
    ended: str
    count: int
    example: str


@dataclass(frozen=True, slots=True)
class Night:
    """One run as the page shows it."""

    details: RunDetails
    facts: NightFacts
    verdict: str
    words: str
    summary: str
    needs: tuple[Need, ...]
    shares: tuple[Share, ...]
    rows: Sequence[tuple[str, int]]
    values: Sequence[tuple[str, int]]
    took: str
    calls: CallsPicture | None
    causes: tuple[Cause, ...]


@dataclass(frozen=True, slots=True)
class ReportData:
    """What a page is made of: runs newest first, with their facts; past runs newest first; what is not through."""

    details: Sequence[tuple[RunDetails, NightFacts]]
    trend: Sequence[RunSummary]
    left: Sequence[NotThrough]
    updates_per_second: float
    made_at: str
    program: str


def report_html(data: ReportData) -> str:
    """Return the page."""
    return rendered(
        "report.html.j2",
        nights=[
            night_of(details, facts, data.updates_per_second, _left_of(data, details, newest=not place))
            for place, (details, facts) in enumerate(data.details)
        ],
        columns=trend_columns(data.trend, lambda run: _VERDICTS.get(run.state, _VERDICTS["stopped"])[0]),
        left=[(one, *_left_words(one, data.made_at)) for one in data.left],
        buckets=[bucket for bucket in WORDS if bucket is not Bucket.SUPERSEDED],
        words=WORDS,
        made_at=data.made_at,
        program=data.program,
    )


def rendered(template: str, **values: Any) -> str:
    """Return a page of this template: its style inside, and its hash in the content security policy."""
    style = _style()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return _templates().get_template(template).render(**values, style=style, style_digest=digest)


def night_of(
    details: RunDetails, facts: NightFacts, updates_per_second: float, left: Sequence[NotThrough] = ()
) -> Night:
    """Return what the page says of one run; ``left`` is what of it, or of runs that no page shows, is not through."""
    run, values = details.summary.run, details.summary.values
    verdict, words = _VERDICTS.get(run.state, _VERDICTS["stopped"])
    rows = [(name, count) for name, count in run.rows.items() if count or name == "read"]
    own = {(one.bucket, one.message) for one in left if one.run_id == run.id}
    needs = _by_command((*_needs(details, own), *_left_needs([one for one in left if one.run_id != run.id])))
    return Night(
        details,
        facts,
        verdict,
        words,
        _summary(details, len(needs)),
        needs,
        shares_of(run.rows, values),
        rows,
        [(WORDS[bucket], count) for bucket, count in values.items() if count],
        span(run.started_at, run.ended_at) if run.ended_at else "no end",
        calls_picture(facts, run.minimum_updates, updates_per_second),
        tuple(_causes(details, facts)),
    )


def _causes(details: RunDetails, facts: NightFacts) -> Iterator[Cause]:
    """Yield why rows and values are not confirmed: our rules first, by code, then what the API said."""
    by_code = Counter(row.code for row in facts.invalid)
    for code, count in by_code.most_common():
        first = next(row for row in facts.invalid if row.code == code)
        yield Cause(f"{code} {first.message}", "not valid", count, f"{first.file}:{first.line}")
    if (more := details.summary.run.rows.get("invalid", 0) - len(facts.invalid)) > 0:
        yield Cause("further rows that are not valid: the results folder has them", "not valid", more, "")
    for concern in details.concerns:
        words = concern.reason
        yield Cause(words, WORDS[concern.bucket], concern.values, concern.example)


def _summary(details: RunDetails, needs: int) -> str:
    """Return the night in one sentence, below its verdict."""
    run, values = details.summary.run, details.summary.values
    if not run.rows:
        words = "Nothing was planned, and nothing was sent"
        return f"{words}; {many(needs, 'matter')} for a person." if needs else f"{words}."
    sent = sum(count for bucket, count in values.items() if bucket is not Bucket.SUPERSEDED)
    confirmed = values.get(Bucket.CONFIRMED, 0)
    words = f"{many(run.rows.get('read', 0), 'row')} read, {confirmed:,} of {many(sent, 'planned value')} confirmed"
    return f"{words}; {many(needs, 'matter')} for a person." if needs else f"{words}; nothing is left to do."


def _by_command(needs: Iterable[tuple[str, str]]) -> tuple[Need, ...]:
    """Put together what one command helps with, in the order in which it was named first."""
    words = dict[str, list[str]]()
    for said, command in needs:
        words.setdefault(command, []).append(said)
    return tuple(Need(tuple(said), configured(command)) for command, said in words.items())


def _needs(details: RunDetails, wanted: Container[tuple[Bucket, str | None]]) -> Iterator[tuple[str, str]]:
    """Yield what of a run needs a person, and the command; ``wanted``: what the next run sends by itself."""
    run = details.summary.run
    job = shlex.quote(run.job.name)
    if run.state == Life.DEAD:
        words = (
            "the process died" if run.rows else "the process died before its plan was stored: nothing of it was sent"
        )
        yield words, after_death(run)
    if run.error:
        is_open = any(details.summary.values.get(bucket) for bucket in _OPEN_BUCKETS)
        yield run.error, f"syncer resume --job {job}" if is_open else f"syncer status {run.id}"
    if run.rows.get("invalid"):
        files = " ".join(shlex.quote(source.name) for source in details.sources) or "FILE"
        words = f"{many(run.rows['invalid'], 'row')} not valid: correct in the source system, or in the error.csv of"
        yield words, f"syncer plan --job {job} --results rejected {files}"
    for concern in details.concerns:
        why = f": {concern.message}" if concern.message else ""
        words = f"{many(concern.values, 'value')} {WORDS[concern.bucket]}{why} (example: {concern.example})"
        again = (concern.bucket, concern.message) in wanted
        meaning = _AGAIN if again and concern.bucket is Bucket.REJECTED else meaning_of(concern)
        is_open = again or concern.bucket in _OPEN_BUCKETS
        command = f"syncer resume --job {job}" if is_open else f"syncer audit show {shlex.quote(concern.example)}"
        yield f"{words}. What it means: {meaning or concern.message}", command
    if run.discarded_fields:
        words = f"the API took the codes, but not these fields: {', '.join(run.discarded_fields)}"
        yield words, "syncer check"


def _left_of(data: ReportData, details: RunDetails, *, newest: bool) -> list[NotThrough]:
    """Return what of a run is not through; with the newest one stand the runs that the page does not show."""
    shown = {one.summary.run.id for one, _ in data.details} if newest else set()
    own = details.summary.run.id
    return [one for one in data.left if one.run_id == own or (newest and one.run_id not in shown)]


def _left_needs(left: Sequence[NotThrough]) -> Iterator[tuple[str, str]]:
    """Yield what earlier runs left, by job."""
    counts, runs = Counter[str](), dict[str, set[int]]()
    for one in left:
        counts[one.job] += one.values
        runs.setdefault(one.job, set()).add(one.run_id)
    for job, count in counts.items():
        named = ", ".join(map(str, sorted(runs[job])))
        words = f"{many(count, 'value')} of earlier runs ({named}) of job {job} are not through"
        yield words, f"syncer resume --job {shlex.quote(job)}"


def _left_words(one: NotThrough, made_at: str) -> tuple[str, str, str]:
    """Return how long something is not through, an example, and the command that helps."""
    command = configured(f"syncer resume --job {shlex.quote(one.job)}")
    return span(one.since, made_at), shown_key(one.example), command


def _change(change: FieldChange) -> str:
    old = "not known" if change.old is None and not change.uncertain else "uncertain" if change.uncertain else ""
    return f"{old or quoted(change.old)} → {quoted(change.new)}"


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
    templates.filters["when"] = lambda at: at[:19].replace("T", " ")
    templates.filters["change"] = _change
    return templates


def _shown(value: Any) -> Any:
    """Texts lose what a terminal or a reader's eye could be led astray by; all else is shown as it is."""
    return inert(value) if type(value) is str else value


def _style() -> str:
    from importlib.resources import files

    return (files("syncer.report") / "templates" / "report.css").read_text(encoding="utf-8")
