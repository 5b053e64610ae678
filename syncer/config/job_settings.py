"""The settings of a job: what one export means, and the rules of its fields and units (`input_settings`: its files)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from syncer.config import checks
from syncer.config.checks import setting
from syncer.config.input_settings import CsvSettings, FilesSettings, SourceSettings, TableSettings

KEY_COLUMNS_MAX = 5
"""Constraints of one call (docs/api.md, "SCM upload, async")."""


@dataclass(frozen=True, slots=True)
class FieldSettings:
    """Rules of one SCM field."""

    type: str = setting(
        partial(checks.choice, of=("text", "date", "integer", "choice")),
        "text",
        "what its cells hold",
        when="its values are dates, whole numbers, or a few words",
    )
    formats: tuple[str, ...] = setting(
        checks.texts,
        (),
        "of dates, as strptime knows them; sent as YYYY-MM-DD",
        example='["%d.%m.%Y", "%Y-%m-%d"]',
        when="dates are written otherwise",
    )
    choices: tuple[str, ...] = setting(
        checks.texts, (), "what a choice may be", example='["a", "b"]', when="only these values are right"
    )
    required: bool = setting(
        checks.flag, False, "whether a row without it is rejected", when="a code without it is a fault"
    )
    max_length: int | None = setting(
        partial(checks.number, least=1, most=10**6, whole=True),
        None,
        "characters at most",
        example="100",
        when="longer values are cut off elsewhere",
    )
    from_: str | None = setting(
        checks.origin,
        None,
        'the column it is made of, or a template of several: "{Pallet}-{Case}"; else the mapped one',
        example='"{Year}-{Month}-{Day}"',
        when="it is put together of several columns",
    )
    trim: bool = setting(
        checks.flag,
        False,
        "whether white space around a cell is taken away, first of all",
        when="cells are padded with blanks",
    )
    null: tuple[str, ...] = setting(
        checks.words,
        (),
        "words that mean empty",
        example='["NULL", "-"]',
        when="the export writes a word for an empty cell",
    )
    strip_prefix: tuple[str, ...] = setting(
        checks.words,
        (),
        "what is taken away at the beginning, where it stands there",
        example='"LOT "',
        when="the export writes more than the value",
    )
    strip_suffix: tuple[str, ...] = setting(
        checks.words,
        (),
        "what is taken away at the end, where it stands there",
        example='" pcs"',
        when="the export writes more than the value",
    )
    extract: str | None = setting(
        checks.expression,
        None,
        "a regular expression with one group: what is kept; a cell in which it finds nothing: E321",
        example='"/q/([0-9A-Z]+)$"',
        when="the value stands inside a longer text, as in an address",
    )
    upper: bool = setting(checks.flag, False, "whether letters become capitals", when="letters come in both cases")
    lower: bool = setting(checks.flag, False, "whether letters become small", when="letters come in both cases")
    pad: int = setting(
        partial(checks.number, least=0, most=1000, whole=True),
        0,
        "characters up to which zeros are put in front",
        when="leading zeros were lost",
    )
    map: Mapping[str, str] | None = setting(
        partial(checks.values, may_be_empty=True),
        None,
        'what is sent for which value, at last: { Deutschland = "DE" }',
        example='{ "Deutschland" = "DE" }',
        when="your words are not Scantrust's",
    )
    map_else: str = setting(
        checks.else_,
        "reject",
        "of a value that is not in the map: reject (E320), keep, or the value that is sent instead",
        when="unknown words are fine, or have a common meaning",
    )


@dataclass(frozen=True, slots=True)
class UnitSettings:
    """What holds for all rows with one value of an SCM field: the codes of one case, of one pallet."""

    codes: int | None = setting(
        partial(checks.number, least=1, most=10**6, whole=True),
        None,
        "how many codes each unit has; another number: E330",
        example="24",
        when="a case with another number of codes is a fault",
    )
    same: tuple[str, ...] = setting(
        checks.texts,
        (),
        "SCM keys that are the same in all rows of a unit; else E331",
        example='["lot", "intended_market"]',
        when="mixed cases are a fault",
    )


@dataclass(frozen=True, slots=True)
class JobSettings:
    """What one export means."""

    name: str = "default"
    key: tuple[str, ...] | None = setting(
        partial(checks.texts, most=KEY_COLUMNS_MAX),
        None,
        "the column, or list of up to 5 columns, that selects codes; first of extended_id, serial_number in the header",
        example='"extended_id"',
        when='codes are selected by another column, or by several: `["case_no", "lot"]`',
    )
    columns: Mapping[str, str] | None = setting(
        checks.columns,
        None,
        "CSV header → SCM key; others are then ignored",
        example='{ "Serial" = "extended_id", "Market" = "intended_market" }',
        when="the export's headers are not the SCM keys",
    )
    mode: str = setting(
        partial(checks.choice, of=("auto", "sync", "async")),
        "auto",
        "auto, sync or async",
        when="one kind of call is not allowed for your account",
    )
    export: str = setting(
        partial(checks.choice, of=("auto", "full", "changes")),
        "auto",
        "what its files hold: full (every code), changes (any number of rows), auto (as earlier nights show)",
        when="the guards judge your files by the wrong measure",
    )
    campaign: int | None = setting(
        partial(checks.number, least=1, most=2**31, whole=True),
        None,
        "campaign id, sent with async uploads",
        example="11",
        when="your codes belong to one campaign among several",
    )
    send: str = setting(
        partial(checks.choice, of=("changes", "row")),
        "changes",
        "changes: of a known code only the fields that are not known to hold the row's value; row: the whole row",
        when="others change the same fields, and your file shall win every time",
    )
    blank: str = setting(
        partial(checks.choice, of=("omit", "clear", "reject")),
        "omit",
        "what an empty cell means: omit, clear (not activation_status or blacklist_reason: never empty) or reject",
        when="an empty cell shall empty the field, or is a fault",
    )
    constants: Mapping[str, str] | None = setting(
        checks.values,
        None,
        "SCM key → value that every row gets",
        example='{ brand = "Example" }',
        when="all rows share a value that the export lacks",
    )
    known_fields: tuple[str, ...] | None = setting(
        checks.texts,
        None,
        "the campaign's SCM keys; a mapped key that is not among them is refused; no call asks for them",
        example='["intended_market", "production_date"]',
        when="a misspelt field must not be discarded in silence",
    )
    known_fields_file: str | None = setting(
        checks.text,
        None,
        "a CSV file whose header has them, as the portal's template; relative to the configuration file",
        example='"template.csv"',
        when="you have the portal's template at hand",
    )
    unique: bool | None = setting(
        checks.flag,
        None,
        "whether one key value selects exactly one code; true for extended_id and serial_number",
        example="true",
        when="values of another key select exactly one code each",
    )
    disjoint: tuple[str, ...] | None = setting(
        checks.texts,
        None,
        "jobs with another key that never reach the same codes, though they write the same fields",
        example='["cases"]',
        when="two jobs write the same fields of different codes",
    )
    expect: int | str | None = setting(
        checks.count_or_column,
        None,
        "for keys of many codes: how many codes a value selects, a number or the column that says it",
        example="24",
        when="a count shall prove values of a key of many codes",
    )
    sheet: str | None = setting(
        checks.text,
        None,
        "of Excel workbooks: the name of the sheet; else the first one",
        example='"Export"',
        when="the table is not on the first sheet",
    )
    member: str | None = setting(
        checks.text,
        None,
        "of ZIP files: the name of the file in it, * for anything; several are the parts of one export",
        example='"*.csv"',
        when="a ZIP file has several files in it",
    )
    csv: CsvSettings = CsvSettings()
    table: TableSettings = TableSettings()
    source: SourceSettings = SourceSettings()
    files: FilesSettings = FilesSettings()
    units: Mapping[str, UnitSettings] = field(default_factory=dict)
    fields: Mapping[str, FieldSettings] = field(default_factory=dict)
