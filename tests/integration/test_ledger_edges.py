"""What the ledger does at its edges: a second time, at its bounds, where a file is not what it should be."""

from __future__ import annotations

import json
import random
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from plans import plan_of
from sim.scenes import SOURCE, K, Scene, singles
from sqlalchemy import insert

from syncer.arrow import texts
from syncer.errors import LedgerCorruptError, StaleStateError, UntrustedFileError, UsageError
from syncer.ledger import (
    archives,
    endings,
    ingested,
    night,
    pictures,
    proofs,
    pruning,
    recovery,
    story,
    unproven,
    untaken,
)
from syncer.ledger import schema as t
from syncer.ledger.bulk import raw_cursor
from syncer.ledger.chosen import choose_values
from syncer.ledger.crossing import Space, _moved, spaces_of_fields, stamp
from syncer.ledger.database import open_engine, roll_back
from syncer.ledger.knowledge import STAMPED, Knowledge
from syncer.ledger.ledger import Ledger
from syncer.ledger.lock import Holder, LedgerLock, holder, lock_path
from syncer.ledger.migrate import upgrading
from syncer.ledger.pictures import intern
from syncer.ledger.rotation import backup_into
from syncer.ledger.splitting import Piece
from syncer.ledger.story import stories
from syncer.ledger.upload_values import NewPart, NewUpload
from syncer.lifecycle.part import PartEvent
from syncer.mirror.picture import EVERY_FIELD, Picture, may_move
from syncer.mirror.words import NOTHING, canonical, fingerprint
from syncer.model import KEY_SEPARATOR, Kind
from syncer.plan.columns import Column, KeyColumn
from syncer.process.clock import utc_text
from syncer.rejections import Rejection, Rejections

AT = "2026-11-20T05:00:00.000Z"


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open_to_write(f"sqlite:///{tmp_path}/l.db", at=AT) as opened:
        yield opened


def sent(keys=K[:3], **scene):
    """Return a scene in which these values were confirmed."""
    made = Scene(singles(6), **scene)
    made.plan((keys, -1))
    assert made.engine.send() is None
    return made


def test_rejected_rows_are_kept_once_however_often_a_run_is_planned():
    scene = Scene(singles(1))
    rows = Rejections.of([Rejection(0, line, "E201", "extended_id is blank", "") for line in (3, 2)])
    for _ in range(2):
        scene.ledger.store_rejections(scene.run, rows, ["a.csv"])
    invalid, untaken = scene.ledger.refused_rows(scene.run.id)
    assert [(row.file, row.line, row.code) for row in invalid] == [("a.csv", 3, "E201"), ("a.csv", 2, "E201")]
    assert untaken == []


def test_who_holds_a_ledger_can_be_told_only_where_its_lock_can_be_read(tmp_path):
    ledger = tmp_path / "l.db"
    assert holder(ledger) == Holder(False, None)
    with LedgerLock(ledger, since=AT):
        found = holder(ledger)
        assert found.held
        assert found.owner is not None
        lock_path(ledger).write_bytes(b"[]")
        assert holder(ledger) == Holder(True, None)
    tmp_path.chmod(0o777)
    assert holder(ledger) == Holder(None, None)


def test_what_is_no_database_cannot_be_rolled_back(tmp_path):
    (tmp_path / "l.db").write_bytes(b"no database, but long enough to look like one" * 50)
    with pytest.raises(LedgerCorruptError):
        roll_back(tmp_path / "l.db")


def test_backups_go_into_no_folder_that_became_a_link(ledger, tmp_path, monkeypatch):
    folder = tmp_path / "backups"
    folder.mkdir(mode=0o700)

    def backup(_ledger, _target, *, marked_at):
        folder.rename(tmp_path / "elsewhere")
        folder.symlink_to(tmp_path / "elsewhere")

    monkeypatch.setattr("syncer.ledger.check.backup", backup)
    with pytest.raises(UntrustedFileError):
        backup_into(ledger, folder, keep=1, at=AT)


