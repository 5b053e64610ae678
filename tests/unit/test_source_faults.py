"""Faults of files: each named with file, line and remedy; a row is rejected, a file in doubt is refused whole."""

from __future__ import annotations

import gzip
import io
import re

import pytest

from syncer.errors import SourceError
from syncer.source import CsvForm, open_sources


def write(folder, data, name="a.csv"):
    path = folder / name
    path.write_bytes(data)
    return str(path)


def read(name, form=CsvForm()):
    (source,) = open_sources([name], form)
    rejections, rows = [], []
    for chunk in source.chunks():
        rows += [tuple(row.values()) for row in chunk.columns.to_pylist()]
        rejections += [(row.line, row.code) for row in chunk.rejections]
    return rows, rejections


@pytest.mark.parametrize(
    ("data", "rejected", "rows"),
    [
        (b"a,b\n1,2\n3\n4,5\n", [(3, "E101")], [("1", "2"), ("4", "5")]),
        (b"a,b\n1,2,3\n4,5\n", [(2, "E101")], [("4", "5")]),
        (b'a,b\n5" pipe,x\n4,5\n', [(2, "E102")], [("4", "5")]),
        (b"a,b\n1,x\0y\n4,5\n", [(2, "E103")], [("4", "5")]),
        (b'a,b\n"l1\nl2",x\n3\n4,5\n', [(4, "E101")], [("l1\nl2", "x"), ("4", "5")]),
        (b"a,b\n\n1,2\n\n\n3\n", [(6, "E101")], [("1", "2")]),
        (b"a,b\r1,2\r3\r", [(3, "E101")], [("1", "2")]),
    ],
)
def test_a_damaged_row_is_rejected_with_its_line_and_all_others_are_read(tmp_path, data, rejected, rows):
    assert read(write(tmp_path, data)) == (rows, rejected)


@pytest.mark.parametrize(
    ("data", "line", "words"),
    [
        (b"", None, "empty"),
        (b"\n\n", None, "empty"),
        (b"a,a\n1,2\n", 1, "twice"),
        (b"a,,c\n1,2,3\n", 1, "column 2 of the header"),
        (b'a,b\n1,2\n"x,2\n3,4\n', 3, "never closed"),
        (b'a,b\n1,2\n"x"y,2\n3,4\n', 3, "follows the closing quote"),
        (b"a,b\n1,\xff\n", 2, "0xff"),
        (b'a,b\n"1\n2",3,4\n', 1, "row 1: 3 cells"),
        ("a,b\n1,2\n".encode("utf-16-le"), 1, "UTF-16"),
        (gzip.compress(b"a,b\n1,2\n" * 100, mtime=0)[:-9], None, "cut short"),
        (gzip.compress(b"a,b\n1,2\n" * 100, mtime=0)[:20] + b"\0" * 40, None, "damaged"),
        (b"a;b,c\n1;2,3\n4;5,6\n", 1, "comma or semicolon"),
    ],
)
def test_a_file_whose_structure_is_in_doubt_is_refused_whole(tmp_path, data, line, words):
    name = write(tmp_path, data)
    with pytest.raises(SourceError, match=words) as raised:
        read(name)
    assert raised.value.line == line
    assert name in raised.value.message
    assert raised.value.remedy


def test_a_file_of_rows_with_nuls_is_told_what_to_take_out(tmp_path):
    with pytest.raises(SourceError) as raised:
        read(write(tmp_path, b"a,b\n1,2\0\n3,4\0\n"))
    assert raised.value.remedy.startswith("take the NUL characters out")


def test_a_file_that_is_named_twice_is_known_whatever_leads_to_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = write(tmp_path, b"a,b\n1,2\n")
    (tmp_path / "link.csv").symlink_to("a.csv")
    for other in ("./a.csv", "link.csv", name):
        with pytest.raises(SourceError, match=re.escape(f"{other}: the file is named twice: a.csv is the same")):
            open_sources(["a.csv", other], CsvForm())
    for twice in ("a.csv", "-"):
        with pytest.raises(SourceError, match=rf"^{twice}: the file is named twice$"):
            open_sources([twice, twice], CsvForm(), stdin=io.BytesIO(b"a,b\n1,2\n"))
    write(tmp_path, b"a,b\n1,2\n", "b.csv")
    assert len(open_sources(["a.csv", "b.csv"], CsvForm())) == 2


def test_what_cannot_be_opened_is_said_with_its_name(tmp_path):
    for name in (str(tmp_path / "missing.csv"), str(tmp_path)):
        with pytest.raises(SourceError, match=name):
            open_sources([name], CsvForm())
    name = write(tmp_path, b"a,b\n1,2\n")
    with pytest.raises(SourceError, match="twice"):
        open_sources([name, name], CsvForm())


def test_a_file_that_changes_between_two_passes_is_noticed(tmp_path):
    name = write(tmp_path, b"a,b\n1,2\n")
    (source,) = open_sources([name], CsvForm())
    list(source.chunks())
    write(tmp_path, b"a,b\n1,3\n")
    with pytest.raises(SourceError, match="changed"):
        list(source.chunks())


def test_standard_input_is_read_twice_and_hashed_once():
    (source,) = open_sources(["-"], CsvForm(), stdin=io.BytesIO(b"a;b\n1;2,5\n"))
    first = [chunk.columns.to_pylist() for chunk in source.chunks()]
    assert first == [chunk.columns.to_pylist() for chunk in source.chunks()] == [[{"a": "1", "b": "2,5"}]]
    assert source.dialect.delimiter == ";"
    assert (source.info.rows, source.info.size_bytes, len(source.info.sha256)) == (1, 10, 64)
    source.close()


def test_declared_settings_win(tmp_path):
    name = write(tmp_path, "a;b,c\né;2,3\n".encode("cp1252"))
    assert read(name, CsvForm(encoding="cp1252", delimiter=";")) == ([("é", "2,3")], [])
    name = write(tmp_path, b'a,b\n5" x,y\n')
    assert read(name, CsvForm(quote="")) == ([('5" x', "y")], [])


def test_members_of_a_gzip_follow_each_other(tmp_path):
    name = write(tmp_path, gzip.compress(b"a,b\n1,2\n") + gzip.compress(b"3,4\n"))
    assert read(name)[0] == [("1", "2"), ("3", "4")]
