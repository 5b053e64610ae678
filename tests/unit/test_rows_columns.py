"""What the columns of a file mean: what selects codes, what is sent as which field, what is left out, what is refused."""

from __future__ import annotations

import pytest

from syncer.errors import HeaderError, SourceError
from syncer.rows.columns import default_key, key_columns, read_columns
from syncer.rows.rules import FieldRule, RowRules, Steps

KEY = "extended_id"


def made_of(*origins, **others):
    """Rules of fields that are made of other columns."""
    return {
        scm: FieldRule(steps=Steps(origin=origin))
        for scm, origin in [*zip(others, others.values(), strict=True), *origins]
    }


def meaning(header, key=(KEY,), **rules):
    """What a header means: the fields of the key and the sent ones, each with its columns; and what is told."""
    found = read_columns(RowRules(key, **rules), header, "a.csv")
    keys, fields = ([(one.scm, one.columns) for one in side] for side in (found.keys, found.fields))
    return keys, fields, found.notes


NOT_SENT = "column {} is not sent: identifiers of codes cannot be changed"


@pytest.mark.parametrize(
    ("header", "rules", "keys", "fields", "notes"),
    [
        ((KEY, "lot", "brand"), {}, [(KEY, (KEY,))], [("brand", ("brand",)), ("lot", ("lot",))], ()),
        ((KEY, "lot", "_file", "_line", "_code", "_message", "serial_number"), {}, [(KEY, (KEY,))], [("lot", ("lot",))],
         (NOT_SENT.format("serial_number"),)),
        ((KEY, "n", "f"), {"expect": "n"}, [(KEY, (KEY,))], [("f", ("f",))], ()),
        (("case", "lot", "f"), {"key": ("case", "lot")}, [("case", ("case",)), ("lot", ("lot",))], [("f", ("f",))], ()),
        ((KEY, "Land", "Rest"), {"columns": {"Land": "market"}}, [(KEY, (KEY,))], [("market", ("Land",))], ()),
        (("ID", "Land", "Los"), {"columns": {"ID": KEY, "Land": "market", "Los": "lot"}}, [(KEY, ("ID",))],
         [("lot", ("Los",)), ("market", ("Land",))], ()),
        (("ID", "Land"), {"columns": {"ID": KEY, "Land": "market"}, "key": ("ID",)}, [(KEY, ("ID",))], [("market", ("Land",))], ()),
        (("ID", "Land"), {"columns": {"Land": "market"}, "key": ("ID",)}, [("ID", ("ID",))], [("market", ("Land",))], ()),
        (("QR", "lot"), {"fields": made_of(extended_id="QR")}, [(KEY, ("QR",))], [("lot", ("lot",))], ()),
        (("QR", "lot"), {"fields": made_of(extended_id="QR"), "key": ("QR",)}, [(KEY, ("QR",))], [("lot", ("lot",))], ()),
        ((KEY, "a", "b"), {"fields": made_of(f="{a}-{b}")}, [(KEY, (KEY,))], [("f", ("a", "b"))], ()),
        ((KEY, "a", "b"), {"fields": {**made_of(f="{a}-{b}"), "a": FieldRule()}}, [(KEY, (KEY,))], [("a", ("a",)), ("f", ("a", "b"))], ()),
        ((KEY, "{a}", "a"), {"fields": made_of(f="{a}")}, [(KEY, (KEY,))], [("a", ("a",)), ("f", ("{a}",))], ()),
        ((KEY, "f", "g"), {"fields": made_of(f="g")}, [(KEY, (KEY,))], [("f", ("g",))], ("column f is not sent: f is made of another",)),
        ((KEY, "serial_number", "f", "g"), {"fields": made_of(f="g")}, [(KEY, (KEY,))], [("f", ("g",))],
         (NOT_SENT.format("serial_number"), "column f is not sent: f is made of another")),
        ((KEY, "f"), {"fields": made_of(f="f")}, [(KEY, (KEY,))], [("f", ("f",))], ()),
        ((KEY,), {"constants": {"brand": "B"}}, [(KEY, (KEY,))], [], ()),
        ((KEY, "market", "product", "activation_status"), {"known_fields": frozenset({"market"})}, [(KEY, (KEY,))],
         [("activation_status", ("activation_status",)), ("market", ("market",)), ("product", ("product",))], ()),
        ((KEY, "f"), {"fields": {"c": FieldRule()}, "constants": {"c": "x"}}, [(KEY, (KEY,))], [("f", ("f",))], ()),
    ],
)  # fmt: skip
def test_each_column_has_one_meaning(header, rules, keys, fields, notes):
    assert meaning(header, **rules) == (keys, fields, notes)


