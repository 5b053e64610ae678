"""Text files as programs write them that people reported: read as what they are, or refused with a way that works."""

from __future__ import annotations

import codecs
import gzip
import io
import tarfile
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import opened, read, refusal

from syncer.errors import ConfigError
from syncer.rows.validate import RowRules, Validator
from syncer.source import CsvForm, TableForm
from syncer.source.encodings import reads_as_western
from syncer.source.reader import CsvSource

HEAD = "extended_id,note\n"


def text(written, encoding="utf-8"):
    return written.encode(encoding)


def keys(folder, data, **options):
    """The keys that would be sent, and the codes of all that would not."""
    with closing(opened(folder, data, **options)) as source:
        check = Validator(RowRules((source.header[0],)), source.header, "a")
        valid = [check.check(chunk) for chunk in source.chunks(check.wanted)]
    rejections = [one for chunk in valid for one in chunk.rejections]
    return [key for chunk in valid for key in chunk.keys[0].to_pylist()], [(one.line, one.code) for one in rejections]


# line ends


@pytest.mark.parametrize("tail", ["", "\r\nD92,z" * 30])
def test_a_line_end_of_another_kind_tears_its_row(tmp_path, tail):
    data = text(f"extended_id,note\r\nD90,see list:\nBOX7,five pieces\r\nD91,x{tail}\r\n")
    rows, lines, rejections = read(tmp_path, data)
    assert rows[0] == ("D91", "x")
    assert lines[0] == 4
    assert [(one.line, one.code) for one in rejections] == [(2, "E107")]
    quoted = data.replace(b"see list:\nBOX7,five pieces", b'"see list:\nBOX7,five pieces"')
    assert read(tmp_path, quoted)[0][0] == ("D90", "see list:\nBOX7,five pieces")


@pytest.mark.parametrize(
    ("written", "codes"),
    [
        ("extended_id,note\nA,x\rB,y\nC,z\n", ["E107"]),
        ("extended_id,note\rA,x\nB,y\rC,z\r", ["E107"]),
        ("extended_id,note\nA,x\r\nB,y\nC,z\n", []),
        ("extended_id,note\r\nA,x\rB,y\r\nC,z\r\n", ["E107"]),
    ],
)
def test_the_line_end_is_the_one_that_most_lines_have(tmp_path, written, codes):
    rows, _, rejections = read(tmp_path, text(written))
    assert rows[-1] == ("C", "z")
    assert [one.code for one in rejections] == codes


def test_two_files_with_two_line_ends_are_refused_and_read_when_that_is_said(tmp_path):
    data = text("extended_id,note\r\n" + "A,x\r\n" * 30 + "B,y\n" * 25 + "C,z\r\n" * 30)
    error = refusal(tmp_path, data)
    assert 'csv.newline = "any"' in error.remedy
    rows, _, rejections = read(tmp_path, data, form=CsvForm(newline="any"))
    assert (len(rows), rejections) == (85, [])


@pytest.mark.parametrize("size", [3, 300_000])
def test_a_return_too_many_in_every_line_end_is_no_line(tmp_path, size):
    data = text("extended_id,note\r\r\n" + "A,x\r\r\n" * size)
    rows, lines, rejections = read(tmp_path, data)
    assert (len(rows), lines[-1], rejections) == (size, size + 1, [])
    assert refusal(tmp_path, text("extended_id,note\r\r\nA,x\r\nB,y\r\r\n"))


# encodings


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "cp850"])
def test_what_is_utf_8_to_its_end_is_not_read_as_something_else(tmp_path, encoding):
    data = text(HEAD + "D1,x\n" * 300_000 + "D2,Zürich\n")
    error = refusal(tmp_path, data, form=CsvForm(encoding=encoding))
    assert 'encoding = "utf-8"' in error.remedy
    both = data + "D3,Köln\n".encode("cp1252")
    assert read(tmp_path, both, form=CsvForm(encoding=encoding))[0][-1][0] == "D3"


