"""Parquet: text, whole numbers and days are read as they are; a column of another type is refused by name."""

from __future__ import annotations

import datetime as dt
import decimal
import io
import re
from contextlib import closing

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from syncer.errors import SourceError
from syncer.source import CsvForm, open_sources


def saved(columns, **options):
    data = io.BytesIO()
    pq.write_table(pa.table(columns), data, **options)
    return data.getvalue()


def opened(folder, data):
    (folder / "a.parquet").write_bytes(data)
    (source,) = open_sources([str(folder / "a.parquet")], CsvForm())
    return source


def read(folder, data, wanted=None):
    with closing(opened(folder, data)) as source:
        chunks = list(source.chunks(wanted))
    rows = [tuple(row.values()) for chunk in chunks for row in chunk.columns.to_pylist()]
    return rows, [line for chunk in chunks for line in chunk.lines.tolist()], [r for c in chunks for r in c.rejections]


def test_certain_types_become_their_text_and_nulls_are_empty_cells(tmp_path):
    data = saved(
        {
            "text": pa.array(["007", None, "NA"]),
            "large": pa.array(["a", "", None], pa.large_string()),
            "view": pa.array(["a", "", None], pa.string_view()),
            "words": pa.array(["x", None, "x"]).dictionary_encode(),
            "small": pa.array([-7, None, 127], pa.int8()),
            "big": pa.array([2**64 - 1, None, 0], pa.uint64()),
            "number": pa.array([decimal.Decimal(10**20), None, decimal.Decimal(-3)], pa.decimal128(30, 0)),
            "day": pa.array([dt.date(2026, 1, 2), None, dt.date(1066, 10, 14)]),
            "other": pa.array([dt.date(2026, 1, 2), None, None], pa.date64()),
            "nothing": pa.nulls(3),
        }
    )
    rows, lines, rejections = read(tmp_path, data)
    assert rows == [
        ("007", "a", "a", "x", "-7", "18446744073709551615", "100000000000000000000", "2026-01-02", "2026-01-02", ""),
        ("",) * 10,
        ("NA", "", "", "x", "127", "0", "-3", "1066-10-14", "", ""),
    ]
    assert (lines, rejections) == ([1, 2, 3], [])


UNCERTAIN = {
    "timestamp[us, tz=UTC]": pa.array([1], pa.timestamp("us", "UTC")),
    "double": pa.array([1.5]),
    "bool": pa.array([True]),
    "list": pa.array([["a"]]),
    "struct": pa.array([{"b": "x"}]),
    "decimal128": pa.array([decimal.Decimal("1.50")]),
    "time64": pa.array([dt.time(6)]),
}


@pytest.mark.parametrize("kind", UNCERTAIN)
def test_another_type_is_refused_by_name_unless_nobody_wants_the_column(tmp_path, kind):
    data = saved({"key": pa.array(["K1"]), "odd": UNCERTAIN[kind]})
    with pytest.raises(SourceError, match=re.escape(f"'odd' is {kind}")) as raised:
        read(tmp_path, data)
    assert "text, a whole number or a date" in raised.value.remedy
    assert read(tmp_path, data, ["key"])[0] == [("K1",)]
    with closing(opened(tmp_path, data)) as source:  # the results folder shows the column for all that
        list(source.chunks(["key"]))
        (chunk,) = source.chunks()
        assert chunk.columns.column("odd")[0].as_py() == str(UNCERTAIN[kind][0].as_py())


def test_row_numbers_go_on_over_row_groups_and_memory_is_bounded_by_a_batch(tmp_path):
    count = 300_000
    columns = {
        "key": pa.array([f"K{n:09d}" for n in range(count)]),
        "fill": pa.array([f"{n:0200d}" for n in range(count)]),
    }
    data = saved(columns, row_group_size=count, use_dictionary=False)
    del columns
    with closing(opened(tmp_path, data)) as source:
        before, most, last = pa.total_allocated_bytes(), 0, 0
        for chunk in source.chunks():
            most = max(most, pa.total_allocated_bytes() - before)
            assert chunk.lines.tolist() == list(range(last + 1, last + 1 + len(chunk.lines)))
            assert chunk.columns.column("key")[0].as_py() == f"K{last:09d}"
            last += len(chunk.lines)
    assert last == count == source.info.rows
    assert most < 40 << 20  # the columns are 63 MB
    assert read(tmp_path, saved({"a": pa.array(["x"] * 7)}, row_group_size=2))[1] == [1, 2, 3, 4, 5, 6, 7]


def test_what_is_damaged_or_in_doubt_is_refused(tmp_path):
    whole = saved({"a": pa.array(["x"] * 1000), "b": pa.array(["y"] * 1000)})
    with pytest.raises(SourceError, match="cannot be read"):
        read(tmp_path, whole[:-20])
    with pytest.raises(SourceError, match="no column"):
        read(tmp_path, saved({}))
    twice = io.BytesIO()
    pq.write_table(pa.table([pa.array(["x"]), pa.array(["y"])], names=["a", "a"]), twice)
    with pytest.raises(SourceError, match="twice"):
        read(tmp_path, twice.getvalue())
    wrong = pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xff"]).buffers())
    rows, _, (rejection,) = read(tmp_path, saved({"a": pa.concat_arrays([pa.array(["x"]), wrong])}))
    assert (rows, rejection.line, rejection.code) == ([("x",)], 2, "E106")
    with closing(opened(tmp_path, whole)) as source:
        (tmp_path / "a.parquet").write_bytes(whole + b"x")
        with pytest.raises(SourceError):
            list(source.chunks())


def test_a_nul_character_rejects_its_row(tmp_path):
    rows, lines, (rejection,) = read(
        tmp_path, saved({"a": pa.array(["1", "2", "3"]), "b": pa.array(["x", "y\0z", "w"])})
    )
    assert (rows, lines) == ([("1", "x"), ("3", "w")], [1, 3])
    assert (rejection.line, rejection.code, rejection.cells) == (2, "E103", ("2", "y\0z"))
    assert "'b'" in rejection.message
