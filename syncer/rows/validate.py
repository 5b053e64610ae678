"""Columns of text → valid rows and rejections with codes. Pure.

The steps and rules of a field run once per *distinct* value of a column, not per row. A row is rejected for its first
fault in the order key, then fields by name; its message names every fault.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syncer.arrow import as_numpy, numbers, texts, truths
from syncer.config.cell_rules import DAY, Rule, is_plain, keeps_text, make_rule
from syncer.errors import ConfigError, SourceError
from syncer.model import Change, Chunk, ValidChunk
from syncer.rejections import RejectionCause, Rejections, shown_cells
from syncer.rows.changes import ChangeWatch
from syncer.rows.columns import read_columns
from syncer.rows.days import marked_days, texts_of_day
from syncer.rows.headers import HEADER_AGAIN, WORDS, rows_of_names
from syncer.rows.noting import Notes
from syncer.rows.rules import FieldRule, RowRules
from syncer.rows.sound import begin_visibly, surely_sound
from syncer.rows.transform import HALF_BLANK, Made, Transformation, merged

if TYPE_CHECKING:
    import numpy.typing as npt

    from syncer.source import Source

_NOT_SHOWN = (
    r"\p{Cc}\p{Cf}\p{Zl}\p{Zp}\x{34f}\x{115f}\x{1160}\x{17b4}\x{17b5}\x{180b}-\x{180f}\x{2800}\x{3164}\x{ffa0}"
    r"\x{fe00}-\x{fe0f}\x{e0100}-\x{e01ef}"
)
"""What nobody sees: controls, zero-width characters, letters that are blank, and those that choose between glyphs."""
_EDGE_OR_INVISIBLE = rf"^$|^[\s\pZ\x{{85}}]|[\s\pZ\x{{85}}]$|[{_NOT_SHOWN}]"
"""As RE2 writes it: blank, white space of any script at an edge, what nobody sees anywhere."""


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
        self._keep_text = {scm: keeps_text(scm, rule) for scm, rule in of_fields.items()}
        self._formats = {scm: rule.formats for scm, rule in rules.fields.items()}
        of_keys = {scm: rule for scm, rule in rules.fields.items() if scm in self.keys and not is_plain(rule)}
        self._key_rules = {scm: make_rule(scm, rule, rules.blank) for scm, rule in of_keys.items()}
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
        made = [self._key(one, chunk, faults) for one in self._keys]
        stepped = [cells for cells, _ in made]
        faults.note_alike(rows_of_names(chunk.columns, self.wanted), HEADER_AGAIN, WORDS)
        self._check_keys(stepped, faults)
        lost = faults.faulty
        keys = [self._ruled(one, *key, faults, lost, changes) for one, key in zip(self._keys, made, strict=True)]
        encoded: dict[str, pa.DictionaryArray] = {}
        arrays = [self._field(scm, chunk, encoded, faults, changes) for scm in self.fields]
        lines, good, rejections = chunk.lines, ~faults.faulty, Rejections.of(chunk.rejections)
        if not good.all():
            rejections = Rejections.together([rejections, self._rejected(chunk, stepped, faults)])
            keep = numbers(np.flatnonzero(good))
            keys = [key.take(keep) for key in keys]
            arrays = [array.take(keep) for array in arrays]
            lines = lines[good]
        read = rows + len(chunk.rejections)
        return ValidChunk(chunk.source, read, tuple(keys), tuple(arrays), lines, rejections, tuple(changes))

    def _key(self, one: Transformation, chunk: Chunk, faults: Notes) -> tuple[pa.Array, _Stepped | None]:
        """Return one part of the key of each row after its steps; and what they made, None: there are none, nor rules.

        Keys are hardly ever alike: without a rule, steps run row by row.
        """
        columns = [chunk.columns.column(name) for name in one.columns]
        if one.scm in self._key_rules:
            stepped = _step(one, *self._encoded(chunk, one, {}, typed=True))
        elif one.changes:
            places = numbers(np.arange(len(chunk.lines), dtype=np.int32))
            stepped = _step(one, [pa.DictionaryArray.from_arrays(places, column) for column in columns])
        else:
            return columns[0], None
        _note_steps(one.scm, stepped.made, faults)
        return stepped.made.after.take(stepped.made.indices), stepped

    def _ruled(
        self,
        one: Transformation,
        cells: pa.Array,
        stepped: _Stepped | None,
        faults: Notes,
        lost: npt.NDArray[np.bool_],
        changes: list[Change],
    ) -> pa.Array:
        """Return one part of the key as it is sent; null where its rule refuses it. Rows that are ``lost`` stay so."""
        if stepped is None:
            return cells
        sent = None
        if one.scm in self._key_rules:
            applied, sent = _apply_stepped(one.scm, stepped, self._key_rules[one.scm], faults, lost)
            cells = applied.dictionary_decode()
        if one.declared:
            changes.append(stepped.made.change(one.scm, sent))
        return cells

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
        columns, marked = self._encoded(chunk, one, encoded, typed=not self._keep_text[scm])
        if not one.declared:
            if self._is_sound(scm, columns[0].dictionary):
                return columns[0]
            return _apply(scm, columns[0], self._rules[scm], faults).values
        stepped = _step(one, columns, marked=marked)
        lost = _note_steps(scm, stepped.made, faults)
        if self._is_sound(scm, stepped.made.after):
            changes.append(stepped.made.change(scm))
            return merged(stepped.made)[0]
        values, sent = _apply_stepped(scm, stepped, self._rules[scm], faults, lost)
        changes.append(stepped.made.change(scm, sent))
        return values

    @staticmethod
    def _encoded(
        chunk: Chunk, one: Transformation, encoded: dict[str, pa.DictionaryArray], *, typed: bool
    ) -> tuple[list[pa.DictionaryArray], bool]:
        """Return the columns of a field by their distinct cells; and whether `DAY` stands before its native dates."""
        marked = typed and one.keeps_days and one.columns[0] in chunk.days
        columns = []
        for name in one.columns:
            known = DAY + name if marked else name
            if known not in encoded:
                cells = chunk.columns.column(name)
                if marked:
                    cells = marked_days(cells, truths(chunk.days[name]))
                encoded[known] = cells.dictionary_encode()
            columns.append(encoded[known])
        return columns, marked

    def _is_sound(self, scm: str, values: pa.Array) -> bool:
        return self._keep_text[scm] and begin_visibly(values)

    def day_text(self, column: str, day: str) -> str:
        """Return a day (YYYY-MM-DD) as a text of a column that is read as that day: as it stands, if it is."""
        made_of = [one for one in (*self._keys, *self._transformations.values()) if column in one.columns]
        forms = [*dict.fromkeys(form for one in made_of for form in self._formats.get(one.scm, ()))]
        meant = [self._of_cell(one, day, is_day=True) for one in made_of]
        fit = (text for text in texts_of_day(day, forms) if meant == [self._of_cell(one, text) for one in made_of])
        return next(fit, day)

    def _of_cell(self, one: Transformation, cell: str, *, is_day: bool = False) -> tuple[str | None, str | None]:
        """Return what a field or key becomes of a cell of one of its columns, or the code for which it is rejected."""
        rule = self._rule_of(one)
        marked = is_day and one.keeps_days and rule is not None and not self._keep_text.get(one.scm)
        column = texts([DAY + cell if marked else cell]).cast(pa.string()).dictionary_encode()
        stepped = _step(one, [column] * len(one.columns), marked=marked)
        if stepped.made.faults:
            return None, stepped.made.faults[0][0]
        made = stepped.for_rule.after[0].as_py()
        return (made, None) if rule is None else rule(made)[:2]

    def _rule_of(self, one: Transformation) -> Rule | None:
        return (self._key_rules if one.scm in self.keys else self._rules).get(one.scm)

    def cells(self, values: Mapping[str, str]) -> dict[str, str]:
        """Return values by SCM key as cells by column.

        Left out is what is made of no column alone, and what the steps would not give again of such a cell.
        """
        plain = [one for one in (*self._keys, *self._transformations.values()) if len(one.columns) == 1]
        found = {one.columns[0]: self._cell(one, values[one.scm]) for one in plain if one.scm in values}
        return {name: cell for name, cell in found.items() if cell is not None}

    def _cell(self, one: Transformation, value: str) -> str | None:
        rule = self._rule_of(one)
        for cell in texts_of_day(value, self._formats.get(one.scm, ())):
            if one.keeps(cell) and (rule is None or rule(cell)[0] == value):
                return cell
        return None

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


class _Stepped(NamedTuple):
    """What steps made of cells; ``for_rule`` has `DAY` before each native date that they left as it was."""

    made: Made
    for_rule: Made


def _step(one: Transformation, columns: Sequence[pa.DictionaryArray], marked: bool = False) -> _Stepped:
    """Run the steps on cells as they stand in the source, without the mark of native dates."""
    if not marked:
        made = one.make(columns)
        return _Stepped(made, made)
    (column,) = columns
    plain = pc.replace_substring(column.dictionary, DAY, "")
    made = one.make([pa.DictionaryArray.from_arrays(column.indices, plain)])
    days = pc.and_(pc.starts_with(column.dictionary, DAY), pc.equal(made.before, made.after))
    return _Stepped(made, replace(made, after=marked_days(made.after, days)))


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


def _apply_stepped(
    scm: str, stepped: _Stepped, rule: Rule, faults: Notes, lost: npt.NDArray[np.bool_]
) -> tuple[pa.DictionaryArray, pa.Array]:
    """Run a rule on what steps made; return the normalised column, and what was sent by place in ``stepped.made``."""
    column, codes = merged(stepped.for_rule)
    applied = _apply(scm, column, rule, faults, lost)
    return applied.values, applied.sent if codes is None else applied.sent.take(numbers(codes))


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
        code: RejectionCause(fault, f"{scm} {words}", encoded.dictionary[code].as_py().removeprefix(DAY).strip())
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
