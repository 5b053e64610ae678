"""What is no row of a table is none in Parquet and in a query either: totals, headers that stand again, marks of dates."""

from __future__ import annotations

import datetime as dt
import io
import sqlite3
from contextlib import closing

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from reading import opened, read, refusal
from workbooks import book, saved

from syncer.errors import SourceError
from syncer.source import CsvForm, TableForm
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


def rows_of(source):
    with closing(source):
        chunks = list(source.chunks())
    rows = [tuple(row.values()) for chunk in chunks for row in chunk.columns.to_pylist()]
    return rows, [(one.line, one.code) for chunk in chunks for one in chunk.rejections]


@pytest.mark.parametrize("kind", [as_parquet, as_query])
def test_a_total_at_the_end_is_rejected(tmp_path, kind):
    assert rows_of(kind(tmp_path, [*GOOD, ("Total", "2")], TableForm())) == (GOOD, [(3, "E105")])


@pytest.mark.parametrize("kind", [as_parquet, as_query])
def test_a_header_that_stands_again_is_refused(tmp_path, kind):
    with pytest.raises(SourceError, match="stands here again") as raised:
        rows_of(kind(tmp_path, [*GOOD, HEADER, ("K3", "y")], TableForm()))
    assert "table.skip = ['extended_id']" in raised.value.remedy


@pytest.mark.parametrize("kind", [as_parquet, as_query])
def test_and_is_left_out_as_its_refusal_says(tmp_path, kind):
    rows, rejected = rows_of(kind(tmp_path, [*GOOD, HEADER, ("K3", "y")], TableForm(skip=("extended_id",))))
    assert (rows, rejected) == ([*GOOD, ("K3", "y")], [])


@pytest.mark.parametrize("kind", [as_parquet, as_query])
def test_cells_are_formed_as_declared(tmp_path, kind):
    assert rows_of(kind(tmp_path, GOOD, TableForm(trim="fields", null=("NULL",))))[0] == [("K1", ""), ("K2", "x")]


def test_days_bytes_and_indexes_of_parquet(tmp_path):
    moments = [dt.datetime.fromisoformat("2026-01-31"), dt.datetime.fromisoformat("2026-01-31T06:00"), None]
    columns = {
        "extended_id": pa.array([b"K1", b"K2", b"K3"]),
        "flag": pa.array([b"\t1", None, b"\x01"]),
        "day": pa.array(moments),
        "__index_level_0__": pa.array([0, 1, 2]),
    }
    data = io.BytesIO()
    pq.write_table(pa.table(columns), data)
    with closing(opened(tmp_path, data.getvalue())) as source:
        assert source.header == ("extended_id", "flag", "day")
        (chunk,) = source.chunks()
    assert chunk.columns.to_pylist() == [{"extended_id": "K1", "flag": "\t1", "day": "2026-01-31"}]
    assert chunk.days["day"].tolist() == [True]
    assert [(one.line, one.code) for one in chunk.rejections] == [(2, "E126"), (3, "E106")]


@pytest.mark.parametrize("kind", [pa.date32(), pa.date64(), pa.timestamp("us"), pa.dictionary(pa.int32(), pa.date32())])
def test_days_of_years_that_nobody_writes_so_reject_their_rows(tmp_path, kind):
    days = pa.array([-800000, -719162, -354285, 0, 2932896, 3000000, None], pa.date32())
    keys = [f"K{number}" for number in range(7)]
    data = io.BytesIO()
    days = days.dictionary_encode() if pa.types.is_dictionary(kind) else days.cast(kind)
    pq.write_table(pa.table({"extended_id": keys, "day": days}), data)
    with closing(opened(tmp_path, data.getvalue())) as source:
        (chunk,) = source.chunks()
    assert chunk.columns.column("day").to_pylist() == ["1000-01-01", "1970-01-01", "9999-12-31", ""]
    assert [(one.line, one.code) for one in chunk.rejections] == [(1, "E126"), (2, "E126"), (6, "E126")]
    assert "0001-01-01" in chunk.rejections[1].message


