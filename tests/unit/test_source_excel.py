"""Excel: what has a certain text is read, with Excel's row numbers; all else is rejected or refused with its cell."""

from __future__ import annotations

import datetime as dt
import io
import re
import zipfile
from contextlib import closing

import pytest
from reading import NAME, opened, read, refusal
from workbooks import SHEET, STRINGS, book, edited, saved, shared

from syncer.errors import SourceError
from syncer.source import CsvForm, open_sources
from syncer.source.kinds import OLE_MAGIC
from syncer.source.xlsx import package, workbook
from syncer.source.xlsx.cells import Cell, CellFault, CellReading
from syncer.source.xlsx.formats import classified

moment = dt.datetime.fromisoformat


def text_of(text, kind="n", code="General", *, formula=False, **options):
    reading = CellReading(["first", "a_x005F_x000D_b"], **options)
    return reading.cell_text(Cell(1, kind, text, 0, formula), classified(code))


@pytest.mark.parametrize(
    ("text", "kind", "code", "right"),
    [
        (None, "n", "General", ""),
        ("", "n", "General", ""),
        ("007", "str", "General", "007"),
        ("a_x000D_b", "inlineStr", "General", "a\rb"),
        ("1", "s", "General", "a_x000D_b"),
        ("_xD83D__xDE00_", "str", "General", "\U0001f600"),
        ("7", "n", "General", "7"),
        ("7", "n", "@", "7"),
        ("-7", "n", "0", "-7"),
        ("7.0", "n", "General", "7"),
        ("0", "n", "General", "0"),
        ("0", "n", "000", "000"),
        ("1.2E+3", "n", "General", "1200"),
        ("7", "n", "000000", "000007"),
        ("-7", "n", "000", "-007"),
        ("1234567", "n", "000", "1234567"),
        ("999999999999999", "n", "General", "999999999999999"),
        ("46346", "n", "yyyy-mm-dd", "2026-11-20"),
        ("46346", "n", "d/m/yy", "2026-11-20"),
        ("46346.0", "n", '[$-407]d"."mmmm\\ yyyy;@', "2026-11-20"),
        ("46346", "n", "[$-F800]dddd\\,\\ mmmm\\ dd\\,\\ yyyy", "2026-11-20"),
        ("46346", "n", "m/d/yy h:mm", "2026-11-20"),
        ("2026-11-20", "d", "General", "2026-11-20"),
        ("2026-11-20T00:00:00.000Z", "d", "General", "2026-11-20"),
    ],
)
def test_a_certain_cell_is_its_text(text, kind, code, right):
    assert text_of(text, kind, code) == right


@pytest.mark.parametrize(
    ("text", "kind", "code", "fault"),
    [
        ("1" + "0" * 15, "n", "General", "E121"),
        ("12345678901234567890", "n", "000000", "E121"),
        ("1.23E+20", "n", "General", "E121"),
        ("1e999", "n", "General", "E121"),
        ("0.12345678901234567", "n", "General", "E121"),
        ("12345", "n", "0.00E+00", "E121"),
        ("46082", "n", "d-mmm", "E121"),
        ("46082", "n", "mmm-yy", "E121"),
        ("46082", "n", "yyyy", "E121"),
        ("1.5", "n", "General", "E122"),
        ("1.5", "n", "000", "E122"),
        ("1234", "n", "#,##0", "E122"),
        ("12", "n", "0%", "E122"),
        ("12", "n", '"A"000', "E122"),
        ("12", "n", "General;-General", "E122"),
        ("12", "n", '"Yes";"No"', "E122"),
        ("12", "n", "", "E122"),
        ("NaN", "n", "General", "E122"),
        ("inf", "n", "General", "E122"),
        ("1,5", "n", "General", "E122"),
        ("0x1F", "n", "General", "E122"),
        ("\u0664\u0662", "n", "General", "E122"),
        ("1", "z", "General", "E122"),
        ("1", "b", "General", "E123"),
        ("#N/A", "e", "General", "E124"),
        ("46346.27", "n", "yyyy-mm-dd", "E126"),
        ("0.27", "n", "h:mm", "E126"),
        ("46346", "n", "h:mm", "E126"),
        ("1.25", "n", "[h]:mm", "E126"),
        ("59", "n", "yyyy-mm-dd", "E126"),
        ("-1", "n", "yyyy-mm-dd", "E126"),
        ("1e300", "n", "yyyy-mm-dd", "E126"),
        ("31.01.2026", "d", "General", "E126"),
        ("2026-02-30", "d", "General", "E126"),
        ("2026-01-01T06:30:00", "d", "General", "E126"),
        ("_xD83D_x", "str", "General", "E127"),
        ("x_xDE00_", "inlineStr", "General", "E127"),
    ],
)
def test_an_uncertain_cell_is_a_fault_with_a_remedy(text, kind, code, fault):
    found = text_of(text, kind, code)
    assert isinstance(found, CellFault)
    assert found.code == fault
    assert re.search("as text|export again", found.words)


