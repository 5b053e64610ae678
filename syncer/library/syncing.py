"""A DataFrame as an export: planned, or synced, like a file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from syncer.commands import planning, runs
from syncer.commands.arrivals import carry_out
from syncer.commands.environment import Environment
from syncer.commands.morning import watched
from syncer.config import pick_job
from syncer.errors import GuardError, UsageError
from syncer.library.settings import settings_of
from syncer.model import Mode
from syncer.request import SyncRequest

if TYPE_CHECKING:
    from os import PathLike

    import pandas as pd

    from syncer.results import SyncResult

APPROVED = "syncer.sync(…, approve=True)"
"""What helps after a guard has stopped a DataFrame: no command can name it."""


def sync(
    frame: pd.DataFrame,
    *,
    name: str = "DataFrame",
    job: str | None = None,
    key: str | Sequence[str] | None = None,
    mode: Literal["auto", "sync", "async"] | None = None,
    dry_run: bool = False,
    force: bool = False,
    approve: bool = False,
    deadline_s: float | None = None,
    results: str | PathLike[str] | None = None,
    config: str | PathLike[str] | None = None,
) -> SyncResult:
    """Bring the API to the state of a DataFrame, as ``syncer sync`` does with a file; ``dry_run``: only plan it.

    ``name`` stands for the DataFrame in messages, results and the ledger; a line is the row's place, from 1. Cells are
    text, missing, or days; a column of numbers that is sent is refused. Returns the outcome of a run that came to its
    end: exit code 0, or 3 when some rows are not confirmed. Raises `SyncerError` for what stops it, before or while it
    sends; what was done by then is recorded, and the next run goes on.
    """
    _require(frame, mode, deadline_s)
    request = SyncRequest(
        job=job,
        key=(key,) if isinstance(key, str) else tuple(key) if key else None,
        mode=mode,
        force=force,
        approve=approve,
        deadline_s=deadline_s,
        results=None if results is None else Path(results),
    )
    settings, environment = settings_of(config), Environment(frame=frame, frame_name=name)
    named = pick_job(settings, job).name
    try:
        result = (
            carry_out(planning.plan, settings, request, environment, named)
            if dry_run
            else watched(
                settings, "sync", lambda _: carry_out(runs.sync, settings, request, environment, named),
                environment.clock,
            )
        )  # fmt: skip
        if result.error is not None:
            raise result.error
    except GuardError as error:
        if error.stops:  # of the reach of a key there are none: that run is resumed by the command
            error.next = APPROVED
        raise
    return result


def _require(frame: object, mode: str | None, deadline_s: float | None) -> None:
    if not (hasattr(frame, "iloc") and hasattr(frame, "columns")):
        words = f"syncer.sync takes a pandas DataFrame, and this is {type(frame).__name__}"
        remedy = "read it: pandas.read_csv(FILE, dtype=str, keep_default_na=False)"
        raise UsageError(words, remedy=remedy, next="syncer sync FILE")
    if mode is not None and mode not in list(Mode):
        raise UsageError(f"mode is {mode!r}, and must be one of {', '.join(Mode)}", next="syncer sync --help")
    if deadline_s is not None and not (math.isfinite(deadline_s) and deadline_s >= 0):
        words = f"deadline_s is {deadline_s!r}, and must be a number of seconds, 0 or more"
        raise UsageError(words, next="syncer sync --help")