SHEET = [["extended_id", "lot", "lot", None, 1.5, "note"], ["K1", "a", "b", "c", 2.5, "x"], ["K2", "a", "b", "c", 2.5]]
TEXT = "extended_id,lot,lot,,column,note\nK1,a,b,c,d,x\nK2,a,b,c,d,\n"


@pytest.mark.parametrize("data", [saved(book(*SHEET)), TEXT.encode()])
def test_columns_without_a_name_of_their_own_are_called_by_their_place_where_the_job_names_those_that_count(
    tmp_path, data
):
    assert refusal(tmp_path, data)
    with closing(opened(tmp_path, data, by_place=True)) as source:
        named = ("extended_id", "lot (column 2)", "lot (column 3)", "column 4")
        assert source.header[:4] == named
        assert source.header[5] == "note"
    rows, _, rejections = read(tmp_path, data, ["extended_id", "lot (column 3)", "column 4", "note"], by_place=True)
    assert (rows, rejections) == ([("K1", "b", "c", "x"), ("K2", "b", "c", "")], [])


def test_a_sheet_without_a_header_row_is_read_by_the_names_that_are_declared(tmp_path):
    data = saved(book(["K1", "a", None], ["K2", "b", None], [None, "c", "?"]))
    rows, lines, rejections = read(tmp_path, data, form=CsvForm(header=HEADER))
    assert (rows, lines) == ([("K1", "a"), ("K2", "b")], [1, 2])
    assert [(one.line, one.code) for one in rejections] == [(3, "E101")]
    below = read(tmp_path, data, form=CsvForm(header=(*HEADER, "")), table=TableForm(header_row=1))
    assert (below[0], below[1]) == ([("K2", "b")], [2])


def merged(ranges, *rows):
    made = book(*rows)
    for one in ranges:
        made.active.merge_cells(one)
    return saved(made)


TITLE = [["Night of the 31st", None, None], ["extended_id", "pallet", "note"]]


@pytest.mark.parametrize(
    ("ranges", "rows", "kept", "filled"),
    [
        (["A1:C1"], [["K1", "P", "x"]], 1, [("K1", "P", "x")]),  # a title is no row
        (["B3:B4"], [["K1", "P", "x"], ["K2", None, "y"]], 1, [("K1", "P", "x"), ("K2", "P", "y")]),
        (["B3:C3"], [["K1", "P", None], ["K2", "Q", "y"]], 2, [("K1", "P", ""), ("K2", "Q", "y")]),
        (["B3:C4"], [["K1", "P", None], ["K2", None, None]], 1, [("K1", "P", ""), ("K2", "P", "P")]),
        (["B3:B4"], [["K1", None, "x"], ["K2", None, "y"]], 2, [("K1", "", "x"), ("K2", "", "y")]),  # nothing in it
        (["A3:C4"], [["K1", None, "x"], [None, None, None]], 1, [("K1", "", "")]),  # a row without content is none
        (["D3:E4"], [["K1", "P", "x"]], 1, [("K1", "P", "x")]),
        (["B3:B4", "B5:B6"], [[f"K{n}", "PQ"[n // 2] * (n % 2 == 0), "x"] for n in range(4)], 2,
         [("K0", "P", "x"), ("K1", "P", "x"), ("K2", "Q", "x"), ("K3", "Q", "x")]),
    ],
)  # fmt: skip
def test_what_people_see_in_merged_cells_is_never_taken_for_blank(tmp_path, ranges, rows, kept, filled):
    data = merged(ranges, *TITLE, *rows)
    taken, _, rejections = read(tmp_path, data)
    assert len(taken) == kept
    assert {one.code for one in rejections} <= {"E128"}
    assert set(taken) <= set(filled)
    assert read(tmp_path, data, table=TableForm(merged="fill"))[0] == filled
