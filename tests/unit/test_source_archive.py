"""Packed files: what is in them comes back whole; what is cut, damaged, doubled, encrypted or a bomb is refused."""

from __future__ import annotations

import gzip
import io
import random
import sys
import tomllib
import zipfile
from contextlib import closing

import pytest
import zstandard

from syncer.errors import SourceError
from syncer.source import CsvForm, archive, open_sources

TEXT = "a,b\n" + "".join(f"{number},x{random.Random(number).random()}\n" for number in range(5000))


def zst(data):
    return zstandard.ZstdCompressor().compress(data)


def zipped(*members, method=zipfile.ZIP_DEFLATED):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as file:
        for name, content in members:
            file.writestr(name, content)
    return data.getvalue()


def one(data):
    return zipped(("export.csv", data))


PACK = {"gz": gzip.compress, "zst": zst, "zip": one}


def read(folder, data, name="a.csv"):
    (folder / name).write_bytes(data)
    (source,) = open_sources([str(folder / name)], CsvForm())
    with closing(source):
        return [tuple(row.values()) for chunk in source.chunks() for row in chunk.columns.to_pylist()]


def refusal(folder, data):
    with pytest.raises(SourceError) as raised:
        read(folder, data)
    assert raised.value.remedy
    return str(raised.value)


@pytest.mark.parametrize("kind", PACK)
def test_what_is_packed_comes_back_whole_whatever_its_name(tmp_path, kind):
    rows = read(tmp_path, TEXT.encode())
    assert len(rows) == 5000
    assert read(tmp_path, PACK[kind](TEXT.encode())) == rows
    (source,) = open_sources(["-"], CsvForm(), stdin=io.BytesIO(PACK[kind](TEXT.encode())))
    with closing(source):
        assert sum(len(chunk.lines) for chunk in source.chunks()) == 5000


def test_frames_and_members_follow_each_other_and_a_folder_or_shadow_is_no_member(tmp_path):
    rows = read(tmp_path, TEXT.encode())
    half = len(TEXT) // 2
    first, second = TEXT[:half].encode(), TEXT[half:].encode()
    assert read(tmp_path, zst(first) + zst(second)) == rows
    for kind in (0x50, 0x5F):  # pzstd begins a file so
        assert read(tmp_path, bytes([kind]) + b"\x2a\x4d\x18\x04\0\0\0abcd" + zst(first) + zst(second)) == rows
    assert read(tmp_path, gzip.compress(first) + gzip.compress(second)) == rows
    assert (
        read(
            tmp_path,
            zipped(
                ("out/", b""),
                ("out/a.csv", TEXT),
                ("__MACOSX/._a.csv", b"x"),
                ("out/.DS_Store", b"x"),
                ("Thumbs.db", b"x"),
            ),
        )
        == rows
    )


