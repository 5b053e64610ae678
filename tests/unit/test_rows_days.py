"""A cell that was a date in its source, as a text of result files: the job reads the same of it."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.model import Chunk
from syncer.rows.rules import FieldRule, RowRules, Steps
from syncer.rows.validate import Validator

FORMATS = ["%d.%m.%Y", "%Y-%d-%m", "%m/%d/%Y", "%d.%m.%y", "%Y-%m-%d", "%d %B %Y"]
HEADER = ("extended_id", "made")


def validator(rule, key=("extended_id",), **fields):
    return Validator(RowRules(key, fields={"made": rule, **fields}), HEADER, "a")


def sent(check, cell, *, is_day):
    batch = pa.RecordBatch.from_arrays([pa.array(["K1"]), pa.array([cell])], names=list(HEADER))
    days = {"made": np.array([True])} if is_day else {}
    valid = check.check(Chunk(0, batch, np.array([2]), (), days))
    return [field.to_pylist() for field in valid.fields], [one.code for one in valid.rejections]


@given(
    st.dates(dt.date(1900, 3, 1), dt.date(2100, 1, 1)),
    st.lists(st.sampled_from(FORMATS), min_size=1, max_size=3, unique=True),
    st.sampled_from([Steps(), Steps(trim=True), Steps(strip_prefix=("20",))]),
)
def test_the_text_of_a_day_is_read_as_that_day_or_is_refused(day, formats, steps):
    check = validator(FieldRule(type="date", formats=tuple(formats), steps=steps))
    text = check.day_text("made", day.isoformat())
    meant, read = sent(check, day.isoformat(), is_day=True), sent(check, text, is_day=False)
    assert read == meant or (text == day.isoformat() and read[1] == ["E303"])
    if steps == Steps() and "%d.%m.%Y" in formats[:1] and formats[1:] in ([], ["%Y-%m-%d"]):
        assert read == meant


@pytest.mark.parametrize("day", ["2026-05-03", "", "soon"])
def test_a_column_of_text_and_one_of_the_key_and_what_is_no_day_stay_as_they_are(day):
    assert validator(FieldRule()).day_text("made", day) == day
    rule = FieldRule(type="date", formats=("%d.%m.%Y",), steps=Steps(origin="made"))
    keyed = Validator(RowRules(("made",), fields={"day": rule}), HEADER, "a")
    assert keyed.day_text("made", day) == day
    assert validator(rule, both=FieldRule(steps=Steps(origin="{extended_id}-{made}"))).day_text("made", day) == day


def test_a_day_that_a_step_rejects_stays_as_it_is():
    steps = Steps(map={"soon": "2026-05-03"})
    assert validator(FieldRule(type="date", steps=steps)).day_text("made", "2026-05-04") == "2026-05-04"
