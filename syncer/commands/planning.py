"""What ``plan`` says, and what ``sync`` does first: open the files, choose the kind of calls, compare with the ledger.

Nothing here talks to the API, so ``plan`` loads nothing of what does: its start is felt at every plan of a small file.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from syncer.commands.environment import Environment
from syncer.commands.planned import differences_of, left_wanted_of, samples_of, with_plan, with_results
from syncer.config import JobSettings, Settings, pick_job
from syncer.config.jobs import all_disjoint, disjoint_jobs
from syncer.errors import ConfigError
from syncer.guards.export import Guards
from syncer.ledger.identity import identity_of
from syncer.ledger.values import Job
from syncer.lifecycle.batch import State
from syncer.model import Errand, Mode, Target
from syncer.plan.planner import Send
from syncer.plan.units import UnitRule
from syncer.products.check import ProductCheck, by_copy
from syncer.request import SyncRequest
from syncer.results import Seconds, SyncResult
from syncer.runs.inputs import open_inputs
from syncer.runs.intake import Intake, is_unique, nights_of, plan_files, related, shared_field_notes
from syncer.runs.results_folder import Written, prepare_results
from syncer.runs.target import require_url

if TYPE_CHECKING:
    from syncer.ledger.ledger import Ledger
    from syncer.ledger.values import LedgerIdentity
    from syncer.rows.validate import Validator
    from syncer.runs.expect import DeclaredColumn
    from syncer.source import Source


def plan(settings: Settings, request: SyncRequest, environment: Environment) -> SyncResult:
    """Say what ``sync`` would do. Sends nothing, records nothing, needs no token and no lock."""
    started_s = environment.clock.monotonic_s()
    job = pick_job(settings, request.job)
    if request.results is not None:
        prepare_results(request.results)
    with ExitStack() as stack:
        sources, validator = stack.enter_context(opened(job, request, environment))
        ledger = stack.enter_context(environment.outside.reading(settings))
        mode = mode_of(job, request, validator.keys, ledger)
        known: Job | None = None
        identity: LedgerIdentity | None = None
        notes: tuple[str, ...] = ()
        if ledger is not None:
            ledger.disjoint = all_disjoint(settings.jobs)
            ledger.require_in_time()
            identity = identity_of(ledger)
            require_url(identity, settings.api.base_url)
            known = ledger.job_like(job.name, validator.keys)
            notes = shared_field_notes(job.name, validator, ledger.jobs(), list(settings.jobs))
            notes += _older_notes(
                ledger, known or Job(0, 0, job.name, tuple(sorted(validator.keys)), ()), validator, settings
            )
        wall_s, max_age_h = environment.clock.wall_s(), settings.products.max_age_h
        vet = by_copy(ledger, wall_s=wall_s, max_age_h=max_age_h) if settings.products.check else None
        intake = plan_with(
            settings, request, environment, sources, validator, ledger, known, mode, vet, behind_unsent=False
        )
        environment.interrupt.check("while planning; nothing was sent")
        took_s = environment.clock.monotonic_s() - started_s
        notes += left_wanted_of(request, intake.plan, validator)
        result = replace(
            with_plan(SyncResult("plan", notes=notes, ledger=identity), intake, sources, validator),
            target=Target(settings.api.base_url, identity.company if identity else None),
            samples=samples_of(intake.plan),
            differences=differences_of(request, intake.plan, sources, ledger, known),
            minimum_send_s=len(intake.plan.batches) / settings.api.updates_per_second,
            seconds=Seconds(plan=took_s, total=took_s),
            error=intake.stop,
        )
        written = Written(intake, sources, validator, unsent="planned: plan sends nothing")
        return with_results(result, request, environment, job.name, sources, written)


def _older_notes(ledger: Ledger, job: Job, validator: Validator, settings: Settings) -> tuple[str, ...]:
    """Say what jobs with other keys left unsent of the same codes: a run sends that before its own plan."""
    everyone = ledger.jobs()
    near, disjoint = related(everyone, job, validator.fields), disjoint_jobs(settings.jobs, job.name)
    others = [one for one in everyone if one.id in near and one.key != job.key and one.name not in disjoint]
    found = ledger.batches(states=[State.PLANNED], job_ids=[one.id for one in others]) if others else []
    if not found:
        return ()
    count, by = sum(batch.size for batch in found), ", ".join(sorted({" + ".join(one.key) for one in others}))
    return (f"values that earlier runs by {by} left unsent go first, in calls of their own: {count:,}",)


def mode_of(job: JobSettings, request: SyncRequest, key: Sequence[str], ledger: Ledger | None) -> Mode:
    """Return which kinds of calls may be made: as asked, but for those that the API refused for this key."""
    mode = Mode(request.mode or job.mode)
    known = None if ledger is None else ledger.job(job.name, key)
    if mode is Mode.AUTO and ledger is not None and known is not None and ledger.reach(known).get("sync_refused"):
        return Mode.ASYNC  # the API does not take the key in sync calls
    if len(key) > 1 and mode is Mode.SYNC:
        raise ConfigError(
            "a sync call selects codes by one key; several key columns need async calls: use --mode async"
        )
    return mode


def opened(
    job: JobSettings, request: SyncRequest, environment: Environment
) -> AbstractContextManager[tuple[list[Source], Validator]]:
    """Open what the request names, or standard input, with the rules of the job."""
    return open_inputs(
        job,
        request.files,
        request.key,
        copies=request.copies,
        stdin=environment.stdin,
        interrupt=environment.interrupt,
        observe=environment.on_rows,
        frame=None if environment.frame is None else (environment.frame, environment.frame_name),
    )


def plan_with(
    settings: Settings,
    request: SyncRequest,
    environment: Environment,
    sources: Sequence[Source],
    validator: Validator,
    ledger: Ledger | None,
    known: Job | None,
    mode: Mode,
    vet: ProductCheck | None,
    declared: DeclaredColumn | None = None,
    again: frozenset[str] = frozenset(),
    *,
    behind_unsent: bool = True,
) -> Intake:
    """Read the files and plan what to send, as the settings have it.

    ``again``: fields that values took in this run, and had refused before; what was forced is sent already.
    """
    limits, job = settings.limits, pick_job(settings, request.job)
    guards = Guards(
        percent=limits.max_changed_percent,
        codes_min=limits.max_changed_min_codes,
        missing_percent=limits.max_missing_percent,
        keys=limits.check_keys,
        columns=limits.check_columns,
        age=limits.check_age,
        export=job.export,
    )
    nights = None
    if ledger is not None and known is not None:
        nights = nights_of(ledger, known, job.name, validator.fields, settings.jobs)
    intake = plan_files(
        sources,
        validator,
        ledger,
        known,
        mode=mode,
        send=Send.ALL if request.force and not again else Send(job.send),
        own=None if known is None else Errand(known.id, job.campaign, is_unique(job.unique, validator.keys)),
        guards=guards,
        approve=request.approve,
        observe=environment.on_rows,
        wall_s=environment.clock.wall_s(),
        vet=vet,
        campaign_fields=job.known_fields or (),
        declared=declared,
        again=again,
        behind_unsent=behind_unsent,
        nights=nights,
        units=[UnitRule(field, rule.codes, rule.same) for field, rule in job.units.items()],
    )
    return replace(intake, plan=replace(intake.plan, rejections=intake.plan.rejections.of_job(job.name)))
