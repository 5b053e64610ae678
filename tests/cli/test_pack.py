"""`audit pack`: evidence that its own script checks, in a Python that has nothing installed, and finds every change of."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import venv
import zipfile

import pytest
from conftest import codes, open_night

HEADER = ["extended_id", "lot", "note"]


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """The pack of lot 7 of a ledger with three runs, unpacked, and the seal that was given out in the end."""
    folder = tmp_path_factory.mktemp("packed")
    with open_night(folder, codes=codes(6)) as here:
        secret = [[f"K{n:06d}", "L-8", f"SECRET{n}"] for n in (3, 4)]
        here.sync(
            here.write(
                "a.csv",
                HEADER,
                [["K000000", "L-7", "=1"], ["K000001", "L-7", "ü\u2028"], *secret, ["NOPE0001", "L-7", ""]],
            )
        )
        early = here.run("audit", "seal").out.strip()
        here.sync(here.write("b.csv", HEADER, [["K000000", "L-7", "second"]]), "--approve")
        here.sync(here.write("c.csv", HEADER, [["K000004", "L-8", "SECRET5"]]), "--approve")
        seal = here.run("audit", "seal").out.strip()
        done = here.run("audit", "pack", "--where", "lot=L-7", "--out", "lot-7.zip", "--json")
        assert done.code == 0, done.err
        assert {name: done.document[name] for name in ("values", "uploads", "unsealed", "seal")} == {
            "values": 3, "uploads": 4, "unsealed": 0, "seal": seal,
        }  # fmt: skip
        assert (folder / "lot-7.zip").stat().st_mode & 0o777 == 0o600
        assert here.run("audit", "pack", "--where", "lot=L-9", "--out", "none.zip").code == 3
        assert here.run("audit", "pack", "--out", "none.zip").code == 2
        assert not (folder / "none.zip").exists()
        unpacked = folder / "unpacked"
        with zipfile.ZipFile(folder / "lot-7.zip") as archive:
            archive.extractall(unpacked)
    return unpacked, seal, early


def check(folder, *arguments, python=(sys.executable, "-I", "-S")):
    return subprocess.run(
        [*python, folder / "check.py", *arguments], capture_output=True, text=True, cwd="/", check=False
    )


def test_the_pack_is_checked_by_its_own_script_with_nothing_installed(packed, tmp_path):
    folder, seal, early = packed
    done = check(folder, seal)
    assert (done.returncode, done.stderr) == (0, "")
    assert "All 4 uploads are as sealed" in done.stdout
    for word in ("b.csv:2", "NOPE0001", "unmatched", "'second'"):
        assert word in done.stdout
    assert check(folder).returncode == 0
    for other in (early, "0" * 64):  # of before, or of nowhere
        assert "NOT AS SEALED: the given seal" in check(folder, other).stderr
    venv.create(tmp_path / "bare", with_pip=False)
    assert check(folder, seal, python=(tmp_path / "bare" / "bin" / "python",)).returncode == 0


def test_the_script_is_short_and_imports_the_standard_library_alone(packed):
    text = (packed[0] / "check.py").read_text()
    imports = [line for line in text.splitlines() if line.startswith(("import", "from"))]
    assert imports == ["import hashlib, json, pathlib, sys  # the standard library, and nothing else"]
    assert "syncer" not in text
    code = [line for line in text.partition('"""\n\n')[2].splitlines() if line]
    assert len(code) <= 40


def test_nobody_elses_data_is_in_the_pack(packed):
    for path in packed[0].iterdir():
        text = path.read_text()
        assert "SECRET" not in text
        assert "K000003" not in text


def members():
    return ["README.txt", "SHA256SUMS", "check.py", "history.jsonl", "rows.jsonl", "seals.jsonl", "story.html"]


def test_these_are_the_members(packed):
    assert sorted(path.name for path in packed[0].iterdir()) == members()


@pytest.mark.parametrize("name", members())
@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_every_member_that_was_changed_is_found(packed, tmp_path, name, share):
    folder = shutil.copytree(packed[0], tmp_path / "copy")
    path = folder / name
    data = bytearray(path.read_bytes())
    place = int(len(data) * share)
    data[place] ^= 1
    path.write_bytes(data)
    assert check(folder, packed[1]).returncode != 0


def test_a_changed_member_is_found_when_its_sum_was_made_to_fit(packed, tmp_path):
    changes = {
        "history.jsonl": (b'"second"', b'"fourth"'),
        "rows.jsonl": (b"second", b"fourth"),
        "seals.jsonl": (b"complete", b"complet3"),
    }
    for name, (old, new) in changes.items():
        folder = shutil.copytree(packed[0], tmp_path / name)
        before = (folder / name).read_bytes()
        assert old in before
        (folder / name).write_bytes(before.replace(old, new))
        sums = subprocess.run(
            ["sha256sum", *sorted({*members()} - {"SHA256SUMS"})], cwd=folder, capture_output=True, check=True
        )
        (folder / "SHA256SUMS").write_bytes(sums.stdout)
        done = check(folder, packed[1])
        assert done.returncode != 0
        assert "NOT AS SEALED" in done.stderr, name


def test_a_ledger_that_was_changed_gives_no_pack(night):
    with night(codes=codes(1)) as here:
        here.sync(here.write("a.csv", HEADER, [["K000000", "L-7", "x"]]))
        with sqlite3.connect(here.folder / "syncer.db") as connection:
            connection.execute("DROP TRIGGER payloads_no_update")
            connection.execute("""UPDATE payloads SET data = replace(data, '"x"', '"y"')""")
        connection.close()
        done = here.run("audit", "pack", "K000000", "--out", "a.zip")
        assert done.code == 13
        assert "syncer audit verify" in done.err
        assert not list(here.folder.glob("a.zip*"))
