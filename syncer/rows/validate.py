"""Columns of text → valid rows and rejections with codes. Pure.

The steps and rules of a field run once per *distinct* value of a column, not per row. A row is rejected for its first
fault in the order key, then fields by name; its message names every fault.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syncer.arrow import as_numpy, numbers, texts
from syncer.errors import ConfigError, SourceError, did_you_mean
from syncer.model import Change, Chunk, ValidChunk
from syncer.rejections import RejectionCause, Rejections, shown_cells
from syncer.rows.changes import ChangeWatch
from syncer.rows.columns import read_columns
from syncer.rows.days import DAY as _DAY
from syncer.rows.days import marked_days, texts_of_day
from syncer.rows.headers import HEADER_AGAIN, WORDS, rows_of_names
from syncer.rows.noting import Notes
from syncer.rows.rules import FieldRule, RowRules
from syncer.rows.sound import begin_visibly, surely_sound
from syncer.rows.transform import HALF_BLANK, Made, Transformation, merged

if TYPE_CHECKING:
    import numpy.typing as npt

    from syncer.source import Source

_STATUS = {"inactive": "0", "active": "1", "blacklisted": "2", "0": "0", "1": "1", "2": "2"}
_INTEGER = re.compile(r"[+-]?[0-9]+")
_REASON = re.compile("0*(10|[0-9])")  # [P]
_FIGURES_ALONE = re.compile("%[dmYyjHMSIGVu]%[dmYyjHMSIGVu]")
_FIRST_YEAR = 1000  # before it are two digits that were filled up, or a program's word for nothing

_NOT_SHOWN = (
    r"\p{Cc}\p{Cf}\p{Zl}\p{Zp}\x{34f}\x{115f}\x{1160}\x{17b4}\x{17b5}\x{180b}-\x{180f}\x{2800}\x{3164}\x{ffa0}"
    r"\x{fe00}-\x{fe0f}\x{e0100}-\x{e01ef}"
)
"""What nobody sees: controls, zero-width characters, letters that are blank, and those that choose between glyphs."""
_EDGE_OR_INVISIBLE = rf"^$|^[\s\pZ\x{{85}}]|[\s\pZ\x{{85}}]$|[{_NOT_SHOWN}]"
"""As RE2 writes it: blank, white space of any script at an edge, what nobody sees anywhere."""
_MARK = "\ufeff"
"""A byte order mark: where two files were put together, it stands before what was the first cell of the second."""

Rule = Callable[[str], tuple[str | None, str | None, str]]
"""From a cell to (what is sent; None: left alone, rejection code or None, words)."""


class Validator:
    """Checks rows of files whose headers name the same columns, in any order.

    ``keys`` are the key columns' SCM names, sorted; ``fields`` the SCM fields in the order of their names; ``wanted``
    the header names that are read at all; ``notes`` says what was decided about other columns.
    """

    def __init__(self, rules: RowRules, header: Sequence[str], file: str) -> None:
        columns = read_columns(rules, header, file)
        self.notes = columns.notes
        self.wanted = columns.wanted
        self._keys = sorted(columns.keys, key=lambda one: one.scm)  # a code space is a set of columns
        self.keys = tuple(one.scm for one in self._keys)
        self.fields = tuple(sorted([*(one.scm for one in columns.fields), *rules.constants]))
        self._transformations = {one.scm: one for one in columns.fields}
        of_fields = {scm: rules.fields.get(scm, FieldRule()) for scm in self.fields}
        self._rules = {scm: make_rule(scm, rule, rules.blank) for scm, rule in of_fields.items()}
        self._formats = {scm: rule.formats if rule.type == "date" else () for scm, rule in of_fields.items()}
        self._keep_text = {scm: _keeps_text(scm, rule) for scm, rule in of_fields.items()}
        self._constants = {scm: self._constant(scm, value) for scm, value in rules.constants.items()}

    def watch(self) -> ChangeWatch:
        """Return what counts the changes that this validator's steps make to the cells of a run."""
        shown = [one for one in (*self._keys, *self._transformations.values()) if one.declared]
        constants = {scm: value[0].as_py() for scm, value in self._constants.items()}
        return ChangeWatch({one.scm: " + ".join(one.columns) for one in shown}, constants)

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
                    remedy="sync files with different columns one by one, as jobs of their own",
                )
        return first

    def _constant(self, scm: str, value: str) -> pa.Array:
        sent, fault, words = self._rules[scm](value)
        if fault is not None or sent is None:
            raise ConfigError(f"jobs.<name>.constants.{scm} {words or 'is blank'}")
        return texts([sent]).cast(pa.string())

    def check(self, chunk: Chunk) -> ValidChunk:
        """Return the valid rows, transformed and normalised, and a rejection for each of the others."""
        rows = len(chunk.lines)
        faults = Notes(rows)
        changes: list[Change] = []
        keys = [self._key(one, chunk, faults, changes) for one in self._keys]
        faults.note_alike(rows_of_names(chunk.columns, self.wanted), HEADER_AGAIN, WORDS)
        self._check_keys(keys, faults)
        encoded: dict[str, pa.DictionaryArray] = {}
        arrays = [self._field(scm, chunk, encoded, faults, changes) for scm in self.fields]
        lines, good, rejections = chunk.lines, ~faults.faulty, Rejections.of(chunk.rejections)
        if not good.all():
            rejections = Rejections.together([rejections, self._rejected(chunk, keys, faults)])
            keep = numbers(np.flatnonzero(good))
            keys = [key.take(keep) for key in keys]
            arrays = [array.take(keep) for array in arrays]
            lines = lines[good]
        read = rows + len(chunk.rejections)
        return ValidChunk(chunk.source, read, tuple(keys), tuple(arrays), lines, rejections, tuple(changes))

    def _key(self, one: Transformation, chunk: Chunk, faults: Notes, changes: list[Change]) -> pa.Array:
        """Return one part of the key of each row. Keys are hardly ever alike: their steps run row by row."""
        columns = [chunk.columns.column(name) for name in one.columns]
        if not one.changes:
            return columns[0]
        places = numbers(np.arange(len(chunk.lines), dtype=np.int32))
        made = one.make([pa.DictionaryArray.from_arrays(places, column) for column in columns])
        _note_steps(one.scm, made, faults)
        changes.append(made.change(one.scm))
        return made.after.take(made.indices)

    def _field(
        self,
        scm: str,
        chunk: Chunk,
        encoded: dict[str, pa.DictionaryArray],
        faults: Notes,
        changes: list[Change],
    ) -> pa.DictionaryArray:
        """Return the normalised values of one field; `encoded` keeps columns, since several fields may share one."""
        if scm in self._constants:
            return pa.DictionaryArray.from_arrays(numbers(np.zeros(len(chunk.lines), np.int32)), self._constants[scm])
        one = self._transformations[scm]
        marked = one.keeps_days and not self._keep_text[scm] and one.columns[0] in chunk.days
        columns = [self._encoded(chunk, name, encoded, marked=marked) for name in one.columns]
        if not one.declared:
            column = columns[0]
            return column if self._is_sound(scm, column) else _apply(scm, column, self._rules[scm], faults).values
        made = one.make(columns)
        if marked:
            made = replace(made, before=pc.replace_substring(made.before, _DAY, ""))
        column, codes = merged(made)
        lost = _note_steps(scm, made, faults)
        if self._is_sound(scm, column):
            changes.append(made.change(scm))
            return column
        applied = _apply(scm, column, self._rules[scm], faults, lost)
        changes.append(made.change(scm, applied.sent if codes is None else applied.sent.take(numbers(codes))))
        return applied.values

    @staticmethod
    def _encoded(
        chunk: Chunk, name: str, encoded: dict[str, pa.DictionaryArray], *, marked: bool
    ) -> pa.DictionaryArray:
        """Return a column by its distinct cells; ``marked``: with `_DAY` before those that were dates in the source."""
        known = _DAY + name if marked else name
        if known not in encoded:
            cells = chunk.columns.column(name)
            encoded[known] = (marked_days(cells, chunk.days[name]) if marked else cells).dictionary_encode()
        return encoded[known]

    def _is_sound(self, scm: str, column: pa.DictionaryArray) -> bool:
        return self._keep_text[scm] and begin_visibly(column.dictionary)

    def day_text(self, column: str, day: str) -> str:
        """Return a day (YYYY-MM-DD) as a text of a column that is read as that day: as it stands, if it is."""
        if any(column in key.columns for key in self._keys):
            return day
        fields = [one for one in self._transformations.values() if column in one.columns]
        forms = [*dict.fromkeys(form for one in fields for form in self._formats[one.scm])]
        meant = [self._of_cell(one, day, is_day=True) for one in fields]
        written = (text for text in texts_of_day(day, forms) if meant == [self._of_cell(one, text) for one in fields])
        return next(written, day)

    def _of_cell(self, one: Transformation, cell: str, *, is_day: bool = False) -> tuple[str | None, str | None]:
        """Return what a field becomes of a cell of one of its columns, or the code for which it is rejected."""
        marked = is_day and one.keeps_days and not self._keep_text[one.scm]
        made = one.make(
            [texts([_DAY + cell if marked else cell]).cast(pa.string()).dictionary_encode()] * len(one.columns)
        )
        return self._rules[one.scm](made.after[0].as_py())[:2] if not made.faults else (None, made.faults[0][0])

    def cells(self, values: Mapping[str, str]) -> dict[str, str]:
        """Return values by SCM key as cells by column.

        Left out is what is made of no column alone, and what the steps would not give again of such a cell.
        """
        plain = [one for one in (*self._keys, *self._transformations.values()) if len(one.columns) == 1]
        return {one.columns[0]: values[one.scm] for one in plain if one.scm in values and one.keeps(values[one.scm])}

    def _check_keys(self, keys: Sequence[pa.Array], faults: Notes) -> None:
        lost = faults.faulty
        for one, column in zip(self._keys, keys, strict=True):
            if surely_sound(column):
                continue
            name = one.scm if one.changes else one.columns[0]
            suspicious = as_numpy(pc.match_substring_regex(column, _EDGE_OR_INVISIBLE))
            rows = np.flatnonzero(suspicious & ~lost)
            causes: dict[str, int] = {}
            which = [causes.setdefault(value, len(causes)) for value in column.take(numbers(rows)).to_pylist()]
            faults.note(rows, [_wrong_key(name, value) for value in causes], np.array(which, np.int64))

    def _rejected(self, chunk: Chunk, keys: Sequence[pa.Array], faults: Notes) -> Rejections:
        rows = np.flatnonzero(faults.faulty)
        places = numbers(rows)
        parts = []
        for one, column in zip(self._keys, keys, strict=True):
            cells = [chunk.columns.column(name).take(places) for name in one.columns]
            made = column.take(places).cast(pa.large_string())
            parts.append(pc.if_else(pc.equal(made, texts([""])[0]), shown_cells(cells, " "), made))
        source = np.full(len(rows), chunk.source, np.int16)
        key = shown_cells(parts, " + ")
        return Rejections.of_rows(source, chunk.lines[rows], key, faults.cause[rows], faults.causes)


