"""The frame of every command: its common options, its settings, its environment, and how it shows what came out.

What always holds: with ``--json`` exactly one JSON document goes to standard output, whatever happens; text for
people, progress and logs go to standard error (without ``--json``, summaries go to standard output). Importing this
module loads nothing heavy, and it knows no command.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from syncer.cli.numbers import Finite
from syncer.errors import AGAIN, UsageError
from syncer.process import streams
from syncer.process.help import again_with
from syncer.process.signals import Interrupt
from syncer.safe import exposure
from syncer.safe.inert import inert, inert_json
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
    log_time: bool = False
    lock_wait: float | None = None
    """Seconds to wait for the ledger's lock; None: as configured. Of commands that need it."""
    worked: bool = False
    """Whether what is shown tells of work: then it matters that it is read."""
    command: str = ""
    """The command as it is called, without options (``audit show``); empty until it is recognised."""
    interrupt: Interrupt = field(default_factory=Interrupt)


PAGES = (".html", ".htm")
"""Endings of pages."""
COMMON_OPTIONS = frozenset({"config", "json", "verbose", "quiet", "log_format", "log_time", "help"})
"""Names of the options that every command has."""


def _remember(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    if value not in (None, False, 0):
        setattr(context.ensure_object(Options), str(parameter.name), value)
    return value


def _remember_zero(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    if value is not None:
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
            "--log-time",
            is_flag=True,
            expose_value=False,
            callback=_remember,
            help="Begin every line of log and progress with the UTC time.",
        ),
        click.option(
            "-q",
            "--quiet",
            is_flag=True,
            expose_value=False,
            callback=_remember,
            help="No progress, no logs, and no report when all is well.",
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


lock_wait_option = click.option(
    "--lock-wait",
    type=Finite(min=0),
    metavar="SECONDS",
    expose_value=False,
    callback=_remember_zero,
    help="How long to wait while another run holds the ledger (then exit 11).",
)
"""Of every command that needs the ledger's lock."""


_SURROGATE = re.compile("[\ud800-\udfff]")
"""What stands in an argument for a byte that is no text."""
_EMPTY = re.compile("--[a-z-]+=")
"""An option that is given nothing."""
NUMBER_MAX = 2**63 - 1
"""What a column of the ledger holds at most."""


class _Command(click.Command):
    """A command whose help shows its own options first, then examples, then what every command has."""

    examples: tuple[str, ...] = ()

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take the arguments; refuse numbers and texts that no ledger can hold. A file's name need be no text.

        An argument that is empty is a variable of a script that is not set: no name is meant by it, nor this folder.
        """
        empty = next((one for one in args if not one or _EMPTY.fullmatch(one)), None)
        if empty is not None and not ctx.resilient_parsing:
            raise click.UsageError(f"an argument is empty{f': {empty}' if empty else ''}; is a variable not set?", ctx)
        rest = super().parse_args(ctx, args)
        for parameter in self.get_params(ctx):
            value = ctx.params.get(parameter.name or "")
            is_text = isinstance(parameter.type, click.types.StringParamType)
            for one in value if isinstance(value, tuple) else (value,):
                if isinstance(one, int) and abs(one) > NUMBER_MAX:
                    raise click.UsageError(f"{one} is larger than any number here.", ctx)
                if is_text and isinstance(one, str) and not one.isascii() and _SURROGATE.search(one):
                    raise click.UsageError(f"{inert(one)!r} is no text in UTF-8.", ctx)
        return rest

    def invoke(self, context: click.Context) -> Any:
        """Run the command, and remember its name for whatever becomes of it."""
        context.ensure_object(Options).command = name_of(context)
        return super().invoke(context)

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options in two sections, with the examples between them."""
        own, common = list[tuple[str, str]](), list[tuple[str, str]]()
        for parameter in self.get_params(context):
            record = parameter.get_help_record(context)
            if record is not None and isinstance(parameter, click.Option):
                (common if parameter.name in COMMON_OPTIONS else own).append(record)
        if own:
            with formatter.section("Options"):
                formatter.write_dl(own)
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write_text(example)
        with formatter.section("Options of every command"):
            formatter.write_dl(common)


def command(
    name: str, group: click.Group | None = None, *, examples: tuple[str, ...] = ()
) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a command with the common options, of this group; without one, of the program (`program.COMMANDS`).

    ``examples`` are command lines that its help shows.
    """

    def make(function: Callable[..., Any]) -> click.Command:
        made = click.command(name, cls=_Command)(common_options(function))
        made.examples = examples
        if group is not None:
            group.add_command(made)
        return made

    return make


def name_of(context: click.Context) -> str:
    """Return the command as it is called, without the program's name and options: ``audit show``."""
    names: list[str] = []
    while context.parent is not None:
        names.insert(0, context.info_name or "")
        context = context.parent
    return " ".join(names)


def options() -> Options:
    """Return the common options of the command that runs."""
    return click.get_current_context().ensure_object(Options)


def environ() -> dict[str, str]:
    """Begin a command: with logs, and with the token nowhere but in this process's own memory.

    Raises `UsageError` where the current folder was deleted: no relative path means anything there.
    """
    from syncer.process import logs

    asked = options()
    logs.configure(verbose=asked.verbose, quiet=asked.quiet, form=asked.log_format, full_time=asked.log_time)
    exposure.hide_memory()
    try:
        Path.cwd()
    except FileNotFoundError as error:
        gone = "the folder in which the command runs was deleted"
        raise UsageError(gone, remedy="change to a folder that is there", next=AGAIN) from error
    environ = dict(os.environ)
    os.environ.pop(TOKEN_VARIABLE, None)  # no program that this one may start is given it
    return environ


def settings(*, may_be_missing: bool = False) -> Settings:
    """Begin a command and load its settings; ``may_be_missing`` as in `load_settings`."""
    from syncer.config import load_settings

    asked = options()
    loaded = load_settings(explicit=asked.config, environ=environ(), cwd=Path.cwd(), may_be_missing=may_be_missing)
    if asked.lock_wait is None:
        return loaded
    return replace(loaded, ledger=replace(loaded.ledger, lock_wait_s=asked.lock_wait))


def require_ending(out: Path, endings: Sequence[str]) -> None:
    """Raise `UsageError` for a file whose name promises another kind than is written.

    The first of ``endings`` is what helps adds to the name.
    """
    if out.suffix.lower() not in endings:
        words = f"{out} does not say what is written: its name must end in {endings[0]}"
        raise UsageError(words, next=again_with({"--out": str(out.with_name(out.name + endings[0]))}))


def show(document: dict[str, Any], text: Callable[[], Any], *, of_work: bool = False, of_check: bool = False) -> None:
    """Print a result: as JSON, or as text for people.

    ``of_work``: it tells what a command did, ``of_check``: whether all is well; then ``-q`` prints nothing when it is.
    Anything else is the answer to a question, which ``-q`` does not take away.
    """
    options().worked |= of_work
    if options().json:
        echo_json(document)
    elif (of_work or of_check) and options().quiet and document["exit_code"] == 0:
        return
    else:
        from rich.text import Text

        from syncer.report.console import plain_console

        shown = text()
        plain_console().print(Text(shown) if isinstance(shown, str) else shown)


def echo_json(document: dict[str, Any]) -> None:
    """Print one JSON document: the token masked, control characters escaped. Raises `OutputError` as a write does."""
    import json

    streams.require_stdout()
    text = inert_json(masked(json.dumps(document, ensure_ascii=not streams.speaks_utf8(), indent=2)))
    # Bytes of a name that are no UTF-8 travel as lone surrogates, which no stream can write.
    click.echo(text.encode("utf-8", "backslashreplace").decode("utf-8"))


def envelope(name: str, exit_code: int = 0, /, **members: Any) -> dict[str, Any]:
    """Return what every document of a command that did not fail has, around its own members."""
    return {"schema": 1, "command": name, "exit_code": exit_code, **members, "error": None}


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