@pytest.mark.parametrize(("text", "kind"), [(None, "n"), ("", "n"), (" ", "n"), (None, "s")])
def test_a_formula_without_a_value_is_a_fault(text, kind):
    assert text_of(text, kind, formula=True).code == "E125" if kind != "s" else text_of(text, kind) == ""


def test_a_formula_that_nobody_has_computed_is_a_fault():
    for zero in ("0", "0.0", "-0"):
        assert text_of(zero, formula=True, computed=False).code == "E125"
        assert text_of(zero, computed=False) == text_of(zero, formula=True)
    assert text_of("7", formula=True, computed=False) == "7"


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        ("0", "1900-01-00"), ("1", "1900-01-01"), ("31", "1900-01-31"), ("32", "1900-02-01"), ("59", "1900-02-28"),
        ("60", "1900-02-29"), ("59.5", "1900-02-28 and a part of a day"), ("61.5", "1900-03-01 and a part of a day"),
    ],
)  # fmt: skip
def test_a_day_that_is_not_taken_is_named_as_excel_shows_it(count, shown):
    found = text_of(count, code="yyyy-mm-dd")
    assert (found.code, found.shown) == ("E126", shown)


def test_days_are_counted_as_the_workbook_counts_them():
    assert text_of("0", code="yyyy-mm-dd", from_1904=True) == "1904-01-01"
    assert text_of("44884", code="yyyy-mm-dd", from_1904=True) == "2026-11-20"


def test_rows_come_back_with_excels_row_numbers_and_blank_rows_are_skipped(tmp_path):
    made = book([], ["extended_id", "lot", "day"], ["K1", 7, dt.date(2026, 1, 2)], [], ["K2", "007", None], [None, ""])
    made.active["B3"].number_format = "00000"
    made.active["F9"].number_format = "0"  # a cell without content does not count
    rows, lines, rejections = read(tmp_path, saved(made))
    assert rows == [("K1", "00007", "2026-01-02"), ("K2", "007", "")]
    assert lines == [3, 5]
    assert rejections == []


def test_each_uncertain_cell_rejects_its_row_with_its_place_and_all_others_are_read(tmp_path):
    made = book(
        ["extended_id", "x"], ["K1", True], ["K2", "#N/A"], ["K3", "=1+1"], ["K4", 1.5],
        ["K5", moment("2026-01-01T06:00")], ["K6", 1e17], ["K7", "good"], ["K8", "x", "outside"],
    )  # fmt: skip
    rows, lines, rejections = read(tmp_path, saved(made))
    assert (rows, lines) == ([("K7", "good")], [8])
    assert [(one.line, one.code) for one in rejections] == [
        (2, "E123"), (3, "E124"), (4, "E125"), (5, "E122"), (6, "E126"), (7, "E121"), (9, "E101"),
    ]  # fmt: skip
    assert "column 'x', cell B2," in rejections[0].message
    assert "cell C9" in rejections[-1].message
    assert rejections[0].cells == ("K1", "TRUE")


def test_a_formula_counts_as_its_saved_value_even_an_empty_text(tmp_path):
    data = saved(book(["extended_id", "x"], ["K1", "=A1"], ["K2", "=A1"], ["K3", "=A1"]))

    def with_values(text):
        for place, kind, value in (("B2", ' t="str"', "<v>007</v>"), ("B3", ' t="str"', "<v></v>"), ("B4", "", "")):
            cell = f'<c r="{place}"><f>A1</f><v /></c>'
            assert cell in text
            text = text.replace(cell, f'<c r="{place}"{kind}><f>A1</f>{value}</c>')
        return text

    rows, _, rejections = read(tmp_path, edited(data, SHEET, with_values))
    assert rows == [("K1", "007"), ("K2", "")]
    assert [(one.line, one.code) for one in rejections] == [(4, "E125")]


@pytest.mark.parametrize("value", [1234567890123456, 1e17])
def test_a_key_that_has_lost_digits_refuses_the_file(tmp_path, value):
    data = saved(book(["extended_id", "serial", "x"], ["K1", "S1", "a"], ["K2", value, "b"]))
    rows, _, rejections = read(tmp_path, data)
    assert (rows, [one.code for one in rejections]) == ([("K1", "S1", "a")], ["E121"])
    error = refusal(tmp_path, data, key=["serial"])
    assert (error.line, error.column) == (3, 2)
    assert "cell B3" in error.message
    assert error.remedy == "format the column as text in Excel and export again"
    assert refusal(tmp_path, saved(book(["x", "extended_id"], ["a", value]))).column == 2


def test_columns_that_nobody_wants_reject_nothing_in_any_later_pass(tmp_path):
    data = saved(book(["extended_id", "x", "weight"], ["K1", "a", 1.5], ["K2", True, 1.5]))
    with closing(opened(tmp_path, data)) as source:
        for wanted in (["extended_id", "x"], None):
            (chunk,) = source.chunks(wanted)
            assert chunk.lines.tolist() == [2]
            assert [(one.line, one.code) for one in chunk.rejections] == [(3, "E123")]
        assert chunk.columns.to_pylist() == [{"extended_id": "K1", "x": "a", "weight": "1.5"}]
        assert source.info.rows == 2


