"""A first configuration from an export: what its first rows say, and, as comments, what they leave open.

What always holds: the text is a configuration that loads; what is not certain stands in it as a comment; every column
of the file is in it, so that leaving one out is a decision.
"""

from __future__ import annotations

import json
import re
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from syncer.errors import did_you_mean
from syncer.model import FORBIDDEN_DATA, FORBIDDEN_KEYS, SPECIAL_FIELDS, UNIQUE_KEYS, Chunk
from syncer.runs.first_answers import Ask, Findings
from syncer.runs.first_opening import Opened, open_as_advised
from syncer.source import Source
from syncer.source.table import TOTAL

WORDS_MAX = 20
"""Different values up to which a column may be one of words for a status or a country."""
ROWS_ENOUGH = 1_000
"""Rows that are looked at, at least, where there are as many."""
ROWS_MIN = 3
"""Rows from which different values in all of them suggest a key."""
_DAYS = (
    (re.compile(r"\d{1,2}\.\d{1,2}\.\d{4}"), "%d.%m.%Y", ""),
    (re.compile(r"\d{4}-\d\d-\d\d"), "%Y-%m-%d", ""),
    (re.compile(r"\d{8}"), "%Y%m%d", "eight digits: days?"),
    (re.compile(r"\d{1,2}/\d{1,2}/\d{4}"), "%d/%m/%Y", "or %m/%d/%Y, if the month stands first"),
)
_LIKELY = {"status": "activation_status", "product_id": "product", "sku": "product"}
"""What columns of these names are to the API (docs/api.md, "Special SCM fields")."""
_NAMELESS = re.compile(r"column \d+")
_ADDRESS = re.compile(r"https?://\S*/([0-9A-Za-z_-]+)")
_NOTHING = ("NULL", "null", "-", "N/A", "n/a", "#N/A", "\\N", "None", "(null)")


@dataclass(frozen=True, slots=True)
class _Column:
    """The cells of one column in the first rows, distinct and not blank, and in how many rows they stand."""

    name: str
    values: tuple[str, ...]
    rows: int
    doubtful: bool = False
    """Whether rows are rejected for it: some of its cells have no certain text."""

    @property
    def all_differ(self) -> bool:
        """Whether each row had another value, in enough rows to say so."""
        return self.rows >= ROWS_MIN and len(self.values) == self.rows

    @property
    def visible(self) -> list[str]:
        return [value.strip() for value in self.values if value.strip() not in _NOTHING]

    def day(self) -> tuple[str, str] | None:
        """Return the format of days that all its cells have, and what is not sure of it."""
        for pattern, form, doubt in _DAYS:
            if self.visible and all(pattern.fullmatch(value) for value in self.visible):
                return form, doubt
        return None


def configuration(file: str, job: str = "export", ask: Ask | None = None) -> str:
    """Return the text of a configuration for one export; raise `SourceError` when it cannot be read at all.

    ``ask``: asks the API what it knows of the export's products and of one of its codes.
    """
    opened = open_as_advised(file)
    source = opened.source
    try:
        columns = _columns(source)
        key = _key_of(columns)
        found = Findings() if ask is None else ask(_products_of(columns), _code_of(key))
        parts = {name: value for name, value in opened.declared.items() if name in {"member", "sheet"}}
        lines = [*_head(opened, found, job), *_jobs(columns, key, found, parts, job)]
    finally:
        source.close()
    return "\n".join(lines) + "\n"


def _columns(source: Source) -> list[_Column]:
    """Return what stands in the columns, also in rows that are rejected; and which columns those are rejected for."""
    chunks: list[Chunk] = []
    for chunk in source.chunks():
        chunks.append(chunk)
        if sum(len(one.lines) for one in chunks) >= ROWS_ENOUGH:
            break
    rejected = [
        row
        for chunk in chunks
        for row in chunk.rejections
        if len(row.cells) == len(source.header) and row.code != TOTAL
    ]
    found = []
    for place, name in enumerate(source.header):
        cells = [cell for chunk in chunks for cell in chunk.columns.column(name).to_pylist()]
        cells += [row.cells[place] for row in rejected]
        doubtful = any(f"column {name!r}" in row.message for row in rejected)
        found.append(replace(_column(name, cells), doubtful=doubtful))
    return found


