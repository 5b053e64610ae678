"""Workbooks as programs write them that people reported: read as what they are, or refused with the cell and the way."""

from __future__ import annotations

import datetime as dt
import io
import re
import zipfile
import zlib
from contextlib import closing

import pytest
from reading import NAME, opened, read, refusal
from workbooks import SHEET, STRINGS, book, edited, saved, shared
from workbooks import members as members_of
from workbooks import zipped as zipped_again

from syncer.source.table import TableForm

HEAD = ["extended_id", "day", "x"]
STYLES = "xl/styles.xml"


def with_format(value, number, code=None, *, column="B"):
    """A workbook whose data cell has a number format by its number, described or not."""
    data = saved(book(HEAD, ["K1", "d", "x"]))
    described = f'<numFmts count="1"><numFmt numFmtId="{number}" formatCode="{code}"/></numFmts>' if code else ""
    xfs = f'<cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="{number}" applyNumberFormat="1"/></cellXfs>'

    def styles(text):
        text = re.sub(r"<numFmts.*?(/>|</numFmts>)", "", text)
        text = re.sub(r"(<styleSheet[^>]*>)", r"\1" + described, text)
        return re.sub(r"<cellXfs.*?</cellXfs>", xfs, text, flags=re.DOTALL)

    cell = f'<c r="{column}2" s="1"><v>{value}</v></c>'
    data = edited(data, STYLES, styles)
    return edited(data, SHEET, lambda text: re.sub(rf'<c r="{column}2".*?</c>', cell, text))


@pytest.mark.parametrize("number", [14, 15, 22, 27, 28, 29, 30, 31, 36, 50, 51, 54, 57, 58])
def test_a_format_that_is_a_day_everywhere_gives_the_day(tmp_path, number):
    rows, _, rejections = read(tmp_path, with_format(46053, number))
    assert (rows, rejections) == ([("K1", "2026-01-31", "x")], [])


@pytest.mark.parametrize("number", [23, 26, 32, 33, 34, 35, 52, 53, 55, 56, 59, 70, 81, 99, 163, 164, 999])
def test_a_format_that_nobody_knows_is_no_number(tmp_path, number):
    rows, _, rejections = read(tmp_path, with_format(46053, number))
    assert rows == []
    assert [(one.line, one.code) for one in rejections] == [(2, "E122")]
    assert "cell B2" in rejections[0].message


@pytest.mark.parametrize(
    ("number", "code", "right"),
    [
        (31, "yyyy&quot;年&quot;m&quot;月&quot;d&quot;日&quot;", "2026-01-31"),
        (27, "[$-411]ge.m.d", "2026-01-31"),
        (14, "m/d/yyyy", "2026-01-31"),
        (164, "dd/mm/yyyy", "2026-01-31"),
        (1, "0", "46053"),
        (164, "0000000", "0046053"),
        (28, "m&quot;月&quot;d&quot;日&quot;", "E121"),
        (14, "0", "E122"),
        (1, "yyyy-mm-dd", "E122"),
        (164, "0.00", "E122"),
    ],
)
def test_the_files_own_description_of_a_format_counts_where_it_is_no_contradiction(tmp_path, number, code, right):
    rows, _, rejections = read(tmp_path, with_format(46053, number, code))
    assert [row[1] for row in rows] + [one.code for one in rejections] == [right]


@pytest.mark.parametrize("number", [14, 16, 17, 31])
def test_a_date_among_the_keys_refuses_the_file(tmp_path, number):
    error = refusal(tmp_path, with_format(46082, number, column="A"))
    assert "'extended_id', cell A2" in error.message
    assert "2026-03-01" in error.message
    assert error.remedy == "format the column as text in Excel and export again"


def test_real_date_cells_are_told_from_texts(tmp_path):
    data = saved(book(HEAD, ["K1", dt.date(2026, 2, 3), "x"], ["K2", "2026-02-03", "x"]))
    with closing(opened(tmp_path, data)) as source:
        (chunk,) = source.chunks()
    assert chunk.columns.column("day").to_pylist() == ["2026-02-03", "2026-02-03"]
    assert {name: marks.tolist() for name, marks in chunk.days.items()} == {"day": [True, False]}


@pytest.mark.parametrize("tail", ["", "x" * 40_000])
@pytest.mark.parametrize("at", [0.3, 0.6])
def test_one_flipped_bit_refuses_the_workbook_before_a_row_is_used(tmp_path, tail, at):
    links = f"<hyperlinks>{tail}</hyperlinks>" if tail else "<hyperlinks/>"
    data = saved(book(HEAD, *([f"A{number}", "d", "x"] for number in range(300))))
    data = edited(data, SHEET, lambda text: text.replace("</sheetData>", "</sheetData>" + links))
    flipped = bytearray(data)
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        info = file.getinfo(SHEET)
    flipped[info.header_offset + 30 + len(SHEET) + int(info.compress_size * at)] ^= 1
    assert "cannot be read" in refusal(tmp_path, bytes(flipped)).message


