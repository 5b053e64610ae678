"""From files to a plan: read, validate, gather, compare with the ledger, group into calls. Sends nothing.

The one place where source, validate, plan and the ledger's reads meet; `commands` uses it for `plan` and `sync` alike,
so that what `plan` shows is what `sync` does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syncer.guards.export import PAST_RUNS, ColumnWatch, Guards, Past, Tonight, check, holds_changes
from syncer.guards.keys import marks_apart
from syncer.mirror.picture import PRODUCT
from syncer.model import SPECIAL_FIELDS, UNIQUE_KEYS, Errand, Mode, PastRun, Plan, SourceInfo
from syncer.plan.diff import Diff, Standing
from syncer.plan.planner import Asked, Send, make_plan
from syncer.plan.records import Gatherer, Records, without_payloads
from syncer.plan.units import UnitRule, require_fields, without_broken
from syncer.process.clock import utc_text
from syncer.rejections import RejectionCause

if TYPE_CHECKING:
    import numpy.typing as npt

    from syncer.errors import GuardError
    from syncer.ledger.ledger import Ledger
    from syncer.ledger.values import Job, Run
    from syncer.process.clock import Clock
    from syncer.products.check import ProductCheck
    from syncer.rows.changes import ChangeWatch, FieldChanges
    from syncer.rows.validate import Validator
    from syncer.runs.expect import DeclaredColumn
    from syncer.source import Source


@dataclass(frozen=True, slots=True)
class Intake:
    """What was read and what will be done with it. ``diff`` knows the fate of every key, for the results folder."""

    plan: Plan
    diff: Diff
    notes: tuple[str, ...] = ()
    infos: tuple[SourceInfo, ...] = ()
    """The files, with what the guards of later runs compare with."""
    stop: GuardError | None = None
    """What the guards against a bad export found: nothing of the plan may be sent or stored."""
    changes: tuple[FieldChanges, ...] = ()
    """What the steps of each field did to the rows, and the constants."""
    counted: npt.NDArray[np.uint8] | None = None
    """As what each key is told, where the run planned its rows before; None: as this plan has it."""

    def standings(self) -> npt.NDArray[np.uint8]:
        """Return as what each key of the files is told: its `Standing`."""
        return self.diff.verdicts() if self.counted is None else self.counted


def read_records(
    sources: Sequence[Source],
    validator: Validator,
    watches: Sequence[ColumnWatch | ChangeWatch],
    observe: Callable[[int], None],
    products: set[str] | None = None,
    declared: DeclaredColumn | None = None,
) -> Records:
    """Read and validate all rows, past `watches`; ``observe`` is told how many; `products` takes every one named.

    `declared` takes what a column says of how many codes each value selects.
    """
    gatherer = Gatherer(validator.fields)
    rows = 0
    wanted = validator.wanted if declared is None else tuple(dict.fromkeys((*validator.wanted, declared.column)))
    for source in sources:
        for chunk in source.chunks(wanted):
            valid = validator.check(chunk)
            gatherer.add(valid)
            if declared is not None:
                declared.see(chunk, valid)
            for watch in watches:
                watch.see(valid)
            if products is not None:
                products |= _named(valid.fields[validator.fields.index(PRODUCT)])
            rows += valid.rows
            observe(rows)  # may raise `SignalError`: reading is given up between chunks
    return gatherer.records()


def _named(column: pa.DictionaryArray) -> set[str]:
    """Return the values of a column but for those that clear it."""
    used = pc.unique(column.indices.drop_null())
    return {value for value in column.dictionary.take(used).to_pylist() if value}


def check_products(records: Records, vet: ProductCheck, named: set[str]) -> tuple[Records, tuple[str, ...]]:
    """Reject the rows that name an unknown product; return the others, and what there is to say about the check."""
    vetted = vet(frozenset(named))
    if not vetted.unknown:
        return records, vetted.notes
    unwanted = {}
    for number, data in enumerate(records.payloads.data):
        product = json.loads(data).get(PRODUCT)
        if product in vetted.unknown:
            unwanted[number] = RejectionCause(
                "E309", f"product {product!r} is not known: no product has this SKU or id", product
            )
    return without_payloads(records, unwanted), vetted.notes


def compare(
    records: Records,
    ledger: Ledger | None,
    job: Job | None,
    *,
    behind_unsent: bool = True,
    fields: Collection[str] = (),
) -> Diff:
    """Compare the records with what the ledger knows of the job's code space; without a ledger or a job, nothing.

    ``fields`` are those that the files may name: what was not taken of them is asked for again, by a value at least.

    ``behind_unsent``: what jobs with another key left unsent holds newer words, too.
    """
    if ledger is None or job is None:
        diff = Diff(records, np.full(len(records.payloads), -1, np.int64))
        diff.settle()
        return diff
    with ledger.knowledge(job.space_id) as knowledge:
        diff = Diff(records, ledger.payload_ids(records.payloads.data), knowledge)
        for block in knowledge.known(records.keys):
            diff.see_known(block)
        for keys in knowledge.open_keys():
            diff.see_open(keys)
        diff.see_elsewhere(knowledge.elsewhere(unsent=behind_unsent), job.key, job.name, knowledge.job_names)
        for wanted in knowledge.wanted():
            diff.see_wanted(wanted, knowledge.texts)
        for asking in knowledge.untaken(fields):
            diff.see_wanted(asking, knowledge.texts)
        carried = diff.carry()
        if carried is not None:
            for block in knowledge.known(carried.keys):
                carried.states.see_known(block)
            for keys in knowledge.open_keys():
                carried.states.see_open(keys)
        diff.settle()
        diff.store_pictures(knowledge.stored)
    return diff


def waiting_plans(ledger: Ledger, clock: Clock, jobs: Collection[int] | None = None) -> Iterator[list[Run]]:
    """Plan, without any file, what earlier runs want and could not send; again once that is sent, while less waits.

    ``jobs`` None: of all jobs. Yields the runs that a plan was added to (they are recorded and sealed again), once at
    least: the caller sends them. Older words for the same codes go before newer ones, whichever key they are known by.
    """
    before: int | None = None
    while True:
        yield _plan_waiting(ledger, clock.wall_s(), jobs)
        waiting = ledger.waiting()
        if not waiting or (before is not None and waiting >= before):
            return
        before = waiting


def _plan_waiting(ledger: Ledger, wall_s: float, jobs: Collection[int] | None) -> list[Run]:
    planned = []
    for run in sorted(ledger.waiting_runs(), key=lambda one: one.id):
        if jobs is not None and run.job.id not in jobs:
            continue
        diff = compare(Gatherer(()).records(), ledger, run.job)
        own = Errand(run.job.id, run.campaign, run.unique)
        asked = asked_fields(run.job.key, run.job.fields, diff.told_campaigns, ledger, own, wall_s)
        plan = make_plan(
            diff, key=run.job.key, fields=run.job.fields, mode=Mode(run.mode), names=(), own=own, asked=asked
        )
        # A failed word that a newer, held one covers waits no more: other keys' words may go before that one.
        failed = ledger.failed_wanted(run.job.space_id)
        if failed or len(plan.items) or len(plan.wishes) != ledger.waiting(run.job.space_id):
            ledger.store_plan(run, plan, (), at=utc_text(wall_s))
            planned.append(run)
    return planned


def plan_files(
    sources: Sequence[Source],
    validator: Validator,
    ledger: Ledger | None,
    job: Job | None,
    *,
    mode: Mode,
    send: Send,
    own: Errand | None,
    guards: Guards,
    approve: bool,
    observe: Callable[[int], None],
    wall_s: float,
    vet: ProductCheck | None = None,
    declared: DeclaredColumn | None = None,
    units: Sequence[UnitRule] = (),
    campaign_fields: Sequence[str] = (),
    again: Collection[str] = (),
    behind_unsent: bool = True,
    nights: Job | None = None,
) -> Intake:
    """Read the files and plan what to send; `guards` look at both, and what they find is let through on `approve`.

    ``nights`` is the job whose runs say what is usual (`nights_of`); ``again`` are fields that values took in this run,
    and had refused before.
    """
    named: set[str] | None = set() if vet is not None and PRODUCT in validator.fields else None
    watch, changes = ColumnWatch(validator.fields), validator.watch()
    records = read_records(sources, validator, (watch, changes), observe, named, declared)
    notes: tuple[str, ...] = ()
    if vet is not None and named is not None:
        records, notes = check_products(records, vet, named)
    past = _past(ledger, job, nights, wall_s)
    records = without_broken(records, _unit_rules(units, validator, sources, parts=holds_changes(guards, past)))
    diff = compare(records, ledger, job, behind_unsent=behind_unsent, fields=validator.fields)
    plan = make_plan(
        diff,
        key=validator.keys,
        fields=validator.fields,
        mode=mode,
        names=[source.name for source in sources],
        own=own,
        send=send,
        asked=asked_fields(
            validator.keys, validator.fields, diff.told_campaigns, ledger, own, wall_s, campaign_fields, again
        ),
    )
    infos = tuple(replace(source.info, varied=watch.varied()) for source in sources)
    tonight = Tonight(diff, plan, infos, watch)
    stop = check(guards, tonight, past)
    if approve and stop is not None:
        infos = tuple(replace(info, approved=True) for info in infos)
        notes, stop = (*notes, f"approved: {stop.message}"), None
    notes += tuple(marks_apart(diff, [source.name for source in sources]))
    return Intake(plan, diff, notes, infos, stop, changes.fields())


def counted_with(first: Intake, more: Intake) -> Intake:
    """Return a later plan of the same rows in one run, with the counts of both: what was sent first is told as that."""
    was, now = first.standings(), more.standings()
    is_alike = len(was) == len(now)  # else the API knows other products by now: the first reading counts
    now = np.where(was == Standing.UNCHANGED, now, was) if is_alike else was
    kinds = {one.name.lower(): int(np.count_nonzero(now == one)) for one in Standing if one is not Standing.CONFLICT}
    least = first.plan.minimum_updates + more.plan.minimum_updates
    plan = replace(more.plan, rows=replace(first.plan.rows, **kinds), minimum_updates=least)
    return replace(more, plan=plan, counted=now)


def _unit_rules(
    units: Sequence[UnitRule], validator: Validator, sources: Sequence[Source], *, parts: bool
) -> Sequence[UnitRule]:
    """Return the rules of units: of ``parts`` where the files hold changes; mended rows are not counted at all."""
    require_fields(units, validator.fields)
    if all(source.info.is_correction for source in sources):
        return [replace(rule, codes=None) for rule in units]
    return [replace(rule, parts=parts) for rule in units]


def asked_fields(
    key: Sequence[str],
    fields: Sequence[str],
    campaigns: Sequence[int],
    ledger: Ledger | None,
    own: Errand | None,
    wall_s: float,
    declared: Sequence[str] = (),
    again: Collection[str] = (),
) -> dict[int, Asked]:
    """Return per campaign that products tell (0: none does) the fields of which only names tell whether they are taken.

    Declared ones are left out. Only where sync calls surely take the key: their answers name the fields. Special fields
    stand in no answer. What was refused once is asked for in every plan: a campaign that changed may change again. What
    was seen taken is asked for every night.
    """
    if len(key) > 1 or key[0] not in UNIQUE_KEYS:
        return {}
    asked = frozenset(fields) - SPECIAL_FIELDS - frozenset(declared)
    if ledger is None:
        return dict.fromkeys(campaigns, Asked(asked, asked))
    refusing, ever = ledger.refusing(), ledger.refusing(ever=True)
    found = {}
    for told in campaigns:
        campaign = told or (own.campaign if own is not None else None)
        taken = frozenset(field for field, is_taken in ledger.proofs(campaign).items() if is_taken)
        mixed = refusing.get(told or None, frozenset()) & taken
        lately = ledger.taken_lately(campaign, wall_s)
        unproven = asked - (lately - frozenset(again)) | (ever.get(told or None, frozenset()) & asked)
        found[told] = Asked(unproven, asked if campaign is None else unproven, mixed)
    return found


def nights_of(ledger: Ledger, known: Job, name: str, fields: Sequence[str], configured: Collection[str]) -> Job | None:
    """Return the job whose runs say what is usual for the job `name`; None when there is none.

    Its own, once it has some. Else those of a job with the same key and one of its fields that is configured no more:
    a job that was given another name is the same one. ``known`` is any job of its code space.
    """
    alike = [job for job in ledger.jobs() if job.space_id == known.space_id]
    runs = {job: ledger.past_runs(job, most=1) for job in alike}
    own = next((job for job in alike if job.name == name), None)
    if own is not None and runs[own]:
        return own
    gone = [
        job
        for job in alike
        if job is not own and job.name not in configured and runs[job] and not {*fields}.isdisjoint(job.fields)
    ]
    return max(gone, key=lambda job: runs[job][0].id, default=own)


def _past(ledger: Ledger | None, job: Job | None, nights: Job | None, wall_s: float) -> Past | None:
    """Return what the guards ask the ledger; None when it knows nothing of the job's code space."""
    if ledger is None or job is None:
        return None
    runs = [] if nights is None else ledger.past_runs(nights, most=PAST_RUNS)
    return Past(
        runs=[_believed(run, wall_s) for run in runs],
        known=partial(ledger.known_count, job),
        look_up=partial(ledger.known_alike, job),
        content_runs=partial(ledger.runs_of_content, nights or job),
        held=partial(_held, ledger, job),
    )


