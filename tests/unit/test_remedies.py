"""Whatever a refusal, a rejection or a note advises is tried on the very file: it is read right, or says another thing.

The setting is taken out of the text that people see, with its value where the text gives one. A text of the sources
that names a setting and stands in no case here fails the last test.
"""

from __future__ import annotations

import ast
import gzip
import re
import sqlite3
import tomllib
from contextlib import closing
from pathlib import Path

from reading import outcome, parquet, zipped
from workbooks import book, saved

import syncer

TOLD = object()
"""The value is the one that the text gives."""
GONE = object()
"""The setting is taken out again."""


def told(text, setting):
    """Return the value that a text gives for a setting: what TOML reads behind its name."""
    found = re.search(rf"jobs\.(?:<name>|j)\.{re.escape(setting)} = ", text)
    assert found, (setting, text)
    for end in range(len(text), found.end(), -1):
        try:
            return tomllib.loads(f"x = {text[found.end() : end]}")["x"]
        except tomllib.TOMLDecodeError:
            continue
    raise AssertionError(text)


def names(text, setting):
    """Tell whether a text names a setting: whole, or by its last word behind the name of another one."""
    section, _, last = setting.rpartition(".")
    return f".{setting}" in text or f"[jobs.<name>.{setting}]" in text or (
        f"jobs.<name>.{section}" in text and re.search(rf"\b{last}\b", text) is not None
    )  # fmt: skip


ID = {"key": "id"}
DAMAGED = "id,a\n" + "".join(f"{n},x{',' * (n % 7 == 0)}\n" for n in range(700))
BOOK = saved(book(["id", "a"], ["A1", "x"], Two=[["id", "a"], ["B1", "y"]]))
EMPTY_FIRST = saved(book(Two=[["id", "a"], ["B1", "y"]]))
OUTSIDE = saved(book(["id", "a"], ["A1", "x", "?"]))
NOT_SURE = saved(book(["id", "a", "weight"], ["A1", "x", 1.5]))
NO_NAMES = saved(book(["A1", 1.5], ["A2", 2.5]))
AGAIN = saved(book(["id", "a"], ["A1", "x"], ["id", "a"], ["A2", "y"]))
TWO_HEADERS = "Nummer;Notiz\nid;a\nA1;x\n"
ROW = ["A1/x"]
HIDDEN = book(["no"], Two=[["id", "a"], ["A1", "x"]])
HIDDEN.active.sheet_state = "hidden"
HIDDEN = saved(HIDDEN)
MERGED = book(["id", "pallet", "no"], ["A1", "P1", "1"], ["A2", None, "2"], ["A3", "P2"])
MERGED.active.merge_cells("B2:B3")
MERGED = saved(MERGED)
UTF16 = "id,a\nA1,x\n".encode("utf-16-le")
EAST = "id,a\nA1," + "東京" * 90 + "\n"
MAPPED = {"columns": {"id": "id", "a": "a"}, **ID}
ERP = {"source.url": "sqlite:///{folder}/erp.db", "key": "id"}

