"""The ledger where something is wrong: its file, its lock, its schema, its history. Real files, real SQLite."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from plans import plan_of

from syncer.errors import (
    AGAIN,
    ConfigError,
    IllegalTransitionError,
    LedgerBusyError,
    LedgerCorruptError,
    LedgerError,
    LedgerSchemaError,
    LedgerUntrustedError,
    LedgerWriteError,
    StaleStateError,
    UsageError,
)
from syncer.ledger import database as engine_module
from syncer.ledger import products as copy
from syncer.ledger import sent_values
from syncer.ledger.bulk import raw_cursor
from syncer.ledger.check import backup
from syncer.ledger.database import ledger_error, ledger_path, open_engine
from syncer.ledger.ledger import Ledger, upgrade_ledger
from syncer.ledger.lock import LedgerLock, lock_path, was_whole
from syncer.ledger.products import ProductRecord, PullRecord
from syncer.ledger.scans import PullState, ScanLedger, Seen, resolved, stored_scans
from syncer.ledger.upload_values import NewPart, NewUpload
from syncer.lifecycle.batch import Bucket, State
from syncer.lifecycle.part import PartEvent, PartState
from syncer.model import Dialect, SourceInfo
from syncer.process.clock import Uptime
from syncer.request import HistoryRequest
from syncer.safe.files import NewFile

AT = "2026-11-20T05:00:00.000Z"
LATER = "2026-11-20T06:00:00.000Z"
UPTIME = Uptime("a boot", 7.0)
SOURCE = SourceInfo("a.csv", "0" * 64, 10, 4, Dialect("utf-8", ",", '"'), ("k", "f"))


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/l.db"


@pytest.fixture
def ledger(url):
    with Ledger.open_to_write(url, at=AT) as opened:
        yield opened


def begin(ledger, *keys, key=("k",)):
    """Plan one sync batch of `keys`; return its run's writer and the batch."""
    job = ledger.ensure_job("job", list(key))
    run = ledger.begin_run(job, at=AT, mode="auto", campaign=None, unique=True, program="test")
    plan = plan_of(list(keys), varying=[-1], key=key)
    ledger.store_plan(run, plan, [SOURCE], at=AT)
    (batch,) = ledger.batches(run_id=run.id)
    return ledger.writer(run.id), batch


def damage(ledger, statement):
    """Return what `problems` says about a ledger that was changed by hand, and undo the change."""
    transaction = ledger.connection.begin()
    ledger.connection.exec_driver_sql("PRAGMA ignore_check_constraints=ON")  # words that the database would refuse
    ledger.connection.exec_driver_sql(statement)
    ledger.connection.exec_driver_sql("PRAGMA ignore_check_constraints=OFF")
    found = ledger.problems()
    transaction.rollback()
    return found


# ── its address and its file ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("wrong", ["no url", "postgresql://host/db", "sqlite://", "sqlite:///:memory:"])
def test_an_address_that_names_no_file_is_refused(wrong):
    with pytest.raises(ConfigError, match=r"ledger\.url"):
        ledger_path(wrong)


def test_a_folder_that_is_not_there_is_told_with_the_command_that_makes_it(tmp_path):
    with pytest.raises(LedgerError) as caught:
        Ledger.open_to_write(f"sqlite:///{tmp_path}/gone/l.db", at=AT)
    assert caught.value.next == f"mkdir -p {tmp_path}/gone"


def test_a_name_that_no_file_can_have_is_told(tmp_path):
    (tmp_path / "l.db").symlink_to(tmp_path / ("n" * 300))
    with pytest.raises(LedgerError):
        Ledger.open_to_write(f"sqlite:///{tmp_path}/l.db", at=AT)
    with pytest.raises(LedgerWriteError, match="cannot be created"):
        engine_module.create_file(tmp_path / ("n" * 300))


