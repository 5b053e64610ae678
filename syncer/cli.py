"""The command line: parse, call, render, exit. Every decision is made in `commands` and below.

What always holds: with ``--json`` exactly one JSON document goes to standard output, whatever happens; text for
people, progress and logs go to standard error (without ``--json``, summaries go to standard output). Importing this
module loads nothing heavy.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from syncer import exposure, streams
from syncer.errors import OutputError, SignalError, SyncerError, UsageError
from syncer.inert import inert, inert_json, inert_lines
from syncer.masking import TOKEN_VARIABLE, masked
from syncer.signals import Interrupt, install

if TYPE_CHECKING:
    from syncer.commands import Surroundings
    from syncer.config import Settings
    from syncer.results import SyncResult

F = TypeVar("F", bound=Callable[..., Any])
EPILOG = (
    "Exit codes: 0 all confirmed · 1 unexpected · 2 usage or configuration · 3 some rows not confirmed · 4 guard · "
    "5 API unreachable · 10 deadline · 11 ledger busy · 12 access refused · 13 ledger unusable · 130/143 interrupted"
)


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


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="syncer", prog_name="syncer")
@common_options
def cli() -> None:
    """Bring Scantrust's track-and-trace data to the state of your CSV exports, resumably, and account for it."""


def command(name: str, group: click.Group = cli, **settings: Any) -> Callable[[Callable[..., Any]], click.Command]:
    """Register a command with the common options."""

    def register(function: Callable[..., Any]) -> click.Command:
        return group.command(name, **settings)(common_options(function))

    return register


def _options() -> Options:
    return click.get_current_context().ensure_object(Options)


def _environment() -> dict[str, str]:
    """Begin a command: with logs, and with the token nowhere but in this process's own memory."""
    from syncer import logs

    options = _options()
    logs.configure(verbose=options.verbose, quiet=options.quiet, form=options.log_format)
    exposure.hide_memory()
    environ = dict(os.environ)
    os.environ.pop(TOKEN_VARIABLE, None)  # no program that this one may start is given it
    return environ


def _settings() -> Settings:
    from syncer.config import load_settings

    return load_settings(explicit=_options().config, environ=_environment(), cwd=Path.cwd())


def _show(document: dict[str, Any], text: Callable[[], Any]) -> None:
    """Print a result: as JSON, or as text for people."""
    if _options().json:
        _echo_json(document)
    else:
        from rich.text import Text

        from syncer.report.console import plain_console

        shown = text()
        plain_console().print(Text(shown) if isinstance(shown, str) else shown)


def _echo_json(document: dict[str, Any]) -> None:
    import json

    text = inert_json(masked(json.dumps(document, ensure_ascii=not streams.speaks_utf8(), indent=2)))
    # Bytes of a name that are no UTF-8 travel as lone surrogates, which no stream can write.
    click.echo(text.encode("utf-8", "backslashreplace").decode("utf-8"))


def _envelope(name: str, **members: Any) -> dict[str, Any]:
    return {"schema": 1, "command": name, "exit_code": 0, **members, "error": None}


@contextmanager
def _surroundings() -> Iterator[Surroundings]:
    """Give the engine its clock, its progress report, and the signals: from here on the first one ends it cleanly."""
    from syncer.commands import Surroundings
    from syncer.report.progress import ProgressReport

    options = _options()
    interrupt = options.interrupt
    interrupt.check("before anything was done")  # it may have come while modules were loading
    with ProgressReport(quiet=options.quiet) as progress:

        def show_rows(rows: int) -> None:
            interrupt.check("while reading; nothing was sent")
            progress.on_rows(rows)

        interrupt.graceful = True
        yield Surroundings(
            interrupt=interrupt,
            stdin=sys.stdin.buffer,
            on_rows=show_rows,
            on_plan=progress.on_plan,
            on_progress=progress.on_progress,
            on_list=progress.on_list,
        )


def _finish(result: SyncResult) -> None:
    from syncer.report.document import sync_document
    from syncer.report.text import sync_text

    _show(sync_document(result), lambda: sync_text(result))
    sys.exit(result.exit_code)


def job_options(function: F) -> F:
    """Add the options of ``plan`` and ``sync``."""
    for option in (
        click.option("--approve", is_flag=True, help="Go on although a guard would stop the run."),
        click.option("--force", is_flag=True, help="Send unchanged rows too."),
        click.option("--mode", type=click.Choice(["auto", "sync", "async"]), help="Which calls to use."),
        click.option("--key", multiple=True, help="The column that selects codes; repeat it for several."),
        click.option("--job", help="Which job of the configuration."),
        click.argument("files", nargs=-1, metavar="[FILE...]"),
    ):
        function = option(function)
    return function


@command("plan")
@job_options
def plan_command(
    files: tuple[str, ...], job: str | None, key: tuple[str, ...], mode: str | None, force: bool, approve: bool
) -> None:
    """Say what sync would do: counts, rejected rows, calls, time. Sends and records nothing."""
    from syncer import commands

    request = commands.Request(files, job, key or None, mode, force, approve)
    with _surroundings() as around:
        result = commands.plan(_settings(), request, around)
    _finish(result)


