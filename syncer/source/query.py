"""The rows of a SQL query as chunks of text columns. The one module beside the ledger that speaks SQL.

What always holds: the query is run once, read-only as far as the database can promise it, and its rows are kept in an
unlinked temporary file, so that every pass sees the same rows; a column that counts and has no certain texts is refused
by name and row; neither the password nor the address's options ever stand in a name or a message. A line's number is
the row's, from 1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from syncer.errors import ConfigError, SourceError, SyncerError
from syncer.model import Chunk, Dialect, SourceInfo
from syncer.safe.files import spool
from syncer.source.chunks import text_chunk
from syncer.source.database import (
    Mask,
    address_of,
    engine_of,
    make_read_only,
    names_of,
    read_only,
    shown_address,
    wrapped,
)
from syncer.source.foreign import quiet
from syncer.source.inputs import NO_ROOM, unkept
from syncer.source.query_text import DAY, ODD, faults_of, texts_of
from syncer.source.results_reader import read_columns
from syncer.source.statement import single_select
from syncer.source.table import UNDECLARED, TableForm, key_names
from syncer.source.tables import CHUNK_ROWS, LEAVE_OUT, checked_header, finished

if TYPE_CHECKING:
    from sqlalchemy import URL, CursorResult

_TEXTS = {"mysql": "CHAR", "mariadb": "CHAR", "mssql": "NVARCHAR(MAX)", "oracle": "VARCHAR2(4000)"}
"""What text of any length is called where it is not TEXT: VARCHAR(255) would cut a longer one without a word."""


class _OddValue(NamedTuple):
    """The first value of a column that has no certain text: its row and its type."""

    row: int
    kind: str


def require_sense(url: str, query: str, *, job: str, password_apart: bool) -> None:
    """Raise `ConfigError` for a query, or an address, that could never be asked; connects to nothing.

    Raises `SourceError` when the database's driver is not installed.
    """
    address = address_of(url, job, "stands elsewhere" if password_apart else None)
    read_only(address, job)
    _statement(query, job)
    with quiet():
        engine_of(address, job).dispose()


def _statement(query: str, job: str) -> str:
    try:
        return single_select(query)
    except ValueError as error:
        raise ConfigError(f"jobs.{job}.source.query {error}") from None


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
        password: str | None = None,
        observe: Callable[[int], None] = lambda rows: None,
        key: Sequence[str] | None = None,
        table: TableForm = UNDECLARED,
        notes: tuple[str, ...] = (),
    ) -> None:
        self._job = job
        self._table = table
        self._strict: frozenset[str] | None = None
        self.warnings = notes
        address = address_of(url, job, password)
        self._mask = Mask(url, address)
        self.name = shown_address(address)
        self._backend = address.drivername.partition("+")[0]
        statement = _statement(query, job)
        self._digest, self._size_bytes, self._rows = hashlib.sha256(), 0, 0
        self._odd: dict[str, _OddValue] = {}
        try:
            self._spool: IO[bytes] = spool()
        except OSError as error:
            raise unkept(error, self.name) from None
        try:
            with quiet():
                self.header = self._read(address, statement, observe)
            self._keys = key_names(self.header, key)
        except SyncerError:
            self.close()
            raise
        except Exception as error:  # whatever a driver raises: its words may hold the password
            self.close()
            if isinstance(error, OSError) and error.errno in NO_ROOM:
                raise unkept(error, self.name) from None
            words = self._mask(str(getattr(error, "orig", None) or error))
            raise SourceError(
                f"the query failed: {type(error).__name__}: {words}",
                file=self.name,
                remedy=f"correct jobs.{self._job}.source",
            ) from None

    def close(self) -> None:
        """Let go of the rows."""
        with suppress(OSError):  # what did not fit is written once more, and thrown away
            self._spool.close()

    def _read(self, address: URL, statement: str, observe: Callable[[int], None]) -> tuple[str, ...]:
        engine = engine_of(address, self._job)
        options = {"stream_results": True, "max_row_buffer": CHUNK_ROWS, "no_parameters": True}
        if engine.dialect.name == "postgresql":
            options["postgresql_readonly"] = True
        try:
            with engine.connect().execution_options(**options) as connection:  # never committed
                make_read_only(connection)
                self._quote = engine.dialect.identifier_preparer.quote
                result = connection.exec_driver_sql(wrapped(engine.dialect.name, statement))
                if not result.returns_rows:
                    raise SourceError(
                        "the query gives no rows", file=self.name, remedy=f"correct jobs.{self._job}.source"
                    )
                names = names_of(engine.dialect.name, [str(name) for name in result.keys()])  # noqa: SIM118
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
        texts_and_marks = [(str(place), kind) for kind in (pa.string(), pa.uint8()) for place in range(len(header))]
        schema = pa.schema(texts_and_marks)
        with pa.ipc.new_stream(self._spool, schema) as writer:
            while rows := result.fetchmany(CHUNK_ROWS):
                cells = [[row[place] for row in rows] for place in range(len(header))]
                columns, marks = zip(*map(texts_of, cells), strict=True)
                for name, values, found in zip(header, cells, marks, strict=True):
                    if name not in self._odd and ODD in found:
                        row = int(np.argmax(found == ODD))
                        self._odd[name] = _OddValue(self._rows + row + 1, type(values[row]).__name__)
                written = "\x1e".join(map("\x1f".join, zip(*columns, strict=True))).encode()
                self._digest.update(b"\x1e" + written)
                self._size_bytes += len(written)
                self._rows += len(rows)
                writer.write_batch(
                    pa.RecordBatch.from_arrays(
                        [*(pa.array(column, pa.string()) for column in columns), *map(pa.array, marks)], schema=schema
                    )
                )
                observe(self._rows)
        self._spool.flush()

    def _refuse_odd(self, names: frozenset[str]) -> None:
        """Refuse a column that counts and has a value without a certain text."""
        for name, found in self._odd.items():
            if name in names:
                text = "DATE" if found.kind == "datetime" else _TEXTS.get(self._backend, "TEXT")
                cast = f"CAST({self._quote(name)} AS {text}) AS {self._quote(name)}"
                raise SourceError(
                    f"column {name!r} has a value of type {found.kind}, whose text is not certain",
                    file=self.name,
                    line=found.row,
                    remedy=f"in jobs.{self._job}.source.query: {cast}; {LEAVE_OUT}",
                )

    @property
    def info(self) -> SourceInfo:
        """What is known of the rows; the hash is of their texts."""
        dialect = Dialect("sql", "", "")
        return SourceInfo(self.name, self._digest.hexdigest(), self._size_bytes, self._rows, dialect, self.header)

    def chunks(self, wanted: Sequence[str] | None = None) -> Iterator[Chunk]:
        """Give the rows from the first on; ``wanted`` names the columns to keep (None: all)."""
        if wanted is not None or self._strict is None:
            self._strict = frozenset(self.header if wanted is None else wanted)
            self._refuse_odd(self._strict)
        keep = [name for name in self.header if wanted is None or name in wanted]
        rows = self._pass(read_columns(self.header, wanted), self._strict)
        yield from finished(rows, self, self._table, keep, self._strict, self._keys)

    def _pass(self, keep: Sequence[str], strict: frozenset[str]) -> Iterator[Chunk]:
        at = {name: place for place, name in enumerate(self.header)}
        places = {name: at[name] for name in keep}
        rows = 0
        self._spool.seek(0)
        with pa.ipc.open_stream(self._spool) as reader:
            for batch in reader:
                lines = range(rows + 1, rows + 1 + batch.num_rows)
                rows += batch.num_rows
                columns = [batch.column(place) for place in places.values()]
                days, faults, wrong = {}, dict[int, tuple[str, str]](), dict[int, list[int]]()
                for place, (name, column) in enumerate(zip(keep, columns, strict=True)):
                    marks = batch.column(places[name] + len(self.header)).to_numpy(zero_copy_only=False)
                    if (marks == DAY).any():
                        days[name] = marks == DAY
                    if name in strict and marks.any():
                        found = faults_of(name, column, marks)
                        faults = {**found, **faults}
                        for row in found:
                            wrong.setdefault(row, []).append(place)
                yield text_chunk(self.position, keep, columns, lines, days=days, faults=faults, wrong=wrong)
