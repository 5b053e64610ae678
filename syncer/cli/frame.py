"""The frame of every command: its common options, its settings, its environment, and how it shows what came out.

What always holds: with ``--json`` exactly one JSON document goes to standard output, whatever happens; text for
people, progress and logs go to standard error (without ``--json``, summaries go to standard output). Importing this
module loads nothing heavy, and it knows no command.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from syncer.process import streams
from syncer.process.signals import Interrupt
from syncer.safe import exposure
from syncer.safe.inert import inert_json
from syncer.safe.masking import TOKEN_VARIABLE, masked

if TYPE_CHECKING:
    from syncer.codes.drive import Step
    from syncer.commands.codes import CodesEnvironment
    from syncer.commands.environment import Environment
    from syncer.config import Settings
    from syncer.report.progress import ProgressReport

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(slots=True)
class Options:
    """Options that every command has, given before or after its name."""

    config: Path | None = None
    json: bool = False
    verbose: int = 0
    quiet: bool = False
    log_format: str = "text"
    interrupt: Interrupt = field(default_factory=Interrupt)


def _remember(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    if value not in (None, False, 0):
        setattr(context.ensure_object(Options), str(parameter.name), value)
    return value


def common_options(function: F) -> F:
    """Add the options that every command has."""
    for option in (
        click.option(
            "--log-format",
            type=click.Choice(["text", "json"]),
            expose_value=False,
            callback=_remember,
            help="How log lines on standard error are written.",
        ),
        click.option(
            "-q", "--quiet", is_flag=True, expose_value=False, callback=_remember, help="No progress, no logs."
        ),
        click.option("-v", "--verbose", count=True, expose_value=False, callback=_remember, help="More logs."),
        click.option(
            "--json",
            is_flag=True,
            expose_value=False,
            callback=_remember,
            help="Print one JSON document on standard output.",
        ),
        click.option(
            "--config",
            type=click.Path(path_type=Path),
            expose_value=False,
            callback=_remember,
            help="The TOML file; else $SYNCER_CONFIG, else ./config.toml.",
        ),
    ):
        function = option(function)
    return function


deadline_option = click.option("--deadline", type=float, metavar="SECONDS", help="Stop resumably after this time.")
"""Of every command that may run for long."""


def command(name: str, group: click.Group | None = None) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a command with the common options, of this group; without one, of the program (`program.COMMANDS`)."""

    def make(function: Callable[..., Any]) -> click.Command:
        made = click.command(name)(common_options(function))
        if group is not None:
            group.add_command(made)
        return made

    return make


def options() -> Options:
    """Return the common options of the command that runs."""
    return click.get_current_context().ensure_object(Options)


def environ() -> dict[str, str]:
    """Begin a command: with logs, and with the token nowhere but in this process's own memory."""
    from syncer.process import logs

    asked = options()
    logs.configure(verbose=asked.verbose, quiet=asked.quiet, form=asked.log_format)
    exposure.hide_memory()
    environ = dict(os.environ)
    os.environ.pop(TOKEN_VARIABLE, None)  # no program that this one may start is given it
    return environ


def settings(*, may_be_missing: bool = False) -> Settings:
    """Begin a command and load its settings; ``may_be_missing`` as in `load_settings`."""
    from syncer.config import load_settings

    return load_settings(explicit=options().config, environ=environ(), cwd=Path.cwd(), may_be_missing=may_be_missing)


def show(document: dict[str, Any], text: Callable[[], Any]) -> None:
    """Print a result: as JSON, or as text for people."""
    if options().json:
        echo_json(document)
    else:
        from rich.text import Text

        from syncer.report.console import plain_console

        shown = text()
        plain_console().print(Text(shown) if isinstance(shown, str) else shown)


def echo_json(document: dict[str, Any]) -> None:
    """Print one JSON document: the token masked, control characters escaped."""
    import json

    text = inert_json(masked(json.dumps(document, ensure_ascii=not streams.speaks_utf8(), indent=2)))
    # Bytes of a name that are no UTF-8 travel as lone surrogates, which no stream can write.
    click.echo(text.encode("utf-8", "backslashreplace").decode("utf-8"))


def envelope(name: str, **members: Any) -> dict[str, Any]:
    """Return what every document of a command that did not fail has, around its own members."""
    return {"schema": 1, "command": name, "exit_code": 0, **members, "error": None}


@contextmanager
def _progress() -> Iterator[tuple[ProgressReport, Callable[[int], None]]]:
    """Show progress, and let the first signal from here on end the engine cleanly; give what is told of rows."""
    from syncer.report.progress import ProgressReport

    interrupt = options().interrupt
    interrupt.check("before anything was done")  # it may have come while modules were loading
    with ProgressReport(quiet=options().quiet) as progress:

        def on_rows(rows: int) -> None:
            interrupt.check("while reading; nothing was sent")
            progress.on_rows(rows)

        interrupt.graceful = True
        yield progress, on_rows


@contextmanager
def environment_of() -> Iterator[Environment]:
    """Give the engine its standard input, its progress report, and the signals."""
    from syncer.commands.environment import Environment

    with _progress() as (progress, on_rows):
        yield Environment(
            interrupt=options().interrupt,
            stdin=sys.stdin.buffer,
            on_rows=on_rows,
            on_plan=progress.on_plan,
            on_progress=progress.on_progress,
            on_list=progress.on_list,
        )


@contextmanager
def codes_environment() -> Iterator[CodesEnvironment]:
    """Give the commands about own codes and work orders their progress report, and the signals."""
    from syncer.commands.codes import CodesEnvironment

    with _progress() as (progress, on_rows):

        def on_step(step: Step) -> None:
            words = f"part {step.part} of {step.parts}: {step.words}"
            progress.on_words(words, done=step.done_bytes, of=step.all_bytes)

        yield CodesEnvironment(interrupt=options().interrupt, on_rows=on_rows, on_step=on_step)
