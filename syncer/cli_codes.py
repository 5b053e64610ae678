"""The command line of own codes and work orders: parse, call, render, exit. `cli` loads it last, and only that."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from syncer.cli import cli, command, envelope, options, settings, show
from syncer.steps import UploadRequest

if TYPE_CHECKING:
    from syncer.codes.drive import Step
    from syncer.codes.results import CodesResult
    from syncer.codes_commands import CodesSurroundings


@cli.group("codes")
def codes_group() -> None:
    """Upload your own codes (serialized identifiers), resumably, and account for each."""


@cli.group("workorders")
def workorders_group() -> None:
    """List work orders and download their codes."""


@contextmanager
def _surroundings() -> Iterator[CodesSurroundings]:
    from syncer.codes_commands import CodesSurroundings
    from syncer.report.progress import ProgressReport

    interrupt = options().interrupt
    interrupt.check("before anything was done")
    with ProgressReport(quiet=options().quiet) as progress:

        def on_rows(rows: int) -> None:
            interrupt.check("while reading; nothing was sent")
            progress.on_rows(rows)

        def on_step(step: Step) -> None:
            words = f"part {step.part} of {step.parts}: {step.words}"
            progress.on_words(words, done=step.done_bytes, of=step.all_bytes)

        interrupt.graceful = True
        yield CodesSurroundings(interrupt=interrupt, on_rows=on_rows, on_step=on_step)


def _finish(result: CodesResult) -> None:
    from syncer.report.codes import result_document, result_text

    show(result_document(result), lambda: result_text(result))
    sys.exit(result.exit_code)


_errors = click.option(
    "--errors",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where the rows with errors are written; else NAME.errors.csv in the current folder.",
)
_deadline = click.option("--deadline", type=float, metavar="SECONDS", help="Stop resumably after this time.")


@command("upload", codes_group)
@click.argument("file", metavar="FILE")
@click.option("--default", "defaults", multiple=True, metavar="FIELD=VALUE", help="SCM data for every code; repeat it.")
@click.option("--url-prefix", help="URL prefix of the work order.")
@click.option("--allow-duplicates", is_flag=True, help="Of several lines with one id, take the first.")
@click.option("--skip-invalid", is_flag=True, help="Upload the valid rows although others are rejected.")
@click.option(
    "--max-part-mb",
    type=click.FloatRange(0.0001, 100),
    default=100.0,
    show_default=True,
    help="Larger files are split by rows.",
)
@_errors
@_deadline
def upload_command(
    file: str,
    defaults: tuple[str, ...],
    url_prefix: str | None,
    allow_duplicates: bool,
    skip_invalid: bool,
    max_part_mb: float,
    errors: Path | None,
    deadline: float | None,
) -> None:
    """Check FILE (CSV or JSON), upload it, and wait until its codes are created. Run it again to go on."""
    from syncer import codes_commands

    request = UploadRequest(
        file=file,
        defaults=defaults,
        url_prefix=url_prefix,
        allow_duplicates=allow_duplicates,
        skip_invalid=skip_invalid,
        part_bytes=int(max_part_mb * 1_000_000),
        errors=errors,
        deadline_s=deadline,
    )
    with _surroundings() as around:
        result = codes_commands.upload(settings(), request, around)
    _finish(result)


@command("resume", codes_group)
@click.argument("upload", type=int, required=False)
@_errors
@_deadline
def resume_command(upload: int | None, errors: Path | None, deadline: float | None) -> None:
    """Bring every open upload (or one) to its end, without its file."""
    from syncer import codes_commands

    request = UploadRequest(upload_id=upload, errors=errors, deadline_s=deadline)
    with _surroundings() as around:
        result = codes_commands.resume(settings(), request, around)
    _finish(result)


@command("status", codes_group)
@click.argument("upload", type=int, required=False)
def status_command(upload: int | None) -> None:
    """Show one upload (the newest) with its parts and errors."""
    from syncer import codes_commands
    from syncer.report import codes as report

    found, errors = codes_commands.status(settings(), upload)
    document = envelope(
        "codes status",
        upload=report.upload_document(found) if found else None,
        codes=dict(report.code_counts([found] if found else [])),
        errors=[{"code": e.code, "line": e.line, "name": e.name, "message": e.message} for e in errors],
    )

    def text() -> object:
        from rich.console import Group

        if found is None:
            return report.uploads_text([])
        return Group(report.upload_text(found), *([report.errors_table(errors)] if errors else []))

    show(document, text)


@command("list", codes_group)
@click.option("--last", type=click.IntRange(min=1), default=20, show_default=True, help="How many to list.")
def list_command(last: int) -> None:
    """List the uploads of own codes, newest first."""
    from syncer import codes_commands
    from syncer.report import codes as report

    found = codes_commands.list_uploads(settings(), most=last)
    show(
        envelope("codes list", uploads=[report.upload_document(one) for one in found]),
        lambda: report.uploads_text(found),
    )


@command("list", workorders_group)
@click.option("--search", help="Text in the reference or the remarks.")
@click.option("--archived", is_flag=True, help="Archived ones instead.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="How many at most.")
def workorders_list_command(search: str | None, archived: bool, limit: int) -> None:
    """List the work orders that the API has."""
    from dataclasses import asdict

    from syncer import codes_commands
    from syncer.report import codes as report

    with _surroundings() as around:
        orders, complete = codes_commands.work_orders(
            settings(), search=search, archived=archived, most=limit, around=around
        )
    show(
        envelope("workorders list", workorders=[asdict(one) for one in orders], complete=complete),
        lambda: report.orders_text(orders, complete=complete),
    )


@command("download", workorders_group)
@click.argument("order", metavar="ID", type=click.IntRange(min=1))
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder; else workorder-ID.")
def workorders_download_command(order: int, out: Path | None) -> None:
    """Download the zip of work order ID and extract it, safely."""
    from syncer import codes_commands
    from syncer.report import codes as report

    folder = out or Path(f"workorder-{order}")
    with _surroundings() as around:
        files = codes_commands.download_work_order(settings(), order, folder, around)
    show(
        envelope("workorders download", workorder=order, folder=str(folder), files=[str(file) for file in files]),
        lambda: report.files_text(order, files),
    )
