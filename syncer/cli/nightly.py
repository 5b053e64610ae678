"""``syncer run``: all that a night has to do."""

from __future__ import annotations

import sys

from syncer.cli.frame import command, environment_of, lock_wait_option, settings, show


@command("run", examples=("syncer run", "syncer --json run > last.json"))
@lock_wait_option
def run_command() -> None:
    """Do what [nightly] in the configuration lists, step by step, and end with the gravest exit code."""
    from syncer.commands import nightly
    from syncer.commands.morning import watched
    from syncer.report.night import night_document, night_text

    known = settings()
    with environment_of() as environment:
        result = watched(known, "run", lambda own: nightly.run(known, environment, own), environment.clock)
    show(night_document(result), lambda: night_text(result), of_work=True)
    sys.exit(result.exit_code)
