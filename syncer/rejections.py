"""Rows of the input that are not sent, and why: as columns, since there may be as many of them as rows.

What always holds: a cause stands once for all rows that share it; an object is made of a row only while somebody looks
at it. Nothing here decides that a row is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syncer.arrow import as_numpy, numbers, texts
from syncer.errors import ANY_JOB

if TYPE_CHECKING:
    import numpy.typing as npt

BLOCK_ROWS = 10_000
"""Rows, or causes, that are objects at one time."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """One input row that is not sent, and why."""

    source: int
    """Position of the file on the command line, from 0."""
    line: int
    """Physical line on which the row starts, from 1; the header stands on line 1."""
    code: str
    """Stable code: ``E101`` …, listed in docs/rejections.md with a remedy each."""
    message: str
    """What is wrong with which column, and what would be right."""
    key: str = ""
    """The row's key text as far as it could be read."""
    cells: tuple[str, ...] = ()
    """Of a row that the reader could not take: its cells as far as they could be split. Empty for all others."""
    value: str = ""
    """The value that is wrong, where it is one; rows with the same one are counted together."""
    wrong: tuple[int, ...] = ()
    """The places in `cells` of those for which the reader could not take the row, from 0; empty: it is the row."""


class RejectionCause(NamedTuple):
    """Why rows are rejected: the members of a `Rejection` that rows share."""

    code: str
    message: str
    value: str = ""