def test_the_first_sheet_is_read_unless_another_is_named(tmp_path):
    data = saved(book(["a", "b"], ["1", "2"], Other=[["a", "b"], ["3", "4"]]))
    assert read(tmp_path, data)[0] == [("1", "2")]
    assert read(tmp_path, data, sheet="Other")[0] == [("3", "4")]
    error = refusal(tmp_path, data, sheet="Othr")
    assert "did you mean 'Other'" in error.message
    assert "Sheet, Other" in error.remedy
    hidden = book(["a", "b"], ["1", "2"], Other=[["a", "b"], ["3", "4"]])
    hidden.active.sheet_state = "hidden"
    assert "is hidden" in refusal(tmp_path, saved(hidden)).message
    assert read(tmp_path, saved(hidden), sheet="Sheet")[0] == [("1", "2")]


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (["a", "a"], "twice"),
        (["a", None, "b"], "column 2 of the header has no name"),
        (["a", 1.5], "header's cell"),
        ([], "is empty"),
    ],
)
def test_a_header_that_is_in_doubt_is_refused(tmp_path, header, words):
    assert words in refusal(tmp_path, saved(book(header))).message


def test_a_wrong_dimension_in_the_file_hides_no_cell(tmp_path):
    data = saved(book(["a", "b"], ["1", "2"], ["3", "4"]))
    wrong = edited(data, SHEET, lambda text: text.replace('ref="A1:B3"', 'ref="A1"'))
    assert read(tmp_path, wrong)[0] == [("1", "2"), ("3", "4")]


@pytest.mark.parametrize("member", [SHEET, "xl/styles.xml", "xl/workbook.xml", STRINGS])
def test_a_damaged_workbook_is_refused(tmp_path, member):
    data = shared(saved(book(["a", "b"], *(["1", str(number)] for number in range(50)))))
    assert len(read(tmp_path, data)[0]) == 50
    for change in (lambda text: text[: len(text) * 3 // 4], lambda text: ""):
        assert "cannot be read" in refusal(tmp_path, edited(data, member, change)).message


def test_rows_that_run_backwards_or_beyond_excels_limit_are_refused(tmp_path):
    data = saved(book(["a", "b"], ["1", "2"], ["3", "4"]))
    for wrong in ("1", "1048577"):
        changed = edited(
            data,
            SHEET,
            lambda text, wrong=wrong: re.sub(
                r'<row r="3"|(?<=[AB])3(?=")', lambda found: found[0].replace("3", wrong), text
            ),
        )
        assert "out of order" in refusal(tmp_path, changed).message


def test_a_workbook_that_would_fill_the_memory_is_refused(tmp_path, monkeypatch):
    data = shared(saved(book(["a", "b"], *(["x" * 900 + str(row), "x"] for row in range(3000)))))
    assert len(read(tmp_path, data)[0]) == 3000
    monkeypatch.setattr(package, "FREE_BYTES", 1 << 20)
    monkeypatch.setattr(package, "RATIO_MAX", 10)
    assert "no export does" in refusal(tmp_path, data).message
    monkeypatch.undo()
    monkeypatch.setattr(workbook, "TEXTS_BYTES_MAX", 1 << 20)
    assert "table of texts" in refusal(tmp_path, data).message
    monkeypatch.undo()
    long = edited(data, STRINGS, lambda text: text.replace("</sst>", "<si><t>" + "x" * 10**6 + "</t></si></sst>"))
    assert "longer than a cell" in refusal(tmp_path, long).message


def test_office_files_that_are_no_workbook_are_refused_with_the_way_out(tmp_path):
    assert ".xlsx" in refusal(tmp_path, OLE_MAGIC + bytes(600)).remedy
    for names in (("[Content_Types].xml", "xl/workbook.bin"), ("mimetype", "content.xml")):
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w") as file:
            for name in names:
                file.writestr(name, "")
        assert re.search("no Excel workbook|OpenDocument", refusal(tmp_path, data.getvalue()).message)


def test_a_workbook_is_known_by_its_bytes_not_its_name_and_through_standard_input(tmp_path):
    data = saved(book(["a", "b"], ["1", "2"]))
    (source,) = open_sources(["-"], CsvForm(), stdin=io.BytesIO(data))
    with closing(source):
        for _ in range(2):
            assert [chunk.lines.tolist() for chunk in source.chunks()] == [[2]]
    (tmp_path / NAME).write_text("a,b\n1,2\n")
    (source,) = open_sources([str(tmp_path / NAME)], CsvForm())
    assert source.header == ("a", "b")


def test_a_file_that_is_written_to_meanwhile_is_refused(tmp_path):
    with closing(opened(tmp_path, saved(book(["a", "b"], ["1", "2"])))) as source:
        with (tmp_path / NAME).open("ab") as file:
            file.write(b"more")
        with pytest.raises(SourceError, match="changed"):
            list(source.chunks())