CASES = [
    # what is packed
    (zipped(x="id,a\nA1,x\n", y="id,a\nA2,x\n"), ID, "member", TOLD, ["A1/x", "A2/x"]),
    (zipped(x="id,a\nA1,x\n", y="id,a\nA2,x\n"), {**ID, "member": "z"}, "member", TOLD, ["A1/x", "A2/x"]),
    (zipped(x="id,a\nA1,x\n", X="id,a\nA2,x\n"), {**ID, "member": "x.*"}, "member", TOLD, ["A2/x", "A1/x"]),
    ("id,a\nA1,x\n", {**ID, "member": "*"}, "member", GONE, ROW),
    # encodings
    ("\ufeffid,a\nA1,x\n", {**ID, "csv.encoding": "cp1252"}, "csv.encoding", "utf-8", ROW),
    ("\ufeffid,a\nA1,x\n", {**ID, "csv.encoding": "cp1252"}, "csv.encoding", GONE, ROW),
    ("id,a\nA1,ü\n".encode("cp1252"), ID, "csv.encoding", TOLD, ["A1/ü"]),
    ("id,a\nA1,Zürich\n".encode("cp850"), ID, "csv.encoding", "cp850", ["A1/Zürich"]),
    ("id,a\nA1,Zürich\n", {**ID, "csv.encoding": "cp1252"}, "csv.encoding", TOLD, ["A1/Zürich"]),
    (gzip.compress("id,a\nA1,ü\n".encode("cp1252")), ID, "csv.encoding", TOLD, ["A1/ü"]),
    (UTF16, ID, "csv.encoding", TOLD, ROW),
    (UTF16, {**ID, "csv.encoding": "utf-16"}, "csv.encoding", TOLD, ROW),
    (b"\xff\xfe" + UTF16, {**ID, "csv.encoding": "utf-32"}, "csv.encoding", "utf-16", ROW),
    (EAST.encode("utf-16-be"), {**ID, "csv.encoding": "utf-16"}, "csv.encoding", TOLD, [EAST[5:-1].replace(",", "/")]),
    (EAST.encode("utf-16-le"), {**ID, "csv.encoding": "utf-16"}, "csv.encoding", TOLD, [EAST[5:-1].replace(",", "/")]),
    ("id,a\nA1,x\n", {**ID, "csv.encoding": "utf-16-le"}, "csv.encoding", GONE, ROW),
    (UTF16, {**ID, "csv.encoding": "utf-16-be"}, "csv.encoding", TOLD, ROW),
    (UTF16, {**ID, "csv.encoding": "utf-32-le"}, "csv.encoding", TOLD, ROW),
    ("id,a\nA1,x\n".encode("utf-32-le"), {**ID, "csv.encoding": "utf-16-le"}, "csv.encoding", TOLD, ROW),
    ("id,a\x85A1,x\x85".encode("cp037"), {**ID, "csv.encoding": "latin-1"}, "csv.encoding", "cp037", ROW),
    ("id,a\x85A1,x\x85".encode("cp1026"), {**ID, "csv.encoding": "latin-1"}, "csv.encoding", "cp1026", ROW),
    ("id,a\nA1,東京\n".encode("iso2022_jp"), ID, "csv.encoding", TOLD, ["A1/東京"]),
    # delimiters, quotes, line ends
    ("id,a\nA1,x,\nA2,y,\n", ID, "csv", {"csv.header": ["id", "a", ""], "csv.skip_lines": 1}, ["A1/x", "A2/y"]),
    ("id;a,b\nA1;2,3\n", ID, "csv.delimiter", ";", ["A1/2,3"]),
    ("id;a,b\nA1;2,3\n", {"key": "id;a"}, "csv.delimiter", TOLD, ["A1;2/3"]),
    ("id;a,b\nA1;2,3\n", {"key": "id;a"}, "csv.delimiter", ",", ["A1;2/3"]),
    ("sep=,\nid;a\nA1;x\n", {**ID, "csv.delimiter": ";"}, "csv.delimiter", ",", "--key"),
    ("sep=;\nid;a\nA1;x\n", {**ID, "csv.delimiter": ","}, "csv.delimiter", GONE, ROW),
    ("id a\nA1 x\n", ID, "csv.delimiter", " ", ROW),
    ("id a\nA1 x\n", {"key": "id a"}, "csv.delimiter", TOLD, "no column to send"),
    ("id a\nA1 x\n", ID, "csv.widths", [3, 1], ROW),
    ("id  a\nA1  x\nA2  y\n", ID, "csv.widths", TOLD, ["A1/x", "A2/y"]),
    ("id  a\nA1  x\nA2  y\n", {"key": "id  a"}, "csv.delimiter", TOLD, "no column to send"),
    ("A1 x y\n", {**ID, "csv.header": ["id", "a", "b"]}, "csv.delimiter", " ", ["A1/x/y"]),
    ("A1 x\n", {**ID, "csv.header": ["id", "a"], "csv.widths": [3]}, "csv.widths", [3, 1], ROW),
    ("A1 x\n", {**ID, "csv.header": ["id", "a", "b"], "csv.widths": [3, 1]}, "csv.header", ["id", "a"], ROW),
    ("id,a\nA1;x\nA2;x\n", ID, "csv.header", ["id", "a"], ["A1/x", "A2/x"]),
    ("id,a\n'A1',\"x\n'A2',\"y\n", ID, "csv.quote", "", ["'A1'/\"x", "'A2'/\"y"]),
    ("id;a\n'A1';'x'\n'A2';'y'\n", ID, "csv.quote", TOLD, ["A1/x", "A2/y"]),
    ("id;a\n'A1';'x'\n'A2';'y'\n", ID, "csv.quote", '"', ["'A1'/'x'", "'A2'/'y'"]),
    ('id;a\n"A1";"C:\\"\n"A2";"\\"x\\""\n', ID, "csv.escape", TOLD, "damaged"),
    ('id;a\n"A1";"C:\\"\n"A2";"\\""\n', ID, "csv.escape", "", ["A1/C:\\"]),
    ('id;"a\nA1;x\n', ID, "csv.quote", "", ["A1/x"]),
    ("id,a\n" + "A1,x\n" * 300 + "," * 100_001 + "\n", ID, "csv.delimiter", ";", "--key"),
    ("id,a\n" + "A1,x\n" * 300 + 'A2,"y\n' + "z\n" * 1100, ID, "csv.quote", TOLD, "damaged"),
    ("id,a\r\n" + "A1,x\r\n" * 30 + "A1,x\n" * 25, ID, "csv.newline", TOLD, ["A1/x"] * 55),
    ("id,a\x0bA1,x\x0b", ID, "csv.delimiter", ";", "control character"),
    ("id,a\r\nA1,x\nA2,y\r\n", ID, "csv.newline", TOLD, ["A1/x", "A2/y"]),
    # rows
    (DAMAGED, ID, "csv.max_damaged_percent", 100, [f"{n}/x" for n in range(700) if n % 7]),
    ("id,a\n" + "A1\n" * 3, ID, "table.short_rows", "fill", ["A1/"] * 3),
    ("id,a,b\n" + "A1,x,y\n" * 9 + "A2,x\n", ID, "table.short_rows", TOLD, ["A1/x/y"] * 9 + ["A2/x/"]),
    ('"id", "a"\n"A1", "x"\n', ID, "table.trim", TOLD, ROW),
    ('id,a\nA1,x\n"A2", "y"\n', ID, "table.trim", TOLD, ["A1/x", "A2/y"]),
    ("id, a\nA1,x\n", ID, "table.trim", TOLD, ROW),
    (" id | a \n----+---\n A1 | x \n", ID, "table.trim", TOLD, ROW),
    ("extended_id | a \nA1 | x \n", {}, "table.trim", TOLD, ROW),
    ('id,a\n="A1",x\n', ID, "table.unwrap", TOLD, ROW),
    ('id,a\nA0,x\nA0,x\n="A1",x\n', ID, "table.unwrap", TOLD, ["A0/x", "A0/x", "A1/x"]),
    ('id,a\n"=""A1""",x\n', ID, "table.unwrap", TOLD, ROW),
    ("id,a\nA1,x\nid,a\nA2,x\n", ID, "csv.repeated_header", TOLD, ["A1/x", "A2/x"]),
    (AGAIN, ID, "table.skip", ["id"], ["A1/x", "A2/y"]),
    # where the header stands
    ("Report\nid;a\nA1;x\nA2;x\n", {}, "table.header_row", 2, "--key"),
    ("Report\nid;a\nA1;x\nA2;x\n", {}, "csv.skip_lines", 1, "--key"),
    ("id,a\nA1,x\n", {**ID, "csv.skip_lines": 9}, "csv.skip_lines", 0, ROW),
    ("A1,1\nA2,2\n", ID, "csv.header", ["id", "a"], ["A1/1", "A2/2"]),
    ("Id,1\nA1,1\nA2,1\n", ID, "csv", {"csv.header": ["id", "a"], "csv.skip_lines": 1}, ["A1/1", "A2/1"]),
    (TWO_HEADERS, ID, "table.header_row", TOLD, ROW),
    (TWO_HEADERS, {**ID, "table.header_row": 9}, "table.header_row", 2, ROW),
    (saved(book(["no", "x"], ["id", "a"], ["A1", "x"])), ID, "table.header_row", TOLD, ROW),
    (BOOK, {**ID, "table.header_row": 9}, "table.header_row", 1, ROW),
    (NO_NAMES, ID, "csv.header", ["id", "a"], "E122"),
    ("x;y\n" * 60 + "id;a\nA1;x\n", {**ID, "csv.delimiter": ";"}, "table.header_row", 61, ROW),
    ("extended_id a\n----------- -\nK1          x\nK2          y\n", {}, "csv.widths", [12, 1], ["K1/x", "K2/y"]),
    # columns
    ("id,a,a\nA1,x,y\n", ID, "columns", {"id": "id", "a (column 2)": "a"}, ROW),
    ("id,,a\nA1,y,x\n", ID, "columns", MAPPED["columns"], ROW),
    ("t,,u\nid,z,a\nA1,y,x\n", {"key": "t"}, "table.header_row", 2, "--key"),
    (",id,a\n0,A1,x\n1,A2,x\n2,A3,x\n", ID, "columns", MAPPED["columns"], ["A1/x", "A2/x", "A3/x"]),
    ("id,a,\nA1,x,y\nA2,x,\nA3,x,\n", ID, "columns", MAPPED["columns"], ["A1/x", "A2/x", "A3/x"]),
    (OUTSIDE, ID, "columns", MAPPED["columns"], ROW),
    (NOT_SURE, ID, "columns", MAPPED["columns"], ROW),
    (parquet(id=["A1"], a=["x"], weight=[1.5]), ID, "columns", MAPPED["columns"], ROW),
    ("serial,a\nA1,x\n", {}, "key", "serial", ROW),
    ("serial,a\nA1,x\n", ID, "key", "serial", ROW),
    ("id,a,status\nA1,x,1\n", ID, "columns", MAPPED["columns"], ROW),
    ("id,a\nA1,x\n", {**ID, "columns": {"b": "b"}}, "columns", MAPPED["columns"], ROW),
    ("id,a\nA1,x\n", {**ID, "expect": "n"}, "expect", 24, ROW),
    ("id,a\nA1,x\n", {**ID, "fields.a.from": "b"}, "fields.a.from", "a", ROW),
    ("id,a,b\nA1,x,y\n", {**ID, "fields.c.pad": 3}, "fields", GONE, ["A1/x/y"]),
    ("id,a\nA1,x\n", {**ID, "constants": {"a": "y"}}, "constants", GONE, ROW),
    ("Report\nid;a\nA1;x\n", {"csv.delimiter": ","}, "csv.delimiter", ";", "most rows|--key"),
    ("id,a,b\nA1,x,y\n", {**ID, "columns": {"id": "id", "a": "c", "b": "c"}}, "columns", {"id": "id", "a": "c"}, ROW),
    ("id,a,b\nA1,x,y\n", {**MAPPED, "fields.a.from": "b"}, "columns", {"id": "id"}, ["A1/y"]),
    # JSON lines
    (
        '{"id": "A1", "a": "x"}\n' * 10_000 + '{"id": "A1", "a": "x", "new": 1}\n', ID, "columns", MAPPED["columns"],
        ROW * 10_001,
    ),
    # sheets
    (BOOK, {**ID, "csv.delimiter": ";"}, "csv.delimiter", GONE, ROW),
    (EMPTY_FIRST, ID, "sheet", "Two", ["B1/y"]),
    (BOOK, {**ID, "sheet": "Tow"}, "sheet", "Two", ["B1/y"]),
    (HIDDEN, ID, "sheet", "Two", ROW),
    (b"SQLite format 3\0" + bytes(99), ID, "source", {**ERP, "source.query": "SELECT id, a FROM t"}, ROW),
    (MERGED, ID, "table.merged", TOLD, ["A1/1/P1", "A2/2/P1", "A3//P2"]),
    ("id,a\nA1,x\n", {**ID, "table.merged": "fill"}, "table.merged", GONE, ROW),
    # queries
    (None, {**ERP, "source.query": "DELETE FROM t"}, "source.query", "SELECT id, a FROM t", ROW),
    (None, {**ERP, "source.query": "SELECT id, z FROM t"}, "source", {"source.query": "SELECT id, a FROM t"}, ROW),
    (
        None, {**ERP, "source.query": "SELECT id, w FROM t"}, "source.query",
        "SELECT id, CAST(w AS TEXT) AS w FROM t", ["A1/1.5"],
    ),
    (
        None, {**ERP, "source.url": "postgresql://u:p@ss@host/x", "source.query": "SELECT id, a FROM t"},
        "source", ERP, ROW,
    ),
    (
        None, {**ERP, "source.url": "no address", "source.query": "SELECT id, a FROM t"}, "source.url",
        ERP["source.url"], ROW,
    ),
    (
        None, {**ERP, "source.url": "sqlite:///file:{folder}/erp.db%3Fmode=rw", "source.query": "SELECT id, a FROM t"},
        "source.url", ERP["source.url"], ROW,
    ),
]  # fmt: skip