def test_a_stored_sheet_with_one_wrong_digit_is_refused_too(tmp_path):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_STORED) as file:
        for name, text in members_of(saved(book(HEAD, ["A32516", "d", "x"]))).items():
            file.writestr(name, text)
    wrong = data.getvalue().replace(b"A32516", b"A32526")
    assert zlib.crc32(wrong) != zlib.crc32(data.getvalue())
    assert "cannot be read" in refusal(tmp_path, wrong).message


def test_formulas_that_were_stored_as_nothing_are_no_data_and_no_key(tmp_path):
    data = saved(book(HEAD, ["K1", "=A1", "x"], ["=B1", "d", "x"], ["K3", "d", "x"]))
    data = edited(data, SHEET, lambda text: text.replace("<v />", "<v>0</v>").replace("<v/>", "<v>0</v>"))
    assert "fullCalcOnLoad" in members_of(data)["xl/workbook.xml"]
    _, lines, rejections = read(tmp_path, data)
    assert lines == [4]
    assert [(one.line, one.code) for one in rejections] == [(2, "E125"), (3, "E125")]


def test_characters_beyond_the_first_plane_are_whole_and_halves_reject_their_row(tmp_path):
    data = saved(book(HEAD, ["K1", "d", "_xD83D__xDE00_"], ["K2", "d", "_xD83D_"], ["K3", "d", "\U0001f600"]))
    rows, _, rejections = read(tmp_path, data)
    assert [row[2] for row in rows] == ["\U0001f600", "\U0001f600"]
    assert [(one.line, one.code) for one in rejections] == [(3, "E127")]
    assert "cell C3" in rejections[0].message


def test_an_empty_style_is_the_first_one_and_one_that_is_not_there_is_in_doubt(tmp_path):
    data = saved(book(HEAD, ["K1", 7, "x"], ["K2", 8, "x"]))
    data = edited(data, SHEET, lambda text: text.replace('<c r="B2"', '<c r="B2" s=""'))
    data = edited(data, SHEET, lambda text: text.replace('<c r="B3"', '<c r="B3" s="77"'))
    rows, _, rejections = read(tmp_path, data)
    assert rows == [("K1", "7", "x")]
    assert [(one.line, one.code) for one in rejections] == [(3, "E122")]


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ('<c r="B2"><v>NaN</v></c>', "E122"),
        ('<c r="B2"><v>1,5</v></c>', "E122"),
        ('<c r="B2" t="b"><v>1</v></c>', "E123"),
        ('<c r="B2" t="d"><v>31.01.2026</v></c>', "E126"),
        ('<c r="B2" t="e"><v>#REF!</v></c>', "E124"),
        ('<c r="B2" t="wrong"><v>1</v></c>', "E122"),
    ],
)
def test_one_cell_in_doubt_rejects_its_row_by_its_place(tmp_path, cell, code):
    data = saved(book(HEAD, ["K1", "d", "x"], ["K2", "d", "x"]))
    data = edited(data, SHEET, lambda text: re.sub(r'<c r="B2".*?</c>', cell, text))
    rows, _, rejections = read(tmp_path, data)
    assert rows == [("K2", "d", "x")]
    assert [(one.line, one.code) for one in rejections] == [(2, code)]
    assert "cell B2" in rejections[0].message


@pytest.mark.parametrize(
    ("member", "change"),
    [
        (STYLES, lambda text: re.sub(r"<fills.*?</fills>", '<fills count="1"><fill/></fills>', text, flags=re.DOTALL)),
        (STYLES, lambda text: re.sub(r"<font>", '<font><color rgb="#FF0000"/>', text)),
        (STYLES, lambda text: text.replace("<cellStyles", '<x><alignment vertical="middle"/></x><cellStyles')),
        (STYLES, lambda text: text.replace('<cellXfs count="', '<cellXfs count="9')),
        ("docProps/core.xml", lambda text: re.sub(r"\d{4}-\d\d-\d\dT[\d:]*Z", "26.01.2026", text)),
        ("docProps/core.xml", lambda text: "no xml"),
        ("docProps/app.xml", lambda text: ""),
        ("xl/theme/theme1.xml", lambda text: "<"),
        ("xl/workbook.xml", lambda text: re.sub(r"<calcPr[^>]*/>", "", text)),
        ("[Content_Types].xml", lambda text: "<Types/>"),
    ],
)  # fmt: skip
def test_what_is_no_content_may_be_as_it_likes(tmp_path, member, change):
    data = edited(saved(book(HEAD, ["K1", dt.date(2026, 1, 31), 7])), member, change)
    assert read(tmp_path, data)[0] == [("K1", "2026-01-31", "7")]


