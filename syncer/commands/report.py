"""``syncer report``: runs of the ledger as one HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from syncer import __version__
from syncer.commands.ledger import write_page
from syncer.commands.status import run_status, status
from syncer.process.clock import Clock, utc_text

if TYPE_CHECKING:
    from syncer.config import Settings
    from syncer.results import RunDetails


def write_report(settings: Settings, run_ids: Sequence[int], *, last: int, out: Path, clock: Clock) -> list[RunDetails]:
    """Write a page of these runs (none named: the newest) with the trend of the ``last`` ones; return what it shows."""
    from syncer.report.html import report_html

    trend = status(settings, most=last).runs
    wanted = list(run_ids) or [summary.run.id for summary in trend[:1]]
    details = [run_status(settings, run_id) for run_id in wanted]
    page = report_html(details, trend, made_at=utc_text(clock.wall_s()), program=__version__)
    write_page(out, page)
    return details
