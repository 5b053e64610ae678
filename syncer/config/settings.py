"""The settings: what may be configured, and what each value must be.

One description drives everything: the fields of the dataclasses below carry type, default and meaning, and from them
come the checks, the environment names, `config.example.toml`'s test and the table in docs/configuration.md.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from syncer.config.steps import parse_steps
from syncer.config.templates import parse_template
from syncer.errors import ConfigError
from syncer.request import Step
from syncer.safe.masking import TOKEN_VARIABLE, Secret
from syncer.safe.urls import url_fault

ENVIRONMENT_PREFIX = "SYNCER_"
CREDENTIAL_NAME = "scantrust-token"
DELIMITER_CHARACTERS_MAX, CELL_WIDTH_MAX = 8, 10_000
KEY_COLUMNS_MAX = 5
"""Constraints of one call (docs/api.md, "SCM upload, async")."""
_PLAIN_URL = re.compile(r"https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?")

_NOT_RE2 = re.compile(r"\(\?(?:[=!>(]|<[=!]|P=)|(?<!\\)(?:\\\\)*\\[1-9]")

Check = Callable[[Any], Any]
"""Takes a raw value; returns the setting, or raises `ValueError` with words that continue "is … but must be …"."""


def _number(value: Any, *, least: float, most: float, whole: bool = False) -> Any:
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        raise ValueError("a whole number" if whole else "a number")
    if not least <= value <= most:
        raise ValueError(f"between {least:g} and {most:g}")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("a text that is not empty")
    return value


def _count_or_column(value: Any) -> int | str:
    if isinstance(value, str) and value.isascii() and value.isdigit():  # as the environment has it
        value = int(value)
    is_column = isinstance(value, str) and value != ""
    is_count = isinstance(value, int) and not isinstance(value, bool) and value > 0
    if not is_column and not is_count:
        raise ValueError("a whole number above zero, or the name of a column")
    return value  # type: ignore[no-any-return]


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _choice(value: Any, *, of: tuple[str, ...]) -> str:
    if value not in of:
        raise ValueError("one of " + ", ".join(of))
    return str(value)


def _texts(value: Any, *, most: int = 10_000) -> tuple[str, ...]:
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not listed or not all(isinstance(text, str) and text for text in listed):
        raise ValueError("a text or a list of texts")
    if len(listed) > most or len(set(listed)) < len(listed):
        raise ValueError(f"at most {most} different texts")
    return tuple(listed)


def _row_texts(value: Any, *, blank: bool = False) -> tuple[str, ...]:
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not listed or not all(isinstance(text, str) for text in listed):
        raise ValueError("a text or a list of texts")
    if len(set(listed)) < len(listed) or ("" in listed and not blank):
        raise ValueError("different texts" if blank else "different texts, none empty")
    return tuple(listed)


def _base_url(value: Any) -> str:
    # A user name in front of the host would make requests replace our Authorization; what is not a plain character
    # is read in different ways by different programs, and may lead elsewhere than it looks.
    if not _PLAIN_URL.fullmatch(_text(value)):
        raise ValueError("an address like https://api.scantrust.com")
    parts = urlsplit(value)
    if parts.scheme == "http" and not _is_loopback(str(parts.hostname)):
        raise ValueError("an https address (plain http is for loopback alone: the token would travel in the open)")
    try:
        return normal_url(value)
    except ValueError:
        raise ValueError("an address whose port is between 0 and 65535") from None


def normal_url(url: str) -> str:
    """Return an address in its normal form: one target, one text. Letter case, standard port and last slash go."""
    parts = urlsplit(url)
    standard = {"http": 80, "https": 443}[parts.scheme]
    host = f"[{parts.hostname}]" if ":" in str(parts.hostname) else str(parts.hostname)
    port = "" if parts.port in {None, standard} else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _ledger_url(value: Any) -> str:
    if not re.match(r"sqlite(\+pysqlite)?:///.", _text(value)):
        raise ValueError("an SQLite file like sqlite:///syncer.db (other databases are not supported yet)")
    return str(value)


_NO_FILES_ENCODINGS = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "utf-7"})


def _encoding(value: Any) -> str:
    try:
        found = codecs.lookup(_text(value))
    except LookupError:
        found = None
    # Python lists what is no encoding of texts there too: base64, rot13, zip.
    if found is None or found.name in _NO_FILES_ENCODINGS or not getattr(found, "_is_text_encoding", True):
        raise ValueError("the name of an encoding, like utf-8 or cp1252")
    return found.name


def _delimiter(value: Any) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= DELIMITER_CHARACTERS_MAX or set(value) & set('\n\r"'):
        raise ValueError(f"1 to {DELIMITER_CHARACTERS_MAX} characters, none of them a quote or a line end")
    return value


def _widths(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list) or not value or not all(
        isinstance(width, int) and not isinstance(width, bool) and 0 < width <= CELL_WIDTH_MAX for width in value
    ):  # fmt: skip
        raise ValueError("a list of widths in characters: [10, 3, 20]")
    return tuple(value)


def _character(value: Any, *, may_be_empty: bool = False) -> str:
    if not isinstance(value, str) or len(value) > 1 or (not value and not may_be_empty) or value in {"\n", "\r"}:
        raise ValueError("one character")
    return value


def _columns(value: Any) -> Mapping[str, str]:
    if not isinstance(value, dict) or not value or not all(isinstance(key, str) and key for key in value.values()):
        raise ValueError('a table: "CSV header" = "scm_key"')
    return dict(value)


def _words(value: Any) -> tuple[str, ...]:
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not listed or not all(isinstance(text, str) and text for text in listed):
        raise ValueError("a text or a list of texts")
    return tuple(dict.fromkeys(listed))


def _values(value: Any, *, may_be_empty: bool = False) -> Mapping[str, str]:
    """Whole numbers are taken as they are written: ``activation_status = 1``."""
    if not isinstance(value, dict) or not value:
        raise ValueError("a table of values")
    plain = all(isinstance(one, str | int) and not isinstance(one, bool) for one in value.values())
    if not plain or not (may_be_empty or all(one != "" for one in value.values())):
        raise ValueError("a table of texts" + ("" if may_be_empty else " that are not empty"))
    return {key: str(one) for key, one in value.items()}


def _origin(value: Any) -> str:
    parse_template(_text(value))
    return str(value)


def _expression(value: Any) -> str:
    try:
        groups = re.compile(_text(value)).groups
    except re.error as error:
        raise ValueError(f"a regular expression ({error})") from None
    if groups != 1 or _NOT_RE2.search(value):
        raise ValueError("a regular expression with one group (what is kept), without look-around and references")
    return str(value)


def _pattern(value: Any) -> str:
    if "://" in _text(value) and (fault := url_fault(value)) is not None:
        raise ValueError(fault)
    return str(value)


def _mark(value: Any) -> str:
    if not re.search(r"\{(name|stem)\}", _text(value)) or "/" in value:
        raise ValueError('a name beside the file\'s, like "{name}.done" or "{stem}.ok"')
    return str(value)


def _else(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return _text(value)


def _header(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(text, str) for text in value):
        raise ValueError('a list of names: ["extended_id", "product"]')
    if any(not text.strip() for text in value[:-1]) or len(set(value)) < len(value) or not value[0].strip():
        raise ValueError("different names, none empty but the last")
    return tuple(value)


def setting(check: Check, default: Any, meaning: str) -> Any:
    """Describe one setting: its check, its default (None: not set), what it means."""
    return field(default=default, metadata={"check": check, "meaning": meaning})


def name_of(one: Field[Any]) -> str:
    """Return the name of a setting; that of its member ends in ``_`` where Python has the word for itself."""
    return one.name.rstrip("_")


_seconds = partial(_number, least=0, most=86_400)
_positive_seconds = partial(_number, least=0.001, most=86_400)
_percent = partial(_number, least=0, most=100)


def _command(value: Any) -> tuple[str, ...]:
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not listed or not all(isinstance(text, str) for text in listed) or not listed[0]:
        raise ValueError('a list of a program and its arguments: ["vault", "read", "-field=password", "secret/erp"]')
    return tuple(listed)


def _secret(value: Any) -> Secret:
    return Secret(_text(value))


def _hook(value: Any) -> Secret:
    return Secret(_base_url(value))


def _services(value: Any) -> tuple[Secret, ...]:
    return tuple(Secret(one) for one in _texts(value))


def is_secret(check: Check) -> bool:
    """Tell whether what this check takes may never be shown."""
    return check in {_secret, _hook, _services}


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """How to reach the API, and how hard to press it."""

    base_url: str = setting(_base_url, "https://api.scantrust.com", "the API's address; http for loopback alone")
    token_file: str | None = setting(
        _text, None, "a file with the token, readable by its owner alone; relative to the configuration file"
    )
    token_command: tuple[str, ...] | None = setting(
        _command, None, "a program, and its arguments, that prints the token (of a vault); run without a shell"
    )
    ca_file: str | None = setting(
        _text, None,
        "certificates (PEM) of the only authority to be trusted, in place of the public ones; relative like token_file",
    )  # fmt: skip
    timeout_s: float = setting(_positive_seconds, 60, "for one whole answer, not only between bytes")
    updates_per_second: float = setting(partial(_number, least=0.01, most=1000), 10, "the API's limit for SCM updates")
    reads_per_minute: float = setting(partial(_number, least=1, most=100_000), 3000, "the API's limit for all else")
    concurrency: int = setting(partial(_number, least=1, most=64, whole=True), 8, "requests in flight at most")
    give_up_after_s: float = setting(
        _positive_seconds, 900, "how long the API may fail without one success before the run stops (exit 5)"
    )
    settle_s: float = setting(_seconds, 30, "how long after a lost answer a task may still appear")
    poll_s: float = setting(_positive_seconds, 2, "pause between looks at pending tasks")
    task_timeout_s: float = setting(
        _seconds, 3600, "how long to wait for a task before it is left pending for the next run"
    )
    token: Secret | None = None
    """From the environment, the token file or systemd's credentials; never from the configuration file."""

    def require_token(self) -> Secret:
        """Return the token; raise `ConfigError` naming the three places when there is none."""
        if self.token is None:
            raise ConfigError(
                f"there is no API token: set {TOKEN_VARIABLE}, or api.token_file, or give systemd a credential "
                f"named {CREDENTIAL_NAME}, or set api.token_command",
                next=f"export {TOKEN_VARIABLE}=…, then: syncer check",
            )
        return self.token