@pytest.mark.parametrize("kind", ["gz", "zst"])
def test_a_file_cut_anywhere_is_refused(tmp_path, kind):
    data = PACK[kind](TEXT.encode())
    for size in range(5, len(data), len(data) // 20):
        assert "cut short" in refusal(tmp_path, data[:size])


@pytest.mark.parametrize("kind", PACK)
def test_a_damaged_file_is_refused(tmp_path, kind):
    data = bytearray(PACK[kind](TEXT.encode()))
    data[len(data) // 2] ^= 0xFF
    if kind == "zst":  # its frames have no checksum unless the writer asks for one
        data = bytearray(zstandard.ZstdCompressor(write_checksum=True).compress(TEXT.encode()))
        data[-1] ^= 0xFF
    assert "damaged" in refusal(tmp_path, bytes(data))
    if kind == "zip":
        assert "damaged" in refusal(tmp_path, bytes(data)[:-30])


def test_a_zip_file_has_exactly_one_readable_member(tmp_path):
    assert "several files (2: a.csv, b.csv)" in refusal(tmp_path, zipped(("a.csv", "a,b\n"), ("b.csv", "a,b\n")))
    assert "no file" in refusal(tmp_path, zipped())
    assert "unusual" in refusal(tmp_path, zipped(("a.csv", TEXT), method=zipfile.ZIP_BZIP2))
    locked = bytearray(one(TEXT))
    locked[6] |= 1
    locked[locked.rindex(b"PK\x01\x02") + 8] |= 1
    assert "encrypted" in refusal(tmp_path, bytes(locked))


SEVERAL = (
    ("out/b.csv", "a,b\n3,4\n"), ("out/a.csv", "a,b\n1,2\n"), ("README.txt", "read me"), (".DS_Store", b"x"),
    ("__MACOSX/._a.csv", b"x"),
)  # fmt: skip


@pytest.mark.parametrize("piped", [False, True])
@pytest.mark.parametrize(("member", "found"), [("*.csv", ["a", "b"]), ("a.csv", ["a"]), ("out/b*", ["b"])])
def test_the_members_that_count_are_the_parts_of_one_export(tmp_path, member, found, piped):
    path = tmp_path / "export.zip"
    path.write_bytes(zipped(*SEVERAL))
    name, stdin = ("-", io.BytesIO(path.read_bytes())) if piped else (str(path), None)
    sources = open_sources([name], CsvForm(), member=member, stdin=stdin)
    for _ in range(2):
        rows = [row for source in sources for chunk in source.chunks() for row in chunk.columns.to_pylist()]
        assert rows == [{"a": "1", "b": "2"} if one == "a" else {"a": "3", "b": "4"} for one in found]
    assert [source.name for source in sources] == [f"{name}: out/{one}.csv" for one in found]
    assert [source.position for source in sources] == [*range(len(found))]
    assert len({source.info.sha256 for source in sources}) == 1
    for source in sources:
        source.close()


def test_a_member_that_there_is_not_or_twice_is_refused_with_those_that_there_are(tmp_path):
    path = tmp_path / "export.zip"
    path.write_bytes(zipped(*SEVERAL))
    with pytest.raises(SourceError, match=r"no file like 'c\*'.*\(3: out/b.csv, out/a.csv, README.txt\)"):
        open_sources([str(path)], CsvForm(), member="c*")
    with pytest.warns(UserWarning, match="Duplicate name"):
        path.write_bytes(zipped(*SEVERAL, SEVERAL[0]))
    with pytest.raises(SourceError, match="two files of one name"):
        open_sources([str(path)], CsvForm(), member="b.csv")


@pytest.mark.parametrize("member", [None, "*.csv", "x/*"])
@pytest.mark.parametrize("data", ["A.CSV", "in/export.Csv", "a[1].dat", 'a"b.txt'])
def test_the_member_to_declare_is_one_that_is_there(tmp_path, data, member):
    path = tmp_path / "export.zip"
    path.write_bytes(zipped((data, "a,b\n1,2\n"), ("readme.txt", "read me")))
    with pytest.raises(SourceError) as refused:
        [*open_sources([str(path)], CsvForm(), member=member)[0].chunks()]
    declared = tomllib.loads(refused.value.remedy.partition("jobs.<name>.")[2].partition(" (")[0])["member"]
    (source,) = open_sources([str(path)], CsvForm(), member=declared)
    with closing(source):
        assert source.name == f"{path}: {data}"


@pytest.mark.parametrize(
    ("names", "narrow"),
    [
        (("a.csv", "B.CSV"), None),
        (("a.csv", "B.CSV"), "*.csv"),
        (("a.jsonl", "b.jsonl"), None),
        (("x/a.tsv", "x/b.tsv"), None),
        (("a.csv", "b.csv"), None),
    ],
)
def test_the_member_to_declare_leaves_out_no_part_of_the_export(tmp_path, names, narrow):
    path = tmp_path / "export.zip"
    path.write_bytes(zipped(*((name, "a,b\n1,2\n") for name in names), ("._a.csv", "of macOS")))
    with pytest.raises(SourceError) as refused:
        [*open_sources([str(path)], CsvForm(), member=narrow)[0].chunks()]
    declared = tomllib.loads(refused.value.remedy.partition("jobs.<name>.")[2].partition(" (")[0])["member"]
    sources = open_sources([str(path)], CsvForm(), member=declared)
    assert {source.name for source in sources} == {f"{path}: {name}" for name in names}
    for source in sources:
        source.close()


@pytest.mark.parametrize("inner", PACK)
@pytest.mark.parametrize("outer", PACK)
def test_what_is_packed_twice_is_refused(tmp_path, outer, inner):
    assert "another packed" in refusal(tmp_path, PACK[outer](PACK[inner](TEXT.encode())))


@pytest.mark.parametrize("kind", PACK)
def test_a_bomb_is_refused_before_it_takes_memory_or_time(tmp_path, kind, monkeypatch):
    monkeypatch.setattr(archive, "FREE_BYTES", 1 << 20)
    bomb = PACK[kind](b"a,b\n" + b"1,2\n" * (40 << 18))
    assert len(bomb) * archive.RATIO_MAX < 40 << 20
    sizes: list[int] = []
    handle = io.BytesIO(bomb)
    with pytest.raises(SourceError, match="200 times"):
        sizes.extend(len(block) for block in archive.unpacked("bomb", handle, iter([handle.read()])))
    assert sum(sizes) < 40 << 20
    blocks = archive._unpacker(bomb)("bomb", handle, iter([bomb]))
    assert len(next(iter(blocks))) <= 32 << 20


def test_without_the_library_the_extra_is_named(tmp_path, monkeypatch):
    data = zst(TEXT.encode())
    monkeypatch.setitem(sys.modules, "zstandard", None)
    (tmp_path / "a.zst").write_bytes(data)
    with pytest.raises(SourceError) as raised:
        open_sources([str(tmp_path / "a.zst")], CsvForm())
    assert raised.value.next == "pip install 'syncer[zst]'"
