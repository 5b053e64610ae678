"""The rows of a SQL query as chunks of text columns. The one module beside the ledger that speaks SQL.

What always holds: the query is run once, read-only as far as the database can promise it, and its rows are kept in an
unlinked temporary file, so that every pass sees the same rows; what has no certain text is refused by column and row;
neither the password nor the address's options ever stand in a name or a message. A line's number is the row's, from 1.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

import pyarrow as pa

from syncer.errors import ConfigError, SourceError, SyncerError
from syncer.model import Chunk, Dialect, SourceInfo
from syncer.safe.files import spool
from syncer.source.chunks import text_chunk
from syncer.source.foreign import quiet
from syncer.source.table import UNDECLARED, TableForm, key_names
from syncer.source.tables import CHUNK_ROWS, checked_header, finished

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, CursorResult

_READS = re.compile(r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/|\()*(?:select|with|values|table)\b", re.IGNORECASE | re.DOTALL)
_SECRET_OPTION = re.compile(r"pass|pwd|secret|token|key|cred|auth|odbc_connect", re.IGNORECASE)
_ODBC_PASSWORD = re.compile(r"(?:pwd|password)\s*=\s*(\{[^}]*\}|[^;]*)", re.IGNORECASE)
_READ_ONLY = {
    "sqlite": "PRAGMA query_only = ON",
    "mysql": "SET SESSION TRANSACTION READ ONLY",
    "mariadb": "SET SESSION TRANSACTION READ ONLY",
    "oracle": "SET TRANSACTION READ ONLY",
}
"""What makes a connection or its first transaction read-only; PostgreSQL's drivers have an option for it."""
_TEXT = "VARCHAR(255)"
_CASTS = {dt.datetime: "DATE"}
"""What is asked for instead of a type that is not taken; text by default."""