def test_an_emptied_ledger_is_never_begun_anew(url, tmp_path):
    Ledger.open_to_write(url, at=AT).close()
    (tmp_path / "l.db").write_bytes(b"")
    for opening in (
        lambda: Ledger.open_to_write(url, at=AT),
        lambda: Ledger.open_to_read(url),
        lambda: upgrade_ledger(url, at=AT),
    ):
        with pytest.raises(LedgerCorruptError, match="its content is lost"):
            opening()
    (tmp_path / "l.db.lock").unlink()  # nobody knows of an earlier one
    assert Ledger.open_to_read(url) is None
    Ledger.open_to_write(url, at=AT).close()


@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_nothing_is_written_into_a_file_that_was_taken_away(ledger, how):
    begin(ledger, "K1")
    if how == "replaced":
        ledger.path.with_name("new").write_bytes(ledger.path.read_bytes())
        ledger.path.with_name("new").rename(ledger.path)
    else:
        ledger.path.unlink()
    with pytest.raises(LedgerWriteError, match="deleted, moved or replaced"):
        ledger.ensure_job("other", ["k"])


@pytest.mark.parametrize("version", [(3, 51, 3), (3, 40, 1)])
def test_whatever_the_journal_every_commit_is_durable_and_found_again(url, tmp_path, monkeypatch, version):
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
    with Ledger.open_to_write(url, at=AT) as ledger:
        begin(ledger, "K1")
        cursor = raw_cursor(ledger.connection)
        mode = cursor.execute("PRAGMA journal_mode").fetchone()[0]
        level = cursor.execute("PRAGMA synchronous").fetchone()[0]
        cursor.close()
        assert (mode, level) == (("wal", 2) if version == (3, 51, 3) else ("delete", 3))
    with Ledger.open_to_read(url) as read:
        assert [batch.size for batch in read.batches()] == [1]
        with pytest.raises(LedgerWriteError, match="read-only"):
            read.ensure_job("other", ["k"])


def test_a_file_of_something_else_is_said_to_be_no_ledger(url, tmp_path):
    (tmp_path / "l.db").write_bytes(b"not a database" * 100)
    with pytest.raises(LedgerCorruptError, match="damaged or not a ledger"):
        Ledger.open_to_write(url, at=AT)
    with pytest.raises(LedgerCorruptError, match="damaged or not a ledger"):
        Ledger.open_to_read(url)


def test_what_sqlite_says_of_its_own_becomes_our_words(ledger):
    for statement, kind in (
        ("SELECT * FROM nowhere", LedgerSchemaError),
        ("SELECT colour FROM jobs", LedgerSchemaError),
        ("SELEC", LedgerError),
    ):
        with pytest.raises(kind), ledger.transaction() as connection:
            connection.exec_driver_sql(statement)
        with pytest.raises(kind), ledger.transaction() as connection:
            raw_cursor(connection).execute(statement)
    assert ledger.problems() == []


def test_a_message_that_quotes_a_damaged_page_is_no_defect_of_the_program():
    """The driver cannot read what SQLite says of such a page as text, and raises that instead."""
    error = ledger_error(UnicodeDecodeError("utf-8", b"\xbe", 0, 1, "invalid start byte"), Path("syncer.db"))
    assert isinstance(error, LedgerCorruptError)


def test_what_is_not_sqlites_error_stays_what_it_is(ledger):
    with pytest.raises(ZeroDivisionError), ledger.transaction():
        raise ZeroDivisionError
    from sqlalchemy import text
    from sqlalchemy.exc import StatementError

    with pytest.raises(StatementError), ledger.transaction() as connection:
        connection.execute(text("SELECT :missing"), {"other": 1})


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("SQLITE_BUSY_SNAPSHOT", LedgerBusyError, "locked by another program"),
        ("SQLITE_READONLY_DBMOVED", LedgerWriteError, "moved or replaced"),
        ("SQLITE_READONLY", LedgerWriteError, "read-only"),
        ("SQLITE_FULL", LedgerWriteError, "the disk is full"),
        ("SQLITE_IOERR_FSYNC", LedgerWriteError, "the disk reports an error"),
        ("SQLITE_CANTOPEN", LedgerWriteError, "cannot be opened"),
        ("SQLITE_CORRUPT", LedgerCorruptError, "damaged"),
        ("", LedgerError, "refused a statement"),
    ],
)
def test_every_family_of_sqlites_errors_has_words(name, kind, words):
    error = sqlite3.OperationalError("words")
    error.sqlite_errorname = name
    found = ledger_error(error, Path("l.db"))
    assert type(found) is kind
    assert words in str(found)