WORDS = [
    "Zürich",
    "10 m², 5 °C",
    "l’été – œuvre".replace("œ", "oe"),
    "ÄRGER",
    "Straße",
    "€ 5",
    "señor Núñez",
    "D’Ávila",
    "Öl",
]
OTHERS = {
    "cp850": "Köln", "cp437": "Zürich", "mac_roman": "Köln", "cp1250": "Łódź", "iso8859_2": "Łódź", "cp1251": "Москва",
    "koi8_r": "Москва", "shift_jis": "東京都", "gb18030": "北京市", "big5": "臺北市", "euc_kr": "서울시",
}  # fmt: skip


@pytest.mark.parametrize("word", WORDS)
def test_cp1252_is_advised_where_its_letters_stand(word):
    assert reads_as_western(f"K1,{word}\nK2,{word};x\n".encode("cp1252"))


@pytest.mark.parametrize(("encoding", "word"), OTHERS.items())
def test_an_encoding_that_would_make_other_letters_is_not_advised(tmp_path, encoding, word):
    data = f"extended_id,note\nA1,{word}\n".encode(encoding)
    error = refusal(tmp_path, data)
    assert "csv.encoding" in error.remedy
    assert "cp1252" not in error.remedy
    assert read(tmp_path, data, form=CsvForm(encoding=encoding))[0] == [("A1", word)]


@pytest.mark.parametrize(
    ("encoding", "written", "right"),
    [
        ("utf-8", "東京".encode("iso2022_jp"), "iso2022_jp"),
        ("gb2312", "镕".encode("gbk"), "gb18030"),
        ("shift_jis", "①髙".encode("cp932"), "cp932"),
        ("latin-1", b"5 \x80", "cp1252"),
        ("iso8859-2", b"\x8cl", "cp1250"),
    ],
)
def test_signs_that_no_text_of_the_encoding_has_are_refused_with_the_one_that_has_them(
    tmp_path, encoding, written, right
):
    data = text(HEAD) + b"D1," + written + b"\n"
    error = refusal(tmp_path, data, form=CsvForm(encoding=encoding))
    assert f'encoding = "{right}"' in error.remedy
    assert read(tmp_path, data, form=CsvForm(encoding=right))[0] == [("D1", written.decode(right))]


def test_letters_that_are_utf_8_by_chance_do_not_make_a_file_utf_8(tmp_path):
    data = "extended_id,防伪\nD1,中国\nD2,鹿\nD3,香港\n".encode("gbk")
    for of_whom in (data, data + text("D4,x\n" * 40)):
        assert "gb18030" in refusal(tmp_path, of_whom).remedy
    assert read(tmp_path, data, form=CsvForm(encoding="gb18030"))[0][1] == ("D2", "鹿")


@pytest.mark.parametrize("encoding", ["utf-32", "utf-32-le", "utf-32-be"])
def test_four_bytes_a_character_are_known_by_their_mark(tmp_path, encoding):
    mark = {"utf-32-le": codecs.BOM_UTF32_LE, "utf-32-be": codecs.BOM_UTF32_BE}.get(encoding, b"")
    data = mark + text(HEAD + "D1,ü\n", encoding)
    for form in (CsvForm(), CsvForm(encoding=encoding)):
        assert read(tmp_path, data, form=form)[0] == [("D1", "ü")]


def test_a_byte_that_is_not_of_the_encoding_rejects_its_row_alone(tmp_path):
    data = text("extended_id,city\nD1,Zürich\nD2,Bern\n") + b"D3,Orl\xe9ans\n" + text("D4,Genf\n")
    for form in (CsvForm(), CsvForm(encoding="utf-8")):
        rows, lines, rejections = read(tmp_path, data, form=form)
        assert (rows, lines) == ([("D1", "Zürich"), ("D2", "Bern"), ("D4", "Genf")], [2, 3, 5])
        assert [(one.line, one.code) for one in rejections] == [(4, "E106")]
        assert rejections[0].cells[0] == "D3"


def test_the_only_text_beyond_ascii_may_stand_far_behind_the_wrong_byte(tmp_path):
    data = text(HEAD) + b"D1,Orl\xe9ans\n" + (b"D2," + b"x" * 96 + b"\n") * 20_000 + text("D3,Zürich\n")
    for packed in (data, gzip.compress(data, 1)):
        rows, _, rejections = read(tmp_path, packed)
        assert rows[-1] == ("D3", "Zürich")
        assert [(one.line, one.code) for one in rejections] == [(2, "E106")]