class Rejections(Sequence[Rejection]):
    """Rejected rows: ``source``, ``line``, ``key`` and ``cause`` have an entry per row, and ``cause`` numbers `causes`.

    Seen as a sequence, it gives a `Rejection` per row, without the cells that the reader saw.
    """

    __slots__ = ("cause", "causes", "key", "line", "source")

    def __init__(
        self,
        source: npt.NDArray[np.int16],
        line: npt.NDArray[np.int64],
        key: pa.LargeStringArray,
        cause: npt.NDArray[np.int64],
        causes: pa.Table,
    ) -> None:
        self.source, self.line, self.key, self.cause, self.causes = source, line, key, cause, causes

    @classmethod
    def of_rows(
        cls,
        source: npt.NDArray[np.int16],
        line: npt.NDArray[np.int32] | npt.NDArray[np.int64],
        key: pa.Array,
        cause: npt.NDArray[np.int64],
        causes: Sequence[RejectionCause],
    ) -> Rejections:
        """Return rows as columns: row *i* was rejected for ``causes[cause[i]]``."""
        columns = {name: texts([one[place] for one in causes]) for place, name in enumerate(RejectionCause._fields)}
        key = key.cast(pa.large_string())
        return cls(source.astype(np.int16), line.astype(np.int64), key, cause.astype(np.int64), pa.table(columns))

    @classmethod
    def of(cls, rows: Sequence[Rejection]) -> Rejections:
        """Return rows that were found one by one."""
        causes: dict[RejectionCause, int] = {}
        cause = [causes.setdefault(RejectionCause(row.code, row.message, row.value), len(causes)) for row in rows]
        source, line = np.array([row.source for row in rows], np.int16), np.array([row.line for row in rows], np.int64)
        return cls.of_rows(source, line, texts([row.key for row in rows]), np.array(cause, np.int64), [*causes])

    @classmethod
    def together(cls, parts: Sequence[Rejections]) -> Rejections:
        """Return the rows of all parts, one after the other."""
        parts = [part for part in parts if len(part)]
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return cls.of(())
        first = np.cumsum([0, *(len(part.causes) for part in parts[:-1])])
        return cls(
            np.concatenate([part.source for part in parts]),
            np.concatenate([part.line for part in parts]),
            pa.concat_arrays([part.key for part in parts]),
            np.concatenate([part.cause + begin for part, begin in zip(parts, first, strict=True)]),
            pa.concat_tables([part.causes for part in parts]).combine_chunks(),
        )

    def of_job(self, job: str) -> Rejections:
        """Return the rows with messages that name the job whose settings help."""
        place = self.causes.schema.get_field_index("message")
        messages = pc.replace_substring(self.causes.column(place), ANY_JOB, f"jobs.{job}")
        causes = self.causes.set_column(place, "message", messages)
        return Rejections(self.source, self.line, self.key, self.cause, causes)

    def in_order(self) -> Rejections:
        """Return the rows in the order of the files and their lines."""
        order = np.lexsort((self.line, self.source))
        return self if (order[1:] > order[:-1]).all() else self._chosen(order)

    def of_source(self, source: int) -> Rejections:
        """Return the rows of one file, of rows that are in order."""
        begin, end = np.searchsorted(self.source, [source, source + 1])
        return self._chosen(np.arange(begin, end))

    def _chosen(self, rows: npt.NDArray[np.int64]) -> Rejections:
        key = self.key.take(numbers(rows))
        return Rejections(self.source[rows], self.line[rows], key, self.cause[rows], self.causes)

    def by_kind(self, most: int) -> list[tuple[str, int, int, list[tuple[str, int, int]]]]:
        """Return per code: how many rows, the first one's place, and the same of its ``most`` most frequent values.

        The most frequent come first; of those that are as frequent, what stands first.
        """
        places = np.arange(len(self))
        first = np.full(len(self.causes), len(self), np.int64)
        first[self.cause[::-1]] = places[::-1]  # of several places the one that is written last stays
        rows = numbers(np.bincount(self.cause, minlength=len(self.causes)))
        counted = _summed(self.causes.select(["code", "value"]), rows, numbers(first))
        by_code = counted.column("code").combine_chunks().dictionary_encode()
        found = []
        for number, code in enumerate(by_code.dictionary.to_pylist()):
            values = counted.take(numbers(np.flatnonzero(as_numpy(by_code.indices) == number)))
            shown = values.slice(0, most)
            named = list(zip(*(shown.column(name).to_pylist() for name in ("value", "rows", "first")), strict=True))
            found.append((code, pc.sum(values["rows"]).as_py(), pc.min(values["first"]).as_py(), named))
        return sorted(found, key=lambda one: (-one[1], one[2]))

    def __len__(self) -> int:
        return len(self.line)

    @overload
    def __getitem__(self, place: int) -> Rejection: ...
    @overload
    def __getitem__(self, place: slice) -> Rejections: ...
    def __getitem__(self, place: int | slice) -> Rejection | Rejections:
        rows = np.arange(len(self))[place]
        return self._chosen(rows) if isinstance(place, slice) else next(self._objects(np.array([rows])))

    def __iter__(self) -> Iterator[Rejection]:
        for begin in range(0, len(self), BLOCK_ROWS):
            yield from self._objects(np.arange(begin, min(begin + BLOCK_ROWS, len(self))))

    def causes_at(self, places: npt.NDArray[np.int64]) -> list[RejectionCause]:
        """Return some of the `causes`, by their places."""
        chosen = self.causes.take(numbers(places))
        columns = (chosen.column(name).to_pylist() for name in RejectionCause._fields)
        return [RejectionCause(*one) for one in zip(*columns, strict=True)]

    def _objects(self, rows: npt.NDArray[np.int64]) -> Iterator[Rejection]:
        places = self.source[rows].tolist(), self.line[rows].tolist()
        keys, causes = self.key.take(numbers(rows)).to_pylist(), self.causes_at(self.cause[rows])
        for source, line, key, cause in zip(*places, keys, causes, strict=True):
            yield Rejection(source, line, cause.code, cause.message, key, value=cause.value)


def _summed(values: pa.Table, rows: pa.Array, first: pa.Array) -> pa.Table:
    """Return each value once, with its ``rows`` summed up and its ``first`` place; the most frequent ones first."""
    folded = np.zeros(len(values), np.int64)
    for column in values.columns:  # Arrow's own grouping imports pandas
        encoded = column.combine_chunks().dictionary_encode(null_encoding="encode")
        _, folded = np.unique(folded * len(encoded.dictionary) + as_numpy(encoded.indices), return_inverse=True)
    _, examples = np.unique(folded, return_index=True)
    summed = np.zeros(len(examples), np.int64)
    np.add.at(summed, folded, as_numpy(rows))
    least = np.full(len(examples), np.iinfo(np.int64).max)
    np.minimum.at(least, folded, as_numpy(first))
    order = np.lexsort((least, -summed))
    counted = values.take(numbers(examples[order]))
    return counted.append_column("rows", numbers(summed[order])).append_column("first", numbers(least[order]))


def shown_cells(columns: Sequence[pa.Array], between: str) -> pa.LargeStringArray:
    """Join the cells of each row, as people are shown them."""
    columns = [column.cast(pa.large_string()) for column in columns]
    if len(columns) == 1:
        return columns[0]
    return pc.binary_join_element_wise(*columns, texts([between])[0])
