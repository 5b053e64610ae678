"""From tables, as TOML has them, to settings: every key known, every fault noted. Reads nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import date, datetime, time
from typing import Any

from syncer.config.checks import MemberError, is_secret, name_of
from syncer.config.input_settings import CsvSettings, FilesSettings, SourceSettings, TableSettings
from syncer.config.job_settings import FieldSettings, JobSettings, UnitSettings
from syncer.config.settings import SECTIONS, Settings
from syncer.errors import did_you_mean
from syncer.safe.addresses import holds_secret
from syncer.safe.masking import TOKEN_VARIABLE

_URL_PASSWORD = re.compile(r"://[^/]*@")
_JOB_TABLES = ("csv", "table", "source", "files", "units", "fields")
_DATE_PART = re.compile("%([A-Za-z%])")
_JOB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")


def build(raw: Mapping[str, Any], faults: list[str]) -> Settings:
    """Return the settings that a file and the environment give together; what is wrong is added to `faults`."""
    _refuse_unknown(raw, [*SECTIONS, "jobs"], "", faults)
    if isinstance(raw.get("api"), dict) and "token" in raw["api"]:
        faults.append(
            "api.token may not stand in the file, where backups and colleagues see it: "
            f"use {TOKEN_VARIABLE} or api.token_file"
        )
        raw = {**raw, "api": {name: value for name, value in raw["api"].items() if name != "token"}}
    sections = {name: _section(kind, raw.get(name, {}), name, faults) for name, kind in SECTIONS.items()}
    tables = raw.get("jobs", {})
    if not isinstance(tables, dict):
        faults.append("jobs must be tables: [jobs.NAME]")
        tables = {}
    tables = tables or {"default": {}}
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
    own = {key: value for key, value in table.items() if key not in _JOB_TABLES}
    job: JobSettings = _section(JobSettings, own, where, faults, also=_JOB_TABLES)
    rules = table.get("fields", {})
    if not isinstance(rules, dict):
        faults.append(f"{where}.fields must be a table")
        rules = {}
    named = {key: _field(f"{where}.fields.{key}", rule, faults) for key, rule in rules.items()}
    _refuse_strangers(where, job, named, faults)
    if job.key is not None and len(job.key) > 1 and job.mode == "sync":
        faults.append(f"{where}: several key columns need async calls; mode must be auto or async")
    csv = _section(CsvSettings, table.get("csv", {}), f"{where}.csv", faults)
    where_table: TableSettings = _section(TableSettings, table.get("table", {}), f"{where}.table", faults)
    units = table.get("units", {})
    if not isinstance(units, dict):
        faults.append(f"{where}.units must be a table")
        units = {}
    unit_rules = {key: _section(UnitSettings, rule, f"{where}.units.{key}", faults) for key, rule in units.items()}
    faults.extend(f"{where}.units.{key} needs codes or same" for key, rule in units.items() if rule == {})
    files: FilesSettings = _section(FilesSettings, table.get("files", {}), f"{where}.files", faults)
    if "files" in table and files.pattern is None:
        faults.append(f"{where}.files needs a pattern: where the files are")
    if job.export == "changes":
        files = _of_changes(where, files, table, faults)
    source: SourceSettings = _section(SourceSettings, table.get("source", {}), f"{where}.source", faults)
    if (source.url is None) != (source.query is None) and "source" in table:
        faults.append(f"{where}.source needs both: url and query")
    job = replace(job, name=name, csv=csv, table=where_table, source=source)
    return replace(job, files=files, units=unit_rules, fields=named)


def _of_changes(where: str, files: FilesSettings, table: Any, faults: list[str]) -> FilesSettings:
    """Return the files of a job that holds only changes: each counts, so none is passed over for a newer one."""
    asked = table.get("files", {})
    if isinstance(asked, dict) and "take" not in asked:
        return replace(files, take="each")
    if files.take == "newest":
        faults.append(f'{where}.files.take = "newest" would lose what the other files of changes say: "each", or "all"')
    return files


def _refuse_strangers(where: str, job: JobSettings, rules: Mapping[str, FieldSettings], faults: list[str]) -> None:
    """Refuse rules, constants and columns that contradict each other; without ``columns`` a header tells the rest."""
    mapped = [*(job.columns or {}).values()]
    constants = job.constants or {}
    known = [*mapped, *constants, *(job.key or ())]
    for key, rule in rules.items():
        if rule.from_ is not None and key in (*mapped, *constants):
            faults.append(f"{where}: {key} has a from of its own, and is in columns or constants too")
        if job.columns is not None and rule.from_ is None and key not in known:
            theirs = job.columns.get(key)
            hint = f": the column {key!r} is sent as {theirs!r}" if theirs else did_you_mean(key, known)
            faults.append(f"{where}.fields.{key} is no field that the job sends{hint}")
    numbered = [key for key in ("activation_status", "blacklist_reason") if key in rules]
    of_days = [key for key in numbered if rules[key].type == "date"]
    faults.extend(f"{where}.fields.{key}.type cannot be 'date': its values are numbers" for key in of_days)
    faults.extend(f"{where}.constants.{key} has a column in columns too" for key in constants if key in mapped)
    faults.extend(f"{where}.constants.{key} is the key" for key in constants if key in (job.key or ()))


def _field(where: str, table: Any, faults: list[str]) -> FieldSettings:
    rule: FieldSettings = _section(FieldSettings, table, where, faults)
    if rule.type == "date" and not rule.formats:
        rule = replace(rule, formats=("%Y-%m-%d",))
    if rule.upper and rule.lower:
        faults.append(f"{where}: upper and lower contradict each other")
    if rule.map is None and rule.map_else != "reject":
        faults.append(f"{where}.map_else is set, but there is no map")
    if rule.map is not None and len({_cased(rule, key) for key in rule.map}) < len(rule.map):
        faults.append(f"{where}.map has two entries that differ in letter case alone, which upper or lower takes away")
    if rule.formats and rule.type != "date":
        faults.append(f'{where}.formats is set, but the type is {rule.type!r}: {where}.type = "date"')
    if rule.choices and rule.type != "choice":
        faults.append(f'{where}.choices is set, but the type is {rule.type!r}: {where}.type = "choice"')
    if rule.type == "choice" and not rule.choices:
        faults.append(f"{where}.choices is missing: a choice needs a list of them")
    faults.extend(f"{where}.formats: {form!r} {words}" for form in rule.formats if (words := _date_fault(form)))
    return rule


def _date_fault(form: str) -> str:
    """Return what is wrong with a format of dates: what it does not name would be made up; empty: nothing is."""
    parts = set(_DATE_PART.findall(form))
    day = parts & {"d", "j"} and parts & {"m", "b", "B", "j"}
    if not (day and parts & {"Y", "y"}) and not parts >= {"G", "V", "u"}:
        return "must name day, month and year, like %d.%m.%Y or %d-%b-%y"
    try:
        datetime.strptime("", form)  # noqa: DTZ007  a calendar day
    except ValueError as error:
        # A format that can be read says that nothing does not fit it; one that cannot, what is bad in it.
        return "" if "does not match" in str(error) else f"is no format of strptime: {error}"
    return ""


def _cased(rule: FieldSettings, key: str) -> str:
    return key.upper() if rule.upper else key.lower() if rule.lower else key


def _section(kind: type[Any], table: Any, where: str, faults: list[str], also: tuple[str, ...] = ()) -> Any:
    """Build one dataclass from a table, noting every fault."""
    if not isinstance(table, dict):
        faults.append(f"{where} must be a table: [{where}]")
        return kind()
    known = {name_of(one): one for one in fields(kind) if "check" in one.metadata}
    _refuse_unknown(table, [*known, *also], where + ".", faults)
    values = {}
    for name, one in known.items():
        if name in table:
            check = one.metadata["check"]
            try:
                values[one.name] = check(table[name])
            except ValueError as error:
                member, value = (f".{error.name}", error.value) if isinstance(error, MemberError) else ("", table[name])
                # a URL may carry somebody's password
                hidden = is_secret(check) or holds_secret(str(value))
                shown = "not shown" if hidden else _URL_PASSWORD.sub("://…@", _shown(value))
                faults.append(f"{where}.{name}{member} is {shown}, but must be {error}")
    return kind(**values)


def _shown(value: Any) -> str:
    """Write a value for people: a day as TOML does."""
    return str(value) if isinstance(value, date | time) else repr(value)


def secret_keys(raw: Mapping[str, Any]) -> list[str]:
    """Return the settings of a file that hold a password: a database's, by itself or in its address."""
    found = []
    jobs = raw.get("jobs")
    for name, job in jobs.items() if isinstance(jobs, dict) else ():
        source = job.get("source") if isinstance(job, dict) else None
        if not isinstance(source, dict):
            continue
        if "password" in source:
            found.append(f"jobs.{name}.source.password")
        if isinstance(source.get("url"), str) and holds_secret(source["url"]):
            found.append(f"jobs.{name}.source.url")
    return found


def _refuse_unknown(table: Mapping[str, Any], known: list[str], prefix: str, faults: list[str]) -> None:
    faults.extend(f"unknown key {prefix}{name}{did_you_mean(name, known)}" for name in table if name not in known)
