"""Many rows at a time, for SQLite: the ways that were measured to be fastest, each in one function.

Statements carry many rows; blocks bound the memory. Everything works inside the caller's transaction.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    import numpy.typing as npt
    from sqlalchemy import Connection

BLOCK_ROWS = 100_000
"""Rows read at a time: what the planner streams past."""
LOOK_UP_KEYS = 5_000
"""Keys asked for in one statement, when only some are wanted."""
INSERT_ROWS = 100
"""Rows of one INSERT: beyond this, SQLite gains nothing (6 columns × 100 is far below its limit of parameters)."""


def raw_cursor(connection: Connection) -> sqlite3.Cursor:
    """Return the driver's cursor of a connection, inside its transaction."""
    driver = cast(sqlite3.Connection, connection.connection.driver_connection)
    return driver.cursor()


def insert_rows(connection: Connection, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Insert any number of rows with `INSERT_ROWS` of them a statement."""
    cursor = raw_cursor(connection)
    names = ", ".join(columns)
    one = f"({', '.join('?' * len(columns))})"
    head = f"INSERT INTO {table} ({names}) VALUES "
    full = head + ", ".join([one] * INSERT_ROWS)
    remaining = iter(rows)
    while block := list(islice(remaining, INSERT_ROWS)):
        statement = full if len(block) == INSERT_ROWS else head + ", ".join([one] * len(block))
        cursor.execute(statement, tuple(chain.from_iterable(block)))


def key_blocks(
    connection: Connection, statement: str, parameters: Sequence[Any]
) -> Iterator[tuple[pa.LargeStringArray, list[npt.NDArray[np.int64]]]]:
    """Stream a SELECT of a key and any number of integers, `BLOCK_ROWS` at a time, as columns."""
    cursor = raw_cursor(connection).execute(statement, parameters)
    while rows := cursor.fetchmany(BLOCK_ROWS):
        keys, *numbers = zip(*rows, strict=True)
        yield pa.array(keys, pa.large_string()), [np.array(column, np.int64) for column in numbers]


def key_look_ups(
    connection: Connection, statement: str, parameters: Sequence[Any], keys: pa.LargeStringArray
) -> Iterator[tuple[pa.LargeStringArray, list[npt.NDArray[np.int64]]]]:
    """Run a SELECT that joins ``json_each(?)``, its last parameter, for all `keys`, many at a time."""
    for begin in range(0, len(keys), LOOK_UP_KEYS):
        wanted = json.dumps(keys.slice(begin, LOOK_UP_KEYS).to_pylist(), ensure_ascii=False)
        yield from key_blocks(connection, statement, [*parameters, wanted])