@dataclass(frozen=True, slots=True)
class LedgerSettings:
    """Where everything is recorded."""

    url: str = setting(
        _ledger_url, "sqlite:///syncer.db",
        "an SQLAlchemy URL of an SQLite file; relative to the configuration file, without one to the current folder",
    )  # fmt: skip
    lock_wait_s: float = setting(
        partial(_number, least=0, most=10**6), 0, "how long to wait while another run holds the ledger (then exit 11)"
    )


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """Guards: what is far from usual stops the run (exit 4) until `--approve`."""

    max_changed_percent: float = setting(
        _percent, 50, "stop before sending when more of the known codes changed; 0 turns it off"
    )
    max_changed_min_codes: int = setting(
        partial(_number, least=1, most=10**9, whole=True),
        20,
        "codes (known ones, or rows) from which the guards against a bad export hold",
    )
    max_missing_percent: float = setting(
        _percent,
        50,
        "stop when more of the usual rows (of a full export: known codes) are missing; 0 turns it off",
    )
    check_keys: bool = setting(_flag, True, "stop when keys look as if a spreadsheet had changed them")
    check_columns: bool = setting(_flag, True, "stop when a column that had several values is empty or has only one")
    check_age: bool = setting(_flag, True, "stop when the files are older than those of the last run")
    max_reach_factor: float = setting(
        partial(_number, least=0, most=10**6), 10,
        "stop when a key value selects this many times more codes than ever before; 0 turns it off",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class RunSettings:
    """Bounds of a run."""

    deadline_s: float | None = setting(
        partial(_number, least=0, most=10**7), None, "seconds after which a run stops, resumably (exit 10)"
    )


@dataclass(frozen=True, slots=True)
class ProductsSettings:
    """The copy of the company's products, and what it is used for."""

    check: bool = setting(_flag, True, "whether rows that name an unknown product are rejected before they are sent")
    max_age_h: float = setting(
        partial(_number, least=0, most=8_760), 24, "hours after which sync reads the list of products anew"
    )


@dataclass(frozen=True, slots=True)
class NightlySettings:
    """What `syncer run` does."""

    steps: tuple[Step, ...] = setting(
        parse_steps, (), "the steps, in their order: products, sync, scans, codes, each with its options"
    )
    on_failure: str = setting(
        partial(_choice, of=("stop", "continue")), "stop", "whether steps after one that failed are skipped"
    )


@dataclass(frozen=True, slots=True)
class ReportSettings:
    """The page that is written after every run."""

    out: str | None = setting(
        _text, None, "write an HTML report here after every sync, resume and run; relative to the configuration file"
    )
    last: int = setting(partial(_number, least=1, most=3660, whole=True), 14, "past runs that its trend shows")


@dataclass(frozen=True, slots=True)
class NotifySettings:
    """Who is told how a run ended. Addresses may hold secrets: they are never shown."""

    webhook_url: Secret | None = setting(
        _hook, None, "told by POST (JSON) when a job's runs begin to end in another way, and when all is well again"
    )
    ping_url: Secret | None = setting(
        _hook, None, "asked at start (/start) and end (/EXITCODE) of every sync, resume and run"
    )
    apprise_urls: tuple[Secret, ...] = setting(
        _services, (), "services that apprise knows (mail, chat), told as webhook_url is; needs syncer[apprise]"
    )
    timeout_s: float = setting(_positive_seconds, 10, "for each of these calls")


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """Numbers for a monitor."""

    file: str | None = setting(
        _text, None, "write numbers for Prometheus here after every sync, resume and run; needs syncer[metrics]"
    )


@dataclass(frozen=True, slots=True)
class ScansSettings:
    """How scans are pulled."""

    overlap_h: float = setting(
        partial(_number, least=0, most=24 * 366),
        48,
        "hours before the newest known scan that are read again, for late ones",
    )
    page_rows: int = setting(
        partial(_number, least=0, most=10_000, whole=True), 1000, "scans of a page; 0 leaves it to the API"
    )
    part_rows: int = setting(
        partial(_number, least=1, most=1_000_000, whole=True), 25_000, "scans of a part, in memory until it is written"
    )


@dataclass(frozen=True, slots=True)
class FieldSettings:
    """Rules of one SCM field."""

    type: str = setting(partial(_choice, of=("text", "date", "integer", "choice")), "text", "what its cells hold")
    formats: tuple[str, ...] = setting(_texts, (), "of dates, as strptime knows them; sent as YYYY-MM-DD")
    choices: tuple[str, ...] = setting(_texts, (), "what a choice may be")
    required: bool = setting(_flag, False, "whether a row without it is rejected")
    max_length: int | None = setting(partial(_number, least=1, most=10**6, whole=True), None, "characters at most")
    from_: str | None = setting(
        _origin, None, 'the column it is made of, or a template of several: "{Pallet}-{Case}"; else the mapped one'
    )
    trim: bool = setting(_flag, False, "whether white space around a cell is taken away, first of all")
    null: tuple[str, ...] = setting(_words, (), "words that mean empty")
    strip_prefix: tuple[str, ...] = setting(_words, (), "what is taken away at the beginning, where it stands there")
    strip_suffix: tuple[str, ...] = setting(_words, (), "what is taken away at the end, where it stands there")
    extract: str | None = setting(
        _expression, None, "a regular expression with one group: what is kept; a cell in which it finds nothing: E321"
    )
    upper: bool = setting(_flag, False, "whether letters become capitals")
    lower: bool = setting(_flag, False, "whether letters become small")
    pad: int = setting(
        partial(_number, least=0, most=1000, whole=True), 0, "characters up to which zeros are put in front"
    )
    map: Mapping[str, str] | None = setting(
        partial(_values, may_be_empty=True), None, 'what is sent for which value, at last: { Deutschland = "DE" }'
    )
    map_else: str = setting(
        _else, "reject", "of a value that is not in the map: reject (E320), keep, or the value that is sent instead"
    )


@dataclass(frozen=True, slots=True)
class CsvSettings:
    """How a job's files are written; what is not declared is detected."""

    encoding: str | None = setting(_encoding, None, "for example utf-8, utf-16-le, cp1252")
    delimiter: str | None = setting(_delimiter, None, "for example , or ; or ||")
    widths: tuple[int, ...] | None = setting(
        _widths, None, "of columns without a delimiter, in characters: [10, 3, 20]"
    )
    quote: str | None = setting(partial(_character, may_be_empty=True), None, 'the quote character; "" for none')
    escape: str | None = setting(
        partial(_character, may_be_empty=True), None, 'what stands before a quote inside a cell; "" when it is doubled'
    )
    header: tuple[str, ...] | None = setting(
        _header, None, 'names of the columns when no header row has them; "" at the end for a column that is empty'
    )
    skip_lines: int = setting(partial(_number, least=0, most=1000, whole=True), 0, "lines before the header")
    newline: str | None = setting(
        partial(_choice, of=("crlf", "lf", "cr", "any")), None, "how lines end: crlf, lf, cr, or any of them"
    )
    repeated_header: str = setting(
        partial(_choice, of=("refuse", "skip")), "refuse", "a header that stands again among the rows: refuse or skip"
    )
    max_damaged_percent: float = setting(
        _percent, 10, "refuse the file when more of its rows (and more than 20) are damaged; 100 turns it off"
    )


@dataclass(frozen=True, slots=True)
class TableSettings:
    """Where a table stands in its file or sheet, and what of its cells is content."""

    header_row: int | None = setting(
        partial(_number, least=1, most=1_048_576, whole=True), None,
        "the row (of text: the line) that names the columns; else the first that names the key, else the first",
    )  # fmt: skip
    end: tuple[str, ...] = setting(
        partial(_row_texts, blank=True), (), 'first cells of rows that end the table, * for anything; "": a blank row'
    )
    skip: tuple[str, ...] = setting(_row_texts, (), "first cells of rows that are left out, * for anything")
    comment: str | None = setting(_text, None, "how the first cell of a comment begins, for example #")
    trim: str = setting(
        partial(_choice, of=("none", "fields", "all")), "none",
        "white space around content: kept; taken from names and all cells but keys (fields), or from keys too (all)",
    )  # fmt: skip
    null: tuple[str, ...] = setting(_texts, (), "words that mean an empty cell, for example NULL")
    short_rows: str = setting(
        partial(_choice, of=("reject", "fill")),
        "reject",
        "rows that end before the last column: reject or fill (blanks)",
    )
    unwrap: bool | None = setting(
        _flag, None, 'whether ="00123" means 00123 (false: it is sent as it stands); rejected until it is said'
    )


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """A query that a job reads when no file is named. ``url`` may hold a password, so it is never shown.

    ``password`` is the one that was found, wherever it stood.
    """

    url: Secret | None = setting(
        _secret,
        None,
        "of a database that is read when no file is named, as SQLAlchemy writes it; better without its password",
    )
    password: Secret | None = setting(
        _secret, None, "of the database, as it is (in an address it is escaped); better in the environment"
    )
    password_file: str | None = setting(
        _text, None, "a file with it, readable by its owner alone; relative to the configuration file"
    )
    password_command: tuple[str, ...] | None = setting(
        _command, None, "a program, and its arguments, that prints the password (of a vault); run without a shell"
    )
    query: str | None = setting(_text, None, "the SELECT whose columns are text, whole numbers or dates")


@dataclass(frozen=True, slots=True)
class UnitSettings:
    """What holds for all rows with one value of an SCM field: the codes of one case, of one pallet."""

    codes: int | None = setting(
        partial(_number, least=1, most=10**6, whole=True), None, "how many codes each unit has; another number: E330"
    )
    same: tuple[str, ...] = setting(_texts, (), "SCM keys that are the same in all rows of a unit; else E331")


@dataclass(frozen=True, slots=True)
class FilesSettings:
    """The files of a job that is synced without naming any."""

    pattern: str | None = setting(
        _pattern,
        None,
        "where they are: a path with * and ?, relative to the configuration; or a URL (s3, sftp, az, gs)",
    )
    take: str = setting(
        partial(_choice, of=("newest", "each", "all")), "newest",
        "newest, each (in the order of their names, a run each) or all (the parts of one export)",
    )  # fmt: skip
    settle_s: float = setting(_seconds, 10, "how long a file must have kept its size and time; 0 turns it off")
    ready: str | None = setting(_mark, None, "a file that must stand beside it: {name}.done")
    wait_s: float = setting(_seconds, 0, "how long to wait for a new file (then exit 14)")
    max_age_h: float | None = setting(
        partial(_number, least=0, most=100_000), None, "hours since the newest was written, beyond which none has come"
    )
    done: str | None = setting(_text, None, "a folder into which it is moved when its run ended with 0 or 3")


@dataclass(frozen=True, slots=True)
class JobSettings:
    """What one export means."""

    name: str = "default"
    key: tuple[str, ...] | None = setting(
        partial(_texts, most=KEY_COLUMNS_MAX), None,
        "the column, or list of up to 5 columns, that selects codes; first of extended_id, serial_number in the header",
    )  # fmt: skip
    columns: Mapping[str, str] | None = setting(_columns, None, "CSV header → SCM key; others are then ignored")
    mode: str = setting(partial(_choice, of=("auto", "sync", "async")), "auto", "auto, sync or async")
    export: str = setting(
        partial(_choice, of=("auto", "full", "changes")), "auto",
        "what its files hold: full (every code), changes (any number of rows), auto (as earlier nights show)",
    )  # fmt: skip
    campaign: int | None = setting(
        partial(_number, least=1, most=2**31, whole=True), None, "campaign id, sent with async uploads"
    )
    send: str = setting(
        partial(_choice, of=("changes", "row")), "changes",
        "changes: of a known code only the fields that are not known to hold the row's value; row: the whole row",
    )  # fmt: skip
    blank: str = setting(
        partial(_choice, of=("omit", "clear", "reject")), "omit", "what an empty cell means: omit, clear or reject"
    )
    constants: Mapping[str, str] | None = setting(_values, None, "SCM key → value that every row gets")
    known_fields: tuple[str, ...] | None = setting(
        _texts, None, "the campaign's SCM keys; a mapped key that is not among them is refused"
    )
    known_fields_file: str | None = setting(
        _text, None, "a CSV file whose header has them, as the portal's template; relative to the configuration file"
    )
    unique: bool | None = setting(
        _flag, None, "whether one key value selects exactly one code; true for extended_id and serial_number"
    )
    disjoint: tuple[str, ...] | None = setting(
        _texts, None, "jobs with another key that never reach the same codes, though they write the same fields"
    )
    expect: int | str | None = setting(
        _count_or_column,
        None,
        "for keys of many codes: how many codes a value selects, a number or the column that says it",
    )
    sheet: str | None = setting(_text, None, "of Excel workbooks: the name of the sheet; else the first one")
    csv: CsvSettings = CsvSettings()
    table: TableSettings = TableSettings()
    source: SourceSettings = SourceSettings()
    files: FilesSettings = FilesSettings()
    units: Mapping[str, UnitSettings] = field(default_factory=dict)
    fields: Mapping[str, FieldSettings] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that was configured. ``path`` is the file it came from; None: no file."""

    api: ApiSettings = ApiSettings()
    ledger: LedgerSettings = LedgerSettings()
    limits: LimitSettings = LimitSettings()
    run: RunSettings = RunSettings()
    products: ProductsSettings = ProductsSettings()
    nightly: NightlySettings = NightlySettings()
    scans: ScansSettings = ScansSettings()
    report: ReportSettings = ReportSettings()
    notify: NotifySettings = NotifySettings()
    metrics: MetricsSettings = MetricsSettings()
    jobs: Mapping[str, JobSettings] = field(default_factory=lambda: {"default": JobSettings()})
    path: Path | None = None


SECTIONS: Mapping[str, type[Any]] = {
    "api": ApiSettings, "ledger": LedgerSettings, "limits": LimitSettings, "run": RunSettings,
    "products": ProductsSettings, "nightly": NightlySettings,
    "scans": ScansSettings, "report": ReportSettings, "notify": NotifySettings,
    "metrics": MetricsSettings,
}  # fmt: skip


def describe() -> Iterator[tuple[str, str, Any, str]]:
    """Describe every setting: key, environment name, default (None: not set), meaning."""
    groups: list[tuple[str, type[Any]]] = [
        *SECTIONS.items(),
        ("jobs.<name>", JobSettings),
        ("jobs.<name>.csv", CsvSettings),
        ("jobs.<name>.table", TableSettings),
        ("jobs.<name>.source", SourceSettings),
        ("jobs.<name>.files", FilesSettings),
        ("jobs.<name>.units.<key>", UnitSettings),
        ("jobs.<name>.fields.<key>", FieldSettings),
    ]
    for prefix, kind in groups:
        for one in fields(kind):
            if "meaning" in one.metadata:
                key = f"{prefix}.{name_of(one)}"
                yield key, ENVIRONMENT_PREFIX + key.upper().replace(".", "__"), one.default, one.metadata["meaning"]
