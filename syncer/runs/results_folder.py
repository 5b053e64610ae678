"""The results folder: every input row, with its own columns, in one of three files, with where and why.

``confirmed.csv``, ``error.csv`` (invalid, rejected, unmatched rows) and ``unprocessed.csv`` (held, unsent, pending, in
doubt). Each row has its own columns as they stood in the file, then ``_file``, ``_line``, ``_code``, ``_message``. The
files are read a second time, a chunk at a time, so memory does not grow with them; each result file appears whole or
not at all. ``results.json`` names the run; a run that sent nothing writes what it read, too.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syncer.arrow import numbers, texts, truths
from syncer.errors import OutputError, SourceError, UntrustedFileError, UsageError
from syncer.lifecycle.batch import Bucket
from syncer.model import KEY_SEPARATOR
from syncer.plan.diff import Standing
from syncer.plan.records import key_text
from syncer.results import MEANING
from syncer.runs.paste import of_job
from syncer.runs.results_aside import is_input, set_aside, write_about
from syncer.runs.results_form import COMMA, ResultsWriter, form_of
from syncer.safe.files import Folder, new_file
from syncer.safe.formulas import EXTRA_COLUMNS, neutral
from syncer.safe.inert import inert
from syncer.safe.trust import UntrustedError, quoted
from syncer.source.tags import refused_cells

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from syncer.ledger.endings import EndedValue
    from syncer.model import Chunk, ValidChunk
    from syncer.rejections import Rejections
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
BLOCK_ROWS = 100_000
"""Values that are objects at one time: it bounds the memory."""


class Told(NamedTuple):
    """What is said of a row: the file in which it stands, a code, and words."""

    file: str
    code: str
    message: str


class Fates:
    """What became of every key of the files: one byte per key, and words for those that somebody must look at."""

    def __init__(self, intake: Intake, outcomes: Iterable[tuple[str, int, int, Bucket, str]], unsent: str) -> None:
        self._groups = intake.diff.groups
        self._verdicts = intake.diff.verdicts()
        self._buckets = np.zeros(len(self._groups), np.uint8)
        self._confirmed = np.zeros(len(self._groups), np.bool_)
        self.told: list[Told] = [
            *(Told(_FILE_OF[bucket], bucket.value, MEANING.get(bucket, "")) for bucket in _BUCKETS),
            Told("confirmed.csv", "unchanged", "the same data was confirmed before"),
            Told("unprocessed.csv", "held", "an earlier upload of this value is not settled yet"),
            Told(_FILE_OF[Bucket.UNSENT], Bucket.UNSENT.value, unsent),
        ]
        """Everything that is said of rows, each once."""
        self._numbers = {told: number for number, told in enumerate(self.told)}
        self._unchanged, self._held, self._unsent = range(len(_BUCKETS), len(_BUCKETS) + 3)
        self._all_unsent = bool(unsent)
        worded: dict[int, int] = {}
        outcome = iter(outcomes)
        while block := list(islice(outcome, BLOCK_ROWS)):
            self._take(block, worded)
        self._worded = np.array(sorted(worded), np.int64)
        self._words = np.array([worded[group] for group in self._worded.tolist()], np.int64)

    def _take(self, block: Sequence[tuple[str, int, int, Bucket, str]], worded: dict[int, int]) -> None:
        found = self._groups.find(texts([one[0] for one in block]))
        for group, (_, _, _, bucket, message) in zip(found.tolist(), block, strict=True):
            if group >= 0:
                self._buckets[group] = _BUCKETS.index(bucket)
                self._confirmed[group] = bucket is Bucket.CONFIRMED
                if message and bucket is not Bucket.CONFIRMED:
                    told = Told(_FILE_OF[bucket], bucket.value, message)
                    worded[group] = self._numbers.setdefault(told, len(self.told))
                    if worded[group] == len(self.told):
                        self.told.append(told)

    def of_rows(self, keys: pa.LargeStringArray) -> npt.NDArray[np.int64]:
        """Return what became of each row, as its place in `told`."""
        groups = self._groups.find(keys)
        if self._all_unsent:
            number = np.full(len(groups), self._unsent)
        else:
            number = self._buckets[groups].astype(np.int64)
            places = np.searchsorted(self._worded, groups)
            own = np.flatnonzero(np.isin(groups, self._worded))
            number[own] = self._words[places[own]]
        unchanged = self._verdicts[groups] == Standing.UNCHANGED
        number[unchanged & ~self._confirmed[groups]] = self._unchanged  # else an earlier plan of this run sent it
        number[self._verdicts[groups] == Standing.HELD] = self._held
        return number


@dataclass(frozen=True, slots=True)
class Written:
    """What is written of a run: its files' rows with what became of each.

    ``unsent`` says why nothing was sent (empty: the outcomes tell); ``ended`` are values that earlier runs planned and
    that ended in this one, or in one that died: nobody else will tell of them.
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
            aside = set_aside(opened, FILES, None, ()) if written is None else _write(opened, written, about["job"])
            write_about(opened, {**about, "set_aside": aside})
    except (OSError, SourceError) as error:
        words = error.strerror if isinstance(error, OSError) else error.message
        run = about.get("run")
        raise OutputError(
            f"the results cannot be written to {folder}: {words}; the run itself is recorded",
            next="syncer status" if run is None else f"syncer audit export --run {run} --format csv",
        ) from error
    return aside


