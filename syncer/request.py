"""What may be asked of a command: the same values whether the command line or a night's step asks. Words alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

EXPORT_FORMATS = ("csv", "jsonl", "parquet")
ENDINGS = {"csv": "csv", "jsonl": "jsonl", "ndjson": "jsonl", "parquet": "parquet"}
"""Of the names of files: the format that each says."""
NAMED_BY_THEIR_ENDING = frozenset({*ENDINGS, "xlsx", "json", "xls", "tsv", "gz", "zip"})
"""Endings that promise something: a file that has one is written so, or not at all."""
STATUSES = {"inactive": 0, "active": 1, "blacklisted": 2}
"""The states of a code by which scans are chosen."""


@dataclass(frozen=True, slots=True)
class ProductsRequest:
    """``products = {archived, format, out}``: asked of ``products pull``. ``form`` without ``out``: standard output."""

    archived: bool = False
    form: str | None = None
    out: Path | None = None


@dataclass(frozen=True, slots=True)
class SyncStep:
    """``sync = {job, files, results}``: what ``syncer sync`` does; files may be patterns: ``/data/export-*.csv``."""

    files: tuple[str, ...] = ()
    job: str | None = None
    results: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScansRequest:
    """``scans = {campaign, …}``: asked of ``scans pull``; None leaves a filter out. ``where`` are SCM fields."""

    campaign: int
    begin: str | None = None
    end: str | None = None
    timeframe: str | None = None
    flags: tuple[str, ...] = ()
    status: int | None = None
    product: str | None = None
    where: Mapping[str, str] = field(default_factory=dict)
    form: str = "csv"
    out: Path | None = None
    into_ledger: bool = False
    raw_csv: bool = False
    deadline_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadRequest:
    """``codes = {file, …}``: asked of ``codes upload``; in a step the file may be a pattern that one file matches.

    Of ``codes resume`` too, which names an upload (or none: all that are open) in place of a file. ``part_bytes``
    None: as large as the API takes. ``job`` says how a CSV file is written, and which of its columns is which field.
    """

    file: str = ""
    job: str | None = None
    dry_run: bool = False
    upload_id: int | None = None
    defaults: tuple[str, ...] = ()
    url_prefix: str | None = None
    allow_duplicates: bool = False
    skip_invalid: bool = False
    part_bytes: int | None = None
    errors: Path | None = None
    deadline_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRequest:
    """Which of the history is asked of ``audit``. Times are the ledger's UTC texts; None, and no ``where``: all of it.

    ``where`` names fields, or key columns, each with a value: meant are the values that were ever sent so, whole.
    """

    where: tuple[tuple[str, str], ...] = ()
    since: str | None = None
    until: str | None = None
    """Only what changed before this time."""
    job: str | None = None
    run_id: int | None = None


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """What the command line asks of ``plan``, ``sync`` or ``resume``; None leaves a setting as configured."""

    files: tuple[str, ...] = ()
    job: str | None = None
    key: tuple[str, ...] | None = None
    mode: str | None = None
    force: bool = False
    approve: bool = False
    deadline_s: float | None = None
    results: Path | None = None
    diff: bool = False
    copies: Mapping[str, Path] = field(default_factory=dict)
    """Where on this machine lies what a file of another system held."""


Step = ProductsRequest | SyncStep | ScansRequest | UploadRequest


def name_of(step: Step) -> str:
    """Return the name under which a step stands in ``nightly.steps``."""
    return {ProductsRequest: "products", SyncStep: "sync", ScansRequest: "scans", UploadRequest: "codes"}[type(step)]
