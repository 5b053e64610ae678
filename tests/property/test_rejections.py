"""Rejected rows as columns: what a list of them would say, and files that a CSV writer would have written row by row."""

from __future__ import annotations

import csv
import io
from collections import Counter

import numpy as np
import pyarrow as pa
from hypothesis import example, given
from hypothesis import strategies as st

from syncer.arrow import texts
from syncer.rejections import Rejection, RejectionCause, Rejections
from syncer.rows.codes import CODES
from syncer.rows.faults import by_kind
from syncer.rows.noting import Notes
from syncer.runs.results_form import ResultsForm, ResultsWriter
from syncer.safe.formulas import EXTRA_COLUMNS, neutral
from syncer.source.dialect import DELIMITERS

few = st.sampled_from("abc")
rows = st.builds(
    Rejection,
    source=st.integers(0, 2),
    line=st.integers(2, 9) | st.just(1 << 40),
    code=st.sampled_from(["E101", "E202", "E210"]),
    message=few,
    key=st.text(max_size=3),
    value=few | st.sampled_from([*"defghij"]),
)
parts = st.lists(st.lists(rows, max_size=12), max_size=4)


@given(parts, st.integers(-3, 40), st.integers(0, 40))
def test_columns_say_what_a_list_of_rows_would_say(parts, begin, end):
    listed = [row for part in parts for row in part]
    found = Rejections.together([Rejections.of(part) for part in parts])
    assert [*found] == listed
    assert [*found[begin:end]] == listed[begin:end]
    assert [found[place] for place in range(-len(listed), len(listed))] == [*listed, *listed]
    ordered = sorted(listed, key=lambda row: (row.source, row.line))
    assert [*found.in_order()] == ordered
    assert [*found.in_order().of_source(1)] == [row for row in ordered if row.source == 1]


@example([[Rejection(0, line, "E202", "a", value=value) for line, value in enumerate("aabbccddefgh", 2)]])
@given(parts)
def test_kinds_are_counted_as_a_counter_would_count_them(parts):
    listed = [row for part in parts for row in part]
    kinds = by_kind(Rejections.together([Rejections.of(part) for part in parts]))
    counted = Counter(row.code for row in listed)
    assert [(kind.code, kind.rows) for kind in kinds] == counted.most_common()
    for kind in kinds:
        assert kind.remedy == CODES[kind.code][1]
        of_kind = [row for row in listed if row.code == kind.code]
        values = Counter(row.value for row in of_kind).most_common(5)
        assert kind.first == of_kind[0]
        assert [(one.value, one.rows) for one in kind.values] == values
        assert [one.first for one in kind.values] == [
            next(row for row in of_kind if row.value == value) for value, _ in values
        ]
        assert kind.others == kind.rows - sum(count for _, count in values)
    assert by_kind(()) == ()


noted = st.lists(st.tuples(st.integers(0, 5), few), unique_by=lambda one: one[0], max_size=6)


@example([([(0, "a"), (4, "b")], False), ([], True), ([(0, "c"), (1, "c")], True), ([(1, "b"), (0, "a")], False)])
@given(st.lists(st.tuples(noted, st.booleans()), max_size=5))
def test_of_a_row_the_first_cause_counts_and_the_words_of_all_are_told(rounds):
    notes, model = Notes(6), {}
    for number, (noted, is_alike) in enumerate(rounds):
        causes = [RejectionCause(f"E{number}", f"{number}{words}", words) for words in "abc"]
        if is_alike:
            notes.note_alike(np.array([row for row, _ in noted], np.int64), f"E{number}", f"{number}d")
            for row, _ in noted:
                model.setdefault(row, []).append(RejectionCause(f"E{number}", f"{number}d"))
            continue
        for row, words in noted:
            model.setdefault(row, []).append(causes["abc".index(words)])
        which = np.array(["abc".index(words) for _, words in noted], np.int64)
        notes.note(np.array([row for row, _ in noted], np.int64), causes, which)
    assert np.flatnonzero(notes.faulty).tolist() == np.flatnonzero(notes.cause != -1).tolist() == sorted(model)
    for row, found in model.items():
        words = "; ".join(one.message for one in found)
        assert notes.causes[notes.cause[row]] == RejectionCause(found[0].code, words, found[0].value)


cells = st.text(st.sampled_from("a=-'\",;\t|\r\n\0 é\ufeff") | st.characters(codec="utf-8"), max_size=6)


class Written(io.StringIO):
    """A result file in memory; as a file of `csv.writer` it ends lines as result files do."""

    def text(self, encoding):
        return self

    def write(self, line):
        return super().write(line.removesuffix("\r\n") + "\n" if line.endswith("\r\n") else line)


@given(st.lists(st.tuples(cells, cells, cells), max_size=6), st.sampled_from(DELIMITERS))
def test_a_file_written_by_columns_is_byte_for_byte_what_is_written_row_by_row(rows, delimiter):
    written, expected = Written(newline=""), Written(newline="")
    writer = ResultsWriter(written, ResultsForm(delimiter=delimiter), ["x", "=y"])
    x, y, words = ([row[place] for row in rows] for place in range(3))
    writer.write_columns([pa.array(x, pa.string()), pa.array(y, pa.string())], [texts(words), texts(words)])
    writer.write_rows([row[:2] for row in rows], [(row[2], 7) for row in rows])
    by_row = csv.writer(expected, delimiter=delimiter, lineterminator="\r\n")
    by_row.writerow(["x", "'=y", *EXTRA_COLUMNS])
    by_row.writerows([neutral(a), neutral(b), said, said] for a, b, said in rows)
    by_row.writerows([neutral(a), neutral(b), said, 7] for a, b, said in rows)
    assert written.getvalue() == expected.getvalue()
