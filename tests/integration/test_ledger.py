"""The ledger on a real SQLite file: each event once, history whole, copies consistent, one writer."""

from __future__ import annotations

import multiprocessing
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest
from plans import plan_of

from syncer.errors import IllegalTransitionError, LedgerBusyError, StaleStateError, UsageError
from syncer.ledger.check import backup
from syncer.ledger.database import wal_is_safe
from syncer.ledger.ledger import Ledger
from syncer.ledger.splitting import Piece
from syncer.lifecycle.batch import Bucket, State
from syncer.model import Dialect, Kind, SourceInfo
from syncer.process.clock import Uptime

AT = "2026-11-20T05:00:00.000Z"
UPTIME = Uptime("a boot", 7.0)
SOURCE = SourceInfo("a.csv", "0" * 64, 10, 4, Dialect("utf-8", ",", '"'), ("k", "f"))


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open_to_write(f"sqlite:///{tmp_path}/l.db", at=AT) as opened:
        yield opened


def begin(ledger, keys=("K1", "K2", "K3", "K4"), **plan):
    job = ledger.ensure_job("job", ["k"])
    run = ledger.begin_run(job, at=AT, mode="auto", campaign=None, unique=True, program="test")
    ledger.store_plan(run, plan_of(list(keys), **plan), [SOURCE], at=AT)
    (batch,) = ledger.batches(run_id=run.id)
    return run, ledger.writer(run.id), batch


def known(ledger):
    """What the mirror knows of every key: the known fields, and the batch that said so."""
    with ledger.transaction() as connection:
        rows = connection.exec_driver_sql("SELECT key, batch_id FROM mirror").fetchall()
    with ledger.knowledge(1) as knowledge:
        pictures = knowledge.view([key for key, _ in rows])
    return {key: batch for key, batch in rows if pictures[key].known != "{}"}


EVENTS = {
    "accepted": lambda w, b, a: w.accepted(b, a, "t1", AT),
    "confirmed": lambda w, b, a: w.confirmed(b, 4, AT, attempt_id=a),
    "miscounted": lambda w, b, a: w.miscounted(b, 3, AT, message="m", unmatched=[b.first_item_id], attempt_id=a),
    "refused": lambda w, b, a: w.refused(b, a, AT, status_code=400, message="m"),
    "not processed": lambda w, b, a: w.not_processed(b, a, AT, status_code=429, message="m"),
    "lost": lambda w, b, a: w.lost(b, a, AT, uptime=UPTIME, message="m"),
}


@pytest.mark.parametrize("name", EVENTS)
def test_every_event_happens_once_and_the_second_call_changes_nothing(ledger, name):
    _, writer, batch = begin(ledger)
    sending, attempt = writer.start(batch, "ref", AT)
    with pytest.raises(IllegalTransitionError):
        writer.start(batch, "ref2", AT)
    EVENTS[name](writer, sending, attempt)
    before = list(dump(ledger))
    with pytest.raises(IllegalTransitionError):
        EVENTS[name](writer, sending, attempt)
    assert list(dump(ledger)) == before
    assert ledger.problems() == []


def dump(ledger):
    with closing(sqlite3.connect(ledger.path)) as database:
        yield from database.iterdump()


def test_events_after_a_lost_answer_happen_once(ledger):
    for number, event in enumerate(
        (
            lambda w, b, a: w.found(b, a, "t2", AT),
            lambda w, b, a: w.absent(b, AT, detail="d"),
            lambda w, b, a: w.send_again(b, AT),
        )
    ):
        _, writer, batch = begin(ledger, keys=(f"A{number}", f"B{number}"))
        sending, attempt = writer.start(batch, f"r{number}", AT)
        lost = writer.lost(sending, attempt, AT, uptime=UPTIME, message="m")
        event(writer, lost, attempt)
        with pytest.raises(IllegalTransitionError):
            event(writer, lost, attempt)
    _, writer, batch = begin(ledger, keys=("C1",))
    sending, attempt = writer.start(batch, "r9", AT)
    submitted = writer.accepted(sending, attempt, "t9", AT)
    writer.task_failed(submitted, AT, message="m")
    with pytest.raises(IllegalTransitionError):
        writer.task_failed(submitted, AT, message="m")
    assert ledger.problems() == []


def test_the_mirror_advances_only_with_a_confirmation(ledger):
    _, writer, batch = begin(ledger)
    assert known(ledger) == {}
    sending, attempt = writer.start(batch, "ref", AT)
    submitted = writer.accepted(sending, attempt, "t", AT)
    assert known(ledger) == {}
    writer.miscounted(submitted, 3, AT, message="m", unmatched=[batch.first_item_id + 1])
    assert known(ledger) == dict.fromkeys(("K1", "K3", "K4"), batch.id)
    counts = ledger.bucket_counts(batch.run_id)
    assert (counts[Bucket.CONFIRMED], counts[Bucket.UNMATCHED]) == (3, 1)


