"""Steps from cells to values: each alone and all together, of fields and of keys; constants; what a header means."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from syncer.errors import ConfigError, SourceError
from syncer.model import Chunk
from syncer.rows.changes import VALUES_MAX, ChangeWatch
from syncer.rows.codes import CODES
from syncer.rows.rules import FieldRule, RowRules, Steps
from syncer.rows.transform import Made
from syncer.rows.validate import Validator

KEY = "extended_id"


def chunk(header, rows):
    columns = [pa.array([row[place] for row in rows], pa.string()) for place in range(len(header))]
    batch = pa.RecordBatch.from_arrays(columns, names=list(header))
    return Chunk(0, batch, np.arange(2, 2 + len(rows), dtype=np.int64))


def check(rows, header=(KEY, "f"), key=(KEY,), constants=None, columns=None, blank="omit", **steps):
    """Return what is sent of rows: (keys, data), or the code of the rejection; then the validator's chunk."""
    fields = {
        name.replace("__", " "): one if isinstance(one, FieldRule) else FieldRule(steps=one)
        for name, one in steps.items()
    }
    rules = RowRules(key, columns, blank, fields, None, constants or {})
    validator = Validator(rules, header, "a.csv")
    valid = validator.check(chunk(header, rows))
    sent = {
        int(line): (
            " + ".join(column[row].as_py() for column in valid.keys),
            {
                name: array[row].as_py()
                for name, array in zip(validator.fields, valid.fields, strict=True)
                if array[row].is_valid
            },
        )
        for row, line in enumerate(valid.lines)
    }
    sent |= {row.line: row.code for row in valid.rejections}
    return [sent[line] for line in range(2, 2 + len(rows))], valid, validator


@pytest.mark.parametrize(
    ("steps", "cell", "sent"),
    [
        (Steps(trim=True), "\u00a0 x\t", "x"),
        (Steps(trim=True), "  ", None),
        (Steps(null=("NULL", "-")), "NULL", None),
        (Steps(null=("NULL", "-")), "null", "null"),
        (Steps(null=("NULL",), trim=True), " NULL ", None),
        (Steps(strip_prefix=("LOT ",)), "LOT 7", "7"),
        (Steps(strip_prefix=("LOT ",)), "7 LOT ", "7 LOT "),
        (Steps(strip_prefix=("a", "ab")), "abab", "ab"),
        (Steps(strip_prefix=(".*",)), ".*x", "x"),
        (Steps(strip_suffix=(" pcs", "$")), "12 pcs", "12"),
        (Steps(strip_suffix=(" pcs", "$")), "12$\n", "12$\n"),
        (Steps(extract="/q/([A-Z0-9]+)$"), "https://st4.ch/q/ABC", "ABC"),
        (Steps(extract="(?:x|y)([(][0-9]+[])])"), "y(7)", "(7)"),
        (Steps(extract="(?P<code>[0-9]+)"), "ab 12 cd", "12"),
        (Steps(extract=r"\((\d+)\)"), "a(12)", "12"),
        (Steps(extract=r"ab\((\d+)\)"), "ab(12)", "12"),
        (Steps(extract="[((](a)"), "(a", "a"),
        (Steps(extract="b[](](a)"), "b(a", "a"),
        (Steps(extract="[^](]x(a)"), "bxa", "a"),
        (Steps(extract="[a-z](a)"), "xa", "a"),
        (Steps(upper=True), "straße é", "STRAẞE É"),
        (Steps(lower=True), "ÄB", "äb"),
        (Steps(pad=5), "42", "00042"),
        (Steps(pad=5), "1234567", "1234567"),
        (Steps(pad=5), "", None),
        (Steps(map={"Deutschland": "DE"}), "Deutschland", "DE"),
        (Steps(map={"Deutschland": "DE"}), "", None),
        (Steps(map={"Deutschland": "DE", "": "XX"}), "", "XX"),
        (Steps(map={"none": ""}), "none", None),
        (Steps(map={"Deutschland": "DE"}, map_else="keep"), "FR", "FR"),
        (Steps(map={"Deutschland": "DE"}, map_else="OTHER"), "FR", "OTHER"),
        (Steps(map={"Deutschland": "DE"}, map_else="OTHER"), "Deutschland", "DE"),
        (Steps(map={"Deutschland": "DE"}, upper=True), "deutschland", "DE"),
        (Steps(map={"Deutschland": "DE"}, lower=True, map_else="keep"), "FR", "fr"),
        (Steps(map={"007": "DE"}, pad=3), "7", "DE"),
        (Steps(trim=True, null=("-",), strip_prefix=("A",), extract="([0-9]+)", pad=4, map={"0012": "y"}), " A12x ", "y"),
    ],
)  # fmt: skip
def test_each_step_does_what_it_says_and_no_more(steps, cell, sent):
    found, _, _ = check([("K", cell, "g")], (KEY, "f", "g"), f=steps)
    assert found == [("K", {"g": "g"} if sent is None else {"f": sent, "g": "g"})]


