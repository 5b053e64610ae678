"""The jobs of a configuration: which one is meant, and that no two of them write the same field."""

from __future__ import annotations

from collections.abc import Mapping

from syncer.config.settings import JobSettings, Settings
from syncer.errors import ConfigError, did_you_mean


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


def refuse_shared_fields(jobs: Mapping[str, JobSettings]) -> None:
    """Two jobs that write the same field with the same key: the ledger could not know who wrote last."""
    seen: list[JobSettings] = []
    for job in jobs.values():
        for other in seen:
            if job.key != other.key:
                continue
            mine, theirs = _written(job), _written(other)
            shared = sorted(mine & theirs) if mine is not None and theirs is not None else ["every field"]
            if shared:
                raise ConfigError(
                    f"jobs {other.name!r} and {job.name!r} have the same key and may both write {', '.join(shared)}: "
                    "the ledger could not know which of them wrote last",
                    next="give each field to one job: [jobs.NAME.columns]",
                )
        seen.append(job)


def _written(job: JobSettings) -> set[str] | None:
    if job.columns is None:
        return None
    made = {key for key, rule in job.fields.items() if rule.from_ is not None}
    return (
        (set(job.columns.values()) | made | set(job.constants or ()))
        - set(job.key or ())
        - {job.columns.get(key) for key in job.key or ()}
    )
