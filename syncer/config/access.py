"""What the configuration names outside itself: the token, the trusted authority's certificates, the ledger's file."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from syncer.config.settings import CREDENTIAL_NAME, Settings
from syncer.errors import ConfigError
from syncer.safe.masking import TOKEN_VARIABLE, Secret, remember


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
    file = path.parent.absolute() / found["file"]
    if "?" in str(file):
        raise ConfigError(
            f"ledger.url: the folder {path.parent} has a question mark in its name, which no URL can hold"
        )
    return f"{found['scheme']}{file}{found['query']}"


def find_authority(settings: Settings, path: Path | None) -> str | None:
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


def find_token(settings: Settings, environ: Mapping[str, str], path: Path | None) -> Secret | None:
    """Return the token: from the environment, else ``api.token_file``, else systemd's credentials; None: nowhere."""
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
