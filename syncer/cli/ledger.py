"""``syncer ledger``: migrations, integrity, backups."""

from __future__ import annotations

from pathlib import Path

import click

from syncer.cli.frame import command, envelope, environment_of, lock_wait_option, settings, show
from syncer.safe.inert import inert


@click.group("ledger")
def ledger_group() -> None:
    """Look after the ledger: migrations, integrity, backups."""


@command("upgrade", ledger_group)
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
    )


@command("check", ledger_group)
def ledger_check_command() -> None:
    """Prove the ledger whole: the file, every reference, every history."""
    from syncer.commands import ledger
    from syncer.errors import LedgerCorruptError

    problems = ledger.check(settings())
    if problems:
        raise LedgerCorruptError("the ledger is not whole:\n  " + "\n  ".join(problems))
    show(envelope("ledger check", problems=[]), lambda: "the ledger is whole")


@command("backup", ledger_group)
@click.argument("file", type=click.Path(path_type=Path))
def ledger_backup_command(file: Path) -> None:
    """Copy the ledger to FILE, consistently, even while a run is going on."""
    from syncer.commands import ledger

    ledger.backup(settings(), file)
    show(envelope("ledger backup", file=str(file)), lambda: f"the ledger is copied to {inert(str(file))}")
