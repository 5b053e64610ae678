"""What the ledger does in rare places: origins that are not sent, a product that moves a code, links that are not known."""

from __future__ import annotations

import stat
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from conftest import open_night
from plans import plan_of
from sim.scenes import SOURCE, K, Scene, singles
from two_keys import CASES

from syncer.errors import (
    LedgerCorruptError,
    LedgerSchemaError,
    LedgerUntrustedError,
    LedgerWriteError,
    UntrustedFileError,
)
from syncer.ledger import identity, pictures, recovery
from syncer.ledger.apart import Apart
from syncer.ledger.bulk import raw_cursor
from syncer.ledger.check import backup
from syncer.ledger.database import create_file, open_engine, refuse_planted
from syncer.ledger.elsewhere import open_elsewhere
from syncer.ledger.knowledge import Knowledge
from syncer.ledger.ledger import Ledger
from syncer.ledger.lock import LedgerLock
from syncer.ledger.rotation import backup_into
from syncer.ledger.stamps import FieldStamp, KnownSince, Stamps
from syncer.ledger.wishes import KnownWord, keep_wanting
from syncer.mirror.picture import Picture
from syncer.model import Origins
from syncer.safe.files import Folder

AT = "2026-11-20T05:00:00.000Z"
GUARDS_OFF = "[limits]\nmax_changed_percent = 0\n"


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open_to_write(f"sqlite:///{tmp_path}/l.db", at=AT) as opened:
        yield opened


def test_held_values_are_told_as_held_until_a_plan_takes_them_over():
    scene = Scene(singles(3))
    plan = plan_of(K[:1], key=scene.key, varying=[-1], fields=("m",), payloads=['{"m":"1"}'], held=K[1:2])
    scene.ledger.store_plan(scene.run, plan, [SOURCE], at=AT)
    assert [entry.outcome for entry in scene.ledger.history("K1")] == ["held"]
    scene.begin()
    scene.plan((K[1:2], -1))
    assert [entry.outcome for entry in scene.ledger.history("K1")] == ["planned again", "unsent"]
    assert scene.engine.send() is None
    assert scene.ledger.history("K1")[-1].outcome == "confirmed"


def test_who_believes_nothing_any_more_has_worked_out_nothing():
    """What follows a confirmation is worked out once, by how many stamps are younger; these are other stamps now."""
    scene = Scene(singles(3))
    for _ in range(2):  # what is known from the first night is what the second begins with
        scene.begin()
        scene.plan((K[:2], -1))
        assert scene.engine.send() is None
    count = "SELECT count(*) FROM temp.steps"
    assert raw_cursor(scene.ledger.connection).execute(count).fetchone()[0] > 0
    recovery.forget(scene.ledger, at=AT)
    assert raw_cursor(scene.ledger.connection).execute(count).fetchone()[0] == 0


def test_a_word_that_something_else_may_have_overwritten_stays_wanted():
    scene = Scene(singles(3))
    scene.begin()
    scene.plan((K[:2], -1))
    assert scene.engine.send() is None
    with scene.ledger.transaction() as connection:
        batch_id = raw_cursor(connection).execute("SELECT max(id) FROM batches").fetchone()[0]
        keep_wanting(connection, [KnownWord("K1", '{"m":"x"}', batch_id), KnownWord("gone", '{"m":"y"}', batch_id)], AT)
        known = Knowledge(connection, 1)
        (block,) = known.wanted()
        assert block.keys.to_pylist() == ["K1"]  # whose batch never had it is nobody's word
        assert [*known.texts(block.payload_ids.tolist()).values()] == ['{"m":"x"}']


def test_old_backups_that_cannot_be_taken_away_are_told(ledger, tmp_path, monkeypatch):
    folder = tmp_path / "backups"
    folder.mkdir(mode=0o700)
    for day in (20, 21):
        made, gone = backup_into(ledger, folder, keep=2, at=f"2026-11-{day}T05:00:00.000Z")
        assert (made.exists(), gone) == (True, [])
    (folder / "l-20261101T050000000Z.db").symlink_to(made)  # it names a backup of ours, and is none
    remove = Folder.remove

    def keep_backups(self, name):
        if name == "l-20261120T050000000Z.db":
            raise PermissionError(1, "not permitted")
        remove(self, name)

    monkeypatch.setattr(Folder, "remove", keep_backups)
    with pytest.raises(LedgerWriteError, match="cannot be removed: not permitted"):
        backup_into(ledger, folder, keep=1, at="2026-11-22T05:00:00.000Z")
    assert len([*folder.iterdir()]) == 4
    folder.chmod(0o777)
    with pytest.raises(UntrustedFileError):
        backup_into(ledger, folder, keep=1, at="2026-11-23T05:00:00.000Z")


