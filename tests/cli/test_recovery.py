"""`ledger info`, `recover` and `restore` as the user sees them: whose ledger, what was dropped, and what is next."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from conftest import codes, open_night

from syncer.errors import LedgerWriteError
from syncer.ledger.check import backup_of_copy
from syncer.sandbox import Sandbox, SandboxConfig

HEADER = ["extended_id", "market"]
OLD = Path(__file__).parents[1] / "migrations" / "ledger_0005.sql"


@pytest.fixture
def here(tmp_path):
    with open_night(tmp_path, codes=codes(60)) as opened:
        yield opened


def rows(count, market="DE"):
    return [[f"K{number:06d}", market] for number in range(count)]


def unsent(here, count=3500):
    """Leave values of a run unsent, in more batches than are shown: the first call is told that nobody is known.

    One call at a time: of several in flight any may be the first at the server, and the others would get through.
    """
    here.write("big.csv", HEADER, [[f"K{number:06d}", f"M{number}"] for number in range(count)])
    done = here.sync("big.csv", "--approve", SYNCER_API__CONCURRENCY="1")
    assert done.code == 12
    return done.document["values"]["unsent"]


def test_a_ledger_says_whose_it_is_and_how_another_target_is_served(here):
    assert here.run("ledger", "info").code == 13
    assert here.run("init").code == 0
    assert "belongs to nobody yet" in here.run("ledger", "info").out
    assert here.sync(here.write("a.csv", HEADER, rows(3))).code == 0
    document = here.run("ledger", "info", "--json").document
    assert document["target"]["base_url"] == here.box.url
    assert (document["adopted"], document["forgotten"], document["backup_at"]) == (False, None, None)
    said = here.run("ledger", "info").out
    assert f"belongs to Sandbox Company (446) at {here.box.url}" in said
    assert "--adopt-target" not in said
    here.config(f'[ledger]\nurl = "sqlite:///{here.folder}/syncer.db"\n')
    other = here.run("ledger", "info", SYNCER_API__BASE_URL="https://api.example.com")
    assert "belongs to Sandbox Company" in other.out


def test_a_move_of_the_same_company_keeps_what_is_believed_and_another_one_forgets_it(here):
    assert here.sync(here.write("a.csv", HEADER, rows(60)), "--mode", "async").code == 0
    kept = here.run("ledger", "info", "--adopt-target")
    assert kept.code == 0
    assert "what it believes stays" in kept.out
    assert here.sync("a.csv").document["rows"]["unchanged"] == 60
    here.box.world.tasks.clear()  # its newest task is not known there: another company's, or another time
    forgotten = here.run("ledger", "info", "--adopt-target", "--json").document
    assert (forgotten["adopted"], forgotten["forgotten"]["unsent"]) == (True, [])
    assert forgotten["ledger"]["id"] == forgotten["forgotten"]["ledger"]["id"] != forgotten["forgotten"]["before"]
    assert here.sync("a.csv", "--approve").document["rows"]["unchanged"] == 0
    here.box.world.tasks.clear()
    assert "it believes nothing any more" in here.run("ledger", "info", "--adopt-target").out


def test_what_one_target_was_seen_to_take_is_no_proof_for_another(tmp_path):
    """The other company has no such field; its codes cannot be read, so that only a proof could vouch for it."""
    unreadable = ({"kind": "status", "on": "codes_download", "status_code": 404, "every": 1},)
    header = ("extended_id", "market", "lot")
    values = [(f"K{number:06d}", "DE", "L1") for number in range(120)]
    with open_night(tmp_path, codes=codes(120)) as here:
        assert here.sync(here.write("a.csv", header, values)).code == 0
    with open_night(tmp_path, codes=codes(120), campaigns={1: frozenset({"market"})}, faults=unreadable) as there:
        assert there.run("ledger", "info", "--adopt-target").code == 0
        done = there.sync("a.csv", "--approve")
        assert (done.code, done.document["discarded_fields"] + done.document["unproven_fields"]) == (3, ["lot"]), done


def test_another_target_is_never_taken_to_have_the_scans_and_own_codes_of_the_first(tmp_path):
    """The same file of own codes was "uploaded before" (0), and of the scans only those after the watermark came (0)."""
    pull, upload = ("scans", "pull", "--campaign", "1", "--json"), ("codes", "upload", "own.csv", "--json")
    with open_night(tmp_path, codes=(), scans=30, scans_days=3.0) as here:
        here.write("own.csv", ("id", "lot"), [("ABCD00001", "7")])
        for where in (("--out", "out"), ("--into-ledger",)):
            assert here.run(*pull, *where).document["scans"]["delivered"] == 30
        assert here.run("ledger", "info", "--adopt-target", "--json").document["forgotten"] is None
    with Sandbox(SandboxConfig(codes=(), scans=40, scans_days=30.0)) as other:
        here.environment["SYNCER_API__BASE_URL"], here._address = other.url, ""
        assert here.run("ledger", "info", "--adopt-target", "--json").document["forgotten"]
        refused = here.run(*pull, "--out", "out")
        assert (refused.code, "knows nothing of" in refused.document["error"]["message"]) == (2, True)
        for where in (("--out", "new"), ("--into-ledger",)):
            assert here.run(*pull, *where).document["scans"]["delivered"] == 40
        assert here.run(*upload).code == 0
        assert here.run("ledger", "info", "--adopt-target", "--json").document["forgotten"] is None
        with Sandbox(SandboxConfig(codes=())) as third:
            here.environment["SYNCER_API__BASE_URL"], here._address = third.url, ""
            kept = here.run("ledger", "info", "--adopt-target", "--json")
            assert (kept.code, kept.document["error"]["code"]) == (2, "target-changed")
            assert here.run(*upload).code == 2
            third.ingestion.records.update(other.ingestion.records)  # the same company's, at another address
            assert here.run("ledger", "info", "--adopt-target", "--json").document["forgotten"] is None
            assert "uploaded before" in here.run(*upload).document["notes"][0]
            assert here.run("ledger", "check").code == 0


def test_a_backup_is_told_and_the_way_back_lists_what_is_dropped(tmp_path):
    refused = ({"kind": "status", "on": "sync", "nth": 1, "status_code": 401},)
    with open_night(tmp_path, codes=codes(60), faults=refused) as here:
        check_the_way_back(here)


def check_the_way_back(here):
    dropped = unsent(here)
    assert here.run("ledger", "backup", "copy.db").code == 0
    with closing(sqlite3.connect(here.folder / "copy.db")) as copy:
        (ledger_id,) = copy.execute("SELECT id FROM ledger").fetchone()
    info = here.run("ledger", "info", SYNCER_LEDGER__URL=f"sqlite:///{here.folder}/copy.db")
    assert "a backup, made at" in info.out
    assert "syncer ledger restore FILE" in info.out
    for ending in ("-journal", "-wal", "-shm"):  # of the ledger that is there: they go aside with it
        (here.folder / f"syncer.db{ending}").write_bytes(b"")
    done = here.run("ledger", "restore", "copy.db")
    assert done.code == 0, done.err
    assert f"(it was {ledger_id})" in done.out
    assert f"dropped, never sent: {dropped:,} values in" in done.out, done.out.splitlines()[:4]
    assert "big.csv:" in done.out
    assert "… all of them: --json" in done.out
    assert "next: syncer sync FILE" in done.out
    asides = sorted(path.name.partition(".replaced")[2] for path in here.folder.glob("*.replaced*"))
    assert asides == ["", "-journal", "-shm", "-wal"]
    assert here.sync(here.write("a.csv", HEADER, rows(3))).document["values"]["confirmed"] == 3
    assert [here.server()[f"K{n:06d}"].get("market") for n in range(4)] == ["DE", "DE", "DE", None]


def test_recover_lets_go_of_what_may_have_been_sent_and_says_so(tmp_path):
    with open_night(tmp_path, codes=codes(150), faults=({"kind": "task_stuck", "on": "async", "nth": 1},)) as here:
        here.write("a.csv", HEADER, rows(150))
        assert here.sync("a.csv", SYNCER_API__TASK_TIMEOUT_S="0.2").code == 3
        document = here.run("ledger", "recover", "--json").document
        assert [(one["values"], one["state"], one["key"]) for one in document["let_go"]] == [
            (100, "submitted", ["K000001"])  # 50 went by a sync call, to show that the field is taken
        ]
        assert document["unsent"] == []
        assert document["ledger"]["id"] != document["before"]
        assert document["replaced"] is None
        text = here.run("ledger", "recover").out
        assert "believes nothing any more" in text
        assert "dropped" not in text
        again = here.sync("a.csv", "--approve")
        assert again.document["rows"]["unchanged"] == 0
        assert {code["market"] for code in here.box.codes()} == {"DE"}


def test_restoring_the_ledger_that_is_there_is_recovering_it(here):
    assert here.sync(here.write("a.csv", HEADER, rows(3))).code == 0
    done = here.run("ledger", "restore", "syncer.db", "--json")
    assert (done.code, done.document["replaced"]) == (0, None)
    assert here.sync("a.csv").document["rows"]["unchanged"] == 0


def cut_copy(here, name):
    """Copy the ledger with `cp` in the middle of a commit: half of it is written, and its journal lies beside it."""
    shutil.copy(here.folder / "syncer.db", here.folder / "written.db")
    with closing(sqlite3.connect(here.folder / "written.db", isolation_level=None)) as writing:
        writing.executescript("PRAGMA cache_size = 3; BEGIN; CREATE TABLE half (a)")
        writing.executemany("INSERT INTO half VALUES (?)", [("x" * 3000,) for _ in range(50)])
        for ending in ("", "-journal"):
            shutil.copy(here.folder / f"written.db{ending}", here.folder / f"{name}{ending}")
        writing.execute("ROLLBACK")


def test_a_plain_copy_of_what_a_run_left_that_died_inside_a_commit_is_gone_back_to(here, monkeypatch):
    assert here.sync(here.write("a.csv", HEADER, rows(50))).code == 0
    cut_copy(here, "old.db")
    before = [(here.folder / f"old.db{ending}").read_bytes() for ending in ("", "-journal")]
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copyfileobj", full)
        with pytest.raises(LedgerWriteError, match="No space left"):
            backup_of_copy(here.folder / "old.db", here.folder / "new.db")
    done = here.run("ledger", "restore", "old.db")
    assert done.code == 0, done.err
    assert [(here.folder / f"old.db{ending}").read_bytes() for ending in ("", "-journal")] == before
    assert here.run("ledger", "check").code == 0
    with closing(sqlite3.connect(here.folder / "syncer.db")) as ledger:
        assert ledger.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'half'").fetchone() == (0,)
    assert [one.name for one in here.folder.iterdir() if "copied" in one.name or "restoring" in one.name] == []
    assert here.sync("a.csv").document["values"]["confirmed"] == 50


def full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_what_cannot_be_gone_back_to_is_refused_and_nothing_is_replaced(here):
    assert here.run("ledger", "recover").code == 2
    assert here.sync(here.write("a.csv", HEADER, rows(50))).code == 0
    assert here.run("ledger", "restore", "missing.db").code == 2
    with closing(sqlite3.connect(here.folder / "empty.db")) as empty, empty:
        empty.execute("CREATE TABLE other (a)")
        empty.execute("DROP TABLE other")
    assert here.run("ledger", "backup", "broken.db").code == 0
    with closing(sqlite3.connect(here.folder / "broken.db")) as broken:
        (size,) = broken.execute("PRAGMA page_size").fetchone()
        (root,) = broken.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'items'").fetchone()
    with (here.folder / "broken.db").open("r+b") as file:
        file.seek((root - 1) * size + 8)
        file.write(b"\xff" * 64)
    with closing(sqlite3.connect(here.folder / "other.db")) as other:
        other.execute("CREATE TABLE other (a)")
    (here.folder / "words.db").write_text("no database " * 100)
    before = (here.folder / "syncer.db").read_bytes()
    for name, words in (
        ("empty.db", "empty.db is empty: there is nothing to go back to"),
        ("broken.db", "broken.db is damaged"),
        ("other.db", "is not a ledger: it has other tables"),
        ("words.db", "words.db is damaged or not a ledger"),
    ):
        done = here.run("ledger", "restore", name, "--json")
        error = done.document["error"]
        assert (done.code, error["next"]) == (13, "ls -lt ."), (name, error)
        assert error["message"].startswith(f"the backup {name} cannot be put back: "), error
        assert words in error["message"]
        assert "syncer.db" not in error["message"], "the ledger that is there is whole"
    assert (here.folder / "syncer.db").read_bytes() == before
    assert not [*here.folder.glob("*.replaced")]
    assert here.sync("a.csv").document["rows"]["unchanged"] == 50


def test_a_backup_of_an_older_schema_is_upgraded_on_the_way_back(here):
    with closing(sqlite3.connect(here.folder / "old.db")) as old:
        old.executescript(OLD.read_text(encoding="utf-8"))
    done = here.run("ledger", "restore", "old.db", "--json")
    assert done.code == 0, done.err
    assert done.document["let_go"]
    assert here.run("ledger", "check").code == 0


def test_a_ledger_of_an_older_schema_is_copied_before_it_is_upgraded_on_the_way_back(here):
    """By an older program it was used again after a first upgrade: the copy of then is none of it."""
    (here.folder / "syncer.db.0005.backup").write_text("of an upgrade in spring")
    os.utime(here.folder / "syncer.db.0005.backup", (1, 1))
    with closing(sqlite3.connect(here.folder / "syncer.db")) as old:
        old.executescript(OLD.read_text(encoding="utf-8"))
    done = here.run("ledger", "recover", "--json")
    assert (done.code, done.document["replaced"]) == (0, "syncer.db.0005-2.backup"), done
    with closing(sqlite3.connect(here.folder / "syncer.db.0005-2.backup")) as kept:
        assert kept.execute("SELECT version_num FROM alembic_version").fetchone() == ("0005",)
    assert (here.folder / "syncer.db.0005.backup").read_text() == "of an upgrade in spring"


def diff(here, *options):
    planned = here.run("plan", "--json", "--diff", *options).document["differences"]
    return {(one["field"], one["old"], one["uncertain"], one["new"], one["values"], one["place"]) for one in planned}


def test_a_diff_after_a_way_back_says_that_what_was_known_is_uncertain(here):
    assert here.sync(here.write("a.csv", HEADER, rows(30))).code == 0
    here.write("b.csv", HEADER, [*rows(10, "FR"), *rows(31)[10:]])
    assert diff(here, "b.csv") == {
        ("market", "DE", False, "FR", 10, "b.csv:2"), ("market", None, False, "DE", 1, "b.csv:32"),
    }  # fmt: skip
    assert here.run("ledger", "recover").code == 0
    assert diff(here, "b.csv") == {
        ("market", None, True, "FR", 10, "b.csv:2"), ("market", None, True, "DE", 20, "b.csv:12"),
        ("market", None, False, "DE", 1, "b.csv:32"),
    }  # fmt: skip


@pytest.mark.parametrize("disjoint", [False, True])
def test_a_diff_says_what_another_key_may_have_overwritten(here, disjoint):
    both = '[jobs.default]\nkey = "extended_id"\n[jobs.other]\nkey = "serial_number"\n'
    here.config(both + ('disjoint = ["default"]\n' if disjoint else ""))
    assert here.sync(here.write("a.csv", HEADER, rows(30)), "--job", "default").code == 0
    serials = ["serial_number", "market"]
    assert here.sync(here.write("s.csv", serials, [["S000001", "IT"]]), "--job", "other").code in {0, 3}
    here.write("b.csv", HEADER, [*rows(10, "FR"), *rows(30)[10:]])
    uncertain = {("market", None, True, "FR", 10, "b.csv:2"), ("market", None, True, "DE", 20, "b.csv:12")}
    known = {("market", "DE", False, "FR", 10, "b.csv:2")}
    assert diff(here, "b.csv", "--job", "default") == (known if disjoint else uncertain)
