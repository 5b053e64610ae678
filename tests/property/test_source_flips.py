"""One byte of a packed file is another one: every row that is taken is a row of the file as it was, or it is refused."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import zipfile
from contextlib import closing

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sampling import examples
from workbooks import book, saved, shared

from syncer.errors import SourceError
from syncer.source import CsvForm, open_sources

HEADER = ["extended_id", "lot", "day"]
ROWS = [(f"K{number:05d}", f"{number % 7:03d}", "2026-01-31") for number in range(60)]
CSV = "\n".join(map(",".join, [HEADER, *ROWS])).encode() + b"\n"


def by_pandas():
    data = io.BytesIO()
    pd.DataFrame(ROWS, columns=HEADER).to_excel(data, index=False, engine="openpyxl")
    return data.getvalue()


def zipped():
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.csv", CSV)
    return data.getvalue()


def parquet():
    data = io.BytesIO()
    columns = zip(*ROWS, strict=True)
    pq.write_table(pa.table(dict(zip(HEADER, map(pa.array, columns), strict=True))), data, write_page_checksum=True)
    return data.getvalue()


FILES = {
    "openpyxl": saved(book(HEADER, *((key, lot, dt.date.fromisoformat(day)) for key, lot, day in ROWS))),
    "shared texts": shared(saved(book(HEADER, *ROWS))),
    "pandas": by_pandas(),
    "gzip": gzip.compress(CSV, mtime=0),
    "zip": zipped(),
}


def rows_of(data):
    (source,) = open_sources(["-"], CsvForm(), stdin=io.BytesIO(data))
    with closing(source):
        return [tuple(row.values()) for chunk in source.chunks() for row in chunk.columns.to_pylist()]


@pytest.mark.parametrize("kind", FILES)
def test_the_files_are_read_as_they_are(kind):
    assert rows_of(FILES[kind]) == ROWS


@pytest.mark.parametrize("kind", FILES)
@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_never_makes_a_wrong_row(kind, place, bit):
    data = bytearray(FILES[kind])
    data[int(place * len(data))] ^= 1 << bit
    try:
        rows = rows_of(bytes(data))
    except SourceError as error:
        assert error.next
        return
    assert not set(rows) - set(ROWS)


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_of_parquet_is_rows_or_a_refusal(place, bit):
    data = bytearray(parquet())
    data[int(place * len(data))] ^= 1 << bit
    try:
        rows_of(bytes(data))
    except SourceError as error:
        assert error.next
