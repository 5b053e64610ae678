"""``syncer completion``: what a shell needs to complete commands, options and files."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from syncer.cli.frame import command, echo_json, envelope, options
from syncer.errors import UsageError

SHELLS = ("bash", "zsh", "fish")


@command(
    "completion",
    examples=(
        "syncer completion bash > ~/.local/share/bash-completion/completions/syncer",
        'syncer completion zsh > "${fpath[1]}/_syncer"',
        "syncer completion fish > ~/.config/fish/completions/syncer.fish",
    ),
)
@click.argument("shell", type=click.Choice(SHELLS))
def completion_command(shell: str) -> None:
    """Print a script for SHELL that completes commands, options and files."""
    kind = get_completion_class(shell)
    if kind is None:
        raise UsageError(f"there is no completion for {shell}")
    program = click.get_current_context().find_root().command
    source = kind(program, {}, "syncer", "_SYNCER_COMPLETE").source_vars()
    script = kind.source_template % source
    if options().json:
        echo_json(envelope("completion", shell=shell, script=script))
    else:
        click.echo(script)
