"""Settings: frozen, loaded once, every key known, every fault named.

One description drives everything: the fields of the dataclasses below carry type, default and meaning, and from them
come the checks, the environment names, `config.example.toml`'s test and the table in docs/configuration.md. Order:
command line, then environment, then file, then default. Importing this module loads nothing heavy.
"""

from __future__ import annotations

import codecs
import difflib
import json
import os
import re
import stat
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from syncer.errors import ConfigError
from syncer.masking import TOKEN_VARIABLE, remember
from syncer.steps import Step, parse_steps

ENVIRONMENT_PREFIX = "SYNCER_"
CONFIG_VARIABLE = "SYNCER_CONFIG"
CREDENTIAL_NAME = "scantrust-token"
KEY_COLUMNS_MAX = 5
"""Constraints of one call (scantrust-api.md, "SCM upload, async")."""
_PLAIN_URL = re.compile(r"https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?")
_URL_PASSWORD = re.compile(r"://[^/]*@")
_JOB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")

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


def _base_url(value: Any) -> str:
    # A user name in front of the host would make requests replace our Authorization; what is not a plain character
    # is read in different ways by different programs, and may lead elsewhere than it looks.
    if not _PLAIN_URL.fullmatch(_text(value)):
        raise ValueError("an address like https://api.scantrust.com")
    parts = urlsplit(value)
    if parts.scheme == "http" and not _is_loopback(str(parts.hostname)):
        raise ValueError("an https address (plain http is for loopback alone: the token would travel in the open)")
    return str(value).rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _ledger_url(value: Any) -> str:
    if not re.match(r"sqlite(\+pysqlite)?:///.", _text(value)):
        raise ValueError("an SQLite file like sqlite:///syncer.db (other databases are not supported yet)")
    return str(value)


def _encoding(value: Any) -> str:
    try:
        return codecs.lookup(_text(value)).name
    except LookupError:
        raise ValueError("the name of an encoding, like utf-8 or cp1252") from None


def _character(value: Any, *, may_be_empty: bool = False) -> str:
    if not isinstance(value, str) or len(value) > 1 or (not value and not may_be_empty) or value in {"\n", "\r"}:
        raise ValueError("one character")
    return value


def _columns(value: Any) -> Mapping[str, str]:
    if not isinstance(value, dict) or not value or not all(isinstance(key, str) and key for key in value.values()):
        raise ValueError('a table: "CSV header" = "scm_key"')
    return dict(value)


def _header(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(text, str) for text in value):
        raise ValueError('a list of names: ["extended_id", "product"]')
    if any(not text.strip() for text in value[:-1]) or len(set(value)) < len(value) or not value[0].strip():
        raise ValueError("different names, none empty but the last")
    return tuple(value)


def setting(check: Check, default: Any, meaning: str) -> Any:
    """Describe one setting: its check, its default (None: not set), what it means."""
    return field(default=default, metadata={"check": check, "meaning": meaning})


_seconds = partial(_number, least=0, most=86_400)
_positive_seconds = partial(_number, least=0.001, most=86_400)
_percent = partial(_number, least=0, most=100)