def test_a_file_in_another_encoding_is_refused_with_a_setting_that_reads_it(tmp_path):
    data = text("extended_id,city\nD1,Zürich\nD2,Orléans\n", "cp1252")
    error = refusal(tmp_path, data)
    assert 'encoding = "cp1252"' in error.remedy
    assert read(tmp_path, data, form=CsvForm(encoding="cp1252"))[0] == [("D1", "Zürich"), ("D2", "Orléans")]


def test_a_byte_that_the_declared_encoding_lacks_rejects_its_row(tmp_path):
    rows, _, rejections = read(tmp_path, text(HEAD) + b"D1,a\x81b\nD2,x\n", form=CsvForm(encoding="cp1252"))
    assert (rows, [(one.line, one.code) for one in rejections]) == ([("D2", "x")], [(2, "E106")])


def test_a_text_that_is_cut_within_a_character_loses_its_last_row_alone(tmp_path):
    rows, _, rejections = read(tmp_path, text(HEAD + "D1,ü\nD2,ü")[:-1])
    assert (rows, [(one.line, one.code) for one in rejections]) == ([("D1", "ü")], [(3, "E106")])


@pytest.mark.parametrize(
    ("mark", "declared", "right"),
    [
        (codecs.BOM_UTF8, "cp1252", "utf-8"),
        (codecs.BOM_UTF8, "utf-16-le", "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-8", "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-le", "utf-16-be"),
    ],
)
def test_a_mark_that_contradicts_what_is_declared_is_refused_with_what_it_says(tmp_path, mark, declared, right):
    data = mark + text(HEAD + "D1,ü\n", right)
    error = refusal(tmp_path, data, form=CsvForm(encoding=declared))
    assert f'"{right}"' in error.remedy
    for form in (CsvForm(), CsvForm(encoding=right)):
        assert read(tmp_path, data, form=form)[0] == [("D1", "ü")]