def test_a_migration_that_leaves_a_reference_to_nothing_is_undone(ledger):
    path = ledger.path
    ledger.close()
    engine = open_engine(path)
    row = "(99, 'a.csv', 2, 'E201', '', '')"  # of no run

    def migrate():
        with engine.connect() as connection, upgrading(connection):
            connection.exec_driver_sql(f"INSERT INTO rejections (run_id, file, line, code, key, message) VALUES {row}")

    with pytest.raises(LedgerCorruptError, match="refers to no row of"):
        migrate()
    engine.dispose()
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT count(*) FROM rejections").fetchone() == (0,)


def test_an_archive_ends_before_what_is_open_and_never_with_the_newest():
    scene = Scene(singles(6))
    runs = []
    for place in range(3):
        scene.begin()
        scene.plan((K[place : place + 1], -1))
        if place == 1:  # its call is under way when the process dies
            scene.context.writer.start(scene.ledger.batches(run_id=scene.run.id)[0], "a reference", AT)
        else:
            assert scene.engine.send() is None
        scene.context.writer.end_run(scene.run.id, AT, state="complete", exit_code=0, error=None, discarded_fields=())
        runs.append(scene.run.id)
        with scene.ledger.transaction() as connection:
            cut = archives.find_cut(raw_cursor(connection), "2999")
        # Ids count on from the newest item, which stays; nobody knows yet how the second run's call ended.
        assert (cut and cut.run_id) == (None, runs[0], runs[0])[place]


def test_a_ledger_takes_no_more_archives_than_can_be_read_together(ledger, monkeypatch):
    monkeypatch.setattr(archives, "find_cut", lambda cursor, before: archives.Cut(1, b"", 1, 1))
    monkeypatch.setattr(archives, "ARCHIVES_MAX", 0)
    with pytest.raises(UsageError, match="has 0 archives, and no more"):
        pruning.prune(ledger, before=AT, at=AT)


def test_a_part_of_a_composite_key_chooses_the_values_that_have_it_in_that_place(tmp_path):
    keys = [KEY_SEPARATOR.join(pair) for pair in (("L1", "S1"), ("S1", "L1"), ("L2", "S1"))]
    scene = Scene(singles(1), key=("lot", "size"))
    plan = plan_of(keys, key=scene.key, varying=[0], fields=("m",), payloads=['{"m":"1"}'])
    scene.ledger.store_plan(scene.run, plan, [], at=AT)
    with scene.ledger.transaction() as connection:
        assert choose_values(connection, [], [("lot", "L1")]) == 1
        assert choose_values(connection, [], [("size", "S1")]) == 2
        assert choose_values(connection, [], [("size", "S1"), ("lot", "L2")]) == 1


def test_the_story_of_a_value_has_its_own_history_and_its_newest_scans_whatever_else_bears_its_name():
    scene = sent(K[:2])
    job = scene.ledger.ensure_job("lots", ("lot",))
    run = scene.ledger.begin_run(job, at=AT, mode="auto", campaign=None, unique=False, program="t")
    plan = plan_of(["K1", "L1"], key=("lot",), varying=[0], fields=("m",), payloads=['{"m":"2"}'])
    scene.ledger.store_plan(run, plan, [SOURCE], at=AT)
    with scene.ledger.transaction() as connection:
        told, count = stories(connection, ["K1", "L1"], [], most=9)
        assert count == 3
        assert {(one.columns, one.key): [entry.data for entry in one.entries] for one in told} == {
            (("extended_id",), "K1"): ['{"m":"1"}'],
            (("lot",), "K1"): ['{"m":"2"}'],
            (("lot",), "L1"): ['{"m":"2"}'],
        }
        chosen = stories(connection, ["K1"], [("m", "2")], most=9)[0]
        assert [(one.columns, one.key) for one in chosen] == [(("lot",), "K1")]


