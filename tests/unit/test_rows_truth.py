"""What may never pass as a key, and what a real date is: the same whatever source the row came from."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from syncer.model import Chunk
from syncer.rows.validate import FieldRule, RowRules, Validator

HEADER = ("extended_id", "day")


def checked(keys, days, *, native=None, rule=None):
    rules = RowRules(("extended_id",), fields={} if rule is None else {"day": rule})
    columns = pa.RecordBatch.from_arrays([pa.array(keys), pa.array(days)], names=list(HEADER))
    marks = {} if native is None else {"day": np.array(native)}
    return Validator(rules, HEADER, "a").check(Chunk(0, columns, np.arange(2, 2 + len(keys)), (), marks))


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("", "E201"), (" ", "E201"), ("\u00a0", "E201"), ("\u3000\u2003", "E201"),
        ("D1\u00a0", "E202"), ("\u2009D1", "E202"), ("D1\x85", "E202"), ("\tD1", "E202"), ("D1\u2028", "E202"),
        ("\ufeffD1", "E203"), ("D\u200b1", "E203"), ("D1\u200d", "E203"), ("\u200b", "E203"), ("D\u00ad1", "E203"),
        ("D\x81", "E203"), ("D\x9f1", "E203"), ("D\x851", "E203"), ("D\u202e1", "E203"), ("D\x7f", "E203"),
        ("D\n1", "E203"), ("D\u20281", "E203"), ("\u2060D1", "E203"), ("D\u034f1", "E203"), ("D1\ufe0f", "E203"),
        ("\u3164", "E203"), ("D\u28001", "E203"), ("D1\U000e0100", "E203"), ("D\uffa01", "E203"), ("\u115fD", "E203"),
    ],
)  # fmt: skip
def test_white_space_and_what_nobody_sees_is_no_part_of_a_key(key, code):
    found = checked(["A1", key, "A2"], ["x"] * 3)
    assert [(one.line, one.code) for one in found.rejections] == [(3, code)]
    assert found.lines.tolist() == [2, 4]


@pytest.mark.parametrize("key", ["Zürich 1", "D\u00a01", "日本", "a_b-c.d/e", "😀"])
def test_what_people_can_see_stays_as_it_is(key):
    found = checked([key], ["x"])
    assert not found.rejections
    assert found.keys[0].to_pylist() == [key]


def test_a_field_that_begins_with_the_mark_of_a_file_is_rejected():
    found = checked(["A1", "A2"], ["\ufeffDE", "DE"])
    assert [(one.line, one.code) for one in found.rejections] == [(2, "E203")]


@pytest.mark.parametrize("formats", [("%d.%m.%Y",), ("%Y-%d-%m",), ("%Y-%m-%d",)])
def test_a_native_date_is_its_day_whatever_formats_texts_have(formats):
    found = checked(["A1", "A2"], ["2026-02-03", "2026-02-03"], native=[True, True], rule=FieldRule("date", formats))
    assert not found.rejections
    assert found.fields[0].to_pylist() == ["2026-02-03", "2026-02-03"]


@pytest.mark.parametrize(
    ("form", "text", "day"),
    [
        ("%d%m%Y", "1122026", None), ("%d%m%Y", "01122026", "2026-12-01"), ("%Y%m%d", "202611", None),
        ("%Y%m%d", "2026112", None), ("%Y%m%d", "20261102", "2026-11-02"), ("%d%m%y", "11226", None), ("%Y%j", "20263", None),
        ("%Y%j", "2026003", "2026-01-03"), ("%d.%m.%Y", "1.2.2026", "2026-02-01"), ("%d.%m.%Y", "01.02.0026", None),
        ("%d%b%Y", "01FEB2026", "2026-02-01"), ("%b%d%Y", "FEB012026", "2026-02-01"), ("%d.%m.%Y", "01.01.0001", None), ("%d.%m.%Y", "31.12.9999", "9999-12-31"),
        ("%Y-%m-%dT%H%M%S", "2026-01-31T000000", "2026-01-31"),
    ],
)  # fmt: skip
def test_a_date_in_figures_alone_has_them_all(form, text, day):
    found = checked(["A1"], [text], rule=FieldRule("date", (form,)))
    assert found.fields[0].to_pylist() == ([] if day is None else [day])
    assert [one.code for one in found.rejections] == (["E303"] if day is None else [])


@pytest.mark.parametrize(
    ("form", "text", "day"),
    [
        ("%Y-%j", "2025-366", None), ("%Y-%j", "2024-366", "2024-12-31"), ("%y/%j", "25/366", None), ("%y/%j", "24/060", "2024-02-29"),
        ("%Y-%j", "2065-366", None), ("%G-W%V-%u", "2025-W53-1", None), ("%G-W%V-%u", "2026-W53-7", "2027-01-03"),
        ("%GW%V%u", "2025W531", None), ("%G%V%u", "2026537", "2027-01-03"), ("%GW%V%u", "2026W011", "2025-12-29"),
        ("%d-%b-%y", "05-MAR-26", "2026-03-05"), ("%d.%m.%Y", "01.02.1000", "1000-02-01"),
    ],
)  # fmt: skip
def test_a_day_that_a_year_does_not_have_is_none(form, text, day):
    found = checked(["A1"], [text], rule=FieldRule("date", (form,)))
    assert found.fields[0].to_pylist() == ([] if day is None else [day])
    assert [one.code for one in found.rejections] == (["E303"] if day is None else [])


def test_a_text_beside_native_dates_is_read_by_the_formats_alone():
    rule = FieldRule("date", ("%Y-%d-%m",))
    found = checked(
        ["A1", "A2", "A3"], ["2026-02-03", "2026-02-03", "03.02.2026"], native=[True, False, False], rule=rule
    )
    assert found.fields[0].to_pylist() == ["2026-02-03", "2026-03-02"]
    assert [(one.line, one.code) for one in found.rejections] == [(4, "E303")]
    assert "\0" not in found.rejections[0].message


def test_a_native_date_keeps_to_all_other_rules():
    found = checked(["A1"], ["2026-02-03"], native=[True], rule=FieldRule("date", ("%d.%m.%Y",), max_length=4))
    assert [one.code for one in found.rejections] == ["E306"]


@pytest.mark.parametrize("cell", ["\u200b", " \u200b\u00a0", "\u200d\u2060", "\u00ad", "\x07", "\u200b \u200b"])
@pytest.mark.parametrize("blank", ["omit", "clear", "reject"])
def test_a_cell_in_which_nobody_sees_anything_is_blank(cell, blank):
    columns = pa.RecordBatch.from_arrays([pa.array(["A1", "A2"]), pa.array([cell, "x\u200b"])], names=list(HEADER))
    found = Validator(RowRules(("extended_id",), None, blank), HEADER, "a").check(Chunk(0, columns, np.arange(2), ()))
    assert [one.code for one in found.rejections] == (["E302"] if blank == "reject" else [])
    sent = {"omit": [None], "clear": [""], "reject": []}[blank]
    assert found.fields[0].to_pylist() == [*sent, "x\u200b"]
