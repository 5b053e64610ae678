"""``status``: what is going on and what was done, by every kind of work. Reads only, each look for a moment.

What always holds: a run or work without an end is called running only while its process lives: the ledger's lock
decides for runs, the process itself for all else. What another machine does cannot be told from here, and is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from syncer.commands.ledger import known_run, reading_ledger
from syncer.ledger.ledger import Ledger
from syncer.ledger.lock import Holder, holder
from syncer.ledger.works import owner_of_program
from syncer.process.owner import Life, life_of, this_host
from syncer.results import Concern, RefusedRows, RunDetails, RunSummary, StatusResult, WorkSummary

if TYPE_CHECKING:
    from syncer.config import Settings
    from syncer.ledger.values import Run
    from syncer.ledger.works import Work
    from syncer.process.clock import Clock

RUN_BATCHES_MAX = 50
"""Batches that ``status RUN`` lists; the audit has them all."""
WATCH_S = 1.0
"""Pause between two looks of ``status --watch``."""
RUN_KINDS = frozenset({"sync", "resume"})
"""Works that are shown as the run that they were, where they came to one."""


def status(settings: Settings, *, most: int) -> StatusResult:
    """Return the newest runs and works, newest first; an archive is read, and must be there, where their counts are."""
    with Ledger.reading(settings.ledger.url) as ledger:
        if ledger is None:
            return StatusResult((), ())
        found = ledger.runs(most=most)
        if ledger.counts_moved(found):
            ledger.add_archives()
        runs = tuple(_summary(ledger, run) for run in found)
        works = tuple(WorkSummary(work, _life_of_work(work)) for work in ledger.works(most=most))
    newest = {one.work.run_id: one.work.id for one in reversed(works)}
    shown = tuple(one for one in works if not _is_shown_as_run(one.work, runs, newest))
    return StatusResult(runs, shown)


def run_status(settings: Settings, run_id: int) -> RunDetails:
    """Return one run with its batches and what is not confirmed."""
    with reading_ledger(settings) as ledger:
        run = known_run(ledger, run_id)
        return RunDetails(
            _summary(ledger, run),
            tuple(ledger.sources(run_id)),
            ledger.batch_counts(run_id),
            tuple(Concern(*concern) for concern in ledger.concerns(run_id)),
            tuple(ledger.batches(run_id=run_id, most=RUN_BATCHES_MAX)),
        )


def refused_rows(settings: Settings, run_id: int) -> RefusedRows:
    """Return the rows of a run that were invalid, and those whose values the API did not take."""
    with reading_ledger(settings) as ledger:
        summary = _summary(ledger, known_run(ledger, run_id))
        invalid, untaken = ledger.refused_rows(run_id)
    return RefusedRows(summary, tuple(invalid), tuple(untaken))


def watch(settings: Settings, clock: Clock, *, most: int) -> Iterator[StatusResult]:
    """Give what `status` says, look by look; ends when nothing goes on any more. The ledger is closed in between."""
    while True:
        found = status(settings, most=most)
        yield found
        if not found.is_going_on:
            return
        clock.sleep_s(WATCH_S)


def _summary(ledger: Ledger, run: Run) -> RunSummary:
    life = None
    if run.ended_at is None:
        life = _life_of_run(run, holder(ledger.path))
        if life is Life.DEAD:  # it may have ended between the two looks
            run = ledger.run(run.id) or run
            life = None if run.ended_at is not None else life
    shown = run if life in {None, Life.ALIVE} else replace(run, state=str(life))
    return RunSummary(shown, ledger.bucket_counts(run.id), ledger.kind_counts(run.id), life)


def _life_of_run(run: Run, found: Holder) -> Life:
    """Tell whether the process of a run without an end still drives it."""
    owner = owner_of_program(run.program)
    if owner is None or owner.host != this_host():
        return Life.UNKNOWN
    if found.held is None:
        return life_of(owner)
    return Life.ALIVE if found.held and (found.owner is None or found.owner.pid == owner.pid) else Life.DEAD


def _life_of_work(work: Work) -> Life | None:
    return None if work.ended_at is not None else life_of(work.owner)


def _is_shown_as_run(work: Work, runs: tuple[RunSummary, ...], newest: Mapping[int | None, int]) -> bool:
    """Tell whether a work is one of the runs that are shown, which say more of it.

    ``newest`` is the last work of each run: where that ended otherwise than its run, both are told. The run was done,
    and the command was not: its results could not be written, or what it did for others ended otherwise.
    """
    if work.kind not in RUN_KINDS:
        return False
    if work.run_id is not None:
        run = next((one.run for one in runs if one.run.id == work.run_id), None)
        return run is not None and (newest[run.id] != work.id or work.exit_code == run.exit_code)
    if work.ended_at is not None or work.kind != "sync":
        return False
    owners = ((one.run.started_at, owner_of_program(one.run.program)) for one in runs)
    return any(at >= work.started_at and owner and owner.pid == work.owner.pid for at, owner in owners)
