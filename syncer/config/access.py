"""What the configuration names outside itself: the token, the trusted authority's certificates, the ledger's file."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from syncer.config.job_settings import JobSettings
from syncer.config.secrets import CommandSecret, credential, one_line, secret_file
from syncer.config.settings import CREDENTIAL_NAME, Settings
from syncer.errors import ConfigError
from syncer.safe.files import read_trusted
from syncer.safe.masking import TOKEN_VARIABLE, Secret, remember
from syncer.safe.trust import UntrustedError

_MARK = "\ufeff"
"""What Windows' editor writes before a text."""


def _beside(path: Path | None, name: str) -> Path:
    """Return a file that the configuration names: relative to the configuration file, or to the working folder."""
    return (path.parent if path is not None else Path.cwd()) / name


_LEDGER_FILE = re.compile(r"(?P<scheme>sqlite(?:\+pysqlite)?:///)(?P<file>[^?]+)(?P<query>.*)", re.DOTALL)


def find_ledger(url: str, path: Path | None, cwd: Path) -> str:
    """Return ``ledger.url`` with its file beside the configuration file, when it is a relative one.

    Beside a configuration in the current folder it stays as it is: messages show it as it was written.
    """
    found = _LEDGER_FILE.fullmatch(url)
    if found is None or path is None or path.parent == cwd or Path(found["file"]).is_absolute():
        return url
    folder = str(path.parent.absolute()).replace("%", "%25").replace("?", "%3F")  # as a URL, which is read back
    return f"{found['scheme']}{Path(folder) / found['file']}{found['query']}"


def find_fields(job: JobSettings, path: Path | None, faults: list[str]) -> JobSettings:
    """Return the job with the fields of ``known_fields_file``; what is wrong with the file is added to `faults`."""
    if job.known_fields_file is None:
        return job
    where = f"jobs.{job.name}.known_fields_file"
    if job.known_fields is not None:
        faults.append(f"{where}: known_fields is set too; leave one of them")
        return job
    file = _beside(path, job.known_fields_file)
    try:
        text = read_trusted(file)[0].decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        words = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        faults.append(f"{where}, {file}, cannot be read: {words}")
        return job
    line = text.partition("\n")[0].strip("\r")
    delimiter = max(",;\t", key=line.count)
    names = [name.strip() for name in next(csv.reader([line], delimiter=delimiter), [])]
    fields = tuple(dict.fromkeys(name for name in names if name))
    if not fields:
        faults.append(f"{where}, {file}, has no header")
    return replace(job, known_fields=fields or None)


def find_authority(settings: Settings, path: Path | None) -> str | None:
    """Return the file of ``api.ca_file``; raise `ConfigError` when no certificate is in it."""
    if settings.api.ca_file is None:
        return None
    file = _beside(path, settings.api.ca_file)
    try:
        text = read_trusted(file)[0].decode("utf-8", "replace")
    except UntrustedError as error:
        raise ConfigError(f"api.ca_file: {error.strerror}", next=error.remedy) from None
    except OSError as error:
        raise ConfigError(f"api.ca_file, {file}, cannot be read: {error.strerror}") from None
    if "-----BEGIN CERTIFICATE-----" not in text:
        raise ConfigError(f"api.ca_file, {file}, holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)")
    return str(file)


def find_token(settings: Settings, environ: Mapping[str, str], path: Path | None) -> Secret | None:
    """Return the token; None: nowhere. From the environment, its file, systemd's credential, or its command."""
    api = settings.api
    if environ.get(TOKEN_VARIABLE):
        return _token(environ[TOKEN_VARIABLE], TOKEN_VARIABLE)
    if api.token_file is not None:
        file = _beside(path, api.token_file)
        return _token(secret_file(file, "api.token_file"), str(file))
    given = credential(environ, CREDENTIAL_NAME)
    if given is not None:
        return _token(secret_file(given, "LoadCredential", private=False), str(given))
    return None if api.token_command is None else CommandSecret(api.token_command, "api.token_command", _token)


def find_password(job: JobSettings, environ: Mapping[str, str], path: Path | None) -> Secret | None:
    """Return the password of a job's database; None when only its address may hold one. Places as for the token."""
    source, where = job.source, f"jobs.{job.name}.source"
    if source.password is not None:
        return source.password
    if source.password_file is not None:
        file = _beside(path, source.password_file)
        return one_line(secret_file(file, f"{where}.password_file"), f"what stands in {file}")
    given = credential(environ, f"source-{job.name}")
    if given is not None:
        return one_line(secret_file(given, "LoadCredential", private=False), f"what stands in {given}")
    if source.password_command is None:
        return None
    return CommandSecret(source.password_command, f"{where}.password_command", one_line)


def _token(text: str, place: str) -> Secret:
    token = text.removeprefix(_MARK).strip().removeprefix("UAT ").strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(f"what stands in {place} is not a token: one word of letters, digits and signs")
    if token[0] == token[-1] and token[0] in "\"'":
        raise ConfigError(f"what stands in {place} is in quotes, which would be sent too: take them out")
    remember(token)
    return Secret(token)
