"""What a setting must be: each check takes a raw value, and returns it or says in words what it must be.

What always holds: what a check raises is a `ValueError` whose words continue "is … but must be …".
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Mapping
from dataclasses import Field, field
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from syncer.config.templates import parse_template
from syncer.safe.hosts import is_loopback, normal_host
from syncer.safe.masking import Secret
from syncer.safe.urls import url_fault

DELIMITER_CHARACTERS_MAX, CELL_WIDTH_MAX = 8, 10_000
_PLAIN_URL = re.compile(r"(?i:https?)://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?")

_HOOK_SIGNS = r"A-Za-z0-9._~!$&'()*+,;=:@%/-"
_HOOK = re.compile(rf"([^:/?#]+://[^/?#@]+)(?:/[{_HOOK_SIGNS}]*)?")
_HOOK_REST = re.compile(rf"[?{_HOOK_SIGNS}]*")

_NOT_RE2 = re.compile(r"\(\?(?:[=!>(]|<[=!]|P=)|(?<!\\)(?:\\\\)*\\[1-9]")

Check = Callable[[Any], Any]
"""Takes a raw value; returns the setting, or raises `ValueError` with words that continue "is … but must be …"."""


class MemberError(ValueError):
    """One member of a table is wrong: which one, and what it is."""

    def __init__(self, name: str, value: Any, must: str) -> None:
        super().__init__(must)
        self.name = name
        self.value = value


def number(value: Any, *, least: float, most: float, whole: bool = False) -> Any:
    """Take a number within bounds."""
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        raise ValueError("a whole number" if whole else "a number")
    if not least <= value <= most:
        raise ValueError(f"between {least:g} and {most:g}")
    return value


def text(value: Any) -> str:
    """Take a text that is not empty."""
    if not isinstance(value, str) or not value:
        raise ValueError("a text that is not empty")
    return value


def page(value: Any) -> str:
    """The name of an HTML page, which says that it is one."""
    if not text(value).lower().endswith((".html", ".htm")):
        raise ValueError("the name of a page, which ends in .html")
    return text(value)


def count_or_column(value: Any) -> int | str:
    """Take a count, or the name of the column that has it."""
    if isinstance(value, str) and value.isascii() and value.isdigit():  # as the environment has it
        value = int(value)
    is_column = isinstance(value, str) and value != ""
    is_count = isinstance(value, int) and not isinstance(value, bool) and value > 0
    if not is_column and not is_count:
        raise ValueError("a whole number above zero, or the name of a column")
    return value  # type: ignore[no-any-return]


def flag(value: Any) -> bool:
    """Take true or false."""
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def choice(value: Any, *, of: tuple[str, ...]) -> str:
    """Take one of a few words."""
    if value not in of:
        raise ValueError("one of " + ", ".join(of))
    return str(value)


def texts(value: Any, *, most: int = 10_000) -> tuple[str, ...]:
    """Take one or several different texts."""
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not listed or not all(isinstance(text, str) and text for text in listed):
        raise ValueError("a text or a list of texts")
    if len(listed) > most or len(set(listed)) < len(listed):
        raise ValueError(f"at most {most} different texts")
    return tuple(listed)


def row_texts(value: Any, *, blank: bool = False) -> tuple[str, ...]:
    """Take how the first cells of rows look."""
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not listed or not all(isinstance(text, str) for text in listed):
        raise ValueError("a text or a list of texts")
    if len(set(listed)) < len(listed) or ("" in listed and not blank):
        raise ValueError("different texts" if blank else "different texts, none empty")
    return tuple(listed)


def base_url(value: Any) -> str:
    """Take the address of an API, in its normal form."""
    # A user name in front of the host would make requests replace our Authorization; what is not a plain character
    # is read in different ways by different programs, and may lead elsewhere than it looks.
    if not _PLAIN_URL.fullmatch(text(value)):
        raise ValueError("an address like https://api.scantrust.com")
    parts = urlsplit(value)
    if parts.scheme == "http" and not is_loopback(str(parts.hostname)):
        raise ValueError("an https address (plain http is for loopback alone: the token would travel in the open)")
    try:
        return normal_url(value)
    except ValueError:
        raise ValueError("an address whose port is between 0 and 65535") from None


def normal_url(url: str) -> str:
    """Return an address in its normal form: one target, one text.

    Letter case, standard port and last slash go; an IP address is written in its shortest form.
    """
    parts = urlsplit(url)
    standard = {"http": 80, "https": 443}[parts.scheme]
    host = normal_host(str(parts.hostname))
    host = f"[{host}]" if ":" in host else host
    port = "" if parts.port in {None, standard} else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"


def ledger_url(value: Any) -> str:
    """Take the address of an SQLite file."""
    if not re.match(r"sqlite(\+pysqlite)?:///.", text(value)):
        raise ValueError("an SQLite file like sqlite:///syncer.db (other databases are not supported yet)")
    return str(value)


_NO_FILES_ENCODINGS = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "utf-7"})


def encoding(value: Any) -> str:
    """Take the name of an encoding of texts."""
    try:
        found = codecs.lookup(text(value))
    except LookupError:
        found = None
    # Python lists what is no encoding of texts there too: base64, rot13, zip.
    if found is None or found.name in _NO_FILES_ENCODINGS or not getattr(found, "_is_text_encoding", True):
        raise ValueError("the name of an encoding, like utf-8 or cp1252")
    return found.name


def delimiter(value: Any) -> str:
    """Take what stands between cells."""
    if not isinstance(value, str) or not 1 <= len(value) <= DELIMITER_CHARACTERS_MAX or set(value) & set('\n\r"'):
        raise ValueError(f"1 to {DELIMITER_CHARACTERS_MAX} characters, none of them a quote or a line end")
    return value


def widths(value: Any) -> tuple[int, ...]:
    """Take the widths of columns."""
    if not isinstance(value, list) or not value or not all(
        isinstance(width, int) and not isinstance(width, bool) and 0 < width <= CELL_WIDTH_MAX for width in value
    ):  # fmt: skip
        raise ValueError("a list of widths in characters: [10, 3, 20]")
    return tuple(value)


def character(value: Any, *, may_be_empty: bool = False) -> str:
    """Take one character."""
    if not isinstance(value, str) or len(value) > 1 or (not value and not may_be_empty) or value in {"\n", "\r"}:
        raise ValueError("one character")
    return value


def columns(value: Any) -> Mapping[str, str]:
    """Take a table of headers and SCM keys."""
    if not isinstance(value, dict) or not value:
        raise ValueError('a table: "CSV header" = "scm_key"')
    for name, key in value.items():
        if not isinstance(key, str) or not key:
            raise MemberError(name, key, "an SCM key")
    return dict(value)


def words(value: Any) -> tuple[str, ...]:
    """Take one or several texts, each once."""
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not listed or not all(isinstance(text, str) and text for text in listed):
        raise ValueError("a text or a list of texts")
    return tuple(dict.fromkeys(listed))


def values(value: Any, *, may_be_empty: bool = False) -> Mapping[str, str]:
    """Whole numbers are taken as they are written: ``activation_status = 1``."""
    if not isinstance(value, dict) or not value:
        raise ValueError("a table of values")
    for name, one in value.items():
        if not isinstance(one, str | int) or isinstance(one, bool) or (one == "" and not may_be_empty):
            raise MemberError(name, one, "a text" + ("" if may_be_empty else " that is not empty"))
    return {key: str(one) for key, one in value.items()}


def origin(value: Any) -> str:
    """Take a column, or a template of several."""
    parse_template(text(value))
    return str(value)


def expression(value: Any) -> str:
    """Take a regular expression that RE2 knows, with one group."""
    try:
        groups = re.compile(text(value)).groups
    except re.error as error:
        raise ValueError(f"a regular expression ({error})") from None
    if groups != 1 or _NOT_RE2.search(value):
        raise ValueError("a regular expression with one group (what is kept), without look-around and references")
    return str(value)


def pattern(value: Any) -> str:
    """Take where files are."""
    if "://" in text(value) and (fault := url_fault(value)) is not None:
        raise ValueError(fault)
    return str(value)


def mark(value: Any) -> str:
    """Take the name of a file that stands beside another."""
    if not re.search(r"\{(name|stem)\}", text(value)) or "/" in value:
        raise ValueError('a name beside the file\'s, like "{name}.done" or "{stem}.ok"')
    return str(value)


def else_(value: Any) -> str:
    """Take what becomes of other values."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return text(value)