def renamed(data, new_name):
    return zipped_again({new_name(name): text for name, text in members_of(data).items()})


STRICT = {
    "http://schemas.openxmlformats.org/spreadsheetml/2006/main": "http://purl.oclc.org/ooxml/spreadsheetml/main",
    "http://schemas.openxmlformats.org/officeDocument/2006/relationships": "http://purl.oclc.org/ooxml/officeDocument/relationships",
}


def strict(data):
    made = {}
    for name, text in members_of(data).items():
        made[name] = re.sub("|".join(map(re.escape, STRICT)), lambda found: STRICT[found[0]], text)
    return zipped_again(made)


def prefixed(data):
    return edited(
        data,
        SHEET,
        lambda text: re.sub(r"<(/?)(\w)", r"<\1x:\2", text).replace("xmlns=", "xmlns:x="),
    )


def moved(data):
    """The main part elsewhere, found by what points to it alone."""
    made = members_of(data)
    made["_rels/.rels"] = made["_rels/.rels"].replace("xl/workbook.xml", "content/main.xml")
    made["content/main.xml"] = made.pop("xl/workbook.xml")
    made["content/_rels/main.xml.rels"] = made.pop("xl/_rels/workbook.xml.rels").replace('"styles', '"../xl/styles')
    return zipped_again(made)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: renamed(data, lambda name: name.replace("/", "\\")),
        lambda data: renamed(data, str.upper),
        lambda data: renamed(data, lambda name: name.replace("sharedStrings", "SharedStrings")),
        lambda data: renamed(data, lambda name: "/" + name),
        lambda data: edited(data, "xl/_rels/workbook.xml.rels", lambda text: text.replace('"/xl/', '"')),
        lambda data: edited(
            data, "xl/_rels/workbook.xml.rels", lambda text: text.replace('"/xl/work', '"..\\xl\\work')
        ),
        strict,
        prefixed,
        moved,
    ],
)
def test_the_parts_are_found_as_excel_finds_them(tmp_path, change):
    data = change(shared(saved(book(HEAD, ["K1", dt.date(2026, 1, 31), 7]))))
    assert read(tmp_path, data)[0] == [("K1", "2026-01-31", "7")]


def test_two_parts_of_one_name_and_two_cells_in_one_place_are_refused(tmp_path):
    data = saved(book(HEAD, ["K1", "d", "x"]))
    twice = io.BytesIO(data)
    with zipfile.ZipFile(twice, "a") as file:
        file.writestr(SHEET.upper(), "<worksheet/>")
    assert "two parts of one name" in refusal(tmp_path, twice.getvalue()).message
    cells = edited(data, SHEET, lambda text: text.replace('<c r="C2"', '<c r="B2"'))
    assert "out of order" in refusal(tmp_path, cells).message


def test_cells_without_a_place_stand_behind_one_another(tmp_path):
    data = edited(saved(book(HEAD, ["K1", "d", "x"])), SHEET, lambda text: re.sub(r' r="[A-Z]*\d+"', "", text))
    assert read(tmp_path, data) == ([("K1", "d", "x")], [2], [])


def test_a_document_type_is_refused(tmp_path):
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">]>'
    data = edited(saved(book(HEAD, ["K1", "d", "x"])), SHEET, lambda text: bomb + text)
    assert "document type" in refusal(tmp_path, data).message


def test_the_phonetic_guide_of_a_text_is_no_part_of_it(tmp_path):
    run = "<si><r><t>東</t></r><r><rPr><b/></rPr><t>京</t></r><rPh sb='0' eb='2'><t>トウ</t></rPh></si>"
    data = shared(saved(book(HEAD, ["K1", "d", "place"])))
    data = edited(data, STRINGS, lambda text: text.replace("<si><t>place</t></si>", run))
    assert read(tmp_path, data)[0] == [("K1", "d", "東京")]


TITLES = (["Export of the night"], [None, "printed", "31.01.2026"], [])


@pytest.mark.parametrize("key", [None, ["extended_id"]])
def test_the_header_is_found_below_titles_by_the_key(tmp_path, key):
    rows, lines, _ = read(tmp_path, saved(book(*TITLES, HEAD, ["K1", "d", "x"])), key=key)
    assert (rows, lines) == ([("K1", "d", "x")], [5])


