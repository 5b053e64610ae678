"""Distinct sets of SCM data: found by integers, written out once each.

A *payload* is one set of SCM data. Its canonical form is compact JSON with sorted keys; its fingerprint is the
SHA-256 of that form, cut to 16 bytes. Column order, files and rows do not matter to it. Rows carry the number of
their payload, never the data.
"""

from __future__ import annotations

from itertools import islice
from json.encoder import encode_basestring as _quoted
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syncer.arrow import as_numpy, buffers, text, texts
from syncer.arrow import numbers as as_arrow
from syncer.mirror.words import NOTHING, fields_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import numpy.typing as npt

    Places = npt.NDArray[np.int64]

FOLDED_MAX = 1 << 64
"""So many combinations are told apart by an integer of 64 bits."""
_SPECIAL_BELOW = ord(" ")
"""A text with a byte below this, a quote or a backslash is written with escapes."""


class Named(NamedTuple):
    """Which fields payloads name: ``lists[of[n]]`` are those of payload *n*, in the order of its text."""

    of: npt.NDArray[np.int32]
    lists: Sequence[tuple[str, ...]]

    def any_of(self, fields: Collection[str]) -> npt.NDArray[np.bool_]:
        """Tell which payloads name one of some fields."""
        wanted = frozenset(fields)
        return np.array([not wanted.isdisjoint(one) for one in self.lists], bool)[self.of]


class Payloads:
    """Every distinct payload of a plan, numbered from 0 in the order of first appearance.

    ``data[n]`` is payload *n* in canonical form.
    """

    def __init__(self) -> None:
        self.data: list[str] = []
        self._numbers: dict[str, int] = {}
        self._lists: dict[tuple[str, ...], int] = {}
        self._lists_of: list[npt.NDArray[np.int32]] = []
        self._listed = 0

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

    def named(self) -> Named:
        """Return which fields each payload names."""
        self._list()
        self._lists_of = [np.concatenate(self._lists_of)]
        return Named(self._lists_of[0], list(self._lists))

    def _list(self) -> None:
        """Note which fields those payloads name that were met since."""
        self._add([tuple(fields_of(one)) for one in self.data[self._listed :]])

    def _add(self, lists: Sequence[tuple[str, ...]], of: npt.NDArray[np.int32] | None = None) -> None:
        """Take what the next payloads name: a list each, or the list with the number that ``of`` has for each."""
        numbers = np.array([self._lists.setdefault(one, len(self._lists)) for one in lists], np.int32)
        self._lists_of.append(numbers if of is None else numbers[of])
        self._listed += len(self._lists_of[-1])

    def encode(self, names: Sequence[str], fields: Sequence[pa.DictionaryArray], rows: int) -> npt.NDArray[np.int32]:
        """Return the payload number of each row of a chunk: shape ``(rows,)``.

        ``fields[i]`` holds field ``names[i]`` of each row as dictionary codes; null leaves the field out. The codes
        of all fields are folded into one integer per row, so texts are made once per distinct set, not per row.
        """
        if rows == 0:
            return np.empty(0, np.int32)
        codes = [_codes(field) for field in fields]
        sets, examples = _distinct(_folded(codes, rows))
        order = sorted(range(len(names)), key=names.__getitem__)
        names, fields = [names[place] for place in order], [fields[place] for place in order]
        codes = [codes[place][examples] for place in order]
        return self._numbered(_texts(names, fields, examples), names, codes)[sets]

    def _numbered(self, written: Sequence[str], names: Sequence[str], codes: Sequence[Places]) -> npt.NDArray[np.int32]:
        """Return the numbers of texts, whose fields are named where a code is greater than 0."""
        before, known = len(self.data), self._numbers
        self._list()
        numbers = np.array([known.setdefault(one, len(known)) for one in written], np.int32)
        new = len(known) - before
        if new:
            self.data += reversed([*islice(reversed(known), new)])
            fresh = np.flatnonzero(numbers >= before)
            there = [(column[fresh] > 0).astype(np.int64) for column in codes]
            lists, examples = _distinct(_folded(there, len(fresh)))
            found = [tuple(n for n, is_there in zip(names, there, strict=True) if is_there[one]) for one in examples]
            of = np.empty(new, np.int32)
            of[numbers[fresh] - before] = lists
            self._add(found, of)
        return numbers


def _texts(names: Sequence[str], fields: Sequence[pa.DictionaryArray], rows: Places) -> list[str]:
    """Write the data of some rows of a chunk in canonical form; the names are in its order."""
    if not fields:
        return [NOTHING] * len(rows)
    places = as_arrow(rows)
    words = [
        _words(name, field.dictionary).take(field.indices.take(places))
        for name, field in zip(names, fields, strict=True)
    ]
    joined = pc.binary_join_element_wise(*words, text(""), null_handling="replace")
    opened = pc.utf8_replace_slice(joined, 0, 1, "{")  # in place of the first comma; where there is none, before it all
    whole: list[str] = pc.binary_join_element_wise(opened, text("}"), text("")).to_pylist()
    return whole


def _words(name: str, values: pa.Array) -> pa.StringArray:
    """Write a field with each of its values as it stands in the canonical form, a comma before it."""
    head = f",{_quoted(name)}:"
    offsets, data = buffers(values.cast(pa.large_string()))
    found = data[offsets[0] : offsets[-1]]
    if ((found < _SPECIAL_BELOW) | (found == ord('"')) | (found == ord("\\"))).any():
        return texts([head + _quoted(value) for value in values.to_pylist()]).cast(pa.string())
    return pc.binary_join_element_wise(text(f'{head}"'), values.cast(pa.string()), text('"'), text(""))


def _folded(codes: Sequence[npt.NDArray[np.int64]], rows: int) -> npt.NDArray[np.int64]:
    """Fold the codes of all fields into one integer per row that is the same for the same codes only."""
    folded, size = np.zeros(rows, np.int64), 1
    for column in codes:
        width = int(column.max()) + 1
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


def _codes(field: pa.DictionaryArray) -> npt.NDArray[np.int64]:
    """Return each row's dictionary code plus one, 0 for null."""
    codes = as_numpy(field.indices).astype(np.int64) + 1
    if field.indices.null_count:  # Arrow's own fill_null imports pandas
        codes[as_numpy(field.indices.is_null())] = 0
    return codes