FORBIDDEN = "cannot be sent: identifiers of codes cannot be changed"


@pytest.mark.parametrize(
    ("header", "rules", "words"),
    [
        ((KEY, "A", "B"), {"columns": {"A": "f", "B": "f"}}, ["jobs.<name>.columns maps two columns to f"]),
        ((KEY, "A", "B"), {"columns": {"A": "f", "B": "g"}, "fields": made_of(f="B")},
         ["f has a column in jobs.<name>.columns and a from of its own"]),
        ((KEY, "f"), {"constants": {KEY: "x"}}, ["extended_id is the key, and cannot be a constant", f"constant extended_id {FORBIDDEN}"]),
        ((KEY, "f", "g"), {"constants": {"f": "x"}}, ["f is a constant (jobs.<name>.constants), and a column of the file too"]),
        ((KEY, "g"), {"constants": {"f": "x"}, "fields": made_of(f="g")}, ["f is a constant (jobs.<name>.constants), and a column of the file too"]),
        (("product", "f"), {"key": ("product",)}, ["'product' cannot select codes: the API selects no codes by product"]),
        ((KEY, "f"), {"key": (KEY, KEY)}, ["a key column is named twice"]),
        ((KEY, "status"), {}, ["column 'status' cannot be sent: use activation_status instead"]),
        ((KEY, "S"), {"columns": {"S": "status"}}, ["column 'S' (status) cannot be sent: use activation_status instead"]),
        ((KEY, "S", "T"), {"fields": made_of(status="{S}{T}")}, ["column 'S' and 'T' (status) cannot be sent: use activation_status instead"]),
        ((KEY, "f"), {"constants": {"status": "x"}}, ["constant status cannot be sent: use activation_status instead"]),
        ((KEY, " f"), {}, ["column ' f' begins or ends with white space: jobs.<name>.table.trim = \"fields\""]),
        ((KEY, "S"), {"columns": {"S": "serial_number"}}, [f"column 'S' (serial_number) {FORBIDDEN}"]),
        (("QR", "f"), {"fields": made_of(serial_number="QR", extended_id="QR"), "key": ("QR",)}, [f"column 'QR' (serial_number) {FORBIDDEN}"]),
        (("QR", "f"), {"fields": made_of(extended_id="QR"), "key": ("QR",), "columns": {"QR": "q", "f": "f"}},
         [f"column 'QR' (extended_id) {FORBIDDEN}"]),
        ((KEY, "markt", "product"), {"known_fields": frozenset({"market", "lot"})},
         ["column 'markt' is not a field of the campaign (did you mean 'market'?): the API would discard it silently"]),
        ((KEY, "f"), {"fields": {"g": FieldRule()}}, ["jobs.<name>.fields.g is no field of this file"]),
        ((KEY, "field"), {"fields": {"Field": FieldRule()}}, ["jobs.<name>.fields.Field is no field of this file (did you mean 'field'?)"]),
        ((KEY, "Land", "x"), {"columns": {"Land": "market", "x": "x"}, "fields": {"Land": FieldRule()}},
         ["jobs.<name>.fields.Land is no field of this file (the column 'Land' is sent as 'market')"]),
        ((KEY, "status", " f"), {}, ["column 'status' cannot be sent: use activation_status instead", "column ' f' begins or ends with white space: jobs.<name>.table.trim = \"fields\""]),
    ],
)  # fmt: skip
def test_what_cannot_be_right_is_refused_for_the_whole_file_with_every_reason(header, rules, words):
    with pytest.raises(HeaderError) as raised:
        meaning(header, **rules)
    assert raised.value.message.startswith("a.csv: ")
    found = raised.value.message.removeprefix("a.csv: ")
    assert (
        found.startswith("; ".join(words))
        if len(words) == 1 and words[0].endswith("begins")
        else found == "; ".join(words)
    )


@pytest.mark.parametrize(
    ("header", "rules", "error", "words"),
    [
        ((KEY,), {}, HeaderError, "a.csv: beside the key there is no column to send"),
        (("ID", "f"), {}, HeaderError, "a.csv: the key column 'extended_id' is not in the header"),
        (("extended_id ", "f"), {}, HeaderError, "a.csv: white space stands around the name of the key column, 'extended_id '"),
        (("caseno", "f"), {"key": ("case_no",)}, HeaderError, "'case_no' is not in the header (did you mean 'caseno'?)"),
        ((KEY, "f"), {"expect": "n"}, SourceError, "the column of jobs.<name>.expect is missing: 'n'"),
        ((KEY, "f"), {"columns": {"g": "G", "f": "F", "h": "H"}}, SourceError, "columns of jobs.<name>.columns are missing: g, h"),
        ((KEY, "f"), {"fields": made_of(m="Land")}, SourceError, "the column 'Land' of jobs.<name>.fields.m.from is missing"),
        (("QR", "f"), {"fields": made_of(extended_id="{Q}{QR}")}, SourceError, "the column 'Q' of jobs.<name>.fields.extended_id.from is"),
    ],
)  # fmt: skip
def test_what_a_file_lacks_is_named(header, rules, error, words):
    with pytest.raises(error) as raised:
        meaning(header, **rules)
    assert words in raised.value.message
    if error is SourceError:
        assert (raised.value.file, raised.value.line) == ("a.csv", 1)


