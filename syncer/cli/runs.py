"""``syncer plan``, ``sync``, ``resume`` and ``status``: bring files to the API, and look at the runs that did."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from syncer.cli.described import deadline_option, step_option
from syncer.cli.frame import (
    command,
    envelope,
    environment_of,
    lock_wait_option,
    options,
    settings,
    show,
)
from syncer.errors import UsageError
from syncer.request import SyncRequest

if TYPE_CHECKING:
    from rich.console import RenderableType

    from syncer.results import SyncResult

F = TypeVar("F", bound=Callable[..., Any])


def _finish(result: SyncResult) -> None:
    from syncer.report.document import sync_document

    show(sync_document(result), lambda: _text(result), of_work=result.command != "plan")
    sys.exit(result.exit_code)


def _text(result: SyncResult) -> RenderableType:
    from syncer.report.text import sync_text  # with rich, which costs a document for machines nothing then

    return sync_text(result)


def job_options(function: F) -> F:
    """Add the options of ``plan`` and ``sync``."""
    for option in (
        step_option("sync", "results"),
        click.option("--approve", is_flag=True, help="Go on although a guard would stop the run."),
        click.option("--force", is_flag=True, help="Send unchanged rows too."),
        click.option("--mode", type=click.Choice(["auto", "sync", "async"]), help="Which calls to use."),
        click.option("--key", multiple=True, help="The column that selects codes; repeat it for several."),
        step_option("sync", "job"),
        click.argument("files", nargs=-1, metavar="[FILE...]", type=click.Path()),
    ):
        function = option(function)
    return function


@command("plan", examples=("syncer plan night.csv --diff", "syncer plan --job erp '/data/erp-*.csv'"))
@job_options
@click.option("--diff", is_flag=True, help="Show what changes: old and new value per field, counted, with examples.")
def plan_command(
    files: tuple[str, ...],
    job: str | None,
    key: tuple[str, ...],
    mode: str | None,
    force: bool,
    approve: bool,
    results: Path | None,
    diff: bool,
) -> None:
    """Say what sync would do: counts, rejected rows, calls, time. Sends and records nothing."""
    from syncer.commands import arrivals

    request = SyncRequest(files, job, key or None, mode, force, approve, results=results, diff=diff)
    with environment_of() as environment:
        result = arrivals.plan(settings(), request, environment)
    _finish(result)


@command(
    "sync",
    examples=(
        "syncer sync night.csv --results results",
        "zcat night.csv.gz | syncer sync -",
        "syncer sync --job erp night.csv",
    ),
)
@job_options
@click.option("--dry-run", is_flag=True, help="The same as plan.")
@deadline_option
@lock_wait_option
def sync_command(
    files: tuple[str, ...],
    job: str | None,
    key: tuple[str, ...],
    mode: str | None,
    force: bool,
    approve: bool,
    dry_run: bool,
    results: Path | None,
    deadline_s: float | None,
) -> None:
    """Settle what is open, plan FILE..., send, poll, reconcile. '-' is standard input."""
    from syncer.commands import arrivals
    from syncer.commands.morning import watched

    if dry_run:
        options().command = "plan"  # it is its document, whatever comes of it
    request, known = SyncRequest(files, job, key or None, mode, force, approve, deadline_s, results), settings()
    with environment_of() as environment:
        if dry_run:
            result = arrivals.plan(known, request, environment)
        else:
            name = job if job is not None or len(known.jobs) > 1 else next(iter(known.jobs))
            result = watched(
                known, "sync", lambda _: arrivals.sync(known, request, environment), environment.clock, subject=name
            )
    _finish(result)


@command("resume", examples=("syncer resume", "syncer resume --job erp --deadline 3600"))
@click.option("--job", help="Only the runs of this job.")
@click.option("--approve", is_flag=True, help="Go on although a guard would stop the run.")
@deadline_option
@lock_wait_option
def resume_command(job: str | None, approve: bool, deadline_s: float | None) -> None:
    """Finish all open runs from the ledger alone, without their files.

    A results folder stays as the stopped run left it; the same `sync FILE --results DIR` again, which sends nothing
    twice, writes it anew.
    """
    from syncer.commands import runs
    from syncer.commands.morning import watched

    request, known = SyncRequest(job=job, approve=approve, deadline_s=deadline_s), settings()
    with environment_of() as environment:
        result = watched(
            known, "resume", lambda _: runs.resume(known, request, environment), environment.clock, subject=job
        )
    _finish(result)


@command("abandon", examples=("syncer abandon 12", "syncer abandon 12 15 16", "syncer abandon --field lot"))
@click.argument("batches", type=int, nargs=-1, metavar="[BATCH...]")
@click.option("--field", "fields", multiple=True, help="Drop what waits to be sent of this SCM key; repeatable.")
@lock_wait_option
def abandon_command(batches: tuple[int, ...], fields: tuple[str, ...]) -> None:
    """Let go of open BATCH...: their values are held no longer, and are sent again when a row asks for them.

    With --field, what earlier runs left wanted of a field is dropped: of the values' other fields it is sent.
    """
    from syncer.commands.abandon import abandon, drop
    from syncer.report.document import batch_document
    from syncer.report.words import many

    if bool(batches) == bool(fields):
        raise UsageError("name batches to let go of, or fields with --field", next="syncer abandon --help")
    with environment_of() as environment:
        gone = abandon(settings(), batches, environment) if batches else []
        dropped = drop(settings(), fields, environment) if fields else 0
    lines = [
        f"batch {batch.id} of run {batch.run_id}: {batch.size:,} values let go of; whether they were applied is "
        "not known. Sync their rows again"
        for batch in gone
    ]
    if dropped:
        lines.append(f"{', '.join(fields)} of {many(dropped, 'value')}: dropped, unless a row says it again")
    document = envelope("abandon", batches=[batch_document(batch) for batch in gone], dropped=dropped)
    show(document, lambda: "\n".join(lines), of_work=True)


@command("status", examples=("syncer status", "syncer status 12 --rows", "syncer status --watch"))
@click.argument("run", type=int, required=False)
@click.option(
    "--last",
    "--limit",
    "last",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="How many runs to list.",
)
@click.option("--rows", is_flag=True, help="List the rows of RUN that were invalid or rejected.")
@click.option("--watch", is_flag=True, help="Look again every second, until nothing is going on.")
def status_command(run: int | None, last: int, rows: bool, watch: bool) -> None:
    """List what was done and what is going on, or show one RUN with its batches."""
    from syncer.commands import status
    from syncer.report import document, text
    from syncer.report import status as report

    if watch:
        if run is not None or rows or options().json:
            raise UsageError("--watch shows all work, as text", next="syncer status --watch")
        _watch(last)
    elif rows:
        if run is None:
            raise UsageError("--rows are those of one run", next="syncer status")
        refused = status.refused_rows(settings(), run)
        show(envelope("status", **report.rows_document(refused)), lambda: report.rows_text(refused))
    elif run is None:
        found = status.status(settings(), most=last)
        show(envelope("status", **report.status_document(found)), lambda: report.status_text(found))
    else:
        details = status.run_status(settings(), run)
        show(envelope("status", **document.run_details_document(details)), lambda: text.run_text(details))


def _watch(last: int) -> None:
    """Show what goes on: in place on a terminal, elsewhere a line whenever it has changed."""
    from syncer.commands.status import watch
    from syncer.process.clock import SystemClock
    from syncer.report.console import plain_console
    from syncer.report.status import status_text, watch_line

    looks = watch(settings(), SystemClock(), most=last)
    console = plain_console()
    if console.is_terminal:
        from rich.live import Live

        with Live(console=console, auto_refresh=False) as live:
            for found in looks:
                live.update(status_text(found), refresh=True)
        return
    said = ""
    for found in looks:
        line = watch_line(found)
        if line != said:
            console.print(f"{datetime.now(UTC):%H:%M:%SZ} {line}", markup=False)
            sys.stdout.flush()
            said = line
