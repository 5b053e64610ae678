"""Folders, links, files and locks that another account planted where the program works: refused, never followed."""

from __future__ import annotations

import csv
import os
import stat
import sys
from pathlib import Path

import pytest
from conftest import codes
from crash.forks import Forks
from security.others import STRANGER, as_stranger, needs_root, open_to_all

from syncer.errors import LedgerUntrustedError, UntrustedFileError
from syncer.ledger.ledger import Ledger
from syncer.runs.results_folder import prepare_results
from syncer.safe import trust
from syncer.safe.files import Folder, read_trusted, replacing
from syncer.safe.trust import UntrustedError

AT = "2026-01-01T00:00:00Z"
HEADER = ("extended_id", "a")
CODES = ("id", "a")


def mode(path):
    return stat.S_IMODE(path.stat(follow_symlinks=False).st_mode)


def victim(tmp_path_factory):
    """A folder of somebody's, with files whose loss would be noticed."""
    folder = tmp_path_factory.mktemp("victim")
    for name in ("payroll.csv", "0123456789abcdef-1.csv", "part-000009.csv", "confirmed.csv"):
        (folder / name).write_text("theirs")
    return folder


def named(here, arguments):
    """The arguments with the number of the sandbox's one work order."""
    orders = [str(order) for order in here.box.ingestion.work_orders.orders]
    return [orders[0] if one == "ORDER" else one for one in arguments]


def untouched(folder):
    return len(list(folder.iterdir())) == 4 and {path.read_text() for path in folder.iterdir()} == {"theirs"}


@pytest.mark.parametrize(
    ("link", "arguments", "code"),
    [
        ("syncer.db.codes", ("codes", "upload", "own.csv"), 13),
        ("out", ("sync", "a.csv", "--results", "out"), 2),
        ("scans", ("scans", "pull", "--campaign", "1", "--out", "scans"), 2),
        ("order", ("workorders", "download", "ORDER", "--out", "order"), 2),
    ],
)
def test_a_planted_folder_is_not_followed_and_nothing_in_it_is_touched(
    night, forks, tmp_path_factory, link, arguments, code
):
    theirs = victim(tmp_path_factory)
    with night(codes=codes(3), scans=5) as here:
        here.write("a.csv", HEADER, [("K000001", "1")])
        here.write("own.csv", CODES, [("BOTTLE-000001", "x")])
        assert forks.run(here.folder, here.variables(), "codes", "upload", "own.csv").code == 0  # makes order 1
        here.write("own.csv", CODES, [("BOTTLE-000002", "x")])
        if (here.folder / link).exists():
            (here.folder / link).rmdir()
        (here.folder / link).symlink_to(theirs)
        done = forks.run(here.folder, here.variables(), *named(here, arguments))
        told = done.out + done.err
        assert (done.code, "is a link" in told, "next: ls -ld" in told) == (code, True, True), told
        assert untouched(theirs)


def test_what_is_no_part_of_ours_is_not_swept(night, forks):
    with night() as here:
        here.write("own.csv", CODES, [("BOTTLE-000001", "x")])
        spool = here.folder / "syncer.db.codes"
        spool.mkdir(mode=0o700)
        for name in ("notes.txt", "0123456789abcdef-1.csv", "0123456789abcdef-1.csv.gz"):
            (spool / name).touch(mode=0o600)
        assert forks.run(here.folder, here.variables(), "codes", "upload", "own.csv").code == 0
        assert sorted(path.name for path in spool.iterdir()) == ["0123456789abcdef-1.csv.gz", "notes.txt"]


@pytest.mark.parametrize(
    ("planted", "arguments"),
    [
        ("raw.csv.part", ("scans", "pull", "--campaign", "1", "--raw-csv", "--out", "raw.csv")),
        ("own.errors.csv.part", ("codes", "upload", "own.csv")),
        ("scans/part-000001.csv.part", ("scans", "pull", "--campaign", "1", "--out", "scans")),
        ("scans/part-000001.csv", ("scans", "pull", "--campaign", "1", "--out", "scans")),
        ("products.csv.part", ("products", "pull", "--out", "products.csv")),
        ("products.csv", ("products", "pull", "--out", "products.csv")),
        ("order/codes.csv", ("workorders", "download", "ORDER", "--out", "order")),
        ("out/error.csv.part", ("sync", "a.csv", "--results", "out")),
    ],
)
def test_a_planted_file_is_not_written_through(night, forks, tmp_path_factory, planted, arguments):
    theirs = tmp_path_factory.mktemp("others") / "victim"
    theirs.write_text("theirs")
    with night(codes=codes(3), scans=5, products=["S1"]) as here:
        here.write("a.csv", HEADER, [("K000001", "1")])
        here.write("own.csv", CODES, [("BOTTLE-000001", "x"), ("short", "x")])
        forks.run(here.folder, here.variables(), "codes", "upload", "own.csv", "--skip-invalid")
        (here.folder / planted).parent.mkdir(mode=0o700, exist_ok=True)
        (here.folder / planted).symlink_to(theirs)
        done = forks.run(here.folder, here.variables(), *named(here, arguments))
        assert done.code in {0, 2, 3, 4}, done.err
        assert "unexpected" not in done.err
        assert theirs.read_text() == "theirs"


