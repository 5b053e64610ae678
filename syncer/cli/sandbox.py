"""``syncer sandbox``: the emulator of the API, started here and nowhere else."""

from __future__ import annotations

import errno
import json
import shlex
from contextlib import suppress
from typing import Any, BinaryIO

import click

from syncer.cli.frame import command, echo_json, envelope, options
from syncer.cli.numbers import Finite
from syncer.errors import SignalError, UsageError
from syncer.process.help import again_with


def _faults_in(file: BinaryIO) -> tuple[dict[str, Any], ...]:
    """Return the faults of a file; raise `UsageError` when it is no list of objects."""
    try:
        found = json.load(file)
    except ValueError as error:
        raise UsageError(
            f"{file.name} is no JSON: {error}", next=f"python3 -m json.tool {shlex.quote(file.name)}"
        ) from None
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise UsageError(f"{file.name} is no list of objects", remedy="see what it takes: docs/sandbox.md")
    return tuple(found)


def _announce(url: str) -> None:
    if options().json:
        echo_json(envelope("sandbox", url=url))
    else:
        click.echo(f"sandbox listening on {url} (Ctrl-C ends it)")


@command("sandbox", examples=("syncer sandbox", "syncer sandbox --codes codes.csv --fields lot,market --scans 500"))
@click.option("--port", type=click.IntRange(0, 65535), default=8377, show_default=True, help="0 takes any free port.")
@click.option("--codes", type=click.Path(exists=True, dir_okay=False), help="CSV of codes; else a small sample.")
@click.option("--latency", type=Finite(min=0), default=0.0, help="Seconds before each answer.")
@click.option("--way", default="0", help="Milliseconds that requests and answers are on their way (docs/sandbox.md).")
@click.option("--task-delay", type=Finite(min=0), default=0.05, show_default=True, help="Seconds that a task takes.")
@click.option("--rate", type=click.IntRange(min=1), default=10, show_default=True, help="Updates a second.")
@click.option(
    "--fields", help="SCM fields of the campaign, separated by commas; others are discarded. Else all are taken."
)
@click.option("--sync-keys", default="extended_id,serial_number", show_default=True, help="Of sync uploads; or any.")
@click.option("--changes-only", is_flag=True, help="Count and name only what a call changed, not what it found so.")
@click.option("--scans", type=click.IntRange(min=0), default=0, help="How many made-up scans there are.")
@click.option("--faults", type=click.File("rb"), help="JSON list of scripted faults (docs/sandbox.md).")
@click.option("--seed", type=int, default=0, help="Of everything that is left to chance.")
def sandbox_command(
    port: int,
    codes: str | None,
    latency: float,
    way: str,
    task_delay: float,
    rate: int,
    sync_keys: str,
    changes_only: bool,
    fields: str | None,
    scans: int,
    faults: Any,
    seed: int,
) -> None:
    """Run the local emulator of the API, on loopback, until Ctrl-C."""
    # A signal is only noted from here on, whatever is being loaded: an exception could be lost in what catches all.
    interrupt = options().interrupt
    interrupt.graceful = True

    from syncer.sandbox import SandboxConfig, serve

    config = SandboxConfig(
        port=port,
        codes_file=codes,
        latency_s=latency,
        way=way,
        task_run_s=task_delay,
        updates_per_second=rate,
        sync_keys=None if sync_keys == "any" else tuple(sync_keys.split(",")),
        changes_only=changes_only,
        campaigns={1: frozenset(fields.split(","))} if fields else None,
        scans=scans,
        faults=_faults_in(faults) if faults else (),
        seed=seed,
    )
    try:
        with suppress(SignalError):
            serve(
                config,
                announce=_announce,
                ended=lambda: interrupt.signal_number is not None,
            )
    except ValueError as error:
        raise UsageError(
            f"the sandbox cannot be set up so: {error}", remedy="see what it takes: docs/sandbox.md"
        ) from error
    except OSError as error:
        if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
            raise
        words = f"port {port} cannot be listened on: {error.strerror}"
        raise UsageError(
            words, remedy="end what listens there, or take another port", next=again_with({"--port": "0"})
        ) from error