def test_what_a_night_came_to_is_counted_up_to_a_bound_in_blocks_of_batches(monkeypatch):
    scene = Scene(singles(6))
    scene.plan((K[:2], -1), (K[2:4], -1), (K[4:6], -1))
    assert scene.engine.send() is None
    with scene.ledger.transaction() as connection:
        assert night.night_facts(connection, scene.run).counted == 6
        assert [*night._blocks(connection, scene.run.id)] == [[1, 2, 3]]
        monkeypatch.setattr(night, "_BLOCK_VALUES", 3)
        assert [*night._blocks(connection, scene.run.id)] == [[1], [2], [3]]
        monkeypatch.setattr(night, "VALUES_MAX", 4)
        assert [*night._blocks(connection, scene.run.id)] == [[1], [2]]
        assert night.night_facts(connection, scene.run).counted == 4
        assert [*night._blocks(connection, 99)] == []
        monkeypatch.setattr(night, "CHANGES_COUNTED_MAX", 0)
        (field,) = night.night_facts(connection, scene.run).fields
        assert (field.changes, field.others) == ((), 4)


def test_a_product_that_stays_moves_no_code_and_a_case_in_doubt_moves_nobody_knows_which():
    texts = {1: '{"product":"A"}', 2: '{"case_no":"C2"}'}
    known, doubted = Picture('{"case_no":"C1","product":"A"}'), Picture("{}", uncertain=("case_no",))
    other = Space(9, ("case_no",), frozenset())
    assert _moved([(known, 1)], texts, other, may_move) == set()
    assert _moved([(known, 2)], texts, other, may_move) == {"C1", "C2"}
    assert _moved([(doubted, 2)], texts, other, may_move) is None


def test_columns_grow_wider_once_and_texts_may_all_be_blank():
    lines = Column(np.int32)
    for _ in range(2):
        lines.widen(np.int64)
        lines.add(np.array([1 << 40]))
    assert (lines.dtype, lines.array().tolist()) == (np.int64, [1 << 40, 1 << 40])
    keys = KeyColumn()
    for block in (pa.nulls(0, pa.large_string()), pa.array(["", ""], pa.large_string()), texts(["a", ""])):
        keys.add(block)
    assert keys.array().to_pylist() == ["", "", "a", ""]


def test_the_parts_of_a_batch_keep_what_was_known_before_it():
    """By it a report says what became of what, and a run is taken back."""
    scene = sent(K[:3])
    scene.begin()
    plan = plan_of(K[:3], key=scene.key, varying=[0], fields=("m",), payloads=['{"m":"2"}'])
    plan = replace(plan, items=replace(plan.items, before=np.array([1, 1, 1], np.int32)))
    scene.ledger.store_plan(scene.run, plan, [SOURCE], at=AT)
    (batch,) = scene.ledger.batches(run_id=scene.run.id)
    with scene.ledger.transaction() as connection:
        ids = [row[0] for row in connection.exec_driver_sql("SELECT id FROM items WHERE batch_id = ?", (batch.id,))]
    parts = [Piece(Kind.SYNC, tuple(ids[:1])), Piece(Kind.ASYNC, tuple(ids[1:]))]
    for child in scene.context.writer.repack(batch, parts, AT):
        with scene.ledger.transaction() as connection:
            statement = "SELECT DISTINCT before_id, line > 1 FROM items WHERE batch_id = ?"
            assert connection.exec_driver_sql(statement, (child.id,)).fetchall() == [(1, 1)]
        assert child.parent_id == batch.id


def test_what_a_call_may_have_changed_is_known_no_longer_though_its_values_go_on_in_parts():
    scene = sent(K[:3])
    scene.begin()
    scene.plan((K[:3], -1))
    (batch,) = scene.ledger.batches(run_id=scene.run.id)
    with scene.ledger.transaction() as connection:
        ids = [row[0] for row in connection.exec_driver_sql("SELECT id FROM items WHERE batch_id = ?", (batch.id,))]
    sending, attempt_id = scene.context.writer.start(batch, "a reference", AT)
    parts = [Piece(Kind.SYNC, (item_id,)) for item_id in ids]
    scene.context.writer.miscounted(sending, 2, AT, message="2 of 3", pieces=parts, attempt_id=attempt_id)
    with scene.ledger.transaction() as connection:
        view = "SELECT DISTINCT p.known_payload_id, p.uncertain FROM mirror m LEFT JOIN pictures p ON p.id = -m.picture"
        assert connection.exec_driver_sql(view).fetchall() == [(0, '["m"]')]


