"""The results folder: every input row, with its own columns, in one of three files, with where and why.

``confirmed.csv``, ``error.csv`` (invalid, rejected, unmatched rows) and ``unprocessed.csv`` (held, unsent, pending, in
doubt). Each row has its own columns as they stood in the file, then ``_file``, ``_line``, ``_code``, ``_message``. The
files are read a second time, a chunk at a time, so memory does not grow with them; each result file appears whole or
not at all. ``results.json`` names the run; a run that sent nothing writes what it read, too.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np
import pyarrow as pa

from syncer.errors import OutputError, SourceError, UntrustedFileError, UsageError
from syncer.lifecycle.batch import Bucket
from syncer.model import KEY_SEPARATOR
from syncer.plan.diff import Standing
from syncer.plan.records import key_text
from syncer.runs.results_aside import set_aside, write_about
from syncer.runs.results_form import ResultsWriter, form_of
from syncer.safe.files import Folder, new_file
from syncer.safe.formulas import EXTRA_COLUMNS, neutral
from syncer.safe.inert import inert
from syncer.safe.trust import UntrustedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from syncer.ledger.endings import EndedValue
    from syncer.rows.validate import Validator
    from syncer.runs.intake import Intake
    from syncer.source import Source

FILES = ("confirmed.csv", "error.csv", "unprocessed.csv")
_FILE_OF = {
    Bucket.CONFIRMED: "confirmed.csv",
    Bucket.UNMATCHED: "error.csv",
    Bucket.REJECTED: "error.csv",
    Bucket.IN_DOUBT: "unprocessed.csv",
    Bucket.PENDING: "unprocessed.csv",
    Bucket.UNSENT: "unprocessed.csv",
    Bucket.SUPERSEDED: "unprocessed.csv",
}
_BUCKETS = tuple(Bucket)


class Fates:
    """What became of every key of the files: one byte per key, and words for those that somebody must look at."""

    def __init__(self, intake: Intake, outcomes: Iterable[tuple[str, int, int, Bucket, str]], unsent: str) -> None:
        self._groups = intake.diff.groups
        self._unsent = unsent
        self._verdicts = intake.diff.verdicts()
        self._buckets = np.zeros(len(self._groups), np.uint8)
        self._words: dict[int, str] = {}
        block: list[tuple[str, Bucket, str]] = []
        for key, _, _, bucket, message in outcomes:
            block.append((key, bucket, message))
            if len(block) == 100_000:  # noqa: PLR2004  bounds the memory
                self._take(block)
                block = []
        self._take(block)

    def _take(self, block: list[tuple[str, Bucket, str]]) -> None:
        found = self._groups.find(pa.array([key for key, _, _ in block], pa.large_string()))
        for group, (_, bucket, message) in zip(found.tolist(), block, strict=True):
            if group >= 0:
                self._buckets[group] = _BUCKETS.index(bucket)
                if message and bucket is not Bucket.CONFIRMED:
                    self._words[group] = message

    def of_rows(self, keys: pa.LargeStringArray) -> list[tuple[str, str, str]]:
        """Return, per row: result file, code, message."""
        return [self._of_group(group) for group in self._groups.find(keys).tolist()]

    def _of_group(self, group: int) -> tuple[str, str, str]:
        verdict = Standing(self._verdicts[group])
        if verdict is Standing.UNCHANGED:
            return "confirmed.csv", "unchanged", "the same data was confirmed before"
        if verdict is Standing.HELD:
            return "unprocessed.csv", "held", "an earlier upload of this value is not settled yet"
        if self._unsent:
            return _FILE_OF[Bucket.UNSENT], Bucket.UNSENT.value, self._unsent
        bucket = _BUCKETS[self._buckets[group]]
        return _FILE_OF[bucket], bucket.value, self._words.get(group, "")


@dataclass(frozen=True, slots=True)
class Written:
    """What is written of a run: its files' rows with what became of each.

    ``unsent`` says why nothing was sent (empty: the outcomes tell); ``ended`` are values that earlier runs planned and
    that ended in this one: nobody else will tell of them.
    """

    intake: Intake
    sources: Sequence[Source]
    validator: Validator
    outcomes: Iterable[tuple[str, int, int, Bucket, str]] = ()
    ended: Iterable[EndedValue] = ()
    unsent: str = ""


def write_results(folder: Path, about: Mapping[str, Any], written: Written | None) -> list[str]:
    """Write the three files, and whose they are, into `folder`; return the names of files that were set aside.

    ``written`` None: the run ended before there was anything to write. Raises `OutputError` when that cannot be done:
    the run is over by then.
    """
    try:
        with Folder.open(folder, make=True) as opened:
            aside = set_aside(opened, FILES, None, ()) if written is None else _write(opened, written)
            write_about(opened, {**about, "set_aside": aside})
    except (OSError, SourceError) as error:
        words = error.strerror if isinstance(error, OSError) else error.message
        raise OutputError(
            f"the results cannot be written to {folder}: {words}; the run itself is recorded",
            next="syncer audit export --run RUN --format csv",
        ) from error
    return aside


def _write(folder: Folder, written: Written) -> list[str]:
    intake, sources, validator = written.intake, written.sources, written.validator
    fates = Fates(intake, written.outcomes, written.unsent)
    rejections = {(row.source, row.line): row for row in intake.plan.rejections}
    header = list(dict.fromkeys(name for source in sources for name in source.header))
    header = [name for name in header if name not in EXTRA_COLUMNS]
    with ExitStack() as stack:
        parts = {name: stack.enter_context(new_file(folder, name)) for name in FILES}
        form = form_of(sources)
        writers = {name: ResultsWriter(part, form, header) for name, part in parts.items()}
        for source in sources:
            _write_source(writers, source, validator, fates, rejections, header)
        for value in written.ended:
            _write_earlier(writers["error.csv"], value, validator, header)
        aside = set_aside(folder, FILES, cast("BinaryIO", parts["error.csv"].file), [one.name for one in sources])
        for part in parts.values():
            part.keep()
    return aside


def prepare_results(folder: Path) -> None:
    """Create the folder; raise `UsageError` when files cannot be written into it: better now than after a night."""
    try:
        with Folder.open(folder, make=True) as opened, new_file(opened, "probe") as probe:
            probe.file.write(b"x")
            probe.file.flush()
    except UntrustedError as error:
        raise UntrustedFileError.of(error) from error
    except OSError as error:
        raise UsageError(
            f"the results folder {folder} cannot be written: {error.strerror}; nothing was sent",
            next="name another folder with --results",
        ) from error


def _write_earlier(writer: ResultsWriter, value: EndedValue, validator: Validator, header: Sequence[str]) -> None:
    """Write a value of an earlier run as a row of this one's columns; its message names what has no column."""
    parts = dict(zip(value.columns, value.key.split(KEY_SEPARATOR), strict=True))
    held = {**parts, **value.data}
    cells = validator.cells(held)
    lacking = [f"{name} {text}" for name, text in held.items() if name not in cells and text not in cells.values()]
    words = f"{value.message} (planned by run {value.run_id}{''.join(f'; {one}' for one in lacking)})"
    file_name = value.file if value.file == "-" else neutral(inert(value.file))
    writer.write(
        (cells.get(name, "") for name in header), (file_name, value.line, value.bucket.value, neutral(inert(words)))
    )


