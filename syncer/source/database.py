"""A job's database: its address, what of it may be shown, and a session in which nothing can be written.

What always holds: an address that can be read in two ways is refused before any driver sees it; SQLite opens its file
to read alone, and makes none; a session of PostgreSQL, MySQL or Oracle is read-only, also in a later transaction of it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

from syncer.errors import ConfigError, SourceError
from syncer.safe.addresses import is_ambiguous

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine

SHORT_SECRET = 6
"""A secret shorter than this stands in texts by chance: where it does, the text as a whole is not shown."""
HIDDEN = "its words are not shown: they hold the password"
_SECRET_OPTION = re.compile(r"pass|pwd|secret|token|key|cred|auth|odbc_connect", re.IGNORECASE)
_ODBC_PASSWORD = re.compile(r"(?:pwd|password)\s*=\s*(\{[^}]*\}|[^;]*)", re.IGNORECASE)
_READ_ONLY = {
    "sqlite": "PRAGMA query_only = ON",
    "postgresql": "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    "mysql": "SET SESSION TRANSACTION READ ONLY",
    "mariadb": "SET SESSION TRANSACTION READ ONLY",
    "oracle": "SET TRANSACTION READ ONLY",
}
"""What makes a session, or its first transaction, read-only."""
_PACKAGES = {
    "psycopg": "'syncer[postgresql]'", "psycopg2": "'syncer[psycopg2]'", "duckdb": "'syncer[duckdb]'",
    "MySQLdb": "mysqlclient", "mysql": "mysql-connector-python",
}  # fmt: skip
"""What brings a driver, or a dialect, where pip knows it by another name."""
_NUMBERED = re.compile(r"(?P<name>.*):[0-9]+", re.DOTALL)


class Mask:
    """Takes what is secret in an address out of a text."""

    def __init__(self, url: str, address: URL) -> None:
        found = {str(address.password or ""), url, address.render_as_string(hide_password=False)}
        for name, value in address.query.items():
            if _SECRET_OPTION.search(name):
                for text in (value,) if isinstance(value, str) else value:
                    found |= {text, *_ODBC_PASSWORD.findall(text)}
        spelled = {
            spell for text in found for spell in (text, quote(text, safe=""), quote_plus(text), repr(text)[1:-1])
        }
        self._secrets = sorted(spelled - {""}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return the text without its secrets; of one that holds a short secret, that it is not shown."""
        for secret in self._secrets:
            if len(secret) < SHORT_SECRET and secret in text:
                return HIDDEN
            text = text.replace(secret, "***")
        return text


def address_of(url: str, job: str, password: str | None) -> URL:
    """Return an address with its password; raise `ConfigError`, which never shows it, when it is none."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    where = f"jobs.{job}.source"
    escaped = "write it like postgresql://user:password@host/database, with %40 for @ and %2F for / in the password"
    if is_ambiguous(url):
        raise ConfigError(
            f"{where}.url can be read in two ways: its password has an @ or / that is not escaped (it is not shown)",
            remedy=f"{escaped}; or leave the password out, and set {where}.password_file",
        )
    try:
        address = make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigError(
            f"{where}.url is no address as SQLAlchemy writes it (it is not shown: it may hold a password)",
            remedy=escaped,
        ) from None
    if password is not None and address.password:
        raise ConfigError(f"{where}: the password stands in the url and beside it: leave it out of the url")
    return address if password is None else address.set(password=password)


def shown_address(address: URL) -> str:
    """Return an address for people: without its password and its options."""
    from sqlalchemy import URL

    database = address.database and address.database.partition("?")[0]
    return URL.create(
        address.drivername, address.username, None, address.host, address.port, database
    ).render_as_string()


def read_only(address: URL, job: str) -> URL:
    """Return the address under which SQLite opens its file to read alone, and makes none."""
    if address.get_backend_name() != "sqlite" or address.database in {None, "", ":memory:"}:
        return address
    database = str(address.database)
    if database.startswith("file:") and re.search("[?#%]", database):
        raise ConfigError(
            f"jobs.{job}.source.url: options of SQLite stand in the name of its file",
            remedy=f"write jobs.{job}.source.url like sqlite:////srv/erp/export.db",
        )
    if not database.startswith("file:"):
        database = "file:" + quote(database)
    return address.set(database=database).update_query_dict({"mode": "ro", "uri": "true"})


def engine_of(address: URL, job: str) -> Engine:
    """Return what opens sessions, with its driver loaded; connects to nothing. Raises `SourceError` without one."""
    from sqlalchemy import create_engine
    from sqlalchemy.exc import NoSuchModuleError
    from sqlalchemy.pool import NullPool

    name, where = shown_address(address), f"jobs.{job}.source.url"
    backend = address.drivername.partition("+")[0]
    try:
        if address.get_dialect().is_async:
            words = f"the driver of {address.drivername!r} is one for programs that wait in another way"
            raise SourceError(words, file=name, remedy=f"name another one in {where}, like {_plain_driver(backend)}")
        return create_engine(read_only(address, job), poolclass=NullPool, hide_parameters=True)
    except NoSuchModuleError:
        known = backend in _PACKAGES
        raise SourceError(
            f"SQLAlchemy knows no database and driver {address.drivername!r}",
            file=name,
            remedy=f"correct {where}, which begins like {_plain_driver(backend)}; or install what brings it",
            next=f"pip install {_PACKAGES[backend]}" if known else None,
        ) from None
    except ImportError as error:
        missing = error.name or ""
        raise SourceError(
            f"the driver of {address.drivername!r} cannot be loaded: {error}",
            file=name,
            remedy=f"install it, or name another one in {where}",
            next=f"pip install {_PACKAGES.get(missing.partition('.')[0], missing)}" if missing else None,
        ) from None


def _plain_driver(backend: str) -> str:
    return {"mysql": "mysql+pymysql://", "mariadb": "mariadb+pymysql://"}.get(backend, "postgresql+psycopg://")


def make_read_only(connection: Connection) -> None:
    """Let the session write nothing, neither in this transaction, nor after a commit; take odd texts of SQLite, too."""
    statement = _READ_ONLY.get(connection.dialect.name)
    if statement is not None:
        connection.exec_driver_sql(statement, execution_options={"stream_results": False})
    if connection.dialect.name == "sqlite":  # else one text that is no UTF-8 ends the query, and no row is named
        connection.connection.driver_connection.text_factory = _decoded  # type: ignore[union-attr]
    if connection.dialect.name == "postgresql":
        connection.commit()  # a rollback would undo the setting


def _decoded(text: bytes) -> str | bytes:
    """Return a text of SQLite; as bytes when it is no UTF-8."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text


def wrapped(dialect: str, statement: str) -> str:
    """Return a statement that can only be a part of one, where the database takes every query so."""
    if dialect not in {"postgresql", "sqlite"}:  # others refuse WITH or ORDER BY there; their drivers run one statement
        return statement
    return f"SELECT * FROM (\n{statement}\n) AS rows_of_the_job"  # noqa: S608  the user's own query, looked at before


def names_of(dialect: str, names: Sequence[str]) -> list[str]:
    """Return the names that a wrapped query gave its columns; SQLite has numbered those that were given before."""
    if dialect != "sqlite":
        return list(names)
    given = {name.lower() for name in names}
    numbered = [_NUMBERED.fullmatch(name) for name in names]
    return [
        found["name"] if found and found["name"].lower() in given else name
        for name, found in zip(names, numbered, strict=True)
    ]