def test_the_story_of_a_code_tells_its_newest_scans_oldest_first_and_of_a_case_none(monkeypatch):
    monkeypatch.setattr(story, "SCANS_MAX", 2)
    scene = sent(K[:2])
    pull = insert(t.scan_pulls).values(
        id=1, destination="ledger:1", scope="{}", fields="[]", created_at=AT, changed_at=AT, chain=0, chain_shown=0,
        parts=0, scans=0, repeated=0, too_late=0,
    )  # fmt: skip
    with scene.ledger.transaction() as connection:
        connection.execute(pull)
        for number, (key, at_s) in enumerate([("K1", 30), ("K1", 10), ("K1", 20), ("K2", 40)]):
            row = {"uuid": bytes([number]), "extended_id": key, "at_us": at_s * 1_000_000, "scm": f'{{"m":"{number}"}}'}
            connection.execute(insert(t.scans).values(pull_id=1, campaign=1, data="{}", **row))
        (told,) = stories(connection, ["K1"], [], most=9)[0]
    assert [(scan.uuid, scan.at, scan.scm) for scan in told.scans] == [
        ("02", "1970-01-01T00:00:20.000Z", {"m": "2"}),
        ("00", "1970-01-01T00:00:30.000Z", {"m": "0"}),
    ]
    assert story._scans(connection, ("lot",), ["K1"]) == {}


def test_a_run_tells_what_it_ended_with_and_its_last_word_counts():
    scene = Scene(singles(1))
    for state, code, fields in (("stopped", 5, ()), ("incomplete", 3, ("b", "a"))):
        scene.context.writer.end_run(scene.run.id, AT, state=state, exit_code=code, error=None, discarded_fields=fields)
        (run,) = [run for run in scene.ledger.runs() if run.id == scene.run.id]
        assert (run.state, run.exit_code, run.ended_at) == (state, code, AT)
        assert tuple(run.discarded_fields) == tuple(sorted(fields))


def test_a_run_that_is_planned_again_adds_its_calls_and_a_job_keeps_every_field_it_ever_wrote():
    """What it wrote earlier still lies in the mirror: who shares a field with it must know."""
    scene = Scene(singles(4))
    for fields in (("m",), ("lot", "size")):
        (run,) = [run for run in scene.ledger.runs() if run.id == scene.run.id]
        plan = plan_of(K[:2], key=scene.key, varying=[-1], fields=fields, payloads=['{"m":"1"}'])
        scene.ledger.store_plan(run, replace(plan, minimum_updates=3), [SOURCE], at=AT)
    (run,) = [run for run in scene.ledger.runs() if run.id == scene.run.id]
    assert run.minimum_updates == 6
    assert run.rows["new"] == 2
    (job,) = scene.ledger.jobs()
    assert job.fields == ("lot", "m", "size")


@pytest.mark.parametrize("how", ["refused", "failed", "let go of"])
def test_what_may_have_been_applied_is_known_no_longer_and_what_did_not_end_for_certain_stays_wanted(how):
    scene = sent(K[:3])
    scene.begin()
    scene.plan((K[:3], 0))
    (batch,) = scene.ledger.batches(run_id=scene.run.id)
    writer = scene.context.writer
    sending, attempt_id = writer.start(batch, "a reference", AT)
    if how == "refused":
        writer.refused(sending, attempt_id, AT, status_code=400, message="no")
    else:
        submitted = writer.accepted(sending, attempt_id, "a task", AT)
        {"failed": writer.task_failed, "let go of": writer.let_go}[how](submitted, AT, message="over")
    with scene.ledger.transaction() as connection:
        view = "SELECT DISTINCT p.known_payload_id, p.uncertain FROM mirror m LEFT JOIN pictures p ON p.id = -m.picture"
        assert connection.exec_driver_sql(view).fetchall() == [(0, '["m"]')]
        wanted = connection.exec_driver_sql("SELECT wanted FROM batches WHERE id = ?", (batch.id,)).scalar_one()
        assert bool(wanted) is (how != "refused")