@command("sync")
@job_options
@click.option("--dry-run", is_flag=True, help="The same as plan.")
@click.option(
    "--results", type=click.Path(path_type=Path), help="Write confirmed.csv, error.csv, unprocessed.csv here."
)
@click.option("--deadline", type=float, metavar="SECONDS", help="Stop resumably after this time.")
def sync_command(
    files: tuple[str, ...],
    job: str | None,
    key: tuple[str, ...],
    mode: str | None,
    force: bool,
    approve: bool,
    dry_run: bool,
    results: Path | None,
    deadline: float | None,
) -> None:
    """Settle what is open, plan FILE..., send, poll, reconcile. '-' is standard input."""
    from syncer import commands

    request = commands.Request(files, job, key or None, mode, force, approve, deadline, results)
    with _surroundings() as around:
        result = (commands.plan if dry_run else commands.sync)(_settings(), request, around)
    _finish(result)


@command("resume")
@click.option("--job", help="Which job's last run.")
@click.option("--approve", is_flag=True, help="Go on although a guard would stop the run.")
@click.option("--deadline", type=float, metavar="SECONDS", help="Stop resumably after this time.")
def resume_command(job: str | None, approve: bool, deadline: float | None) -> None:
    """Finish the last run from the ledger alone, without its file."""
    from syncer import commands

    with _surroundings() as around:
        result = commands.resume(_settings(), commands.Request(job=job, approve=approve, deadline_s=deadline), around)
    _finish(result)


@command("status")
@click.argument("run", type=int, required=False)
@click.option("--last", type=click.IntRange(min=1), default=10, show_default=True, help="How many runs to list.")
def status_command(run: int | None, last: int) -> None:
    """List the last runs, or show one RUN with its batches."""
    from syncer import commands
    from syncer.report import document, text

    if run is None:
        runs = commands.status(_settings(), most=last)
        _show(_envelope("status", runs=[document.summary_document(one) for one in runs]), lambda: text.runs_text(runs))
    else:
        details = commands.run_status(_settings(), run)
        _show(_envelope("status", **document.run_details_document(details)), lambda: text.run_text(details))


@cli.group("audit", invoke_without_command=False)
def audit_group() -> None:
    """Explain what was uploaded, when, and with what outcome."""


@command("show", audit_group)
@click.argument("value", nargs=-1, required=True)
def audit_show_command(value: tuple[str, ...]) -> None:
    """Show all that was ever sent for one key VALUE (the parts of a composite key one after the other)."""
    from syncer import codes_commands, commands
    from syncer.report import codes, document, text

    value = tuple(os.fsencode(part).decode("utf-8", "replace") for part in value)
    entries = commands.audit_show(_settings(), value)
    uploads = codes_commands.code_history(_settings(), value[0]) if len(value) == 1 else []
    _show(
        _envelope(
            "audit show",
            entries=[document.entry_document(e) for e in entries],
            code_uploads=[codes.code_upload_document(e) for e in uploads],
        ),
        lambda: codes.with_history(text.history_text(entries) if entries or not uploads else None, uploads),
    )


@command("export", audit_group)
@click.option("--since", help="Only what changed since this UTC time: 2026-11-20 or 2026-11-20T05:00:00Z.")
@click.option("--run", type=int, help="Only this run.")
@click.option("--format", "form", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True)
@click.option("--output", type=click.Path(path_type=Path), help="Write this file, for its owner alone (0600).")
def audit_export_command(since: str | None, run: int | None, form: str, output: Path | None) -> None:
    """Write the history of many values to standard output, or to a file."""
    from syncer import commands
    from syncer.report.export import export_target, write_export

    with commands.audit_export(_settings(), since=since, run_id=run) as entries, export_target(output) as out:
        write_export(entries, form, out)


@cli.group("ledger")
def ledger_group() -> None:
    """Look after the ledger: migrations, integrity, backups."""