def _wrong_key(name: str, value: str) -> RejectionCause:
    if not value.strip():
        return RejectionCause("E201", f"{name} is blank", value)
    if value != value.strip():
        return RejectionCause("E202", f"{name} {value!r} begins or ends with white space", value)
    return RejectionCause("E203", f"{name} {value!r} contains a control or an invisible character", value)


def _note_steps(scm: str, made: Made, faults: Notes) -> npt.NDArray[np.bool_]:
    """Note what the steps of a field could not take; return which rows that are."""
    lost = np.zeros(len(made.indices), bool)
    half = np.array(made.half_blank, np.int64)
    faults.note_alike(half, HALF_BLANK, f"{scm}: some of the columns that it is made of are blank")
    lost[half] = True
    if made.faults:
        causes = {
            place: RejectionCause(code, f"{scm} {words}", made.before[place].as_py())
            for place, (code, words) in made.faults.items()
        }
        lost |= _note_values(faults, as_numpy(made.indices), len(made.before), causes)
    return lost


def _note_values(
    faults: Notes,
    indices: npt.NDArray[np.int32],
    values: int,
    causes: Mapping[int, RejectionCause],
    but: npt.NDArray[np.bool_] | None = None,
) -> npt.NDArray[np.bool_]:
    """Note the rows that have one of the wrong values, by its place, but for some; return which rows have one."""
    which = np.full(values, -1, np.int64)
    which[[*causes]] = np.arange(len(causes))
    of_row = which[indices]
    rows = np.flatnonzero(of_row >= 0 if but is None else (of_row >= 0) & ~but)
    faults.note(rows, [*causes.values()], of_row[rows])
    return of_row >= 0