def test_what_a_failed_task_left_is_told_until_a_newer_plan_takes_it_over():
    scene = Scene(singles(3))
    scene.plan((K[:3], 0))
    (batch,) = scene.ledger.batches(run_id=scene.run.id)
    writer = scene.context.writer
    started, attempt_id = writer.start(batch, "r1", AT)
    writer.task_failed(writer.accepted(started, attempt_id, "task-1", AT), AT, message="no")

    def told():
        with scene.ledger.transaction() as connection:
            return [one.key for one in endings.ended_since(connection, 0, 0, [])]

    assert told() == K[:3]
    scene.begin()
    scene.plan((K[:3], -1))
    assert told() == []


def test_what_waits_is_counted_by_the_space_in_which_it_waits():
    scene = Scene(singles(3))
    plan = plan_of(K[:1], key=scene.key, varying=[-1], fields=("m",), payloads=['{"m":"1"}'], held=K[1:3])
    scene.ledger.store_plan(scene.run, plan, [SOURCE], at=AT)
    assert [scene.ledger.waiting(space) for space in (None, scene.run.job.space_id, 99)] == [2, 2, 0]


def test_a_plan_is_not_stored_for_a_run_that_ended_meanwhile():
    """Another process took it for dead and sealed it: what is planned for it now would be in no seal."""
    scene = Scene(singles(1))
    ended = replace(scene.run, ended_at=AT)
    plan = plan_of(K[:1], key=scene.key, varying=[-1], fields=("m",), payloads=['{"m":"1"}'])
    with pytest.raises(StaleStateError, match="ended in the ledger while it was planned"):
        scene.ledger.store_plan(ended, plan, [SOURCE], at=AT)
    assert scene.ledger.batches(run_id=scene.run.id) == []
    assert scene.ledger.waiting(None) == 0


def test_a_ledger_grows_older_with_every_run_also_where_nobody_else_may_write_to_it(ledger):
    with closing(sqlite3.connect(ledger.path)) as raw:
        for place in range(3):
            assert raw.execute("SELECT position FROM ledger").fetchone() == (place,)
            ledger.advance()


def test_a_ledger_that_never_had_a_run_can_be_told_to_believe_nothing(ledger):
    done = recovery.forget(ledger, at=AT)
    assert done.old_id != done.new_id
    assert (done.unsent, done.let_go) == ((), ())


def test_archives_that_are_not_there_are_compared_with_nothing(ledger, monkeypatch):
    """What was moved to them is missing then, and told as that; what stayed cannot differ from it."""
    monkeypatch.setattr(archives, "known", lambda cursor: [object()])
    with ledger.transaction() as connection:
        assert [*archives.misfits(raw_cursor(connection))] == []


def test_values_are_chosen_by_the_id_of_an_own_code_too(ledger):
    with closing(open_engine(ledger.path).connect()) as connection:  # never committed: a code of no upload
        connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        connection.exec_driver_sql("INSERT INTO upload_codes (code, part_id, line, data) VALUES ('X1', 1, 2, '{}')")
        assert [choose_values(connection, [], [("id", code)]) for code in ("X1", "X2")] == [1, 0]


@pytest.mark.parametrize(("data", "all_doubted"), [({"lot": "L1", "m": "1"}, True), ({"m": "1"}, False)])
def test_own_codes_that_come_under_parts_of_a_composite_key_make_its_values_uncertain(data, all_doubted):
    scene = Scene([{"extended_id": "E1", "lot": "L1", "size": "S"}], key=("lot", "size"), unique=False)
    scene.plan(([f"L1{KEY_SEPARATOR}S"], 0))
    assert scene.engine.send() is None
    with scene.ledger.transaction() as connection:
        space = next(one for one in spaces_of_fields(raw_cursor(connection)).values())
        ingested._doubt_other(connection, space, None, {canonical(data)}, may_overwrite=False, ended=True)
        fields = [field for (field,) in connection.exec_driver_sql("SELECT field FROM stamps")]
    assert fields == ([EVERY_FIELD] if all_doubted else [])


