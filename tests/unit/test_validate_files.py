"""What a check says beside the fault of one cell: of files with other columns, constants, and which file a row is of."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from syncer.errors import ConfigError, SourceError
from syncer.model import Chunk
from syncer.rejections import Rejection
from syncer.rows.rules import FieldRule, RowRules, Steps
from syncer.rows.validate import Validator

RULES = RowRules(("extended_id",))
NUMBER = {"n": FieldRule("integer")}


def sources(*headers):
    """Files a.csv, b.csv … with these headers, as far as a validator looks at them."""
    return [SimpleNamespace(header=header, name=f"{name}.csv") for name, header in zip("abcd", headers, strict=False)]


def check(rows, header, rules, **chunk):
    """Check rows of the third file, from line 5 on."""
    columns = pa.RecordBatch.from_arrays([pa.array(cells, pa.string()) for cells in zip(*rows, strict=True)], [*header])
    return Validator(rules, header, "c.csv").check(Chunk(2, columns, np.arange(5, 5 + len(rows)), **chunk))


def said(rows, header, rules):
    """The code and the words of each rejection."""
    return [(row.code, row.message) for row in check(rows, header, rules).rejections]


def test_files_have_the_same_columns_in_whatever_order():
    validator = Validator.for_sources(
        RULES, sources(("extended_id", "f", "n"), ("n", "extended_id", "f"), ("f", "extended_id", "n"))
    )
    assert (validator.keys, validator.fields) == (("extended_id",), ("f", "n"))
    alone = Validator.for_sources(RULES, sources(("extended_id", "n")))
    assert alone.fields == ("n",)


@pytest.mark.parametrize(
    ("headers", "file", "columns"),
    [
        ((("extended_id", "f"), ("extended_id", "g")), "b.csv", "f, g"),
        ((("extended_id", "f"), ("f", "extended_id"), ("extended_id", "f", "n")), "c.csv", "n"),
    ],
)
def test_a_file_whose_columns_differ_from_the_firsts_is_named_with_them(headers, file, columns):
    with pytest.raises(SourceError, match=f"its columns differ from those of a.csv in {columns}$") as raised:
        Validator.for_sources(RULES, sources(*headers))
    assert (raised.value.file, raised.value.line) == (file, 1)


def test_a_file_that_cannot_be_taken_is_named_though_it_is_not_the_first():
    mapped = RowRules(("extended_id",), columns={"Land": "market"})
    for headers, name in (((("extended_id", "x"),), "a.csv"), ((("extended_id", "Land"), ("extended_id",)), "b.csv")):
        with pytest.raises(SourceError, match="Land") as raised:
            Validator.for_sources(mapped, sources(*headers))
        assert raised.value.file == name


@pytest.mark.parametrize(
    ("scm", "value", "blank", "words"),
    [
        ("f", "", "omit", "f is blank"),
        ("f", "", "reject", "f is blank"),
        ("n", "x", "omit", "n 'x' is not a whole number"),
        ("activation_status", "sold", "omit", "activation_status 'sold' is not 0"),
    ],
)
def test_a_constant_keeps_to_the_rules_of_its_field(scm, value, blank, words):
    rules = RowRules(("extended_id",), blank=blank, fields=NUMBER if scm == "n" else {}, constants={scm: value})
    with pytest.raises(ConfigError, match=f"jobs.<name>.constants.{words}"):
        Validator(rules, ("extended_id", "g"), "a.csv")


def test_a_constant_is_sent_as_its_rule_writes_it():
    rules = RowRules(("extended_id",), blank="clear", constants={"activation_status": " Active", "f": ""})
    valid = check([("K1",), ("K2",)], ("extended_id",), rules)
    assert [column.to_pylist() for column in valid.fields] == [["1", "1"], ["", ""]]


def test_rows_keep_their_file_and_those_that_the_reader_rejected_are_counted():
    earlier = (Rejection(2, 3, "E102", "too few cells"), Rejection(2, 4, "E102", "too few cells"))
    valid = check([("K1", "x"), ("", "y"), ("K3", "z")], ("extended_id", "f"), RULES, rejections=earlier)
    assert (valid.source, valid.rows, valid.lines.tolist()) == (2, 5, [5, 7])
    assert [(row.source, row.line, row.code) for row in valid.rejections] == [
        (2, 3, "E102"), (2, 4, "E102"), (2, 6, "E201"),
    ]  # fmt: skip


def test_a_row_that_is_the_header_again_says_so_before_all_else():
    rows = [("K1", "1"), ("N", "Extended_ID"), ("extended_id", "n")]
    words = "its cells are the names of the columns: the header again, in other letters or another order"
    found = said(rows, ("extended_id", "n"), RowRules(("extended_id",), fields=NUMBER))
    assert [code for code, _ in found] == ["E109", "E109"]
    assert all(message.startswith(f"{words}; n '") for _, message in found)


@pytest.mark.parametrize(
    ("rule", "cell", "blank", "found"),
    [
        (FieldRule(required=True), " ", "omit", ("E301", "f is required and blank")),
        (FieldRule(), "", "reject", ("E302", "f is blank")),
        (FieldRule("integer"), "1.0 ", "omit", ("E304", "f '1.0 ' is not a whole number")),
        (FieldRule("choice", choices=("ab", "cd")), "abc", "omit", ("E305", "f 'abc' is not one of ab, cd (did you mean 'ab'?)")),
        (FieldRule(max_length=2), "abc", "omit", ("E306", "f has 3 characters, 2 are allowed")),
        (FieldRule("date", ("%d.%m.%Y",)), "1.2.26", "omit", ("E303", "f '1.2.26' is not a date like %d.%m.%Y")),
        (
            FieldRule("date", ("%d.%m.%Y", "%Y-%m-%d")), "x", "omit",
            ("E303", "f 'x' is not a date like %d.%m.%Y or %Y-%m-%d"),
        ),
        (FieldRule(), "\ufeffx", "omit", ("E203", "f begins with the mark that stands before a file: were two files put together?")),
        (FieldRule(steps=Steps(extract="(a)")), "xyz", "omit", ("E321", "f 'xyz' does not match (a)")),
        (FieldRule("integer", required=True, steps=Steps(extract="([0-9])")), "x", "omit", ("E321", "f 'x' does not match ([0-9])")),
        (FieldRule("integer", steps=Steps(trim=True)), " x ", "omit", ("E304", "f 'x' is not a whole number")),
        (
            FieldRule(steps=Steps("{f}-{g}")), "", "omit",
            ("E322", "f: some of the columns that it is made of are blank"),
        ),
    ],
)  # fmt: skip
def test_each_rejection_names_the_field_the_value_and_what_would_be_right(rule, cell, blank, found):
    rules = RowRules(("extended_id",), blank=blank, fields={"f": rule})
    assert said([("K1", cell, "g")], ("extended_id", "f", "g"), rules) == [found]


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("", ("E201", "extended_id is blank")),
        (" ", ("E201", "extended_id is blank")),
        (" K", ("E202", "extended_id ' K' begins or ends with white space")),
        ("K\u200b1", ("E203", "extended_id 'K\\u200b1' contains a control or an invisible character")),
    ],
)
def test_each_rejected_key_names_its_column(key, found):
    assert said([(key, "g")], ("extended_id", "g"), RULES) == [found]
    assert check([(key, "g")], ("extended_id", "g"), RULES).rejections[0].value == key


def test_a_key_that_its_steps_cannot_take_is_named_with_its_column():
    rules = RowRules(("extended_id",), fields={"extended_id": FieldRule(steps=Steps(extract="(D.*)"))})
    words = "extended_id 'K1' does not match (D.*)"
    assert said([("K1", "g"), ("D2", "g")], ("extended_id", "g"), rules) == [("E321", words)]


def test_a_date_has_a_year_of_four_digits_from_1000_on():
    rules = RowRules(("extended_id",), fields={"f": FieldRule("date", ("%d.%m.%Y",))})
    valid = check([("K1", "01.01.1000"), ("K2", "31.12.0999")], ("extended_id", "f"), rules)
    assert valid.fields[0].to_pylist() == ["1000-01-01"]


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (RowRules(("Box", "Lot"), columns={"Box": "case_no", "Lot": "lot_no", "g": "g"}), "Lot is blank"),
        (
            RowRules(("case_no", "lot_no"), fields={
                "case_no": FieldRule(steps=Steps("Box")), "lot_no": FieldRule(steps=Steps("Lot", trim=True)),
            }), "lot_no is blank",
        ),
    ],
)  # fmt: skip
def test_each_part_of_a_key_is_checked_and_named_by_its_column_or_by_what_its_steps_make(rules, words):
    valid = check([("B1", " L1", "x"), ("B2", "", "y")], ("Box", "Lot", "g"), rules)
    found = [(row.line, row.code, row.message) for row in valid.rejections]
    assert found[-1] == (6, "E201", words)


def test_what_is_wrong_is_told_as_a_value_without_the_white_space_around_it():
    rules = RowRules(("extended_id",), fields={**NUMBER, "d": FieldRule("date", ("%Y",), steps=Steps(extract="(.*)"))})
    valid = check([("K1", " x ", "2026"), ("K2", "1", " y")], ("extended_id", "n", "d"), rules)
    assert [(row.code, row.value) for row in valid.rejections] == [("E304", "x"), ("E303", "y")]


def test_a_mark_is_found_wherever_in_a_column_it_stands():
    rows = [("K1", "DE"), ("K2", "\ufeffDE"), ("K3", "\u00a0")]
    valid = check(rows, ("extended_id", "f"), RULES)
    assert [(row.line, row.code) for row in valid.rejections] == [(6, "E203")]
    assert valid.fields[0].to_pylist() == ["DE", None]


def test_what_a_step_could_not_make_is_told_once_and_nothing_that_follows_from_it():
    rules = RowRules(
        ("extended_id",), fields={"f": FieldRule(required=True, steps=Steps("{a}-{b}", extract="([0-9].*)"))}
    )
    rows = [("K1", "1", ""), ("K2", "x", "y"), ("K3", "1", "2"), ("K4", "", "")]
    half, none = "f: some of the columns that it is made of are blank", "f 'x-y' does not match ([0-9].*)"
    found = [("E322", half), ("E321", none), ("E301", "f is required and blank")]
    assert said(rows, ("extended_id", "a", "b"), rules) == found


def test_a_native_date_is_no_number_and_no_choice():
    for rule in (FieldRule("integer"), FieldRule("choice", choices=("a",))):
        rules = RowRules(("extended_id",), fields={"f": rule})
        valid = check([("K1", "2026-01-31")], ("extended_id", "f"), rules, days={"f": np.array([True])})
        assert [row.code for row in valid.rejections] == ["E304" if rule.type == "integer" else "E305"]


def test_a_format_that_reads_a_year_before_1000_leaves_the_word_to_the_next():
    rules = RowRules(("extended_id",), fields={"f": FieldRule("date", ("%Y-%m%d", "%d%m-%Y"))})
    assert check([("K1", "0112-1026")], ("extended_id", "f"), rules).fields[0].to_pylist() == ["1026-12-01"]