@pytest.mark.parametrize("sign", ["\x07", "\0", "\u200b", "\u00ad", "\ufeff", "\u202e", "\u2028", "\u2029"])
def test_a_name_with_what_nobody_sees_is_sent_as_no_field_and_is_told_with_its_characters(sign):
    odd = f"l{sign}ot"
    words = f"a.csv: the name {odd!a} holds a control or an invisible character"
    for header, rules in (
        ((KEY, odd), {}),
        ((odd, "f"), {"key": (odd,)}),
        ((KEY, "f"), {"constants": {odd: "x"}}),
        ((KEY, "Los"), {"columns": {"Los": odd}}),
    ):
        with pytest.raises(HeaderError) as raised:
            meaning(header, **rules)
        assert words in raised.value.message
        assert "[jobs.<name>.columns]" in raised.value.remedy
    assert meaning((KEY, odd), columns={odd: "lot"})[1] == [("lot", (odd,))]


@pytest.mark.parametrize("sign", ["\n", "\r", "\t", " ", "\u00a0", "\u00fc"])
def test_a_name_with_a_space_or_a_line_end_in_it_stays(sign):
    assert meaning((KEY, f"l{sign}ot"))[1] == [(f"l{sign}ot", (f"l{sign}ot",))]


def test_a_header_without_a_key_is_asked_for_the_name_that_is_nearest():
    for header, words in (
        (("Extended_ID", "lot"), "(did you mean 'Extended_ID'?), so nothing says"),
        (("lot", "Serial Number"), "(did you mean 'Serial Number'?), so nothing says"),
        (("lot", "serial"), "(did you mean 'serial'?), so nothing says"),
        (("extended_id\u200b", "lot"), "(did you mean 'extended_id\\u200b'?), so nothing says"),
        (
            ("\u0435xtended_id", "lot"),
            "It looks alike, of other characters: '\\u0435xtended_id', not 'extended_id'), so nothing says",
        ),
        (("lot", "f"), "is named extended_id or serial_number, so nothing says"),
        (("extended_id::lot",), "is named extended_id or serial_number, so nothing says"),
    ):
        with pytest.raises(HeaderError) as raised:
            default_key(header, "a")
        assert words in raised.value.message


def test_a_column_has_the_steps_of_its_field_in_the_key_too():
    upper = FieldRule(steps=Steps(upper=True))
    for fields, changing in (({"f": upper}, ["f"]), ({KEY: upper}, [KEY]), ({"g": upper, KEY: upper}, [KEY, "g"])):
        for columns in (None, {"ID": KEY, "F": "f", "G": "g"}):
            found = read_columns(
                RowRules((KEY,), fields=fields, columns=columns), tuple(columns or (KEY, "f", "g")), "a.csv"
            )
            assert [one.scm for one in (*found.keys, *found.fields) if one.changes] == changing


def test_the_header_suggests_a_key_or_what_is_made_of_it_does():
    assert default_key(("serial_number", "x"), "a", ("extended_id",)) == ("extended_id",)
    assert default_key(("x",), "a", ("serial_number",)) == ("serial_number",)
    for header in ((" extended_id",), ("x", "serial_number ")):
        with pytest.raises(HeaderError, match=r"^a: white space stands around"):
            default_key(header, "a")
    with pytest.raises(HeaderError) as raised:
        default_key(("x", "y"), "a")
    assert "the columns are x, y; when these are not the table's" in raised.value.remedy


def test_the_columns_that_a_key_is_made_of_are_known_before_a_file_is_read():
    rules = RowRules(
        (KEY, "lot", "case"), columns={"Los": "lot", "x": "y"}, fields=made_of(extended_id="{Q}-{Los}", f="g")
    )
    assert key_columns(rules) == ("Q", "Los", "case")
    assert key_columns(RowRules(("a",))) == ("a",)
    read = read_columns(rules, ("x", "g", "case", "Los", "Q"), "a.csv")
    assert read.wanted == ("Q", "Los", "case", "g", "x")
