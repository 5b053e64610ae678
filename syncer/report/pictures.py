"""The pictures of the report as numbers: heights and shares that a template draws as SVG. Pure.

SVG is written by the template, not by a plotting library: what those write carries styles of its own, which the
page's content security policy forbids, and colours that know no dark. What always holds: a picture has words that say
the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from syncer.lifecycle.batch import Bucket
from syncer.report.words import many

if TYPE_CHECKING:
    from syncer.ledger.night import CallColumn, NightFacts
    from syncer.ledger.values import Run
    from syncer.results import RunSummary

HEIGHT = 60
"""Units that the highest column of a picture has."""


@dataclass(frozen=True, slots=True)
class TrendColumn:
    """One past run in the picture of the trend: heights in units of `HEIGHT`, and the numbers behind them."""

    summary: RunSummary
    confirmed: int
    others: int
    confirmed_height: float
    others_height: float
    verdict: str


@dataclass(frozen=True, slots=True)
class Share:
    """A part of the rows of a run: where it begins and how wide it is, of 100, and how it is coloured."""

    name: str
    count: int
    begin: float
    width: float
    colour: str


@dataclass(frozen=True, slots=True)
class CallsPicture:
    """A run's update calls over time: heights of all calls and of those that were throttled or failed; the limit's."""

    columns: tuple[tuple[CallColumn, float, float], ...]
    column_s: int
    limit_height: float
    words: str


def trend_columns(trend: Sequence[RunSummary], verdict: Callable[[Run], str]) -> list[TrendColumn]:
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
            _height(confirmed, most),
            _height(others, most),
            verdict(summary.run),
        )
        for summary, confirmed, others in counts
    ]


def _height(count: float, most: float) -> float:
    return round(count * HEIGHT / most, 2)


def shares_of(rows: Mapping[str, int], values: Mapping[Bucket, int]) -> tuple[Share, ...]:
    """Return the rows of a run by what became of them, as shares of one bar."""
    unconfirmed = sum(n for bucket, n in values.items() if bucket not in {Bucket.CONFIRMED, Bucket.SUPERSEDED})
    parts = [
        ("confirmed", values.get(Bucket.CONFIRMED, 0), "well"),
        ("unchanged or duplicate", rows.get("unchanged", 0) + rows.get("duplicate", 0), "calm"),
        ("not confirmed", unconfirmed + rows.get("held", 0), "rest"),
        ("not valid", rows.get("invalid", 0), "bad"),
    ]
    whole, begin, shares = max(1, sum(count for _, count, _ in parts)), 0.0, list[Share]()
    for name, count, colour in parts:
        width = 100 * count / whole
        if count:
            shares.append(Share(name, count, round(begin, 3), round(max(width, 0.4), 3), colour))
        begin += width
    return tuple(shares)


def calls_picture(facts: NightFacts, minimum: int, updates_per_second: float) -> CallsPicture | None:
    """Return the picture of a run's calls beside the API's limit; None of a run that made none."""
    if not facts.columns:
        return None
    rates = [column.calls / facts.column_s for column in facts.columns]
    most = max(*rates, updates_per_second)
    calls = sum(column.calls for column in facts.columns)
    throttled = sum(column.throttled for column in facts.columns)
    failed = sum(column.failed for column in facts.columns)
    words = (
        f"{many(calls, 'update call')} ({minimum:,} at least), at most {max(rates):.1f} a second where the API admits"
        f" {updates_per_second:g}; {throttled:,} throttled, {failed:,} came to nothing"
    )
    columns = tuple(
        (column, _height(rate, most), _height((column.throttled + column.failed) / facts.column_s, most))
        for column, rate in zip(facts.columns, rates, strict=True)
    )
    return CallsPicture(columns, facts.column_s, _height(updates_per_second, most), words)
