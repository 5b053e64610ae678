"""Reading: what a writer wrote comes back exactly, whichever path reads it; anything else is rejected or refused."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import sys
from contextlib import closing

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sampling import examples

from syncer.errors import SourceError
from syncer.source import CsvForm, files, open_sources, textblocks
from syncer.source.table import UNDECLARED, TableForm, total

# U+FDD0 is kept free by Unicode: the program writes it for a byte that is not text, and rejects its row.
alphabet = st.characters(codec="utf-8", exclude_characters="\0\ufdd0") | st.sampled_from(list(",;\t|\"'\n\r a0Z é"))
cells = st.text(alphabet, max_size=6)
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16")


def read(data, form=CsvForm(), wanted=None, table=UNDECLARED):
    (source,) = open_sources(["-"], form, stdin=io.BytesIO(data), table=table)
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
    width=st.integers(1, 4),
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
        # What might be another quote, or an escape, is refused where nothing is declared of it.
        form = CsvForm(delimiter=delimiter, quote='"', escape="")
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


SPACES = [chr(code) for code in range(sys.maxunicode + 1) if not chr(code).strip() and chr(code) not in "\r\n"]
TABLES = [
    TableForm(**{**declared, "trim": trim})
    for trim in ("none", "all")
    for declared in (
        {}, {"end": ("",)}, {"end": ("Sum*", "")}, {"skip": ("*Page",)}, {"skip": ("--",)}, {"comment": "#"}, {"comment": " #"},
        {"end": ("Sum",), "skip": ("Page *",), "comment": "#"}, {"short_rows": "fill", "end": ("",)}, {"null": ("-",)},
    )
]  # fmt: skip
blanks = st.text(st.sampled_from([*" \t\u00a0\u3000", *SPACES]), max_size=2)
contents = st.sampled_from(
    ["a", "b", "Sum", "Summe 7", "Page 1", "1 Page", "--", "-", "#", "# x", "\ufeff", "h0", "é", ""]
)
nine = st.lists(st.tuples(blanks, contents, blanks).map("".join), min_size=9, max_size=9)
lines_of_nine = (
    st.just(["a"] * 9) | nine | st.lists(blanks, min_size=9, max_size=9) | st.lists(contents, min_size=8, max_size=10)
    | st.tuples(blanks, contents).map(lambda first: ["".join(first), *"bcdefghi"]) | st.just([f"h{n}" for n in range(9)])
)  # fmt: skip


@settings(max_examples=examples(150))
@given(
    table=st.sampled_from(TABLES),
    lines=st.lists(lines_of_nine, min_size=1, max_size=6),
    ending=st.sampled_from(["\n", "\r\n"]),
    repeated=st.sampled_from(["refuse", "skip"]),
)
def test_both_paths_agree_on_what_is_a_row_whatever_a_job_declares(table, lines, ending, repeated):
    """Of nine columns one line alone is kept back for what follows: each line stands in a plain block, and in none."""
    written = ending.join(",".join(line) for line in [[f"h{n}" for n in range(9)], *lines, ["z"] * 9, []]).encode()

    def outcome(form):
        try:
            _, rows, lines, rejections = read(written, form, table=table)
        except SourceError as error:
            return "refused", error.line
        return rows, lines, [(row.line, row.code, row.cells) for row in rejections]

    form = CsvForm(delimiter=",", repeated_header=repeated, encoding="utf-8", quote="")
    whole = outcome(form)
    before = files.BLOCK_BYTES, textblocks._plain_lines
    try:
        for size in (1, 30):
            files.BLOCK_BYTES = size
            assert outcome(form) == whole
        textblocks._plain_lines = lambda *_: 0
        assert outcome(form) == whole
    finally:
        files.BLOCK_BYTES, textblocks._plain_lines = before


def test_what_strip_takes_away_is_known_to_plain_blocks():
    assert sorted(textblocks.SPACES) == SPACES


def test_only_wanted_columns_are_kept_but_widths_are_still_checked():
    _, rows, _, rejections = read(b"a,b,c\n1,2,3\n4,5\n6,7,8\n", wanted=("c", "a"))
    assert rows == [("1", "3"), ("6", "8")]
    assert [(row.line, row.code) for row in rejections] == [(3, "E101")]


@pytest.mark.parametrize("behind", [1, 12])
@pytest.mark.parametrize(
    ("end", "last"),
    [
        (("",), "   ;   ;   "), (("",), "\u00a0;\u3000; "), (("",), "\t;;\x1f"), (("Summe*",), "\u00a0Summe;14;"),
        (("Summe*",), ";\u2003Summe: 14;"), (("Summe*", ""), " ;;"),
    ],
)  # fmt: skip
def test_a_table_ends_where_it_ends_however_many_rows_follow(end, last, behind):
    rows = ["extended_id;market;lot", *["D1 ;DE ;L1 "] * 14, last, *["D20 ;XX ;old "] * behind, ""]
    _, found, _, rejections = read(
        "\n".join(rows).encode(), CsvForm(delimiter=";"), table=TableForm(end=end, trim="all")
    )
    assert (found, rejections) == ([("D1", "DE", "L1")] * 14, [])


@pytest.mark.parametrize("form", [TableForm(skip=("Page*",)), TableForm(end=("Page*",)), TableForm(comment="Page")])
@pytest.mark.parametrize("behind", [0, 1, 3, 12])
@pytest.mark.parametrize("size", [1, 40, 1 << 20])
def test_a_total_is_the_last_row_whatever_of_no_row_follows(form, behind, size, monkeypatch):
    monkeypatch.setattr(files, "BLOCK_BYTES", size)
    rows = ["extended_id;market;lot", *["D1;DE;L1"] * 14, "Summe;14;", *["Page 1;;"] * behind, ""]
    _, found, _, rejections = read("\n".join(rows).encode(), CsvForm(delimiter=";"), table=form)
    assert found == [("D1", "DE", "L1")] * 14
    assert [(row.line, row.code) for row in rejections] == [(16, "E105")]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_blank_lines_of_one_column_are_no_rows_and_quoted_blanks_are(ending):
    written = ending.join(["extended_id", "", "D1", "", "", '""', "D2", "", ""]).encode()
    _, found, lines, rejections = read(written)
    assert (found, lines, rejections) == ([("D1",), ("",), ("D2",)], [3, 6, 7], [])
    _, found, _, rejections = read(written, table=TableForm(end=("",)))
    assert (found, rejections) == ([], [])


@pytest.mark.parametrize("size", [1, 1 << 20])
@pytest.mark.parametrize("last", ["\n", "\r"])
def test_the_last_line_may_end_in_another_way_since_nothing_follows_it(last, size, monkeypatch):
    monkeypatch.setattr(files, "BLOCK_BYTES", size)
    whole = "extended_id,lot\r\n" + "D1,L1\r\n" * 12 + "D2,L2" + last
    assert read(whole.encode())[1:] == ([("D1", "L1")] * 12 + [("D2", "L2")], [*range(2, 15)], [])
    _, found, _, rejections = read((whole + "D3,L3\r\n").encode())
    assert found == [("D1", "L1")] * 12
    assert [(row.line, row.code) for row in rejections] == [(14, "E107")]