def at_work(scene, cases, *, may_overwrite=False):
    """Return the part of an upload at which the API is at work: of a code in each of `cases`, all of one lot."""
    uploads = scene.ledger.uploads()
    new = NewUpload("codes.csv", "0" * 64, 10, "f", "csv", {"lot": "L"}, None, may_overwrite, {}, "t")
    codes = [(f"E{n}", 0, 2, f'{{"case_no":"{case}"}}') for n, case in enumerate(cases)]
    (part,) = uploads.add(new, codes, lambda: [NewPart(len(cases), 5, "1" * 64, "spool")], at=AT).parts
    part = uploads.change(part, PartEvent.RECORD_MADE, at=AT, record_key="r")
    for event in (PartEvent.STORE, PartEvent.STORED, PartEvent.START, PartEvent.STARTED):
        part = uploads.change(part, event, at=AT)
    return part


@pytest.mark.parametrize(
    ("key", "begin", "may_overwrite", "doubted"),
    [
        (("case_no",), "C", False, {"C1"}),
        (("case_no", "lot"), "C", False, {"C0", "C1", "C2"}),
        (("case_no",), "C", True, {"C0", "C1", "C2"}),
        (("extended_id",), "E", False, set()),
        (("extended_id",), "E", True, {"E0"}),
        (("serial_number",), "S", False, set()),
    ],
)
def test_a_call_that_was_open_when_an_upload_ended_makes_nothing_known_that_it_may_have_changed(
    key, begin, may_overwrite, doubted
):
    """The codes came after the call, or were overwritten after it: the answer that comes later is about what was."""
    codes = [{"extended_id": f"E{n}", "serial_number": f"S{n}", "case_no": f"C{n}", "lot": "L"} for n in range(3)]
    scene = Scene(codes, key=key, unique=begin != "C")
    names = [f"{begin}{n}" for n in range(3)]
    values = [KEY_SEPARATOR.join([name, "L"][: len(key)]) for name in names]
    part = at_work(scene, ["C1"], may_overwrite=may_overwrite)
    scene.plan(*(([value], 0) for value in values))
    writer = scene.context.writer
    open_calls = [writer.start(one, f"r{one.id}", AT) for one in scene.ledger.batches(run_id=scene.run.id)]
    scene.ledger.uploads().ended(part, PartEvent.CREATED, [], at=AT)
    for batch, attempt in open_calls:
        writer.confirmed(batch, 1, AT, attempt_id=attempt)

    def uncertain():
        with scene.ledger.transaction() as connection:
            seen = Knowledge(connection, scene.run.job.space_id).view(values)
        return {name for name, value in zip(names, values, strict=True) if "m" in seen[value].uncertain}

    assert uncertain() == doubted
    scene.begin()
    scene.plan(*(([value], 0) for value in values))
    assert scene.engine.send() is None
    assert uncertain() == set()  # what begins later is what counts


@pytest.mark.parametrize("key", [("extended_id",), ("case_no",)])
def test_a_call_that_was_open_when_one_that_was_let_go_of_ended_makes_nothing_known_and_stays_wanted(key):
    """The older task may have been run after the newer one, whose end was seen last."""
    scene = Scene([{"extended_id": f"E{n}", "case_no": f"C{n}"} for n in range(3)])
    writer = scene.context.writer
    scene.plan((["E0", "E1"], 0), data='{"m":"old"}')
    batch, attempt = writer.start(scene.ledger.batches(run_id=scene.run.id)[0], "r", AT)
    old = writer.let_go(writer.accepted(batch, attempt, "t", AT), AT, message="by hand")
    scene.key, begin = key, key[0][0].upper()
    scene.begin()
    writer, names = scene.context.writer, [f"{begin}{n}" for n in range(3)]
    scene.plan((names[:2], 0), (names[2:], 0))
    open_calls = [writer.start(one, f"r{one.id}", AT) for one in scene.ledger.batches(run_id=scene.run.id)]
    writer.late_end(old, AT, message="it has ended")
    (first, its_attempt), (second, another) = open_calls
    writer.miscounted(first, 1, AT, message="no code", unmatched=[first.first_item_id + 1], attempt_id=its_attempt)
    writer.confirmed(second, 1, AT, attempt_id=another)
    with scene.ledger.transaction() as connection:
        seen = Knowledge(connection, scene.run.job.space_id).view(names)
        wanted = [
            key for block in Knowledge(connection, scene.run.job.space_id).wanted() for key in block.keys.to_pylist()
        ]
    through_another = key == ("case_no",)  # nobody knows which of its values are meant
    assert wanted == [names[0], *(names[2:] if through_another else [])]
    assert seen[names[0]].uncertain == ("m",)
    assert seen[names[2]].known == ("{}" if through_another else '{"m":"1"}')
    assert scene.ledger.problems() == []