def test_a_line_is_an_origin_only_of_fields_that_are_sent():
    scene = Scene(singles(2))
    plan = plan_of(K[:2], key=scene.key, varying=[-1], fields=("m",), payloads=['{"m":"1"}'])
    rows = np.array([0, 1])
    origins = Origins(rows, np.array([1, 1]), np.array([7, 8]), np.array([0, 1]), [("lot",), ("lot", "m")])
    scene.ledger.store_plan(scene.run, replace(plan, origins=origins), [SOURCE], at=AT)
    with scene.ledger.transaction() as connection:
        found = raw_cursor(connection).execute("SELECT item_id, line, fields FROM item_origins").fetchall()
    assert [(line, fields) for _, line, fields in found] == [(8, '["m"]')]


def test_whether_a_product_moves_a_code_is_known_by_the_copy_alone(ledger):
    rows = [(1, "tea", 5), (2, "mint", 5), (3, "cola", 6), (4, "none", None), (5, "twice", 5), (6, "twice", 7)]
    with ledger.transaction() as connection:
        raw_cursor(connection).executemany(
            "INSERT INTO products (id, sku, name, is_archived, campaign, data, seen_at) VALUES (?, ?, '', 0, ?, '{}', '')",
            rows,
        )
        moves = pictures.moves_of(connection)
        stays = [("tea", "tea"), ("tea", "mint"), ("1", "mint"), ("gone", "gone")]
        moved = [("tea", "cola"), ("tea", "none"), ("none", "tea"), (None, "tea"), ("tea", "gone"), ("twice", "tea")]
        for _ in range(2):  # what was looked up is kept
            assert not [pair for pair in stays if moves(*pair)]
            assert [pair for pair in moved if moves(*pair)] == moved


def test_a_ledger_that_does_not_say_whose_it_is_is_damaged(tmp_path):
    Ledger.open_to_write(f"sqlite:///{tmp_path}/l.db", at=AT).close()
    with closing(open_engine(tmp_path / "l.db").connect()) as connection, connection.begin():
        connection.exec_driver_sql("DELETE FROM ledger")
        with pytest.raises(LedgerCorruptError, match="whose it is"):
            identity.read(connection)