def test_a_ledger_that_this_account_may_not_use_names_the_account_and_no_command_that_ends_alike(tmp_path, monkeypatch):
    error = sqlite3.OperationalError("unable to open database file")
    error.sqlite_errorname = "SQLITE_CANTOPEN"
    path = tmp_path / "l.db"
    path.touch()
    assert ledger_error(error, path).next == AGAIN
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    found = ledger_error(error, path)
    assert (found.next, found.remedy) == (
        f"ls -l {path}", "run as the account that it belongs to, or give this one access",
    )  # fmt: skip


# ── its lock ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_lock_that_is_no_plain_file_is_told(tmp_path):
    os.mkfifo(tmp_path / "l.db.lock")
    with pytest.raises(LedgerUntrustedError, match="is no plain file"):
        LedgerLock(tmp_path / "l.db", since=AT)


@pytest.mark.parametrize("owner", [b"", b"\xff", b"[]", b"{}", b'"words"'])
def test_an_owner_that_has_not_written_its_name_is_told_too(tmp_path, owner):
    with LedgerLock(tmp_path / "l.db", since=AT):
        lock_path(tmp_path / "l.db").write_bytes(owner)
        assert not was_whole(tmp_path / "l.db")
        with pytest.raises(LedgerBusyError, match="has not written its name"):
            LedgerLock(tmp_path / "l.db", since=AT)


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_a_lock_that_was_taken_away_ends_the_run_before_it_writes(ledger, how):
    lock = lock_path(ledger.path)
    lock.unlink()
    if how == "replaced":
        lock.write_bytes(b"")
    with pytest.raises(LedgerBusyError, match="removed or replaced"):
        ledger.ensure_job("other", ["k"])


def test_a_file_system_that_cannot_lock_is_told_and_nothing_stays_open(tmp_path, monkeypatch):
    def no_locks(_descriptor, _how):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    open_before = len(os.listdir("/dev/fd"))
    monkeypatch.setattr(fcntl, "flock", no_locks)  # as some network file systems answer
    with pytest.raises(LedgerWriteError, match="cannot be taken: No locks available"):
        LedgerLock(tmp_path / "l.db", since=AT)
    assert len(os.listdir("/dev/fd")) == open_before


def test_a_lock_is_given_up_once_and_its_file_stays(tmp_path):
    assert not was_whole(tmp_path / "l.db")
    lock = LedgerLock(tmp_path / "l.db", since=AT)
    lock.ledger_is_whole()
    lock.release()
    lock.release()
    assert was_whole(tmp_path / "l.db")
    assert LedgerLock(tmp_path / "l.db", since=AT).ledger_was_whole


# ── its schema ───────────────────────────────────────────────────────────────────────────────────────────────────────


def edit(path, *statements):
    with closing(sqlite3.connect(path)) as database, database:
        for statement in statements:
            database.execute(statement)


def test_a_ledger_without_a_revision_and_one_of_an_unknown_older_one_are_refused(url, tmp_path):
    Ledger.open_to_write(url, at=AT).close()
    edit(tmp_path / "l.db", "UPDATE alembic_version SET version_num = '0000'")
    before = (tmp_path / "l.db").read_bytes()
    with pytest.raises(LedgerSchemaError, match="cannot be upgraded from 0000"):
        upgrade_ledger(url, at=AT)
    backup_path = tmp_path / "l.db.0000.backup"
    kept = backup_path.stat().st_mtime_ns
    with pytest.raises(LedgerSchemaError, match="cannot be upgraded"):
        upgrade_ledger(url, at=AT)  # the backup that is there is not made again
    assert backup_path.stat().st_mtime_ns == kept
    assert (tmp_path / "l.db").read_bytes() == before
    with pytest.raises(LedgerSchemaError) as caught:
        Ledger.open_to_read(url)
    assert caught.value.next == "syncer ledger upgrade"
    edit(tmp_path / "l.db", "DELETE FROM alembic_version")
    with pytest.raises(LedgerCorruptError, match="no schema revision"):
        Ledger.open_to_write(url, at=AT)


