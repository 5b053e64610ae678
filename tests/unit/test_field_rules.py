"""Rules of a field hold for keys, statuses and reasons too; native dates go through the steps as the text that they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from syncer.config.cell_rules import DAY, is_plain, make_rule
from syncer.model import Chunk
from syncer.rows.changes import ChangeWatch
from syncer.rows.rules import FieldRule, RowRules, Steps
from syncer.rows.validate import Validator

KEY = ("lot", "day")
GERMAN = ("%d.%m.%Y",)
DATE = FieldRule("date", GERMAN)


def chunk(header, rows, days=None):
    columns = [pa.array([row[place] for row in rows], pa.string()) for place in range(len(header))]
    batch = pa.RecordBatch.from_arrays(columns, names=list(header))
    marks = {name: np.array(marks) for name, marks in (days or {}).items()}
    return Chunk(0, batch, np.arange(2, 2 + len(rows), dtype=np.int64), (), marks)


def checked(rules, header, rows, days=None):
    """Return the key of each row that is sent, or the code of its rejection; then the chunk and its validator."""
    validator = Validator(rules, header, "a.csv")
    valid = validator.check(chunk(header, rows, days))
    found = {int(line): [part[row].as_py() for part in valid.keys] for row, line in enumerate(valid.lines)}
    found |= {row.line: row.code for row in valid.rejections}
    return [found[line] for line in range(2, 2 + len(rows))], valid, validator


def test_a_day_in_a_composite_key_goes_out_as_every_day_does():
    rows = [
        ("L1", "23.11.2026", "DE"), ("L1", "23.11.2026", "FR"), ("L2", "2026-11-23", "DE"), ("L3", "31.02.2026", "DE"),
        ("L4", "", "DE"), ("L5", " 23.11.2026", "DE"),
    ]  # fmt: skip
    found, valid, _ = checked(RowRules(KEY, fields={"day": DATE}), ("lot", "day", "market"), rows)
    assert found == [["2026-11-23", "L1"], ["2026-11-23", "L1"], "E303", "E303", "E201", "E202"]
    messages = [one.message for one in valid.rejections]
    assert messages[0] == "day '2026-11-23' is not a date like %d.%m.%Y"
    assert messages[2:] == ["day is blank", "day ' 23.11.2026' begins or ends with white space"]
    assert [one.key for one in valid.rejections][:2] == ["2026-11-23 + L2", "31.02.2026 + L3"]
    assert valid.keys[0].type == valid.keys[1].type == pa.string()


def test_a_native_date_in_a_key_is_its_day_whatever_formats_texts_have():
    rows = [("L1", "2026-11-23", "DE"), ("L1", "2026-11-23", "DE"), ("L1", "23.11.2026", "DE")]
    found, _, _ = checked(RowRules(KEY, fields={"day": DATE}), ("lot", "day", "f"), rows, {"day": [True, False, False]})
    assert found == [["2026-11-23", "L1"], "E303", ["2026-11-23", "L1"]]


@pytest.mark.parametrize(
    ("rule", "right", "wrong", "code"),
    [
        (FieldRule(max_length=4), "ABCD", "ABCDE", "E306"),
        (FieldRule("integer"), "0012", "12a", "E304"),
        (FieldRule("choice", choices=("A1", "A2")), "A2", "A3", "E305"),
        (FieldRule("date", GERMAN), "01.02.2026", "1.2.26", "E303"),
        (FieldRule(max_length=2, steps=Steps(strip_prefix=("LOT ",))), "LOT 12", "LOT 123", "E306"),
    ],
)
def test_each_rule_holds_for_a_key_after_its_steps(rule, right, wrong, code):
    rules = RowRules(("extended_id",), fields={"extended_id": rule})
    found, valid, validator = checked(rules, ("extended_id", "f"), [(right, "x"), (wrong, "x"), (right, "x")])
    assert found[1] == code
    assert found[0] == found[2] == [{"01.02.2026": "2026-02-01", "LOT 12": "12"}.get(right, right)]
    assert valid.rejections[0].message.startswith("extended_id ")
    watch = ChangeWatch({"extended_id": "extended_id"}, {})
    watch.see(valid)
    assert [one.after for one in watch.fields()[0].values] == (["12"] if rule.steps != Steps() else [])
    assert {one.field for one in validator.watch().fields()} == ({"extended_id"} if rule.steps != Steps() else set())


def test_of_a_row_with_two_wrong_keys_both_are_told_and_what_was_refused_before_is_not_told_twice():
    rules = RowRules(KEY, fields={"day": DATE, "lot": FieldRule(max_length=2)})
    rows = [("LOT", "never", "x"), ("LO T\t", "23.11.2026", "x"), ("lot", "day", "market"), ("L1", "23.11.2026", "x")]
    found, valid, _ = checked(rules, ("lot", "day", "market"), rows)
    assert found == ["E303", "E202", "E109", ["2026-11-23", "L1"]]
    assert "day 'never' is not a date" in valid.rejections[0].message
    assert "lot has 3 characters, 2 are allowed" in valid.rejections[0].message
    assert valid.rejections[1].message == "lot 'LO T\\t' begins or ends with white space"


@pytest.mark.parametrize(
    ("scm", "choices", "cells", "sent"),
    [
        ("activation_status", ("active",), ("active", "1", " Active ", "blacklisted", "x"), ["1", "1", "1", "E305", "E307"]),
        ("activation_status", ("0", "inactive", "1"), ("active", "inactive", "2"), ["1", "0", "E305"]),
        ("blacklist_reason", ("1", "10"), ("01", "10", "2"), ["1", "10", "E305"]),
    ],
)  # fmt: skip
def test_choices_of_a_status_are_told_by_what_they_mean(scm, choices, cells, sent):
    rules = RowRules(("extended_id",), fields={scm: FieldRule("choice", choices=choices)})
    rows = [(f"K{n}", cell) for n, cell in enumerate(cells)]
    valid = Validator(rules, ("extended_id", scm), "a.csv").check(chunk(("extended_id", scm), rows))
    found = dict(zip(valid.lines.tolist(), valid.fields[0].to_pylist(), strict=True))
    found |= {one.line: one.code for one in valid.rejections}
    assert [found[line] for line in range(2, 2 + len(rows))] == sent
    wrong = [one.message for one in valid.rejections if one.code == "E305"]
    assert wrong[0].endswith(f"is not one of {', '.join(choices)}")


@pytest.mark.parametrize(
    ("steps", "sent"),
    [
        (Steps(null=("9999-12-31",)), ["2026-01-31", None, None]),
        (Steps(null=("9999-12-31",), trim=True), ["2026-01-31", None, None]),
        (Steps(strip_suffix=("-31",)), ["E303", "E303", "E303"]),
        (Steps(strip_prefix=("9999-",)), ["2026-01-31", "E303", "E303"]),
        (Steps(pad=12), ["E303", "E303", "E303"]),
        (Steps(upper=True, pad=10), ["2026-01-31", "9999-12-31", "E303"]),
        (Steps(), ["2026-01-31", "9999-12-31", "E303"]),
    ],
)
def test_steps_see_a_native_date_as_the_text_that_it_is(steps, sent):
    """What they leave as it was is a day still; what they make of it is a text like any other."""
    rules = RowRules(("extended_id",), fields={"f": FieldRule("date", GERMAN, steps=steps)})
    header = ("extended_id", "f")
    rows = [("K0", "2026-01-31"), ("K1", "9999-12-31"), ("K2", "9999-12-31")]
    valid = Validator(rules, header, "a").check(chunk(header, rows, {"f": [True, True, False]}))
    found = dict(zip(valid.lines.tolist(), valid.fields[0].to_pylist(), strict=True))
    found |= {one.line: one.code for one in valid.rejections}
    assert [found[line] for line in (2, 3, 4)] == sent
    assert "\0" not in repr([valid.rejections, valid.changes])


def test_a_required_native_date_that_means_nothing_is_missing():
    rule = FieldRule("date", GERMAN, required=True, max_length=9, steps=Steps(null=("9999-12-31",)))
    header = ("extended_id", "f")
    rows = [("K0", "9999-12-31"), ("K1", "2026-01-31")]
    rules = RowRules(("extended_id",), fields={"f": rule})
    valid = Validator(rules, header, "a").check(chunk(header, rows, {"f": [True, True]}))
    assert [(one.code, one.value) for one in valid.rejections] == [("E301", ""), ("E306", "2026-01-31")]


def test_a_value_is_written_as_the_cell_that_gives_it_again():
    fields = {"day": DATE, "made": replace(DATE, formats=("%Y-%m-%d", *GERMAN)), "activation_status": FieldRule()}
    fields["lot"] = FieldRule(max_length=2)
    validator = Validator(RowRules(KEY, fields=fields), ("lot", "day", "made", "activation_status", "f"), "a.csv")
    values = {"lot": "L1", "day": "2026-11-23", "made": "2026-01-31", "activation_status": "1", "f": "x"}
    assert validator.cells(values) == values | {"day": "23.11.2026"}
    assert validator.cells({"lot": "LOT", "day": "never", "f": "2026-01-31"}) == {"f": "2026-01-31"}


@pytest.mark.parametrize(
    ("rule", "cell", "judged"),
    [
        (FieldRule(), "", (None, None, "")),
        (FieldRule(), " \u200b", (None, None, "")),
        (FieldRule(), "\u200bA", ("\u200bA", None, "")),
        (FieldRule("integer"), "7", ("7", None, "")),
        (FieldRule("integer"), f"{DAY}2026-11-23", (None, "E304", "'2026-11-23' is not a whole number")),
        (DATE, f"{DAY}2026-11-23", ("2026-11-23", None, "")),
        (FieldRule(), f"{DAY}2026-11-23", ("2026-11-23", None, "")),
    ],
)
def test_a_cell_is_judged_by_its_rule_whether_it_was_a_day_or_a_text(rule, cell, judged):
    assert make_rule("made", rule, "omit")(cell) == judged


def test_a_rule_without_demands_is_plain():
    assert is_plain(FieldRule())
    assert not is_plain(FieldRule(max_length=3))
    assert not is_plain(DATE)


def test_a_key_is_made_of_several_columns():
    made = FieldRule(steps=Steps(origin="{lot}-{box}"))
    rows = [("L1", "7", "DE"), ("L1", "8", "DE")]
    assert checked(RowRules(("case",), fields={"case": made}), ("lot", "box", "market"), rows)[0] == [
        ["L1-7"],
        ["L1-8"],
    ]