@pytest.mark.parametrize("planted", ["date=2026-11-20", "date=2021-01-01"])
def test_a_planted_day_is_refused(night, forks, tmp_path_factory, planted):
    theirs = victim(tmp_path_factory)
    with night(scans=5, scans_end="2026-11-20T12:00:00Z", scans_days=0.1) as here:
        (here.folder / "scans").mkdir(mode=0o700)
        (here.folder / "scans" / planted).symlink_to(theirs)
        done = forks.run(
            here.folder, here.variables(), "scans", "pull", "--campaign", "1", "--out", "scans", "--format", "parquet"
        )
        assert (done.code, "is a link" in done.out) == (2, True), done.out
        assert untouched(theirs)


def test_no_umask_opens_anything(night):
    before = os.umask(0)
    try:
        with Forks() as forks:  # it, and every run, inherits the umask
            os.umask(before)
            with night(codes=codes(3), scans=5, products=["S1"], scans_days=2.0) as here:
                here.write("own.csv", CODES, [("BOTTLE-000001", "x"), ("short", "x")])
                here.write("a.csv", HEADER, [("K000001", "1")])
                given = set(here.folder.rglob("*"))
                for arguments in (
                    ("init",),
                    ("codes", "upload", "own.csv", "--skip-invalid"),
                    ("workorders", "download", "ORDER", "--out", "deep/order"),
                    ("scans", "pull", "--campaign", "1", "--out", "deep/scans"),
                    ("scans", "pull", "--campaign", "1", "--out", "days", "--format", "parquet"),
                    ("scans", "pull", "--campaign", "1", "--raw-csv", "--out", "raw.csv"),
                    ("products", "pull", "--out", "products.parquet"),
                    ("sync", "a.csv", "--results", "a/b/out"),
                ):
                    done = forks.run(here.folder, here.variables(), *named(here, arguments))
                    assert done.code in {0, 3}, (arguments, done.err)
                made = set(here.folder.rglob("*")) - given - {here.folder / ".out", here.folder / ".err"}
                assert len(made) > 20
                assert {path.name: oct(mode(path)) for path in made if mode(path) & 0o077} == {}
    finally:
        os.umask(before)


# ── the ledger and its lock ──────────────────────────────────────────────────────────────────────────────────────────


def url(folder):
    return f"sqlite:///{folder / 'syncer.db'}"


@needs_root
@pytest.mark.parametrize("name", ["syncer.db", "syncer.db.lock", "syncer.db-journal", "syncer.db-wal"])
@pytest.mark.parametrize("how", ["file", "link", "hard link"])
def test_what_another_account_put_first_is_refused(tmp_path, name, how):
    folder = open_to_all(tmp_path / "shared")
    own = tmp_path / "own"
    own.write_text("")
    own.chmod(0o666)

    def plant():
        path = folder / name
        if how == "file":
            path.touch(0o666)
        elif how == "link":
            path.symlink_to(own)
        else:
            (folder / "mine").touch()
            os.link(folder / "mine", path)

    assert as_stranger(plant)
    with pytest.raises(LedgerUntrustedError) as refused:
        Ledger.open_to_write(url(folder), at=AT)
    assert (refused.value.status, str(folder) in refused.value.next) == (13, True), refused.value.message
    assert how == "link" or "uid 65534" in refused.value.message
    assert own.read_text() == ""
    if name == "syncer.db" and how != "link":
        with pytest.raises(LedgerUntrustedError):
            Ledger.open_to_read(url(folder))