def test_a_database_without_tables_is_no_ledger_to_read(url, tmp_path):
    edit(tmp_path / "l.db", "PRAGMA user_version = 1")
    with pytest.raises(LedgerSchemaError, match="the ledger's schema is empty"):
        Ledger.open_to_read(url)


# ── its history, and copies ──────────────────────────────────────────────────────────────────────────────────────────


def test_check_reports_events_that_cannot_have_been_and_never_trips_over_them(ledger):
    writer, batch = begin(ledger, "K1", "K2", "K3", "K4")
    sending, attempt = writer.start(batch, "r", AT)
    writer.confirmed(sending, 4, AT, attempt_id=attempt)
    insert = "INSERT INTO events (at, run_id, batch_id, event, old_state, new_state) VALUES ('', 1, 1, "
    for values in (
        "'start', 'planned', 'sending')",  # legal, but not from here
        "'start', 'confirmed', 'sending')",  # no such transition
        "'sneeze', 'confirmed', 'sending')",  # no such event
        "'start', 'confirmed', 'asleep')",  # no such state
    ):
        assert any("cannot follow" in words for words in damage(ledger, insert + values)), values
    found = damage(ledger, "DELETE FROM mirror")
    assert found == ["confirmed values that the mirror does not have: K1, K2, K3 …"]
    assert damage(ledger, "UPDATE batches SET state = 'asleep'") != []
    assert ledger.problems() == []


def test_check_passes_on_what_sqlite_finds(url, tmp_path):
    with Ledger.open_to_write(url, at=AT) as ledger:
        begin(ledger, "K1")
    edit(tmp_path / "l.db", "PRAGMA foreign_keys=OFF", "UPDATE batches SET run_id = 99")
    with Ledger.open_to_read(url) as ledger:
        assert "a row of batches points to nothing" in ledger.problems()


def test_a_backup_that_fails_says_why_and_leaves_nothing(ledger, tmp_path, monkeypatch):
    with pytest.raises(LedgerWriteError, match="cannot be opened"):
        backup(tmp_path / "gone.db", tmp_path / "copy.db")
    with pytest.raises(UsageError, match="cannot be written") as slip:
        backup(ledger.path, tmp_path / "no folder" / "copy.db")
    assert slip.value.next == f"mkdir -p '{tmp_path}/no folder'"
    with pytest.raises(LedgerWriteError, match=r"copy\.db cannot be written: Not a directory"):
        backup(ledger.path, tmp_path / "l.db" / "copy.db")
    keep = NewFile.keep

    def somebody_was_faster(part, **how):
        (tmp_path / "copy.db").write_text("theirs")
        keep(part, **how)

    monkeypatch.setattr(NewFile, "keep", somebody_was_faster)
    with pytest.raises(UsageError, match="never replaces"):
        backup(ledger.path, tmp_path / "copy.db")
    assert (tmp_path / "copy.db").read_text() == "theirs"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.db", "l.db", "l.db.lock"]


def test_a_backup_that_finds_no_room_blames_the_copy_and_leaves_nothing(ledger, tmp_path):
    """Files of this process may grow to no more than 8 KiB: SQLite meets that as it meets a full disk."""
    (tmp_path / "full").mkdir()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, before[1]))
    try:
        with pytest.raises(LedgerWriteError, match=r"the backup .*copy\.db cannot be written") as raised:
            backup(ledger.path, tmp_path / "full" / "copy.db")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "another disk" in raised.value.remedy
    assert list((tmp_path / "full").iterdir()) == []


