"""``syncer codes``: uploading own codes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from syncer.cli.described import deadline_option, step_option, step_options
from syncer.cli.frame import codes_environment, command, envelope, environment_of, lock_wait_option, settings, show
from syncer.cli.numbers import Finite
from syncer.process.help import configured
from syncer.request import UploadRequest

if TYPE_CHECKING:
    from syncer.codes.upload_result import CodesResult


@click.group("codes")
def codes_group() -> None:
    """Upload your own codes (serialized identifiers), resumably, and account for each."""


def _finish(result: CodesResult) -> None:
    from syncer.report.codes import result_document, result_text

    show(result_document(result), lambda: result_text(result), of_work=True)
    sys.exit(result.exit_code)


_errors = step_option("codes", "errors", type=click.Path(path_type=Path, dir_okay=False))


@command(
    "upload",
    codes_group,
    examples=("syncer codes upload codes.csv --default activation_status=1", "syncer codes upload codes.csv --dry-run"),
)
@click.argument("file", metavar="FILE", type=click.Path())
@step_options("codes", "job", "default", "url_prefix", "allow_duplicates", "skip_invalid")
@click.option(
    "--max-part-mb",
    type=Finite(0.0001, 100),
    default=100.0,
    show_default=True,
    help="Larger files are split by rows.",
)
@_errors
@click.option("--dry-run", is_flag=True, help="Check FILE alone: nothing is sent or recorded.")
@deadline_option
@lock_wait_option
def upload_command(
    file: str,
    job: str | None,
    defaults: tuple[str, ...],
    url_prefix: str | None,
    allow_duplicates: bool,
    skip_invalid: bool,
    max_part_mb: float,
    errors: Path | None,
    dry_run: bool,
    deadline_s: float | None,
) -> None:
    """Check FILE (CSV or JSON), upload it, and wait until its codes are created. Run it again to go on."""
    from syncer.commands import codes
    from syncer.commands.working import recorded

    request = UploadRequest(
        file=file,
        job=job,
        dry_run=dry_run,
        defaults=defaults,
        url_prefix=url_prefix,
        allow_duplicates=allow_duplicates,
        skip_invalid=skip_invalid,
        part_bytes=int(max_part_mb * 1_000_000),
        errors=errors,
        deadline_s=deadline_s,
    )
    known = settings()
    with codes_environment() as environment:
        if dry_run:
            result = codes.look_through(known, request, environment)
        else:
            result = recorded(
                known, environment.clock, "codes upload", lambda _: codes.upload(known, request, environment)
            )
    _finish(result)


@command("resume", codes_group, examples=("syncer codes resume", "syncer codes resume 3"))
@click.argument("upload", type=int, required=False)
@_errors
@deadline_option
@lock_wait_option
def resume_command(upload: int | None, errors: Path | None, deadline_s: float | None) -> None:
    """Bring every open upload (or one) to its end, without its file."""
    from syncer.commands import codes
    from syncer.commands.working import recorded

    request = UploadRequest(upload_id=upload, errors=errors, deadline_s=deadline_s)
    known = settings()
    with codes_environment() as environment:
        result = recorded(known, environment.clock, "codes resume", lambda _: codes.resume(known, request, environment))
    _finish(result)


@command("abandon", codes_group, examples=("syncer codes abandon 3",))
@click.argument("upload", type=int)
@lock_wait_option
def abandon_command(upload: int) -> None:
    """Let go of what is left of UPLOAD, where its file is lost: these codes may be uploaded again.

    Parts whose file the API has already go on: syncer codes resume.
    """
    from syncer.commands.abandon import abandon_upload
    from syncer.report import codes as report
    from syncer.report.words import many

    with environment_of() as environment:
        found, gone = abandon_upload(settings(), upload, environment)
    lines = [f"part {part.number}: {many(part.codes, 'code')} let go of; none was created" for part in gone]
    if found.open:
        lines.append(f"its other parts go on: {configured(f'syncer codes resume {upload}')}")
    members = {"upload": report.upload_document(found), "codes": dict(report.code_counts([found]))}
    document = envelope("codes abandon", **members)
    show(document, lambda: "\n".join(lines), of_work=True)


@command("status", codes_group, examples=("syncer codes status", "syncer --json codes status 3"))
@click.argument("upload", type=int, required=False)
def status_command(upload: int | None) -> None:
    """Show one upload (the newest) with its parts and errors."""
    from syncer.commands import codes
    from syncer.report import codes as report

    found, errors = codes.status(settings(), upload)
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


@command("list", codes_group, examples=("syncer codes list --last 50",))
@click.option(
    "--last", "--limit", "last", type=click.IntRange(min=1), default=20, show_default=True, help="How many to list."
)
def list_command(last: int) -> None:
    """List the uploads of own codes, newest first."""
    from syncer.commands import codes
    from syncer.report import codes as report

    found = codes.list_uploads(settings(), most=last)
    show(
        envelope("codes list", uploads=[report.upload_document(one) for one in found]),
        lambda: report.uploads_text(found),
    )
