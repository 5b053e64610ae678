"""Text about rows: what the steps of each field did to them, and why some of them were rejected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from syncer.report.console import cell
from syncer.report.table import FittedTable
from syncer.report.words import many
from syncer.rows.faults import FaultKind, by_kind

if TYPE_CHECKING:
    from syncer.results import Difference, SyncResult
    from syncer.rows.changes import FieldChanges

SHOWN_REJECTIONS = 10
SHOWN_CHANGES = 8
"""Changes of one field's values that the summary shows; the document has more."""
SHOWN_SINGLE = 3
"""Of values that stand in one row each."""


def changes_text(changes: Sequence[FieldChanges]) -> FittedTable:
    """Return what became of the cells of each field: ``Deutschland → DE: 12,000 rows``."""
    table = FittedTable("field", "from", "change")
    for one in changes:
        single = one.values and all(value.rows == 1 for value in one.values)  # keys, for example
        shown = one.values[: SHOWN_SINGLE if single else SHOWN_CHANGES]
        lines = [
            f"{'' if value.before is None else _visible(value.before) + ' → '}{_visible(value.after)}: "
            f"{many(value.rows, 'row')}"
            for value in shown
        ]
        if not one.complete or len(shown) < len(one.values):
            lines.append(f"… {many(one.rows, 'row')} in all")
        for place, line in enumerate(lines or ["as it is"]):
            origin = one.origin or "(constant)"
            table.add_row(*((cell(one.field), cell(origin)) if place == 0 else ("", "")), cell(line))
    return table


def differences_text(differences: Sequence[Difference]) -> FittedTable:
    """Return what a plan changes: ``DE → FR: 12,000 values, for example K1 (night.csv:2)``; ``?``: it is uncertain."""
    table = FittedTable("field", "old → new", "values", "for example")
    for one in differences:
        old = "?" if one.uncertain else "(not known)" if one.old is None else _visible(one.old)
        example = f"{one.example} ({one.place})" if one.place else one.example
        table.add_row(cell(one.field), cell(f"{old} → {_visible(one.new)}"), f"{one.values:,}", cell(example))
    return table


def _visible(value: str) -> str:
    """Write a value so that white space around it, or that it is blank, can be seen."""
    return value if value and value == value.strip() else repr(value) if value else "(blank)"


def rejections_text(result: SyncResult) -> Group:
    """Return the rejected rows: counted by kind, then the first of them one by one."""
    kinds = FittedTable("rejected", "rows", "values")
    for kind in by_kind(result.rejections):
        kinds.add_row(kind.code, f"{kind.rows:,}", cell(_values(kind, result.files)))
    table = FittedTable("invalid row", "code", "what is wrong")
    shown = result.rejections[:SHOWN_REJECTIONS]
    for row in shown:
        table.add_row(cell(f"{result.files[row.source]}:{row.line}"), row.code, cell(row.message))
    more = len(result.rejections) - len(shown)
    rest = [Text(f"… and {more:,} more: --results DIR writes them all", "dim")] if more else []
    return Group(*([kinds] if len(result.rejections) > 1 else []), table, *rest)


def _values(kind: FaultKind, files: Sequence[str]) -> str:
    """Write the values of a kind of fault: ``'aktiv' 450 rows (first: n1.csv:7), 'gesperrt' 50``."""
    first = f"(first: {files[kind.first.source]}:{kind.first.line})"
    named = [one for one in kind.values if one.value]
    if not named:
        return first
    most = named[0]
    head = f"{most.value!r} {many(most.rows, 'row')} (first: {files[most.first.source]}:{most.first.line})"
    others = kind.rows - sum(one.rows for one in named)
    return ", ".join(
        [head, *(f"{one.value!r} {one.rows:,}" for one in named[1:]), *([f"others {others:,}"] if others else [])]
    )
