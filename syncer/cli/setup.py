"""``syncer init`` and ``syncer check``: the first commands on a new machine."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from syncer.cli.frame import command, envelope, environ, environment_of, options, settings, show
from syncer.process.help import configured
from syncer.safe.inert import inert


@command("init", examples=("syncer init", "syncer init --from export.csv"))
@click.option(
    "--from",
    "export",
    metavar="FILE",
    help="Write the configuration for an export: by its first rows, with a token by the API too.",
)
def init_command(export: str | None) -> None:
    """Write config.toml and create the ledger, where they are missing. Never overwrites."""
    from syncer.commands import ledger

    known = settings(may_be_missing=True)
    with environment_of() as environment:
        text = None
        if export is not None:
            from syncer.runs.first_answers import asker
            from syncer.runs.first_look import configuration

            asks = asker(known, environment.clock, environment.interrupt, environment.outside)
            text = configuration(export, ask=asks)
        done = ledger.init(known, Path.cwd(), environment, text)
    show(
        envelope(
            "init",
            config=str(done.config),
            wrote_config=done.wrote_config,
            ledger=str(done.ledger),
            made_ledger=done.made_ledger,
        ),
        lambda: (
            f"{inert(str(done.config))}: {'written' if done.wrote_config else 'was there, left as it is'}\n"
            f"{inert(str(done.ledger))}: {'created' if done.made_ledger else 'was there, left as it is'}\n"
            f"next: {'' if known.api.token else 'put the token into the environment (SYNCER_API__TOKEN), then: '}"
            f"{configured('syncer check')}"
        ),
        of_work=True,
    )


@command("check", examples=("syncer check", "syncer check --max-age 26h"))
@click.option("--max-age", metavar="AGE", help="Exit 3 when no run of a job has ended well for so long: 90m, 26h, 3d.")
def check_command(max_age: str | None) -> None:
    """Look at configuration, ledger, clock and access; say what to do about each fault."""
    from syncer.commands import checkup
    from syncer.process.clock import SystemClock
    from syncer.process.times import parse_age
    from syncer.report import document, text

    age_s = None if max_age is None else parse_age(max_age, "--max-age", "check")
    findings = checkup.check(options().config, environ(), Path.cwd(), SystemClock(), max_age_s=age_s)
    failed = [finding for finding in findings if finding.error is not None]
    exit_code = failed[0].error.status if failed and failed[0].error else 0
    show(document.check_document(findings, exit_code), lambda: text.check_text(findings), of_check=True)
    sys.exit(exit_code)