@needs_root
def test_the_lock_cannot_be_held_by_another_account(tmp_path):
    folder = open_to_all(tmp_path / "shared")
    Ledger.open_to_write(url(folder), at=AT).close()
    (folder / "syncer.db.lock").chmod(0o644)  # as an older version, or somebody's backup, may have left it
    Ledger.open_to_write(url(folder), at=AT).close()
    assert mode(folder / "syncer.db.lock") == 0o600
    assert not as_stranger(lambda: os.open(folder / "syncer.db.lock", os.O_RDONLY))


@pytest.mark.parametrize("name", ["syncer.db", "syncer.db.lock"])
def test_a_second_name_of_the_ledger_is_refused(tmp_path, name):
    Ledger.open_to_write(url(tmp_path), at=AT).close()
    os.link(tmp_path / name, tmp_path / "again")
    with pytest.raises(LedgerUntrustedError, match="2 names") as refused:
        Ledger.open_to_write(url(tmp_path), at=AT)
    assert refused.value.next.startswith("cp ")


@pytest.mark.parametrize(
    ("folder_mode", "fine"), [(0o777, False), (0o772, False), (0o1777, True), (0o755, True), (0o750, True)]
)
def test_a_ledger_is_kept_where_nobody_else_can_change_it(tmp_path, folder_mode, fine):
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(folder_mode)
    if fine:
        Ledger.open_to_write(url(tmp_path / "data"), at=AT).close()
        return
    with pytest.raises(LedgerUntrustedError, match=f"mode {folder_mode:04o}") as refused:
        Ledger.open_to_write(url(tmp_path / "data"), at=AT)
    assert refused.value.next == f"chmod go-w {tmp_path / 'data'}"
    assert list((tmp_path / "data").iterdir()) == []


def test_a_ledger_that_others_may_write_is_refused_and_one_that_they_may_read_is_not(tmp_path):
    Ledger.open_to_write(url(tmp_path), at=AT).close()
    (tmp_path / "syncer.db").chmod(0o644)
    Ledger.open_to_write(url(tmp_path), at=AT).close()
    (tmp_path / "syncer.db").chmod(0o666)
    with pytest.raises(LedgerUntrustedError, match="mode 0666"):
        Ledger.open_to_write(url(tmp_path), at=AT)


def test_folders_above_may_be_links(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "data").symlink_to(tmp_path / "disk")
    Ledger.open_to_write(url(tmp_path / "data"), at=AT).close()
    prepare_results(tmp_path / "data" / "out")
    with replacing(tmp_path / "data" / "export.csv") as part:
        part.file.write(b"x")
    assert {path.name for path in (tmp_path / "disk").iterdir()} == {"syncer.db", "syncer.db.lock", "out", "export.csv"}


# ── the door itself ──────────────────────────────────────────────────────────────────────────────────────────────────


@needs_root
def test_a_folder_of_another_account_is_refused(tmp_path):
    shared = open_to_all(tmp_path / "shared")
    assert as_stranger((shared / "out").mkdir)
    with pytest.raises(UntrustedFileError, match=r"belongs to .*uid 65534") as refused:
        prepare_results(shared / "out")
    assert (refused.value.status, refused.value.next.startswith("ls -ld ")) == (2, True)


@needs_root
def test_a_new_file_that_another_account_holds_back_is_told(tmp_path):
    shared = open_to_all(tmp_path / "shared")
    assert as_stranger((shared / "out.csv.part").touch)
    with replacing(shared / "out.csv") as part:  # root may remove it, and does
        part.file.write(b"ours")
    assert ((shared / "out.csv").stat().st_uid, (shared / "out.csv").read_bytes()) == (0, b"ours")