def test_what_is_confirmed_is_found_for_few_keys_and_for_very_many(ledger):
    writer, batch = begin(ledger, "K1", "K2", "K3")
    sending, attempt = writer.start(batch, "r", AT)
    writer.miscounted(sending, 2, AT, message="m", unmatched=[batch.first_item_id + 1], attempt_id=attempt)
    job = ledger.job("job", ["k"])
    for asked in (["K1", "K2", "K3"], [f"K{number}" for number in range(60_000)]):
        with ledger.knowledge(job.space_id) as knowledge:
            blocks = list(knowledge.known(pa.array(asked, pa.large_string())))
        found = {key: n for block in blocks for key, n in zip(block.keys.to_pylist(), block.pictures, strict=True)}
        assert {key: number > 0 for key, number in found.items()} == {"K1": True, "K2": False, "K3": True}


def test_the_audit_tells_what_is_to_be_sent_again_and_filters_by_run_and_time(ledger):
    writer, batch = begin(ledger, "K1")
    sending, attempt = writer.start(batch, "r", AT)
    writer.not_processed(sending, attempt, AT, status_code=429, message="m")
    assert [entry.outcome for entry in ledger.history("K1")] == ["to be sent again"]
    sending, attempt = writer.start(sending_again := ledger.batches(run_id=batch.run_id)[0], "r1", AT)
    writer.send_again(writer.lost(sending, attempt, AT, uptime=UPTIME, message="m"), AT)
    assert [entry.outcome for entry in ledger.history("K1")] == ["in_doubt"]  # as the counts of its run say
    assert ledger.bucket_counts(sending_again.run_id)[Bucket.IN_DOUBT] == 1
    other, second = begin(ledger, "K2")
    assert [entry.key for entry in ledger.export(HistoryRequest(run_id=second.run_id))] == ["K2"]
    sending, attempt = other.start(second, "r2", LATER)
    assert [entry.key for entry in ledger.export(HistoryRequest(since=LATER))] == ["K2"]
    assert [entry.key for entry in ledger.export(HistoryRequest())] == ["K1", "K2"]


def test_what_is_written_together_is_kept_together_or_not_at_all(ledger):
    writer, batch = begin(ledger, "K1", "K2")

    def half():
        with writer.together():
            sending, attempt = writer.start(batch, "r", AT)
            writer.confirmed(sending, 2, AT, attempt_id=attempt)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    assert ledger.batches() == [batch]
    sending, attempt = writer.start(batch, "r", AT)
    writer.confirmed(sending, 2, AT, attempt_id=attempt)
    assert ledger.bucket_counts(batch.run_id)[Bucket.CONFIRMED] == 2
    assert ledger.problems() == []


# ── products ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def product(number, sku, *, archived=False, at=AT):
    return ProductRecord(number, sku, f"Name of {sku}", archived, None if number % 2 else 7, "{}", at)


def test_the_copy_of_products_says_what_the_last_whole_lists_said(ledger):
    assert copy.last_pull(ledger) is None
    assert copy.product(ledger, "a") is None
    both = [product(1, "a"), product(2, "b", archived=True), product(3, "c")]
    first = PullRecord(AT, AT, True, 3, 2, 6)
    copy.store_pull(ledger, first, both)
    second = PullRecord(LATER, LATER, False, 1, 1, 1)
    copy.store_pull(ledger, second, [product(1, "a", at=LATER)])
    copy.store_products(ledger, [])
    copy.store_products(ledger, [product(4, "a", at=LATER)])
    assert (copy.last_pull(ledger), copy.last_pull(ledger, archived=True)) == (second, first)
    assert (copy.count_gone(ledger, first), copy.count_gone(ledger, second)) == (0, 1)
    assert copy.count(ledger) == 4
    assert [one.id for one in copy.products(ledger)] == [1, 4, 2, 3]
    assert [one.id for one in copy.products(ledger, archived=True)] == [2]
    assert [one.id for one in copy.products(ledger, text="NAME OF A")] == [1, 4]
    assert copy.product(ledger, "a").id == 4
    assert (copy.product(ledger, "b").campaign, copy.product(ledger, "c").campaign) == (7, None)
    assert copy.known_names(ledger, ["a", "c", "3", "03", "nobody"], since=AT) == {"a", "c", "3"}


