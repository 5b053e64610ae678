"""The steps of a night, as ``nightly.steps`` names them: read from the configuration, every fault named. Pure.

A step is a table with one member, its name: ``{sync = {job = "erp", files = ["/data/*.csv"]}}``. What a step does
stands in `syncer.nightly`; here is only what may be said about it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

EXPORT_FORMATS = ("csv", "jsonl", "parquet")


@dataclass(frozen=True, slots=True)
class ProductsStep:
    """``products = {archived, format, out}``: what ``syncer products pull`` does."""

    archived: bool = False
    format: str | None = None
    out: str | None = None


@dataclass(frozen=True, slots=True)
class SyncStep:
    """``sync = {job, files, results}``: what ``syncer sync`` does; files may be patterns: ``/data/export-*.csv``."""

    files: tuple[str, ...] = ()
    job: str | None = None
    results: str | None = None


@dataclass(frozen=True, slots=True)
class ScansStep:
    """``scans = {…}``: its options are those of ``syncer scans pull``."""

    options: Mapping[str, Any] = field(default_factory=dict)


Step = ProductsStep | SyncStep | ScansStep
_OPTIONS: Mapping[str, frozenset[str]] = {
    "products": frozenset({"archived", "format", "out"}),
    "sync": frozenset({"files", "job", "results"}),
}


def parse_steps(value: Any) -> tuple[Step, ...]:
    """Read ``nightly.steps``; raise `ValueError` with words that continue "must be …"."""
    if not isinstance(value, list) or not all(isinstance(table, dict) and len(table) == 1 for table in value):
        raise ValueError('a list of steps, each a table with one member: {products = {}} or {sync = {files = ["…"]}}')
    return tuple(_step(number, *next(iter(table.items()))) for number, table in enumerate(value, 1))


def _step(number: int, name: str, options: Any) -> Step:
    if not isinstance(options, dict):
        raise ValueError(f"a list of steps with tables of options (step {number}: {name} = {{…}})")
    if name == "scans":
        return ScansStep(dict(options))
    if name not in _OPTIONS:
        raise ValueError(f"a list of steps that exist: products, sync, scans (step {number} is {name!r})")
    unknown = sorted(options.keys() - _OPTIONS[name])
    if unknown:
        known = ", ".join(sorted(_OPTIONS[name]))
        raise ValueError(f"a list of steps with known options (step {number}: {name} has {known}; not {unknown[0]!r})")
    for option in options.keys() - {"archived", "files"}:
        if not isinstance(options[option], str) or not options[option]:
            raise ValueError(f"a list of steps in which {option} is a text (step {number}: {name})")
    return _products(number, options) if name == "products" else _sync(number, options)


def _products(number: int, options: Mapping[str, Any]) -> ProductsStep:
    if not isinstance(options.get("archived", False), bool):
        raise ValueError(f"a list of steps in which archived is true or false (step {number})")
    if options.get("format", "csv") not in EXPORT_FORMATS:
        raise ValueError(f"a list of steps in which format is one of {', '.join(EXPORT_FORMATS)} (step {number})")
    if "format" in options and "out" not in options:
        raise ValueError(f"a list of steps in which format stands beside out (step {number})")
    return ProductsStep(**options)


def _sync(number: int, options: Mapping[str, Any]) -> SyncStep:
    files = options.get("files")
    files = [files] if isinstance(files, str) else files
    if not isinstance(files, list) or not files or not all(isinstance(file, str) and file for file in files):
        raise ValueError(f'a list of steps in which sync has files = ["…"] (step {number})')
    return SyncStep(**{**options, "files": tuple(files)})
