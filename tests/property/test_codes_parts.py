"""Files of own codes: whatever they hold, good rows go out once, unaltered, in parts within the limit."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sampling import examples

from syncer.codes.checking import check_file
from syncer.codes.parts import PartsWriter, file_fault
from syncer.codes.reading import CodesFile
from syncer.codes.rules import ID_PATTERN
from syncer.errors import SourceError

IDS = st.text("abAB01-_", min_size=8, max_size=9)
CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r", exclude_categories=("Cs", "Cc")), max_size=12)
ROWS = st.lists(st.tuples(IDS | st.text("ab é.", max_size=9), CELLS, st.sampled_from(["", "0", "2", "3"])), max_size=40)


def unknown(asked):
    return iter(())


def check(file, **settings):
    chosen = {"products": None, "known": unknown, "allow_duplicates": False, "on_rows": lambda rows: None, **settings}
    return check_file(file, **chosen)


def write(folder, filetype, rows):
    path = Path(folder) / f"in.{filetype}"
    if filetype == "csv":
        with path.open("w", newline="", encoding="utf-8") as handle:
            writer = csv.writer(handle)
            writer.writerow(("id", "note", "activation_status"))
            writer.writerows(rows)
    else:
        listed = [dict(zip(("id", "note", "activation_status"), row, strict=True)) for row in rows]
        path.write_text(json.dumps(listed, ensure_ascii=False, indent=1), encoding="utf-8")
    return str(path)


def sent(folder, parts, filetype):
    """What the API would read from the parts."""
    found = []
    for part in parts:
        text = (folder / part.spool).read_bytes().decode("utf-8")
        listed = (
            json.loads(text) if filetype == "json" else list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
        )
        assert len(listed) == part.codes
        found += [tuple(one[name] for name in ("id", "note", "activation_status")) for one in listed]
    return found


@pytest.mark.parametrize("filetype", ["csv", "json"])
@settings(max_examples=examples(60))
@given(rows=ROWS, limit=st.integers(150, 900), allow=st.booleans())
def test_good_rows_go_out_once_unaltered_in_order_and_every_part_fits(filetype, rows, limit, allow):
    import re

    if filetype == "csv":  # a line of separators alone is no row
        rows = [row for row in rows if any(row)]
        while rows and sum(bool(cell.strip()) for cell in rows[-1]) == 1 and "".join(rows[-1]).strip().isdigit():
            rows.pop()  # the number of rows, alone in the last one, is none
    with tempfile.TemporaryDirectory() as folder:
        file = CodesFile(write(folder, filetype, rows))
        checked = check(file, allow_duplicates=allow)
        valid = [bool(re.fullmatch(ID_PATTERN[1:-1], row[0])) and row[2] in {"", "0", "1", "2"} for row in rows]
        ids = [row[0] for row, good in zip(rows, valid, strict=True) if good]
        if allow:
            seen: set[str] = set()
            good = [ok and not (row[0] in seen or seen.add(row[0])) for row, ok in zip(rows, valid, strict=True)]
        else:
            good = [ok and ids.count(row[0]) == 1 for row, ok in zip(rows, valid, strict=True)]
        assert checked.good.tolist() == good
        assert checked.rows == len(rows)
        assert checked.rejected + checked.ignored + sum(good) == len(rows)
        with PartsWriter(file, Path(folder) / "spool", "s", limit=limit) as writer:
            recorded = list(writer.rows(checked))
        expected = [row for row, ok in zip(rows, good, strict=True) if ok]
        assert sent(Path(folder) / "spool", writer.parts, filetype) == expected
        assert [code for code, *_ in recorded] == [row[0] for row in expected]
        assert [json.loads(data).get("note", "") for *_, data in recorded] == [row[1] for row in expected]
        for part in writer.parts:
            assert part.size_bytes <= limit
            assert part.size_bytes == (Path(folder) / "spool" / part.spool).stat().st_size
            assert file_fault(Path(folder) / "spool" / part.spool, part.sha256) is None
            assert (Path(folder) / "spool" / part.spool).stat().st_mode & 0o777 == 0o600
        file.close()


def test_parts_are_as_full_as_they_can_be(tmp_path):
    rows = [(f"code{n:06d}", "x" * 20, "1") for n in range(5000)]
    file = CodesFile(write(tmp_path, "csv", rows))
    with PartsWriter(file, tmp_path / "spool", "s", limit=20_000) as writer:
        list(writer.rows(check(file)))
    width = writer.parts[0].size_bytes / writer.parts[0].codes
    assert all(part.size_bytes > 20_000 - 2 * width for part in writer.parts[:-1])
    file.close()


def test_a_row_that_is_longer_than_a_part_is_refused_with_its_line(tmp_path):
    file = CodesFile(write(tmp_path, "csv", [("code000001", "", ""), ("code000002", "y" * 500, "")]))
    with (
        PartsWriter(file, tmp_path / "spool", "s", limit=300) as writer,
        pytest.raises(SourceError, match=r"in\.csv:3"),
    ):
        list(writer.rows(check(file)))
    file.close()


def test_lines_are_physical_lines_in_both_kinds(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('id,note\nabcd1234,"two\nlines"\nbad,x\n')
    (reject,) = check(CodesFile(str(path))).rejects
    assert (reject.line, reject.code, reject.id) == (4, "E601", "bad")
    path = tmp_path / "a.json"
    path.write_text('\n[\n {"id": "abcd1234"},\n {"id": "abcd1235",\n  "n": 1.5},\n\n {"id": "bad"}, 7]\n')
    found = [(one.line, one.code) for one in check(CodesFile(str(path))).rejects]
    assert found == [(4, "E606"), (7, "E601"), (7, "E606")]


@pytest.mark.parametrize(
    "text", ["", "{", "{}", '{"id": "abcd1234"}', "[1", '[{"id": "abcd1234"}', '[{"id": "abcd1234"},]', "[] []", "[}", '["a" "b"]', "nope"]
)  # fmt: skip
def test_json_that_is_no_list_of_objects_is_refused(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(SourceError):
        check(CodesFile(str(path)))


@pytest.mark.parametrize("cut", [1, 2, 3, 7, 50])
def test_json_reads_the_same_however_its_bytes_are_cut(tmp_path, monkeypatch, cut):
    from syncer.codes import reading

    listed = [{"id": f"abcd{n:04d}", "n": 10**n, "t": 'é"\\中'} for n in range(20)]
    path = tmp_path / "a.json"
    path.write_text(json.dumps(listed, ensure_ascii=False, indent=2), encoding="utf-8-sig")
    monkeypatch.setattr(reading, "READ_BYTES", cut)
    found = [text for block in CodesFile(str(path)).blocks() for text in block.objects]
    assert [json.loads(text) for text in found] == listed


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "id,x\nabcd1234,é\n".encode("cp1252")), ("a.json", b'[{"id": "abcd1234\xff"}]'),
        ("a.csv", b"ID,x\nabcd1234,1\n"), ("a.csv", b"id,product_id\nabcd1234,1\n"), ("a.csv", b"id,id\nabcd1234,1\n"),
    ],
)  # fmt: skip
def test_other_encodings_and_headers_are_refused(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SourceError) as caught:
        check(CodesFile(str(path)))
    assert name in caught.value.message


def test_a_byte_order_mark_and_semicolons_do_not_reach_the_api(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("\ufeffid;note\r\nabcd1234;a,b\r\n".encode())
    file = CodesFile(str(path))
    with PartsWriter(file, tmp_path / "spool", "s", limit=10_000) as writer:
        list(writer.rows(check(file)))
    text = (tmp_path / "spool" / writer.parts[0].spool).read_text(encoding="utf-8")
    assert list(csv.reader(io.StringIO(text))) == [["id", "note"], ["abcd1234", "a,b"]]


def test_products_and_earlier_uploads(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("id,product\nabcd1234,sku1\nabcd1235,other\nabcd1236,\nabcd1237,sku1\n")

    def known(asked):
        yield asked.filter(np.array([code == "abcd1237" for code in asked.to_pylist()])), np.array([5])

    found = check(CodesFile(str(path)), products=frozenset({"sku1"}), known=known)
    assert [(one.line, one.code) for one in found.rejects] == [(3, "E605"), (5, "E603")]
    assert "upload 5" in found.rejects[1].message
    assert found.good.tolist() == [True, False, True, False]
