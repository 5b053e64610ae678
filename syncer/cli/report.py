"""``syncer report``: a page about runs, for whoever looks at it in the morning."""

from __future__ import annotations

from pathlib import Path

import click

from syncer.cli.frame import PAGES, command, envelope, require_ending, settings, show
from syncer.safe.inert import inert

LAST = 14


@command(
    "report", examples=("syncer report --out last-night.html", "syncer report 12 13 --last 30 --out two-nights.html")
)
@click.argument("runs", nargs=-1, type=int, metavar="[RUN...]")
@click.option(
    "--last",
    type=click.IntRange(min=1, max=3660),
    default=LAST,
    show_default=True,
    help="How many runs the trend shows.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="FILE.html", help="The page to write.")
def report_command(runs: tuple[int, ...], last: int, out: Path) -> None:
    """Write one self-contained HTML page about RUN... (else the newest run) and the trend of the last ones."""
    from syncer.commands.report import write_report
    from syncer.process.clock import SystemClock

    require_ending(out, PAGES)
    shown = [one.summary.run.id for one in write_report(settings(), runs, last=last, out=out, clock=SystemClock())]
    show(envelope("report", out=str(out), runs=shown), lambda: f"written to {inert(str(out))}", of_work=True)