@command("upgrade", ledger_group)
def ledger_upgrade_command() -> None:
    """Bring the ledger's schema to this program's, after a backup."""
    from syncer import commands

    with _surroundings() as around:
        done = commands.ledger_upgrade(_settings(), around)
    saved = f"; backup: {inert(str(done.backup))}" if done.backup else ""
    _show(
        _envelope(
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
    from syncer import commands
    from syncer.errors import LedgerCorruptError

    problems = commands.ledger_check(_settings())
    if problems:
        raise LedgerCorruptError("the ledger is not whole:\n  " + "\n  ".join(problems))
    _show(_envelope("ledger check", problems=[]), lambda: "the ledger is whole")


@command("backup", ledger_group)
@click.argument("file", type=click.Path(path_type=Path))
def ledger_backup_command(file: Path) -> None:
    """Copy the ledger to FILE, consistently, even while a run is going on."""
    from syncer import commands

    commands.ledger_backup(_settings(), file)
    _show(_envelope("ledger backup", file=str(file)), lambda: f"the ledger is copied to {inert(str(file))}")


@command("init")
def init_command() -> None:
    """Write config.toml and create the ledger, where they are missing. Never overwrites."""
    from syncer import commands

    with _surroundings() as around:
        done = commands.init(_settings(), Path.cwd(), around)
    _show(
        _envelope(
            "init",
            config=str(done.config),
            wrote_config=done.wrote_config,
            ledger=str(done.ledger),
            made_ledger=done.made_ledger,
        ),
        lambda: (
            f"{inert(str(done.config))}: {'written' if done.wrote_config else 'was there, left as it is'}\n"
            f"{inert(str(done.ledger))}: {'created' if done.made_ledger else 'was there, left as it is'}\n"
            "next: put the token into the environment (SYNCER_API__TOKEN), then: syncer check"
        ),
    )


@command("check")
def check_command() -> None:
    """Look at configuration, ledger, clock and access; say what to do about each fault."""
    from syncer import checkup
    from syncer.clock import SystemClock
    from syncer.report import document, text

    findings = checkup.check(_options().config, _environment(), Path.cwd(), SystemClock())
    failed = [finding for finding in findings if finding.error is not None]
    exit_code = failed[0].error.status if failed and failed[0].error else 0
    _show(document.check_document(findings, exit_code), lambda: text.check_text(findings))
    sys.exit(exit_code)


@command("sandbox")
@click.option("--port", type=click.IntRange(0, 65535), default=8377, show_default=True, help="0 takes any free port.")
@click.option("--codes", type=click.Path(exists=True, dir_okay=False), help="CSV of codes; else a small sample.")
@click.option("--latency", type=float, default=0.0, help="Seconds before each answer.")
@click.option("--task-delay", type=float, default=0.05, show_default=True, help="Seconds that a task takes.")
@click.option("--rate", type=click.IntRange(min=1), default=10, show_default=True, help="Updates a second.")
@click.option(
    "--fields", help="SCM fields of the campaign, separated by commas; others are discarded. Else all are taken."
)
@click.option("--scans", type=click.IntRange(min=0), default=0, help="How many made-up scans there are.")
@click.option("--faults", type=click.File("rb"), help="JSON list of scripted faults (docs/sandbox.md).")
@click.option("--seed", type=int, default=0, help="Of everything that is left to chance.")
def sandbox_command(
    port: int,
    codes: str | None,
    latency: float,
    task_delay: float,
    rate: int,
    fields: str | None,
    scans: int,
    faults: Any,
    seed: int,
) -> None:
    """Run the local emulator of the API, on loopback, until Ctrl-C."""
    import json

    from syncer.sandbox import SandboxConfig, serve

    config = SandboxConfig(
        port=port,
        codes_file=codes,
        latency_s=latency,
        task_run_s=task_delay,
        updates_per_second=rate,
        campaigns={1: frozenset(fields.split(","))} if fields else None,
        scans=scans,
        faults=tuple(json.load(faults)) if faults else (),
        seed=seed,
    )
    with suppress(SignalError):
        serve(config, lambda url: click.echo(f"sandbox listening on {url} (Ctrl-C ends it)"))


# The command lines of other parts are modules of their own, which use what stands above.
envelope, load, show, surroundings, options, settings = _envelope, _settings, _show, _surroundings, _options, _settings
from syncer import cli_codes, cli_products  # noqa: E402, F401  their commands register themselves with `cli`


def main() -> None:
    """Run the program; turn every failure into its exit code, its words, and what to do next."""
    import syncer.cli_scans  # noqa: F401  registers its commands

    streams.prepare()
    wants_json = "--json" in sys.argv[1:]
    options = Options()
    exposure.cover()
    install(options.interrupt)
    try:
        cli(standalone_mode=False, obj=options)
        sys.stdout.flush()
    except click.exceptions.Abort:
        _fail(SignalError("interrupted", signal_number=signal.SIGINT), wants_json)
    except click.ClickException as error:
        usage = UsageError(error.format_message(), next=_help_command(error))
        _fail(usage, wants_json)
    except SyncerError as error:
        _fail(error, wants_json)
    except BrokenPipeError:
        streams.abandon_stdout()
        sys.exit(1)
    except Exception as error:
        if options.verbose:
            click.echo(exposure.shown_traceback(error), err=True)
        _fail(SyncerError(f"unexpected failure: {type(error).__name__}: {error}"), wants_json)


def _help_command(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return f"{context.command_path if context else 'syncer'} --help"


def _fail(error: SyncerError, wants_json: bool) -> None:
    """Report a failure that no result carries, and end with its exit code."""
    told = False
    if isinstance(error, OutputError):
        streams.abandon_stdout()
    elif wants_json:
        from syncer.report.document import failure_document

        words = [word for word in sys.argv[1:] if not word.startswith("-")]
        try:
            _echo_json(failure_document(words[0] if words else "", error))
            told = True
        except (OutputError, BrokenPipeError):  # then standard error has to do
            streams.abandon_stdout()
    if not told:
        message = error.message.replace("\n", "\n    ")  # a further line never passes for one of ours
        click.echo(inert_lines(f"error ({error.code}): {message}\n  next: {inert(error.next)}"), err=True)
    sys.exit(error.status)