@pytest.mark.parametrize("right", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_several_bytes_a_character_without_a_mark_are_refused_with_their_order(tmp_path, right):
    data = text(HEAD + "D1,x\n", right)
    for form in (CsvForm(), CsvForm(encoding="utf-16"), CsvForm(encoding="utf-32")):
        error = refusal(tmp_path, data, form=form)
        assert f'encoding = "{right}"' in error.remedy
    assert read(tmp_path, data, form=CsvForm(encoding=right))[0] == [("D1", "x")]
    assert read(tmp_path, text(HEAD + "D1,x\n", "utf-16"), form=CsvForm(encoding="utf-16"))[0] == [("D1", "x")]


def test_a_text_of_two_bytes_a_character_that_is_cut_is_not_advised_to_be_another(tmp_path):
    assert "copy" in refusal(tmp_path, text("\ufeff" + HEAD + "D1,x\n", "utf-16-le") + b"A").remedy


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("lone", ["\ud83d", "\ude00\ud83d"])
def test_half_a_character_of_several_bytes_rejects_its_row_alone(tmp_path, encoding, lone):
    lines = HEAD + f"D1,x\nD2,a{lone}b\nD3,😀\n"
    for data, form in (
        (("\ufeff" + lines).encode(encoding, "surrogatepass"), CsvForm()),
        (lines.encode(encoding, "surrogatepass"), CsvForm(encoding=encoding)),
    ):
        rows, _, rejections = read(tmp_path, data, form=form)
        assert (rows, [(one.line, one.code) for one in rejections]) == ([("D1", "x"), ("D3", "😀")], [(3, "E106")])
        cut = refusal(tmp_path, data + b"A", form=form)  # nobody knows what is missing
        assert "copy" in cut.remedy


def test_a_byte_that_windows_takes_for_a_letter_of_japan_and_nobody_has_rejects_its_row(tmp_path):
    data = text(HEAD + "D1,東京\nD2,①\nD3,", "cp932") + b"\xff\nD4,\xa0\n"
    _, lines, rejections = read(tmp_path, data, form=CsvForm(encoding="cp932"))
    assert (lines, [(one.line, one.code) for one in rejections]) == ([2, 3], [(4, "E106"), (5, "E106")])


def test_what_is_no_text_of_several_bytes_a_character_is_refused_as_a_whole(tmp_path):
    data = ("\ufeff" + HEAD + "D1,x\n" + "\ud83d," * 9).encode("utf-16-le", "surrogatepass")
    assert "copy" in refusal(tmp_path, data).remedy


def test_a_file_that_is_filled_up_with_nothing_is_no_utf_16(tmp_path):
    rows, _, rejections = read(tmp_path, text(HEAD + "D1,x\n") + bytes(40))
    assert (rows, [one.line for one in rejections]) == ([("D1", "x")], [3])


@pytest.mark.parametrize("encoding", ["cp037", "cp500", "cp1140"])
def test_the_lines_of_a_mainframe_are_lines(tmp_path, encoding):
    data = text((HEAD + "D1,x\nD2,y\n").replace("\n", "\x85"), encoding)
    assert read(tmp_path, data, form=CsvForm(encoding=encoding))[:2] == ([("D1", "x"), ("D2", "y")], [2, 3])


@pytest.mark.parametrize("end", ["\x85", "\u2028", "\x1e", "\x0b"])
def test_a_line_end_that_nobody_has_is_no_part_of_a_name(tmp_path, end):
    error = refusal(tmp_path, text((HEAD + "D1,x\nD2,y\n").replace("\n", end)))
    assert "control character" in error.message


# marks of files that were put together


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_mark_between_two_files_is_no_part_of_a_key(tmp_path, newline):
    first = "extended_id,note\nDEMO1,x\n" + "DEMO9,z\n" * 12
    data = text((first + "\ufeffDEMO2,y\nDEMO3,y\n").replace("\n", newline), "utf-8-sig")
    found, rejected = keys(tmp_path, data)
    assert ("DEMO1" in found, "DEMO3" in found) == (True, True)
    assert rejected == [(15, "E203")]
    again = text((first + "\ufeffextended_id,note\nDEMO3,y\n").replace("\n", newline))
    assert "stands here again" in refusal(tmp_path, again).message
    assert ("DEMO3", "y") in read(tmp_path, again, form=CsvForm(repeated_header="skip"))[0]


# where the table stands


TITLES = "Export of the night;;\n;printed;31.01.2026\n\n"
TABLE = "extended_id;note;x\nD1;a;b\nD2;c;d\n"


@pytest.mark.parametrize("key", [None, ["extended_id"], ["note"]])
@pytest.mark.parametrize("titles", [TITLES, "Export of the night\n", "one, two, three, four\n\n\n"])
def test_the_header_is_found_below_titles_by_the_key(tmp_path, titles, key):
    rows, lines, _ = read(tmp_path, text(titles + TABLE), key=key)
    assert rows == [("D1", "a", "b"), ("D2", "c", "d")]
    assert lines[0] == titles.count("\n") + 2


def test_a_title_that_may_be_the_header_is_refused_and_either_can_be_named(tmp_path):
    data = text("Nummer;Notiz;X\n" + TABLE)
    error = refusal(tmp_path, data)
    assert "table.header_row = 2 (or 1)" in error.remedy
    assert len(read(tmp_path, data, table=TableForm(header_row=2))[0]) == 2
    assert len(read(tmp_path, data, table=TableForm(header_row=1))[0]) == 3
    assert "blank or missing" in refusal(tmp_path, data, table=TableForm(header_row=9)).message


ROWS = HEAD + 'K1,x\n# don\'t, "count\nK2,x\n\nPrinted by ERP,1\nK3,x\nTotal,3\nsome "words\n'


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("form", "found"),
    [
        ({"comment": "#", "end": ("Total",)}, ["K1", "K2", "Printed by ERP", "K3"]),
        ({"comment": "#", "end": ("",)}, ["K1", "K2"]),
        ({"comment": "#", "end": ("Printed*",)}, ["K1", "K2"]),
        ({"comment": "#", "end": ("Total",), "skip": ("Printed by *",)}, ["K1", "K2", "K3"]),
    ],
)
def test_where_the_table_ends_and_what_is_no_row_can_be_said(tmp_path, form, found, end):
    data = text(ROWS.replace("\n", end))
    rows, _, rejections = read(tmp_path, data, table=TableForm(**form))
    assert ([row[0] for row in rows], rejections) == (found, [])