def test_the_header_may_be_named_and_two_that_may_be_it_are_refused_with_that_way(tmp_path):
    data = saved(book(["Nummer", "Tag", "Wert"], HEAD, ["K1", "d", "x"]))
    error = refusal(tmp_path, data)
    assert "table.header_row = 2 (or 1)" in error.remedy
    assert read(tmp_path, data, table=TableForm(header_row=2))[0] == [("K1", "d", "x")]
    assert len(read(tmp_path, data, table=TableForm(header_row=1))[0]) == 2
    assert "blank or missing" in refusal(tmp_path, data, table=TableForm(header_row=9)).message


def test_a_table_may_begin_in_any_column(tmp_path):
    data = saved(book([], [None, None, *HEAD], [None, None, "K1", "d", "x"], ["note", None, "K2", "d", "x"]))
    rows, lines, rejections = read(tmp_path, data)
    assert (rows, lines) == ([("K1", "d", "x")], [3])
    assert [(one.line, one.code) for one in rejections] == [(4, "E101")]
    assert "cell A4" in rejections[0].message


ROWS = (HEAD, ["K1", "d", "x"], ["# a note"], ["K2", "d", "x"], [], ["Printed by ERP"], ["K3", "d", "x"])


@pytest.mark.parametrize(
    ("form", "lines"),
    [
        ({}, [2, 3, 4, 6, 7]),
        ({"end": ("",)}, [2, 3, 4]),
        ({"end": ("Printed*",)}, [2, 3, 4]),
        ({"skip": ("Printed by ERP",), "comment": "#"}, [2, 4, 7]),
        ({"skip": ("K*",)}, [3, 6]),
    ],
)
def test_where_the_table_ends_and_what_is_no_row_can_be_said(tmp_path, form, lines):
    assert read(tmp_path, saved(book(*ROWS)), table=TableForm(**form))[1] == lines


@pytest.mark.parametrize(("reference", "codes"), [("B2:B4", ["E125", "E125"]), ("B2", []), ("A1:B2", [])])
def test_what_a_formula_of_an_array_gives_is_no_number_that_somebody_typed(tmp_path, reference, codes):
    data = saved(book(HEAD, ["K1", "f", "x"], ["K2", 0, "x"], ["K3", 0, "x"], ["K4", 0, "x"]))
    formula = f'<c r="B2"><f t="array" ref="{reference}">A1:A3</f><v>5</v></c>'
    data = edited(data, SHEET, lambda text: re.sub(r'<c r="B2".*?</c>', formula, text))
    assert 'fullCalcOnLoad="1"' in members_of(data)["xl/workbook.xml"]
    rows, _, rejections = read(tmp_path, data)
    assert rows[-1] == ("K4", "0", "x")
    assert [one.code for one in rejections] == codes


def test_a_total_at_the_end_is_rejected_and_a_header_that_stands_again_refused_with_a_way(tmp_path):
    _, lines, rejections = read(tmp_path, saved(book(HEAD, ["K1", "d", "x"], ["Total", None, 1])))
    assert lines == [2]
    assert [(one.line, one.code) for one in rejections] == [(3, "E105")]
    data = saved(book(HEAD, ["K1", "d", "x"], HEAD, ["K2", "d", "x"]))
    error = refusal(tmp_path, data)
    assert (error.line, "table.skip = ['extended_id']" in error.remedy) == (3, True)
    assert read(tmp_path, data, table=TableForm(skip=("extended_id",)))[1] == [2, 4]


def test_cells_are_formed_as_declared_and_not_otherwise(tmp_path):
    data = saved(book([" extended_id", "day ", "x"], [" K1 ", " d\u00a0", "NULL"], ["K2", "d", '="007"']))
    data = edited(
        data,
        SHEET,
        lambda text: re.sub(r'<c r="C3".*?</c>', '<c r="C3" t="inlineStr"><is><t>="007"</t></is></c>', text),
    )
    rows, _, rejections = read(tmp_path, data)
    assert rows == [(" K1 ", " d\u00a0", "NULL")]
    assert [(one.line, one.code) for one in rejections] == [(3, "E108")]
    assert "table.unwrap = true" in rejections[0].message
    form = TableForm(trim="fields", null=("NULL",), unwrap=True)
    assert read(tmp_path, data, table=form)[0] == [(" K1 ", "d", ""), ("K2", "d", "007")]
    assert read(tmp_path, data, table=TableForm(trim="all", unwrap=False))[0][0] == ("K1", "d", "NULL")


def test_the_file_is_named_where_it_is_written_to(tmp_path):
    assert NAME in refusal(tmp_path, b"PK\x03\x04" + bytes(100)).message
