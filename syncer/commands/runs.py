"""The commands that upload: sync, resume. They open the files and the ledger, and hand a session its run."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from functools import partial
from typing import TYPE_CHECKING

from syncer import __version__
from syncer.commands.environment import Environment
from syncer.commands.opening import open_to_write
from syncer.commands.planned import with_plan, with_results
from syncer.commands.planning import mode_of, opened, plan_with
from syncer.config import Settings, pick_job
from syncer.config.jobs import disjoint_jobs
from syncer.execute.context import EngineSettings
from syncer.ledger.database import ledger_path
from syncer.ledger.identity import identity_of, require_there
from syncer.process import spans
from syncer.process.clock import utc_text
from syncer.products.check import ProductCheck, by_api
from syncer.request import SyncRequest
from syncer.results import SyncResult
from syncer.runs.expect import Expectations
from syncer.runs.intake import Intake, counted_with, is_unique, related, shared_field_notes, waiting_plans
from syncer.runs.read_back import CodeReader, read_back
from syncer.runs.readers import connection_of, reader_of
from syncer.runs.results_folder import Written, prepare_results
from syncer.runs.session import Session
from syncer.runs.session import session as open_session
from syncer.runs.target import TargetCheck, require_url
from syncer.runs.unplanned import unplanned_error, unplanned_note

if TYPE_CHECKING:
    from syncer.api.client import Client
    from syncer.api.reading import Reader
    from syncer.ledger.ledger import Ledger
    from syncer.ledger.values import Run
    from syncer.process.clock import Clock
    from syncer.rows.validate import Validator
    from syncer.runs.summing import ReadBack
    from syncer.source import Source


def sync(settings: Settings, request: SyncRequest, environment: Environment) -> SyncResult:
    """Settle what earlier runs left open, plan the files, send, poll, reconcile.

    Returns a result whenever a run was recorded; what stopped it is its ``error``. Raises `SyncerError` before that:
    then nothing was sent and nothing recorded.
    """
    clock, started_s = environment.clock, environment.clock.monotonic_s()
    until_s = settings.run.until_s(request.deadline_s, started_s)
    job = pick_job(settings, request.job)
    connection_of(settings)  # no token: nothing is recorded
    if request.results is not None:
        prepare_results(request.results)
    with ExitStack() as stack:
        sources, validator = stack.enter_context(opened(job, request, environment))
        ledger = stack.enter_context(open_to_write(settings, environment, until_s=until_s))
        require_url(identity_of(ledger), settings.api.base_url)
        mode = mode_of(job, request, validator.keys, ledger)
        notes = shared_field_notes(job.name, validator, ledger.jobs(), list(settings.jobs))
        run = ledger.begin_run(
            ledger.ensure_job(job.name, validator.keys),
            at=utc_text(clock.wall_s()),
            mode=mode.value,
            campaign=job.campaign,
            unique=is_unique(job.unique, validator.keys),
            program=f"syncer {__version__}, process {os.getpid()} on {socket.gethostname()}",
        )
        intake: Intake | None = None
        jobs = related(ledger.jobs(), run.job, validator.fields)
        reader = _reader(settings, request, environment, started_s)
        stack.callback(reader.close)
        expect = expectations(settings)
        with _session(
            ledger, run, reader, settings, request, environment, started_s, expect=expect, jobs=jobs
        ) as session:
            session.is_resumable, disjoint = False, disjoint_jobs(settings.jobs, job.name)
            if session.settle() and _send_older(session, ledger, run, jobs, disjoint, clock):
                begun_s = clock.monotonic_s()
                vet = _product_check(settings, environment, ledger, reader)
                planned = partial(
                    plan_with, settings, request, environment, sources, validator, ledger, run.job, mode, vet,
                    expect.column(job.name),
                )  # fmt: skip
                intake = _told(planned)
                ledger.store_rejections(run, intake.plan.rejections, [source.name for source in sources])
                if intake.stop is not None:
                    raise intake.stop
                session.note_refused(intake.diff.refused_fields)
                session.plan_s = clock.monotonic_s() - begun_s
                session.confirm_target()  # before the plan is stored: another company's would wait to be sent
                begun_s = clock.monotonic_s()
                ledger.store_plan(run, intake.plan, intake.infos, at=utc_text(clock.wall_s()))
                session.is_resumable = True
                session.plan_s += clock.monotonic_s() - begun_s
                environment.on_plan(intake.plan)
                look = _reading_back(settings, clock, ledger, session, validator.fields)
                _send(session, ledger, run, intake, planned, look, clock)
        result = session.result(SyncResult("sync", notes=notes))
        result = with_plan(result, intake, sources, validator, session.is_resumable)
        written = _written(ledger, run, session, intake, sources, validator)
        return with_results(result, request, environment, job.name, sources, written)


def _written(
    ledger: Ledger, run: Run, session: Session, intake: Intake | None, sources: Sequence[Source], validator: Validator
) -> Written | None:
    """Return what the results folder shall tell of; None: the run ended before there was anything."""
    if intake is None:
        return None
    if intake.stop is not None:
        return Written(intake, sources, validator, unsent="a guard stopped the run: nothing was sent")
    if not session.is_resumable:  # no value of it stands in the ledger, so none can have an outcome
        return Written(intake, sources, validator, unsent="the run ended before its plan was stored: nothing was sent")
    return Written(intake, sources, validator, ledger.planned_outcomes(run.id), session.ended_earlier())


def _send(
    session: Session,
    ledger: Ledger,
    run: Run,
    intake: Intake,
    planned: Callable[[frozenset[str]], Intake],
    look: Callable[[Run], ReadBack],
    clock: Clock,
) -> None:
    """Send the plan, and read back what no answer named; what values take again is planned, and sent, too.

    Once more, while less of it waits: a code that a product moved in this run is known to take a field only then.
    """
    session.send()
    session.read_back(look)
    waiting: int | None = None
    while session.error is None and session.takes_again():  # a field is defined by now: its values go tonight
        intake = counted_with(intake, planned(session.takes_again()))
        session.note_refused(intake.diff.refused_fields)  # of values of other campaigns
        ledger.store_plan(run, intake.plan, intake.infos, at=utc_text(clock.wall_s()))
        session.send()
        session.read_back(look)
        before, waiting = waiting, ledger.waiting(run.job.space_id)
        if not waiting or (before is not None and waiting >= before):
            return


def _told(planned: Callable[[], Intake]) -> Intake:
    """Make a plan, and tell of it as a span."""
    with spans.around("plan") as spanned:
        intake = planned()
        spanned.note(rows=intake.plan.rows.read, values=len(intake.plan.items), calls=len(intake.plan.batches))
    return intake


def _send_older(
    session: Session, ledger: Ledger, run: Run, jobs: Sequence[int], disjoint: Sequence[str], clock: Clock
) -> bool:
    """Send what jobs with other keys left unsent, or wished, before newer data for the same codes is planned.

    What waits is older than tonight's rows; so is what the own code space waits for, and the oldest word goes first.
    Returns whether nothing stopped it.
    """
    known = {one.id: one for one in ledger.jobs()}
    others = [one for one in jobs if known[one].key != run.job.key and known[one].name not in disjoint]
    if not others:
        return True
    older = jobs if any(one.job.id in others for one in ledger.waiting_runs()) else others
    for planned in waiting_plans(ledger, clock, older):
        session.seal_again(planned)
        if not session.send_older(older):
            return False
    return True


def resume(settings: Settings, request: SyncRequest, environment: Environment) -> SyncResult:
    """Finish all open runs (of all jobs, or of one) from the ledger alone, without their files.

    A run that ended before its plan was stored sent nothing, and cannot be resumed: that is said, and is never 0.
    """
    started_s = environment.clock.monotonic_s()
    until_s = settings.run.until_s(request.deadline_s, started_s)
    connection_of(settings)
    require_there(ledger_path(settings.ledger.url))
    with open_to_write(settings, environment, until_s=until_s) as ledger:
        require_url(identity_of(ledger), settings.api.base_url)
        open_runs, unplanned = ledger.open_runs(request.job), tuple(ledger.fileless_runs(request.job))
        last = ledger.runs(most=1, job_name=request.job, planned=True)
        runs = open_runs or last or list(unplanned[:1])
        if not runs:
            if request.job is not None and all(one.name != request.job for one in ledger.jobs()):
                pick_job(settings, request.job)  # a job that nobody knows is a slip of the hand
            return SyncResult("resume", notes=("there is no run to resume",))
        run, *others = runs
        jobs = None if request.job is None else [job.id for job in ledger.jobs() if job.name == request.job]
        reader = _reader(settings, request, environment, started_s)
        with (
            closing(reader),
            _session(
                ledger,
                run,
                reader,
                settings,
                request,
                environment,
                started_s,
                expect=expectations(settings),
                jobs=jobs,
                others=others,
                record_end=bool(open_runs) or run.exit_code is None,
            ) as session,
        ):
            session.recall_refused(runs)
            if session.settle():
                session.confirm_target()
                if unplanned and not open_runs:
                    raise unplanned_error(unplanned[0], settings)
                for planned in waiting_plans(ledger, environment.clock, jobs):
                    if planned:
                        session.take_up(planned)
                    session.send()
                    if session.error is not None:
                        break
                session.read_back(_reading_back(settings, environment.clock, ledger, session, None))
        notes = tuple(unplanned_note(one, settings) for one in unplanned)
        return session.result(SyncResult("resume", notes=notes, unplanned=unplanned))


def _session(
    ledger: Ledger,
    run: Run,
    reader: Reader[Client],
    settings: Settings,
    request: SyncRequest,
    environment: Environment,
    started_s: float,
    *,
    expect: Expectations,
    jobs: Sequence[int] | None,
    others: Sequence[Run] = (),
    record_end: bool = True,
) -> AbstractContextManager[Session]:
    connection = connection_of(settings, environment.outside)
    until_s = settings.run.until_s(request.deadline_s, started_s)
    return open_session(
        ledger,
        run,
        connection,
        EngineSettings(
            settle_s=settings.api.settle_s,
            poll_s=settings.api.poll_s,
            task_timeout_s=settings.api.task_timeout_s,
            give_up_after_s=settings.api.give_up_after_s,
            max_reach_factor=0.0 if request.approve else settings.limits.max_reach_factor,
            max_codes_affected=0 if request.approve else settings.limits.max_codes_affected,
        ),
        environment.clock,
        interrupt=environment.interrupt,
        target=TargetCheck(ledger, reader, connection.base_url, connection.token, approve=request.approve),
        started_s=started_s,
        deadline_s=until_s,
        observe=environment.on_progress,
        expect=expect,
        jobs=jobs,
        others=others,
        record_end=record_end,
        outside=environment.outside,
        code_reader=lambda limiter, counts: CodeReader(
            settings, environment.clock, environment.interrupt, until_s, limiter, counts, environment.outside,
        ),
    )  # fmt: skip


def _reading_back(
    settings: Settings, clock: Clock, ledger: Ledger, session: Session, fields: Sequence[str] | None
) -> Callable[[Run], ReadBack]:
    """Return what reads back a few values of a run; ``fields`` are those that rows name, None: what the run sent."""

    def look(run: Run) -> ReadBack:
        job, at = settings.jobs.get(run.job.name), utc_text(clock.wall_s())
        declared = job.known_fields or () if job is not None else ()
        return read_back(
            ledger,
            run,
            session.code_reader,
            fields=fields,
            declared=declared,
            named=session.named_fields(),
            begun=session.begun_event,
            at=at,
        )

    return look


def expectations(settings: Settings) -> Expectations:
    """Return what the jobs declare of how many codes a value of their keys selects."""
    return Expectations({name: job.expect for name, job in settings.jobs.items()})


def _reader(settings: Settings, request: SyncRequest, environment: Environment, started_s: float) -> Reader[Client]:
    reader = reader_of(
        settings,
        environment.clock,
        environment.interrupt,
        started_s=started_s,
        deadline_s=request.deadline_s,
        outside=environment.outside,
    )
    reader.during = "before anything was sent"
    return reader


def _product_check(
    settings: Settings, environment: Environment, ledger: Ledger, reader: Reader[Client]
) -> ProductCheck | None:
    """Return how ``sync`` finds out which products are unknown; None when that is turned off."""
    if not settings.products.check:
        return None
    observe = partial(environment.on_list, "products")
    return by_api(ledger, reader, max_age_h=settings.products.max_age_h, observe=observe)
