"""Files as ERP systems write them: each is read as it was meant, or refused with the setting that decides."""

from __future__ import annotations

import codecs
import gzip
import re
import tomllib
from contextlib import closing

import pytest

from syncer.errors import SourceError
from syncer.source import CsvForm, files, open_sources, reader, rows

TABLE = [("A1", "1,50"), ("A2", "2,00")]
PLAIN = "id;price\r\nA1;1,50\r\nA2;2,00\r\n"


def read(folder, data, form=CsvForm()):
    path = folder / "erp.csv"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    (source,) = open_sources([str(path)], form)
    taken, rejected = [], []
    with closing(source):
        for chunk in source.chunks():
            taken += list(zip(*(column.to_pylist() for column in chunk.columns), strict=True))
            rejected += [(row.line, row.code) for row in chunk.rejections]
    return source, taken, rejected


def refusal(folder, data, form=CsvForm()):
    with pytest.raises(SourceError) as raised:
        read(folder, data, form)
    return raised.value


@pytest.mark.parametrize(
    ("data", "form"),
    [
        (PLAIN.encode(), CsvForm()),
        (PLAIN.encode("utf-8-sig"), CsvForm()),
        (codecs.BOM_UTF16_LE + PLAIN.encode("utf-16-le"), CsvForm()),
        (codecs.BOM_UTF16_BE + PLAIN.encode("utf-16-be"), CsvForm()),
        (PLAIN.encode("utf-16-le"), CsvForm(encoding="utf-16-le")),
        (gzip.compress(PLAIN.encode(), mtime=0), CsvForm()),
        (PLAIN.replace("\r\n", "\n").encode(), CsvForm()),
        (PLAIN.replace("\r\n", "\r").encode(), CsvForm()),
        (PLAIN.rstrip().encode(), CsvForm()),
        (PLAIN.replace(";", "\t").encode(), CsvForm()),
        (PLAIN.replace(";", "|").encode(), CsvForm()),
        (PLAIN.encode() + b"\x1a", CsvForm()),
        (PLAIN.rstrip().encode() + b"\x1a" * 100, CsvForm()),
        (b'id;price\r\n"A1";"1,50"\r\nA2;"2,00"\x1a', CsvForm()),
        ((PLAIN + "\x1a").encode("utf-16"), CsvForm()),
        (b"sep=;\r\n" + PLAIN.encode(), CsvForm()),
        (b'"sep=;"\n' + PLAIN.encode(), CsvForm()),
        (PLAIN.replace("\r\n", "\r\n\r\n").encode(), CsvForm()),
        (PLAIN.replace("\r\n", ";\r\n").encode(), CsvForm()),
        (b"id;price\r\n\"A1\";'1,50'\r\nA2;2,00\r\n".replace(b"'", b'"'), CsvForm()),
        (PLAIN.encode().partition(b"\n")[2], CsvForm(header=("id", "price"), delimiter=";")),
        (PLAIN.replace("\r\n", ";\r\n").encode().partition(b"\n")[2], CsvForm(header=("id", "price", ""))),
        (b"Price list\r\nof 2026\r\n" + PLAIN.encode(), CsvForm(skip_lines=2)),
        (
            b"Id;Id\r\n" + PLAIN.encode().partition(b"\n")[2],
            CsvForm(header=("id", "price"), skip_lines=1, delimiter=";"),
        ),
        ((PLAIN + PLAIN.partition("A2")[0]).encode().replace(b"A1", b"A2", 2), None),
    ],
)
def test_one_table_in_the_forms_that_erps_give_it(tmp_path, data, form):
    if form is None:  # pages with a header each
        pages = PLAIN.replace("A2", "id;price\r\nA2")
        assert "stands here again" in refusal(tmp_path, pages).message
        source, taken, rejected = read(tmp_path, pages, CsvForm(repeated_header="skip"))
        assert "1 repeated header line" in source.warnings[0]
    else:
        source, taken, rejected = read(tmp_path, data, form)
    assert (source.header, taken, rejected) == (("id", "price"), TABLE, [])


