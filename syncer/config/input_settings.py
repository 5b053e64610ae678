"""The settings of what a job reads: where its files are, how text and tables are written in them, or which query."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from syncer.config import checks
from syncer.config.checks import setting
from syncer.safe.masking import Secret


@dataclass(frozen=True, slots=True)
class CsvSettings:
    """How a job's files are written; what is not declared is detected."""

    encoding: str | None = setting(
        checks.encoding,
        None,
        "for example utf-8, utf-16-le, cp1252",
        example='"cp1252"',
        when="the wrong one was detected: letters look odd in `syncer plan`",
    )
    delimiter: str | None = setting(
        checks.delimiter,
        None,
        "for example , or ; or ||",
        example='";"',
        when="the wrong one was detected, or it has several characters",
    )
    widths: tuple[int, ...] | None = setting(
        checks.widths,
        None,
        "of columns without a delimiter, in characters: [10, 3, 20]",
        example="[10, 3, 20]",
        when="columns have fixed widths",
    )
    quote: str | None = setting(
        partial(checks.character, may_be_empty=True),
        None,
        'the quote character; "" for none',
        example="'\"'",
        when="cells are quoted otherwise, or never",
    )
    escape: str | None = setting(
        partial(checks.character, may_be_empty=True),
        None,
        'what stands before a quote in a quoted cell, or before a delimiter in another; "" when quotes are doubled',
        example="'\\'",
        when="a quote inside a cell is not doubled, or a delimiter inside one stands behind a backslash",
    )
    header: tuple[str, ...] | None = setting(
        checks.header,
        None,
        'names of the columns when no header row has them; "" at the end for a column that is empty',
        example='["extended_id", "product"]',
        when="the file has no header row",
    )
    skip_lines: int = setting(
        partial(checks.number, least=0, most=1000, whole=True),
        0,
        "lines before the header",
        when="lines of other text stand above the header",
    )
    newline: str | None = setting(
        partial(checks.choice, of=("crlf", "lf", "cr", "any")),
        None,
        "how lines end: crlf, lf, cr, or any of them",
        example='"any"',
        when="line ends are mixed",
    )
    repeated_header: str = setting(
        partial(checks.choice, of=("refuse", "skip")),
        "refuse",
        "a header that stands again among the rows: refuse or skip",
        when="exports were put together, header by header",
    )
    max_damaged_percent: float = setting(
        checks.percent,
        10,
        "refuse the file when more of its rows (and more than 20) are damaged; 100 turns it off",
        when="damaged rows are common, and the good ones shall go on",
    )


@dataclass(frozen=True, slots=True)
class TableSettings:
    """Where a table stands in its file or sheet, and what of its cells is content."""

    header_row: int | None = setting(
        partial(checks.number, least=1, most=1_048_576, whole=True),
        None,
        "the row (of text: the line) that names the columns; else the first that names the key, else the first",
        example="4",
        when="the wrong row was taken for the header",
    )
    end: tuple[str, ...] = setting(
        partial(checks.row_texts, blank=True),
        (),
        'first cells of rows that end the table, * for anything; "": a blank row',
        example='["Total*", ""]',
        when="sums or notes stand below the table",
    )
    skip: tuple[str, ...] = setting(
        checks.row_texts,
        (),
        "first cells of rows that are left out, * for anything",
        example='["Page *"]',
        when="page breaks stand between the rows",
    )
    comment: str | None = setting(
        checks.text,
        None,
        "how the first cell of a comment begins, for example #",
        example='"#"',
        when="the file has comments",
    )
    trim: str = setting(
        partial(checks.choice, of=("none", "fields", "all")),
        "none",
        "white space around content: kept; taken from names and all cells but keys (fields), or from keys too (all)",
        when="cells are padded with blanks",
    )
    null: tuple[str, ...] = setting(
        checks.texts,
        (),
        "words that mean an empty cell, for example NULL",
        example="[\"NULL\", '\\N']",
        when="the database writes a word for an empty cell",
    )
    short_rows: str = setting(
        partial(checks.choice, of=("reject", "fill")),
        "reject",
        "rows that end before the last column: reject or fill (blanks)",
        when="the exporter leaves out blank cells at the end",
    )
    unwrap: bool | None = setting(
        checks.flag,
        None,
        'whether ="00123" means 00123 (false: it is sent as it stands); rejected until it is said',
        example="true",
        when="the export protects its digits from Excel",
    )
    merged: str = setting(
        partial(checks.choice, of=("reject", "fill")),
        "reject",
        "of Excel: cells that are merged with the first one: reject (E128) or fill (they have its content)",
        when="a pallet's number is merged over the rows of its cases",
    )


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """A query that a job reads when no file is named. ``url`` may hold a password, so it is never shown.

    ``password`` is the one that was found, wherever it stood.
    """

    url: Secret | None = setting(
        checks.secret,
        None,
        "of a database that is read when no file is named, as SQLAlchemy writes it; better without its password",
        example='"postgresql+psycopg://reader@db.example.com/erp"',
        when="the rows come from a database",
    )
    password: Secret | None = setting(
        checks.secret,
        None,
        "of the database, as it is (in an address it is escaped); better in the environment",
        example='"secret"',
        when="you try it out; else see the next two",
    )
    password_file: str | None = setting(
        checks.text,
        None,
        "a file with it, readable by its owner alone; relative to the configuration file",
        example='"erp-password"',
        when="no environment variable can carry it",
    )
    password_command: tuple[str, ...] | None = setting(
        checks.command,
        None,
        "a program, and its arguments, that prints the password (of a vault); run without a shell",
        example='["vault", "read", "-field=password", "secret/erp"]',
        when="it lies in a vault",
    )
    query: str | None = setting(
        checks.text,
        None,
        "the SELECT whose columns are text, whole numbers or dates",
        example='"SELECT serial AS extended_id, market AS intended_market FROM export"',
        when="the rows come from a database",
    )


@dataclass(frozen=True, slots=True)
class FilesSettings:
    """The files of a job that is synced without naming any."""

    pattern: str | None = setting(
        checks.pattern,
        None,
        "where they are: a path with * and ?, relative to the configuration; or a URL (s3, sftp, az, gs)",
        example='"/data/export-*.csv"',
        when="files arrive under names of their own",
    )
    take: str = setting(
        partial(checks.choice, of=("newest", "each", "all")),
        "newest",
        "newest, each (in the order of their names, a run each: so of changes) or all (the parts of one export)",
        when="each file counts, or an export comes in parts",
    )
    settle_s: float = setting(
        checks.seconds,
        10,
        "how long a file must have kept its size and time; 0 turns it off",
        when="files are written slowly, with pauses",
    )
    ready: str | None = setting(
        checks.mark,
        None,
        "a file that must stand beside it: {name}.done",
        example='"{name}.done"',
        when="the exporter marks files that are whole",
    )
    wait_s: float = setting(
        checks.seconds, 0, "how long to wait for a new file (then exit 14)", when="the export may be late"
    )
    max_age_h: float | None = setting(
        partial(checks.number, least=0, most=100_000),
        None,
        "hours since the newest was written, beyond which none has come",
        example="26",
        when="an old file must not pass for last night's",
    )
    done: str | None = setting(
        checks.text,
        None,
        "a folder into which it is moved when its run ended with 0 or 3",
        example='"done"',
        when="files shall leave their folder when they are through",
    )