def test_a_device_is_no_name_for_a_file(tmp_path):
    with pytest.raises(OSError, match="Is a directory"), replacing(tmp_path):
        pass
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="Invalid argument"), replacing(tmp_path / "pipe"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_the_group_may_write_where_it_is_the_users_own(tmp_path, monkeypatch):
    (tmp_path / "a").touch()
    (tmp_path / "a").chmod(0o664)
    found = (tmp_path / "a").stat()
    monkeypatch.setattr(trust, "_is_own_group", lambda gid: gid == found.st_gid)
    trust.require_ours(tmp_path / "a", found)
    monkeypatch.setattr(trust, "_is_own_group", lambda _gid: False)
    with pytest.raises(UntrustedError, match="mode 0664"):
        trust.require_ours(tmp_path / "a", found)


def test_which_group_is_the_users_own(monkeypatch):
    import grp
    import pwd
    from types import SimpleNamespace

    users = {1000: SimpleNamespace(pw_name="alice", pw_gid=1000)}
    groups = {1000: ("alice", []), 1001: ("erp", ["alice"]), 1002: ("alice", ["alice", "bob"])}
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: users[uid])
    monkeypatch.setattr(grp, "getgrgid", lambda gid: SimpleNamespace(gr_name=groups[gid][0], gr_mem=groups[gid][1]))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert [trust._is_own_group(gid) for gid in (1000, 1001, 1002, 7)] == [True, False, False, False]
    monkeypatch.setattr(os, "geteuid", lambda: 1_000_620_000)  # as a container is given one
    monkeypatch.setattr(os, "getegid", lambda: 0)
    assert [trust._is_own_group(gid) for gid in (0, 1000)] == [True, False]
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert not trust._is_own_group(0)


@needs_root
def test_a_link_of_another_account_is_not_trusted_wherever_it_leads(tmp_path):
    shared = open_to_all(tmp_path / "shared")
    (tmp_path / "config").write_text("ours")
    (tmp_path / "config").chmod(0o644)
    assert as_stranger(lambda: (shared / "theirs").symlink_to(tmp_path / "config"))
    (shared / "ours").symlink_to(tmp_path / "config")
    assert read_trusted(shared / "ours")[0] == b"ours"
    with pytest.raises(UntrustedError, match="decides where it leads"):
        read_trusted(shared / "theirs")
    (tmp_path / "chain").symlink_to(shared / "theirs")
    with pytest.raises(UntrustedError, match="decides where it leads"):
        read_trusted(tmp_path / "chain")


def test_a_folder_that_was_swapped_for_a_link_meanwhile_is_not_left(tmp_path):
    (tmp_path / "out").mkdir(mode=0o700)
    (tmp_path / "victim").mkdir()
    with Folder.open(tmp_path / "out") as folder:
        (tmp_path / "out").rename(tmp_path / "moved")
        (tmp_path / "out").symlink_to(tmp_path / "victim")
        os.close(folder.create("a"))
    assert [path.name for path in (tmp_path / "moved").iterdir()] == ["a"]
    assert list((tmp_path / "victim").iterdir()) == []


def test_an_account_without_a_name_is_told_by_its_number():
    assert trust.account(4_000_000) == "uid 4000000"
    assert trust.account(0) == "root (uid 0)"
    assert os.geteuid() != STRANGER


def test_no_write_goes_past_the_door():
    """Whoever opens a file for writing elsewhere finds the door's name here."""
    import ast

    root = Path(__file__).parents[2] / "syncer"
    allowed = {"safe/files.py", "process/streams.py", "sandbox/demo.py"}
    no_files_here = [
        "report/pack.py: open(…)",  # a member of the archive that the door made
        "runs/remote.py: makedirs",  # on the other system
    ]
    found = []
    for path in sorted(root.rglob("*.py")):
        if str(path.relative_to(root)) in allowed:
            continue
        found += [f"{path.relative_to(root)}: {what}" for _, what in writes(ast.parse(path.read_text()))]
    assert found == no_files_here


WRITERS = {
    "write_text", "write_bytes", "touch", "mkdir", "makedirs", "unlink", "rmdir", "removedirs", "rename", "renames",
    "symlink", "symlink_to", "hardlink_to", "chmod", "truncate", "rmtree", "copyfile", "copy2", "copytree",
    "mkdtemp", "mkstemp", "NamedTemporaryFile", "TemporaryFile", "TemporaryDirectory", "SpooledTemporaryFile", "mkfifo",
}  # fmt: skip


def writes(tree):
    """Give the places of a module that write, make, move or remove a file by name."""
    import ast

    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        owner = (
            function.value.id if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) else ""
        )
        texts = [
            one.value for one in (*node.args, *(key.value for key in node.keywords)) if isinstance(one, ast.Constant)
        ]
        if name in WRITERS and owner != "formatter":  # of click: it writes help
            yield node.lineno, name
        elif (name, owner) in {("open", "os"), ("replace", "os"), ("remove", "os"), ("link", "os")}:
            yield node.lineno, f"os.{name}"
        elif name in {"open", "FileIO", "File"} and any(
            isinstance(text, str) and len(text) <= 3 and set(text) & set("wax+") for text in texts
        ):
            yield node.lineno, f"{name}(…)"


