"""Each line of the table in docs/sources.md is tried: with its setting a file of that kind gives the same two rows."""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from decimal import Decimal
from pathlib import Path

import pytest
from reading import outcome, parquet, zipped
from workbooks import book, saved

PAGE = (Path(__file__).parents[2] / "docs" / "sources.md").read_text(encoding="utf-8")
TWO = ["D1/a", "D2/b"]
HEAD = "extended_id,lot\n"
ROWS = "D1,a\nD2,b\n"
SHEETS = saved(book(["nothing"], Export=[["extended_id", "lot"], ["D1", "a"], ["D2", "b"]]))
MERGED = book(["extended_id", "lot"], ["D1", "a"], ["D2", None], ["D3", "b"])
MERGED.active.merge_cells("B2:B3")
WIDE = "extended_id lot\nD1          a\nD2          b\n"

FILES = {
    "titles above the header": ("Night of 31.1.\n\n" + HEAD + ROWS, TWO),
    "two rows that may be the header": ("Nummer,Charge\n" + HEAD + ROWS, TWO),
    "no header row": (ROWS, TWO),
    "a total, notes or signatures below the table": (HEAD + ROWS + "Total 2,\nchecked by,me\n", TWO),
    "page headers and rulers": (HEAD + "D1,a\nPage 2,\n---,---\nD2,b\n", TWO),
    "the header once more": (HEAD + "D1,a\n" + HEAD + "D2,b\n", TWO),
    "comments": ("# made by ERP\n" + HEAD + "D1,a\n# half\nD2,b\n", TWO),
    "blank rows, rows of delimiters alone": (HEAD + "\nD1,a\n,\nD2,b\n,\n", TWO),
    "rows that end before the last column": (HEAD + "D1,a\nD2\n", ["D1/a", "D2/"]),
    "cells filled up with spaces, a space before a quote": ('extended_id ,lot\nD1  , "a"\nD2  ,b \n', TWO),
    "words for nothing": (HEAD + "D1,a\nD2,NULL\n", ["D1/a", "D2/"]),
    "texts written as `=\"00123\"`": (HEAD + '="D1",="a"\n="D2","=""b"""\n', TWO),
    "columns without a name, or two of one name": ("extended_id,lot,,x,x\nD1,a,1,2,3\nD2,b,4,5,6\n", TWO),
    "several characters between cells": (HEAD.replace(",", "||") + ROWS.replace(",", "||"), TWO),
    "columns of fixed width": (WIDE, TWO),
    "a backslash before a delimiter in a cell": (HEAD + "D1,a\\,c\nD2,b\n", ["D1/a,c", "D2/b"]),
    "lines that end in several ways": (HEAD + "D1,a\rD2,b\n", TWO),
    "letters as Windows writes them": ((HEAD + "D1,ä\nD2,b\n").encode("cp1252"), ["D1/ä", "D2/b"]),
    "one byte that is not of the encoding": ((HEAD + "D1,ä\nD2,b\n").encode() + b"D3,\xe4\n", ["D1/ä", "D2/b"]),
    "several files in a ZIP file, and what macOS adds": (
        zipped(**{"a": HEAD + "D1,a\n", "b": HEAD + "D2,b\n", "__MACOSX/._a": "x"}), TWO,
    ),
    "the table on another sheet": (SHEETS, TWO),
    "cells of a sheet that are merged over rows": (saved(MERGED), ["D1/a", "D2/a", "D3/b"]),
    "Ctrl-Z at the end of a text": (HEAD + ROWS + "\x1a", TWO),
    "times at midnight, whole decimals, bytes, an index of pandas (Parquet)": (
        parquet(
            extended_id=[b"D1", b"D2"], day=[dt.datetime.fromisoformat("2026-01-31")] * 2, n=[Decimal(5)] * 2,
            __index_level_0__=[0, 1],
        ),
        ["D1/2026-01-31/5", "D2/2026-01-31/5"],
    ),
}  # fmt: skip


def lines():
    """Each line of the table: what is in the file, and the settings that its first code gives."""
    table = PAGE.partition("| in the file | setting |")[2].partition("\n\n")[0]
    for line in table.splitlines()[2:]:
        what, setting = re.fullmatch(r"\| (.*?) \| (.*) \|", line).groups()
        code = re.match(r"`([^`]+)`", setting)
        found = tomllib.loads(code[1]) if code else {}
        name = code[1].partition(" = ")[0] if code else ""
        for part in name.split(".") if name else ():
            found = found[part]
        yield what, {name: found} if name else {}


LINES = dict(lines())


def test_every_line_has_a_file_and_every_file_a_line():
    assert [*LINES] == [*FILES]


@pytest.mark.parametrize("what", FILES)
def test_the_setting_of_a_line_reads_its_file(tmp_path, what):
    data, rows = FILES[what]
    assert outcome(tmp_path, data, LINES[what])[0] == rows
    if LINES[what]:
        assert outcome(tmp_path, data, {}) != (rows, [])