def _write(folder: Folder, written: Written, job: str) -> list[str]:
    intake, sources, validator = written.intake, written.sources, written.validator
    fates = Fates(intake, written.outcomes, written.unsent)
    header = list(dict.fromkeys(name for source in sources for name in source.header))
    header = [name for name in header if name not in EXTRA_COLUMNS]
    with ExitStack() as stack:
        parts = {name: stack.enter_context(new_file(folder, name)) for name in FILES}
        form = form_of(sources)
        writers = {name: ResultsWriter(part, form, header) for name, part in parts.items()}
        for position, source in enumerate(sources):
            rejected = intake.plan.rejections.of_source(position)
            _write_source(writers, source, validator, fates, rejected, header, job)
        ended = iter(written.ended)
        while block := list(islice(ended, BLOCK_ROWS)):
            rows = [_earlier_row(value, validator, header) for value in block]
            writers["error.csv"].write_rows([cells for cells, _ in rows], [ours for _, ours in rows])
        aside = set_aside(folder, FILES, cast("BinaryIO", parts["error.csv"].file), [one.name for one in sources])
        for part in parts.values():
            part.keep()
    return aside


def keep_results(folder: Path) -> list[str]:
    """Give the files of a run names of their own, since another run of the same command follows; return these."""
    with suppress(OSError), Folder.open(folder) as opened:
        return set_aside(opened, FILES, None, ())
    return []


def read_from(folder: Path, inputs: Sequence[str]) -> str | None:
    """Return the name of a file of the results folder that is among `inputs`, the files that were read; else None."""
    with suppress(OSError), Folder.open(folder) as opened:
        return next((name for name in FILES if is_input(opened, name, inputs)), None)
    return None


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
            remedy="name another folder with --results",
            next=f"ls -ld {quoted(_there(folder))}",
        ) from error


def _there(path: Path) -> Path:
    """Return a path, or the nearest folder above it that exists."""
    return next(one for one in (path.absolute(), *path.absolute().parents) if os.path.exists(one))


def _earlier_row(
    value: EndedValue, validator: Validator, header: Sequence[str]
) -> tuple[list[str], tuple[str | int, ...]]:
    """Return a value of an earlier run as a row of this one's columns; its message names what has no column."""
    parts = dict(zip(value.columns, value.key.split(KEY_SEPARATOR), strict=True))
    held = {**parts, **value.data}
    cells = validator.cells(held)
    lacking = [f"{name} {text}" for name, text in held.items() if name not in cells and text not in cells.values()]
    words = f"{value.message} (planned by run {value.run_id}{''.join(f'; {one}' for one in lacking)})"
    file_name = value.file if value.file == "-" else neutral(inert(value.file))
    ours = (file_name, value.line, value.bucket.value, neutral(inert(words)))
    return [cells.get(name, "") for name in header], ours


def _write_source(
    writers: Mapping[str, ResultsWriter],
    source: Source,
    validator: Validator,
    fates: Fates,
    rejected: Rejections,
    header: Sequence[str],
    job: str,
) -> None:
    file_name = source.name if source.name == "-" else neutral(inert(source.name))
    for chunk in source.chunks():
        if chunk.rejections:  # rows that the reader could not take: what could be read of them
            between = source.info.dialect.delimiter or COMMA
            known = [refused_cells(row, source.header, between) for row in chunk.rejections]
            writers["error.csv"].write_rows(
                [[cells.get(name, "") for name in header] for cells in known],
                [(file_name, row.line, row.code, neutral(inert(of_job(row.message, job)))) for row in chunk.rejections],
            )
        number, told = _told(chunk, validator.check(chunk), fates, rejected)
        columns = [_cells(chunk, name, validator) if name in source.header else None for name in header]
        ours = [texts([one.code for one in told]), texts([neutral(inert(one.message)) for one in told])]
        for file, writer in writers.items():
            rows = np.flatnonzero(np.array([one.file == file for one in told], bool)[number])
            if len(rows):
                nothing = texts([""]).take(numbers(np.zeros(len(rows), np.int64)))
                name = texts([file_name]).take(numbers(np.zeros(len(rows), np.int64)))
                lines = numbers(chunk.lines[rows]).cast(pa.large_string())
                writer.write_columns(
                    [nothing if column is None else column.take(numbers(rows)) for column in columns],
                    [name, lines, *(column.take(numbers(number[rows])) for column in ours)],
                )


def _cells(chunk: Chunk, name: str, validator: Validator) -> pa.Array:
    """Return a column as it is written: its days as the job reads them in texts, since result files have no others."""
    column = chunk.columns.column(name)
    if name not in chunk.days:
        return column
    mask = truths(chunk.days[name])
    days = column.filter(mask).dictionary_encode()
    written = texts([validator.day_text(name, day) for day in days.dictionary.to_pylist()]).cast(pa.string())
    return pc.replace_with_mask(column, mask, written.take(days.indices))


def _told(
    chunk: Chunk, valid: ValidChunk, fates: Fates, rejected: Rejections
) -> tuple[npt.NDArray[np.int64], Sequence[Told]]:
    """Return what is said of the rows of a chunk, each once, and which of it is said of each row.

    ``rejected`` are the file's rejected rows, of which the reader may have refused some.
    """
    places = np.searchsorted(rejected.line, chunk.lines, side="right") - 1
    refused = np.zeros(len(chunk.lines), bool)
    if len(rejected):
        refused = (places >= 0) & (rejected.line[places] == chunk.lines)
    causes, of_refused = np.unique(rejected.cause[places[refused]], return_inverse=True)
    told = [Told("error.csv", one.code, one.message) for one in rejected.causes_at(causes)]
    number = np.zeros(len(chunk.lines), np.int64)
    number[refused] = of_refused
    rest = np.flatnonzero(~np.isin(valid.lines, chunk.lines[refused]))
    used, of_rest = np.unique(fates.of_rows(key_text(valid.keys).take(numbers(rest))), return_inverse=True)
    number[~refused] = len(told) + of_rest
    return number, [*told, *(fates.told[one] for one in used.tolist())]