@pytest.mark.parametrize(
    "line",
    [
        "open(p, 'w')", "open(p, mode='ab')", "p.open('x')", "p.write_text('')", "p.write_bytes(b'')", "os.open(p, 1)",
        "os.replace(a, b)", "tempfile.mkdtemp()", "p.mkdir()", "p.unlink()", "a.rename(b)", "io.open(p, 'r+')",
    ],
)  # fmt: skip
def test_a_write_past_the_door_would_be_found(line):
    import ast

    assert list(writes(ast.parse(line)))
    assert not list(writes(ast.parse("p.open('rb'); text.replace('a', 'w'); open(p); source.open()")))


def test_the_results_are_read_by_their_owner_alone(night, forks):
    with night(codes=codes(3)) as here:
        here.write("a.csv", HEADER, [("K000001", "1")])
        assert forks.run(here.folder, here.variables(), "sync", "a.csv", "--results", "out").code == 0
        with (here.folder / "out" / "confirmed.csv").open(newline="") as file:
            assert [row["extended_id"] for row in csv.DictReader(file)] == ["K000001"]
        (here.folder / "out").chmod(0o777)
        done = forks.run(here.folder, here.variables(), "sync", "a.csv", "--results", "out")
        assert (done.code, f"chmod go-w {Path('out')}" in done.err, sys.platform != "win32") == (2, True, True), (
            done.err
        )


# ── what is read ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan", "drop/x.csv"),
        ("sync", "drop/x.csv"),
        ("codes", "upload", "drop/x.csv"),
        ("codes", "upload", "drop/x.json"),
    ],
)
@pytest.mark.parametrize("planted", ["link", "pipe"])
def test_what_leads_out_of_the_drop_folder_or_is_a_pipe_is_not_read(night, forks, tmp_path_factory, arguments, planted):
    secret = tmp_path_factory.mktemp("etc") / "shadow"
    secret.write_text("root:$y$j9T$canary\ndaemon:*:19000\n")
    with night(codes=codes(3)) as here:
        (here.folder / "drop").mkdir()
        path = here.folder / arguments[-1]
        path.symlink_to(secret) if planted == "link" else os.mkfifo(path)
        done = forks.run(here.folder, here.variables(), *arguments)
        told = done.out + done.err
        words = "leads out of its folder" if planted == "link" else "no plain file"
        assert (done.code, words in told, "root:" in told) == (2, True, False), told
        assert not here.box.requests


def test_a_link_within_its_folder_is_followed_and_folders_may_be_links(night, forks):
    with night(codes=codes(3)) as here:
        (here.folder / "disk" / "old").mkdir(parents=True)
        here.write("disk/old/1.csv", HEADER, [("K000001", "1")])
        (here.folder / "disk" / "newest.csv").symlink_to("old/1.csv")
        (here.folder / "drop").symlink_to("disk")
        assert forks.run(here.folder, here.variables(), "sync", "drop/newest.csv").code == 0


def test_a_file_that_is_no_export_is_quoted_in_brief(night, forks):
    with night(codes=codes(3)) as here:
        (here.folder / "x.csv").write_text("root:$y$j9T$abcdefghijklmnopqrstuvwxyz0123456789,x" + "y" * 200 + "\n1,2\n")
        told = forks.run(here.folder, here.variables(), "plan", "x.csv").err
        assert ("root:$y$j9T$abcdefghijkl…" in told, "mnopq" in told, "yyyyyyyyyyyyyyyyyyyyyyyyy" in told) == (
            True,
            False,
            False,
        )


@pytest.mark.parametrize("planted", ["link", "pipe"])
def test_what_is_planted_where_a_job_waits_for_files_is_not_read(night, forks, tmp_path_factory, planted):
    secret = tmp_path_factory.mktemp("etc") / "shadow"
    secret.write_text("root:$y$j9T$canary\n")
    with night(codes=codes(3)) as here:
        here.config('[jobs.erp.files]\npattern = "drop/*.csv"\nsettle_s = 0\n')
        (here.folder / "drop").mkdir()
        path = here.folder / "drop" / "x.csv"
        path.symlink_to(secret) if planted == "link" else os.mkfifo(path)
        done = forks.run(here.folder, here.variables(), "sync")
        told = done.out + done.err
        assert (done.code, "root:" in told) == (2 if planted == "link" else 14, False), told
        assert not here.box.requests
