"""``syncer scans``: pulling scans, and comparing them with what was uploaded."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from syncer.cli.described import deadline_option, step_option, step_options
from syncer.cli.frame import command, envelope, environment_of, lock_wait_option, settings, show
from syncer.cli.numbers import Finite
from syncer.errors import UsageError
from syncer.request import STATUSES, ScansRequest


@click.group("scans")
def scans_group() -> None:
    """Pull the scans of a campaign, and compare what they saw with what was uploaded."""


@command(
    "pull",
    scans_group,
    examples=(
        "syncer scans pull --campaign 1 --out scans",
        "syncer scans pull --campaign 1 --timeframe 2w --where lot=L-7 --format parquet",
    ),
)
@step_options("scans", "campaign", "from", "to", "timeframe", "flag")
@step_option("scans", "status", type=click.Choice([*STATUSES, "0", "1", "2"]))
@step_options("scans", "product", "where", "format", "out", "into_ledger", "raw_csv")
@deadline_option
@lock_wait_option
def pull_command(
    campaign: int,
    begin: str | None,
    end: str | None,
    timeframe: str | None,
    flags: tuple[str, ...],
    status: str | None,
    product: str | None,
    where: tuple[str, ...],
    form: str | None,
    out: Path | None,
    into_ledger: bool,
    raw_csv: bool,
    deadline_s: float | None,
) -> None:
    """Pull what is new since the last time, each scan once. Run it again to go on."""
    from syncer.commands import scans
    from syncer.commands.places import require_place
    from syncer.commands.working import recorded
    from syncer.config.asked import require_sense
    from syncer.report import scans as report

    if sum((into_ledger, raw_csv)) > 1 or (into_ledger and out is not None):
        raise UsageError("--into-ledger, --raw-csv: one of them; and --into-ledger has no --out")
    if form is not None and (into_ledger or raw_csv):
        raise UsageError("--format is of parts in a folder: not with --into-ledger or --raw-csv")
    request = ScansRequest(
        campaign=campaign,
        begin=begin,
        end=end,
        timeframe=timeframe,
        flags=flags,
        status=None if status is None else STATUSES.get(status, int(status) if status.isdecimal() else 0),
        product=product,
        where=_fields(where),
        form=form or "csv",
        out=out,
        into_ledger=into_ledger,
        raw_csv=raw_csv,
        deadline_s=deadline_s,
    )
    require_sense(request)
    require_place(request)
    if raw_csv:
        _raw(request)
    known = settings()
    with environment_of() as environment:
        result = recorded(known, environment.clock, "scans pull", lambda _: scans.pull(known, request, environment))
    show(report.pull_document(result), lambda: report.pull_text(result), of_work=True)
    sys.exit(result.exit_code)


def _raw(request: ScansRequest) -> None:
    from syncer.commands import scans
    from syncer.commands.working import recorded
    from syncer.report import scans as report

    known = settings()
    with environment_of() as environment:
        result = recorded(known, environment.clock, "scans pull", lambda _: scans.raw_csv(known, request, environment))
    show(report.raw_document(result), lambda: report.raw_text(result))
    sys.exit(result.exit_code)


def _fields(where: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in where:
        name, sign, value = one.partition("=")
        if not sign or not name or name in found:
            raise UsageError(f"--where {one}: must be FIELD=VALUE, each field once", next="syncer scans pull --help")
        found[name] = value
    return found


@command("compare", scans_group, examples=("syncer scans compare scans", "syncer scans compare --campaign 1"))
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--campaign", type=click.IntRange(min=1), help="Of the ledger's scans, only this campaign's.")
@click.option(
    "--skew", type=Finite(min=0), default=60.0, show_default=True, metavar="SECONDS",
    help="How far this machine's clock and the API's may be apart.",
)  # fmt: skip
def compare_command(folder: Path | None, campaign: int | None, skew: float) -> None:
    """Compare the SCM data that scans saw with what the ledger says was confirmed by then.

    The scans are those of FOLDER, which a pull wrote, else those of pulls with --into-ledger. Exit code 3: something
    disagrees.
    """
    from syncer.commands import scans
    from syncer.report import scans as report

    with environment_of() as environment:
        result = scans.compare_scans(settings(), campaign=campaign, folder=folder, skew_s=skew, environment=environment)
    document: dict[str, Any] = report.compare_document(result, envelope("scans compare"))
    show(document, lambda: report.compare_text(result))
    sys.exit(document["exit_code"])