class Secret:
    """A text that is never shown: not by `repr`, `str`, formatting or pickling. `reveal` gives it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the text."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a secret is not pickled")


def _secret(value: Any) -> Secret:
    return Secret(_text(value))


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """How to reach the API, and how hard to press it."""

    base_url: str = setting(_base_url, "https://api.scantrust.com", "the API's address; http for loopback alone")
    token_file: str | None = setting(
        _text, None, "a file with the token, readable by its owner alone; relative to the configuration file"
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
                f"named {CREDENTIAL_NAME}",
                next=f"export {TOKEN_VARIABLE}=…, then: syncer check",
            )
        return self.token


@dataclass(frozen=True, slots=True)
class LedgerSettings:
    """Where everything is recorded."""

    url: str = setting(_ledger_url, "sqlite:///syncer.db", "an SQLAlchemy URL; SQLite files are supported")


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """Guards: what is far from usual stops the run (exit 4) until `--approve`."""

    max_changed_percent: float = setting(
        _percent, 50, "stop before sending when more of the known codes changed; 0 turns it off"
    )
    max_changed_min_codes: int = setting(
        partial(_number, least=1, most=10**9, whole=True),
        1000,
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


@dataclass(frozen=True, slots=True)
class CsvSettings:
    """How a job's files are written; what is not declared is detected."""

    encoding: str | None = setting(_encoding, None, "for example utf-8, utf-16-le, cp1252")
    delimiter: str | None = setting(_character, None, "for example , or ;")
    quote: str | None = setting(partial(_character, may_be_empty=True), None, 'the quote character; "" for none')
    escape: str | None = setting(
        partial(_character, may_be_empty=True), None, 'what stands before a quote inside a cell; "" when it is doubled'
    )
    header: tuple[str, ...] | None = setting(
        _header, None, 'names of the columns when no header row has them; "" at the end for a column that is empty'
    )
    skip_lines: int = setting(partial(_number, least=0, most=1000, whole=True), 0, "lines before the header")
    repeated_header: str = setting(
        partial(_choice, of=("refuse", "skip")), "refuse", "a header that stands again among the rows: refuse or skip"
    )
    max_damaged_percent: float = setting(
        _percent, 10, "refuse the file when more of its rows (and more than 20) are damaged; 100 turns it off"
    )


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """A query that a job reads when no file is named. ``url`` may hold a password, so it is never shown."""

    url: Secret | None = setting(
        _secret,
        None,
        "of a database that is read when no file is named, as SQLAlchemy writes it; better in the environment",
    )
    query: str | None = setting(_text, None, "the SELECT whose columns are text, whole numbers or dates")


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
    blank: str = setting(
        partial(_choice, of=("omit", "clear", "reject")), "omit", "what an empty cell means: omit, clear or reject"
    )
    known_fields: tuple[str, ...] | None = setting(
        _texts, None, "the campaign's SCM keys; a mapped key that is not among them is refused"
    )
    unique: bool | None = setting(
        _flag, None, "whether one key value selects exactly one code; true for extended_id and serial_number"
    )
    sheet: str | None = setting(_text, None, "of Excel workbooks: the name of the sheet; else the first one")
    csv: CsvSettings = CsvSettings()
    source: SourceSettings = SourceSettings()
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
    jobs: Mapping[str, JobSettings] = field(default_factory=lambda: {"default": JobSettings()})
    path: Path | None = None


SECTIONS: Mapping[str, type[Any]] = {
    "api": ApiSettings, "ledger": LedgerSettings, "limits": LimitSettings, "run": RunSettings,
    "products": ProductsSettings, "nightly": NightlySettings,
    "scans": ScansSettings,
}  # fmt: skip


def load_settings(*, explicit: Path | None, environ: Mapping[str, str], cwd: Path) -> Settings:
    """Load the settings; raise one `ConfigError` that names every fault."""
    path = _find_file(explicit, environ, cwd)
    raw = _read_toml(path) if path is not None else {}
    faults: list[str] = []
    _merge(raw, _from_environment(environ, raw, faults))
    settings = _build(raw, faults)
    if faults:
        where = f"{path}: " if path is not None else ""
        raise ConfigError(where + ("; ".join(faults) if len(faults) == 1 else "\n  - ".join(["", *faults])))
    settings = replace(settings, path=path)
    _refuse_shared_fields(settings.jobs)
    token, ca_file = _find_token(settings, environ, path), _find_authority(settings, path)
    return replace(settings, api=replace(settings.api, token=token, ca_file=ca_file))


def pick_job(settings: Settings, name: str | None) -> JobSettings:
    """Return the job with this name, or the only one; raise `ConfigError` listing the names."""
    names = ", ".join(sorted(settings.jobs))
    if name is None:
        if len(settings.jobs) == 1:
            return next(iter(settings.jobs.values()))
        raise ConfigError(f"there are several jobs: {names}", next="name one of them: --job NAME")
    if name not in settings.jobs:
        raise ConfigError(f"there is no job {name!r}{_suggest(name, settings.jobs)}; configured: {names}")
    return settings.jobs[name]