# ── scans ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_one_pull_at_a_time_and_a_step_from_an_old_state_is_refused(url):
    with ScanLedger.open(url, at=AT) as scans:
        with pytest.raises(LedgerBusyError):
            ScanLedger.open(url, at=AT)
        assert scans.find("out") is None
        state = scans.ensure("out", '{"campaign": 8}', at=AT)
        assert scans.ensure("out", '{"campaign": 8}', at=LATER) == state
        seen = Seen(1, b"u" * 16, b"t" * 8)
        rows = [(state.id, b"u" * 16, campaign, campaign, "E", None, '{"lot":"1"}', "{}") for campaign in (7,)]
        after = replace(state, parts=1, scans=1, chain=1, chain_query="next")
        scans.commit(state, after, at=AT, delivered=seen, rows=rows)
        assert list(scans.seen(after)) == [seen]
        with pytest.raises(LedgerCorruptError, match="changed by somebody else"):
            scans.commit(state, after, at=AT, delivered=seen)
        assert list(scans.seen(after)) == [seen]
        with pytest.raises(UsageError, match="another pull"):
            scans.ensure("out", '{"campaign": 7}', at=AT)
        done = replace(after, chain_query=None)
        scans.commit(after, done, at=AT, kept=[seen])
        assert scans.find("out") == done
        assert isinstance(done, PullState)
    with Ledger.open_to_read(url) as ledger, ledger.transaction() as connection:
        assert [scan.extended_id for scan in stored_scans(connection, 7)] == ["E"]
        assert list(stored_scans(connection, 8)) == []
        assert len(list(stored_scans(connection, None))) == 1


