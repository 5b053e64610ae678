"""What a plan and its results folder come to, as parts of what `plan` and `sync` return."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from syncer.commands.environment import Environment
from syncer.errors import OutputError
from syncer.lifecycle.batch import Bucket
from syncer.model import KEY_SEPARATOR, Plan
from syncer.process.clock import utc_text
from syncer.request import SyncRequest
from syncer.results import CallSample, Difference, SyncResult
from syncer.runs.differences import differences, left_wanted
from syncer.runs.intake import Intake
from syncer.runs.results_folder import Written, read_from, write_results

if TYPE_CHECKING:
    from syncer.ledger.ledger import Ledger
    from syncer.ledger.values import Job
    from syncer.rows.validate import Validator
    from syncer.source import Source


def with_plan(
    result: SyncResult, intake: Intake | None, sources: Sequence[Source], validator: Validator, recorded: bool = False
) -> SyncResult:
    """Return `result` with what the plan says; as it is when there is no plan. ``recorded``: the ledger has it."""
    if intake is None:
        return result
    plan = intake.plan
    if not recorded:  # a guard, another company, an old ledger stopped it: what was read is said all the same
        result = replace(result, rows=plan.rows)
    if result.run is None:
        result = replace(
            result,
            rows=plan.rows,
            values={Bucket.UNSENT: len(plan.items)},
            sync_batches=plan.sync_calls,
            async_batches=plan.async_calls,
            requests=replace(result.requests, minimum_updates=plan.minimum_updates),
        )
    return replace(
        result,
        fields=plan.changes,
        rejections=plan.rejections,
        files=tuple(source.name for source in sources),
        changes=intake.changes,
        notes=(*result.notes, *validator.notes, *intake.notes, *_file_notes(sources, result.command)),
    )


def _file_notes(sources: Sequence[Source], command: str) -> Iterator[str]:
    """Say what was noticed in the files; before anything is sent (``plan``) also how each is read."""
    for source in sources:
        if command == "plan" and source.form_note:
            yield source.form_note
        yield from source.warnings


def differences_of(
    request: SyncRequest,
    plan: Plan,
    sources: Sequence[Source],
    ledger: Ledger | None,
    known: Job | None,
) -> tuple[Difference, ...] | None:
    """Return old and new values per field, where they are asked for."""
    names = [source.name for source in sources]
    return differences(plan, names, ledger, known) if request.diff else None


def left_wanted_of(request: SyncRequest, plan: Plan, validator: Validator) -> tuple[str, ...]:
    """Return what is said of fields that none of the files has, where differences are asked for."""
    return left_wanted(plan, validator.fields) if request.diff else ()


def samples_of(plan: Plan, most: int = 2) -> tuple[CallSample, ...]:
    """Show the first calls of each kind as they would be sent, with at most three values each."""
    samples: list[CallSample] = []
    begin = 0
    for number, size in enumerate(plan.batches.sizes):
        kind = "async" if plan.batches.is_async[number] else "sync"
        if sum(sample.kind == kind for sample in samples) < most:
            end = begin + min(int(size), 3)
            first = [
                {
                    "key": dict(zip(plan.key, key.split(KEY_SEPARATOR), strict=True)),
                    "data": json.loads(plan.payloads[payload]),
                }
                for key, payload in zip(plan.items.keys(begin, end), plan.items.payload[begin:end], strict=True)
            ]
            samples.append(CallSample(kind, int(size), first))
        begin += int(size)
    return tuple(samples)


def with_results(
    result: SyncResult,
    request: SyncRequest,
    environment: Environment,
    job: str,
    sources: Sequence[Source],
    written: Written | None,
) -> SyncResult:
    """Write the results folder, where one is asked for; return `result` with what there is to say of it.

    Mended rows that were read from this folder, and of which nothing is recorded, stand nowhere else: they stay.
    """
    if request.results is None:
        return result
    if (written is None or written.unsent) and (name := read_from(request.results, [one.name for one in sources])):
        words = "was read and nothing of it was sent, so it stays: no results are written there"
        return replace(result, notes=(*result.notes, f"{request.results / name} {words}"))
    about = {
        "command": result.command,
        "run": None if result.run is None else result.run.id,
        "job": job,
        "at": utc_text(environment.clock.wall_s()),
        "state": result.state,
        "exit_code": result.exit_code,
        "files": [*result.files],
    }
    try:
        aside = write_results(request.results, about, written)
    except OutputError as error:
        return replace(result, error=result.error or error)
    words = "kept, since it holds what the new results do not have"
    notes = [f"{request.results / name}: {words}" for name in aside]
    return replace(result, notes=(*result.notes, *notes))