class _Applied(NamedTuple):
    """A column after its rule; ``sent`` is what its distinct cells became: blank when left alone, null when refused."""

    values: pa.DictionaryArray
    sent: pa.Array


def _apply(
    scm: str, encoded: pa.DictionaryArray, rule: Rule, faults: Notes, lost: npt.NDArray[np.bool_] | None = None
) -> _Applied:
    """Run a rule on the distinct cells of a column; return the normalised column and note the faults by row.

    Rows that are ``lost`` have a fault already, of which anything else would follow.
    """
    outcomes = [rule(value) for value in encoded.dictionary.to_pylist()]
    wrong = {
        code: RejectionCause(fault, f"{scm} {words}", encoded.dictionary[code].as_py().strip())
        for code, (_, fault, words) in enumerate(outcomes)
        if fault is not None
    }
    indices = as_numpy(encoded.indices)
    if wrong:
        _note_values(faults, indices, len(outcomes), wrong, but=lost)
    distinct: dict[str, int] = {}
    codes = [-1 if sent is None else distinct.setdefault(sent, len(distinct)) for sent, _, _ in outcomes]
    mapped: npt.NDArray[np.int32] = np.array(codes, np.int32)[indices]
    values = texts(list(distinct)).cast(pa.string())
    sent = texts([value or "" for value, _, _ in outcomes]).cast(pa.string())
    if wrong:
        sent = sent.take(numbers(np.arange(len(outcomes)), np.array([fault is None for _, fault, _ in outcomes])))
    return _Applied(pa.DictionaryArray.from_arrays(numbers(mapped, mapped >= 0), values), sent)


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
            empties = blank == "clear" and value_rule not in {_status, _reason}  # these are always something
            return ("" if empties else None), None, ""
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
    reason = _REASON.fullmatch(cell.strip())
    if reason is None:
        return None, "E308", f"{cell!r} is not a number from 0 to 10"
    return reason[1], None, ""


