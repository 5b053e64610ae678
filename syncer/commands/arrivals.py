"""``plan`` and ``sync`` of the files that are named, or that a job waits for: one run for each export."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from shlex import quote

from syncer.commands import planning
from syncer.commands.environment import Environment
from syncer.commands.opening import left_s
from syncer.config import JobSettings, Settings, pick_job
from syncer.errors import EXIT_NOT_CONFIRMED, EXIT_OK, OutputError, SyncerError
from syncer.ledger.identity import identity_of
from syncer.ledger.ledger import Ledger
from syncer.ledger.past_runs import Reading
from syncer.model import RunState
from syncer.request import SyncRequest
from syncer.results import SyncResult
from syncer.runs.arrival import Arrival, Newest, named_files, named_remote
from syncer.runs.inputs import no_file
from syncer.runs.paste import of_job, options_of, say_next
from syncer.runs.places import LocalPlace, Place
from syncer.runs.remote import RemotePlace
from syncer.runs.results_folder import keep_results
from syncer.runs.target import require_url
from syncer.safe.urls import is_remote

Command = Callable[[Settings, SyncRequest, Environment], SyncResult]
_SYNC = "syncer sync"
NAMED_MAX = 3
"""How many files that were not read are named, the last ones by name."""


def plan(settings: Settings, request: SyncRequest, environment: Environment) -> SyncResult:
    """Say what ``sync`` would do with the named files, or with those that the job waits for."""
    return _each(planning.plan, settings, request, environment)


def sync(settings: Settings, request: SyncRequest, environment: Environment) -> SyncResult:
    """Sync the named files; without any, those that the job waits for, each once, and move them when they are done."""
    from syncer.commands import runs  # here: a plan needs nothing of what talks to the API

    return _each(runs.sync, settings, request, environment)


def _each(command: Command, settings: Settings, request: SyncRequest, environment: Environment) -> SyncResult:
    started_s, job = environment.clock.monotonic_s(), pick_job(settings, request.job)
    with ExitStack() as stack:
        if request.files:
            several = job.export == "changes" or job.files.take != "newest"
            with _asked(command, request):
                named = _named(request, several, job.name, environment, stack)
            return carry_out(command, settings, named, environment, job.name)
        if job.files.pattern is None:
            if job.source.url is None and environment.frame is None:
                raise no_file(job, "plan" if command is planning.plan else "sync")
            return carry_out(command, settings, request, environment, job.name)
        place: Place
        if is_remote(job.files.pattern):
            place = stack.enter_context(RemotePlace(job.files.pattern, job.files.done, environment.interrupt))
        else:
            place = LocalPlace(job.files, Path.cwd() if settings.path is None else settings.path.parent)
        known = partial(_known, settings, job, request)
        newest_run = partial(_newest_run, settings, job)
        changes = job.export == "changes"
        arrival = Arrival(
            job.name, job.files, place, known, environment.clock, environment.interrupt, newest_run, changes
        )
        if command is not planning.plan:
            arrival.deadline_s = settings.run.until_s(request.deadline_s, started_s)
        return _each_group(command, settings, request, environment, arrival)


@contextmanager
def _asked(command: Command, request: SyncRequest) -> Iterator[None]:
    """Let what is told to paste be the command that was asked for, with its options: a plan leads to a plan."""
    try:
        yield
    except SyncerError as error:
        if error.next.startswith(_SYNC):
            begin = "syncer plan" if command is planning.plan else _SYNC
            error.next = " ".join([begin + error.next.removeprefix(_SYNC), *map(quote, options_of(request))])
        raise


def _named(request: SyncRequest, several: bool, job: str, environment: Environment, stack: ExitStack) -> SyncRequest:
    """Return the request with the files that its patterns name; those of other systems are copied first."""
    names: list[str] = []
    copies: dict[str, Path] = {}
    for pattern in request.files:
        if not is_remote(pattern):
            names += named_files([pattern], several=several, job=job)
            continue
        place = stack.enter_context(RemotePlace(pattern, None, environment.interrupt))
        names += named_remote(place, pattern, several=several, job=job)
        copies |= place.copies
    return replace(request, files=tuple(names), copies=copies)


def _each_group(
    command: Command, settings: Settings, request: SyncRequest, environment: Environment, arrival: Arrival
) -> SyncResult:
    """Wait for the files, and give each group of them a run."""
    with _asked(command, request):
        groups = arrival.wait()
    is_plan = command is planning.plan
    name = "plan" if is_plan else "sync"
    notes = _of_unread(arrival.unread())
    if not groups:
        return _nothing_new(name, settings, request, environment, arrival, notes)
    results: list[SyncResult] = []
    for files in groups:
        kept = keep_results(request.results) if results and request.results is not None else []
        try:
            request = replace(_in_time(request, arrival), files=files, copies=arrival.place.copies)
            result = carry_out(command, settings, request, environment, arrival.job)
        except SyncerError as error:
            if not results:
                raise
            result = SyncResult(name, error=error)  # what was done before it is told too
        result = replace(result, notes=(*result.notes, *_of_kept(request.results, kept), *notes))
        if not is_plan and result.exit_code in {EXIT_OK, EXIT_NOT_CONFIRMED}:
            result = _moved(arrival, [*files, *arrival.synced], result)
            arrival.synced = ()
        results.append(result)
        if result.exit_code not in {EXIT_OK, EXIT_NOT_CONFIRMED}:
            break
    return replace(results[-1], before=tuple(results[:-1]))


def _in_time(request: SyncRequest, arrival: Arrival) -> SyncRequest:
    """Return the request with what is left of the time until the deadline: the files were waited for, and more."""
    if arrival.deadline_s is None:
        return request
    return replace(request, deadline_s=left_s(arrival.deadline_s, arrival.clock))


def _nothing_new(
    name: str,
    settings: Settings,
    request: SyncRequest,
    environment: Environment,
    arrival: Arrival,
    notes: Sequence[str],
) -> SyncResult:
    """Say that every file was synced before; what other runs of the job left open is finished and told all the same.

    Raises `TargetChangedError` when that was at another address.
    """
    with Ledger.reading(settings.ledger.url) as ledger:
        require_url(None if ledger is None else identity_of(ledger), settings.api.base_url)
    nothing = SyncResult(name, notes=("every file was synced before: there is nothing to do", *notes))
    if name == "plan":
        return nothing
    if _is_open(settings, arrival):
        from syncer.commands import runs  # here: as above

        done = runs.resume(settings, replace(_in_time(request, arrival), job=arrival.job), environment)
        nothing = replace(done, command=name, notes=("every file was synced before", *notes, *done.notes))
    return _moved(arrival, arrival.synced, nothing)


def _is_open(settings: Settings, arrival: Arrival) -> bool:
    """Tell whether anything of the job is not done, though its files were read: its newest run read others."""
    newest = arrival.newest_run()
    if newest is None:
        return False
    with Ledger.reading(settings.ledger.url) as ledger:
        return not newest.is_complete or (ledger is not None and bool(ledger.open_runs(arrival.job)))


def _of_kept(folder: Path | None, names: Sequence[str]) -> tuple[str, ...]:
    """Say where the results of the run before are."""
    return tuple(f"{folder}/{name} has the results of the file before" for name in names)


def _of_unread(paths: Sequence[str]) -> tuple[str, ...]:
    """Say which files nobody has read, since a newer one was there."""
    if not paths:
        return ()
    more = f", and {len(paths) - NAMED_MAX:,} more" if len(paths) > NAMED_MAX else ""
    return (f"not read, since a newer file is there: {', '.join(paths[-NAMED_MAX:])}{more}",)


def _moved(arrival: Arrival, files: Sequence[str], result: SyncResult) -> SyncResult:
    """Move files that are done, also those that a run before this one left; return the result, or what went wrong."""
    try:
        moved = arrival.done(files)
    except OutputError as error:
        return replace(result, error=error)
    return replace(result, named=tuple(moved.get(name, name) for name in result.named))


def carry_out(
    command: Command, settings: Settings, request: SyncRequest, environment: Environment, job: str
) -> SyncResult:
    """Do it; what stops it says what to do about these files."""
    named, options = request.job is not None, options_of(request)
    try:
        result = command(settings, request, environment)
    except SyncerError as error:
        say_next(error, request.files, job, job_named=named, options=options)
        raise
    if result.error is not None:
        say_next(result.error, request.files, job, job_named=named, options=options)
    notes = tuple(of_job(note, job) for note in result.notes)
    return replace(result, job=job, named=request.files, options=options, notes=notes)


def _known(
    settings: Settings, job: JobSettings, request: SyncRequest, contents: Sequence[str]
) -> Mapping[str, Reading]:
    """Return which contents completed runs of the job have read; none, when all is to be sent again.

    A job that has no run yet may have had another name: then it is one that is configured no more.
    """
    with Ledger.reading(settings.ledger.url) as ledger:
        if ledger is None or request.force:
            return {}
        names = [job.name]
        if not ledger.runs(most=1, job_name=job.name, planned=True):
            names = [one.name for one in ledger.jobs() if one.name not in settings.jobs]
        return ledger.readings(names, contents)


def _newest_run(settings: Settings, job: JobSettings) -> Newest | None:
    """Return the job's newest run that has a plan."""
    with Ledger.reading(settings.ledger.url) as ledger:
        runs = [] if ledger is None else ledger.runs(most=1, job_name=job.name, planned=True)
    for run in runs:
        begun_s = datetime.fromisoformat(run.started_at).timestamp()
        return Newest(run.id, begun_s, run.state == RunState.COMPLETE)
    return None