@pytest.mark.parametrize("key", [("case_no",), ("case_no", "lot")])
def test_nothing_is_known_of_a_value_while_codes_of_an_upload_may_come_under_it(key, monkeypatch):
    """What a call wrote before they came they do not have; nobody can tell whether they came."""
    scene = Scene(
        [{"extended_id": f"E{n}", "case_no": f"C{n}", "lot": "L"} for n in range(3)],
        key=tuple(sorted(key)),
        unique=False,
    )
    cases = [KEY_SEPARATOR.join([f"C{n}", "L"][: len(key)]) for n in range(3)]
    part = at_work(scene, ["C1", "C7", ""])
    scene.plan((cases, 0))
    assert scene.engine.send() is None

    def uncertain():
        """Return the cases that are not known whole: as the plan is told of few and of many, and as one looks at them."""
        with scene.ledger.transaction() as connection:
            knowledge = Knowledge(connection, scene.run.job.space_id)
            told = [{key for key, view in knowledge.view(cases).items() if view.known == NOTHING}]
            for many in (10, 0):
                monkeypatch.setattr("syncer.ledger.knowledge.SCAN_FROM_KEYS", many)
                (block,) = knowledge.known(texts(cases))
                by_number = knowledge.pictures({*block.pictures.tolist()})
                found = zip(block.keys.to_pylist(), block.pictures.tolist(), strict=True)
                told.append({key for key, number in found if by_number[number].uncertain == ("m",)})
                assert (knowledge.stored(block.pictures.astype(np.int32)) > -STAMPED).all()
        return told

    assert uncertain() == [{cases[1]}] * 3
    scene.ledger.uploads().ended(part, PartEvent.ERRORED, [], at=AT)
    after = {cases[1]} if key == ("case_no",) else {*cases}
    assert uncertain() == [after] * 3


@pytest.mark.parametrize("seed", range(5))
def test_what_was_last_said_of_many_values_is_what_all_their_items_say(seed, monkeypatch):
    monkeypatch.setattr(untaken, "BLOCK_VALUES", 2)
    chance, scene = random.Random(seed), Scene(singles(6))
    said = {key: {} for key in K}
    for _ in range(4):
        scene.begin()
        night = {key: {name: chance.choice("12") for name in chance.sample(["m", "s"], 1 + chance.randrange(2))}
                 for key in chance.sample(K, 3)}  # fmt: skip
        for key, words in night.items():
            plan = plan_of([key], key=scene.key, varying=[-1], fields=("m", "s"), payloads=[canonical(words)])
            scene.ledger.store_plan(scene.run, plan, [SOURCE], at=AT)
            said[key] |= words
    asked = [
        untaken.AskedValue(key, frozenset(names)) for key in [*K, "nobody"] for names in (["m"], ["s"], ["m", "s"])
    ]
    with scene.ledger.transaction() as connection:
        found = [*untaken.newest_words(connection, scene.run.job.space_id, asked, {})]
        texts = [canonical({"m": "1"})] * len(K)
        other = untaken.not_said(connection, scene.run.job.space_id, K, texts)
    for (key, names), words in zip(asked, found, strict=True):
        expected = {name: canonical({name: value}) for name, value in said.get(key, {}).items() if name in names}
        assert {name: word.text for name, word in words.items()} == expected
    assert other == [place for place, key in enumerate(K) if said[key].get("m") != "1"]
    with scene.ledger.transaction() as connection:  # all was said before another key wrote one of the fields
        stamp(raw_cursor(connection), scene.run.job.space_id, "s", "", 1_000, "another key wrote it")
        under = [*untaken.newest_words(connection, scene.run.job.space_id, asked, {})]
    assert under == [{name: word for name, word in words.items() if name != "s"} for words in found]


