"""One damaged character: every row that is taken is a row of the undamaged file; the others are rejected with a line."""

from __future__ import annotations

import csv
import io
from collections import Counter
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sampling import examples

from syncer.errors import SourceError
from syncer.source import CsvForm, files, open_sources

WORDS = (
    "a",
    "",
    "12",
    "Dear Sir",
    "x, y",
    '5" pipe',
    'said "yes", to',
    "l1\nl2",
    "hello, you\nbye",
    '"',
    "end\n",
    ", z",
)
FORM = CsvForm(delimiter=",", quote='"', escape="", max_damaged_percent=100)


def read(text):
    (source,) = open_sources(["-"], FORM, stdin=io.BytesIO(text.encode()))
    rows, rejections = [], []
    with closing(source):
        for chunk in source.chunks():
            rows += list(zip(*(column.to_pylist() for column in chunk.columns), strict=True))
            rejections += chunk.rejections
    return rows, rejections


@st.composite
def tables(draw, words=WORDS):
    width = draw(st.integers(2, 6))
    cells = draw(st.lists(st.tuples(*[st.sampled_from(words)] * (width - 1)), min_size=4, max_size=30))
    rows = [(f"k{number}", *row) for number, row in enumerate(cells)]
    return rows if draw(st.booleans()) else [row[::-1] for row in rows]


def written(table, quoting):
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=quoting, lineterminator="\n")
    writer.writerow([f"h{place}" for place in range(len(table[0]))])
    start = text.tell()
    writer.writerows(table)
    return text.getvalue(), start


@pytest.mark.parametrize("character", ['"', ","])
@pytest.mark.parametrize("change", ["one more", "one less"])
@settings(max_examples=examples(250))
@given(table=tables(), quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]), data=st.data())
def test_a_quote_or_separator_more_or_less_never_makes_a_wrong_row(change, character, table, quoting, data):
    text, start = written(table, quoting)
    places = [at for at in range(start, len(text)) if change == "one more" or text[at] == character]
    if not places:
        return
    at = data.draw(st.sampled_from(places))
    damaged = text[:at] + character + text[at:] if change == "one more" else text[:at] + text[at + 1 :]
    try:
        rows, rejections = read(damaged)
    except SourceError as error:
        assert error.remedy
        return
    wrong = Counter(rows) - Counter(table)
    if rejections:
        assert not wrong
    else:  # the change made another file without a fault, such as one more separator inside quotes: one row says so
        assert wrong.total() <= 1
        assert len(rows) == len(table)


@settings(max_examples=examples(150))
@given(table=tables(), at=st.integers(0, 10_000))
def test_a_file_that_is_cut_anywhere_gives_no_wrong_row_but_its_last(table, at):
    text, start = written(table, csv.QUOTE_MINIMAL)
    cut = text[: max(start, at % len(text))]
    try:
        rows, rejections = read(cut)
    except SourceError:
        return
    sure = rows if rejections or cut.endswith("\n") else rows[:-1]  # a bare last cell may be cut without a trace
    assert not Counter(sure) - Counter(table)


@settings(max_examples=examples(60))
@given(table=tables(), data=st.data(), size=st.sampled_from([1, 7, 64, 300]))
def test_damage_is_contained_alike_whatever_the_blocks(table, data, size):
    text, start = written(table, csv.QUOTE_MINIMAL)
    at = data.draw(st.integers(start, len(text)))
    damaged = text[:at] + '"' + text[at:]

    def outcome():
        try:
            rows, rejections = read(damaged)
        except SourceError as error:
            return "refused", error.message
        return rows, [(row.line, row.code, row.message) for row in rejections]

    before = files.BLOCK_BYTES
    whole = outcome()
    try:
        files.BLOCK_BYTES = size
        assert outcome() == whole
    finally:
        files.BLOCK_BYTES = before


@given(width=st.integers(9, 12), place=st.integers(0, 11), row=st.integers(0, 19))
def test_in_a_wide_file_the_damaged_row_alone_is_lost(width, place, row):
    table = [tuple(f"{column}-{number}, x" for column in range(width)) for number in range(20)]
    lines = written(table, csv.QUOTE_ALL)[0].splitlines(keepends=True)
    cells = lines[row + 1].split('","')
    cells[place % width] = '"' + cells[place % width]
    lines[row + 1] = '","'.join(cells)
    rows, rejections = read("".join(lines))
    assert rows == table[:row] + table[row + 1 :]
    assert [(found.line, found.code) for found in rejections] == [(row + 2, "E102")]