@pytest.mark.parametrize(
    "form", [{"skip": ("Page *",)}, {"end": ("Page 9*",), "skip": ("Page *",)}, {"comment": "Page"}]
)
def test_rows_that_are_left_out_are_found_among_megabytes_of_plain_ones(tmp_path, form):
    rows = [f"K{number},{number % 7:096}\n" for number in range(20_000)]
    for number in (0, 7_000, 15_000):
        rows[number] = f"Page {number},of 3\n"
    found, lines, rejections = read(tmp_path, text(HEAD + "".join(rows)), table=TableForm(**form))
    assert (len(found), len(set(lines)), rejections) == (19_997, 19_997, [])
    assert not any(key.startswith("Page") for key, _ in found)


def test_a_table_that_ended_is_hashed_to_its_end(tmp_path):
    data = text(HEAD + "K1,x\nTotal,1\n" + 'behind it,"\n' * 200_000)
    with closing(opened(tmp_path, data, table=TableForm(end=("Total",)))) as source:
        assert sum(len(chunk.lines) for chunk in source.chunks()) == 1
        assert source.info.size_bytes == len(data)
        assert source.info.rows == 1


def test_rows_of_separators_alone_are_none(tmp_path):
    data = text("extended_id;a;b\n;;\nD1;x;y\n" + "D2;x;y\n" * 40 + ";;\n" * 3)
    rows, _, rejections = read(tmp_path, data)
    assert (len(rows), rejections) == (41, [])


TOTALS = [
    "Total", "Total: 12", "Grand total", "Summe", "gesamt 4.711,00", "*** Total ***", "Итого", "合計", "Total général",
    "Ergebnis", "--- Ende der Liste ---", "TRAILER", "Ende", "Processed 3 rows", "1", "汇总",
    "Insgesamt", "3 rows", "(3 rows affected)", "3 record(s) selected.", "Total rows: 3", "Anzahl: 3", "Count: 3", "EOF",
    "-- END --", "<Ende>", "End of report", "***", "-----",
]  # fmt: skip
KEYS = ["END0001", "Totalis", "3rows", "EOF1", "1-2", "Summe-7", "12", "*7", "Ende der Welt", "count", "end", "Ende"]


@pytest.mark.parametrize("word", KEYS)
def test_a_key_that_only_resembles_a_total_is_none(tmp_path, word):
    assert read(tmp_path, text(f"extended_id;note\nD1;x\n{word};y\n"))[0][-1] == (word, "y")


@pytest.mark.parametrize("word", TOTALS)
def test_a_total_at_the_end_is_rejected_and_can_be_declared(tmp_path, word):
    data = text(f"extended_id;note\nD1;x\n{word};\n")
    assert [(one.line, one.code) for one in read(tmp_path, data)[2]] == [(3, "E105")]
    if not word.startswith("*"):
        assert read(tmp_path, data, table=TableForm(end=(word[:2] + "*",))) == ([("D1", "x")], [2], [])


@pytest.mark.parametrize("row", ["TRL;2;", "trailer;;0000002", ";END;3"])
def test_a_trailer_with_the_number_of_rows_is_no_key(tmp_path, row):
    read_rows, _, rejections = read(tmp_path, text(f"extended_id;lot;x\nD1;7;a\nD2;8;b\n{row}\n"))
    assert (len(read_rows), [(one.line, one.code) for one in rejections]) == (2, [(4, "E105")])


@pytest.mark.parametrize("row", ["TRL;9;", "TRL;2;b", "99;0000002;", "D3;2;"])
def test_a_key_beside_a_number_of_rows_stays_one(tmp_path, row):
    assert len(read(tmp_path, text(f"extended_id;lot;x\nD1;7;a\nD2;8;b\n{row}\n"))[0]) == 3