def test_a_split_batch_hands_every_value_on_and_counts_once(ledger):
    run, writer, batch = begin(ledger)
    sending, attempt = writer.start(batch, "ref", AT)
    ids = [item.id for item in ledger.items(batch)]
    _, children = writer.refused(
        sending, attempt, AT, status_code=400, message="m",
        pieces=[Piece(Kind.SYNC, (ids[0], ids[2])), Piece(Kind.SYNC, (ids[1], ids[3]))],
    )  # fmt: skip
    assert [[item.key for item in ledger.items(child)] for child in children] == [["K1", "K3"], ["K2", "K4"]]
    assert sum(ledger.bucket_counts(run.id).values()) == 4
    assert ledger.batches(run_id=run.id) == children
    assert ledger.problems() == []


def test_parts_of_a_batch_keep_lines_data_and_where_each_field_came_from(ledger):
    _, writer, batch = begin(ledger)
    with ledger.transaction() as connection:
        connection.exec_driver_sql(
            "INSERT INTO item_origins (item_id, source_id, line, fields) VALUES (?, 1, 77, '[\"f\"]')",
            (batch.first_item_id + 2,),
        )
    before = {item.key: item for item in ledger.items(batch)}
    children = writer.repack(
        batch, [Piece(Kind.SYNC, (batch.first_item_id + 2, batch.first_item_id)), Piece(Kind.SYNC, (2, 4))], AT
    )
    columns = "SELECT i.key, i.line, i.source_id, i.payload_id, i.before_id, o.line FROM items i LEFT JOIN"
    with ledger.transaction() as connection:
        rows = connection.exec_driver_sql(f"{columns} item_origins o ON o.item_id = i.id ORDER BY i.id").fetchall()
    old, new = {row[0]: row for row in rows[:4]}, {row[0]: row for row in rows[4:]}
    assert old == new
    assert [row[5] for row in rows[4:]] == [77, None, None, None]
    assert [[item.key for item in ledger.items(child)] for child in children] == [["K3", "K1"], ["K2", "K4"]]
    assert all(item.data == before[item.key].data for child in children for item in ledger.items(child))


def test_every_call_of_a_dead_process_is_in_doubt_not_the_first_alone(ledger):
    run, writer, _ = begin(ledger)
    job = ledger.ensure_job("job", ["k"])
    other = ledger.begin_run(job, at=AT, mode="auto", campaign=None, unique=True, program="test")
    ledger.store_plan(other, plan_of(["K5", "K6"], sizes=[1, 1], varying=[-1, -1]), [SOURCE], at=AT)
    for number, batch in enumerate(ledger.batches(run_id=other.id)):
        writer.start(batch, f"r{number}", AT)
    assert ledger.doubt_interrupted(run.id, at=AT, uptime=UPTIME) == 2
    assert {batch.state for batch in ledger.batches(run_id=other.id)} == {State.IN_DOUBT}


def test_a_newer_plan_supersedes_what_was_never_sent_and_nothing_else(ledger):
    first, writer, batch = begin(ledger, keys=("K1",))
    sending, attempt = writer.start(batch, "r1", AT)
    writer.lost(sending, attempt, AT, uptime=UPTIME, message="m")
    second, _, _ = begin(ledger, keys=("K2",))
    third, _, _ = begin(ledger, keys=("K3",))
    assert ledger.bucket_counts(first.id)[Bucket.IN_DOUBT] == 1
    assert ledger.bucket_counts(second.id)[Bucket.SUPERSEDED] == 1
    assert ledger.bucket_counts(third.id)[Bucket.UNSENT] == 1


def test_what_a_dead_process_was_sending_is_in_doubt(ledger):
    run, writer, batch = begin(ledger)
    writer.start(batch, "r1", AT)
    assert ledger.doubt_interrupted(run.id, at=AT, uptime=UPTIME) == 1
    assert ledger.doubt_interrupted(run.id, at=AT, uptime=UPTIME) == 0
    (found,) = ledger.batches(states=[State.IN_DOUBT])
    assert ledger.lost_references(found) == {"r1": 1}


def test_a_state_that_another_hand_changed_is_noticed(ledger):
    _, writer, batch = begin(ledger)
    with ledger.connection.begin():
        ledger.connection.exec_driver_sql("UPDATE batches SET state = 'confirmed'")
    with pytest.raises(StaleStateError, match="no longer") as caught:
        writer.start(batch, "r", AT)
    assert "syncer resume" in caught.value.next
    assert ledger.problems() != []


