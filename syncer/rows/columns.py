"""What the columns of a file mean: which of them select codes, which are sent as which field, which are left out. Pure.

What always holds: a field has one origin (a column, a template, or a constant); a column may be the origin of several
fields, and then it is not sent under its own name; a name that no call may carry is refused for the whole file, since
no row could be right (docs/api.md, "SCM upload, async").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from syncer.config.templates import parse_template
from syncer.errors import ConfigError, SourceError, did_you_mean
from syncer.model import FORBIDDEN_DATA, FORBIDDEN_KEYS, SPECIAL_FIELDS, UNIQUE_KEYS
from syncer.rows.rules import FieldRule, RowRules
from syncer.rows.transform import Transformation
from syncer.safe.formulas import EXTRA_COLUMNS

RESULT_COLUMNS = frozenset(EXTRA_COLUMNS)
"""Columns that the results folder adds; they are ignored, so that error.csv can be mended and fed in again."""
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
    for scm in (*fields, *rules.constants):
        origin = " and ".join(map(repr, fields[scm].columns)) if scm in fields else ""
        column = f"constant {scm}" if not origin else f"column {origin}" + ("" if origin == repr(scm) else f" ({scm})")
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
                    file=file, line=1, next=f"correct the export, or jobs.<name>.fields.{one.scm}.from",
                )  # fmt: skip
