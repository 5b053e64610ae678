"""Columns of text → valid rows and rejections with codes. Pure.

Rules run once per *distinct* value of a column, not per row. A row is rejected for its first fault in the order key,
then fields by name; its message names every fault. Names that no call may carry are refused for the whole file, since
no row could be right (docs/api.md, "SCM upload, async").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syncer.arrow import as_numpy, numbers, texts, truths
from syncer.errors import ConfigError, SourceError, did_you_mean
from syncer.model import UNIQUE_KEYS, Chunk, Rejection, ValidChunk
from syncer.safe.formulas import EXTRA_COLUMNS

if TYPE_CHECKING:
    import numpy.typing as npt

    from syncer.source import Source

CODES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "E101": ("another number of cells than the header", "add or take out a separator; quote cells that hold one"),
        "E102": ("a quote stands in the middle of a cell, or is not closed", "double it, and quote the whole cell"),
        "E103": ("the row contains a NUL character", "take it out in the source system"),
        "E104": ("behind a damaged quote: a row, or part of a cell", "correct the line that its message names"),
        "E105": ("the last row looks like a total", "leave it out, or name it: jobs.<name>.table.end"),
        "E106": ("bytes that are not of the file's encoding", "correct them in the source system"),
        "E107": ("a line end of another kind within the row", "quote the cell that holds it, or take it out"),
        "E108": ('a cell written as a formula: ="00123"', "jobs.<name>.table.unwrap = true, when it means its text"),
        "E121": ("a number in Excel that may have lost digits", "format the column as text in Excel and export again"),
        "E122": ("a number whose text is not certain", "format the column as text in Excel and export again"),
        "E123": ("a logical value: its text is not certain", "format the column as text in Excel and export again"),
        "E124": ("an error value in Excel, like #N/A", "correct it in Excel and export again"),
        "E125": ("a formula in Excel without its value", "open and save the file in Excel, and export again"),
        "E126": ("a time where a day is expected", "give the day alone, or format the column as text"),
        "E127": ("half a character in Excel", "correct the text in Excel and export again"),
        "E201": ("a key cell is blank", "give every row its key; rows without a code do not belong into the export"),
        "E202": ("a key cell begins or ends with white space", "trim it: the API compares keys exactly"),
        "E203": ("a key cell contains a control or an invisible character", "take it out in the source system"),
        "E210": ("one key stands with different data", "leave the row that is right"),
        "E301": ("a required field is blank", "fill it, or set jobs.<name>.fields.<key>.required = false"),
        "E302": ("blank, and the job rejects blanks", 'fill it, or set jobs.<name>.blank to "omit" or "clear"'),
        "E303": ("not a date of the declared formats", "correct it, or add to jobs.<name>.fields.<key>.formats"),
        "E304": ("not a whole number", "correct it in the source system"),
        "E305": ("not one of the choices", "correct it, or add it to jobs.<name>.fields.<key>.choices"),
        "E306": ("longer than allowed", "shorten it, or raise jobs.<name>.fields.<key>.max_length"),
        "E307": ("not an activation status", "0, 1, 2, inactive, active or blacklisted"),
        "E308": ("not a blacklist reason", "a number from 0 to 10"),
        "E309": ("no product of the company has this SKU or id", "create it in the portal, or correct the cell"),
        "E310": ("nothing to send: every field is blank", 'fill a field, or set jobs.<name>.blank = "clear"'),
    }
)  # fmt: skip
"""Every rejection code: what it means, and what to do. docs/rejections.md shows the same table."""

_STATUS = {"inactive": "0", "active": "1", "blacklisted": "2", "0": "0", "1": "1", "2": "2"}
_FORBIDDEN_DATA = {
    "message": "use extended_id as the key column instead",
    "product_id": "use product instead",
    "status": "use activation_status instead",
    "campaign": "set jobs.<name>.campaign instead",
    "campaign_id": "set jobs.<name>.campaign instead",
}
_FORBIDDEN_KEYS = {
    "message": "use extended_id instead",
    "product": "the API selects no codes by product",
    "product_id": "the API selects no codes by product",
    "campaign": "set jobs.<name>.campaign instead",
    "campaign_id": "set jobs.<name>.campaign instead",
}
_SPECIAL = frozenset({"product", "activation_status", "blacklist_reason"})
RESULT_COLUMNS = frozenset(EXTRA_COLUMNS)
"""Columns that the results folder adds; they are ignored, so that error.csv can be mended and fed in again."""
_INTEGER = re.compile(r"[+-]?[0-9]+")

_EDGE_OR_INVISIBLE = r"^$|^[\s\pZ\x{85}]|[\s\pZ\x{85}]$|[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]"
"""As RE2 writes it: blank, white space of any script at an edge, a control or zero-width character anywhere."""
_MARK = "\ufeff"
"""A byte order mark: where two files were put together, it stands before what was the first cell of the second."""
_DAY = "\0"
"""Stands before the text of a cell that was a date in its source, while rules run; no cell has it (E103)."""

Faults = dict[int, list[tuple[str, str]]]
"""What is wrong with rows of a chunk: codes and words, by row."""
Rule = Callable[[str], tuple[str | None, str | None, str]]
"""From a cell to (what is sent; None: left alone, rejection code or None, words)."""


@dataclass(frozen=True, slots=True)
class FieldRule:
    """Rules of one field, as ``jobs.<name>.fields.<key>`` declares them."""

    type: str = "text"
    formats: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    required: bool = False
    max_length: int | None = None


@dataclass(frozen=True, slots=True)
class RowRules:
    """What a job says about rows. ``key`` and the keys of ``columns`` are names of the CSV header."""

    key: tuple[str, ...]
    columns: Mapping[str, str] | None = None
    blank: str = "omit"
    fields: Mapping[str, FieldRule] = field(default_factory=dict)
    known_fields: frozenset[str] | None = None


def default_key(header: Sequence[str], file: str) -> tuple[str, ...]:
    """Return the key column that a header suggests; raise `ConfigError` when it has none."""
    for name in ("extended_id", "serial_number"):
        if name in header:
            return (name,)
    raise ConfigError(
        f"{file}: no column is named extended_id or serial_number, so nothing says which column selects codes",
        next=f"name it: --key COLUMN, or jobs.<name>.key; the columns are {', '.join(header)}",
    )


class Validator:
    """Checks rows of files whose headers name the same columns, in any order.

    ``keys`` are the key columns' SCM names, ``fields`` the SCM fields in the order of their names; ``wanted`` the
    header names that are read at all; ``notes`` says what was decided about other columns.
    """

    def __init__(self, rules: RowRules, header: Sequence[str], file: str) -> None:
        mapping = _mapping(rules, header, file)
        self._key_columns = rules.key
        self.keys = tuple(mapping[name] for name in rules.key)
        named = {scm: name for name, scm in mapping.items() if name not in rules.key}
        self.notes = _drop_identifiers(named, rules)
        _refuse_names(self.keys, named, rules, file)
        self.fields = tuple(sorted(named))
        self._field_columns = tuple(named[scm] for scm in self.fields)
        self.wanted = (*self._key_columns, *self._field_columns)
        if not self.fields:
            raise ConfigError(
                f"{file}: beside the key there is no column to send", next="add columns, or map them in config.toml"
            )
        of_fields = [rules.fields.get(scm, FieldRule()) for scm in self.fields]
        self._rules = tuple(make_rule(scm, rule, rules.blank) for scm, rule in zip(self.fields, of_fields, strict=True))
        self._keep_text = tuple(_keeps_text(scm, rule) for scm, rule in zip(self.fields, of_fields, strict=True))

    @classmethod
    def for_sources(cls, rules: RowRules, sources: Sequence[Source]) -> Validator:
        """Return the validator of several files; raise `SourceError` when their columns differ."""
        first = cls(rules, sources[0].header, sources[0].name)
        for source in sources[1:]:
            other = cls(rules, source.header, source.name)
            if (other.keys, other.fields) != (first.keys, first.fields):
                different = sorted(set(other.wanted) ^ set(first.wanted))
                raise SourceError(
                    f"its columns differ from those of {sources[0].name} in {', '.join(different)}",
                    file=source.name,
                    line=1,
                    next="sync files with different columns one by one, as jobs of their own",
                )
        return first

    def check(self, chunk: Chunk) -> ValidChunk:
        """Return the valid rows, normalised, and a rejection for each of the others."""
        rows = len(chunk.lines)
        faults: Faults = {}
        keys = [chunk.columns.column(name) for name in self._key_columns]
        self._check_keys(keys, faults)
        arrays = []
        for scm, name, rule, keep in zip(self.fields, self._field_columns, self._rules, self._keep_text, strict=True):
            days = chunk.days.get(name)
            cells = chunk.columns.column(name)
            encoded = (cells if keep or days is None else _mark_days(cells, days)).dictionary_encode()
            sound = keep and _begin_visibly(encoded.dictionary)
            arrays.append(encoded if sound else _apply(scm, encoded, rule, faults))
        if rows:
            _find_empty(arrays, faults)
        bad = sorted(faults)
        rejections = [*chunk.rejections, *(self._reject(chunk, row, keys, faults[row]) for row in bad)]
        lines = chunk.lines
        if bad:
            good = np.ones(rows, bool)
            good[bad] = False
            keep = numbers(np.flatnonzero(good))
            keys = [key.take(keep) for key in keys]
            arrays = [array.take(keep) for array in arrays]
            lines = lines[good]
        return ValidChunk(
            chunk.source, rows + len(chunk.rejections), tuple(keys), tuple(arrays), lines, tuple(rejections)
        )

    def _check_keys(self, keys: Sequence[pa.Array], faults: Faults) -> None:
        for name, column in zip(self._key_columns, keys, strict=True):
            if _surely_sound(column):
                continue
            suspicious = pc.match_substring_regex(column, _EDGE_OR_INVISIBLE)
            for row in np.flatnonzero(as_numpy(suspicious)):
                value = column[int(row)].as_py()
                if not value.strip():
                    fault = ("E201", f"{name} is blank")
                elif value != value.strip():
                    fault = ("E202", f"{name} {value!r} begins or ends with white space")
                else:
                    fault = ("E203", f"{name} {value!r} contains a control or an invisible character")
                _note(faults, int(row), *fault)

    def _reject(self, chunk: Chunk, row: int, keys: Sequence[pa.Array], found: list[tuple[str, str]]) -> Rejection:
        key = " + ".join(column[row].as_py() for column in keys)
        return Rejection(chunk.source, int(chunk.lines[row]), found[0][0], "; ".join(words for _, words in found), key)


def _surely_sound(column: pa.Array) -> bool:
    """Tell quickly that no cell is blank and none has white space or a control character; False: look closer."""
    _, offset_buffer, data_buffer = column.buffers()
    if offset_buffer is None or data_buffer is None or column.type != pa.string():
        return False
    offsets = np.frombuffer(offset_buffer, np.int32)[column.offset : column.offset + len(column) + 1]
    data = np.frombuffer(data_buffer, np.uint8)[offsets[0] : offsets[-1]]
    return bool((data > ord(" ")).all() and (data < 0x7F).all() and (offsets[1:] > offsets[:-1]).all())  # noqa: PLR2004


def _mark_days(cells: pa.Array, days: npt.NDArray[np.bool_]) -> pa.Array:
    """Return the cells with `_DAY` before each that was a date in its source: no declared format has to fit it."""
    marks = pc.if_else(truths(days), _DAY, "")
    return pc.binary_join_element_wise(marks, cells, "")


def _note(faults: Faults, row: int, code: str, words: str) -> None:
    faults.setdefault(row, []).append((code, words))


def _begin_visibly(values: pa.Array) -> bool:
    """Tell quickly that every text begins with a visible ASCII character, so that none is blank; False: look closer."""
    _, offset_buffer, data_buffer = values.buffers()
    if offset_buffer is None or data_buffer is None or values.type != pa.string():
        return False
    offsets = np.frombuffer(offset_buffer, np.int32)[values.offset : values.offset + len(values) + 1]
    if not (offsets[1:] > offsets[:-1]).all():
        return False
    first = np.frombuffer(data_buffer, np.uint8)[offsets[:-1]]
    return bool(((first > ord(" ")) & (first < 0x7F)).all())  # noqa: PLR2004


def _apply(scm: str, encoded: pa.DictionaryArray, rule: Rule, faults: Faults) -> pa.DictionaryArray:
    """Run a rule on the distinct cells of a column; return the normalised column and note the faults by row."""
    outcomes = [rule(value) for value in encoded.dictionary.to_pylist()]
    wrong = [code for code, (_, fault, _) in enumerate(outcomes) if fault is not None]
    indices = as_numpy(encoded.indices)
    if wrong:
        for row in np.flatnonzero(np.isin(indices, wrong)):
            _, fault, words = outcomes[indices[row]]
            _note(faults, int(row), str(fault), f"{scm} {words}")
    distinct: dict[str, int] = {}
    codes = [-1 if sent is None else distinct.setdefault(sent, len(distinct)) for sent, _, _ in outcomes]
    mapped: npt.NDArray[np.int32] = np.array(codes, np.int32)[indices] if len(indices) else indices
    return pa.DictionaryArray.from_arrays(numbers(mapped, mapped >= 0), texts(list(distinct)).cast(pa.string()))


def _find_empty(arrays: Sequence[pa.DictionaryArray], faults: Faults) -> None:
    """Reject rows in which every field is left alone: there is nothing to send."""
    empty: npt.NDArray[np.bool_] | None = None
    for array in arrays:
        if array.null_count == 0:
            return
        nulls = as_numpy(array.is_null())
        empty = nulls if empty is None else empty & nulls
    if empty is not None:
        for row in np.flatnonzero(empty):
            if row not in faults:
                _note(faults, int(row), "E310", "every field is blank: there is nothing to send")


def _mapping(rules: RowRules, header: Sequence[str], file: str) -> dict[str, str]:
    """Return header name → SCM key for every column that matters."""
    for name in rules.key:
        if name not in header:
            raise ConfigError(
                f"{file}: the key column {name!r} is not in the header{did_you_mean(name, header)}",
                next=f"the columns are {', '.join(header)}; name the right one: --key COLUMN or jobs.<name>.key",
            )
    if rules.columns is None:
        return {name: name for name in header if name not in RESULT_COLUMNS}
    missing = [name for name in rules.columns if name not in header]
    if missing:
        raise SourceError(
            f"columns of jobs.<name>.columns are missing: {', '.join(missing)}{did_you_mean(missing[0], header)}",
            file=file, line=1, next="correct the export, or jobs.<name>.columns",
        )  # fmt: skip
    mapping = {name: scm for name, scm in rules.columns.items() if name in header}
    for name in rules.key:
        mapping.setdefault(name, name)
    twice = sorted({scm for scm in mapping.values() if list(mapping.values()).count(scm) > 1})
    if twice:
        raise ConfigError(f"jobs.<name>.columns maps two columns to {', '.join(twice)}")
    return mapping


def _drop_identifiers(named: dict[str, str], rules: RowRules) -> tuple[str, ...]:
    """Identifiers cannot be written. Without a mapping, a second one is a fact about the code, and is left out."""
    if rules.columns is not None:
        return ()
    dropped = sorted(UNIQUE_KEYS & named.keys())
    for scm in dropped:
        del named[scm]
    return tuple(f"column {scm} is not sent: identifiers of codes cannot be changed" for scm in dropped)


def _refuse_names(keys: Sequence[str], named: Mapping[str, str], rules: RowRules, file: str) -> None:
    faults = [f"{key!r} cannot select codes: {_FORBIDDEN_KEYS[key]}" for key in keys if key in _FORBIDDEN_KEYS]
    if len(set(keys)) < len(keys):
        faults.append("a key column is named twice")
    for scm, name in named.items():
        column = f"column {name!r}" if scm == name else f"column {name!r} ({scm})"
        if scm in _FORBIDDEN_DATA:
            faults.append(f"{column} cannot be sent: {_FORBIDDEN_DATA[scm]}")
        elif scm in UNIQUE_KEYS or scm in keys:
            faults.append(f"{column} cannot be sent: identifiers of codes cannot be changed")
        elif rules.known_fields is not None and scm not in rules.known_fields and scm not in _SPECIAL:
            faults.append(
                f"{column} is not a field of the campaign{did_you_mean(scm, sorted(rules.known_fields))}: "
                "the API would discard it silently"
            )
    faults += [
        f"jobs.<name>.fields.{scm} is no field of this file{did_you_mean(scm, list(named))}"
        for scm, rule in rules.fields.items()
        if scm not in named and rule.required
    ]
    if faults:
        raise ConfigError(f"{file}: " + "; ".join(faults), next="map or leave out columns: [jobs.<name>.columns]")


def make_rule(scm: str, rule: FieldRule, blank: str) -> Rule:
    """Return the function that checks and normalises one cell of a field."""
    value_rule: Rule
    if scm == "activation_status":
        value_rule = _status
    elif scm == "blacklist_reason":
        value_rule = _reason
    elif rule.type == "date":
        value_rule = partial(_date, formats=rule.formats)
    elif rule.type == "integer":
        value_rule = _integer
    elif rule.type == "choice":
        value_rule = partial(_choice, choices=rule.choices)
    else:
        value_rule = _text

    def check(cell: str) -> tuple[str | None, str | None, str]:
        if cell.startswith(_MARK):
            return None, "E203", "begins with the mark that stands before a file: were two files put together?"
        if cell.startswith(_DAY):
            cell = cell[len(_DAY) :]
            value = _text if rule.type == "date" else value_rule
        else:
            value = value_rule
        if not cell.strip():
            if rule.required:
                return None, "E301", "is required and blank"
            if blank == "reject":
                return None, "E302", "is blank"
            return (None if blank == "omit" else ""), None, ""
        if rule.max_length is not None and len(cell) > rule.max_length:
            return None, "E306", f"has {len(cell)} characters, {rule.max_length} are allowed"
        return value(cell)

    return check


def _keeps_text(scm: str, rule: FieldRule) -> bool:
    """Tell whether the rule of a field sends every cell that is not blank as it stands."""
    return scm not in {"activation_status", "blacklist_reason"} and rule.type == "text" and rule.max_length is None


def _text(cell: str) -> tuple[str | None, str | None, str]:
    return cell, None, ""


def _status(cell: str) -> tuple[str | None, str | None, str]:
    status = _STATUS.get(cell.strip().lower())
    if status is None:
        return None, "E307", f"{cell!r} is not 0, 1, 2, inactive, active or blacklisted"
    return status, None, ""


def _reason(cell: str) -> tuple[str | None, str | None, str]:
    reason = cell.strip()
    if not (reason.isascii() and reason.isdigit() and int(reason) <= 10):  # noqa: PLR2004  [P]: 0 to 10
        return None, "E308", f"{cell!r} is not a number from 0 to 10"
    return str(int(reason)), None, ""


def _date(cell: str, *, formats: Sequence[str]) -> tuple[str | None, str | None, str]:
    for form in formats:
        try:
            return datetime.strptime(cell.strip(), form).date().isoformat(), None, ""  # noqa: DTZ007  a calendar day
        except ValueError:
            continue
    return None, "E303", f"{cell!r} is not a date like {' or '.join(formats)}"


def _integer(cell: str) -> tuple[str | None, str | None, str]:
    if not _INTEGER.fullmatch(cell.strip()):
        return None, "E304", f"{cell!r} is not a whole number"
    return cell.strip(), None, ""


def _choice(cell: str, *, choices: Sequence[str]) -> tuple[str | None, str | None, str]:
    if cell not in choices:
        return None, "E305", f"{cell!r} is not one of {', '.join(choices)}{did_you_mean(cell, choices)}"
    return cell, None, ""
