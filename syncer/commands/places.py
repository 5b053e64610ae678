"""Where what is asked for is to be written: looked at before anything is read or sent. Writes nothing."""

from __future__ import annotations

import os
from pathlib import Path

from syncer.config.asked import Named, option
from syncer.config.steps import place_of
from syncer.errors import ConfigError, UsageError
from syncer.request import ProductsRequest, ScansRequest, Step, SyncStep, UploadRequest
from syncer.safe.files import is_database
from syncer.safe.trust import quoted


def require_place(step: Step, named: Named = option) -> None:
    """Raise `UsageError` where a file or folder that was named cannot be written; ``named`` as in `config.asked`."""
    if isinstance(step, ProductsRequest):
        _require_file(step.out, named("out"))
    elif isinstance(step, UploadRequest):
        _require_file(step.errors, named("errors"))
    elif isinstance(step, ScansRequest) and step.raw_csv:
        _require_file(step.out, named("out"))
    elif isinstance(step, SyncStep) and step.results is not None and is_no_folder(Path(step.results)):
        words = f"{named('results')} {step.results} is a file; results are written into a folder"
        raise UsageError(words, remedy="name a folder", next="syncer check")
    elif isinstance(step, ScansRequest) and step.out is not None and is_no_folder(step.out):
        words = f"{named('out')} {step.out} is a file; scans are written as parts into a folder"
        raise UsageError(words, remedy=f"name a folder: {named('out')} scans", next="syncer scans pull --help")


def require_place_of(number: int, step: Step) -> None:
    """Raise `ConfigError`, which names the step of the night (from 1 on), where its place cannot be written."""
    try:
        require_place(step, str)
    except UsageError as error:
        raise ConfigError(f"{place_of(number, step)}: {error.message}", remedy=error.remedy, next=error.next) from None


def is_no_folder(path: Path) -> bool:
    """Tell whether something else stands where a folder is to be."""
    asked = path.absolute()
    return not os.path.isdir(next(filter(os.path.exists, (asked, *asked.parents))))


def other_kind(path: Path) -> str | None:
    """Return what stands where a file is to be written, and is never replaced by one; None: nothing does."""
    return "a folder" if os.path.isdir(path) else "a database, perhaps the ledger" if is_database(path) else None


def _require_file(path: Path | None, named: str) -> None:
    if path is None:
        return
    if not os.path.isdir(path.parent):
        words = f"{named} {path} cannot be written: its folder does not exist"
        raise UsageError(words, next=f"mkdir -p {quoted(path.parent)}")
    if path == Path("-"):
        raise UsageError(f"{named} -: standard output is for words", remedy=f"name a file: {named} FILE")
    if (kind := other_kind(path)) is not None:
        raise UsageError(f"{named} {path} cannot be written: it is {kind}", remedy=f"name a file: {named} FILE")