def test_the_last_row_is_looked_at_where_each_line_is_a_row(tmp_path):
    fixed = text("extended_idlot\nA1         001\nTotal      1  \n")
    rows, _, rejections = read(tmp_path, fixed, form=CsvForm(widths=(11, 3)))
    assert (rows, [(one.line, one.code) for one in rejections]) == ([("A1", "001")], [(3, "E105")])
    rows, _, rejections = read(tmp_path, text("extended_id\nA1\nA2\nTotal\n"))
    assert (rows, [(one.line, one.code) for one in rejections]) == ([("A1",), ("A2",)], [(4, "E105")])
    numbered = text("extended_id,lot\n" + "".join(f"{n},\n" for n in range(1, 5)))
    assert len(read(tmp_path, numbered)[0]) == 4  # the last key is no count of rows


@pytest.mark.parametrize("again", ["EXTENDED_ID,Lot", "lot,extended_id"])
def test_a_header_that_stands_again_in_other_letters_is_no_key(tmp_path, again):
    data = text(f"extended_id,lot\nA1,1\n{again}\nA2,lot\n")
    assert keys(tmp_path, data) == (["A1", "A2"], [(3, "E109")])
    assert keys(tmp_path, data, table=TableForm(skip=(again.split(",")[0],))) == (["A1", "A2"], [])


# cells


def test_a_text_written_as_a_formula_is_sent_as_it_stands_when_that_is_said(tmp_path):
    data = text('extended_id,note\n="001",="a"\nD2,="b"c"\n')
    rows, _, rejections = read(tmp_path, data, table=TableForm(unwrap=False))
    assert (rows, [one.line for one in rejections]) == ([('="001"', '="a"')], [3])


def test_two_marks_before_a_file_are_no_part_of_a_name(tmp_path):
    with closing(opened(tmp_path, text("\ufeff\ufeffextended_id,note\nD1,x\n"))) as source:
        assert source.header == ("extended_id", "note")


def test_spaces_around_quotes_are_no_content_when_that_is_said(tmp_path):
    data = text('"extended_id", "market"\n"D1", "DE"\n"D2" ,"FR" \n')
    error = refusal(tmp_path, data)
    assert "table.trim" in error.message + error.remedy
    with closing(opened(tmp_path, data, table=TableForm(trim="fields"))) as source:
        assert source.header == ("extended_id", "market")
        assert [tuple(row.values()) for chunk in source.chunks() for row in chunk.columns.to_pylist()] == [
            ("D1", "DE"),
            ("D2", "FR"),
        ]


def test_a_name_with_white_space_around_it_is_never_sent(tmp_path):
    data = text("extended_id, market\nD1, DE\n")
    with closing(opened(tmp_path, data)) as source, pytest.raises(ConfigError, match="white space") as raised:
        Validator(RowRules(("extended_id",)), source.header, "a")
    assert "table.trim" in raised.value.message + raised.value.remedy
    assert keys(tmp_path, data, table=TableForm(trim="fields")) == (["D1"], [])
    assert read(tmp_path, data, table=TableForm(trim="fields"))[0] == [("D1", "DE")]


SAP = "|extended_id |market |\n|------------|-------|\n|D1          |DE     |\n|D2          |FR     |\n"


def test_lists_with_padded_cells_and_rulers_are_read_when_trimmed(tmp_path):
    assert keys(tmp_path, text(SAP), table=TableForm(trim="all")) == (["D1", "D2"], [])
    assert keys(tmp_path, text(SAP), table=TableForm(trim="fields"))[1] == [(3, "E202"), (4, "E202")]
    framed = "Dynamic list\n\n---------------------\n" + SAP + "---------------------\n"
    rows, _, rejections = read(tmp_path, text(framed), table=TableForm(trim="all", end=("---*",)))
    assert (rows, rejections) == ([("D1", "DE"), ("D2", "FR")], [])


def test_a_ruler_under_the_header_is_no_row(tmp_path):
    data = text("extended_id;market\n-----------;------\nD1;DE\n")
    assert read(tmp_path, data)[:2] == ([("D1", "DE")], [3])


