"""``syncer browse``: a copy of the ledger in a browser."""

from __future__ import annotations

import click

from syncer.cli.frame import command, echo_json, envelope, options, settings


@command("browse", examples=("syncer browse", "syncer browse --port 0"))
@click.option("--port", type=click.IntRange(0, 65_535), default=8001, show_default=True, help="0: any that is free.")
def browse_command(port: int) -> None:
    """Show a copy of the ledger in a browser, on this machine alone, until Ctrl-C (needs syncer[browse])."""
    from syncer.commands.browse import browse

    browse(settings(), options().interrupt, port=port, on_ready=_announce)


def _announce(url: str) -> None:
    if options().json:
        echo_json(envelope("browse", url=url))
    else:
        click.echo(f"a copy of the ledger: {url} (Ctrl-C ends it)")