def test_a_mark_for_the_end_is_content_anywhere_else(tmp_path):
    assert read(tmp_path, b"id;price\nA1;1\x1a\nA2;\x1a2\n\x1a")[1] == [("A1", "1\x1a"), ("A2", "\x1a2")]
    many = b"id;price\nA1;1\n" + b"\x1a" * (files.END_MARKS_MAX + 1)
    assert read(tmp_path, many)[2] == [(3, "E101")]
    assert read(tmp_path, many[:-1])[1:] == ([("A1", "1")], [])
    assert "is empty" in refusal(tmp_path, b"\x1a").message


@pytest.mark.parametrize("block_bytes", [1, 3, 16])
def test_a_mark_for_the_end_is_found_wherever_blocks_are_cut(tmp_path, monkeypatch, block_bytes):
    monkeypatch.setattr(files, "BLOCK_BYTES", block_bytes)
    assert read(tmp_path, PLAIN.replace("A1", "A\x1a1").encode() + b"\x1a" * 9)[1] == [("A\x1a1", "1,50"), TABLE[1]]


def test_cp1252_is_declared_never_guessed(tmp_path):
    data = "id;name\nA1;Größe\n".encode("cp1252")
    assert "encoding" in refusal(tmp_path, data).remedy
    assert read(tmp_path, data, CsvForm(encoding="cp1252"))[1] == [("A1", "Größe")]


@pytest.mark.parametrize(
    ("data", "words", "setting"),
    [
        ("a;b,c\n1;2,3\n", "comma or semicolon", "delimiter"),
        ("sep=,\n" + PLAIN, "most rows have another number|one column", "delimiter|skip_lines"),
        ("serial no\nA 1\nB 2\n", "one column, or columns separated by spaces", "delimiter"),
        ("Report\nid;name\nA1;x\nA2;y\n", "its rows have 2", "skip_lines"),
        ("A1;1\nA2;2\n", "may be data", "header"),
        ("id;\nA1;x\nA2;\n", None, None),
        ("id;;price\nA1;;2\n", "has no name", "header_row"),
        ("id;id\nA1;2\n", "twice", "header"),
        ("id;price\nA1;2;\nA2;3;\nA3;4;\n", "a delimiter more than the header", "header"),
        ("id;name\n'A1';'x'\n'A2';'y'\n", "apostrophes", "quote"),
        ('id;name\n"A1";"C:\\"\n"A2";"\\"x\\""\n', "backslash", "escape"),
        ("id;price\nA1;2\nA1;3;4\nA2;3;4\nA3;3;4\n", "most rows", "delimiter"),
        (PLAIN + "id;price\r\nA3;4\r\n", "stands here again", "repeated_header"),
        ('id;"price\nA1;2\n', "header is damaged", "quote"),
    ],
)
def test_two_possible_readings_are_refused_and_the_setting_is_named(tmp_path, data, words, setting):
    if words is None:  # a nameless last column is the end of every line; what stands in it is rejected, not dropped
        assert read(tmp_path, data)[1:] == ([("A2",)], [(2, "E101")])
        return
    error = refusal(tmp_path, data)
    assert any(word in error.message for word in words.split("|")), error.message
    assert any(word in error.remedy for word in setting.split("|")), error.remedy


def test_a_declared_form_decides_between_two_readings(tmp_path):
    assert read(tmp_path, "a;b,c\n1;2,3\n", CsvForm(delimiter=";"))[1] == [("1", "2,3")]
    assert read(tmp_path, "serial no\nA 1\n", CsvForm(delimiter=","))[1] == [("A 1",)]
    assert read(tmp_path, "id;name\n'A;1';'x'\n", CsvForm(quote="'"))[1] == [("A;1", "x")]
    assert read(tmp_path, "id;name\n'A1';'x'\n'A2';'y'\n", CsvForm(quote='"'))[1][0] == ("'A1'", "'x'")
    assert "sep=" in refusal(tmp_path, "sep=;\n" + PLAIN, CsvForm(delimiter=",")).message


