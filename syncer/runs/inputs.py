"""What a job reads, open as far as the headers, and what its columns mean. Reads no row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING

from syncer.errors import UsageError
from syncer.rows.columns import default_key, key_columns
from syncer.rows.rules import FieldRule, RowRules, Steps
from syncer.rows.validate import Validator
from syncer.source import CsvForm, Source, TableForm, open_sources
from syncer.source.unused import unused

if TYPE_CHECKING:
    import pandas as pd

    from syncer.config import JobSettings
    from syncer.config.job_settings import FieldSettings
    from syncer.process.signals import Interrupt


@contextmanager
def open_inputs(
    job: JobSettings,
    files: Sequence[str],
    key: tuple[str, ...] | None,
    *,
    copies: Mapping[str, Path],
    stdin: IO[bytes] | None,
    interrupt: Interrupt,
    observe: Callable[[int], None],
    frame: tuple[pd.DataFrame, str] | None = None,
) -> Iterator[tuple[list[Source], Validator]]:
    """Give the files (or the job's query, where none is named) and what their columns mean; close them afterwards.

    ``key`` is the command line's (None: the job's own); ``copies``: see `open_sources`; ``observe`` is told how many
    rows a query has read. ``frame``: a DataFrame and its name, in place of files.
    """
    declared, table = key or job.key, TableForm(**asdict(job.table))
    columns = None if declared is None else key_columns(_rules(job, declared))
    with ExitStack() as stack:
        if frame is not None:
            from syncer.source.frame import FrameSource

            sources: list[Source] = [FrameSource(*frame, key=columns, table=table, notes=_unused(job, "a DataFrame"))]
        elif files:
            form = CsvForm(**asdict(job.csv))
            with interrupt.at_once():
                sources = open_sources(
                    files,
                    form,
                    stdin=stdin,
                    sheet=job.sheet,
                    member=job.member,
                    key=columns,
                    table=table,
                    by_place=job.columns is not None,
                    copies=copies,
                )
        else:
            sources = [_open_query(job, observe, table, columns)]
        for source in sources:
            stack.callback(source.close)
        made = [scm for scm, rule in job.fields.items() if rule.from_ is not None] + [*(job.columns or {}).values()]
        rules = _rules(job, declared or default_key(sources[0].header, sources[0].name, made))
        yield sources, Validator.for_sources(rules, sources)


def no_file(job: JobSettings, command: str) -> UsageError:
    """Return the error of a command that was given no file, for a job that has none of its own."""
    words = f"no file is named: give one, or - for standard input, or set jobs.{job.name}.files or .source"
    return UsageError(words, next=f"syncer {command} --help")


def _open_query(
    job: JobSettings, observe: Callable[[int], None], table: TableForm, key: tuple[str, ...] | None
) -> Source:
    if job.source.url is None or job.source.query is None:
        raise no_file(job, "sync")
    from syncer.source.query import QuerySource

    password = job.source.password
    return QuerySource(
        job.source.url.reveal(),
        job.source.query,
        job=job.name,
        password=None if password is None else password.reveal(),
        observe=observe,
        key=key,
        table=table,
        notes=_unused(job, "a query"),
    )


def _unused(job: JobSettings, kind: str) -> tuple[str, ...]:
    """Return what is declared of files, and says nothing of rows that come from none."""
    form, table = CsvForm(**asdict(job.csv)), TableForm(**asdict(job.table))
    return unused(job.name, kind, form, table, job.sheet, job.member)


def _rules(job: JobSettings, key: tuple[str, ...]) -> RowRules:
    return RowRules(
        key=key,
        columns=job.columns,
        blank=job.blank,
        fields={name: field_rule(rule) for name, rule in job.fields.items()},
        known_fields=None if job.known_fields is None else frozenset(job.known_fields),
        constants=job.constants or {},
        expect=job.expect if isinstance(job.expect, str) else None,
    )


def field_rule(rule: FieldSettings) -> FieldRule:
    """Return the rule of a field as it was configured."""
    steps = Steps(
        origin=rule.from_,
        trim=rule.trim,
        null=rule.null,
        strip_prefix=rule.strip_prefix,
        strip_suffix=rule.strip_suffix,
        extract=rule.extract,
        upper=rule.upper,
        lower=rule.lower,
        pad=rule.pad,
        map=rule.map,
        map_else=rule.map_else,
    )
    return FieldRule(rule.type, rule.formats, rule.choices, rule.required, rule.max_length, steps)
