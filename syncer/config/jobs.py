"""The jobs of a configuration: which one is meant, and what can be known to be wrong before any file is read.

What is found here is found by every command, ``check`` included, so that no night fails of what stands in the
configuration.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import combinations
from pathlib import Path

from syncer.config.cell_rules import make_rule
from syncer.config.done import done_fault
from syncer.config.job_settings import FieldSettings, JobSettings
from syncer.config.settings import Settings
from syncer.config.templates import parse_template
from syncer.errors import ConfigError, did_you_mean
from syncer.model import FORBIDDEN_DATA, FORBIDDEN_KEYS, SPECIAL_FIELDS, UNIQUE_KEYS
from syncer.request import SyncStep, UploadRequest
from syncer.safe.inert import holds_unseen

OWN_CODE = "id"
"""The field of files of own codes that names each code (docs/codes.md)."""


def pick_job(settings: Settings, name: str | None) -> JobSettings:
    """Return the job with this name, or the only one; raise `ConfigError` listing the names."""
    names = ", ".join(sorted(settings.jobs))
    if name is None:
        if len(settings.jobs) == 1:
            return next(iter(settings.jobs.values()))
        raise ConfigError(f"there are several jobs: {names}", remedy="say which: --job NAME")
    if name not in settings.jobs:
        near = did_you_mean(name, settings.jobs)
        words = f"there is no job {name!r}{near}; configured: {names}"
        raise ConfigError(words, remedy="add [jobs.NAME] to the configuration, or name one that is there: --job NAME")
    return settings.jobs[name]


def job_faults(settings: Settings) -> list[str]:
    """Return everything that is wrong with the jobs, and with the steps that name them, whatever the files hold."""
    folder = Path.cwd() if settings.path is None else settings.path.parent
    faults = [fault for job in settings.jobs.values() for fault in _faults_of(job)]
    for job in settings.jobs.values():
        pattern, done = job.files.pattern, job.files.done
        if pattern is not None and done is not None and (words := done_fault(pattern, done, folder)) is not None:
            faults.append(f"jobs.{job.name}.files.done {words}")
    for job in settings.jobs.values():
        unknown = [name for name in job.disjoint or () if name not in settings.jobs]
        faults += [f"jobs.{job.name}.disjoint names a job that there is not: {name!r}" for name in unknown]
    faults += _overlaps(settings.jobs)
    for number, step in enumerate(settings.nightly.steps, 1):
        if isinstance(step, SyncStep):
            if step.job is None and len(settings.jobs) > 1:
                names = ", ".join(sorted(settings.jobs))
                faults.append(f"nightly.steps: step {number} must say which job is meant: {names}")
            elif step.job is not None and step.job not in settings.jobs:
                near = did_you_mean(step.job, settings.jobs)
                faults.append(f"nightly.steps: step {number} names a job that there is not: {step.job!r}{near}")
            elif not step.files and pick_job(settings, step.job).files.pattern is None:
                faults.append(
                    f"nightly.steps: step {number} names no files, and its job waits for none (files.pattern)"
                )
        elif isinstance(step, UploadRequest) and step.job is not None and step.job not in settings.jobs:
            near = did_you_mean(step.job, settings.jobs)
            faults.append(f"nightly.steps: step {number} names a job that there is not: {step.job!r}{near}")
    return faults


def disjoint_jobs(jobs: Mapping[str, JobSettings], name: str) -> list[str]:
    """Return the jobs that are declared, by either side, never to reach the codes of this one."""
    own = {*(jobs[name].disjoint or ())} if name in jobs else set()
    return sorted(own | {other.name for other in jobs.values() if name in (other.disjoint or ())})


def all_disjoint(jobs: Mapping[str, JobSettings]) -> dict[str, list[str]]:
    """Return by the name of each job those that never reach its codes; nothing of jobs that reach any."""
    found = {name: disjoint_jobs(jobs, name) for name in jobs}
    return {name: others for name, others in found.items() if others}


def _overlaps(jobs: Mapping[str, JobSettings]) -> Iterator[str]:
    """Yield which jobs write one field under keys that nothing links: each would overwrite the other's every night.

    Keys are linked where the one is a field of the other (a case's number): then the ledger knows which codes a case
    has. Without ``columns`` nobody knows what a job writes; what the ledger then sees is uncertain, and is sent again.
    """
    for one, other in combinations(jobs.values(), 2):
        mine, theirs = _written(one), _written(other)
        keys, their_keys = _key_of(one), _key_of(other)
        shared = sorted(mine & theirs)
        if not shared or not keys or not their_keys or keys == their_keys:
            continue
        linked = (len(keys) == 1 and keys <= theirs) or (len(their_keys) == 1 and their_keys <= mine)
        if not linked and other.name not in disjoint_jobs(jobs, one.name):
            yield (
                f"jobs {one.name!r} and {other.name!r} both write {', '.join(shared)}, by keys that nothing links "
                f"({' + '.join(sorted(keys))}; {' + '.join(sorted(their_keys))}): give each field to one job, or say "
                f'that they never reach the same codes: jobs.{one.name}.disjoint = ["{other.name}"]'
            )


def _key_of(job: JobSettings) -> frozenset[str]:
    """Return the SCM keys that select a job's codes; empty when only its files can tell."""
    columns = job.columns or {}
    if job.key is not None:
        return frozenset(columns.get(name, name) for name in job.key)
    return frozenset(next(([name] for name in ("extended_id", "serial_number") if name in columns.values()), []))


def _written(job: JobSettings) -> frozenset[str]:
    """Return the fields that a job is known to write; without ``columns`` those of its files are not known."""
    made = [scm for scm, rule in job.fields.items() if rule.from_ is not None]
    return frozenset({*(job.columns or {}).values(), *made, *(job.constants or ())}) - _key_of(job)


def _strange_names(job: JobSettings, where: str, columns: Mapping[str, str]) -> Iterator[str]:
    """Yield which names can be none: of fields, where ``columns`` says what is sent; of columns, where a header is set.

    Without both only a file can tell.
    """
    made = {scm: rule.from_ for scm, rule in job.fields.items() if rule.from_ is not None}
    if job.columns is not None:
        sent = {*columns.values(), *made, *(job.constants or ())} - {columns.get(name, name) for name in job.key or ()}
        for unit, rule in job.units.items():
            for name in (unit, *rule.same):
                if name not in sent:
                    yield f"{where}.units.{unit}: {name!r} is no field that is sent{did_you_mean(name, sorted(sent))}"
    header = job.csv.header
    if header is None:
        return
    named = [("columns", name) for name in columns]
    named += [("expect", job.expect)] if isinstance(job.expect, str) else []
    for scm, origin in made.items():
        named += [(f"fields.{scm}.from", name) for name in parse_template(origin)[0]]
    for setting, name in named:
        if name not in header:
            yield f"{where}.{setting}: {name!r} is not in {where}.csv.header{did_you_mean(name, header)}"


def _faults_of(job: JobSettings) -> list[str]:
    """Return what is wrong with one job. Without ``columns`` only its files can tell."""
    where = f"jobs.{job.name}"
    columns = job.columns or {}
    keys = [columns.get(name, name) for name in job.key or ()]
    faults = [
        f"{where}.key: {key!r} cannot select codes: {FORBIDDEN_KEYS[key]}" for key in keys if key in FORBIDDEN_KEYS
    ]
    if job.key is not None and job.columns is not None and not _written(job):
        faults.append(f"{where}.columns maps the key alone: beside it there is nothing to send")
    faults += [*_strange_names(job, where, columns), *_wrong_constants(job, where), *_wrong_forms(job, where)]
    headers: dict[str, list[str]] = {}
    for header, scm in columns.items():
        headers.setdefault(scm, []).append(header)
    for scm, names in headers.items():
        if len(names) > 1:
            both = " and ".join(map(repr, names))
            faults.append(f"{where}.columns maps {both} to one field, {scm}: leave one of them")
    places = {scm: f"{where}.columns: {names[0]!r} ({scm})" for scm, names in headers.items()}
    made = {scm: rule.from_ for scm, rule in job.fields.items() if rule.from_ is not None}
    keys += [scm for scm in UNIQUE_KEYS & made.keys() if made[scm] in (job.key or ())]  # the key's column, and its name
    keys += {*UNIQUE_KEYS, OWN_CODE} if job.key is None else []
    places |= {scm: f"{where}.fields.{scm}" for scm in made}
    constants = {scm: f"{where}.constants.{scm}" for scm in job.constants or ()}
    for scm, place in {**places, **constants}.items():
        if (fault := _field_fault(scm, job, () if scm in constants else keys)) is not None:
            faults.append(f"{place} {fault}")
    return faults


def _field_fault(scm: str, job: JobSettings, keys: Collection[str]) -> str | None:
    """Return why no call may carry a field, in words that follow its name; None: one may, or it selects codes."""
    if not scm or scm != scm.strip() or holds_unseen(scm):
        return f"cannot be sent: white space, or a sign that nobody sees, stands in its name, {scm!a}"
    if scm in FORBIDDEN_DATA:
        return f"cannot be sent: {FORBIDDEN_DATA[scm]}"
    if scm in keys:
        return None
    if scm in UNIQUE_KEYS:
        return "cannot be sent: identifiers of codes cannot be changed"
    if job.known_fields is not None and scm not in {*job.known_fields, *SPECIAL_FIELDS}:
        near = did_you_mean(scm, job.known_fields)
        return f"is not among jobs.{job.name}.known_fields{near}: the API would discard it silently"
    return None


def _wrong_constants(job: JobSettings, where: str) -> Iterator[str]:
    """Yield which constants the rules of their fields refuse."""
    for scm, value in (job.constants or {}).items():
        sent, fault, words = make_rule(scm, job.fields.get(scm, FieldSettings()), job.blank)(value)
        if fault is not None or sent is None:
            yield f"{where}.constants.{scm} {words or 'is blank'}"


def _wrong_forms(job: JobSettings, where: str) -> Iterator[str]:
    """Yield which settings of one file's form contradict each other."""
    csv, row = job.csv, job.table.header_row
    if csv.delimiter is not None and csv.delimiter == csv.quote:
        yield f"{where}.csv.delimiter and {where}.csv.quote are one character, {csv.quote!r}"
    if csv.delimiter is not None and csv.widths is not None:
        yield f"{where}.csv.delimiter is set beside {where}.csv.widths, which needs none: leave one of them"
    if csv.header is None and row is not None and row <= csv.skip_lines:
        yield f"{where}.table.header_row is {row}, a line that {where}.csv.skip_lines = {csv.skip_lines} leaves out"
    if csv.header is not None and csv.widths is not None and len(csv.header) != len(csv.widths):
        yield f"{where}.csv.widths has {len(csv.widths)} columns, {where}.csv.header {len(csv.header)}"
