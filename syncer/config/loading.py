"""Where settings come from: the command line, then the environment, then the file, then the defaults."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from syncer.config import access
from syncer.config.building import build, secret_keys
from syncer.config.jobs import job_faults
from syncer.config.settings import Settings
from syncer.config.steps import step_faults
from syncer.config.variables import CONFIG_VARIABLE, from_environment, with_origin
from syncer.errors import ConfigError
from syncer.safe.files import Folder, read_trusted
from syncer.safe.trust import UntrustedError, others_may_read, quoted


def load_settings(
    *, explicit: Path | None, environ: Mapping[str, str], cwd: Path, may_be_missing: bool = False
) -> Settings:
    """Load the settings; raise one `ConfigError` that names every fault.

    ``may_be_missing``: a file that is named, but not there, stands for the defaults (``init`` is about to write it).
    """
    path = _find_file(explicit, environ, cwd, may_be_missing=may_be_missing)
    raw = _read_toml(path) if path is not None and (path.is_file() or not may_be_missing) else {}
    faults: list[str] = []
    _merge(raw, from_environment(environ, raw, faults))
    settings = build(raw, faults)
    jobs = {name: access.find_fields(job, path, faults) for name, job in settings.jobs.items()}
    settings = replace(settings, jobs=jobs, path=path)
    faults += [*job_faults(settings), *step_faults(settings.nightly.steps)]
    if faults:
        faults = [with_origin(fault, environ) for fault in faults]
        where = f"{path}:" if path is not None else ""
        raise ConfigError(f"{where} {faults[0]}".lstrip() if len(faults) == 1 else "\n  - ".join([where, *faults]))
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
        words = f"{path} cannot be read: {error.strerror}"
        remedy = "run as the account that it belongs to, or give this one access"
        raise ConfigError(words, remedy=remedy, next=f"ls -l {quoted(path)}") from None
    holding = secret_keys(raw)
    if holding and others_may_read(found):
        words = f"holds a password ({', '.join(holding)}) and can be read by others"
        raise ConfigError(f"{path} {words}: its mode is {found.st_mode & 0o777:04o}", next=f"chmod 600 {quoted(path)}")
    return raw


def _merge(into: dict[str, Any], other: Mapping[str, Any]) -> None:
    for name, value in other.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        else:
            into[name] = value
