"""``syncer ledger``: migrations, integrity, backups, whose it is, and the way back."""

from __future__ import annotations

from pathlib import Path

import click

from syncer.cli.frame import command, envelope, environment_of, lock_wait_option, settings, show
from syncer.safe.inert import inert


@click.group("ledger")
def ledger_group() -> None:
    """Look after the ledger: migrations, integrity, backups, whose it is."""


@command("upgrade", ledger_group, examples=("syncer ledger upgrade",))
@lock_wait_option
def ledger_upgrade_command() -> None:
    """Bring the ledger's schema to this program's, after a backup."""
    from syncer.commands import ledger

    with environment_of() as environment:
        done = ledger.upgrade(settings(), environment)
    saved = f"; backup: {inert(str(done.backup))}" if done.backup else ""
    show(
        envelope(
            "ledger upgrade",
            ledger=str(done.ledger),
            before=done.before,
            after=done.after,
            backup=str(done.backup) if done.backup else None,
        ),
        lambda: f"{inert(str(done.ledger))}: schema {done.before or 'none'} → {done.after}{saved}",
        of_work=True,
    )


@command("check", ledger_group, examples=("syncer ledger check",))
def ledger_check_command() -> None:
    """Prove the ledger whole: the file, every reference, every history."""
    from syncer.commands import ledger
    from syncer.errors import LedgerCorruptError

    problems = ledger.check(settings())
    if problems:
        words = "the ledger is not whole:\n  " + "\n  ".join(problems)
        raise LedgerCorruptError(words, members={"problems": problems})
    show(envelope("ledger check", problems=[]), lambda: "the ledger is whole", of_check=True)


@command("backup", ledger_group, examples=("syncer ledger backup copy.db", "syncer ledger backup /backup --keep 14"))
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--keep", type=click.IntRange(min=1), help="FILE is a folder: keep the newest backups there, so many.")
def ledger_backup_command(file: Path, keep: int | None) -> None:
    """Copy the ledger to FILE, consistently, even while a run is going on.

    The copy is refused in the ledger's place until `syncer ledger restore FILE`.
    """
    from syncer.commands import ledger
    from syncer.process.clock import SystemClock

    if keep is not None:
        made, gone = ledger.rotate_backups(settings(), file, keep, SystemClock())
        show(
            envelope("ledger backup", file=str(made), removed=[str(one) for one in gone]),
            lambda: f"the ledger is copied to {inert(str(made))}; older backups removed: {len(gone)}",
            of_work=True,
        )
        return
    ledger.backup(settings(), file, SystemClock())
    show(envelope("ledger backup", file=str(file)), lambda: f"the ledger is copied to {inert(str(file))}", of_work=True)


@command("prune", ledger_group, examples=("syncer ledger prune --keep 400d",))
@click.option("--keep", required=True, metavar="AGE", help="History that is younger stays: 400d.")
@lock_wait_option
def ledger_prune_command(keep: str) -> None:
    """Move old history to an archive beside the ledger, which audit and ledger check still read.

    What Scantrust is known to hold stays, and so do runs, batches, calls and seals. Keep the archive with the ledger.
    """
    from syncer.commands import ledger
    from syncer.process.times import parse_age

    with environment_of() as environment:
        done = ledger.prune(settings(), parse_age(keep, "--keep", "ledger prune"), environment)
    if done is None:
        words = "there is no history that is that old and settled"
        show(envelope("ledger prune", archive=None), lambda: words, of_work=True)
        return
    show(
        envelope("ledger prune", archive=str(done.archive), run=done.run_id, items=done.items, events=done.events),
        lambda: (
            f"the history up to run {done.run_id} ({done.items:,} items, {done.events:,} events) is in "
            f"{inert(str(done.archive))} now; keep it beside the ledger"
        ),
        of_work=True,
    )


@command("info", ledger_group, examples=("syncer ledger info", "syncer ledger info --adopt-target"))
@click.option("--adopt-target", is_flag=True, help="Let it belong to the configured address and the token's company.")
def ledger_info_command(adopt_target: bool) -> None:
    """Say whose ledger this is, and where it stands in time."""
    from syncer.commands import recovery
    from syncer.report import recovery as report

    if adopt_target:
        with environment_of() as environment:
            found = recovery.adopt_target(settings(), environment)
    else:
        found = recovery.info(settings())
    show(envelope("ledger info", **report.info_document(found)), lambda: report.info_text(found))


@command("recover", ledger_group, examples=("syncer ledger recover",))
@lock_wait_option
def ledger_recover_command() -> None:
    """Let a ledger that is older than its own deeds believe nothing any more: the next sync sends everything."""
    from syncer.commands import recovery
    from syncer.report import recovery as report

    with environment_of() as environment:
        done = recovery.recover(settings(), environment)
    show(envelope("ledger recover", **report.recovery_document(done)), lambda: report.recovery_text(done), of_work=True)


@command("restore", ledger_group, examples=("syncer ledger restore /backup/syncer-2026-11-20.db",))
@click.argument("file", type=click.Path(path_type=Path))
@lock_wait_option
def ledger_restore_command(file: Path) -> None:
    """Put the backup FILE in the ledger's place; it believes nothing, and the ledger that was there is kept aside."""
    from syncer.commands import recovery
    from syncer.report import recovery as report

    with environment_of() as environment:
        done = recovery.restore(settings(), file, environment)
    show(envelope("ledger restore", **report.recovery_document(done)), lambda: report.recovery_text(done), of_work=True)
