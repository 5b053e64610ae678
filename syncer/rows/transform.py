"""The steps that make a field's value of its cells: column by column, on distinct values, never row by row. Pure.

What always holds: the steps come in one order (`rules.Steps`); a blank cell stays blank, unless the map has an entry
for it; a value that a step cannot take is a fault with a code, and is never sent as it stood; a template of which some
parts are blank is a fault too. Regular expressions are RE2's: they take time in proportion to the text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syncer.arrow import as_numpy, numbers, text, texts, truths
from syncer.config.templates import parse_template
from syncer.errors import ConfigError, did_you_mean
from syncer.model import Change
from syncer.rows.rules import KEEP, REJECT, Steps

if TYPE_CHECKING:
    import numpy.typing as npt

UNMAPPED, UNMATCHED, HALF_BLANK = "E320", "E321", "E322"
_GROUP = "value"
SHOWN_CHARACTERS = 60
HINTS_MAX = 100
_BLANK = text("")


@dataclass(frozen=True, slots=True)
class Made:
    """The distinct values of one column of a chunk, before and after its steps.

    ``indices[row]`` is the row's place in ``before`` and ``after``, which are texts without nulls. ``faults`` are code
    and words by place; ``half_blank`` the rows of which a template had some parts only.
    """

    indices: pa.Array
    before: pa.Array
    after: pa.Array
    faults: Mapping[int, tuple[str, str]]
    half_blank: Sequence[int] = ()

    def change(self, field: str, sent: pa.Array | None = None) -> Change:
        """Return what became of which values, and in how many rows; ``sent`` by place, null where a rule refused it."""
        rows = np.bincount(as_numpy(self.indices), minlength=len(self.before))
        rows[[*self.faults]] = 0
        if sent is None:
            return Change(field, self.before, self.after, rows)
        if sent.null_count:
            rows[as_numpy(sent.is_null())] = 0
            sent = pc.fill_null(sent, _BLANK)
        return Change(field, self.before, sent, rows)


class Transformation:
    """The steps of one field. ``columns`` are the header names that it reads.

    Raises `ConfigError` for a regular expression that RE2 does not take. ``changes`` tells whether any step can make
    another value of a cell; ``declared`` whether the configuration says anything of how the field is made;
    ``keeps_days`` that a cell which was a date in its source is one after the steps too.
    """

    def __init__(self, steps: Steps, scm: str, column: str | None = None) -> None:
        self.scm = scm
        self._steps = steps
        origin = ((column,), ("", "")) if column is not None else parse_template(steps.origin or scm)
        self.columns, self._between = origin
        self._only_copies = len(self.columns) == 1 and not any(self._between)
        self.changes = not self._only_copies or any(
            (
                steps.trim, steps.null, steps.strip_prefix, steps.strip_suffix, steps.extract, steps.upper,
                steps.lower, steps.pad, steps.map is not None,
            )
        )  # fmt: skip
        self.declared = self.changes or steps.origin is not None
        self.keeps_days = self._only_copies and steps.extract is None and steps.map is None
        self._prefix = "^(?:" + _any_of(steps.strip_prefix) + ")"
        self._suffix = "(?:" + _any_of(steps.strip_suffix) + r")\z"
        self._null = _texts(steps.null)
        self._extract = "" if steps.extract is None else _with_name(steps.extract)
        self._map_keys, self._map_values = self._mapped()
        self._hints: dict[str, str] = {}
        if self._extract:
            try:
                pc.extract_regex(_texts([""]), self._extract)
            except pa.ArrowInvalid as error:
                raise ConfigError(
                    f"jobs.<name>.fields.{scm}.extract is not taken by RE2, which reads it: {error}",
                    remedy="write it without look-around and references; one group says what is kept",
                ) from None

    def _mapped(self) -> tuple[pa.Array, pa.Array]:
        """Return the map's keys, in the letter case that the steps before give the cells, and its values."""
        steps = self._steps
        keys = _texts([*(steps.map or ())])
        return self._cased(keys), _texts([*(steps.map or {}).values()])

    def make(self, columns: Sequence[pa.DictionaryArray]) -> Made:
        """Take the field's columns of a chunk, as they stand in the file."""
        if self._only_copies:
            (column,) = columns
            return self._stepped(column.indices, column.dictionary, self._cleaned(column.dictionary))
        parts = [self._cleaned(column.dictionary).take(column.indices) for column in columns]
        blank = [as_numpy(_is_blank(part)) for part in parts]
        none = np.logical_and.reduce(blank)
        half = np.logical_or.reduce(blank) & ~none
        pieces = [text(self._between[0])]
        for part, behind in zip(parts, self._between[1:], strict=True):
            pieces += [part, text(behind)]
        joined = pc.binary_join_element_wise(*pieces, _BLANK)
        if none.any() or half.any():
            joined = pc.if_else(truths(none | half), _BLANK, joined)
        encoded = joined.dictionary_encode()
        made = self._stepped(encoded.indices, encoded.dictionary, encoded.dictionary)
        return Made(made.indices, made.before, made.after, made.faults, np.flatnonzero(half).tolist())

    def keeps(self, value: str) -> bool:
        """Tell whether a cell that is this value stays it."""
        if not self.changes:
            return True
        made = self.make([_texts([value]).dictionary_encode()] * len(self.columns))
        return not made.faults and made.after[0].as_py() == value

    def _cleaned(self, values: pa.Array) -> pa.Array:
        """Take white space and the words for nothing away: of each column, before a template joins them."""
        if self._steps.trim:
            values = pc.utf8_trim_whitespace(values)
        if self._steps.null:
            values = pc.if_else(pc.is_in(values, self._null), _BLANK, values)
        return values

    def _cased(self, values: pa.Array) -> pa.Array:
        if self._steps.upper:
            return pc.utf8_upper(values)
        return pc.utf8_lower(values) if self._steps.lower else values

    def _stepped(self, indices: pa.Array, before: pa.Array, values: pa.Array) -> Made:
        steps, faults = self._steps, dict[int, tuple[str, str]]()
        if steps.strip_prefix:
            values = pc.replace_substring_regex(values, self._prefix, "")
        if steps.strip_suffix:
            values = pc.replace_substring_regex(values, self._suffix, "")
        if self._extract:
            found = pc.struct_field(pc.extract_regex(values, self._extract), _GROUP)
            found = pc.fill_null(found, _BLANK)
            lost = (as_numpy(pc.binary_length(found)) == 0) & ~as_numpy(_is_blank(values))
            for place in np.flatnonzero(lost).tolist():
                faults[place] = (UNMATCHED, f"{_shown(before, place)} does not match {steps.extract}")
            values = found
        values = self._cased(values)
        if steps.pad:
            values = pc.if_else(pc.equal(values, _BLANK), _BLANK, pc.utf8_lpad(values, steps.pad, "0"))
        if steps.map is not None:
            values = self._look_up(before, values, faults)
        return Made(indices, before, values, faults)

    def _look_up(self, before: pa.Array, values: pa.Array, faults: dict[int, tuple[str, str]]) -> pa.Array:
        """Return what the map has for each value."""
        places = pc.index_in(values, self._map_keys)
        mapped = self._map_values.take(places)
        unknown = pc.and_(pc.is_null(places), pc.invert(_is_blank(values)))
        otherwise = self._steps.map_else
        if otherwise == REJECT:
            for place in np.flatnonzero(as_numpy(unknown)).tolist():
                if place not in faults:
                    hint = self._hint(values[place].as_py())
                    faults[place] = (UNMAPPED, f"{_shown(before, place)} is not in the map{hint}")
        elif otherwise != KEEP:
            mapped = pc.if_else(unknown, text(otherwise), mapped)
        return pc.coalesce(mapped, values)

    def _hint(self, value: str) -> str:
        """Return a question about the entry that is nearest; of some values only, since looking takes its time."""
        if value not in self._hints and len(self._hints) < HINTS_MAX:
            self._hints[value] = did_you_mean(value, self._steps.map or ())
        return self._hints.get(value, "")


