"""What the columns of a file mean: which of them select codes, which are sent as which field, which are left out. Pure.

What always holds: a field has one origin (a column, a template, or a constant); a column may be the origin of several
fields, and then it is not sent under its own name; a name that no call may carry is refused for the whole file, since
no row could be right (docs/api.md, "SCM upload, async").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from syncer.config.templates import parse_template
from syncer.errors import HeaderError, SourceError, did_you_mean
from syncer.model import FORBIDDEN_DATA, FORBIDDEN_KEYS, SPECIAL_FIELDS, UNIQUE_KEYS
from syncer.rows.rules import FieldRule, RowRules
from syncer.rows.transform import Transformation
from syncer.safe.formulas import EXTRA_COLUMNS
from syncer.safe.inert import brief_list, holds_unseen

RESULT_COLUMNS = frozenset(EXTRA_COLUMNS)
"""Columns that the results folder adds; they are ignored, so that error.csv can be mended and fed in again."""

_ELSEWHERE = (
    "when these are not the table's, say where it stands: jobs.<name>.table.header_row, jobs.<name>.sheet, "
    "jobs.<name>.csv.delimiter, widths"
)


@dataclass(frozen=True, slots=True)
class Columns:
    """What a header means to a job. ``keys`` are in the order of the job's key, ``fields`` in that of their names."""

    keys: tuple[Transformation, ...]
    fields: tuple[Transformation, ...]
    notes: tuple[str, ...]

    @property
    def wanted(self) -> tuple[str, ...]:
        """The header names that are read at all: those of the key first."""
        return tuple(dict.fromkeys(name for one in (*self.keys, *self.fields) for name in one.columns))


