"""Typed tables: any text that a writer put into a workbook, a Parquet file or a database comes back exactly."""

from __future__ import annotations

import io
import sqlite3
from contextlib import closing

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.utils.escape import escape
from sampling import examples
from workbooks import book, saved, shared

from syncer.errors import SourceError
from syncer.source import CsvForm, open_sources, query
from syncer.source.xlsx.cells import Cell, CellReading
from syncer.source.xlsx.formats import classified

TELLING = [
    "007",
    "NA",
    "null",
    "1E5",
    "=1+1",
    " a ",
    "a\nb",
    "_x000D_",
    "x005F_",
    "é",
    "12345678901234567890",
    "1.0",
    "'",
]
alphabet = st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff")
texts = st.text(alphabet, max_size=8) | st.sampled_from(TELLING)
tables_of_text = st.integers(1, 4).flatmap(lambda width: st.lists(st.tuples(*[texts] * width), min_size=1, max_size=8))


def read(source):
    with closing(source):
        chunks = list(source.chunks())
        again = list(source.chunks())
    assert [chunk.columns for chunk in chunks] == [chunk.columns for chunk in again]
    assert all(not chunk.rejections for chunk in chunks)
    return (
        [tuple(row.values()) for chunk in chunks for row in chunk.columns.to_pylist()],
        [line for chunk in chunks for line in chunk.lines.tolist()],
    )


def opened(data):
    (source,) = open_sources(["-"], CsvForm(), stdin=io.BytesIO(data))
    return source


def written(text):
    """A text as Excel writes it: what would read as an escape is escaped itself."""
    return escape(text.replace("_x", "_x005F_x")).replace("_x000a_", "\n")


@pytest.mark.parametrize("form", [saved, lambda made: shared(saved(made))], ids=["in cells", "in a table"])
@settings(max_examples=examples(60))
@given(table=tables_of_text)
def test_any_text_comes_back_from_a_workbook(form, table):
    made = book([f"c{place}" for place in range(len(table[0]))])
    for line, row in enumerate(table, 2):
        for column, text in enumerate(row, 1):
            cell = made.active.cell(line, column)
            cell.value = written(text)
            cell.data_type = "s"  # a text that looks like a formula is none
    rows, lines = read(opened(form(made)))
    filled = [(line, row) for line, row in enumerate(table, 2) if any(map(str.strip, row))]
    assert list(zip(lines, rows, strict=True)) == filled


@settings(max_examples=examples(60))
@given(table=tables_of_text, kind=st.sampled_from([pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())]),
       group=st.integers(1, 4))  # fmt: skip
def test_any_text_comes_back_from_parquet(table, kind, group):
    names = [f"c{place}" for place in range(len(table[0]))]
    columns = [pa.array(column, pa.string()).cast(kind) for column in zip(*table, strict=True)]
    data = io.BytesIO()
    pq.write_table(pa.table(columns, names=names), data, row_group_size=group)
    assert read(opened(data.getvalue())) == (table, list(range(1, len(table) + 1)))


@settings(max_examples=examples(60))
@given(table=tables_of_text, rows=st.integers(1, 4))
def test_any_text_comes_back_from_a_query(tmp_path_factory, table, rows):
    file = tmp_path_factory.mktemp("query") / "a.db"
    names = [f"c{place}" for place in range(len(table[0]))]
    with closing(sqlite3.connect(file)) as base:
        base.execute(f"CREATE TABLE t ({', '.join(names)})")
        base.executemany(f"INSERT INTO t VALUES ({', '.join('?' * len(names))})", table)
        base.commit()
    before = query.CHUNK_ROWS
    try:
        query.CHUNK_ROWS = rows
        source = query.QuerySource(f"sqlite:///{file}", "SELECT * FROM t ORDER BY rowid", job="j")
        assert read(source) == (table, list(range(1, len(table) + 1)))
    finally:
        query.CHUNK_ROWS = before


@given(
    number=st.integers() | st.floats(),
    zeros=st.integers(1, 12),
    number_format=st.sampled_from(["General", "0", "@", "zeros"]),
)
def test_a_number_keeps_its_value_and_its_digits_or_is_a_fault(number, zeros, number_format):
    code = "0" * zeros if number_format == "zeros" else number_format
    text = CellReading([]).cell_text(Cell(1, "n", repr(number), 0, False), classified(code))
    if isinstance(text, str):
        assert int(text) == number
        assert len(text.lstrip("-").lstrip("0")) <= 15
        assert len(text.lstrip("-")) >= (zeros if number_format == "zeros" else 1)
    else:
        assert not abs(number) < 10**15 or number != int(number)


@settings(max_examples=examples(200))
@given(
    data=st.binary(max_size=300),
    form=st.sampled_from([b"PK\x03\x04", b"PAR1", b"\x28\xb5\x2f\xfd", b"\x1f\x8b", b"\xd0\xcf\x11\xe0"]),
)
def test_any_bytes_behind_a_known_beginning_are_a_source_error(data, form):
    with pytest.raises(SourceError) as raised:
        read(opened(form + data))
    assert raised.value.remedy
