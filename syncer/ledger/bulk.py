"""Many rows at a time, for SQLite: the ways that were measured to be fastest, each in one function.

Statements carry many rows; blocks bound the memory. Everything works inside the caller's transaction.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa
    from sqlalchemy import Connection

    StateBlock = tuple[pa.LargeStringArray, list[npt.NDArray[np.int64]]]

BLOCK_ROWS = 100_000
"""Rows read at a time as Python values."""
PAGE_ROWS = 10_000
"""Rows that SQLite joins into one text: beyond this it gains nothing."""
STATE_ROWS = 400_000
"""Rows of a block of the mirror: what the planner streams past. Many, since they are looked up in order."""
LOOK_UP_KEYS = 5_000
"""Keys asked for in one statement, when only some are wanted."""
INSERT_ROWS = 100
"""Rows of one INSERT: beyond this, SQLite gains nothing (6 columns × 100 is far below its limit of parameters)."""


def raw_cursor(connection: Connection) -> sqlite3.Cursor:
    """Return the driver's cursor of a connection, inside its transaction."""
    driver = cast(sqlite3.Connection, connection.connection.driver_connection)
    return driver.cursor()


def insert_rows(
    connection: Connection,
    table: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    or_ignore: bool = False,
) -> None:
    """Insert any number of rows with `INSERT_ROWS` of them a statement; ``or_ignore``: but those that are there."""
    cursor = raw_cursor(connection)
    names = ", ".join(columns)
    one = f"({', '.join('?' * len(columns))})"
    head = f"INSERT {'OR IGNORE ' if or_ignore else ''}INTO {table} ({names}) VALUES "
    full = head + ", ".join([one] * INSERT_ROWS)
    remaining = iter(rows)
    while block := list(islice(remaining, INSERT_ROWS)):
        statement = full if len(block) == INSERT_ROWS else head + ", ".join([one] * len(block))
        cursor.execute(statement, tuple(chain.from_iterable(block)))


@contextmanager
def index_afterwards(connection: Connection, index: str) -> Iterator[None]:
    """Do without an index while rows are inserted in another order than its own, then make it again, sorted at once.

    In the caller's transaction, so that it is whole or as it was. Sorts in memory: about 60 bytes a row of the table.
    """
    cursor = raw_cursor(connection)
    statement = cursor.execute("SELECT sql FROM sqlite_schema WHERE type = 'index' AND name = ?", (index,)).fetchone()
    cursor.execute(f"DROP INDEX {index}")
    yield
    cursor.execute(*statement)


def key_blocks(
    connection: Connection, statement: str, parameters: Sequence[Any]
) -> Iterator[tuple[pa.LargeStringArray, list[npt.NDArray[np.int64]]]]:
    """Stream a SELECT of a key and any number of integers, `BLOCK_ROWS` at a time, as columns."""
    import numpy as np

    from syncer.arrow import texts

    cursor = raw_cursor(connection).execute(statement, parameters)
    while rows := cursor.fetchmany(BLOCK_ROWS):
        keys, *numbers = zip(*rows, strict=True)
        yield texts(keys), [np.array(column, np.int64) for column in numbers]


_STATE_ROWS = "SELECT {columns} FROM mirror WHERE space_id = ? AND key >= ? ORDER BY key LIMIT ?"


def state_blocks(connection: Connection, space_id: int, columns: Sequence[str]) -> Iterator[StateBlock]:
    """Stream the mirror of a space in the order of its keys, `STATE_ROWS` at a time: keys, and `columns` of numbers.

    SQLite joins the keys of a page into one text, and they are taken apart as an array: no Python value per row. The
    next block is read while the last one is being used.
    """
    blocks = _state_blocks(raw_cursor(connection), space_id, columns)
    with ThreadPoolExecutor(1) as ahead:  # leaving waits for the read that is under way
        pending = ahead.submit(next, blocks, None)
        while (block := pending.result()) is not None:
            pending = ahead.submit(next, blocks, None)
            yield block


def _state_blocks(cursor: sqlite3.Cursor, space_id: int, columns: Sequence[str]) -> Iterator[StateBlock]:
    import pyarrow as pa

    from syncer.arrow import as_numpy, texts

    key_rows = _STATE_ROWS.format(columns="key")
    joined = ", ".join(f"CAST(group_concat({column}, '\n') AS BLOB)" for column in ("key", *columns))
    state_page = f"SELECT count(*), {joined} FROM ({_STATE_ROWS.format(columns=', '.join(('key', *columns)))})"
    keys: list[pa.LargeStringArray] = []
    numbers: list[list[pa.Int64Array]] = [[] for _ in columns]
    least = ""
    while True:
        page = (space_id, least, PAGE_ROWS)
        rows, key_lines, *number_lines = cursor.execute(state_page, page).fetchone()
        if rows:
            keys.append(lines_of(key_lines))
            for column, lines in zip(numbers, number_lines, strict=True):
                column.append(lines_of(lines).cast(pa.int64()))
            if len(keys[-1]) != rows:  # a key with a line break: no file brings one, but the ledger would hold it
                keys[-1] = texts([key for (key,) in cursor.execute(key_rows, page)])
            least = keys[-1][-1].as_py() + "\0"  # the least text that is greater than the last key
        if keys and (rows < PAGE_ROWS or len(keys) * PAGE_ROWS >= STATE_ROWS):
            yield pa.concat_arrays(keys), [as_numpy(pa.concat_arrays(column)) for column in numbers]
            keys, numbers = [], [[] for _ in columns]
        if rows < PAGE_ROWS:
            return


def lines_of(text: bytes) -> pa.LargeStringArray:
    """Take apart lines of UTF-8; the last one has no line break."""
    import numpy as np
    import pyarrow as pa

    data = np.frombuffer(text, np.uint8)
    breaks = np.flatnonzero(data == ord("\n"))
    offsets = np.zeros(len(breaks) + 2, np.int64)
    offsets[1:-1] = breaks - np.arange(len(breaks))
    offsets[-1] = len(data) - len(breaks)
    return pa.LargeStringArray.from_buffers(
        len(breaks) + 1, pa.py_buffer(offsets), pa.py_buffer(text.replace(b"\n", b""))
    )


def key_look_ups(
    connection: Connection, statement: str, parameters: Sequence[Any], keys: pa.LargeStringArray
) -> Iterator[tuple[pa.LargeStringArray, list[npt.NDArray[np.int64]]]]:
    """Run a SELECT that joins ``json_each(?)``, its last parameter, for all `keys`, many at a time."""
    for begin in range(0, len(keys), LOOK_UP_KEYS):
        wanted = json.dumps(keys.slice(begin, LOOK_UP_KEYS).to_pylist(), ensure_ascii=False)
        yield from key_blocks(connection, statement, [*parameters, wanted])