def example_text() -> str:
    """Return the example configuration: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parent
    inside = package / "config.example.toml"
    return (inside if inside.exists() else package.parent / inside.name).read_text(encoding="utf-8")


def describe() -> Iterator[tuple[str, str, Any, str]]:
    """Describe every setting: key, environment name, default (None: not set), meaning."""
    groups: list[tuple[str, type[Any]]] = [
        *SECTIONS.items(),
        ("jobs.<name>", JobSettings),
        ("jobs.<name>.csv", CsvSettings),
        ("jobs.<name>.source", SourceSettings),
        ("jobs.<name>.fields.<key>", FieldSettings),
    ]
    for prefix, kind in groups:
        for one in fields(kind):
            if "meaning" in one.metadata:
                key = f"{prefix}.{one.name}"
                yield key, ENVIRONMENT_PREFIX + key.upper().replace(".", "__"), one.default, one.metadata["meaning"]


def _find_file(explicit: Path | None, environ: Mapping[str, str], cwd: Path) -> Path | None:
    named = explicit or (Path(environ[CONFIG_VARIABLE]) if environ.get(CONFIG_VARIABLE) else None)
    if named is not None:
        if not (cwd / named).is_file():
            raise ConfigError(f"there is no configuration file {named}", next="syncer init writes one")
        return cwd / named
    default = cwd / "config.toml"
    return default if default.is_file() else None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None


def _from_environment(environ: Mapping[str, str], raw: Mapping[str, Any], faults: list[str]) -> dict[str, Any]:
    """Return the settings that stand in the environment, shaped like the file's."""
    found: dict[str, Any] = {}
    job_names = {name.lower(): name for name in raw.get("jobs", {}) if isinstance(name, str)}
    for name, text in sorted(environ.items()):
        if not name.startswith(ENVIRONMENT_PREFIX) or name in {CONFIG_VARIABLE, TOKEN_VARIABLE}:
            continue
        path = name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
        if path[0] == "jobs" and len(path) > 1:
            path[1] = job_names.get(path[1], path[1])
        if len(path) < 2:  # noqa: PLR2004
            faults.append(f"unknown environment variable {name}")
            continue
        here = found
        for part in path[:-1]:
            here = here.setdefault(part, {})
        here[path[-1]] = _value_of(text)
    return found