def test_a_folder_that_others_may_write_to_gets_no_ledger_and_no_backup(ledger, tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(stat.S_IRWXU | stat.S_IRWXG | stat.S_IRWXO)
    with pytest.raises(UntrustedFileError):
        backup(ledger.path, shared / "copy.db")
    with pytest.raises(LedgerUntrustedError):
        create_file(shared / "l.db")
    assert not [*shared.iterdir()]
    refuse_planted(tmp_path / "not there" / "l.db")  # whoever opens it says what is wrong
    with pytest.raises(LedgerWriteError, match="cannot be created"):
        create_file(tmp_path / "not there" / "l.db")


def test_a_lock_file_that_cannot_be_written_is_told(tmp_path, monkeypatch):
    with LedgerLock(tmp_path / "l.db", since=AT) as lock, monkeypatch.context() as patched:
        patched.setattr("os.pwrite", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(LedgerWriteError, match="No space left on device"):
            lock.ledger_is_whole()


def test_an_error_of_the_driver_within_a_transaction_of_the_writer_is_the_ledgers(ledger):
    job = ledger.ensure_job("job", ["k"])
    run = ledger.begin_run(job, at=AT, mode="auto", campaign=None, unique=True, program="t")
    with pytest.raises(LedgerSchemaError, match=str(ledger.path)), ledger.writer(run.id).together():
        raw_cursor(ledger.connection).execute("INSERT INTO nowhere VALUES (1)")
    assert ledger.problems() == []


# ── two spaces ───────────────────────────────────────────────────────────────────────────────────────────────────────

ERP_AND_PAIRS = """
[limits]
max_changed_percent = 0
[jobs.erp]
key = "extended_id"
send = "%s"
[jobs.erp.columns]
extended_id = "extended_id"
case_no = "case_no"
market = "market"
[jobs.karton]
key = %s
[jobs.karton.columns]
case_no = "case_no"
%s
lot = "lot"
"""


def two_jobs(here, *, key='["case_no", "line"]', more='line = "line"', send="changes"):
    here.config(ERP_AND_PAIRS % (send, key, more))
    header = ["case_no", "line", "lot"] if more else ["case_no", "lot"]

    def erp(*rows):
        return here.sync("--job", "erp", here.write("erp.csv", ["extended_id", "case_no", "market"], rows), "--approve")

    def karton(*rows):
        return here.sync("--job", "karton", here.write("karton.csv", header, rows), "--approve")

    return erp, karton


def test_what_another_key_has_open_is_as_old_as_its_oldest_word_and_older_than_all_once_it_is_under_way():
    scene = Scene(singles(3))
    plan = plan_of(
        K[:2], sizes=[1, 1], varying=[-1, -1], key=scene.key, fields=("m",), payloads=['{"m":"1"}', '{"m":"2"}']
    )
    items = replace(plan.items, payload=np.array([0, 1], np.int32), source=np.array([0, 1], np.int32))
    sources = [SOURCE, replace(SOURCE, name="b.csv", sha256="1" * 64)]
    scene.ledger.store_plan(scene.run, replace(plan, items=items), sources, at=AT)
    cases = scene.ledger.ensure_job("cases", ("case_no",)).space_id

    def found(*, unsent):
        with scene.ledger.transaction() as connection:
            return [one.fields for one in open_elsewhere(connection, cases, Apart(connection, {}), unsent=unsent)]

    assert (found(unsent=True), found(unsent=False)) == ([{"m": 1}], [])
    _, newer = scene.ledger.batches(run_id=scene.run.id)
    scene.context.writer.start(newer, "r1", AT)
    assert (found(unsent=True), found(unsent=False)) == ([{"m": 0}], [{"m": 0}])


def test_a_code_that_comes_under_a_pair_makes_all_pairs_uncertain(tmp_path):
    box = tuple({"extended_id": f"K{n}", "case_no": f"C{n}", "line": "1"} for n in range(3))
    with open_night(tmp_path, codes=box) as here:
        erp, karton = two_jobs(here)
        assert karton(["C0", "1", "L0"], ["C1", "1", "L1"]).code == 0
        assert erp(["K2", "C0", "DE"]).code == 0  # K2 has no lot yet, and stands under (C0, 1) now
        again = karton(["C0", "1", "L0"], ["C1", "1", "L1"])
        assert again.document["rows"]["unchanged"] == 0
        assert [code["lot"] for code in here.box.codes()] == ["L0", "L1", "L0"]


def test_a_case_number_that_was_written_again_moves_no_code(tmp_path):
    box = tuple({"extended_id": f"K{n}"} for n in range(2))
    with open_night(tmp_path, codes=box) as here:
        erp, karton = two_jobs(here, key='"case_no"', more="", send="row")
        assert erp(["K0", "C0", "DE"], ["K1", "C1", "DE"]).code == 0
        assert karton(["C0", "L0"], ["C1", "L1"]).code == 0
        assert erp(["K0", "C0", "FR"], ["K1", "C1", "FR"]).code == 0  # whole rows: the same cases once more
        assert karton(["C0", "L0"], ["C1", "L1"]).document["rows"]["unchanged"] == 2


def test_where_a_code_was_is_not_known_every_case_is_uncertain(tmp_path):
    box = tuple({"extended_id": f"K{n:03d}"} for n in range(150))
    with open_night(tmp_path, codes=box, faults=({"kind": "task_fail", "on": "async", "nth": 1},)) as here:
        erp, karton = two_jobs(here, key='"case_no"', more="")
        assert erp(*([f"K{n:03d}", "C0", "DE"] for n in range(150))).code == 3  # it may be in C0, or not
        assert erp(["K149", "C9", "DE"]).code in {0, 3}
        assert karton(["C9", "L9"], ["C0", "L0"]).code == 0
        assert erp(["K000", "C1", "DE"]).code == 0
        assert here.sync("--job", "karton", "karton.csv", "--approve").code == 0
        lots = {code["extended_id"]: code.get("lot") for code in here.box.codes()}
        assert lots["K149"] == "L9"
        assert {lots[f"K{n:03d}"] for n in range(2, 140)} == {"L0"}


def test_a_code_whose_case_is_not_known_and_a_case_that_is_in_doubt_prove_nothing(tmp_path):
    """The link tells what a code holds only where both sides are known."""
    box = tuple({"extended_id": f"K{n}", "case_no": f"C{n % 2}"} for n in range(4))
    with open_night(tmp_path, codes=box) as here:
        here.config(CASES)

        def erp(name, header, rows):
            return here.sync("--job", "erp", here.write(name, header, rows), "--approve")

        def karton(rows, **extra):
            file = here.write("karton.csv", ["case_no", "shipment"], rows)
            return here.sync("--job", "karton", file, "--approve", **extra)

        assert erp("a.csv", ["extended_id", "shipment", "case_no"], [["K0", "S1", "C0"], ["K2", "S1", "C0"]]).code == 0
        assert erp("b.csv", ["extended_id", "shipment", "case_no"], [["K1", "S1", ""]]).code == 0  # its case: not known
        assert karton([["C0", "S7"], ["C1", "S7"]]).code == 0
        unknown = erp("c.csv", ["extended_id", "shipment", "case_no"], [["K1", "S7", ""], ["K0", "S7", "C0"]])
        assert unknown.document["rows"]["unchanged"] == 1  # K0: its case says so; K1 is sent again
        assert {code["shipment"] for code in here.box.codes()} == {"S7"}


LINKED = FieldStamp(field="shipment", settled=9, through=2, by="case_no")
CASED = '{"case_no":"C1","shipment":"S1"}'


def laid_over(ledger, picture, *stamps, theirs=None, settled=5, counted=True):
    """Return a picture under stamps, the youngest first; ``theirs``: what the other space knows of the case, since when."""
    with ledger.transaction() as connection:
        rule = Stamps(connection, 1, Apart(connection, {}))
        rule._stamps, rule._elsewhere[2, "C1"] = list(stamps), theirs
        return rule.laid_over(picture, KnownSince(settled, counted))


@pytest.mark.parametrize(
    ("theirs", "expected"),
    [
        ((Picture(uncertain=("shipment",)), 9), Picture('{"case_no":"C1"}', uncertain=("shipment",))),
        ((Picture(refused=("shipment",)), 9), Picture('{"case_no":"C1"}', uncertain=("shipment",))),
        ((Picture(absent=True), 9), Picture('{"case_no":"C1"}', uncertain=("shipment",))),
        ((Picture('{"shipment":"S7"}'), 9), Picture('{"case_no":"C1","shipment":"S7"}')),
        ((Picture('{"shipment":"S7"}'), 5), Picture(CASED)),
        ((Picture('{"lot":"L"}'), 9), Picture(CASED)),
        (None, Picture(CASED)),
    ],
    ids=str,
)
def test_a_linked_stamp_tells_what_a_code_holds_only_where_its_case_is_known_to(ledger, theirs, expected):
    assert laid_over(ledger, Picture(CASED), LINKED, theirs=theirs) == expected


@pytest.mark.parametrize("before", [(), ("shipment",)])
@pytest.mark.parametrize("there", [(), ("shipment",)])
def test_what_a_link_tells_is_counted_where_it_was_counted_there(ledger, before, there):
    theirs = (Picture('{"shipment":"S7"}', counted=there), 9)
    known = Picture('{"case_no":"C1","shipment":"S7"}')
    cased = Picture(CASED, counted=before)
    assert laid_over(ledger, cased, LINKED, theirs=theirs, counted=False) == replace(known, counted=there)
    assert laid_over(ledger, Picture(CASED), LINKED, theirs=theirs) == known  # its place tells that all is


def test_a_linked_stamp_makes_uncertain_what_a_code_without_a_known_case_holds(ledger):
    assert laid_over(ledger, Picture('{"shipment":"S1"}'), LINKED) == Picture(uncertain=("shipment",))


def test_a_code_that_did_not_take_a_field_did_not_take_it_from_its_case_either(ledger):
    refusing = Picture('{"case_no":"C1"}', refused=("shipment",))
    assert laid_over(ledger, refusing, LINKED, theirs=(Picture('{"shipment":"S7"}'), 9)) == refusing


@pytest.mark.parametrize("relinked", [8, 10])
def test_a_link_that_a_third_key_may_have_changed_since_tells_nothing(ledger, relinked):
    """One stamp a scope is kept: the case may have been another one when the shipment was written, whichever is younger."""
    by_serial = FieldStamp(field="case_no", settled=relinked, through=3)
    stamps = sorted([LINKED, by_serial], reverse=True)
    under = laid_over(ledger, Picture(CASED), *stamps, theirs=(Picture('{"shipment":"S7"}'), 9))
    assert under == Picture(uncertain=("case_no", "shipment"))


def test_an_older_stamp_does_not_lie_over_a_value_and_a_counted_one_over_what_was_counted(ledger):
    counted = FieldStamp(field="shipment", settled=9, counted=True)
    with ledger.transaction() as connection:
        rule = Stamps(connection, 1, Apart(connection, {}))
        rule._stamps = [counted]
        assert rule.matters(KnownSince(9)) is None
        assert (
            rule.matters(KnownSince(8, counted=False))
            == rule.matters(KnownSince(3, counted=False))
            == KnownSince(8, counted=False)
        )
        assert rule.laid_over(Picture(CASED), KnownSince(8, counted=False)) == Picture(CASED)
        assert rule.laid_over(Picture(CASED), KnownSince(8)) == Picture('{"case_no":"C1"}', uncertain=("shipment",))
        mixed = Picture(CASED, counted=("shipment",))
        assert rule.laid_over(mixed, KnownSince(8, counted=False)) == Picture('{"case_no":"C1"}', ("shipment",))
        assert rule.laid_over(replace(mixed, counted=("case_no",)), KnownSince(8, counted=False)).known == CASED
        linked = Stamps(connection, 1, Apart(connection, {}))
        linked._stamps = [LINKED]
        assert linked.matters(KnownSince(4)) == KnownSince(4, counted=False)


def test_a_word_that_asked_in_a_call_whose_end_nobody_knows_is_wanted_once_its_field_is_taken():
    """Its field was not taken, and is uncertain, too: whatever became of the call, no newer word is there."""
    scene = Scene(singles(2))
    scene.api.world.campaigns = {1: frozenset({"m"})}
    scene.plan(([K[0]], -1), ([K[1]], -1), data='{"m":"1","p":"2"}')
    assert scene.engine.send() is None
    scene.begin()
    scene.plan(([K[0]], -1), data='{"p":"2"}')
    (batch,) = scene.ledger.batches(run_id=scene.run.id)
    batch, attempt = scene.context.writer.start(batch, "r", AT)
    batch = scene.context.writer.lost(batch, attempt, AT, uptime=scene.clock.uptime(), message="reset")
    scene.context.writer.let_go(batch, AT, message="by hand")
    scene.api.world.campaigns = {1: frozenset({"m", "p"})}
    scene.begin()
    scene.plan(([K[1]], -1), data='{"p":"2"}')
    assert scene.ledger.waiting() == 0
    assert scene.engine.send() is None
    with scene.ledger.transaction() as connection:
        (wishes,) = Knowledge(connection, scene.run.job.space_id).wanted()
        assert wishes.keys.to_pylist() == K[:2]  # that of the value that takes it is known by now
        assert [*pictures.payload_texts(connection, wishes.payload_ids.tolist()).values()] == ['{"p":"2"}']


def test_two_jobs_are_apart_where_either_is_declared_so_of_the_other_and_a_stamp_by_who_may_have_written_it(ledger):
    names = (("a", "x"), ("a2", "x"), ("b", "y"), ("b2", "y"))
    jobs = {name: ledger.ensure_job(name, (key,)) for name, key in names}
    ids = {job.id: name for name, job in jobs.items()}
    with ledger.transaction() as connection:
        apart = Apart(connection, {"a": ["b", "a2"], "b2": ["a"], "c": ["b"]})
        found = {name: {ids[other] for other in apart.from_job(job.id)} for name, job in jobs.items()}
        assert found == {"a": {"b", "b2"}, "a2": set(), "b": {"a"}, "b2": {"a"}}
        assert [sorted(apart.names(job.id)) for job in jobs.values()] == [["a2", "b", "b2"], ["a"], ["a", "c"], ["a"]]
        by_b2 = FieldStamp(9, "m", through=jobs["b"].space_id, job=jobs["b2"].id)
        of_their_space, by_nobody = by_b2._replace(job=None), FieldStamp(9, "m")
        stamps = [by_b2, of_their_space, by_nobody]
        assert apart.concerning(stamps, jobs["a"].id) == [by_nobody]
        assert apart.concerning(stamps, jobs["a2"].id) == apart.concerning(stamps, 0) == stamps
        one = Apart(connection, {"a": ["b"]})
        assert one.concerning([of_their_space], jobs["a"].id) == [of_their_space]
        assert Apart(connection, {}).from_job(jobs["a"].id) == frozenset()