def _products_of(columns: Sequence[_Column]) -> list[str]:
    """Return SKUs of the export, as far as a column's name says that it has them."""
    return [value for one in columns if _LIKELY.get(one.name.lower(), one.name) == "product" for value in one.visible]


def _code_of(key: _Column | None) -> str | None:
    """Return one code of the export, where its key surely is what codes are known by."""
    if key is None or not key.visible or not (key.name == "extended_id" or _is_address(key)):
        return None
    found = _ADDRESS.fullmatch(key.visible[0])
    return found[1] if found else key.visible[0]


def _column(name: str, cells: Sequence[str]) -> _Column:
    distinct = tuple(dict.fromkeys(cell for cell in cells if cell.strip()))
    return _Column(name, distinct, len(cells))


def _head(opened: Opened, found: Findings, job: str) -> Iterator[str]:
    source = opened.source
    yield "# Written by syncer init from the first rows of an export. What is not sure stands behind a ? in a comment."
    yield f"# All settings: config.example.toml and docs/configuration.md. Then: syncer plan --job {job} FILE"
    if source.form_note:
        yield f"# How the file is read: {_comment(source.form_note)}"
    yield from (f"# {_comment(note)}" for note in found.notes)
    yield ""
    declared = dict(opened.declared)
    dialect = source.info.dialect
    if dialect.delimiter and not dialect.widths:
        declared.setdefault("csv.delimiter", dialect.delimiter)
    for section in ("csv", "table"):
        here = {name.partition(".")[2]: value for name, value in declared.items() if name.startswith(section + ".")}
        if here:
            yield f"[jobs.{job}.{section}]"
            doubt = "  # ? look at the rows in: syncer plan"
            yield from (
                f"{name} = {_value(value)}{doubt if f'{section}.{name}' in opened.declared else ''}"
                for name, value in here.items()
            )
            yield ""


def _jobs(
    columns: Sequence[_Column], key: _Column | None, found: Findings, parts: Mapping[str, object], job: str
) -> Iterator[str]:
    names = _fields_of(columns, key)
    yield f"[jobs.{job}]"
    yield from (f"{name} = {_value(value)}  # ? which of those in the file" for name, value in parts.items())
    if key is None:
        few = not any(one.rows >= ROWS_MIN for one in columns)
        why = f"fewer than {ROWS_MIN} rows tell nothing" if few else "no column has another value in every row"
        yield f'# key = "…"  # ? {why}; name the one that selects codes'
    else:
        sure = key.name in UNIQUE_KEYS
        yield f"key = {_text('extended_id' if _is_address(key) and not sure else key.name)}" + (
            "" if sure else f"  # ? its values differ in every row: {_sample(key)}"
        )
    mapped = {name: scm for name, scm in names.items() if key is None or name != key.name}
    refused = [name for name, scm in mapped.items() if scm in FORBIDDEN_DATA]
    mapped = {name: scm for name, scm in mapped.items() if name not in refused}
    if key is not None and key.name not in UNIQUE_KEYS and not _is_address(key):
        yield "# unique = true  # ? whether one value selects one code"
    if found.fields:
        shown = ", ".join(map(_text, found.fields))
        yield f"# known_fields = [{shown}]  # ? the fields that one code has; the campaign may have more"
    yield "# known_fields_file = \"template.csv\"  # ? the campaign's fields, as the portal's template has them"
    yield from (f"# {_comment(name)} is not sent: {FORBIDDEN_DATA[names[name]]}" for name in refused)
    doubtful = [one.name for one in columns if one.doubtful and one.name in mapped]
    mapped = {name: scm for name, scm in mapped.items() if name not in doubtful}
    yield from (f"# {_comment(name)} is not sent: the text of some of its cells is not certain" for name in doubtful)
    nameless = [name for name in mapped if _NAMELESS.fullmatch(name)]
    mapped = {name: scm for name, scm in mapped.items() if name not in nameless}
    yield from (f"# {_comment(name)} has no name in the export, and is not sent" for name in nameless)
    if mapped:
        yield f"[jobs.{job}.columns]  # column = SCM key; take out what is not to be sent"
        yield from (f"{_text(name)} = {_text(scm)}{_doubt(name, scm, found.fields)}" for name, scm in mapped.items())
    yield ""
    if key is not None and (_is_address(key) or _has_edges(key)):
        yield f"[jobs.{job}.fields.{_key('extended_id' if _is_address(key) else key.name)}]"
        if _is_address(key) and key.name not in UNIQUE_KEYS:
            yield f"from = {_text(_escaped(key.name))}"
        yield from ["trim = true"] if _has_edges(key) else []
        yield from ["extract = '/([0-9A-Za-z_-]+)$'"] if _is_address(key) else []
        yield ""
    for column in columns:
        if column.name in mapped:
            rules = list(_rules(column))
            if rules:
                yield from [f"[jobs.{job}.fields.{_key(mapped[column.name])}]", *rules, ""]


