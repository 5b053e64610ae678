"""``syncer report``: runs of the ledger as one HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from syncer import __version__
from syncer.commands.ledger import write_page
from syncer.commands.status import run_status, status
from syncer.ledger.ledger import Ledger
from syncer.process.clock import Clock, utc_text

if TYPE_CHECKING:
    from syncer.config import Settings
    from syncer.results import RunDetails

LEFT_MAX = 50
"""Kinds of what is not through that a page lists, the oldest first."""


def write_report(settings: Settings, run_ids: Sequence[int], *, last: int, out: Path, clock: Clock) -> list[RunDetails]:
    """Write a page of these runs (none named: the newest) with the trend of the ``last`` ones; return what it shows."""
    from syncer.report.html import ReportData, report_html

    trend = status(settings, most=last).runs
    wanted = list(run_ids) or [summary.run.id for summary in trend[:1]]
    details = [run_status(settings, run_id) for run_id in wanted]
    with Ledger.reading(settings.ledger.url, whole=True) as ledger:
        facts = [] if ledger is None else [ledger.night_facts(one.summary.run) for one in details]
        left = [] if ledger is None else ledger.not_through(most=LEFT_MAX)
    data = ReportData(
        list(zip(details, facts, strict=True)),
        trend,
        left,
        settings.api.updates_per_second,
        utc_text(clock.wall_s()),
        __version__,
    )
    write_page(out, report_html(data))
    return details
