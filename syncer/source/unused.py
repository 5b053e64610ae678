"""Settings that were declared and do not apply to a source: each is said, since somebody counts on it. Pure."""

from __future__ import annotations

from dataclasses import fields

from syncer.source.dialect import CsvForm
from syncer.source.table import TableForm

TEXT, WORKBOOK = "a text file", "a workbook"
_UNDECLARED = CsvForm()
_OF_ROWS = ("header_row", "end", "comment")
"""Of ``jobs.<name>.table``: what tells where a table stands among other rows."""


def unused(
    name: str, kind: str, form: CsvForm, table: TableForm, sheet: str | None, member: str | None = None
) -> tuple[str, ...]:
    """Return a note for every declared setting that does not apply to a kind of source (``name`` is its own).

    ``member`` is for what is no file, and so no ZIP file either.
    """
    found = [] if member is None else ["member"]
    if sheet is not None and kind != WORKBOOK:
        found.append("sheet")
    if kind != TEXT:
        found += [
            f"csv.{one.name}"
            for one in fields(form)
            if getattr(form, one.name) != getattr(_UNDECLARED, one.name)
            and not (kind == WORKBOOK and one.name == "header")
        ]
        found += ["table.short_rows"] if table.short_rows != "reject" else []
    if kind != WORKBOOK:
        found += ["table.merged"] if table.merged != "reject" else []
    if kind not in {TEXT, WORKBOOK}:
        found += [f"table.{one}" for one in _OF_ROWS if getattr(table, one)]
    elif kind == TEXT and form.header is not None and table.header_row is not None:
        found.append("table.header_row")
    return tuple(f"{name}: jobs.<name>.{setting} does not apply to {kind}, and was not used" for setting in found)
