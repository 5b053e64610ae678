"""``syncer notify``: trying out who is told how a night ended."""

from __future__ import annotations

import sys

import click

from syncer.cli.frame import command, envelope, settings, show
from syncer.errors import EXIT_OK, UnreachableError


@click.group("notify")
def notify_group() -> None:
    """Try out who is told how a night ended ([notify])."""


@command("test", notify_group, examples=("syncer notify test",))
def notify_test_command() -> None:
    """Send a message and a ping that say that they are a test."""
    from syncer.commands.telling import tell_test

    told = tell_test(settings())
    exit_code = EXIT_OK if all(well for _, well in told) else UnreachableError.exit_code
    show(
        envelope("notify test", exit_code, told=[{"setting": name, "answered": well} for name, well in told]),
        lambda: "\n".join(f"{name}: {'answered' if well else 'did not answer well'}" for name, well in told),
        of_work=True,
    )
    sys.exit(exit_code)
