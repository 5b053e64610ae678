"""What may be said of each step of a night, described once, for steps, command line and docs/products.md alike.

What always holds: an option's words, kind, default and example stand in one place, so that a step and the command that
it stands for never differ. Words alone: how a step becomes a request stands in `syncer.config.steps`, how the command
line takes an option in `syncer.cli.described`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from syncer.request import EXPORT_FORMATS, STATUSES, ProductsRequest, ScansRequest, SyncStep, UploadRequest


@dataclass(frozen=True, slots=True)
class ValueKind:
    """What an option's value must be: in the table of the docs, in an error's words, and in fact."""

    name: str
    must: str
    fits: Callable[[Any], bool]


def texts_of(value: Any) -> tuple[Any, ...]:
    """Return a text, or a list, as a tuple; nothing for what is neither."""
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else ()


def _is_texts(value: Any) -> bool:
    return bool(texts_of(value)) and all(isinstance(one, str) and one for one in texts_of(value))


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")


def _choice(of: tuple[str, ...]) -> ValueKind:
    return ValueKind(
        " or ".join(of), f"is one of {', '.join(of)}", lambda value: isinstance(value, str) and value in of
    )


TEXT = ValueKind("text", "is a text", lambda value: isinstance(value, str) and value != "")
PATH = ValueKind("path", TEXT.must, TEXT.fits)
SWITCH = ValueKind("true or false", "is true or false", lambda value: isinstance(value, bool))
SECONDS = ValueKind("number of seconds", "is a number of seconds", _is_time)
TEXTS = ValueKind("text, or list of texts", "is a text, or a list of them", _is_texts)
FIELDS = ValueKind(
    "table of texts or whole numbers",
    "is a table of texts or whole numbers",
    lambda value: isinstance(value, dict) and all(type(one) in {str, int} for one in value.values()),
)
COUNT = ValueKind(
    "whole number",
    "is a whole number from 1 on",
    lambda value: isinstance(value, int) and not isinstance(value, bool) and value > 0,
)
FORMAT = _choice(EXPORT_FORMATS)
STATUS = _choice(tuple(STATUSES))


@dataclass(frozen=True, slots=True)
class StepOption:
    """One option: ``example`` is a value as TOML writes it, ``member`` what the request calls it if otherwise."""

    name: str
    kind: ValueKind
    meaning: str
    example: str
    member: str = ""
    needed: bool = False


@dataclass(frozen=True, slots=True)
class StepKind:
    """One kind of step: the command whose work it does, the request that asks for it, and what may be said."""

    command: str
    request: type[Any]
    options: Mapping[str, StepOption]

    def default_of(self, option: StepOption) -> Any:
        """Return what the request holds where nothing is said; None where that is nothing."""
        found = {one.name: one.default for one in fields(self.request)}[option.member or option.name]
        return found if isinstance(found, str | bool) and found != "" else None


def _kind(command: str, request: type[Any], *options: StepOption) -> StepKind:
    return StepKind(command, request, {option.name: option for option in options})


DEADLINE = StepOption("deadline", SECONDS, "Stop resumably after this time.", "3600", member="deadline_s")

STEP_KINDS: Mapping[str, StepKind] = {
    "products": _kind(
        "products pull",
        ProductsRequest,
        StepOption("archived", SWITCH, "Archived products too.", "true"),
        StepOption("format", FORMAT, "Of the export; else told by the name of its file.", '"csv"', member="form"),
        StepOption("out", PATH, "The file to export to; else standard output.", '"/srv/reports/products.parquet"'),
    ),
    "sync": _kind(
        "sync",
        SyncStep,
        StepOption("files", TEXTS, "Paths or patterns; else those that the job waits for.", '["/data/export-*.csv"]'),
        StepOption("job", TEXT, "Which job of the configuration.", '"default"'),
        StepOption("results", PATH, "Write confirmed.csv, error.csv, unprocessed.csv here.", '"/srv/reports/night"'),
    ),
    "scans": _kind(
        "scans pull",
        ScansRequest,
        StepOption("campaign", COUNT, "Whose scans.", "195", needed=True),
        StepOption("from", TEXT, "ISO time: 2026-11-20 or 2026-11-20T05:00:00Z.", '"2026-11-20"', member="begin"),
        StepOption("to", TEXT, "ISO time; a day alone is included whole.", '"2026-11-27"', member="end"),
        StepOption("timeframe", TEXT, "1y, 2m, 3w, 1d (or -1y): that far back from now; without from and to.", '"2w"'),
        StepOption("flag", TEXTS, "Only scans with this flag.", '"out-of-market"', member="flags"),
        StepOption("status", STATUS, "Only codes with this status.", '"active"'),
        StepOption(
            "product",
            TEXT,
            "Only this product: a SKU, or its id (id:332 or sku:… when both could be meant).",
            '"WINE-75"',
        ),
        StepOption("where", FIELDS, "Only codes with this SCM data.", '{ lot = "L-7" }'),
        StepOption("format", FORMAT, "Of the parts; else csv.", '"parquet"', member="form"),
        StepOption("out", PATH, "The folder for the parts; else ./scans-CAMPAIGN.", '"/srv/reports/scans"'),
        StepOption("into_ledger", SWITCH, "Into tables of the ledger instead of files.", "true"),
        StepOption(
            "raw_csv", SWITCH, "The API's own CSV as it is, into the file that out names; not incremental.", "true"
        ),
        DEADLINE,
    ),
    "codes": _kind(
        "codes upload",
        UploadRequest,
        StepOption("file", PATH, "A path, or a pattern that one file matches.", '"/data/own-*.csv"', needed=True),
        StepOption("job", TEXT, "The job whose csv, columns and known_fields say how the file is written.", '"own"'),
        StepOption("default", FIELDS, "SCM data for every code.", "{ activation_status = 1 }", member="defaults"),
        StepOption("url_prefix", TEXT, "URL prefix of the work order.", '"https://example.com/q/"'),
        StepOption("allow_duplicates", SWITCH, "Of several lines with one id, take the first.", "true"),
        StepOption("skip_invalid", SWITCH, "Upload the valid rows although others are rejected.", "true"),
        StepOption(
            "errors",
            PATH,
            "Where the rows with errors are written; else NAME.errors.csv in the current folder.",
            '"/srv/reports/own-errors.csv"',
        ),
        DEADLINE,
    ),
}


def steps_table() -> str:
    """Return the table of docs/products.md."""
    rows = ["| step | option | kind | default | meaning | example |\n| --- | --- | --- | --- | --- | --- |\n"]
    for name, step in STEP_KINDS.items():
        for option in step.options.values():
            default = step.default_of(option)
            shown = "**needed**" if option.needed else "" if default is None else f"`{str(default).lower()}`"
            cells = (f"`{name}`", f"`{option.name}`", option.kind.name, shown, option.meaning, f"`{option.example}`")
            rows.append(f"| {' | '.join(cells)} |\n")
    return "".join(rows)