def with_folder(declared, folder):
    return {
        name: value.replace("{folder}", str(folder)) if isinstance(value, str) else value
        for name, value in declared.items()
    }


def tried(folder, data, start, setting, value, then):
    """Return all that is said before and after the advice is followed; fail where it does not help."""
    start = with_folder(start, folder)
    _, said = outcome(folder, data, start)
    text = "\n".join(said)
    assert said, "nothing was said"
    assert names(text, setting), text
    declared = dict(start)
    if isinstance(value, dict) and setting in {"csv", "source"}:
        declared |= value
    else:
        declared[setting] = told(text, setting) if value is TOLD else value
    if value is GONE:
        declared = {name: one for name, one in declared.items() if not name.startswith(setting)}
    rows, now_said = outcome(folder, data, with_folder(declared, folder))
    if isinstance(then, str):
        assert any(part in "\n".join(now_said) for part in then.split("|")), now_said
        assert now_said != said
    else:
        assert rows == then, now_said
    return "\n".join([text, *now_said])


def test_what_every_refusal_advises_helps_and_no_advice_is_untried(tmp_path):
    with closing(sqlite3.connect(tmp_path / "erp.db")) as base:
        base.execute("CREATE TABLE t (id, a, w)")
        base.execute("INSERT INTO t VALUES ('A1', 'x', 1.5)")
        base.commit()
    seen, failed = [], []
    for number, case in enumerate(CASES):
        try:
            seen.append(tried(tmp_path, *case))
        except AssertionError as error:
            failed.append(f"{number}: {case}: {error}")
    assert failed == []
    text = "\n".join(seen).replace("jobs.j.", "jobs.<name>.")
    untried = [place for place, pattern in advice() if not re.search(pattern, text)]
    assert "\n".join(untried) == ""


TEXTS = [*(Path(syncer.__file__).parent / "source").rglob("*.py"), Path(syncer.__file__).parent / "rows" / "columns.py"]


def advice():
    """Every text of the sources that names a setting, as a pattern of what people see."""
    for path in TEXTS:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        statements = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if id(node) in inside or id(node) in statements:
                continue
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                parts = [node.value]
            elif isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else None for part in node.values]
            else:
                continue
            if "jobs." in "".join(part or "" for part in parts):
                pattern = ".*".join("" if part is None else re.escape(part) for part in parts)
                yield f"{path.name}:{node.lineno} {pattern}", pattern.replace(r"jobs\..*\.", r"jobs\.<name>\.")


def test_no_refusal_of_a_source_is_without_a_way():
    for path in TEXTS:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "SourceError":
                assert any(one.arg in {"remedy", "next"} for one in node.keywords), f"{path.name}:{node.lineno}"
