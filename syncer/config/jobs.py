"""The jobs of a configuration: which one is meant, and what can be known to be wrong before any file is read.

What is found here is found by every command, ``check`` included, so that no night fails of what stands in the
configuration.
"""

from __future__ import annotations

from syncer.config.settings import JobSettings, Settings
from syncer.errors import ConfigError, did_you_mean
from syncer.model import FORBIDDEN_DATA, FORBIDDEN_KEYS, SPECIAL_FIELDS, UNIQUE_KEYS
from syncer.request import SyncStep


def pick_job(settings: Settings, name: str | None) -> JobSettings:
    """Return the job with this name, or the only one; raise `ConfigError` listing the names."""
    names = ", ".join(sorted(settings.jobs))
    if name is None:
        if len(settings.jobs) == 1:
            return next(iter(settings.jobs.values()))
        raise ConfigError(f"there are several jobs: {names}", next="name one of them: --job NAME")
    if name not in settings.jobs:
        raise ConfigError(f"there is no job {name!r}{did_you_mean(name, settings.jobs)}; configured: {names}")
    return settings.jobs[name]


def job_faults(settings: Settings) -> list[str]:
    """Return everything that is wrong with the jobs, and with the steps that name them, whatever the files hold."""
    faults = [fault for job in settings.jobs.values() for fault in _faults_of(job)]
    for number, step in enumerate(settings.nightly.steps, 1):
        if isinstance(step, SyncStep):
            if step.job is None and len(settings.jobs) > 1:
                names = ", ".join(sorted(settings.jobs))
                faults.append(f"nightly.steps: step {number} must say which job is meant: {names}")
            elif step.job is not None and step.job not in settings.jobs:
                near = did_you_mean(step.job, settings.jobs)
                faults.append(f"nightly.steps: step {number} names a job that there is not: {step.job!r}{near}")
    return faults


def _faults_of(job: JobSettings) -> list[str]:
    """Return what is wrong with one job. Without ``columns`` only its files can tell."""
    where = f"jobs.{job.name}"
    columns = job.columns or {}
    keys = [columns.get(name, name) for name in job.key or ()]
    faults = [
        f"{where}.key: {key!r} cannot select codes: {FORBIDDEN_KEYS[key]}" for key in keys if key in FORBIDDEN_KEYS
    ]
    headers: dict[str, list[str]] = {}
    for header, scm in columns.items():
        headers.setdefault(scm, []).append(header)
    places = {scm: f"{where}.columns: {names[0]!r} ({scm})" for scm, names in headers.items()}
    made = {scm: rule.from_ for scm, rule in job.fields.items() if rule.from_ is not None}
    keys += [scm for scm in UNIQUE_KEYS & made.keys() if made[scm] in (job.key or ())]  # the key's column, and its name
    places |= {scm: f"{where}.fields.{scm}" for scm in made}
    places |= {scm: f"{where}.constants.{scm}" for scm in job.constants or ()}
    for scm, column in places.items():
        if len(names := headers.get(scm, [])) > 1:
            faults.append(
                f"{where}.columns maps {' and '.join(map(repr, names))} to one field, {scm}: leave one of them"
            )
        if scm in FORBIDDEN_DATA:
            faults.append(f"{column} cannot be sent: {FORBIDDEN_DATA[scm]}")
        elif scm in keys or (job.key is None and scm in UNIQUE_KEYS):
            continue
        elif scm in UNIQUE_KEYS:
            faults.append(f"{column} cannot be sent: identifiers of codes cannot be changed")
        elif job.known_fields is not None and scm not in {*job.known_fields, *SPECIAL_FIELDS}:
            near = did_you_mean(scm, job.known_fields)
            faults.append(f"{column} is not among {where}.known_fields{near}: the API would discard it silently")
    return faults