@pytest.mark.parametrize(
    ("steps", "cell", "code"),
    [
        (Steps(map={"Deutschland": "DE"}), "Deutschlnd", "E320"),
        (Steps(map={"Deutschland": "DE"}), "deutschland", "E320"),
        (Steps(extract="/q/(.+)"), "https://st4.ch/", "E321"),
        (Steps(origin="{f}-{g}"), "", "E322"),
    ],
)
def test_a_value_that_a_step_cannot_take_is_rejected_with_its_code_and_named(steps, cell, code):
    found, valid, _ = check(
        [("K", cell, "x"), ("L", cell, "y")], (KEY, "f", "g"), **{"h" if steps.origin else "f": steps}
    )
    assert found == [code, code]
    assert code in CODES
    assert cell in valid.rejections[0].message
    assert valid.rejections[0].value == cell
    assert "blank" not in valid.rejections[0].message or code == "E322"  # no second fault of the same cell


def test_an_entry_that_is_near_is_suggested():
    _, valid, _ = check([("K", "Deutschlnd")], f=Steps(map={"Deutschland": "DE"}))
    assert valid.rejections[0].message.endswith("(did you mean 'Deutschland'?)")


def test_an_entry_that_looks_the_same_is_told_by_its_characters():
    _, valid, _ = check([("K", "O\u0308sterreich")], f=Steps(map={"\u00d6sterreich": "AT"}))
    assert r"looks alike, of other characters: '\xd6sterreich', not 'O\u0308sterreich'" in valid.rejections[0].message


def test_the_type_counts_after_the_steps():
    rule = FieldRule("date", ("%d.%m.%Y",), steps=Steps(strip_prefix=("am ",), null=("offen",)))
    found, _, _ = check(
        [("K", "am 31.01.2026", "x"), ("L", "offen", "x"), ("M", "32.01.2026", "x")], (KEY, "f", "g"), f=rule
    )
    assert found == [("K", {"f": "2026-01-31", "g": "x"}), ("L", {"g": "x"}), "E303"]


def test_a_cell_that_was_a_date_in_its_source_is_one_after_the_steps_too():
    rule = FieldRule("date", ("%d.%m.%Y",), steps=Steps(origin="Datum", trim=True))
    rules = RowRules(
        (KEY,), fields={"day": rule, "year": FieldRule(steps=Steps(origin="Datum", extract="^([0-9]{4})"))}
    )
    validator = Validator(rules, (KEY, "Datum"), "a.xlsx")
    rows = chunk((KEY, "Datum"), [("K", "2026-01-31"), ("L", " 31.01.2026 "), ("M", "2026-01-31")])
    valid = validator.check(replace(rows, days={"Datum": np.array([True, False, False])}))
    assert [(row.line, row.code) for row in valid.rejections] == [
        (3, "E321"),
        (4, "E303"),
    ]  # of texts the formats count
    assert [array.to_pylist() for array in valid.fields] == [["2026-01-31"], ["2026"]]
    assert valid.changes[0].before.to_pylist()[0] == "2026-01-31"


