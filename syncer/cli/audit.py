"""``syncer audit``: what was uploaded, when, and with what outcome."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from syncer.cli.frame import command, envelope, options, settings, show
from syncer.errors import EXIT_NOT_CONFIRMED, EXIT_OK, UsageError

FORMATS = ("csv", "jsonl")
OTHER_FORMATS = frozenset({"json", "parquet", "xlsx", "xls", "tsv", "gz", "zip"})
"""Endings that promise something that is not written here."""


@click.group("audit", invoke_without_command=False)
def audit_group() -> None:
    """Explain what was uploaded, when, and with what outcome."""


@command("show", audit_group, examples=("syncer audit show DEMO00000001", "syncer --json audit show CASE-7 LOT-2"))
@click.argument("value", nargs=-1, required=True)
def audit_show_command(value: tuple[str, ...]) -> None:
    """Show all that was ever sent for one key VALUE (the parts of a composite key one after the other)."""
    from syncer.commands import ledger
    from syncer.report import codes, document, text

    value = tuple(os.fsencode(part).decode("utf-8", "replace") for part in value)
    entries, uploads = ledger.audit_show(settings(), value)
    # A value of which nothing was ever sent is an answer, but not the one that was asked for.
    exit_code = EXIT_OK if entries or uploads else EXIT_NOT_CONFIRMED
    show(
        envelope(
            "audit show",
            exit_code,
            entries=[document.entry_document(e) for e in entries],
            code_uploads=[codes.code_upload_document(e) for e in uploads],
        ),
        lambda: codes.with_history(text.history_text(entries) if entries or not uploads else None, uploads),
    )
    sys.exit(exit_code)


@command(
    "export",
    audit_group,
    examples=("syncer audit export --since 2026-11-20", "syncer audit export --run 12 --out run12.jsonl"),
)
@click.option("--since", metavar="TIME", help="Only what changed since: 2026-11-20, or 2026-11-20T05:00:00+02:00.")
@click.option("--run", type=int, help="Only this run.")
@click.option("--format", "form", type=click.Choice(FORMATS), help="Else what the ending of --out says; else csv.")
@click.option(
    "--out",
    "--output",
    "out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write this file, for its owner alone (0600).",
)
def audit_export_command(since: str | None, run: int | None, form: str | None, out: Path | None) -> None:
    """Write the history of many values to standard output, or to a file."""
    from syncer.commands import ledger
    from syncer.report.export import export_target, write_export

    form = _export_format(form, out)
    with ledger.audit_export(settings(), since=since, run_id=run) as entries, export_target(out) as target:
        count = write_export(entries, form, target)
    if options().json:
        show(envelope("audit export", out=str(out), format=form, entries=count), lambda: "")


def _export_format(form: str | None, out: Path | None) -> str:
    """Return how to write; raise `UsageError` where two wishes contradict each other."""
    if options().json and out is None:
        words = "--json prints one document, and the history of many values is none"
        raise UsageError(words, next="syncer audit export --format jsonl, or with --json: --out FILE")
    ending = "" if out is None else out.suffix.removeprefix(".").lower()
    if ending in OTHER_FORMATS or (form is not None and ending in FORMATS and ending != form):
        words = f"{out} does not end as its format does ({form or 'csv or jsonl'})"
        raise UsageError(words, next="syncer audit export --out FILE.csv, or --out FILE.jsonl")
    return form or (ending if ending in FORMATS else "csv")


@command("seal", audit_group, examples=("syncer audit seal > /mnt/elsewhere/syncer.seal",))
def audit_seal_command() -> None:
    """Print the newest seal: keep it elsewhere, since only then it proves something against the ledger's owner."""
    from syncer.commands import ledger

    seal = ledger.newest_seal(settings())
    if seal is None:
        raise UsageError("there is no seal yet: no run has ended", next="syncer sync FILE, then: syncer audit seal")
    show(envelope("audit seal", seal=seal.digest, run=seal.run_id, at=seal.at), lambda: seal.digest)


@command("verify", audit_group, examples=("syncer audit verify", "syncer audit verify --seal SEAL"))
@click.option("--seal", metavar="SEAL", help="A seal that was kept elsewhere: it must be one of this ledger's.")
def audit_verify_command(seal: str | None) -> None:
    """Hash the whole history again and hold it against its seals. Reads the ledger alone."""
    from syncer.commands import ledger
    from syncer.errors import LedgerCorruptError

    newest, faults = ledger.verify(settings(), seal)
    if faults:
        words = "the history is not what was sealed:\n  " + "\n  ".join(faults)
        raise LedgerCorruptError(words, next="keep the file as it is; compare it with a backup: syncer ledger check")
    words = f"all is as sealed: {newest.digest}" if newest else "no run has ended yet: there is nothing to verify"
    show(envelope("audit verify", seal=newest.digest if newest else None, faults=[]), lambda: words)