class QuerySource:
    """The rows of one query. ``observe`` is told the rows read so far, and may raise to end the reading."""

    position = 0

    form_note = ""

    def __init__(
        self,
        url: str,
        query: str,
        *,
        job: str,
        observe: Callable[[int], None] = lambda rows: None,
        key: Sequence[str] | None = None,
        table: TableForm = UNDECLARED,
        notes: tuple[str, ...] = (),
    ) -> None:
        self._job = job
        self._table = table
        self._strict: frozenset[str] | None = None
        self.warnings = notes
        address = _address(url, job)
        self._mask = Mask(url, address)
        self.name = shown_address(address)
        if not _READS.match(query):
            raise ConfigError(f"jobs.{job}.source.query must be a SELECT: what it reads is all that is wanted of it")
        self._digest, self._size_bytes, self._rows = hashlib.sha256(), 0, 0
        self._spool: IO[bytes] = spool()
        try:
            with quiet():
                self.header = self._read(address, query, observe)
            self._keys = key_names(self.header, key)
        except SyncerError:
            self.close()
            raise
        except Exception as error:  # whatever a driver raises: its words may hold the password
            self.close()
            words = self._mask(str(getattr(error, "orig", None) or error))
            raise SourceError(
                f"the query failed: {type(error).__name__}: {words}",
                file=self.name,
                next=self._remedy(error),
            ) from None

    def _remedy(self, error: Exception) -> str:
        if isinstance(error, ImportError):
            return f"pip install {error.name or 'the driver'}"
        return f"correct jobs.{self._job}.source, then: syncer plan"

    def close(self) -> None:
        """Let go of the rows."""
        self._spool.close()

    def _read(self, address: URL, query: str, observe: Callable[[int], None]) -> tuple[str, ...]:
        from sqlalchemy import create_engine
        from sqlalchemy.pool import NullPool

        engine = create_engine(_read_only_address(address), poolclass=NullPool, hide_parameters=True)
        options = {"stream_results": True, "max_row_buffer": CHUNK_ROWS, "no_parameters": True}
        if engine.dialect.name == "postgresql":
            options["postgresql_readonly"] = True
        try:
            with engine.connect().execution_options(**options) as connection:  # never committed
                _make_read_only(connection)
                result = connection.exec_driver_sql(query.rstrip().rstrip(";"))
                if not result.returns_rows:
                    raise SourceError("the query gives no rows", file=self.name, next=f"jobs.{self._job}.source.query")
                names = [str(name) for name in result.keys()]  # noqa: SIM118
                header = checked_header(
                    [name.strip() if self._table.trims else name for name in names], self.name, None
                )
                self._keep(header, result, observe)
        finally:
            engine.dispose()
        return header

    def _keep(self, header: tuple[str, ...], result: CursorResult[Any], observe: Callable[[int], None]) -> None:
        """Write all rows as text into the temporary file."""
        self._digest.update("\x1f".join(header).encode())
        texts_and_days = [(str(place), kind) for kind in (pa.string(), pa.bool_()) for place in range(len(header))]
        schema = pa.schema(texts_and_days)
        with pa.ipc.new_stream(self._spool, schema) as writer:
            while rows := result.fetchmany(CHUNK_ROWS):
                cells = [[row[place] for row in rows] for place in range(len(header))]
                columns = [self._texts(name, values, self._rows) for name, values in zip(header, cells, strict=True)]
                days = [pa.array([isinstance(value, dt.date) for value in values], pa.bool_()) for values in cells]
                written = "\x1e".join(map("\x1f".join, zip(*columns, strict=True))).encode()
                self._digest.update(b"\x1e" + written)
                self._size_bytes += len(written)
                self._rows += len(rows)
                writer.write_batch(
                    pa.RecordBatch.from_arrays(
                        [*(pa.array(column, pa.string()) for column in columns), *days], schema=schema
                    )
                )
                observe(self._rows)

    def _texts(self, name: str, values: list[Any], before: int) -> list[str]:
        texts: list[str] = []
        for row, value in enumerate(values, before + 1):
            text = _text(value)
            if text is None:
                kind = type(value)
                raise SourceError(
                    f"column {name!r} has a value of type {kind.__name__}, whose text is not certain",
                    file=self.name,
                    line=row,
                    next=f"in jobs.{self._job}.source.query: CAST({name} AS {_CASTS.get(kind, _TEXT)}) AS {name}",
                )
            texts.append(text)
        return texts

    @property
    def info(self) -> SourceInfo:
        """What is known of the rows; the hash is of their texts."""
        dialect = Dialect("sql", "", "")
        return SourceInfo(self.name, self._digest.hexdigest(), self._size_bytes, self._rows, dialect, self.header)

    def chunks(self, wanted: Sequence[str] | None = None) -> Iterator[Chunk]:
        """Give the rows from the first on; ``wanted`` names the columns to keep (None: all)."""
        if wanted is not None or self._strict is None:
            self._strict = frozenset(self.header if wanted is None else wanted)
        keep = [name for name in self.header if wanted is None or name in wanted]
        yield from finished(self._pass(keep), self, self._table, self._strict, self._keys)

    def _pass(self, keep: Sequence[str]) -> Iterator[Chunk]:
        places = {name: self.header.index(name) for name in keep}
        rows = 0
        self._spool.seek(0)
        with pa.ipc.open_stream(self._spool) as reader:
            for batch in reader:
                lines = range(rows + 1, rows + 1 + batch.num_rows)
                rows += batch.num_rows
                marks = {
                    name: batch.column(place + len(self.header)).to_numpy(zero_copy_only=False)
                    for name, place in places.items()
                }
                days = {name: found for name, found in marks.items() if found.any()}
                yield text_chunk(
                    self.position, keep, [batch.column(place) for place in places.values()], lines, days=days
                )


def _text(value: Any) -> str | None:
    """Return the text of a value; None: it is not certain."""
    kind = type(value)
    if kind is str:
        return str(value)
    if value is None:
        return ""
    if kind in {int, uuid.UUID}:
        return str(value)
    if kind is dt.date:
        return str(value.isoformat())
    if kind is dt.datetime and value.tzinfo is None and value.time() == dt.time():
        return str(value.date().isoformat())
    if kind is Decimal and value.as_tuple().exponent == 0:
        return str(value)
    if kind in {bytes, memoryview}:
        try:
            return bytes(value).decode()
        except UnicodeDecodeError:
            return None
    return None


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
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


def shown_address(address: URL) -> str:
    """Return an address for people: without its password and its options."""
    from sqlalchemy import URL

    database = address.database and address.database.partition("?")[0]
    return URL.create(
        address.drivername, address.username, None, address.host, address.port, database
    ).render_as_string()


def _address(url: str, job: str) -> URL:
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigError(
            f"jobs.{job}.source.url is no address as SQLAlchemy writes it (it is not shown: it may hold a password)",
            next="write it like postgresql://user:password@host/database, with %40 for an @ in the password",
        ) from None


def _read_only_address(address: URL) -> URL:
    """Return the address under which SQLite opens its file to read alone, and makes none."""
    if address.get_backend_name() != "sqlite" or address.database in {None, "", ":memory:"}:
        return address
    database = str(address.database)
    if not database.startswith("file:"):
        database = "file:" + quote(database)
    return address.set(database=database).update_query_dict({"mode": "ro", "uri": "true"})


def _make_read_only(connection: Connection) -> None:
    statement = _READ_ONLY.get(connection.dialect.name)
    if statement is not None:
        connection.exec_driver_sql(statement)