def test_a_template_joins_columns_and_cleans_each_of_them():
    steps = Steps(origin="{{{Pallet}}}/{Case}", trim=True, null=("-",))
    header = (KEY, "Pallet", "Case", "g")
    rows = [("K", " P1", "C1 ", "x"), ("L", "-", " ", "x"), ("M", "P1", "-", "x"), ("N", "", "C1", "x")]
    found, _, _ = check(rows, header, f=steps)
    assert found == [("K", {"f": "{P1}/C1", "g": "x"}), ("L", {"g": "x"}), "E322", "E322"]


def test_one_column_may_make_several_fields_and_is_not_sent_under_its_own_name():
    found, _, validator = check(
        [("K", "DE-07")], (KEY, "Land"), market=Steps(origin="Land", extract="^([A-Z]+)"), plant=Steps(origin="Land", extract="([0-9]+)$")
    )  # fmt: skip
    assert found == [("K", {"market": "DE", "plant": "07"})]
    assert validator.wanted == (KEY, "Land")


def test_a_column_whose_name_has_braces_is_taken_by_its_name():
    found, _, _ = check([("K", "x", "y")], (KEY, "{a}", "a"), f=Steps(origin="{a}"))
    assert found == [("K", {"f": "x", "a": "y"})]


@pytest.mark.parametrize(
    ("header", "rules"),
    [
        (("QR", "f"), {"extended_id": Steps(origin="QR", extract="/q/(.+)$")}),  # the key is made of a column
        (("QR", "f"), {"key": ("QR",), "extended_id": Steps(origin="QR", strip_prefix=("https://st4.ch/q/",))}),
        (("extended_id", "f"), {"extended_id": Steps(strip_prefix=("https://st4.ch/q/",))}),
        (("QR", "f"), {"key": ("QR",), "columns": {"QR": KEY, "f": "f"}, "extended_id": Steps(extract="/q/(.+)$")}),
        (("QR", "f"), {"columns": {"QR": KEY, "f": "f"}, "extended_id": Steps(extract="/q/(.+)$")}),
    ],
)
def test_a_key_given_as_an_address_is_the_code_however_the_job_says_it(header, rules):
    found, valid, validator = check([("https://st4.ch/q/ABC", "x"), ("https://st4.ch/q/ABD", "y")], header, **rules)
    assert found == [("ABC", {"f": "x"}), ("ABD", {"f": "y"})]
    assert validator.keys == (KEY,)
    assert valid.changes[0].rows.tolist() == [1, 1]


def test_a_key_that_cannot_be_made_is_rejected_and_its_cell_is_named():
    found, valid, _ = check(
        [("https://st4.ch/q/", "x"), ("https://st4.ch/q/A B ", "x"), ("", "x")], ("QR", "f"), extended_id=Steps(origin="QR", extract="/q/(.*)")
    )  # fmt: skip
    assert found == ["E321", "E202", "E201"]
    found, valid, _ = check([("abc", "x")], ("QR", "f"), extended_id=Steps(origin="QR", extract="/q/(.+)"))
    assert found == ["E321"]
    assert (valid.rejections[0].key, valid.rejections[0].value) == ("abc", "abc")


def test_a_composite_key_is_made_part_by_part():
    steps = {"case_no": Steps(pad=3), "lot": Steps(origin="Charge", upper=True)}
    found, _, _ = check([("7", "a", "x")], ("case_no", "Charge", "f"), key=("case_no", "lot"), **steps)
    assert found == [("007 + A", {"f": "x"})]