def test_a_cell_before_the_first_name_rejects_its_row(tmp_path):
    rows, _, rejections = read(tmp_path, text("|extended_id|market|\n|D1|DE|\nx|D2|FR|\n" + "|D3|FR|\n" * 20))
    assert len(rows) == 21
    assert [(one.line, one.code) for one in rejections] == [(3, "E101")]


def test_short_rows_are_blank_at_their_end_when_that_is_said(tmp_path):
    data = text("extended_id;a;b\n" + "D1;x\nD2;x;y\n" * 30 + "D3\n")
    assert "short_rows" in refusal(tmp_path, data).message
    rows, _, rejections = read(tmp_path, data, table=TableForm(short_rows="fill"))
    assert (rows[0], rows[1], rows[-1], rejections) == (("D1", "x", ""), ("D2", "x", "y"), ("D3", "", ""), [])
    long = text("extended_id;a;b\n" + "D1;x\n" * 30 + "D2;x;y;z\n")
    assert [one.code for one in read(tmp_path, long, table=TableForm(short_rows="fill"))[2]] == ["E101"]


def test_words_that_mean_nothing_are_empty_cells(tmp_path):
    data = text("extended_id;a;b\nD1;NULL;\\N\nD2;null;NULLs\nNULL;x;y\n")
    assert read(tmp_path, data, table=TableForm(null=("NULL", "\\N")))[0] == [
        ("D1", "", ""), ("D2", "null", "NULLs"), ("", "x", "y"),
    ]  # fmt: skip


@pytest.mark.parametrize("cell", ['="00123"', '"=""00123"""'])
def test_a_text_written_as_a_formula_is_unwrapped_when_that_is_said_and_never_sent_as_it_stands(tmp_path, cell):
    data = text(f"extended_id,a\n{cell},{cell}\n" + "D1,x\n" * 30)
    rows, _, rejections = read(tmp_path, data)
    assert (len(rows), [(one.line, one.code) for one in rejections]) == (30, [(2, "E108")])
    assert "table.unwrap = true" in rejections[0].message
    assert read(tmp_path, data, table=TableForm(unwrap=True))[0][0] == ("00123", "00123")
    whole = text("extended_id,a\n" + f"{cell},x\n" * 30)
    if cell.startswith("="):
        assert "table.unwrap = true" in refusal(tmp_path, whole).message
    assert len(read(tmp_path, whole, table=TableForm(unwrap=True))[0]) == 30


# separators


@pytest.mark.parametrize("delimiter", ["||", "|~|", "^", "~", "\x01", "\x1f", "§"])
@pytest.mark.parametrize("declared", [True, False])
def test_uncommon_separators_are_found_by_the_key_or_declared(tmp_path, delimiter, declared):
    data = text(f'extended_id{delimiter}note\nD1{delimiter}x, y; z\nD2{delimiter}"q{delimiter}r"\n')
    form = CsvForm(delimiter=delimiter) if declared else CsvForm()
    assert read(tmp_path, data, form=form)[0] == [("D1", "x, y; z"), ("D2", f"q{delimiter}r")]


def test_columns_of_fixed_width_are_cut_where_they_are_said_to_be(tmp_path):
    written = "extended_idmarketnote \nD1         DE    first\nD2            FR\n\nD3         Ü\n"
    form = CsvForm(widths=(11, 6, 5))
    rows, lines, rejections = read(tmp_path, text(written), form=form)
    assert (rows, lines) == ([("D1", "DE", "first"), ("D2", "FR", ""), ("D3", "Ü", "")], [2, 3, 5])
    assert rejections == []
    tabs = text("extended_idmarketnote \nD1         D\t   first\nD2         FR         \n")
    assert [(one.line, one.code) for one in read(tmp_path, tabs, form=form)[2]] == [(2, "E101")]
    long = text("extended_idnote\n" + "D1         x\n" * 30 + "D2         abcdefgh\n")
    assert [(one.line, one.code) for one in read(tmp_path, long, form=CsvForm(widths=(11, 4)))[2]] == [(32, "E101")]
    named = text("D1         DE    x\n")
    assert read(tmp_path, named, form=CsvForm(widths=(11, 6, 5), header=("id", "a", "b")))[0] == [("D1", "DE", "x")]


