"""JSON lines: texts and whole numbers as they stand; what has no certain text rejects its line."""

from __future__ import annotations

import gzip
from contextlib import closing

import pytest
from reading import opened, read, refusal

from syncer.source import CsvForm, TableForm

LINES = b'{"extended_id": "D1", "lot": 7, "x": null}\n\n{"lot": 12345678901234567890123, "extended_id": "D2"}\r\n'


@pytest.mark.parametrize("pack", [bytes, lambda data: b"\xef\xbb\xbf" + data])
def test_texts_and_whole_numbers_are_taken_as_they_stand(tmp_path, pack):
    rows, lines, rejections = read(tmp_path, pack(LINES))
    assert rows == [("D1", "7", ""), ("D2", "12345678901234567890123", "")]
    assert (lines, rejections) == ([1, 3], [])


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b"1.5", "E122"), (b"1e3", "E122"), (b"NaN", "E122"), (b"true", "E123"), (b"[1]", "E122"), (b'{"a": 1}', "E122"),
        (b'"\\ud83d"', "E106"), (b'"x", "x": "y"', "E101"), (b"", "E101"), (b'"a\\u0000b"', "E103"), (b"007", "E101"),
    ],
)  # fmt: skip
def test_what_has_no_certain_text_rejects_its_line_where_the_column_counts(tmp_path, value, code):
    data = b'{"extended_id": "D0", "x": "y"}\n{"extended_id": "D1", "x": ' + value + b"}\n"
    rows, _, rejections = read(tmp_path, data)
    assert (rows, [(one.line, one.code) for one in rejections]) == ([("D0", "y")], [(2, code)])
    if code in {"E122", "E123"}:
        assert read(tmp_path, data, ["extended_id"])[0] == [("D0",), ("D1",)]


def test_bytes_of_another_encoding_reject_their_line(tmp_path):
    data = '{"extended_id": "D1", "x": "ü"}\n'.encode() + b'{"extended_id": "D2", "x": "\xfc"}\n'
    assert [(one.line, one.code) for one in read(tmp_path, data)[2]] == [(2, "E106")]


def test_members_come_in_any_order_and_those_that_nobody_knows_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("syncer.source.jsonlines.NAMES_LINES", 1)
    error = refusal(tmp_path, LINES + b'{"extended_id": "D3", "new": "x"}\n')
    assert (error.line, "'new'" in error.message) == (4, True)
    assert read(tmp_path, LINES + b'{"extended_id": "D3", "new": "x"}\n', ["extended_id"], by_place=True)[1] == [
        1,
        3,
        4,
    ]
    assert (
        len(read(tmp_path, LINES.replace(b"null", b'null, "new": null') + b'{"extended_id": "D3", "new": "x"}\n')[0])
        == 3
    )


def test_totals_repeated_headers_and_formed_cells_are_as_in_every_source(tmp_path):
    total = LINES + b'{"extended_id": "Total", "lot": 19}\n'
    assert [(one.line, one.code) for one in read(tmp_path, total)[2]] == [(4, "E105")]
    again = LINES + b'{"extended_id": "extended_id", "lot": "lot", "x": "x"}\n{"extended_id": "D3"}\n'
    assert "table.skip = ['extended_id']" in refusal(tmp_path, again).remedy
    assert read(tmp_path, again, table=TableForm(skip=("extended_id",)))[1] == [1, 3, 5]
    padded = b'{" extended_id": "D1", "x": " NULL "}\n'
    assert read(tmp_path, padded, table=TableForm(trim="fields", null=("NULL",)))[0] == [("D1", "")]


def test_settings_that_do_not_apply_are_said(tmp_path):
    table = TableForm(header_row=3, end=("x",), short_rows="fill")
    with closing(opened(tmp_path, LINES, form=CsvForm(delimiter=";"), table=table, sheet="S")) as source:
        said = " ".join(source.warnings)
    for setting in ("sheet", "csv.delimiter", "table.header_row", "table.end", "table.short_rows"):
        assert f"jobs.<name>.{setting} does not apply" in said
    with closing(opened(tmp_path, b"a,b\n1,2\n", table=TableForm(header_row=1), sheet="S")) as source:
        list(source.chunks())
        assert len(source.warnings) == 1


def test_packed_lines_are_read_alike(tmp_path):
    assert read(tmp_path, gzip.compress(LINES)) == read(tmp_path, LINES)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"])
def test_comments_above_and_between_are_no_lines(tmp_path, encoding):
    lines = "# made by ERP\n#\n" + "# more\n" * 500 + '{"extended_id": "D1"}\n# between\n{"extended_id": "D2"}\n# end'
    form = CsvForm(encoding=encoding if encoding.endswith(("le", "be")) else None)
    rows, numbers, rejections = read(tmp_path, lines.encode(encoding), form=form, table=TableForm(comment="#"))
    assert (rows, numbers, rejections) == ([("D1",), ("D2",)], [503, 505], [])


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"extended_id": "D2"},', "column 22: ','; leave the comma out"),
        ('{"extended_id": "D2"} {"extended_id": "D3"}', "one object a line: jq -c ."),
        ('{"extended_id": "D2", "x": 007}', "Expecting ',' delimiter, column 29"),
        ("{'extended_id': 'D2'}", "column 2"),
        ('[{"extended_id": "D2"}]', "jq -c '.[]'"),
        ('"D2"', "another value"),
        ("7.5", "another value"),
    ],
)
def test_a_broken_line_is_told_what_helps_with_it(tmp_path, line, words):
    (rejection,) = read(tmp_path, LINES + line.encode() + b"\n")[2]
    assert (rejection.line, rejection.code) == (4, "E101")
    assert words in rejection.message
    assert ("jq -c '.[]'" in rejection.message) == (line[0] == "[")


@pytest.mark.parametrize(("data", "objects"), [(b'[\n {"extended_id": "D1"}\n]\n', "'.[]'"), (b'{\n"a": 1\n}\n', ".")])
def test_json_of_another_form_is_refused_with_a_command_where_the_file_can_be_named(tmp_path, data, objects):
    assert refusal(tmp_path, data).next == f"jq -c {objects} {tmp_path / 'input'} > lines.jsonl"
    packed = refusal(tmp_path, gzip.compress(data))  # jq reads no packed file
    assert not packed.next
    assert f"jq -c {objects}" in packed.remedy