def _value_of(text: str) -> Any:
    """Read a value as TOML would; what is no TOML value is a text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        try:
            return json.loads(text)
        except ValueError:
            return text


def _merge(into: dict[str, Any], other: Mapping[str, Any]) -> None:
    for name, value in other.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        else:
            into[name] = value


def _build(raw: Mapping[str, Any], faults: list[str]) -> Settings:
    _refuse_unknown(raw, [*SECTIONS, "jobs"], "", faults)
    if isinstance(raw.get("api"), dict) and "token" in raw["api"]:
        faults.append(
            "api.token may not stand in the file, where backups and colleagues see it: "
            f"use {TOKEN_VARIABLE} or api.token_file"
        )
        raw = {**raw, "api": {name: value for name, value in raw["api"].items() if name != "token"}}
    sections = {name: _section(kind, raw.get(name, {}), name, faults) for name, kind in SECTIONS.items()}
    tables = raw.get("jobs") or {"default": {}}
    if not isinstance(tables, dict):
        faults.append("jobs must be tables: [jobs.NAME]")
        tables = {}
    jobs = {name: _job(name, table, faults) for name, table in tables.items()}
    return Settings(**sections, jobs=jobs)


def _job(name: str, table: Any, faults: list[str]) -> JobSettings:
    where = f"jobs.{name}"
    if not _JOB_NAME.fullmatch(name):
        faults.append(
            f"{where}: a job's name is made of letters, digits, - and _, at most 40 (it stands in task references)"
        )
    if not isinstance(table, dict):
        faults.append(f"{where} must be a table")
        return JobSettings(name=name)
    own = {key: value for key, value in table.items() if key not in {"csv", "source", "fields"}}
    job: JobSettings = _section(JobSettings, own, where, faults, also=("csv", "source", "fields"))
    rules = table.get("fields", {})
    if not isinstance(rules, dict):
        faults.append(f"{where}.fields must be a table")
        rules = {}
    named = {key: _field(f"{where}.fields.{key}", rule, faults) for key, rule in rules.items()}
    if job.key is not None and len(job.key) > 1 and job.mode == "sync":
        faults.append(f"{where}: several key columns need async calls; mode must be auto or async")
    csv = _section(CsvSettings, table.get("csv", {}), f"{where}.csv", faults)
    source: SourceSettings = _section(SourceSettings, table.get("source", {}), f"{where}.source", faults)
    if (source.url is None) != (source.query is None) and "source" in table:
        faults.append(f"{where}.source needs both: url and query")
    return replace(job, name=name, csv=csv, source=source, fields=named)


def _field(where: str, table: Any, faults: list[str]) -> FieldSettings:
    rule: FieldSettings = _section(FieldSettings, table, where, faults)
    if rule.type == "date" and not rule.formats:
        rule = replace(rule, formats=("%Y-%m-%d",))
    if rule.type == "choice" and not rule.choices:
        faults.append(f"{where}.choices is missing: a choice needs a list of them")
    for form in rule.formats:
        if not all(part in form for part in ("%d", "%m")) and "%j" not in form:
            faults.append(f"{where}.formats: {form!r} must name day and month, like %d.%m.%Y")
        elif "%Y" not in form and "%y" not in form:
            faults.append(f"{where}.formats: {form!r} must name the year, like %d.%m.%Y")
    return rule


def _section(kind: type[Any], table: Any, where: str, faults: list[str], also: tuple[str, ...] = ()) -> Any:
    """Build one dataclass from a table, noting every fault."""
    if not isinstance(table, dict):
        faults.append(f"{where} must be a table: [{where}]")
        return kind()
    checks = {one.name: one.metadata["check"] for one in fields(kind) if "check" in one.metadata}
    _refuse_unknown(table, [*checks, *also], where + ".", faults)
    values = {}
    for name, check in checks.items():
        if name in table:
            try:
                values[name] = check(table[name])
            except ValueError as error:
                # a URL may carry somebody's password
                shown = "not shown" if check is _secret else _URL_PASSWORD.sub("://…@", repr(table[name]))
                faults.append(f"{where}.{name} is {shown}, but must be {error}")
    return kind(**values)


def _refuse_unknown(table: Mapping[str, Any], known: list[str], prefix: str, faults: list[str]) -> None:
    faults.extend(f"unknown key {prefix}{name}{_suggest(name, known)}" for name in table if name not in known)


def _suggest(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def _refuse_shared_fields(jobs: Mapping[str, JobSettings]) -> None:
    """Two jobs that write the same field with the same key: the ledger could not know who wrote last."""
    seen: list[JobSettings] = []
    for job in jobs.values():
        for other in seen:
            if job.key != other.key:
                continue
            mine, theirs = _written(job), _written(other)
            shared = sorted(mine & theirs) if mine is not None and theirs is not None else ["every field"]
            if shared:
                raise ConfigError(
                    f"jobs {other.name!r} and {job.name!r} have the same key and may both write {', '.join(shared)}: "
                    "the ledger could not know which of them wrote last",
                    next="give each field to one job: [jobs.NAME.columns]",
                )
        seen.append(job)


def _written(job: JobSettings) -> set[str] | None:
    if job.columns is None:
        return None
    return set(job.columns.values()) - set(job.key or ()) - {job.columns.get(key) for key in job.key or ()}


def _beside(path: Path | None, name: str) -> Path:
    """Return a file that the configuration names: relative to the configuration file, or to the working folder."""
    return (path.parent if path is not None else Path.cwd()) / name


def _find_authority(settings: Settings, path: Path | None) -> str | None:
    """Return the file of ``api.ca_file``; raise `ConfigError` when no certificate is in it."""
    if settings.api.ca_file is None:
        return None
    file = _beside(path, settings.api.ca_file)
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ConfigError(f"api.ca_file, {file}, cannot be read: {error.strerror}") from None
    if "-----BEGIN CERTIFICATE-----" not in text:
        raise ConfigError(f"api.ca_file, {file}, holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)")
    return str(file)


def _find_token(settings: Settings, environ: Mapping[str, str], path: Path | None) -> Secret | None:
    if environ.get(TOKEN_VARIABLE):
        return _token(environ[TOKEN_VARIABLE], TOKEN_VARIABLE)
    if settings.api.token_file is not None:
        file = _beside(path, settings.api.token_file)
        return _token(_read_token(file, private=True), str(file))
    if environ.get("CREDENTIALS_DIRECTORY"):
        file = Path(environ["CREDENTIALS_DIRECTORY"]) / CREDENTIAL_NAME
        if file.is_file():
            return _token(_read_token(file, private=False), str(file))
    return None


def _read_token(file: Path, *, private: bool) -> str:
    """Read a token file. A name under which no file is may be the token itself, put into the wrong setting: unsaid."""
    try:
        with file.open(encoding="utf-8") as opened:
            if private and os.name == "posix" and os.fstat(opened.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise ConfigError(f"the token file {file} can be read by others", next=f"chmod 600 {file}")
            return opened.read()
    except FileNotFoundError:
        raise ConfigError(
            f"the file that api.token_file names is not in {file.parent}; the setting holds a file's name, not a token"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        words = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigError(f"the token file {file} cannot be read: {words}") from None


def _token(text: str, place: str) -> Secret:
    token = text.strip().removeprefix("UAT ").strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(f"what stands in {place} is not a token: one word of letters, digits and signs")
    if token[0] == token[-1] and token[0] in "\"'":
        raise ConfigError(f"what stands in {place} is in quotes, which would be sent too: take them out")
    remember(token)
    return Secret(token)
