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
import xlsxwriter
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sampling import examples, sample
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


def by_xlsxwriter(**options):
    data = io.BytesIO()
    with xlsxwriter.Workbook(data, {"in_memory": True, **options}) as made:
        sheet = made.add_worksheet()
        day = made.add_format({"num_format": "yyyy-mm-dd"})
        for line, (key, lot, date) in enumerate([HEADER, *ROWS]):
            sheet.write_string(line, 0, key)
            sheet.write_string(line, 1, lot)
            if line:
                sheet.write_datetime(line, 2, dt.datetime.fromisoformat(date), day)
            else:
                sheet.write_string(line, 2, date)
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
    "XlsxWriter": by_xlsxwriter(),
    "XlsxWriter, row by row": by_xlsxwriter(constant_memory=True),
    "gzip": gzip.compress(CSV, mtime=0),
    "zip": zipped(),
    "Parquet with checksums": parquet(),
}


def read_of(data):
    """Rows, and how many were rejected."""
    (source,) = open_sources(["-"], CsvForm(), stdin=io.BytesIO(data))
    with closing(source):
        chunks = list(source.chunks())
    rows = [tuple(row.values()) for chunk in chunks for row in chunk.columns.to_pylist()]
    return rows, sum(len(chunk.rejections) for chunk in chunks)


def rows_of(data):
    return read_of(data)[0]


@pytest.mark.parametrize("kind", FILES)
def test_the_files_are_read_as_they_are(kind):
    assert rows_of(FILES[kind]) == ROWS


@pytest.mark.parametrize("kind", FILES)
@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@example(place=0.79296875, bit=5)  # of the ZIP file: a member that is said to be a patch
def test_a_flipped_bit_never_makes_a_wrong_row(kind, place, bit):
    data = bytearray(FILES[kind])
    data[int(place * len(data))] ^= 1 << bit
    assert fate(bytes(data)) != "WRONG"


def fate(data):
    """What becomes of a file: "refused", "as it was", "rejected" (each row that is missing is told), or "WRONG"."""
    try:
        rows, rejected = read_of(data)
    except SourceError as error:
        assert error.remedy
        return "refused"
    if rows == ROWS:
        return "as it was"
    return "WRONG" if set(rows) - set(ROWS) or len(rows) + rejected != len(ROWS) else "rejected"


@pytest.mark.parametrize("kind", FILES)
def test_no_byte_of_a_packed_file_decides_unseen(kind, record_property):
    """Every byte (a sample of them in `make test`) is another one, in several ways: whatever else is raised fails."""
    whole = FILES[kind]
    counts = dict.fromkeys(("refused", "as it was", "rejected", "WRONG"), 0)
    for place in sample(range(len(whole)), 60, name=f"flips of {kind}"):
        for other in (whole[place] ^ 0x01, 0xFF):
            if other != whole[place]:
                counts[fate(whole[:place] + bytes([other]) + whole[place + 1 :])] += 1
    record_property("table", ("one byte of a packed file is another one: what became of the file", row(kind, counts)))
    assert counts["WRONG"] == 0


@pytest.mark.parametrize("kind", FILES)
def test_no_end_of_a_packed_file_is_missed_unseen(kind, record_property):
    whole = FILES[kind]
    counts = dict.fromkeys(("refused", "as it was", "rejected", "WRONG"), 0)
    for end in sample(range(4, len(whole)), 40, name=f"cuts of {kind}"):  # one or two letters are a header of their own
        counts[fate(whole[:end])] += 1
    record_property("table", ("a packed file is cut short: what became of it", row(kind, counts)))
    assert counts["rejected"] == counts["WRONG"] == 0


def row(kind, counts):
    return f"{kind:23}" + "".join(f" {count:7,} {words}" for words, count in counts.items())