def test_quotes_are_doubled_or_escaped_as_the_file_shows(tmp_path):
    source, taken, rejected = read(tmp_path, 'id;size\nA1;"5"" pipe; long"\n')
    assert (source.dialect.escape, taken, rejected) == ("", [("A1", '5" pipe; long')], [])
    source, taken, rejected = read(tmp_path, 'id;size\nA1;"5\\" pipe; long"\nA2;"C:\\\\x"\n')
    assert (source.dialect.escape, taken, rejected) == ("\\", [("A1", '5" pipe; long'), ("A2", "C:\\x")], [])


BACKSLASHES = [("A,1", "x"), ("A2\\", "C:\\new"), ("A\n3", "\\N"), ('A"4', "y")]


@pytest.mark.parametrize(
    ("written", "form"),
    [
        ('id,a\nA\\,1,x\nA2\\\\,C:\\new\nA\\\n3,\\N\n"A\\"4",y\n', CsvForm(escape="\\")),
        ('id,a\nA\\,1,x\nA2\\\\,C:\\new\nA\\\n3,\\N\n"A\\"4",y\n', CsvForm()),
        ('id\ta\nA,1\tx\nA2\\\\\tC:\\new\nA\\\n3\t\\N\nA"4\ty\n', CsvForm(delimiter="\t", quote="", escape="\\")),
        ('id||a\nA,1||x\nA2\\\\||C:\\new\nA\\\n3||\\N\n"A\\"4"||y\n', CsvForm(delimiter="||", escape="\\")),
    ],
)
def test_a_backslash_that_escapes_stands_before_delimiters_too(tmp_path, written, form):
    assert read(tmp_path, written, form)[1:] == (BACKSLASHES, [])


def test_a_backslash_that_escapes_nothing_is_part_of_the_text(tmp_path):
    paths = "id,a\nA1,C:\\new\\\nA2,\\\\server\\x\nA3,\\,\n"
    _, taken, rejected = read(tmp_path, paths)
    assert taken == [("A1", "C:\\new\\"), ("A2", "\\\\server\\x")]
    assert rejected == [(4, "E101")]


def test_cells_with_newlines_and_gigantic_cells_are_read_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "BLOCK_BYTES", 1 << 12)
    gigantic = "line; of text\r\n" * 20_000
    source, taken, rejected = read(tmp_path, f'id;note\r\nA1;"{gigantic}"\r\nA2;"x\ny"\r\n')
    assert (taken, rejected) == ([("A1", gigantic), ("A2", "x\ny")], [])
    assert source.info.rows == 2


def test_a_quote_that_is_never_closed_does_not_swallow_a_long_file(tmp_path, monkeypatch):
    monkeypatch.setattr(reader, "ROW_BYTES_MAX", 1 << 14)
    monkeypatch.setattr(files, "BLOCK_BYTES", 1 << 12)
    header = ";".join(f"c{place}" for place in range(9)) + "\n"
    lines = [f"K{number};" + ";".join(["x"] * 8) + "\n" for number in range(5000)]
    lines[100] = lines[100].replace(";x", ';"x', 1)
    _, taken, rejected = read(tmp_path, header + "".join(lines))
    assert rejected == [(102, "E102")]
    assert [row[0] for row in taken] == [f"K{number}" for number in range(5000) if number != 100]


