"""From files to a plan: read, validate, gather, compare with the ledger, group into calls. Sends nothing.

The one place where source, validate, plan and the ledger's reads meet; `commands` uses it for `plan` and `sync` alike,
so that what `plan` shows is what `sync` does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syncer.arrow import numbers
from syncer.errors import ConfigError, GuardError
from syncer.model import UNIQUE_KEYS, Mode, Plan
from syncer.plan.diff import Diff, Verdict
from syncer.plan.planner import make_plan
from syncer.plan.records import Gatherer, Records, without_payloads

if TYPE_CHECKING:
    from syncer.execute.known import Vet
    from syncer.ledger.ledger import Ledger
    from syncer.ledger.values import Job
    from syncer.source import Source
    from syncer.validate import Validator

PERCENT = 100
PRODUCT = "product"
"""The SCM key that gives a code its product, by SKU or id (scantrust-api.md, "Special SCM fields")."""


@dataclass(frozen=True, slots=True)
class Intake:
    """What was read and what will be done with it. ``diff`` knows the fate of every key, for the results folder."""

    plan: Plan
    diff: Diff
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ChangeGuard:
    """Stop when more than ``percent`` of the known keys changed, once ``codes_min`` are known; 0 percent: never."""

    percent: float
    codes_min: int


def read_records(
    sources: Sequence[Source], validator: Validator, observe: Callable[[int], None], products: set[str] | None = None
) -> Records:
    """Read and validate all rows; ``observe`` is told the rows so far; `products` takes every product they name."""
    gatherer = Gatherer(validator.fields)
    rows = 0
    for source in sources:
        for chunk in source.chunks(validator.wanted):
            valid = validator.check(chunk)
            gatherer.add(valid)
            if products is not None:
                products |= _named(valid.fields[validator.fields.index(PRODUCT)])
            rows += valid.rows
            observe(rows)  # may raise `SignalError`: reading is given up between chunks
    return gatherer.records()


def _named(column: pa.DictionaryArray) -> set[str]:
    """Return the values of a column but for those that clear it."""
    used = pc.unique(column.indices.drop_null())
    return {value for value in column.dictionary.take(used).to_pylist() if value}


def vet_products(records: Records, vet: Vet, named: set[str]) -> tuple[Records, tuple[str, ...]]:
    """Reject the rows that name an unknown product; return the others, and what there is to say about the check."""
    vetted = vet(frozenset(named))
    if not vetted.unknown:
        return records, vetted.notes
    unwanted = {}
    for number, data in enumerate(records.payloads.data):
        product = json.loads(data).get(PRODUCT)
        if product in vetted.unknown:
            unwanted[number] = ("E309", f"product {product!r} is not known: no product has this SKU or id")
    return without_payloads(records, unwanted), vetted.notes


def compare(records: Records, ledger: Ledger | None, job: Job | None) -> Diff:
    """Compare the records with what the ledger knows of the job; nothing is known without a ledger or a job."""
    if ledger is None or job is None:
        return Diff(records, np.full(len(records.payloads), -1, np.int64))
    diff = Diff(records, ledger.payload_ids(records.payloads.fingerprints()))
    for block in ledger.known(job, records.keys):
        diff.see_known(block)
    for keys in ledger.open_keys(job):
        diff.see_open(keys)
    for unsent in ledger.unsent(job):
        diff.see_unsent(unsent)
    return diff


def plan_files(
    sources: Sequence[Source],
    validator: Validator,
    ledger: Ledger | None,
    job: Job | None,
    *,
    mode: Mode,
    force: bool,
    guard: ChangeGuard | None,
    observe: Callable[[int], None],
    vet: Vet | None = None,
) -> Intake:
    """Read the files and plan what to send. Raises `GuardError` when the guard finds too much changed."""
    named: set[str] | None = set() if vet is not None and PRODUCT in validator.fields else None
    records = read_records(sources, validator, observe, named)
    notes: tuple[str, ...] = ()
    if vet is not None and named is not None:
        records, notes = vet_products(records, vet, named)
    diff = compare(records, ledger, job)
    carried = sorted({int(payload_id) for block in diff.carried for payload_id in np.unique(block.payload_ids)})
    plan = make_plan(
        diff,
        key=validator.keys,
        fields=validator.fields,
        mode=mode,
        names=[source.name for source in sources],
        carried_data=ledger.payload_data(carried) if ledger is not None and carried else {},
        force=force,
    )
    if guard is not None:
        _check_changes(diff, plan, guard)
    return Intake(plan, diff, notes)


def _check_changes(diff: Diff, plan: Plan, guard: ChangeGuard) -> None:
    """Stop before anything is sent when the files change far more than they usually can."""
    if not guard.percent or plan.known_keys < max(guard.codes_min, 1):
        return
    percent = PERCENT * plan.rows.changed / plan.known_keys
    if percent <= guard.percent:
        return
    changed = diff.groups.leaders[np.flatnonzero(diff.verdicts() == Verdict.CHANGED)[:3]]
    examples = ", ".join(
        f"{key} ({diff.records.payloads.data[payload]})"
        for key, payload in zip(
            diff.records.keys.take(numbers(changed)).to_pylist(), diff.records.payload[changed], strict=True
        )
    )
    raise GuardError(
        f"{plan.rows.changed} of {plan.known_keys} known codes ({percent:.0f} %) have other data than was confirmed; "
        f"more than limits.max_changed_percent = {guard.percent:g}; for example: {examples}"
    )


def refuse_shared_fields(job_name: str, validator: Validator, others: Sequence[Job], configured: Sequence[str]) -> None:
    """Raise `ConfigError` when another configured job writes one of the same fields with the same key.

    The ledger could not know which of the two wrote last.
    """
    for other in others:
        if other.name == job_name or other.name not in configured or other.key != validator.keys:
            continue
        shared = sorted(set(other.fields) & set(validator.fields))
        if shared:
            raise ConfigError(
                f"jobs {job_name!r} and {other.name!r} both write {', '.join(shared)} by {', '.join(validator.keys)}: "
                "the ledger could not know which of them wrote last",
                next="give the field to one of the two jobs in config.toml ([jobs.<name>.columns])",
            )


def is_unique(declared: bool | None, keys: Sequence[str]) -> bool:
    """Tell whether one key value selects exactly one code: as declared, else by what the key columns are."""
    return declared if declared is not None else any(key in UNIQUE_KEYS for key in keys)
