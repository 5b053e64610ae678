"""A work order's zip is extracted whole and inside its folder, or not at all."""

from __future__ import annotations

import io
import os
import stat
import zipfile

import pytest

from syncer.codes.archive import ENTRIES_MAX, extract
from syncer.errors import AGAIN, GuardError, UntrustedFileError, UsageError


def zipped(*entries, compress=zipfile.ZIP_DEFLATED):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compress) as archive:
        for name, data, *mode in entries:
            info = zipfile.ZipInfo(name)
            info.compress_type = compress
            if mode:
                info.external_attr = mode[0] << 16
            archive.writestr(info, data)
    return content.getvalue()


GOOD = ("codes.csv", b"extended_id\nA\n")


def everything_under(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_files_and_folders_are_extracted(tmp_path):
    made = extract(zipped(GOOD, ("images/", b""), ("images/a.png", b"x")), tmp_path / "out")
    assert [path.name for path in made] == ["codes.csv", "a.png"]
    assert (tmp_path / "out" / "codes.csv").read_bytes() == GOOD[1]
    assert everything_under(tmp_path / "out") == ["codes.csv", "images", "images/a.png"]


@pytest.mark.parametrize(
    "evil",
    [
        ("/etc/passwd", b"x"), ("../out.txt", b"x"), ("a/../../out.txt", b"x"), ("a/..", b"x"), ("..\\out.txt", b"x"),
        ("C:\\out.txt", b"x"), ("C:out.txt", b"x"), ("link", b"/etc/passwd", stat.S_IFLNK | 0o777),
        ("pipe", b"", stat.S_IFIFO | 0o644), ("device", b"", stat.S_IFCHR | 0o644), ("Codes.CSV", b"again"),
        ("line\nbreak", b"x"), ("./../../x", b"x"), ("//host/x", b"x"),
    ],
    ids=lambda evil: repr(evil[0]),
)  # fmt: skip
def test_one_entry_that_is_not_safe_refuses_all(tmp_path, evil):
    with pytest.raises(GuardError):
        extract(zipped(GOOD, evil), tmp_path / "out")
    assert everything_under(tmp_path) == []


def test_sizes_and_numbers_are_bounded(tmp_path):
    with pytest.raises(GuardError, match="more than") as raised:
        extract(zipped(("a", b"\0" * 2_000_000)), tmp_path / "out", bytes_max=1_000_000)
    assert raised.value.next == AGAIN  # no sync would help
    with pytest.raises(GuardError, match="entries"):
        extract(zipped(*((f"f{n}", b"") for n in range(ENTRIES_MAX + 1))), tmp_path / "out")
    assert everything_under(tmp_path) == []


def test_an_entry_that_lies_about_its_size_is_stopped(tmp_path):
    content = bytearray(zipped(("a", b"\0" * 2_000_000)))
    for place in (content.find(b"PK\x03\x04") + 22, content.find(b"PK\x01\x02") + 24):
        content[place : place + 4] = (10).to_bytes(4, "little")
    with pytest.raises(GuardError):
        extract(bytes(content), tmp_path / "out", bytes_max=1_000_000)
    assert [path for path in everything_under(tmp_path) if path != "out"] == []


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip at all", zipped(GOOD)[:60]])
def test_what_is_no_zip_is_refused(tmp_path, content):
    with pytest.raises(GuardError):
        extract(content, tmp_path / "out")
    assert everything_under(tmp_path) == []


def test_a_file_that_exists_is_never_replaced_and_a_link_is_never_followed(tmp_path):
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir()
    elsewhere.mkdir()
    (out / "codes.csv").write_text("mine")
    with pytest.raises(UsageError):
        extract(zipped(GOOD), out)
    assert (out / "codes.csv").read_text() == "mine"
    os.symlink(elsewhere, out / "images")
    with pytest.raises(UntrustedFileError, match="is a link"):
        extract(zipped(("images/a.png", b"x")), out)
    assert everything_under(elsewhere) == []
