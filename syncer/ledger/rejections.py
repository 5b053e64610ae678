"""The rows that a run's rules refused, kept with the run: a bounded number of them, the first ones.

What always holds: how many there were is the run's own count (``rows.invalid``), so what is left out can be said.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from syncer.ledger import schema as t
from syncer.ledger.buckets import RefusedRow, untaken_rows
from syncer.ledger.bulk import insert_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from syncer.rejections import Rejection

REJECTIONS_MAX = 1_000
"""Rows that are kept of one run: the results folder has them all."""
_COLUMNS = ("run_id", "file", "line", "code", "key", "message")


def store(connection: Connection, run_id: int, rejections: Sequence[Rejection], files: Sequence[str]) -> None:
    """Keep the first rejected rows of a run, in the caller's transaction; a second time keeps nothing more."""
    known = select(func.count()).select_from(t.rejections).where(t.rejections.c.run_id == run_id)
    if connection.execute(known).scalar_one():
        return
    rows = ((run_id, files[one.source], one.line, one.code, one.key, one.message) for one in rejections)
    insert_rows(connection, "rejections", _COLUMNS, islice(rows, REJECTIONS_MAX))


def read(connection: Connection, run_id: int) -> tuple[list[RefusedRow], list[RefusedRow]]:
    """Return the rows of a run that our rules refused, and those whose values the API did not take: the first ones."""
    return invalid_rows(connection, run_id), untaken_rows(connection, run_id, REJECTIONS_MAX)


def invalid_rows(connection: Connection, run_id: int) -> list[RefusedRow]:
    """Return the rows of a run that our rules refused, the first ones."""
    query = select(*(t.rejections.c[name] for name in _COLUMNS[1:])).where(t.rejections.c.run_id == run_id)
    return [RefusedRow(*row) for row in connection.execute(query.order_by(t.rejections.c.id))]
