"""``syncer audit``: what was uploaded, when, and with what outcome."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from syncer.cli.frame import PAGES, command, envelope, options, require_ending, settings, show
from syncer.errors import EXIT_NOT_CONFIRMED, EXIT_OK, UsageError
from syncer.process.help import again_with
from syncer.request import ENDINGS, EXPORT_FORMATS, NAMED_BY_THEIR_ENDING
from syncer.safe.inert import inert

FORMATS = (*EXPORT_FORMATS, "xlsx")
BINARY = frozenset({"parquet", "xlsx"})
where_option = click.option(
    "--where", multiple=True, metavar="FIELD=VALUE", help="Only values that were ever sent so, or keyed so; repeatable."
)


@click.group("audit", invoke_without_command=False)
def audit_group() -> None:
    """Explain what was uploaded, when, and with what outcome."""


@command(
    "show",
    audit_group,
    examples=(
        "syncer audit show DEMO00000001",
        "syncer --json audit show CASE-7 LOT-2",
        "syncer audit show --where case_no=C-17 --out case.html",
    ),
)
@click.argument("value", nargs=-1)
@where_option
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Write this HTML page (0600) as well.")
def audit_show_command(value: tuple[str, ...], where: tuple[str, ...], out: Path | None) -> None:
    """Tell the story of one key VALUE (the parts of a composite key one by one), or of all that --where means.

    A VALUE that is no key stands for all values that were ever sent it, or have it in their key.
    """
    from syncer.commands import ledger
    from syncer.process.clock import SystemClock
    from syncer.report import codes, document, story_views

    value, meant = tuple(map(_as_text, value)), _meant(where)
    if not value and not meant:
        raise UsageError("whose story? No value is named", next="syncer audit show --help")
    if out is not None:
        require_ending(out, PAGES)
    if out is None:
        stories, count = ledger.audit_show(settings(), value, meant, else_said=True)
    else:
        stories, count = ledger.write_stories(settings(), value, meant, out, SystemClock())
    # A value of which nothing was ever sent is an answer, but not the one that was asked for.
    exit_code = EXIT_OK if stories else EXIT_NOT_CONFIRMED
    show(
        envelope(
            "audit show",
            exit_code,
            values=count,
            out=None if out is None else str(out),
            entries=[document.entry_document(entry) for story in stories for entry in story.entries],
            code_uploads=[codes.code_upload_document(one) for story in stories for one in story.uploads],
            stories=[story_views.story_document(story) for story in stories],
        ),
        lambda: story_views.stories_text(stories, count, () if meant else value),
    )
    sys.exit(exit_code)


def _as_text(given: str) -> str:
    """Return what the command line gave, as the ledger would hold it: bytes that are no UTF-8 are none of its keys."""
    return os.fsencode(given).decode("utf-8", "replace")


def _meant(where: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Return the conditions of --where; raise `UsageError` for one that is none."""
    found = [_as_text(one).partition("=") for one in where]
    for text, (field, separator, _) in zip(where, found, strict=True):
        if not separator or not field:
            raise UsageError(f"--where {text}: must be FIELD=VALUE", next=f"syncer {options().command} --help")
    return tuple((field, value) for field, _, value in found)


@command(
    "export",
    audit_group,
    examples=(
        "syncer audit export --since 2026-11-20 --until 2026-11-21",
        "syncer audit export --where lot=L-7 --out lot-7.xlsx",
        "syncer audit export --run 12 --out run12.parquet",
    ),
)
@where_option
@click.option("--since", metavar="TIME", help="Only what changed since: 2026-11-20, or 2026-11-20T05:00:00+02:00.")
@click.option("--until", metavar="TIME", help="Only what changed before this time.")
@click.option("--job", metavar="NAME", help="Only this job's.")
@click.option("--run", type=int, help="Only this run.")
@click.option("--format", "form", type=click.Choice(FORMATS), help="Else what the ending of --out says; else csv.")
@click.option(
    "--out",
    "--output",
    "out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write this file, for its owner alone (0600); -: standard output.",
)
def audit_export_command(where: tuple[str, ...], form: str | None, out: Path | None, **which: Any) -> None:
    """Write the history of many values, one column per field, to standard output or to a file."""
    from syncer.commands import ledger
    from syncer.report.export import write_export
    from syncer.request import HistoryRequest

    request = HistoryRequest(where=_meant(where), run_id=which.pop("run"), **which)
    out = None if out == Path("-") else out
    form = _export_format(form, out)
    with ledger.audit_export(settings(), request) as (fields, entries):
        count = write_export(entries, fields, form, out)
    if options().json:
        show(envelope("audit export", out=str(out), format=form, entries=count, fields=fields), lambda: "")


def _export_format(form: str | None, out: Path | None) -> str:
    """Return how to write; raise `UsageError` where two wishes contradict each other, or where one cannot be had."""

    def into(ending: str) -> str:
        return again_with({"--output": None, "--out": f"history.{ending}"})

    ending = "" if out is None else out.suffix.removeprefix(".").lower()
    said = ENDINGS.get(ending, ending)
    found = form or said or "csv"
    if options().json and out is None:
        words = "--json prints one document, and the history of many values is none"
        raise UsageError(words, next=into(form or "csv"))
    if found not in FORMATS or (ending in NAMED_BY_THEIR_ENDING and said != found):
        words = f"{out} does not end as a format does ({', '.join(FORMATS)}), or not as the one that is asked for"
        raise UsageError(words, next=into(form or "csv"))
    if found in BINARY and out is None:
        raise UsageError(f"{found} is written to a file alone", next=into(found))
    return found