def default_key(header: Sequence[str], file: str, made: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the key column that a header suggests, or one that is ``made`` of its columns.

    Raises `HeaderError` when there is none.
    """
    for name in ("extended_id", "serial_number"):
        if name in header or name in made:
            return (name,)
    _refuse_padded(("extended_id", "serial_number"), header, file)
    names = header if len(header) > 1 else ()  # of one column the delimiter is in question
    hint = did_you_mean("extended_id", names) or did_you_mean("serial_number", names)
    raise HeaderError(
        f"{file}: no column is named extended_id or serial_number{hint}, so nothing says which column selects codes",
        remedy=f"name it: --key COLUMN, or jobs.<name>.key; the columns are {brief_list(header)}; {_ELSEWHERE}",
    )


def _refuse_padded(names: Iterable[str], header: Sequence[str], file: str) -> None:
    """Refuse a header that has a key's name with white space around it."""
    for text in header:
        if text.strip() in names:
            raise HeaderError(
                f"{file}: white space stands around the name of the key column, {text!r}",
                remedy='when cells are filled up with it, it is no content: jobs.<name>.table.trim = "all"',
            )


def key_columns(rules: RowRules) -> tuple[str, ...]:
    """Return the header names of which the key is made, as far as the configuration tells."""
    of_scm = {scm: name for name, scm in (rules.columns or {}).items()}
    found: list[str] = []
    for name in rules.key:
        origin = rules.fields.get(name, FieldRule()).steps.origin
        found += [of_scm.get(name, name)] if origin is None else parse_template(origin)[0]
    return tuple(dict.fromkeys(found))


def read_columns(rules: RowRules, header: Sequence[str], file: str) -> Columns:
    """Return what a header means; raise `HeaderError` or `SourceError` when it cannot be right."""
    made = {
        scm: Transformation(rule.steps, scm, rule.steps.origin if rule.steps.origin in header else None)
        for scm, rule in rules.fields.items()
        if rule.steps.origin is not None
    }
    mapping = _mapping(rules, header, file)
    keys = [_key(name, rules, header, mapping, made, file) for name in rules.key]
    key_names = [key.scm for key in keys]
    taken = {name for one in (*made.values(), *keys) for name in one.columns}
    notes, fields = [], {scm: one for scm, one in made.items() if scm not in key_names}
    for name, scm in mapping.items():
        if scm in key_names or name in rules.key:
            continue
        if rules.columns is None and scm in made:
            notes += [] if name in made[scm].columns else [f"column {name} is not sent: {scm} is made of another"]
        elif rules.columns is None and scm in UNIQUE_KEYS:
            notes.append(f"column {scm} is not sent: identifiers of codes cannot be changed")
        elif rules.columns is not None or name not in taken or scm in rules.fields:
            fields[scm] = Transformation(rules.fields.get(scm, FieldRule()).steps, scm, name)
    faults = [*_two_origins(rules, made, mapping, key_names), *_forbidden(key_names, fields, rules)]
    faults += _rules_of_nothing(rules, [*key_names, *fields, *rules.constants], header)
    if faults:
        raise HeaderError(f"{file}: " + "; ".join(faults), remedy="map or leave out columns: [jobs.<name>.columns]")
    if not fields and not rules.constants:
        raise HeaderError(
            f"{file}: beside the key there is no column to send", remedy="add columns, or map them in config.toml"
        )
    columns = Columns(tuple(keys), tuple(fields[scm] for scm in sorted(fields)), tuple(notes))
    _refuse_missing(columns, header, file)
    return columns


def _mapping(rules: RowRules, header: Sequence[str], file: str) -> dict[str, str]:
    """Return header name → SCM key for every column that has one of its own."""
    if rules.expect is not None and rules.expect not in header:
        raise SourceError(
            f"the column of jobs.<name>.expect is missing: {rules.expect!r}{did_you_mean(rules.expect, header)}",
            file=file, line=1, remedy="correct the export, or jobs.<name>.expect",
        )  # fmt: skip
    if rules.columns is None:
        return {name: name for name in header if name not in RESULT_COLUMNS and name != rules.expect}
    missing = [name for name in rules.columns if name not in header]
    if missing:
        raise SourceError(
            f"columns of jobs.<name>.columns are missing: {', '.join(missing)}{did_you_mean(missing[0], header)}",
            file=file, line=1, remedy="correct the export, or jobs.<name>.columns",
        )  # fmt: skip
    return dict(rules.columns)


def _key(
    name: str,
    rules: RowRules,
    header: Sequence[str],
    mapping: Mapping[str, str],
    made: Mapping[str, Transformation],
    file: str,
) -> Transformation:
    """Return how one part of the key is made: of its column, or of those that ``from`` names."""
    if name in made:
        return made[name]
    if name in header:
        identifiers = [made[scm] for scm in sorted(UNIQUE_KEYS & made.keys()) if made[scm].columns == (name,)]
        if identifiers and (rules.columns is None or name not in rules.columns):
            return identifiers[0]
        scm, column = mapping.get(name, name), name
    else:
        scm, column = name, next((other for other, scm in mapping.items() if scm == name), "")
    if not column:
        _refuse_padded((name,), header, file)
        raise HeaderError(
            f"{file}: the key column {name!r} is not in the header{did_you_mean(name, header)}",
            remedy=f"name the right one: --key COLUMN, or jobs.<name>.key; the columns are {brief_list(header)}; "
            f"{_ELSEWHERE}",
        )
    return Transformation(rules.fields.get(scm, FieldRule()).steps, scm, column)


def _two_origins(
    rules: RowRules, made: Mapping[str, Transformation], mapping: Mapping[str, str], keys: Sequence[str]
) -> list[str]:
    """Name the fields that would get their value from two places."""
    mapped = [*mapping.values()]
    faults = []
    if rules.columns is not None:
        twice = sorted({scm for scm in mapped if mapped.count(scm) > 1})
        faults += [f"jobs.<name>.columns maps two columns to {scm}" for scm in twice]
        faults += [f"{scm} has a column in jobs.<name>.columns and a from of its own" for scm in made if scm in mapped]
    for scm in rules.constants:
        if scm in keys:
            faults.append(f"{scm} is the key, and cannot be a constant")
        elif scm in made or scm in mapped:
            faults.append(f"{scm} is a constant (jobs.<name>.constants), and a column of the file too")
    return faults


def _forbidden(keys: Sequence[str], fields: Mapping[str, Transformation], rules: RowRules) -> list[str]:
    """Name the fields that no call may carry."""
    faults = [f"{key!r} cannot select codes: {FORBIDDEN_KEYS[key]}" for key in keys if key in FORBIDDEN_KEYS]
    if len(set(keys)) < len(keys):
        faults.append("a key column is named twice")
    unseen = [scm for scm in (*keys, *fields, *rules.constants) if holds_unseen(scm)]
    faults += [f"the name {scm!a} holds a control or an invisible character" for scm in unseen]
    for scm in (*fields, *rules.constants):
        origin = " and ".join(map(repr, fields[scm].columns)) if scm in fields else ""
        column = f"constant {scm}" if not origin else f"column {origin}" + ("" if origin == repr(scm) else f" ({scm})")
        if scm != scm.strip():
            faults.append(f'{column} begins or ends with white space: jobs.<name>.table.trim = "fields"')
        if scm in FORBIDDEN_DATA:
            faults.append(f"{column} cannot be sent: {FORBIDDEN_DATA[scm]}")
        elif scm in UNIQUE_KEYS or scm in keys:
            faults.append(f"{column} cannot be sent: identifiers of codes cannot be changed")
        elif rules.known_fields is not None and scm not in rules.known_fields and scm not in SPECIAL_FIELDS:
            faults.append(
                f"{column} is not a field of the campaign{did_you_mean(scm, sorted(rules.known_fields))}: "
                "the API would discard it silently"
            )
    return faults


def _rules_of_nothing(rules: RowRules, known: Sequence[str], header: Sequence[str]) -> list[str]:
    """Name the rules whose field is not sent: its cells would go out as they stand, under another name."""
    faults = []
    for scm in rules.fields:
        if scm not in known:
            mapped = (rules.columns or {}).get(scm)
            hint = f" (the column {scm!r} is sent as {mapped!r})" if mapped else did_you_mean(scm, [*known, *header])
            faults.append(f"jobs.<name>.fields.{scm} is no field of this file{hint}")
    return faults


def _refuse_missing(columns: Columns, header: Sequence[str], file: str) -> None:
    for one in (*columns.keys, *columns.fields):
        for name in one.columns:
            if name not in header:
                raise SourceError(
                    f"the column {name!r} of jobs.<name>.fields.{one.scm}.from is missing{did_you_mean(name, header)}",
                    file=file, line=1, remedy=f"correct the export, or jobs.<name>.fields.{one.scm}.from",
                )  # fmt: skip