def _write_source(
    writers: dict[str, ResultsWriter],
    source: Source,
    validator: Validator,
    fates: Fates,
    rejections: dict[tuple[int, int], Any],
    header: Sequence[str],
) -> None:
    file_name = source.name if source.name == "-" else neutral(inert(source.name))
    for chunk in source.chunks():
        for row in chunk.rejections:  # rows that could not be split into columns: what could be read of them
            known = dict(zip(source.header, row.cells, strict=False))
            ours = (file_name, row.line, row.code, neutral(inert(row.message)))
            writers["error.csv"].write((known.get(name, "") for name in header), ours)
        valid = validator.check(chunk)
        fate_of_line = dict(
            zip(valid.lines.tolist(), fates.of_rows(key_text(valid.keys)) if len(valid.lines) else [], strict=True)
        )
        columns = [
            chunk.columns.column(name).to_pylist() if name in source.header else [""] * len(chunk.lines)
            for name in header
        ]
        for line, *cells in zip(chunk.lines.tolist(), *columns, strict=True):
            rejection = rejections.get((chunk.source, line))
            if rejection is not None:
                file, code, message = "error.csv", rejection.code, rejection.message
            else:
                file, code, message = fate_of_line[line]
            writers[file].write(cells, (file_name, line, code, neutral(inert(message))))