@command(
    "pack",
    audit_group,
    examples=("syncer audit pack --where lot=L-7 --out lot-7.zip", "syncer audit pack DEMO00000001 --out code.zip"),
)
@click.argument("value", nargs=-1)
@where_option
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="FILE.zip", help="The zip file to write (0600)."
)
def audit_pack_command(value: tuple[str, ...], where: tuple[str, ...], out: Path) -> None:
    """Pack evidence for one VALUE, or for all that --where means; a script in the pack checks it offline."""
    from syncer.commands import ledger
    from syncer.process.clock import SystemClock

    value, meant = tuple(map(_as_text, value)), _meant(where)
    if not value and not meant:
        raise UsageError("evidence for what?", next="syncer audit pack --help")
    require_ending(out, (".zip",))
    packed = ledger.audit_pack(settings(), value, meant, out, SystemClock())
    if packed is None:
        show(envelope("audit pack", EXIT_NOT_CONFIRMED, values=0, out=None), lambda: "nothing was ever sent so")
        sys.exit(EXIT_NOT_CONFIRMED)
    words = (
        f"{packed.uploads:,} uploads are packed into {inert(str(out))}; unpack it, then: python3 check.py {packed.seal}"
    )
    words += f"\n{packed.unsealed:,} more are not sealed yet, and not in it" if packed.unsealed else ""
    show(envelope("audit pack", out=str(out), **asdict(packed)), lambda: words, of_work=True)


@command(
    "seal",
    audit_group,
    examples=(
        "syncer audit seal > /mnt/elsewhere/syncer.seal",
        "syncer audit seal --stamp https://tsa.example.com --out syncer.tsr > syncer.seal",
    ),
)
@click.option("--stamp", metavar="URL", help="Ask a service of RFC 3161 to stamp it (extra stamp); with --out.")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE.tsr", help="Write the time stamp here (0600).")
def audit_seal_command(stamp: str | None, out: Path | None) -> None:
    """Print the newest seal: keep it elsewhere, since only then it proves something against the ledger's owner."""
    from syncer.commands import sealing

    if (stamp is None) is not (out is None):
        words = "a time stamp needs both its service and its file"
        raise UsageError(words, next="syncer audit seal --help")
    seal = sealing.newest_seal(settings())
    if seal is None:
        raise UsageError(
            "there is no seal yet: no run has ended", remedy="the first run that ends makes it", next="syncer status"
        )
    stamped_at = None if stamp is None or out is None else sealing.stamp_seal(settings(), seal, stamp, out)
    members = {"stamp": None if out is None else str(out), "stamped_at": stamped_at}
    show(envelope("audit seal", seal=seal.digest, run=seal.run_id, at=seal.at, **members), lambda: seal.digest)


@command(
    "verify",
    audit_group,
    examples=(
        "syncer audit verify",
        "syncer audit verify --seal SEAL",
        "syncer audit verify --stamp syncer.tsr --stamp-roots tsa.pem",
    ),
)
@click.option("--seal", metavar="SEAL", help="A seal that was kept elsewhere: it must be one of this ledger's.")
@click.option(
    "--stamp",
    type=click.Path(path_type=Path),
    metavar="FILE.tsr",
    help="A time stamp of a seal: it must be of one of this ledger's.",
)
@click.option(
    "--stamp-roots",
    type=click.Path(path_type=Path),
    metavar="FILE.pem",
    help="The certificates whose services of time stamps are trusted.",
)
def audit_verify_command(seal: str | None, stamp: Path | None, stamp_roots: Path | None) -> None:
    """Hash the whole history again and hold it against its seals. Reads the ledger alone."""
    from syncer.commands import sealing
    from syncer.errors import LedgerCorruptError

    if seal is not None and re.fullmatch("[0-9a-f]{64}", seal := seal.strip().lower()) is None:
        words = f"--seal {seal!r} is no seal: that is 64 hexadecimal digits, as syncer audit seal prints them"
        raise UsageError(words, remedy="copy it whole from where it was kept", next="syncer audit verify --help")
    if (stamp is None) is not (stamp_roots is None):
        words = "a time stamp is checked by the certificates that are trusted"
        raise UsageError(words, next="syncer audit verify --help")
    found = sealing.verify(settings(), seal, stamp, stamp_roots)
    digest = found.newest.digest if found.newest else None
    members = {
        "seal": digest,
        "faults": found.faults,
        "unsealed": found.unsealed,
        "stamped": found.stamped,
        "stamped_at": found.stamped_at,
    }
    if found.faults:
        words = "the history is not what was sealed:\n  " + "\n  ".join(found.faults)
        raise LedgerCorruptError(
            words,
            remedy="keep the file as it is, and compare it with a backup",
            next="syncer ledger check",
            members=members,
        )
    words = f"all is as sealed: {digest}" if digest else "nothing is sealed yet: the first run that ends seals all"
    if found.stamped_at is not None:
        words += f"\nthe seal {found.stamped} was there at {found.stamped_at}, as its time stamp says"
    if found.unsealed:
        words += f"\n{found.unsealed:,} rows are not sealed yet: a run is going on, or died, or own codes were uploaded"
    show(envelope("audit verify", **members), lambda: words, of_check=True)
