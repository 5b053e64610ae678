"""The program: its commands, registered in one place, and the way out of every failure. Loads nothing heavy."""

from __future__ import annotations

import logging
import signal
import sys

import click

from syncer.cli import (
    audit,
    browse,
    codes,
    completion,
    ledger,
    nightly,
    notify,
    products,
    report,
    runs,
    sandbox,
    scans,
    setup,
    workorders,
)
from syncer.cli.frame import Options, common_options, echo_json, name_of
from syncer.errors import SignalError, SyncerError, UsageError
from syncer.process import streams
from syncer.process.garbage import look_seldom
from syncer.process.help import help_lines, remember
from syncer.process.logs import foresee, say
from syncer.process.signals import install
from syncer.safe import exposure
from syncer.safe.inert import inert

COMMANDS: tuple[click.Command, ...] = (
    setup.init_command, setup.check_command,
    runs.plan_command, runs.sync_command, runs.resume_command, runs.abandon_command, runs.status_command,
    nightly.run_command,
    products.products_group, scans.scans_group, codes.codes_group, workorders.workorders_group,
    audit.audit_group, report.report_command, notify.notify_group, ledger.ledger_group, browse.browse_command,
    sandbox.sandbox_command, completion.completion_command,
)  # fmt: skip
EPILOG = (
    "Exit codes: 0 all confirmed · 1 unexpected · 2 usage or configuration · 3 some rows not confirmed · 4 guard · "
    "5 API unreachable · 10 deadline · 11 ledger busy · 12 access refused · 13 ledger unusable · "
    "14 no file yet · 129/130/143 interrupted"
)


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="syncer", prog_name="syncer")
@common_options
def cli() -> None:
    """Bring Scantrust's track-and-trace data to the state of your CSV exports, resumably, and account for it."""


for _command in COMMANDS:
    cli.add_command(_command)


def main() -> None:
    """Run the program; turn every failure into its exit code, its words, and what to do next."""
    look_seldom()
    streams.prepare()
    wants_json = "--json" in sys.argv[1:]
    remember(sys.argv[1:])
    foresee(sys.argv[1:])
    options = Options()
    exposure.cover()
    install(options.interrupt)
    try:
        cli(standalone_mode=False, obj=options, prog_name="syncer")
        sys.stdout.flush()
    except click.exceptions.Abort:
        _fail(SignalError("interrupted", signal_number=signal.SIGINT), options.command, wants_json)
    except click.exceptions.NoArgsIsHelpError as error:
        if not wants_json:
            say(error.format_message(), level=logging.ERROR)
            sys.exit(error.exit_code)
        usage = UsageError("no command is named", next=_help_command(error.ctx))
        _fail(usage, name_of(error.ctx) if error.ctx else "", wants_json)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        usage = UsageError(error.format_message(), next=_help_command(context))
        _fail(usage, name_of(context) if context else options.command, wants_json)
    except SyncerError as error:
        _fail(error, options.command, wants_json)
    except streams.ReaderGone:
        streams.abandon_stdout()
        if not options.worked:
            sys.exit(0)  # a reader that has seen enough, as `head`, is no failure
        _fail(streams.unread("its reader is gone"), options.command, wants_json)
    except Exception as error:
        if options.verbose:
            say(exposure.shown_traceback(error).rstrip("\n"), level=logging.ERROR)
        _fail(SyncerError(f"unexpected failure: {type(error).__name__}: {error}"), options.command, wants_json)


def _help_command(context: click.Context | None) -> str:
    return " ".join(["syncer", *([name_of(context)] if context and context.parent else []), "--help"])


def _fail(error: SyncerError, command: str, wants_json: bool) -> None:
    """Report a failure that no result carries, and end with its exit code."""
    told = False
    if isinstance(error, streams.StdoutError):
        streams.abandon_stdout()
    elif wants_json:
        from syncer.report.document import failure_document

        try:
            echo_json(failure_document(command, error))
            told = True
        except (streams.StdoutError, streams.ReaderGone):  # then standard error has to do
            streams.abandon_stdout()
    if not told:
        message = error.message.replace("\n", "\n    ")  # a further line never passes for one of ours
        lines = [f"error ({error.code}): {message}", *(f"  {inert(line)}" for line in help_lines(error))]
        say("\n".join(lines), level=logging.ERROR)
    sys.exit(error.status)