def _date(cell: str, *, formats: Sequence[str]) -> tuple[str | None, str | None, str]:
    written, days = cell.strip(), dict[str, None]()
    for form in formats:
        try:
            day = datetime.strptime(written, form)  # noqa: DTZ007  a calendar day
        except ValueError:
            continue
        if day.year >= _FIRST_YEAR and _is_sure(day, form, written):
            days[day.date().isoformat()] = None
    if len(days) == 1:
        return next(iter(days)), None, ""
    words = f"may be {' or '.join(days)}" if days else f"is not a date like {' or '.join(formats)}"
    return None, "E303", f"{cell!r} {words}"


def _is_sure(day: datetime, form: str, written: str) -> bool:
    """Tell whether a text is no other day: 1122026 lost a zero, and day 366 of 2025 would be in the next year."""
    if _FIGURES_ALONE.search(form):
        return day.strftime(form).lower() == written.lower()
    year = day.isocalendar().year if "%G" in form else day.year
    return not {year, year % 100}.isdisjoint(map(int, re.findall(r"\d+", written)))


def _integer(cell: str) -> tuple[str | None, str | None, str]:
    if not _INTEGER.fullmatch(cell.strip()):
        return None, "E304", f"{cell!r} is not a whole number"
    return cell.strip(), None, ""


def _choice(cell: str, *, choices: Sequence[str]) -> tuple[str | None, str | None, str]:
    if cell not in choices:
        return None, "E305", f"{cell!r} is not one of {', '.join(choices)}{did_you_mean(cell, choices)}"
    return cell, None, ""