def test_every_row_gets_the_constants_even_one_without_anything_else():
    constants = {"brand": "Example", "activation_status": "active"}
    found, _, _ = check([("K", "x"), ("L", "")], constants=constants)
    assert found == [("K", {"f": "x", "brand": "Example", "activation_status": "1"}), ("L", {"brand": "Example", "activation_status": "1"})]  # fmt: skip
    assert check([("K",)], (KEY,), constants={"brand": "B"})[0] == [("K", {"brand": "B"})]


@pytest.mark.parametrize(
    ("header", "rules", "words"),
    [
        ((KEY, "f"), {"constants": {"f": "x"}}, "f is a constant"),
        ((KEY, "f"), {"constants": {KEY: "x"}}, "is the key"),
        ((KEY, "f"), {"constants": {"status": "x"}}, "use activation_status"),
        ((KEY, "f"), {"constants": {"activation_status": "sold"}}, "'sold' is not"),
        ((KEY, "f"), {"columns": {"f": "g"}, "g": Steps(origin="f")}, "g has a column"),
        ((KEY, "Datum"), {"columns": {"Datum": "date"}, "Datum": Steps(trim=True)}, "'Datum' is sent as 'date'"),
        ((KEY, "production_date"), {"prodction_date": Steps(trim=True)}, "did you mean 'production_date'"),
        ((KEY, "f"), {"f": Steps(extract="(?=x)(y)")}, "fields.f.extract"),
    ],
)
def test_rules_that_contradict_each_other_or_mean_nothing_are_refused(header, rules, words):
    with pytest.raises(ConfigError) as raised:
        check([], header, **rules)
    assert words in raised.value.message


def test_a_column_that_from_names_and_the_file_lacks_is_the_files_fault():
    with pytest.raises(SourceError, match=r"'Land' of jobs.<name>.fields.market.from is missing.*did you mean 'land'"):
        check([], (KEY, "land"), market=Steps(origin="Land"))


def test_a_field_that_is_made_of_another_column_leaves_its_namesake_unsent_and_says_so():
    found, _, validator = check([("K", "x", "y")], (KEY, "f", "g"), f=Steps(origin="g"))
    assert found == [("K", {"f": "y"})]
    assert validator.notes == ("column f is not sent: f is made of another",)


def watched(rows, header=(KEY, "f"), **rules):
    _, valid, validator = check(rows, header, **rules)
    watch = validator.watch()
    watch.see(valid)
    return {
        one.field: (one, [(value.before, value.after, value.rows) for value in one.values]) for one in watch.fields()
    }


def test_changes_are_counted_by_value_the_most_frequent_first():
    rows = [(f"K{n}", "Deutschland" if n % 3 else "Frankreich", "01.02.2026") for n in range(9)] + [("X", "DE", "?")]
    changes = watched(
        rows, (KEY, "f", "d"), constants={"brand": "B"},
        f=Steps(map={"Deutschland": "DE", "Frankreich": "FR"}, map_else="keep"),
        day=FieldRule("date", ("%d.%m.%Y",), steps=Steps(origin="d")),
    )  # fmt: skip
    assert changes["f"][1] == [("Deutschland", "DE", 6), ("Frankreich", "FR", 3)]
    assert changes["f"][0].rows == 9
    assert changes["day"][1] == [("01.02.2026", "2026-02-01", 9)]  # what is rejected is no change
    assert changes["brand"][1] == [(None, "B", 9)]


def test_of_more_values_than_are_kept_the_first_are_shown_and_all_rows_counted():
    watch = ChangeWatch({KEY: KEY}, {})
    validator = Validator(RowRules((KEY,), fields={KEY: FieldRule(steps=Steps(lower=True))}), (KEY, "f"), "a")
    for part in range(3):
        watch.see(validator.check(chunk((KEY, "f"), [(f"K{part}-{n}", "x") for n in range(VALUES_MAX)])))
    (one,) = watch.fields()
    assert (one.rows, one.complete) == (3 * VALUES_MAX, False)
    assert len(one.values) <= 2 * VALUES_MAX