def test_a_state_that_another_hand_left_and_came_back_to_is_noticed(ledger):
    """Both see a call in doubt; one sends it again, and it is in doubt anew: what the other found out is of the past."""
    _, writer, batch = begin(ledger)
    sending, attempt_id = writer.start(batch, "r1", AT)
    seen = writer.lost(sending, attempt_id, AT, uptime=UPTIME, message="reset")
    again, attempt_id = writer.start(writer.absent(seen, AT, detail="two looks"), "r2", AT)
    now = writer.lost(again, attempt_id, AT, uptime=UPTIME, message="reset")
    assert now.state is seen.state
    for late in (
        lambda: writer.absent(seen, AT, detail="two looks"),
        lambda: writer.found(seen, attempt_id, "t", AT),
        lambda: writer.send_again(seen, AT),
    ):
        with pytest.raises(StaleStateError, match="no longer 'in_doubt' after 1 attempts"):
            late()
    assert ledger.batches(states=[State.IN_DOUBT]) == [now]
    assert ledger.problems() == []


def test_check_finds_what_is_wrong(ledger):
    _, writer, batch = begin(ledger)
    sending, attempt = writer.start(batch, "ref", AT)
    writer.confirmed(sending, 4, AT, attempt_id=attempt)
    assert ledger.problems() == []
    for damage, words in (
        ("UPDATE batches SET size = 3", "not their size"),
        ("INSERT INTO mirror VALUES (1, 'K9', 1, 1)", "no item explains"),
        ("UPDATE mirror SET picture = -7 WHERE key = 'K1'", "without their picture"),
        ("DELETE FROM mirror WHERE key = 'K1'", "that the mirror does not have"),
        ("UPDATE batches SET space_id = 9", "another code space"),
        ("INSERT INTO item_origins VALUES (99, 1, 2, '[]')", "origins of no item"),
        ("UPDATE batches SET kind = 'wish'", "wishes that were sent"),
        ("UPDATE batches SET state = 'planned'", "its events end in"),
        ("UPDATE batches SET unmatched = 1", "unmatched values"),
    ):
        connection = ledger.connection
        transaction = connection.begin()
        connection.exec_driver_sql(damage)
        assert any(words in problem for problem in ledger.problems()), damage
        transaction.rollback()


def hold(path, ready, leave):
    with Ledger.open_to_write(f"sqlite:///{path}", at=AT):
        ready.set()
        leave.wait(20)


def test_one_writer_at_a_time_and_a_dead_owner_leaves_no_lock(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready, leave = context.Event(), context.Event()
    owner = context.Process(target=hold, args=(tmp_path / "l.db", ready, leave))
    owner.start()
    assert ready.wait(60)
    with pytest.raises(LedgerBusyError, match=str(owner.pid)):
        Ledger.open_to_write(f"sqlite:///{tmp_path}/l.db", at=AT)
    with Ledger.open_to_read(f"sqlite:///{tmp_path}/l.db") as reader:
        assert reader.runs() == []
    owner.kill()
    owner.join()
    Ledger.open_to_write(f"sqlite:///{tmp_path}/l.db", at=AT).close()


def test_a_backup_is_a_whole_ledger_and_never_replaces_a_file(ledger, tmp_path):
    begin(ledger)
    backup(ledger.path, tmp_path / "copy.db")
    with Ledger.open_to_read(f"sqlite:///{tmp_path}/copy.db") as copy:
        assert copy.problems() == []
        assert len(copy.batches()) == 1
    assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600
    with pytest.raises(UsageError, match="never replaces"):
        backup(ledger.path, tmp_path / "copy.db")


def test_wal_is_used_only_without_its_reset_bug():
    assert [wal_is_safe(version) for version in ((3, 40, 1), (3, 44, 6), (3, 45, 0), (3, 50, 7), (3, 51, 2), (3, 51, 3), (3, 52, 0))] == [
        False, True, False, True, False, True, True,
    ]  # fmt: skip


def test_transactions_are_durable_and_files_are_private(ledger):
    with closing(ledger.connection.connection.driver_connection.cursor()) as cursor:
        assert cursor.execute("PRAGMA synchronous").fetchone()[0] >= 2
        assert cursor.execute("PRAGMA foreign_keys").fetchone() == (1,)
    assert ledger.path.stat().st_mode & 0o777 == 0o600


def test_values_are_frozen(ledger):
    _, _, batch = begin(ledger)
    with pytest.raises(AttributeError):
        batch.size = 1
    assert replace(batch, size=2).size == 2
