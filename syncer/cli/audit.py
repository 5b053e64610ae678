"""``syncer audit``: what was uploaded, when, and with what outcome."""

from __future__ import annotations

import os
from pathlib import Path

import click

from syncer.cli.frame import command, envelope, settings, show


@click.group("audit", invoke_without_command=False)
def audit_group() -> None:
    """Explain what was uploaded, when, and with what outcome."""


@command("show", audit_group)
@click.argument("value", nargs=-1, required=True)
def audit_show_command(value: tuple[str, ...]) -> None:
    """Show all that was ever sent for one key VALUE (the parts of a composite key one after the other)."""
    from syncer.commands import ledger
    from syncer.report import codes, document, text

    value = tuple(os.fsencode(part).decode("utf-8", "replace") for part in value)
    entries, uploads = ledger.audit_show(settings(), value)
    show(
        envelope(
            "audit show",
            entries=[document.entry_document(e) for e in entries],
            code_uploads=[codes.code_upload_document(e) for e in uploads],
        ),
        lambda: codes.with_history(text.history_text(entries) if entries or not uploads else None, uploads),
    )


@command("export", audit_group)
@click.option("--since", help="Only what changed since this UTC time: 2026-11-20 or 2026-11-20T05:00:00Z.")
@click.option("--run", type=int, help="Only this run.")
@click.option("--format", "form", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True)
@click.option("--output", type=click.Path(path_type=Path), help="Write this file, for its owner alone (0600).")
def audit_export_command(since: str | None, run: int | None, form: str, output: Path | None) -> None:
    """Write the history of many values to standard output, or to a file."""
    from syncer.commands import ledger
    from syncer.report.export import export_target, write_export

    with ledger.audit_export(settings(), since=since, run_id=run) as entries, export_target(output) as out:
        write_export(entries, form, out)