def test_lines_behind_a_damaged_quote_are_no_rows_until_enough_of_them_parse(tmp_path):
    data = "id,note\n" + '1,"Dear Sir\nhello, you\nthe "best", of\nall"\n' + "".join(f"{n},x\n" for n in range(2, 30))
    _, taken, rejected = read(tmp_path, data)
    assert taken == [(str(n), "x") for n in range(2, 30)]
    assert rejected == [(2, "E102"), (3, "E104"), (4, "E104"), (5, "E104")]
    assert refusal(tmp_path, 'id,note\n1,2\n3,"4\n' + "x\n" * (rows.RESYNC_LINES_MAX + 1)).remedy


def test_a_delimiter_too_many_behind_every_row_is_refused_with_settings_that_read_it(tmp_path):
    data = 'id;"pr""ice"\r\nA1;1,50;\r\nA2;2,00;\r\n'
    error = refusal(tmp_path, data)
    settings = tomllib.loads("\n".join(re.findall(r"csv\.(\w+ = (?:\[.*?\]|\d+))", error.remedy)))
    form = CsvForm(header=tuple(settings["header"]), skip_lines=settings["skip_lines"])
    source, taken, _ = read(tmp_path, data, form)
    assert (source.header, taken) == (("id", 'pr"ice'), TABLE)


def test_totals_under_the_rows_are_rejected(tmp_path):
    assert read(tmp_path, PLAIN + "Total;3,50\r\n")[1:] == (TABLE, [(4, "E105")])
    assert read(tmp_path, PLAIN + "\r\n;Summe:\r\n")[1:] == (TABLE, [(5, "E105")])
    assert read(tmp_path, PLAIN + "Total;;3,50\r\n")[1:] == (TABLE, [(4, "E101")])
    assert read(tmp_path, PLAIN + "2 rows\r\n")[1:] == (TABLE, [(4, "E101")])
    assert read(tmp_path, "id;price\nTotal;1\nA2;2\n")[1:] == ([("Total", "1"), ("A2", "2")], [])


def test_a_truncated_last_line_is_rejected_or_at_least_noticed(tmp_path):
    assert read(tmp_path, PLAIN + "A3")[1:] == (TABLE, [(4, "E101")])
    assert read(tmp_path, PLAIN + 'A3;"4,')[1:] == (TABLE, [(4, "E102")])
    source, taken, _ = read(tmp_path, PLAIN + "A3;4")
    assert taken == [*TABLE, ("A3", "4")]
    assert "no line end" in source.warnings[0]
    assert read(tmp_path, PLAIN)[0].warnings == ()
    assert "cut short" in refusal(tmp_path, gzip.compress(PLAIN.encode() * 3)[:-4], CsvForm()).message


def test_too_many_damaged_rows_are_no_accident(tmp_path):
    def lines(damaged):
        return "id;a\n" + "".join(f"{n};x{';' * (n < damaged)}\n" for n in range(1000, 2000))

    text = lines(0).splitlines(keepends=True)
    for number in range(300, 401):
        text[number] = "short\n"
    error = refusal(tmp_path, "".join(text))
    assert "101 of 1,000 rows" in error.message
    assert error.line == 301
    assert "max_damaged_percent" in error.remedy
    assert len(read(tmp_path, "".join(text), CsvForm(max_damaged_percent=11))[2]) == 101
    assert len(read(tmp_path, "".join([*text[:320], *text[401:]]))[2]) == 20


def test_how_sure_a_detected_form_is_grows_with_its_rows_and_falls_with_their_damage(tmp_path):
    few, many = ("id;a\n" + "1;x\n" * rows for rows in (2, 200))
    damaged = many.replace("1;x\n", "1\n", 40)
    found = [read(tmp_path, text, CsvForm(max_damaged_percent=100))[0].dialect for text in (few, many, damaged)]
    assert found[0].confidence < found[1].confidence < 1
    assert found[2].confidence < found[1].confidence
    assert {form.delimiter for form in found} == {";"}
    assert read(tmp_path, few, CsvForm(delimiter=";"))[0].dialect.confidence == 1
    assert "as declared" in read(tmp_path, few, CsvForm(delimiter=";"))[0].form_note