def _believed(run: PastRun, wall_s: float) -> PastRun:
    """Return a run of the past; a file that is dated ahead even tonight, by a wrong clock, is no newer than its run."""
    if run.mtime_s is None or run.mtime_s <= wall_s:
        return run
    return replace(run, mtime_s=min(run.mtime_s, datetime.fromisoformat(run.started_at).timestamp()))


def related(jobs: Sequence[Job], job: Job, fields: Sequence[str]) -> list[int]:
    """Return the jobs (ids) of the code space of `job`, and those that ever wrote one of `fields` by another key.

    What they left open goes first: an older value must not land after a newer one. Whoever writes the key of another
    moves codes under it, and is related, too. What is wanted in the own code space goes into the plan, whosever it is.
    """
    written = {*job.fields, *fields}
    return [
        one.id
        for one in jobs
        if one.space_id == job.space_id or written & {*one.fields, *one.key} or not {*job.key}.isdisjoint(one.fields)
    ]


def _held(ledger: Ledger, job: Job, keys: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return what is known of a few keys, field by field."""
    with ledger.knowledge(job.space_id) as knowledge:
        return {key: json.loads(picture.known) for key, picture in knowledge.view(keys).items()}


def shared_field_notes(
    job_name: str, validator: Validator, others: Sequence[Job], configured: Sequence[str]
) -> tuple[str, ...]:
    """Say which other configured jobs write the same fields by the same key: of two rows the newer one counts."""
    notes = []
    for other in others:
        shared = sorted(set(other.fields) & set(validator.fields))
        if other.name != job_name and other.name in configured and other.key == validator.keys and shared:
            notes.append(
                f"job {other.name!r} writes {', '.join(shared)} by {', '.join(validator.keys)} too: "
                "whichever file was synced last counts"
            )
    return tuple(notes)


def is_unique(declared: bool | None, keys: Sequence[str]) -> bool:
    """Tell whether one key value selects exactly one code: as declared, else by what the key columns are."""
    return declared if declared is not None else any(key in UNIQUE_KEYS for key in keys)