def test_a_pull_is_found_under_every_spelling_of_its_place_and_of_its_flags(url, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with ScanLedger.open(url, at=AT) as scans:
        state = scans.ensure(f"{tmp_path}/link/../real/s", '{"flags": "b,a"}', at=AT)
        for spelled in ("real/s", "link/s", "real/../real/s", "real/s/x/.."):
            assert scans.ensure(f"{tmp_path}/{spelled}", '{"flags": "a,b"}', at=LATER) == state
        assert str(resolved(tmp_path / "link" / "s")) == f"{tmp_path}/real/s"
        stored = scans.ensure('ledger: {"flags": "b,a", "x": 1}', '{"flags": "b,a", "x": 1}', at=AT)
        assert scans.ensure('ledger: {"flags": "a,b", "x": 1}', '{"flags": "a,b", "x": 1}', at=AT) == stored
        assert scans.find('ledger: {"x": 1}') is None


def test_a_pull_that_has_delivered_nothing_takes_other_filters_and_begins_anew(url):
    with ScanLedger.open(url, at=AT) as scans:
        state = scans.ensure("out", '{"campaign": 8}', at=AT)
        begun = replace(
            state, chain=3, chain_query="next", chain_began_us=5, watermark_us=4, seen_from_us=1, too_late=9
        )
        scans.commit(state, begun, at=AT)
        anew = scans.ensure("out", '{"campaign": 7}', at=LATER)
        assert anew == replace(state, scope='{"campaign": 7}', chain=3, chain_began_us=5)
        assert scans.find("out") == anew


def test_what_a_clock_ahead_saw_is_gone_when_a_later_list_lacks_it(ledger):
    """A pull says what there is, whatever the clocks of earlier ones said; archived products only one with them."""
    ahead = [product(1, "a", at=LATER), product(2, "b", at=LATER), product(3, "c", archived=True, at=LATER)]
    copy.store_pull(ledger, PullRecord(LATER, LATER, True, 3, 1, 1), ahead)
    now = PullRecord(AT, AT, False, 1, 1, 1)
    copy.store_pull(ledger, now, [product(1, "a")])
    assert copy.count_gone(ledger, now) == 1
    assert copy.known_names(ledger, ["a", "b", "c"], since=AT) == {"a", "c"}
    whole = PullRecord(AT, AT, True, 1, 1, 1)
    copy.store_pull(ledger, whole, [product(1, "a")])
    assert copy.count_gone(ledger, whole) == 2


def test_products_are_found_in_any_case_of_any_letter(ledger):
    copy.store_products(ledger, [product(1, "Äpfel"), product(2, "A\u0308PFELMUS"), product(3, "Birnen")])
    for text in ("äpfel", "ÄPFEL", "a\u0308pfel"):
        assert sorted(one.id for one in copy.products(ledger, text=text)) == [1, 2]


def test_a_pull_that_finds_another_schema_lets_go_of_its_lock(url, tmp_path):
    Ledger.open_to_write(url, at=AT).close()
    edit(tmp_path / "l.db", "UPDATE alembic_version SET version_num = '9999'")
    for _ in range(2):
        with pytest.raises(LedgerSchemaError, match="newer"):
            ScanLedger.open(url, at=AT)


def test_only_what_may_have_arrived_is_compared_with_scans(ledger):
    outcomes = {}
    for key in ("never", "refused", "unmatched", "applied"):
        writer, batch = begin(ledger, key)
        if key != "never":
            sending, attempt = writer.start(batch, key, AT)
        if key == "refused":
            writer.refused(sending, attempt, AT, status_code=400, message="m")
        elif key == "unmatched":
            writer.miscounted(sending, 0, AT, message="m", unmatched=[batch.first_item_id], attempt_id=attempt)
        elif key == "applied":
            writer.confirmed(sending, 1, LATER, attempt_id=attempt)
        outcomes[key] = batch
    ledger.ensure_job("pairs", ["lot", "box"])
    writer, _ = begin(ledger, "A\x1f1", key=("lot", "box"))
    writer.end_run(1, AT, state="complete", exit_code=3, error=None, discarded_fields=["gone"])
    with ledger.transaction() as connection:
        (upload,) = sent_values.uploads(connection, "k", list(outcomes))
        assert (upload.key, upload.sent_at, upload.confirmed_at) == ("applied", AT, LATER)
        assert sent_values.incomparable_fields(connection, ["k"]) == {"f": ["box+lot"]}
        assert sent_values.discarded_fields(connection) == {"gone"}


# ── uploads of own codes ─────────────────────────────────────────────────────────────────────────────────────────────


def new_upload(file="codes.csv"):
    return NewUpload(file, "0" * 64, 10, file, "csv", {}, None, False, {}, "test")


def add(ledger, *codes, file="codes.csv"):
    rows = [(code, 0, 2 + line, "{}") for line, code in enumerate(codes)]
    return ledger.uploads().add(new_upload(file), rows, lambda: [NewPart(len(codes), 5, "1" * 64, "spool")], at=AT)


def test_an_upload_of_codes_is_found_by_what_it_is(ledger):
    uploads = ledger.uploads()
    assert (uploads.upload(1), uploads.like("codes.csv"), uploads.product_skus()) == (None, None, None)
    upload = add(ledger, "ABCDEFG1", "ABCDEFG2", "ABX")
    (part,) = upload.parts
    assert (upload.state, uploads.open_uploads(), uploads.newest(most=5)) == ("open", [upload], [upload])
    assert uploads.codes_like(part, "ABCDEFG") == ["ABCDEFG1", "ABCDEFG2"]
    assert len(uploads.codes_like(part, "")) == 3
    copy.store_products(ledger, [product(1, "sku")])
    assert uploads.product_skus() is None  # one that was looked up is no list
    with ledger.transaction() as connection:
        connection.exec_driver_sql("INSERT INTO product_pulls VALUES (1, ?, ?, 0, 1, 1, 1)", (AT, AT))
    assert uploads.product_skus() == {"sku"}
    ((found, numbers),) = uploads.known_codes(pa.array(["ABX", "new"], pa.large_string()))
    assert (found.to_pylist(), numbers.tolist()) == (["ABX"], [upload.id])


def test_a_part_that_somebody_else_gave_another_record_is_noticed(ledger):
    uploads = ledger.uploads()
    (part,) = add(ledger, "ABCDEFG1").parts
    seen = uploads.change(part, PartEvent.RECORD_MADE, at=AT, record_key="r1")
    again = uploads.change(seen, PartEvent.FORM_SPENT, at=AT)
    now = uploads.change(again, PartEvent.RECORD_MADE, at=AT, record_key="r2")
    assert now.state is seen.state
    with pytest.raises(StaleStateError, match="no longer 'recorded'"):
        uploads.change(seen, PartEvent.STORE, at=AT)
    assert uploads.change(now, PartEvent.STORE, at=AT).record_key == "r2"
    assert ledger.problems() == []


def test_a_part_changes_once_and_its_history_is_checked(ledger):
    uploads = ledger.uploads()
    (part,) = add(ledger, "ABCDEFG1").parts
    state, event = next((PartState.PLANNED, one) for one in PartEvent if _allowed(PartState.PLANNED, one))
    changed = uploads.change(part, event, at=AT)
    assert changed.state is not state
    with pytest.raises(IllegalTransitionError, match="no longer"):
        uploads.change(part, event, at=AT)
    assert ledger.problems() == []
    for statement, words in (
        ("UPDATE upload_parts SET state = 'planned'", "its events do not say"),
        ("UPDATE upload_parts SET codes = 2", "has 1 codes instead of 2"),
        (
            (
                "INSERT INTO upload_events (at, part_id, event, old_state, new_state) "
                f"VALUES ('', 1, 'sneeze', '{changed.state.value}', 'z')"
            ),
            "'sneeze'",
        ),
        (
            "INSERT INTO upload_events (at, part_id, event, old_state, new_state) VALUES ('', 1, 'x', 'y', 'z')",
            "follow",
        ),
    ):
        assert any(words in problem for problem in damage(ledger, statement)), statement


def test_what_the_api_said_against_codes_is_kept_with_their_lines(ledger):
    uploads = ledger.uploads()
    upload = add(ledger, "ABCDEFG1", "ABCDEFG2")
    said = [("ABCDEFG2", "duplicate_id_error", "twice"), ("", "file_error", "the file")]
    (part,) = upload.parts
    ended = uploads.ended(part, PartEvent.REFUSED, said, at=LATER, message="refused")
    assert (ended.state, uploads.upload(upload.id).state) == (PartState.REFUSED, "failed")
    assert [(one.code, one.line) for one in uploads.errors(upload.id)] == [("", 0), ("ABCDEFG2", 3)]
    assert len(uploads.errors(upload.id, most=1)) == 1
    assert [one.message for one in uploads.history("ABCDEFG2")] == ["duplicate_id_error twice"]
    assert [one.message for one in uploads.history("ABCDEFG1")] == ["refused"]
    assert uploads.open_uploads() == []
    with pytest.raises(IllegalTransitionError):
        uploads.ended(part, PartEvent.REFUSED, said, at=LATER)
    assert len(uploads.errors(upload.id)) == 2  # in one transaction with the event: what was said twice is not kept
    assert ledger.problems() == []


def _allowed(state, event):
    from syncer.lifecycle.part import TRANSITIONS

    return (state, event) in TRANSITIONS


def test_an_engine_that_only_reads_never_asks_for_the_write_lock(ledger):
    begin(ledger, "K1")
    reading = open_engine(ledger.path, read_only=True)
    with ledger.connection.begin(), reading.connect() as connection, connection.begin():
        assert connection.exec_driver_sql("SELECT count(*) FROM batches").scalar_one() == 1
        with pytest.raises(LedgerWriteError, match="read-only"):
            connection.exec_driver_sql("DELETE FROM mirror")
    assert [batch.state for batch in ledger.batches()] == [State.PLANNED]
