"""Validation: every code, every file-level refusal, and rows that are right going on untouched."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from syncer.errors import ConfigError, SourceError
from syncer.model import Chunk
from syncer.rows.codes import CODES
from syncer.rows.columns import default_key
from syncer.rows.rules import FieldRule, RowRules
from syncer.rows.validate import Validator
from syncer.runs.expect import DeclaredColumn


def check(rows, header=("extended_id", "f"), **rules):
    settings = RowRules(**{"key": ("extended_id",), **rules})
    validator = Validator(settings, header, "a.csv")
    columns = [pa.array([row[place] for row in rows], pa.string()) for place in range(len(header))]
    batch = pa.RecordBatch.from_arrays(columns, names=list(header))
    valid = validator.check(Chunk(0, batch, np.arange(2, 2 + len(rows), dtype=np.int64)))
    data = [
        {
            name: array[row].as_py()
            for name, array in zip(validator.fields, valid.fields, strict=True)
            if array[row].is_valid
        }
        for row in range(len(valid.lines))
    ]
    assert valid.rows == len(rows) == len(valid.lines) + len(valid.rejections)
    return data, [(row.line, row.code) for row in valid.rejections], valid


DATE = FieldRule(type="date", formats=("%d.%m.%Y", "%Y-%m-%d"))


@pytest.mark.parametrize(
    ("row", "code", "rule"),
    [
        (("", "x"), "E201", FieldRule()),
        (("   ", "x"), "E201", FieldRule()),
        (("K ", "x"), "E202", FieldRule()),
        (("K\x1fL", "x"), "E203", FieldRule()),
        (("K", ""), "E301", FieldRule(required=True)),
        (("K", "31.02.2026"), "E303", DATE),
        (("K", "20260101"), "E303", DATE),
        (("K", "1.5"), "E304", FieldRule(type="integer")),
        (("K", "c"), "E305", FieldRule(type="choice", choices=("a", "b"))),
        (("K", "abc"), "E306", FieldRule(max_length=2)),
    ],
)
def test_each_fault_has_its_code_and_the_row_beside_it_goes_on(row, code, rule):
    good = {"date": "2026-01-31", "integer": "7", "choice": "a"}.get(rule.type, "ok")
    data, rejected, valid = check([("G", good), row], fields={"f": rule})
    assert rejected == [(3, code)]
    assert data == [{"f": good}]
    assert code in CODES
    assert valid.rejections[0].message


@pytest.mark.parametrize(("cell", "code"), [("abc", None), ("abcd", "E306"), ("ab ", None)])
def test_a_length_is_allowed_up_to_its_limit(cell, code):
    data, faults, _ = check([("K", cell)], fields={"f": FieldRule(max_length=3)})
    assert (data, faults) == (([{"f": cell}], []) if code is None else ([], [(2, code)]))


@pytest.mark.parametrize("bad", [(0,), (1,), (3,), (0, 1), (1, 2), (0, 1, 2, 3)])
def test_rows_around_rejected_ones_keep_their_lines_and_their_data(bad):
    rows = [("" if place in bad else f"K{place}", f"v{place}") for place in range(4)]
    data, faults, valid = check(rows)
    good = [place for place in range(4) if place not in bad]
    assert data == [{"f": f"v{place}"} for place in good]
    assert [line - 2 for line in valid.lines.tolist()] == good
    assert [key.as_py() for key in valid.keys[0]] == [f"K{place}" for place in good]
    assert faults == [(place + 2, "E201") for place in bad]


@pytest.mark.parametrize(
    ("cell", "sent"),
    [("0", "0"), ("1", "1"), ("2", "2"), ("Inactive", "0"), (" active ", "1"), ("BLACKLISTED", "2"), ("3", None)],
)
def test_a_status_is_sent_as_its_number_and_as_no_other(cell, sent):
    data, faults, _ = check([("K", cell)], ("extended_id", "activation_status"))
    assert (data, faults) == (([{"activation_status": sent}], []) if sent else ([], [(2, "E307")]))


@pytest.mark.parametrize(
    ("cell", "code"),
    [("0", None), ("10", None), ("007", None), (" 9 ", None), ("11", "E308"), ("-1", "E308"), ("1" * 5000, "E308")],
)
def test_a_reason_is_a_number_from_0_to_10(cell, code):
    data, faults, _ = check([("K", cell)], ("extended_id", "blacklist_reason"))
    assert (data, faults) == (([{"blacklist_reason": str(int(cell))}], []) if code is None else ([], [(2, code)]))


@pytest.mark.parametrize("key", ["K ", " K", "\tK", "K\u00a0"])
def test_white_space_at_either_end_of_a_key_is_never_sent(key):
    assert check([(key, "x")])[1] == [(2, "E202")]


def test_blank_means_what_the_job_says():
    rows = [("K", "", "x"), ("L", " ", "y")]
    header = ("extended_id", "f", "g")
    assert check(rows, header, blank="omit")[0] == [{"g": "x"}, {"g": "y"}]
    assert check(rows, header, blank="clear")[0] == [{"f": "", "g": "x"}, {"f": "", "g": "y"}]
    assert check(rows, header, blank="reject")[1] == [(2, "E302"), (3, "E302")]


@pytest.mark.parametrize("field", ["activation_status", "blacklist_reason"])
def test_what_is_never_empty_is_left_alone_where_blanks_clear(field):
    """The API takes no empty text for it, so a whole row would be refused for what its other cells say."""
    assert check([("K", "", ""), ("L", "1", "")], ("extended_id", field, "f"), blank="clear")[0] == [
        {"f": ""},
        {field: "1", "f": ""},
    ]


def test_statuses_reasons_and_dates_are_normalised():
    header = ("extended_id", "activation_status", "blacklist_reason", "d")
    rows = [("K", "Active", "04", "31.01.2026"), ("L", "blacklisted", "10", "2026-02-01"), ("M", "sold", "11", "x")]
    data, rejected, valid = check(rows, header, fields={"d": DATE})
    assert data == [
        {"activation_status": "1", "blacklist_reason": "4", "d": "2026-01-31"},
        {"activation_status": "2", "blacklist_reason": "10", "d": "2026-02-01"},
    ]
    assert rejected == [(4, "E307")]
    assert all(part in valid.rejections[0].message for part in ("'sold'", "'11'", "'x'"))  # every fault of the row


def test_a_date_that_two_formats_read_as_two_days_is_neither():
    both = FieldRule(type="date", formats=("%d/%m/%Y", "%m/%d/%Y", "%d-%b-%y"))
    cells = ["03/04/2026", "13/04/2026", "04/13/2026", "04/04/2026", "05-MAR-26"]
    data, rejected, valid = check(
        [(f"K{n}", cell) for n, cell in enumerate(cells)], ("extended_id", "d"), fields={"d": both}
    )
    assert [row["d"] for row in data] == ["2026-04-13", "2026-04-13", "2026-04-04", "2026-03-05"]
    assert rejected == [(2, "E303")]
    assert "2026-04-03 or 2026-03-04" in valid.rejections[0].message


def test_text_is_left_exactly_as_it_is():
    cells = ["007", "NA", " x ", "1E5", "null", "=1"]
    assert check([(f"K{n}", cell) for n, cell in enumerate(cells)])[0] == [{"f": cell} for cell in cells]


@pytest.mark.parametrize(
    ("header", "rules", "words"),
    [
        (("message", "f"), {"key": ("message",)}, "extended_id"),
        (("product", "f"), {"key": ("product",)}, "no codes by product"),
        (("extended_id", "status"), {}, "use activation_status"),
        (("extended_id", "product_id"), {}, "use product"),
        (("extended_id", "message"), {}, "use extended_id"),
        (("extended_id", "f"), {"key": ("extendedid",)}, "did you mean 'extended_id'"),
        (("extended_id", "markt"), {"known_fields": frozenset({"market"})}, "did you mean 'market'"),
        (("extended_id", "LAND"), {"known_fields": frozenset({"lot", "land"})}, "did you mean 'land'"),
        (("extended_id",), {}, "no column to send"),
        (("extended_id", "f"), {"columns": {"f": "serial_number"}}, "identifiers"),
        (("extended_id", "f", "g"), {"columns": {"f": "x", "g": "x"}}, "two columns"),
    ],
)
def test_names_that_no_call_may_carry_are_refused_for_the_file(header, rules, words):
    with pytest.raises(ConfigError, match=words):
        check([], header, **rules)


def test_a_mapped_column_that_is_missing_is_the_files_fault():
    with pytest.raises(SourceError, match="Land"):
        check([], ("extended_id", "land"), columns={"Land": "market"})


def test_a_second_identifier_and_result_columns_are_left_out():
    header = ("extended_id", "serial_number", "f", "_file", "_line", "_code", "_message")
    validator = Validator(RowRules(key=("extended_id",)), header, "a.csv")
    assert validator.fields == ("f",)
    assert "serial_number" in validator.notes[0]


def test_special_fields_are_always_known():
    header = ("extended_id", "product", "activation_status", "blacklist_reason")
    assert len(Validator(RowRules(key=("extended_id",), known_fields=frozenset({"x"})), header, "a").fields) == 3


def test_the_default_key_is_extended_id_then_serial_number():
    assert default_key(("serial_number", "extended_id"), "a") == ("extended_id",)
    assert default_key(("serial_number", "x"), "a") == ("serial_number",)
    with pytest.raises(ConfigError, match="which column") as raised:
        default_key(("case_no",), "a")
    assert "--key" in raised.value.remedy


@pytest.mark.parametrize(
    ("cell", "count"),
    [("24", 24), (" 024 ", 24), ("999999999", 999999999), ("0", None), ("-1", None), ("24.0", None), ("", None),
     ("\u0662", None), ("1000000000", None), ("9" * 20, None), ("1" * 5000, None)],
)  # fmt: skip
def test_a_column_of_counts_says_nothing_where_it_has_no_number_that_codes_can_have(cell, count):
    header = ("case_no", "f", "n")
    _, rejected, valid = check([("K", "x", cell)], header, key=("case_no",), expect="n")
    batch = pa.RecordBatch.from_pydict({"case_no": ["K"], "f": ["x"], "n": [cell]})
    declared = DeclaredColumn("n")
    declared.see(Chunk(0, batch, valid.lines), valid)
    assert (rejected, declared.counts) == ([], {} if count is None else {"K": count})