def _is_blank(values: pa.Array) -> pa.BooleanArray:
    return pc.equal(pc.utf8_trim_whitespace(values), _BLANK)


def _texts(values: Sequence[str]) -> pa.Array:
    return texts(values).cast(pa.string())


def _any_of(words: Sequence[str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, reverse=True))  # the longer of two that begin alike first


def _with_name(expression: str) -> str:
    """Return a regular expression whose one group has a name, as Arrow asks; a group that has one gets this one."""
    place, in_class = 0, False
    while place < len(expression):
        sign = expression[place]
        if sign == "\\":
            place += 1
        elif in_class:
            in_class = sign != "]"
        elif sign == "[":
            in_class = True
            place += len(re.match(r"\^?\]?", expression[place + 1 :])[0])  # type: ignore[index]  # it may be empty
        elif sign == "(":
            named = re.match(r"\(\?P?<\w+>", expression[place:])
            if named or expression[place + 1 : place + 2] != "?":
                behind = place + (len(named[0]) if named else 1)
                return f"{expression[:place]}(?P<{_GROUP}>{expression[behind:]}"
        place += 1
    return expression


def _shown(values: pa.Array, place: int) -> str:
    shown = values[place].as_py()
    return repr(shown if len(shown) <= SHOWN_CHARACTERS else shown[:SHOWN_CHARACTERS] + "…")


def merged(made: Made) -> tuple[pa.DictionaryArray, npt.NDArray[np.int32] | None]:
    """Return the values after the steps, each of them once; and which of them each place has (None: its own)."""
    if made.after is made.before:
        return pa.DictionaryArray.from_arrays(made.indices, made.before), None
    encoded = made.after.dictionary_encode()
    codes, rows = as_numpy(encoded.indices), as_numpy(made.indices)
    return pa.DictionaryArray.from_arrays(numbers(codes[rows]), encoded.dictionary), codes
