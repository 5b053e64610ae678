"""A work order's zip that is damaged, or means harm, ends with exit code 4 and leaves nothing."""

from __future__ import annotations

import io
import resource
import zipfile

import pytest

from syncer.codes.archive import ENTRIES_MAX, extract
from syncer.errors import GuardError


def zipped(*entries, kind=zipfile.ZIP_DEFLATED):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", kind) as archive:
        for name, data in entries:
            archive.writestr(zipfile.ZipInfo(name), data, kind)
    return content.getvalue()


def corrupt():
    content = bytearray(zipped(("codes.csv", bytes(range(256)) * 40)))
    place = content.find(b"codes.csv") + len("codes.csv") + 8
    content[place : place + 30] = b"\xff" * 30
    return bytes(content)


def wrong_sum():
    content = bytearray(zipped(("codes.csv", b"extended_id\nABC\n"), kind=zipfile.ZIP_STORED))
    place = content.find(b"ABC")
    content[place] ^= 1
    return bytes(content)


@pytest.mark.parametrize(
    "content",
    [
        corrupt(), wrong_sum(), zipped(), zipped(("images/", b"")), zipped(("a", b"x"), ("a/b", b"y")), zipped(("A/b", b"x"), ("a", b"y")),
        zipped(("codes.csv", b"x" * 1000), kind=zipfile.ZIP_BZIP2), zipped(("codes.csv", b"x" * 1000), kind=zipfile.ZIP_LZMA),
        zipped(("codes.csv", b"x" * 1000))[:-30], b"PK\x05\x06" + b"\0" * 18, b"PK\x01\x02" * (ENTRIES_MAX + 1),
    ],
    ids=["corrupt", "wrong sum", "empty", "only folders", "file and folder", "folder and file", "bzip2", "lzma", "cut", "nothing", "entries"],
)  # fmt: skip
def test_a_zip_that_is_no_good_is_refused(tmp_path, content):
    with pytest.raises(GuardError) as refused:
        extract(content, tmp_path / "out")
    assert (refused.value.status, "workorder" in refused.value.remedy or "portal" in refused.value.remedy) == (4, True)
    assert [path.name for path in tmp_path.rglob("*") if path.name != "out"] == []


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_bomb_that_python_unpacks_without_a_bound_is_not_unpacked(tmp_path, kind):
    content = zipped(("codes.csv", b"\0" * 200_000_000), kind=kind)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(GuardError, match="unusual way"):
        extract(content, tmp_path / "out")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000
