"""Where settings come from: the command line, then the environment, then the file, then the defaults."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from syncer.config import access
from syncer.config.building import build, secret_keys
from syncer.config.jobs import job_faults
from syncer.config.settings import ENVIRONMENT_PREFIX, SECTIONS, Settings
from syncer.config.steps import step_faults
from syncer.errors import ConfigError, did_you_mean
from syncer.safe.files import Folder, read_trusted
from syncer.safe.masking import TOKEN_VARIABLE
from syncer.safe.trust import UntrustedError, others_may_read, quoted

CONFIG_VARIABLE = "SYNCER_CONFIG"


def load_settings(
    *, explicit: Path | None, environ: Mapping[str, str], cwd: Path, may_be_missing: bool = False
) -> Settings:
    """Load the settings; raise one `ConfigError` that names every fault.

    ``may_be_missing``: a file that is named, but not there, stands for the defaults (``init`` is about to write it).
    """
    path = _find_file(explicit, environ, cwd, may_be_missing=may_be_missing)
    raw = _read_toml(path) if path is not None and (path.is_file() or not may_be_missing) else {}
    faults: list[str] = []
    _merge(raw, _from_environment(environ, raw, faults))
    settings = build(raw, faults)
    jobs = {name: access.find_fields(job, path, faults) for name, job in settings.jobs.items()}
    settings = replace(settings, jobs=jobs)
    faults += [*job_faults(settings), *step_faults(settings.nightly.steps)]
    if faults:
        faults = [_with_origin(fault, environ) for fault in faults]
        where = f"{path}:" if path is not None else ""
        raise ConfigError(f"{where} {faults[0]}".lstrip() if len(faults) == 1 else "\n  - ".join([where, *faults]))
    settings = replace(settings, path=path)
    token, ca_file = access.find_token(settings, environ, path), access.find_authority(settings, path)
    passwords = {name: access.find_password(job, environ, path) for name, job in settings.jobs.items()}
    jobs = {
        name: replace(job, source=replace(job.source, password=passwords[name])) for name, job in settings.jobs.items()
    }
    ledger_url = access.find_ledger(settings.ledger.url, path, cwd)
    return replace(
        settings,
        api=replace(settings.api, token=token, ca_file=ca_file),
        ledger=replace(settings.ledger, url=ledger_url),
        jobs=jobs,
    )


def example_text() -> str:
    """Return the example configuration: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    inside = package / "config.example.toml"
    return (inside if inside.exists() else package.parent / inside.name).read_text(encoding="utf-8")


def _find_file(explicit: Path | None, environ: Mapping[str, str], cwd: Path, *, may_be_missing: bool) -> Path | None:
    named = explicit or (Path(environ[CONFIG_VARIABLE]) if environ.get(CONFIG_VARIABLE) else None)
    if named is not None:
        if not (cwd / named).is_file() and not may_be_missing:
            raise ConfigError(f"there is no configuration file {named}", next=f"syncer init --config {quoted(named)}")
        return cwd / named
    default = cwd / "config.toml"
    if not default.is_file():
        return None
    try:
        Folder.above(default).close()  # nobody named this file: whoever can put one here decides where the token goes
    except UntrustedError as error:
        words = f"{default} is not used: {error.strerror}"
        raise ConfigError(words, remedy="or name the file that is meant: --config FILE", next=error.remedy) from None
    return default


def _read_toml(path: Path) -> dict[str, Any]:
    """Read a file that only this account or root can have written; one with a password in it is for nobody else."""
    try:
        content, found = read_trusted(path)
        raw = tomllib.loads(content.decode("utf-8-sig"))  # Windows' editor writes a mark before it
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        words = f"{path}:{line}: byte 0x{content[error.start]:02x} is not utf-8, in which TOML is written"
        raise ConfigError(words, remedy="save it as UTF-8") from None
    except (ValueError, RecursionError) as error:  # of a number of 5,000 digits, or lists in lists, no TOMLDecodeError
        raise ConfigError(f"{path}: not valid TOML: {error}") from None
    except UntrustedError as error:
        raise ConfigError(f"{path} is not used: {error.strerror}", next=error.remedy) from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None
    holding = secret_keys(raw)
    if holding and others_may_read(found):
        words = f"holds a password ({', '.join(holding)}) and can be read by others"
        raise ConfigError(f"{path} {words}: its mode is {found.st_mode & 0o777:04o}", next=f"chmod 600 {quoted(path)}")
    return raw


def _from_environment(environ: Mapping[str, str], raw: Mapping[str, Any], faults: list[str]) -> dict[str, Any]:
    """Return the settings that stand in the environment, shaped like the file's."""
    found: dict[str, Any] = {}
    job_names: dict[str, list[str]] = {}
    jobs = raw.get("jobs")
    for name in jobs if isinstance(jobs, dict) else ():
        job_names.setdefault(_in_environment(name), []).append(name)
    for name, text in sorted(environ.items()):
        if not name.startswith(ENVIRONMENT_PREFIX) or name in {CONFIG_VARIABLE, TOKEN_VARIABLE}:
            continue
        path = name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
        if path[0] == "jobs" and len(path) > 1:
            meant = job_names.get(_in_environment(path[1]), [path[1]])
            if len(meant) > 1:
                faults.append(f"{name} may mean each of the jobs {', '.join(meant)}: give them names of their own")
            path[1] = meant[0]
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
            here[path[-1]] = _value_of(text)
    return found


def _in_environment(job: str) -> str:
    """Return a job's name without what the name of a variable cannot tell: letter case, and a hyphen from a line."""
    return job.lower().replace("-", "_")


def _with_origin(fault: str, environ: Mapping[str, str]) -> str:
    """Name the environment variable that a fault is about: in the file it is not found."""
    unknown = re.match(r"unknown key (\S+)", fault)
    for name in environ:
        key = name.removeprefix(ENVIRONMENT_PREFIX).lower().replace("__", ".")
        if not name.startswith(ENVIRONMENT_PREFIX) or name in {CONFIG_VARIABLE, TOKEN_VARIABLE}:
            continue
        of_it = re.search(rf"(?<![\w.]){re.escape(key)}(?![\w.])", fault.lower())
        if of_it or (unknown and key.startswith(f"{unknown[1].lower()}.")):
            meant = did_you_mean(name, _variables()) if unknown and "did you mean" not in fault else ""
            return f"{fault} (the environment says so: {name}){meant}"
    return fault


def _variables() -> list[str]:
    """Return the names of the environment's variables that a misspelt one can have meant."""
    settings = (f"{section}__{one.name}" for section, kind in SECTIONS.items() for one in fields(kind))
    return [CONFIG_VARIABLE, TOKEN_VARIABLE, *(ENVIRONMENT_PREFIX + name.upper() for name in settings)]


def _value_of(text: str) -> Any:
    """Read a value as TOML would; what is no TOML value is a text."""
    try:
        found = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    value = found["value"]
    # A lot may be called 0x1F or 1_000, of which TOML makes 31 and 1000; and only one line is a value.
    as_digits = not isinstance(value, int) or isinstance(value, bool) or str(value) == text.strip()
    return value if as_digits and len(found) == 1 else text


def _merge(into: dict[str, Any], other: Mapping[str, Any]) -> None:
    for name, value in other.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        else:
            into[name] = value
