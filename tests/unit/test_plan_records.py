"""The rows of a run as columns: what each row keeps, and what becomes of rows that are taken out again."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa

import syncer.plan.columns as columns_module
from syncer.model import ValidChunk
from syncer.plan.columns import Column, KeyColumn
from syncer.plan.records import Gatherer, rejected_rows, without_payloads, without_rows
from syncer.rejections import Rejection, RejectionCause, Rejections

NONE = Rejections.of(())
WRONG, GONE = RejectionCause("E309", "no such product", "P9"), RejectionCause("E330", "a unit of three")


def chunk(source, rows, rejected=NONE, *, keys=1):
    """A chunk of (line, key …, a), with the rows that were rejected before."""
    columns = [pa.array([row[place] for row in rows], pa.string()) for place in range(1, keys + 2)]
    lines = np.array([row[0] for row in rows], np.int64)
    return ValidChunk(
        source, len(rows) + len(rejected), tuple(columns[:-1]), (columns[-1].dictionary_encode(),), lines, rejected
    )


def gathered(*chunks):
    gatherer = Gatherer(("a",))
    for one in chunks:
        gatherer.add(one)
    return gatherer.records()


def rows_of(records):
    """The rows as they stand in the files: (file, line, key, data)."""
    texts = [records.payloads.data[number] for number in records.payload]
    return [*zip(records.source.tolist(), records.line.tolist(), records.keys.to_pylist(), texts, strict=True)]


def test_every_row_keeps_its_file_its_line_its_key_and_its_data_and_rejected_ones_are_counted():
    blank = Rejection(1, 3, "E201", "a key cell is blank", "")
    only = Rejections.of([Rejection(1, 5, "E201", "a key cell is blank", "")])
    records = gathered(
        chunk(0, [(2, "K1", "x"), (7, "K2", None)]), chunk(0, []), chunk(1, [(2, "K3", "x")], Rejections.of([blank])),
        chunk(1, [], only), chunk(1, [(6, "K1", "y")]),
    )  # fmt: skip
    assert rows_of(records) == [
        (0, 2, "K1", '{"a":"x"}'), (0, 7, "K2", "{}"), (1, 2, "K3", '{"a":"x"}'), (1, 6, "K1", '{"a":"y"}'),
    ]  # fmt: skip
    assert records.rows_read == 6
    assert [*records.rejections] == [blank, *only]
    assert len(gathered().keys) == len(gathered().rejections) == gathered().rows_read == 0


def test_a_key_of_two_columns_is_one_text_and_is_printed_with_a_plus():
    records = gathered(chunk(3, [(2, "A", "1", "x"), (3, "A1", "", "y")], keys=2))
    assert records.keys.to_pylist() == ["A\x1f1", "A1\x1f"]
    found = rejected_rows(records, np.array([1, 0]), np.array([0, 1]), [WRONG, GONE])
    assert [*found] == [
        Rejection(3, 3, "E309", "no such product", "A1 + ", value="P9"),
        Rejection(3, 2, "E330", "a unit of three", "A + 1"),
    ]


def test_rows_that_have_a_cause_are_rejected_for_it_and_all_others_stay_as_they_are():
    before = Rejections.of([Rejection(0, 9, "E201", "a key cell is blank")])
    rows = [(2, "K1", "x"), (3, "K2", "y"), (4, "K3", "z"), (5, "K4", "y"), (6, "K5", "w")]
    records = gathered(chunk(0, rows[:3], before), chunk(1, rows[3:]))
    left = without_rows(records, np.array([-1, 1, -1, 0, -1]), [WRONG, GONE])
    assert rows_of(left) == [(0, 2, "K1", '{"a":"x"}'), (0, 4, "K3", '{"a":"z"}'), (1, 6, "K5", '{"a":"w"}')]
    expected = [
        Rejection(0, 3, "E330", "a unit of three", "K2"), Rejection(1, 5, "E309", "no such product", "K4", value="P9"),
    ]  # fmt: skip
    assert [*left.rejections] == [*before, *expected]
    assert left.rows_read == records.rows_read == 6
    numbers = {text: records.payloads.known_number(text) for text in ('{"a":"y"}', '{"a":"w"}')}
    of_data = without_payloads(records, {numbers['{"a":"w"}']: GONE, numbers['{"a":"y"}']: WRONG})
    assert rows_of(of_data) == [(0, 2, "K1", '{"a":"x"}'), (0, 4, "K3", '{"a":"z"}')]
    assert [(row.line, row.code) for row in of_data.rejections] == [(9, "E201"), (3, "E309"), (5, "E309"), (6, "E330")]


def test_lines_take_four_bytes_until_one_needs_more():
    few = gathered(chunk(0, [(2**31 - 1, "K1", "x")]))
    assert (few.line.dtype, few.payload.dtype, few.source.dtype) == (np.int32, np.int32, np.int16)
    many = gathered(chunk(0, [(2, "K1", "x"), (2**31 - 1, "K2", "x")]), chunk(0, [(2**31, "K3", "x")]))
    assert many.line.tolist() == [2, 2**31 - 1, 2**31]
    assert many.line.dtype == np.int64


def test_a_column_grows_seldom_and_is_never_much_larger_than_what_it_holds(monkeypatch):
    """Small ones double; large ones grow by a step, and by an eighth where that is more."""
    monkeypatch.setattr(columns_module, "STEP_BYTES", 64)
    column, rooms = Column(np.int32), []
    for number in range(4000):
        column.add(np.array([number], np.int32))
        rooms.append(column._data.nbytes // 4)
    assert all(room - rows <= max(min(rows, 16), rows // 8) for rows, room in enumerate(rooms, 1))
    grown = sorted({*rooms})
    assert rooms[:9] == [1, 2, 4, 4, 8, 8, 8, 8, 16]
    assert all(after - before >= max(min(before, 16), before // 8) for before, after in pairwise(grown))
    looked_at = column._data  # as a debugger does: that stops nothing
    column.add(np.arange(9000, dtype=np.int32))
    assert column._data.nbytes == 4 * (grown[-1] + 9000)
    assert column.array().tolist() == [*range(4000), *range(9000)]
    assert looked_at.nbytes == 4 * 13000


def test_what_is_filled_at_once_takes_no_more_room_and_a_large_column_grows_by_sixteen_mebibytes():
    column, mebibyte = Column(np.uint8), 1 << 20
    column.add(np.zeros(40 * mebibyte, np.uint8))
    assert column._data.nbytes == 40 * mebibyte
    column.add(np.zeros(1, np.uint8))
    assert column._data.nbytes == 56 * mebibyte


def test_a_wider_column_keeps_its_numbers_and_one_that_is_as_wide_is_left_alone():
    column = Column(np.int32)
    column.add(np.array([1, 2], np.int32))
    before = column._data
    column.widen(np.int32)
    assert column._data is before
    column.widen(np.int64)
    column.add(np.array([2**40], np.int64))
    assert column.array().tolist() == [1, 2, 2**40]


def test_texts_without_a_byte_are_texts_too():
    column = KeyColumn()
    assert column.array().to_pylist() == []
    column = KeyColumn()
    column.add(pa.array(["", ""], pa.large_string()))
    column.add(pa.array(["no", "ä", "", "b", "no"], pa.large_string()).slice(1, 3))
    column.add(pa.array(["c"], pa.large_string()))
    column.array().validate(full=True)
    assert column.array().to_pylist() == ["", "", "ä", "", "b", "c"]