def test_values_become_cells_again_only_where_the_steps_would_give_them_again():
    steps = {
        KEY: Steps(origin="QR", extract="/q/(.+)$"),
        "market": Steps(origin="Land", map={"A": "B", "B": "C"}),
        "lot": Steps(origin="Charge", pad=4),
    }
    fields = {scm: FieldRule(steps=one) for scm, one in steps.items()}
    validator = Validator(RowRules((KEY,), fields=fields, constants={"brand": "x"}), ("QR", "Land", "Charge", "f"), "a")
    assert validator.cells({KEY: "K1", "market": "B", "lot": "0007", "brand": "x", "f": "g"}) == {
        "Charge": "0007",
        "f": "g",
    }


@pytest.mark.parametrize(
    ("steps", "sent"),
    [
        (Steps(origin="<{a}>{b}!"), "< x >-!"),
        (Steps(origin="<{a}>{b}!", trim=True), "<x>-!"),
        (Steps(origin="{a}{b}!", null=("-", " x ")), None),
    ],
)
def test_a_template_has_its_words_around_the_cells_and_only_those_steps_that_are_declared(steps, sent):
    found, _, _ = check([("K", " x ", "-", "y")], (KEY, "a", "b", "g"), f=steps)
    assert found == [("K", {"g": "y"} if sent is None else {"f": sent, "g": "y"})]


def test_a_long_cell_is_shown_by_its_first_sixty_characters():
    for length, shown in ((60, repr("x" * 60)), (61, repr("x" * 60 + "…"))):
        _, valid, _ = check([("K", "x" * length)], f=Steps(extract="(y)"))
        assert valid.rejections[0].message == f"f {shown} does not match (y)"


def test_a_hundred_values_get_a_hint_and_those_that_come_later_none():
    rows = [(f"K{n}", f"Berln{n:03}") for n in range(101)] + [("L", "Berln000")]
    _, valid, _ = check(rows, f=Steps(map={f"Berlin{n:03}": "B" for n in range(101)}))
    hinted = [row.key for row in valid.rejections if "did you mean" in row.message]
    assert hinted == [f"K{n}" for n in range(100)] + ["L"]
    assert [row.message for row in valid.rejections if row.key == "K100"] == ["f 'Berln100' is not in the map"]


def test_a_change_counts_the_rows_of_each_value_and_none_of_those_that_were_refused():
    steps = Steps(strip_prefix=("a",), extract="(.*[0-9])")
    rows = [(f"K{n}", cell) for n, cell in enumerate(["a1", "1", "x1", "x1", "a2", "a", "a", "a1", "b", "b"])]
    _, valid, _ = check(rows, f=FieldRule("integer", steps=steps))
    (change,) = valid.changes
    told = zip(change.before.to_pylist(), change.after.to_pylist(), change.rows.tolist(), strict=True)
    assert [*told] == [("a1", "1", 2), ("1", "1", 1), ("x1", "", 0), ("a2", "2", 1), ("a", "", 2), ("b", "", 0)]
    made = Made(pa.array([0], pa.int32()), pa.array(["x", "y"]), pa.array(["X", "Y"]), {})
    assert made.change("f").rows.tolist() == [1, 0]  # no row has the other value


@pytest.mark.parametrize(
    "steps", [Steps(extract="(.*)"), Steps(map={"x": "y"}, map_else="keep"), Steps(origin="{f}{g}")]
)
def test_what_a_step_makes_anew_of_a_native_date_is_a_text_like_any_other(steps):
    rules = RowRules((KEY,), fields={"f": FieldRule("date", ("%d.%m.%Y",), steps=steps)})
    rows = replace(chunk((KEY, "f", "g"), [("K", "2026-01-31", " ")]), days={"f": np.array([True])})
    found = Validator(rules, (KEY, "f", "g"), "a.xlsx").check(rows)
    assert [row.code for row in found.rejections] in (["E303"], ["E322"])
    assert "\0" not in found.rejections[0].message
