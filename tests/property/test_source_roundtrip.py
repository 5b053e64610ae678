"""Reading: what a writer wrote comes back exactly, whichever path reads it; anything else is rejected or refused."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
from contextlib import closing

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sampling import examples

from syncer.errors import SourceError
from syncer.source import CsvForm, files, open_sources, textblocks
from syncer.source.table import total

# U+FDD0 is kept free by Unicode: the program writes it for a byte that is not text, and rejects its row.
alphabet = st.characters(codec="utf-8", exclude_characters="\0\ufdd0") | st.sampled_from(list(",;\t|\"'\n\r a0Z é"))
cells = st.text(alphabet, max_size=6)
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16")


def read(data, form=CsvForm(), wanted=None):
    (source,) = open_sources(["-"], form, stdin=io.BytesIO(data))
    rows, lines, rejections = [], [], []
    with closing(source):
        for chunk in source.chunks(wanted):
            rows += [tuple(row.values()) for row in chunk.columns.to_pylist()]
            lines += chunk.lines.tolist()
            rejections += chunk.rejections
    return source, rows, lines, rejections


@pytest.mark.parametrize("how", ["fast", "strict", "tiny blocks"])
@settings(max_examples=examples(150))
@given(
    width=st.integers(2, 4),
    data=st.data(),
    delimiter=st.sampled_from(",;\t|"),
    ending=st.sampled_from(["\n", "\r\n", "\r"]),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    encoding=st.sampled_from(ENCODINGS),
    zipped=st.booleans(),
)
def test_any_table_comes_back_exactly_with_its_lines(how, width, data, delimiter, ending, quoting, encoding, zipped):
    table = data.draw(st.lists(st.tuples(*[cells] * width), max_size=8))
    if quoting == csv.QUOTE_MINIMAL:  # the writer of Python 3.11 leaves a bare CR or LF that is not its own unquoted
        table = [tuple(cell.replace("\r", "").replace("\n", "") for cell in row) for row in table]
    # A row without content is none; of one column it is, where it is quoted. A last row that is a total is rejected.
    table = [row for row in table if any(row) or (width == 1 and quoting == csv.QUOTE_ALL)]
    starts = list(itertools.accumulate((1 + sum(map(_breaks, row)) for row in table), initial=2))[: len(table)]
    assume(not table or total(0, starts[-1], table[-1], table[-2] if len(table) > 1 else ()) is None)
    header = tuple(f"c{n}" for n in range(width))
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=ending, quoting=quoting)
    writer.writerows([header, *table])
    written = text.getvalue().encode(encoding)
    before = files.BLOCK_BYTES, textblocks._plain_lines
    try:
        if how == "strict":
            textblocks._plain_lines = lambda *_: 0
        if how == "tiny blocks":
            files.BLOCK_BYTES = 5
        form = CsvForm(delimiter=delimiter)
        source, rows, lines, rejections = read(gzip.compress(written) if zipped else written, form)
    finally:
        files.BLOCK_BYTES, textblocks._plain_lines = before
    assert source.header == header
    assert rows == table
    assert rejections == []
    assert lines == starts
    assert source.info.rows == len(table)


def _breaks(cell):
    return cell.count("\n") + cell.count("\r") - cell.count("\r\n")


@settings(max_examples=examples(400))
@given(data=st.binary(max_size=80) | st.text(alphabet, max_size=80).map(str.encode))
def test_any_bytes_give_rows_of_the_headers_width_rejections_or_a_source_error(data):
    try:
        source, rows, lines, rejections = read(data)
    except SourceError as error:
        assert error.remedy
        return
    assert all(len(row) == len(source.header) for row in rows)
    assert len(rows) == len(lines)
    assert all(row.line > 0 and row.code.startswith("E1") for row in rejections)


@settings(max_examples=examples(200))
@given(text=st.text(st.sampled_from(list('ab,"\n\r')), max_size=40))
def test_both_paths_and_every_block_size_read_alike(text):
    def outcome():
        try:
            _, rows, lines, rejections = read(("h1,h2\n" + text).encode(), CsvForm(delimiter=","))
        except SourceError as error:
            return "refused", error.line
        return rows, lines, [(row.line, row.code) for row in rejections]

    whole = outcome()
    before = files.BLOCK_BYTES, textblocks._plain_lines
    try:
        for size in (1, 3, 7):
            files.BLOCK_BYTES = size
            assert outcome() == whole
        files.BLOCK_BYTES = 1 << 20
        textblocks._plain_lines = lambda *_: 0
        assert outcome() == whole
    finally:
        files.BLOCK_BYTES, textblocks._plain_lines = before


def test_only_wanted_columns_are_kept_but_widths_are_still_checked():
    _, rows, _, rejections = read(b"a,b,c\n1,2,3\n4,5\n6,7,8\n", wanted=("c", "a"))
    assert rows == [("1", "3"), ("6", "8")]
    assert [(row.line, row.code) for row in rejections] == [(3, "E101")]
