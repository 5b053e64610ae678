"""Distinct sets of SCM data: found by integers, written out once each.

A *payload* is one set of SCM data. Its canonical form is compact JSON with sorted keys; its fingerprint is the
SHA-256 of that form, cut to 16 bytes. Column order, files and rows do not matter to it. Rows carry the number of
their payload, never the data.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

FINGERPRINT_BYTES = 16


def canonical(data: Mapping[str, str]) -> str:
    """Write SCM data in its one canonical form: ``{"a":"1","b":"2"}``."""
    return json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def fingerprint(canonical_data: str) -> str:
    """Return the 32 hex digits that stand for a canonical form."""
    return hashlib.sha256(canonical_data.encode()).hexdigest()[: 2 * FINGERPRINT_BYTES]


class Payloads:
    """Every distinct payload of a plan, numbered from 0 in the order of first appearance.

    ``data[n]`` is payload *n* in canonical form.
    """

    def __init__(self) -> None:
        self.data: list[str] = []
        self._numbers: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.data)

    def number(self, canonical_data: str) -> int:
        """Return the number of a canonical form, giving it the next one when it is new."""
        number = self._numbers.setdefault(canonical_data, len(self.data))
        if number == len(self.data):
            self.data.append(canonical_data)
        return number

    def fingerprints(self) -> list[str]:
        """Return the fingerprints of all payloads, by number."""
        return [fingerprint(data) for data in self.data]

    def encode(self, names: Sequence[str], fields: Sequence[pa.DictionaryArray], rows: int) -> npt.NDArray[np.int32]:
        """Return the payload number of each row of a chunk: shape ``(rows,)``.

        ``fields[i]`` holds field ``names[i]`` of each row as dictionary codes; null leaves the field out. The codes
        of all fields are folded into one integer per row, so Python runs once per distinct set, not per row.
        """
        if rows == 0:
            return np.empty(0, np.int32)
        codes = [_codes(field) for field in fields]
        folded = np.zeros(rows, np.int64)
        for column, field in zip(codes, fields, strict=True):
            folded *= len(field.dictionary) + 1
            folded += column
            _, folded = np.unique(folded, return_inverse=True)  # keeps the integer small for any number of fields
        _, examples, inverse = np.unique(folded, return_index=True, return_inverse=True)
        by_appearance = np.argsort(examples)
        texts = [field.dictionary.to_pylist() for field in fields]
        numbers = np.empty(len(examples), np.int32)
        for distinct in by_appearance:
            row = examples[distinct]
            data = {
                name: values[column[row] - 1]
                for name, values, column in zip(names, texts, codes, strict=True)
                if column[row]
            }
            numbers[distinct] = self.number(canonical(data))
        return numbers[inverse]


def _codes(field: pa.DictionaryArray) -> npt.NDArray[np.int64]:
    """Return each row's dictionary code plus one, 0 for null."""
    indices = field.indices
    if indices.null_count:
        indices = indices.fill_null(-1)
    return np.asarray(indices.to_numpy(zero_copy_only=False), np.int64) + 1