def _key_of(columns: Sequence[_Column]) -> _Column | None:
    """Return the column that selects codes: by its name, else the first whose cells are addresses or all differ."""
    for name in ("extended_id", "serial_number"):
        for column in columns:
            if column.name == name:
                return column
    named = [column for column in columns if column.name not in FORBIDDEN_KEYS]
    likely = [column for column in named if column.all_differ and column.day() is None]
    return next((column for column in likely if _is_address(column)), likely[0] if likely else None)


def _fields_of(columns: Sequence[_Column], key: _Column | None) -> dict[str, str]:
    """Return a likely SCM key for each column, no two the same."""
    taken: dict[str, str] = {}
    for column in columns:
        plain = column.name.strip().lower()
        for sign, letters in (("ä", "ae"), ("ö", "oe"), ("ü", "ue"), ("ß", "ss")):
            plain = plain.replace(sign, letters)
        scm = re.sub(r"[^a-z0-9]+", "_", plain).strip("_") or "column"
        if scm in UNIQUE_KEYS and (key is None or column.name != key.name):
            continue  # identifiers of codes cannot be written
        scm = _LIKELY.get(scm, scm)
        number, name = 2, scm
        while name in taken.values():
            name, number = f"{scm}_{number}", number + 1
        taken[column.name] = name
    return taken


def _rules(column: _Column) -> Iterator[str]:
    nothing = sorted({value.strip() for value in column.values} & {*_NOTHING})
    if _has_edges(column):
        yield "trim = true"
    if nothing:
        yield f"null = [{', '.join(map(_text, nothing))}]  # ? words that mean empty"
    day = column.day()
    if day is not None:
        form, doubt = day
        mark = "# " if doubt.startswith("eight") else ""
        yield f'{mark}type = "date"{"  # ? " + doubt if doubt else ""}'
        yield f"{mark}formats = [{_text(form)}]"
    elif 0 < len(column.visible) <= WORDS_MAX and not column.all_differ and any(map(_is_word, column.visible)):
        entries = ", ".join(f"{_text(value)} = {_text(value)}" for value in dict.fromkeys(column.visible))
        yield f"# map = {{ {entries} }}  # ? what the API knows them as"


def _is_address(column: _Column) -> bool:
    return bool(column.visible) and all(_ADDRESS.fullmatch(value) for value in column.visible)


def _has_edges(column: _Column) -> bool:
    return any(value != value.strip() for value in column.values)


def _is_word(value: str) -> bool:
    return value[:1] in string.ascii_letters or not value.isascii()


def _doubt(name: str, scm: str, fields: Sequence[str]) -> str:
    near = did_you_mean(scm, [*SPECIAL_FIELDS, *fields]) if scm not in {*SPECIAL_FIELDS, *fields} else ""
    if fields and scm not in {*SPECIAL_FIELDS, *fields}:
        return f"  # ? no field of the code that was looked at{_comment(near)}"
    return "" if name == scm and not near else f"  # ? the field's own name{_comment(near)}"


def _sample(column: _Column) -> str:
    return _comment(column.values[0][:40])


def _comment(text: str) -> str:
    """Write a text of others into a comment: on one line, without signs that are no text."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def _escaped(name: str) -> str:
    return name.replace("{", "{{").replace("}", "}}")


def _text(text: str) -> str:
    """Write a text as TOML does."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: object) -> str:
    """Write a setting's value as TOML does."""
    if isinstance(value, bool):
        return str(value).lower()
    return _text(value) if isinstance(value, str) else str(value)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _text(name)