def test_where_a_campaign_takes_a_field_of_some_values_alone_one_that_holds_it_asks_for_no_other():
    scene = sent()
    (batch,) = scene.ledger.batches(run_id=scene.run.id)
    first, second = batch.first_item_id, batch.first_item_id + 1
    with scene.ledger.transaction() as connection:
        proofs.refuse(connection, scene.run.job.space_id, {first: {"m"}, second: {"m"}})
        for accepted, asked in (({first}, []), ({first, second}, ["m"])):
            seen = unproven.ValuesSeen(taken={"m"}, accepted={item: {"m"} for item in accepted})
            assert unproven.record(connection, scene.run, {None: seen}, AT, {}) == asked
            assert proofs.refusing(connection) == ({} if asked else {None: {"m"}})


def test_a_proof_is_believed_for_half_a_day_and_one_that_is_yet_to_come_is_not():
    scene = sent()
    day = datetime(2026, 11, 27, tzinfo=UTC).timestamp()
    with scene.ledger.transaction() as connection:
        proofs.record(connection, 7, {"lot": True, "pallet": False}, utc_text(day))
    hours = {-1: set(), 0: {"lot"}, 11: {"lot"}, 12: {"lot"}, 13: set()}
    assert {hour: {*scene.ledger.taken_lately(7, day + 3600 * hour)} for hour in hours} == hours
    assert scene.ledger.taken_lately(8, day) == frozenset()
    assert scene.ledger.proofs(7) == {"lot": True, "pallet": False}


def test_what_values_were_given_before_is_told_of_their_own_code_space_and_of_earlier_items_alone():
    scene = sent()
    (batch,) = scene.ledger.batches(run_id=scene.run.id)
    items = scene.ledger.items(batch)
    after = [(item.key, item.id + len(items)) for item in items]
    given = {item.key: {name: [value] for name, value in json.loads(item.data).items()} for item in items}
    assert scene.ledger.earlier_words(batch.space_id, after) == given
    assert (
        scene.ledger.earlier_words(batch.space_id, after * 2) == given
    )  # a word stands once, however often it was given
    assert scene.ledger.earlier_words(batch.space_id, after[:1]) == {after[0][0]: given[after[0][0]]}
    assert scene.ledger.earlier_words(batch.space_id, [(item.key, item.id) for item in items]) == {}
    assert scene.ledger.earlier_words(batch.space_id + 1, after) == {}


@pytest.mark.parametrize("scanned", [True, False])
def test_many_texts_that_lie_together_are_read_as_one_stretch_and_are_the_same(scanned, monkeypatch, ledger):
    monkeypatch.setattr(pictures, "SCAN_FROM_IDS", 3 if scanned else 1000)
    data = [canonical({"m": str(n)}) for n in range(9)]
    with ledger.transaction() as connection:
        ids = pictures.payload_ids(connection, data)
        for number, text in zip(ids, data, strict=True):
            if number < 0:
                cursor = raw_cursor(connection)
                cursor.execute("INSERT INTO payloads (data, fingerprint) VALUES (?, ?)", (text, fingerprint(text)))
        wanted = [int(number) for number in pictures.payload_ids(connection, data)][1:8]
        assert pictures.payload_texts(connection, wanted) == dict(zip(wanted, data[1:8], strict=True))


def test_pictures_that_nobody_has_any_more_are_not_looked_for_one_by_one(ledger):
    """Of a field that was taken later each distinct set of data has left one; a night would read all values for each."""
    space = ledger.ensure_job("job", ("extended_id",)).space_id
    said = []
    with ledger.transaction() as connection:
        intern(connection, [Picture(canonical({"m": str(n)}), (), ("lot",)) for n in range(20)])
        connection.connection.driver_connection.set_trace_callback(said.append)
        assert untaken.examples(connection, space, ["lot"], None, {}) == []
        connection.connection.driver_connection.set_trace_callback(None)
    assert sum("FROM mirror" in statement for statement in said) == 1
