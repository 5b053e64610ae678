"""Settings that stand in the environment: which variable means which key, and which one a fault is about. Pure.

What always holds: a name of the environment cannot tell letter case, nor a hyphen from a line, so what it names is
looked for among the names that the configuration has; what may mean two of them is refused. What is data (headers,
values of a map) is taken as it is written.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import date, time
from typing import Any

from syncer.config.settings import ENVIRONMENT_PREFIX, SECTIONS
from syncer.errors import did_you_mean
from syncer.model import SPECIAL_FIELDS
from syncer.safe.masking import TOKEN_VARIABLE

CONFIG_VARIABLE = "SYNCER_CONFIG"
_NAMED_BY_FIELD = ("fields", "units", "constants")
"""Tables of a job whose names are SCM keys."""


def from_environment(environ: Mapping[str, str], raw: Mapping[str, Any], faults: list[str]) -> dict[str, Any]:
    """Return the settings that stand in the environment, shaped like those of the file, which are ``raw``."""
    found: dict[str, Any] = {}
    for name in sorted(_settings_in(environ)):
        path = _path_of(name, raw, found, faults)
        if len(path) < 2:  # noqa: PLR2004
            faults.append(f"unknown environment variable {name}{did_you_mean(name, _variables())}")
            continue
        here = found
        for part in path[:-1]:
            here = here.setdefault(part, {})
            if not isinstance(here, dict):
                faults.append(f"{name} names a part of {part}, which another variable gives as a whole")
                break
        else:
            here[path[-1]] = _value_of(environ[name], is_text=_holds_text(path))
    return found


def with_origin(fault: str, environ: Mapping[str, str]) -> str:
    """Name the environment variable that a fault is about: in the file it is not found."""
    unknown = re.match(r"unknown key (\S+)", fault)
    whole = unknown or re.match(r"(\S+) is \{.*, but must be ", fault, re.DOTALL)  # a variable made a table of it
    above = None if whole is None else _folded(whole[1])
    for name in _settings_in(environ):
        key = _folded(name.removeprefix(ENVIRONMENT_PREFIX)).replace("__", ".")
        named = "|".join(map(re.escape, _keys(key, _value_of(environ[name], is_text=False))))
        of_it = re.search(rf"(?<![\w.])(?:{named})(?![\w.])", _folded(fault))
        if of_it or (above is not None and key.startswith(f"{above}.")):
            meant = did_you_mean(name, _variables()) if unknown and "did you mean" not in fault else ""
            return f"{fault} (the environment says so: {name}){meant}"
    return fault


def _keys(key: str, value: Any) -> Iterator[str]:
    """Yield the keys that a value gives: its own, and those of the tables in it."""
    yield key
    for name, inside in value.items() if isinstance(value, dict) else ():
        yield from _keys(f"{key}.{_folded(name)}", inside)


def _settings_in(environ: Mapping[str, str]) -> Iterator[str]:
    return (
        name
        for name in environ
        if name.startswith(ENVIRONMENT_PREFIX) and name not in {CONFIG_VARIABLE, TOKEN_VARIABLE}
    )


def _path_of(name: str, raw: Mapping[str, Any], found: Mapping[str, Any], faults: list[str]) -> list[str]:
    """Return the names of the tables, and of the setting in them, that a variable means."""
    written = name.removeprefix(ENVIRONMENT_PREFIX).split("__")
    path = [part.lower() for part in written]
    if path[0] != "jobs" or len(path) < 2:  # noqa: PLR2004
        return path
    path[1] = _meant(name, path[1], _table(raw, "jobs"), "jobs", faults)
    table = path[2] if len(path) > 3 else ""  # noqa: PLR2004
    if table in {"columns", "constants"}:
        path[3:] = ["__".join(written[3:])]
    elif path[4:5] == ["map"] and len(path) > 5:  # noqa: PLR2004
        path[5:] = ["__".join(written[5:])]
    if table in _NAMED_BY_FIELD:
        known = {*_names_in(_table(raw, "jobs", path[1])), *_names_in(_table(found, "jobs", path[1]))}
        wanted = path[3] if table == "constants" else written[3]
        path[3] = wanted if wanted in known else _meant(name, wanted, known, "fields", faults)
    return path


def _holds_text(path: Sequence[str]) -> bool:
    """Tell whether what stands there is a text, whatever it looks like."""
    match path:
        case ["jobs", _, "columns" | "constants", _] | ["jobs", _, "fields", _, "map", _]:
            return True
    return False


def _meant(name: str, written: str, known: Iterable[str], what: str, faults: list[str]) -> str:
    """Return which of the known names is meant; of none of them what is written, of capitals alone in small letters."""
    found = [one for one in known if _folded(one) == _folded(written)]
    if len(found) > 1:
        faults.append(f"{name} may mean each of the {what} {', '.join(sorted(found))}: give them names of their own")
    return found[0] if found else written.lower() if written.isupper() else written


def _names_in(job: Mapping[str, Any]) -> Iterator[str]:
    """Yield the SCM keys that a job's table names, the key's columns among them."""
    for table in _NAMED_BY_FIELD:
        yield from _table(job, table)
    listed = [*_table(job, "columns").values(), job.get("key"), job.get("known_fields")]
    for one in listed:
        yield from [one] if isinstance(one, str) else filter(lambda text: isinstance(text, str), one or ())
    yield from SPECIAL_FIELDS


def _table(raw: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """Return a table within tables; an empty one where there is none."""
    for name in path:
        raw = raw.get(name, {})
        if not isinstance(raw, dict):
            return {}
    return raw


def _folded(name: str) -> str:
    """Return a name without what the name of a variable cannot tell: letter case, and a hyphen from a line."""
    return name.lower().replace("-", "_")


def _variables() -> list[str]:
    """Return the names of the environment's variables that a misspelt one can have meant."""
    settings = (f"{section}__{one.name}" for section, kind in SECTIONS.items() for one in fields(kind))
    return [CONFIG_VARIABLE, TOKEN_VARIABLE, *(ENVIRONMENT_PREFIX + name.upper() for name in settings)]


def _value_of(text: str, *, is_text: bool) -> Any:
    """Read a value as TOML would; what is no TOML value is a text, and so is what no setting takes (a day)."""
    try:
        found = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return text
        return value if isinstance(value, str) or not is_text else text
    value = found["value"]
    # A lot may be called 0x1F or 1_000, of which TOML makes 31 and 1000; and only one line is a value.
    as_digits = not isinstance(value, int) or isinstance(value, bool) or str(value) == text.strip()
    as_meant = isinstance(value, str) or not (is_text or isinstance(value, date | time))
    return value if as_digits and as_meant and len(found) == 1 else text