WRITERS = {
    "characters": len,
    "bytes": lambda cell: len(cell.encode()),
    "places": lambda cell: sum(2 if sign > "\u3000" else sign != "\u0308" for sign in cell),
}


@given(
    cells=st.lists(st.tuples(st.text("aü漢", max_size=3), st.sampled_from(["x", "", "u\u0308", "漢"])), min_size=1),
    counted=st.sampled_from([*WRITERS]),
)
def test_who_counts_bytes_or_places_never_has_letters_in_the_wrong_column(tmp_path_factory, cells, counted):
    """Lines are of one length for who wrote them; a plain line comes first, as a header does."""
    width = WRITERS[counted]
    listed = [(f"D{n}", *row) for n, row in enumerate(cells)]
    lines = ["".join(cell + " " * (9 - width(cell)) for cell in row) for row in [("id", "a", "b"), *listed]]
    form = CsvForm(widths=(9,) * 3, max_damaged_percent=100)
    rows, _, rejections = read(tmp_path_factory.mktemp("w"), "\n".join(lines).encode(), form=form)
    assert set(rows) <= set(listed)
    assert len(rows) + len(rejections) == len(listed)
    if counted == "characters":  # a sign of two places and one of none may come to the same
        assert all({"漢", "\u0308"} <= set("".join(listed[one.line - 2])) for one in rejections)
    assert {one.code for one in rejections} <= {"E101"}


@pytest.mark.parametrize("width", [3001, 20_000])
def test_a_header_may_be_wider_than_any_sample(tmp_path, width):
    names = ["extended_id", *(f"a_column_with_a_name_{place:06d}" for place in range(width - 1))]
    row = ",".join(["D1", *["x"] * (width - 1)]) + "\n"
    data = text(",".join(names) + "\n" + row * 4)
    with closing(opened(tmp_path, data)) as source:
        assert isinstance(source, CsvSource)
        assert source.header == tuple(names)
        assert sum(len(chunk.lines) for chunk in source.chunks(["extended_id"])) == 4


# what is packed, and what is no text


def test_what_gunzip_reads_is_read(tmp_path):
    data = text(HEAD + "D1,x\n")
    for tail in (bytes(512), bytes(512) + gzip.compress(b"D2,y\n"), gzip.compress(b"D2,y\n")):
        rows = read(tmp_path, gzip.compress(data) + tail)[0]
        assert rows[0] == ("D1", "x")
        assert len(rows) == 1 + (len(tail) != 512)


def tar():
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        info = tarfile.TarInfo("a.csv")
        info.size = 4
        archive.addfile(info, io.BytesIO(b"a,b\n"))
    return made.getvalue()


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (tar(), "tar archive"),
        (gzip.compress(tar(), mtime=0), "tar archive"),
        (b"BZh91AY&SY", "bzip2"),
        (b"PARE\x00\x01", "encrypted Parquet"),
        (b"\xfd7zXZ\x00\x00", "xz"),
        (b"7z\xbc\xaf\x27\x1c", "7z"),
        (b"Rar!\x1a\x07\x00", "RAR"),
        (b"%PDF-1.7\n", "PDF"),
        (b"\r\n <!DOCTYPE html><html><table>", "HTML"),
        (b"\xef\xbb\xbf<table><tr><td>", "HTML"),
        ("<html>".encode("utf-16"), "HTML"),
        (b'<?xml version="1.0"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet">', "XML spreadsheet"),
        (b'<?xml version="1.0"?><rows/>', "XML document"),
        (b'[{"extended_id": "D1"}]', "JSON array"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old format"),
        (b"\x09\x08\x10\x00\x00\x06", "old format"),
        (b"SQLite format 3\x00", "SQLite"),
        (b"{\\rtf1", "RTF"),
    ],
)
def test_a_file_of_another_kind_is_named_for_what_it_is(tmp_path, data, named):
    assert named in refusal(tmp_path, data + bytes(40)).message
