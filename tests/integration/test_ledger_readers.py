"""Readers and writers of one ledger: a slow reader stops no run (e13), a dead writer no reader (e14), a lock is waited for."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest
from conftest import codes

from syncer.errors import LedgerBusyError, LedgerUnfinishedError
from syncer.ledger import audit, database
from syncer.ledger import ledger as ledger_module
from syncer.ledger.check import problems
from syncer.ledger.ledger import Ledger
from syncer.ledger.lock import BORROWED_S, LedgerLock, LockWait, borrowed, lock_path
from syncer.request import HistoryRequest

AT = "2026-11-25T00:00:00.000000Z"
KEYS = [f"K{number:06d}" for number in range(120)]


@pytest.fixture
def done(night):
    """A night with a ledger of two runs: 120 values, 30 of them sent twice."""
    with night(codes=codes(3000)) as here:
        here.write("a.csv", ("extended_id", "lot"), [(key, f"L{key[-2:]}") for key in KEYS])
        here.write("b.csv", ("extended_id", "lot"), [(key, "M") for key in KEYS[:30]])
        assert [here.sync(name).code for name in ("a.csv", "b.csv")] == [0, 0]
        yield here


def url_of(here):
    return f"sqlite:///{here.folder}/syncer.db"


def exported(here, **which):
    with Ledger.reading(url_of(here)) as ledger:
        return list(ledger.export(HistoryRequest(**which)))


# ── a slow reader (e13) ──────────────────────────────────────────────────────────────────────────────────────────────


def test_an_export_that_is_left_open_keeps_no_run_from_writing(done, monkeypatch):
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.2)
    monkeypatch.setattr(audit, "PAGE_ITEMS", 7)
    with Ledger.reading(url_of(done)) as reader:
        entries = reader.export(HistoryRequest())
        first = next(entries)
        with Ledger.open_to_write(url_of(done), at=AT) as writer:
            writer.ensure_job("while somebody reads", ["k"])
        assert [first.key, *(entry.key for entry in entries)] == [*KEYS, *KEYS[:30]]


def test_a_run_ends_well_while_less_stands_at_the_first_page(night):
    rows = [(f"K{number:06d}", f"a lot that makes a long line {number}") for number in range(3000)]
    with night(codes=codes(3000)) as here:
        here.write("a.csv", ("extended_id", "lot"), rows)
        assert here.sync("a.csv").code == 0
        reader = here.start("audit", "export")
        try:
            assert reader.stdout.readline().startswith("job,key")
            here.write("b.csv", ("extended_id", "lot"), [("K000001", "new")])
            done = here.sync("b.csv")
            assert (done.code, done.document["values"]["confirmed"]) == (0, 1)
            assert reader.poll() is None  # it still stands there: a pipe holds less than the export
        finally:
            reader.kill()
            reader.communicate()


@pytest.mark.parametrize("page", [1, 7, 150, 5000])
def test_pages_of_any_size_hold_the_same_entries_each_once(done, monkeypatch, page):
    whole = exported(done)
    second = exported(done, run_id=2)
    assert [entry.key for entry in second] == KEYS[:30]
    monkeypatch.setattr(audit, "PAGE_ITEMS", page)
    assert exported(done) == whole
    assert exported(done, run_id=2) == second
    assert exported(done, since=max(entry.outcome_at for entry in whole)) == [
        entry for entry in whole if entry.outcome_at == max(entry.outcome_at for entry in whole)
    ]
    assert exported(done, since="2999") == []


def test_an_export_ends_with_what_was_there_when_it_began(done, monkeypatch):
    monkeypatch.setattr(audit, "PAGE_ITEMS", 10)
    with Ledger.reading(url_of(done)) as reader:
        entries = reader.export(HistoryRequest())
        first = next(entries)
        done.write("c.csv", ("extended_id", "lot"), [(key, "N") for key in KEYS])
        assert done.sync("c.csv", "--approve").code == 0
        assert len([first, *entries]) == 150


def test_an_empty_ledger_exports_nothing(tmp_path):
    with Ledger.open_to_write(f"sqlite:///{tmp_path}/l.db", at=AT) as ledger:
        assert list(ledger.export(HistoryRequest())) == []


@pytest.mark.parametrize("command", ["audit export", "audit show K000001", "status", "status 1"])
def test_a_reader_that_has_seen_enough_is_no_failure(done, command):
    ended = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {sys.executable} -m syncer {command} | head -c 1"],
        cwd=done.folder, env=done.variables(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")


# ── a dead writer (e14) ──────────────────────────────────────────────────────────────────────────────────────────────

DIES = """
import os, signal, sqlite3, sys
raw = sqlite3.connect(sys.argv[1], isolation_level=None)
raw.execute("PRAGMA journal_mode=DELETE")
raw.execute("PRAGMA cache_size=2")  # pages reach the file before the commit
raw.execute("BEGIN IMMEDIATE")
raw.execute("UPDATE runs SET program = 'half a commit'")
raw.execute("CREATE TABLE half AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 5000) SELECT x FROM n")
os.kill(os.getpid(), signal.SIGKILL)
"""


def kill_inside_a_commit(here):
    ledger = here.folder / "syncer.db"
    died = subprocess.run([sys.executable, "-c", DIES, str(ledger)], check=False)
    assert died.returncode == -signal.SIGKILL
    assert (here.folder / "syncer.db-journal").stat().st_size > 0
    with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as raw, pytest.raises(sqlite3.OperationalError):
        raw.execute("SELECT program FROM runs").fetchall()  # what every reader met


@pytest.mark.parametrize(
    "command",
    [
        ("status",),
        ("audit", "show", "K000001"),
        ("audit", "export"),
        ("check",),
        ("ledger", "check"),
        ("ledger", "backup", "copy.db"),
        ("plan", "a.csv", "--approve"),
    ],
    ids=" ".join,
)
def test_after_a_death_inside_a_commit_every_reader_works(done, forks, command):
    before = exported(done)
    kill_inside_a_commit(done)
    ended = forks.run(done.folder, done.variables(), *command)
    assert ended.code == 0, ended.err
    assert not (done.folder / "syncer.db-journal").exists()
    with Ledger.reading(url_of(done)) as ledger:
        assert problems(ledger.connection) == []
        assert {run.program for run in ledger.runs()} != {"half a commit"}
    assert exported(done) == before


def test_a_run_goes_on_after_a_death_inside_a_commit(done, forks):
    kill_inside_a_commit(done)
    assert forks.run(done.folder, done.variables(), "sync", "b.csv").code == 0


def test_a_copy_that_was_made_after_a_death_is_whole(done, forks):
    kill_inside_a_commit(done)
    assert forks.run(done.folder, done.variables(), "ledger", "backup", "copy.db").code == 0
    with Ledger.reading(f"sqlite:///{done.folder}/copy.db") as copy:
        assert problems(copy.connection) == []
        assert [run.id for run in copy.runs()] == [2, 1]


def test_what_cannot_be_rolled_back_now_is_said(done, monkeypatch):
    monkeypatch.setattr(ledger_module, "UNFINISHED_LOOKS", 2)
    kill_inside_a_commit(done)
    with LedgerLock(done.folder / "syncer.db", since=AT), pytest.raises(LedgerUnfinishedError, match="a run that died"):
        Ledger.open_to_read(url_of(done))  # a run holds the lock, and has not opened the ledger yet
    assert Ledger.open_to_read(url_of(done)) is not None


def test_a_reader_waits_for_a_new_run_that_rolls_back_itself(done):
    kill_inside_a_commit(done)
    lock = LedgerLock(done.folder / "syncer.db", since=AT)

    def begin():
        database.roll_back(done.folder / "syncer.db")
        lock.release()

    timer = threading.Timer(0.3, begin)
    timer.start()
    try:
        assert Ledger.open_to_read(url_of(done)) is not None
    finally:
        timer.join()


# ── waiting for the lock ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_lock_is_waited_for_as_long_as_is_asked(tmp_path):
    held = LedgerLock(tmp_path / "l.db", since=AT)
    began_s = time.monotonic()
    with pytest.raises(LedgerBusyError, match=r"another run holds the ledger .*: process \d+ on"):
        LedgerLock(tmp_path / "l.db", since=AT, wait=LockWait(0.8))
    assert time.monotonic() - began_s >= 0.8
    timer = threading.Timer(0.8, held.release)
    timer.start()
    with LedgerLock(tmp_path / "l.db", since=AT, wait=LockWait(60)):
        timer.join()


def test_whoever_borrows_the_lock_for_a_moment_costs_no_run_and_leaves_no_name(tmp_path):
    with LedgerLock(tmp_path / "l.db", since="before"):
        pass
    name = lock_path(tmp_path / "l.db").read_text()
    released = threading.Event()

    def borrow():
        with borrowed(tmp_path / "l.db") as held:
            assert held
            with borrowed(tmp_path / "l.db") as again:
                assert not again
            released.wait(BORROWED_S / 3)

    thread = threading.Thread(target=borrow)
    thread.start()
    time.sleep(0.02)
    assert lock_path(tmp_path / "l.db").read_text() == name
    with LedgerLock(tmp_path / "l.db", since=AT):
        thread.join()


def test_without_a_lock_file_there_is_nothing_to_borrow(tmp_path):
    with borrowed(tmp_path / "l.db") as held:
        assert not held
    assert not lock_path(tmp_path / "l.db").exists()


def run_against(lock, forks, folder, variables, *arguments):
    """Run a command, and let go of the lock once the command has said that it waits; return its exit code and words."""
    said = folder / "said"
    said.write_bytes(b"")

    def release_once_said():
        for _ in range(1_200):
            if "waiting for it" in said.read_text():
                break
            time.sleep(0.05)
        lock.release()

    thread = threading.Thread(target=release_once_said)
    thread.start()
    ended = forks.run(folder, variables, *arguments, terminals={2: str(said)})
    thread.join()
    return ended.code, said.read_text()


def test_commands_wait_for_the_lock_when_they_are_told_to(done, forks):
    with LedgerLock(done.folder / "syncer.db", since=AT) as lock:
        for told in (("--lock-wait", "0.6"), ()):
            busy = forks.run(done.folder, done.variables(), "sync", *told, "--json", "b.csv")
            assert (busy.code, busy.document["error"]["code"]) == (11, "ledger-busy")
        code, said = run_against(lock, forks, done.folder, done.variables(), "resume", "--lock-wait", "90")
        assert code == 0
        assert "waiting for it, 90 s at most" in said


def test_the_setting_waits_too_and_the_option_wins(done, forks):
    variables = done.variables(SYNCER_LEDGER__LOCK_WAIT_S="90")
    with LedgerLock(done.folder / "syncer.db", since=AT) as lock:
        assert forks.run(done.folder, variables, "sync", "--lock-wait", "0", "b.csv").code == 11
        code, said = run_against(lock, forks, done.folder, variables, "sync", "b.csv")
        assert code == 0
        assert "waiting for it, 90 s at most" in said


WAITING = (
    ("sync", "b.csv"),
    ("resume",),
    ("abandon", "1"),
    ("products", "pull"),
    ("scans", "pull", "--campaign", "1"),
    ("codes", "abandon", "1"),
    ("ledger", "upgrade"),
    ("ledger", "prune", "--keep", "1d"),
    ("ledger", "recover"),
    ("ledger", "restore", "copy.db"),
    ("ledger", "info", "--adopt-target"),
    ("init",),
)


def test_the_first_signal_ends_the_wait_of_every_command(done):
    assert done.run("ledger", "backup", "copy.db").code == 0
    before, calls = exported(done), len(done.box.requests)
    with LedgerLock(done.folder / "syncer.db", since=AT), LedgerLock(done.folder / "syncer.db.scans", since=AT):
        for few in (WAITING[:4], WAITING[4:8], WAITING[8:]):
            started = [done.start(*words, SYNCER_LEDGER__LOCK_WAIT_S="60") for words in few]
            for words, process in zip(few, started, strict=True):
                assert any("waiting for it" in line for line in process.stderr), words
                process.send_signal(signal.SIGTERM)
                sent_s = time.monotonic()
                said = process.communicate(timeout=30)[1]
                assert (process.returncode, "nothing was sent" in said) == (143, True), (words, said)
                assert time.monotonic() - sent_s < 5, words
    assert exported(done) == before
    assert len(done.box.requests) == calls
    assert [one["id"] for one in done.run("status", "--json").document["runs"]] == [2, 1]


def test_what_a_look_raises_ends_the_wait_and_leaves_nothing_open(tmp_path):
    def look():
        raise KeyError

    with LedgerLock(tmp_path / "l.db", since=AT), pytest.raises(KeyError):
        LedgerLock(tmp_path / "l.db", since=AT, wait=LockWait(60, look))
    LedgerLock(tmp_path / "l.db", since=AT, wait=LockWait(0, look)).release()