def header(value: Any) -> tuple[str, ...]:
    """Take the names of columns."""
    if not isinstance(value, list) or not value or not all(isinstance(text, str) for text in value):
        raise ValueError('a list of names: ["extended_id", "product"]')
    if any(not text.strip() for text in value[:-1]) or len(set(value)) < len(value) or not value[0].strip():
        raise ValueError("different names, none empty but the last")
    return tuple(value)


def setting(check: Check, default: Any, meaning: str, *, when: str, example: str | None = None) -> Any:
    """Describe one setting: its check, its default (None: not set), what it means, and when to change it.

    ``example`` is a value as TOML writes it; of a setting that has a default it is that.
    """
    return field(default=default, metadata={"check": check, "meaning": meaning, "when": when, "example": example})


def name_of(one: Field[Any]) -> str:
    """Return the name of a setting; that of its member ends in ``_`` where Python has the word for itself."""
    return one.name.rstrip("_")


seconds = partial(number, least=0, most=86_400)
positive_seconds = partial(number, least=0.001, most=86_400)
percent = partial(number, least=0, most=100)


def command(value: Any) -> tuple[str, ...]:
    """Take a program and its arguments."""
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not listed or not all(isinstance(text, str) for text in listed) or not listed[0]:
        raise ValueError('a list of a program and its arguments: ["vault", "read", "-field=password", "secret/erp"]')
    return tuple(listed)


def secret(value: Any) -> Secret:
    """Take a text that is never shown."""
    return Secret(text(value))


def hook(value: Any) -> Secret:
    """Take an address that is never shown; its query may be what lets one in."""
    address, mark, query = text(value).partition("?")
    if not _HOOK_REST.fullmatch(query) or not (path := _HOOK.fullmatch(address)):
        raise ValueError("an address like https://hooks.example.com/services/abc, without a user and a password")
    try:
        base_url(path[1])
        (urlsplit(path[1]).hostname or "").encode("idna")  # as whoever calls it does: no label is empty or too long
    except UnicodeError:
        raise ValueError("an address whose host has no empty part, and none of more than 63 characters") from None
    except ValueError as error:
        raise ValueError(str(error).replace("https://api.scantrust.com", "https://hooks.example.com")) from None
    return Secret(f"{address}{mark}{query}")


def services(value: Any) -> tuple[Secret, ...]:
    """Take addresses that are never shown."""
    return tuple(Secret(one) for one in texts(value))


def is_secret(check: Check) -> bool:
    """Tell whether what this check takes may never be shown."""
    return check in {secret, hook, services}
