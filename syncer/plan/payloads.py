"""Distinct sets of SCM data: found by integers, written out once each.

A *payload* is one set of SCM data. Its canonical form is compact JSON with sorted keys; its fingerprint is the
SHA-256 of that form, cut to 16 bytes. Column order, files and rows do not matter to it. Rows carry the number of
their payload, never the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from json.encoder import encode_basestring as _quoted
from typing import TYPE_CHECKING

import numpy as np

from syncer.arrow import as_numpy
from syncer.arrow import numbers as as_arrow
from syncer.mirror.words import fingerprint

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

FOLDED_MAX = 1 << 62


class Payloads:
    """Every distinct payload of a plan, numbered from 0 in the order of first appearance.

    ``data[n]`` is payload *n* in canonical form.
    """

    def __init__(self) -> None:
        self.data: list[str] = []
        self._numbers: dict[str, int] = {}
        self._fingerprints: list[str] = []

    def __len__(self) -> int:
        return len(self.data)

    def number(self, canonical_data: str) -> int:
        """Return the number of a canonical form, giving it the next one when it is new."""
        number = self._numbers.get(canonical_data)
        if number is None:
            number = self._numbers[canonical_data] = len(self.data)
            self.data.append(canonical_data)
        return number

    def known_number(self, canonical_data: str) -> int | None:
        """Return the number of a canonical form; None when it has none."""
        return self._numbers.get(canonical_data)

    def fingerprints(self) -> list[str]:
        """Return the fingerprints of all payloads, by number."""
        self._fingerprints += map(fingerprint, self.data[len(self._fingerprints) :])
        return list(self._fingerprints)

    def encode(self, names: Sequence[str], fields: Sequence[pa.DictionaryArray], rows: int) -> npt.NDArray[np.int32]:
        """Return the payload number of each row of a chunk: shape ``(rows,)``.

        ``fields[i]`` holds field ``names[i]`` of each row as dictionary codes; null leaves the field out. The codes
        of all fields are folded into one integer per row, so Python runs once per distinct set, not per row.
        """
        if rows == 0:
            return np.empty(0, np.int32)
        codes = [_codes(field) for field in fields]
        sets, examples = _distinct(_folded(codes, [len(field.dictionary) + 1 for field in fields], rows))
        parts = [_parts(name, field.dictionary) for name, field in zip(names, fields, strict=True)]
        order = np.argsort(np.asarray(names, object), kind="stable").tolist()
        columns = [[parts[place][code] for code in codes[place][examples]] for place in order]
        rows_of_parts = zip(*columns, strict=True) if columns else [()] * len(examples)
        numbers = [self.number("{" + ",".join(filter(None, row)) + "}") for row in rows_of_parts]
        return np.array(numbers, np.int32)[sets]


def _folded(codes: Sequence[npt.NDArray[np.int64]], sizes: Sequence[int], rows: int) -> npt.NDArray[np.int64]:
    """Fold the codes of all fields into one integer per row that is the same for the same codes only."""
    folded, size = np.zeros(rows, np.int64), 1
    for column, width in zip(codes, sizes, strict=True):
        if size * width > FOLDED_MAX:
            numbers, examples = _distinct(folded)
            folded, size = numbers.astype(np.int64), len(examples)
        folded *= width
        folded += column
        size *= width
    return folded


def _distinct(folded: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Number the distinct integers in the order of their appearance: each row's number, and each number's first row."""
    encoded = as_arrow(folded).dictionary_encode()
    numbers = as_numpy(encoded.indices)
    examples = np.empty(len(encoded.dictionary), np.int64)
    examples[numbers[::-1]] = np.arange(len(folded) - 1, -1, -1)
    return numbers, examples


def _parts(name: str, values: pa.Array) -> list[str]:
    """Write a field with each of its values as it stands in the canonical form; first, nothing for null."""
    head = _quoted(name) + ":"
    return ["", *(head + _quoted(value) for value in values.to_pylist())]


def _codes(field: pa.DictionaryArray) -> npt.NDArray[np.int64]:
    """Return each row's dictionary code plus one, 0 for null."""
    codes = as_numpy(field.indices).astype(np.int64) + 1
    if field.indices.null_count:  # Arrow's own fill_null imports pandas
        codes[as_numpy(field.indices.is_null())] = 0
    return codes
