"""What is no row of a table is none in Parquet and in a query either: totals, headers that stand again, marks of dates."""

from __future__ import annotations

import datetime as dt
import io
import sqlite3
from contextlib import closing

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from reading import opened

from syncer.errors import SourceError
from syncer.source import TableForm
from syncer.source.query import QuerySource

HEADER = ("extended_id", "note")
GOOD = [("K1", " NULL "), ("K2", "x")]


def as_parquet(folder, rows, table):
    data = io.BytesIO()
    pq.write_table(pa.table(dict(zip(HEADER, map(pa.array, zip(*rows, strict=True)), strict=True))), data)
    return opened(folder, data.getvalue(), table=table)


def as_query(folder, rows, table):
    with closing(sqlite3.connect(folder / "erp.db")) as base:
        base.execute("CREATE TABLE t (extended_id, note)")
        base.executemany("INSERT INTO t VALUES (?, ?)", rows)
        base.commit()
    return QuerySource(f"sqlite:///{folder / 'erp.db'}", "SELECT * FROM t ORDER BY rowid", job="j", table=table)


def read(source):
    with closing(source):
        chunks = list(source.chunks())
    rows = [tuple(row.values()) for chunk in chunks for row in chunk.columns.to_pylist()]
    return rows, [(one.line, one.code) for chunk in chunks for one in chunk.rejections]


@pytest.mark.parametrize("kind", [as_parquet, as_query])
def test_a_total_at_the_end_is_rejected(tmp_path, kind):
    assert read(kind(tmp_path, [*GOOD, ("Total", "2")], TableForm())) == (GOOD, [(3, "E105")])


@pytest.mark.parametrize("kind", [as_parquet, as_query])
def test_a_header_that_stands_again_is_refused(tmp_path, kind):
    with pytest.raises(SourceError, match="stands here again") as raised:
        read(kind(tmp_path, [*GOOD, HEADER, ("K3", "y")], TableForm()))
    assert "table.skip = ['extended_id']" in raised.value.next


@pytest.mark.parametrize("kind", [as_parquet, as_query])
def test_and_is_left_out_as_its_refusal_says(tmp_path, kind):
    rows, rejected = read(kind(tmp_path, [*GOOD, HEADER, ("K3", "y")], TableForm(skip=("extended_id",))))
    assert (rows, rejected) == ([*GOOD, ("K3", "y")], [])


@pytest.mark.parametrize("kind", [as_parquet, as_query])
def test_cells_are_formed_as_declared(tmp_path, kind):
    assert read(kind(tmp_path, GOOD, TableForm(trim="fields", null=("NULL",))))[0] == [("K1", ""), ("K2", "x")]


def test_days_bytes_and_indexes_of_parquet(tmp_path):
    moments = [dt.datetime.fromisoformat("2026-01-31"), dt.datetime.fromisoformat("2026-01-31T06:00"), None]
    columns = {
        "extended_id": pa.array([b"K1", b"K2", b"K\xff"]),
        "day": pa.array(moments),
        "__index_level_0__": pa.array([0, 1, 2]),
    }
    data = io.BytesIO()
    pq.write_table(pa.table(columns), data)
    with closing(opened(tmp_path, data.getvalue())) as source:
        assert source.header == ("extended_id", "day")
        (chunk,) = source.chunks()
    assert chunk.columns.to_pylist() == [{"extended_id": "K1", "day": "2026-01-31"}]
    assert chunk.days["day"].tolist() == [True]
    assert [(one.line, one.code) for one in chunk.rejections] == [(2, "E126"), (3, "E106")]
