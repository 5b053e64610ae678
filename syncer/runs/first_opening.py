"""Opens an export that nothing is known of: what a refusal advises is tried, as people would, and told as not sure.

What always holds: nothing is read that a job with these settings would not read alike; at most `TRIES_MAX` settings.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from syncer.errors import SourceError
from syncer.source import CsvForm, Source, TableForm, open_sources

TRIES_MAX = 6
HEADER_ROWS_TRIED = 20
_ADVICE = re.compile(r"jobs\.<name>\.([a-z_.]+) = ")
BY_PLACE = "by place"
"""Not a setting: whether columns may be without a name of their own, as where a job names those that count."""
_BY_PLACE = re.compile(r"column \d+|.* \(column \d+\)")


@dataclass(frozen=True, slots=True)
class Opened:
    """An export, open, and the settings (by name below ``jobs.<name>``) that it needed."""

    source: Source
    declared: Mapping[str, Any]


def open_as_advised(file: str) -> Opened:
    """Open an export; raise the `SourceError` that no advice of its own helps against."""
    declared: dict[str, Any] = {}
    for _ in range(TRIES_MAX):
        try:
            source = _opened(file, declared)
        except SourceError as error:
            if not _followed(file, declared, error):
                raise
            continue
        better = _better(file, source, declared)
        if not better:
            return Opened(source, {name: value for name, value in declared.items() if name != BY_PLACE})
        source.close()
        declared |= better
    return Opened(_opened(file, declared), {name: value for name, value in declared.items() if name != BY_PLACE})


def _followed(file: str, declared: dict[str, Any], error: SourceError) -> bool:
    """Do what a refusal advises; tell whether there was anything."""
    if BY_PLACE not in declared and re.search("has no name|twice", error.message):
        declared |= {BY_PLACE: True} | ({} if "twice" in error.message else _header_below(file, declared))
        return True
    for name, value in _advised(f"{error.remedy} {error.message}"):
        if name not in declared:
            declared[name] = value
            return True
    found = {} if "table.header_row" in declared else _header_below(file, declared)
    declared |= found
    return bool(found)


def _better(file: str, source: Source, declared: Mapping[str, Any]) -> dict[str, Any]:
    """Return what else to set where an export can be read, but hardly as it is meant; empty: nothing."""
    if any(name != name.strip() for name in source.header) and "table.trim" not in declared:
        return {"table.trim": "all"}
    if len(source.header) > 1 or "table.header_row" in declared or "sheet" in declared:
        return {}
    for sheet in getattr(source, "other_sheets", ()):
        if _named(file, {**declared, "sheet": sheet}) > 1:
            return {"sheet": sheet}
    return _header_below(file, declared)


def _header_below(file: str, declared: Mapping[str, Any]) -> dict[str, Any]:
    """Return the first row further down that names more columns than the first one, as the header to set."""
    first = _named(file, {**declared, BY_PLACE: True})
    for row in range(2, HEADER_ROWS_TRIED + 1):
        if _named(file, {**declared, "table.header_row": row}) > max(first, 1):
            return {"table.header_row": row}
    return {}


def _named(file: str, declared: Mapping[str, Any]) -> int:
    """Return how many columns with names of their own an export has, read so; 0: it cannot be."""
    try:
        source = _opened(file, declared)
    except SourceError:
        return 0
    source.close()
    return sum(_BY_PLACE.fullmatch(name) is None for name in source.header)


def _opened(file: str, declared: Mapping[str, Any]) -> Source:
    """Open the file and read its first rows."""
    sources = open_sources(
        [file],
        CsvForm(**_part(declared, "csv", CsvForm)),
        sheet=declared.get("sheet"),
        member=declared.get("member"),
        table=TableForm(**_part(declared, "table", TableForm)),
        by_place=BY_PLACE in declared,
    )
    try:
        next(iter(sources[0].chunks()), None)
    except BaseException:
        for source in sources:
            source.close()
        raise
    for source in sources[1:]:
        source.close()
    return sources[0]


def _part(declared: Mapping[str, Any], section: str, kind: type[Any]) -> dict[str, Any]:
    known = {one.name for one in fields(kind)}
    found = {name.partition(".")[2]: value for name, value in declared.items() if name.startswith(section + ".")}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in found.items() if name in known}


def _advised(text: str) -> list[tuple[str, Any]]:
    """Return the settings that a refusal gives with their values."""
    found = []
    for place in _ADVICE.finditer(text):
        for end in range(len(text), place.end(), -1):
            try:
                value = tomllib.loads(f"x = {text[place.end() : end]}")["x"]
            except tomllib.TOMLDecodeError:
                continue
            if "…" not in str(value):
                found.append((place[1], value))
            break
    return found
