"""Old history moves to archives that audits still read; backups rotate; whoever dies in between loses nothing."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing

import pytest
from conftest import codes, open_night
from sampling import sample

from syncer.errors import LedgerCorruptError
from syncer.ledger import archives, check, pruning, seals
from syncer.ledger.ledger import Ledger
from syncer.ledger.views import VIEWS

HEADER = ("extended_id", "market")
AT = "2099-01-01T00:00:00.000Z"
SHOWN = (
    ("audit", "show", "K000000", "--json"),
    ("audit", "show", "K000002", "--json"),
    ("audit", "export", "--format", "csv"),
    ("status", "1", "--rows", "--json"),
)


@pytest.fixture(scope="module")
def used(tmp_path_factory):
    """A folder with a ledger of four runs, one value unmatched, one row invalid."""
    folder = tmp_path_factory.mktemp("used")
    with open_night(folder, codes=codes(4)) as here:
        rows = [("K000000", "DE"), ("K000001", "DE"), ("K000002", "DE"), ("NOPE0001", "DE"), ("", "DE")]
        here.sync(here.write("a.csv", HEADER, rows))
        for name, market in (("b.csv", "FR"), ("c.csv", "IT"), ("d.csv", "ES")):
            assert (
                here.sync(here.write(name, HEADER, [("K000000", market), ("K000001", market)]), "--approve").code == 0
            )
    return folder


@pytest.fixture
def here(used, tmp_path):
    shutil.copytree(used, tmp_path / "n")
    with open_night(tmp_path / "n", codes=codes(4)) as opened:
        address = opened.box.url
        with closing(sqlite3.connect(tmp_path / "n" / "syncer.db")) as database, database:
            database.execute("UPDATE ledger SET base_url = ?", (address,))
        yield opened


def shown(here):
    return [here.run(*arguments).out for arguments in SHOWN]


def rows_of(path, table):
    with closing(sqlite3.connect(path)) as database:
        return database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def is_whole(here):
    assert here.run("ledger", "check").code == 0
    assert here.run("audit", "verify").code == 0


def test_what_was_moved_is_still_shown_exported_and_proven(here):
    path, before = here.folder / "syncer.db", shown(here)
    seal = here.run("audit", "seal").out.strip()
    items, events = rows_of(path, "items"), rows_of(path, "events")
    assert here.run("ledger", "prune", "--keep", "1d", "--json").document["archive"] is None
    assert shown(here) == before
    done = here.run("ledger", "prune", "--keep", "0m", "--json").document
    assert (done["run"], done["archive"]) == (3, "syncer.db.archive-1")
    assert rows_of(path, "items") == items - done["items"]
    assert rows_of(path, "events") == events - done["events"]
    assert done["items"] >= 4
    assert shown(here) == before
    is_whole(here)
    assert here.run("audit", "verify", "--seal", seal).code == 0
    here.run("report", "1", "--out", "page.html")  # of a run whose values are in the archive
    assert "counted over the first" not in (here.folder / "page.html").read_text()
    shutil.copy(path, here.folder / "copy.db")  # as `browse` shows it
    archives.bring_together(here.folder / "copy.db", path)
    assert [rows_of(here.folder / "copy.db", table) for table in ("items", "events")] == [items, events]
    # what is known is known as before: nothing is sent again, and what changes is sent
    same = here.sync("d.csv", "--approve")
    assert (same.code, same.document["requests"]["updates"]) == (0, 0)
    other = here.sync(here.write("e.csv", HEADER, [("K000000", "PT"), ("K000003", "PT")]), "--approve")
    assert (other.code, other.document["values"]["confirmed"]) == (0, 2)
    before = shown(here)
    again = here.run("ledger", "prune", "--keep", "0m", "--json").document
    assert again["archive"] == "syncer.db.archive-2"
    assert shown(here) == before
    is_whole(here)


def test_history_without_one_of_its_archives_is_refused_and_work_goes_on(here):
    assert here.run("ledger", "prune", "--keep", "0m").code == 0
    archive = here.folder / "syncer.db.archive-1"
    archive.rename(here.folder / "elsewhere")
    refused = here.run("audit", "show", "K000000", "--json")
    assert (refused.code, refused.document["error"]["code"]) == (13, "ledger-archive")
    assert here.sync("d.csv", "--approve").code == 0
    (here.folder / "elsewhere").rename(archive)
    is_whole(here)


def test_after_a_restore_the_archives_of_the_ledger_before_are_left_alone(here):
    """A backup of before `prune` has the whole history; what it is to move goes to a file of its own."""
    assert here.run("ledger", "backup", "copy.db").code == 0
    assert here.run("ledger", "prune", "--keep", "0m").code == 0
    before = (here.folder / "syncer.db.archive-1").read_bytes()
    assert here.run("ledger", "restore", "copy.db").code == 0
    whole = shown(here)
    for name in ("syncer.db.archive-2", "syncer.db.archive-3"):
        assert here.run("ledger", "prune", "--keep", "0m", "--json").document["archive"] == name
        assert shown(here) == whole
        is_whole(here)
        whole = [here.sync(here.write("n.csv", HEADER, [("K000003", name)]), "--approve").code, *shown(here)][1:]
    assert (here.folder / "syncer.db.archive-1").read_bytes() == before


def test_an_archive_that_was_changed_is_found(here):
    assert here.run("ledger", "prune", "--keep", "0m").code == 0
    with closing(sqlite3.connect(here.folder / "syncer.db.archive-1")) as database, database:
        database.execute("DROP TRIGGER items_no_update")
        database.execute("UPDATE items SET line = line + 1 WHERE id = 1")
    assert here.run("audit", "verify").code == 13


def test_history_is_append_only_after_it_was_pruned_as_before(here):
    assert here.run("ledger", "prune", "--keep", "0m").code == 0
    with closing(sqlite3.connect(here.folder / "syncer.db")) as database:
        for table in archives.MOVED:
            if rows_of(here.folder / "syncer.db", table):
                with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                    database.execute(f"DELETE FROM {table}")


STEPS = (
    (check, "backup", False), (check, "backup", True), (seals, "verify", False), (archives, "take_out", False),
    (archives, "take_out", True),
)  # fmt: skip


@pytest.mark.parametrize(("module", "name", "after"), sample(STEPS, 2, name="steps of pruning"))
def test_whoever_dies_at_a_step_loses_nothing_and_the_next_goes_on(here, monkeypatch, module, name, after):
    before, url = shown(here), f"sqlite:///{here.folder}/syncer.db"
    real = getattr(module, name)

    def dies(*arguments, **named):
        if after:
            real(*arguments, **named)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, Ledger.open_to_write(url, at=AT) as ledger:
        patched.setattr(module, name, dies)
        with pytest.raises(KeyboardInterrupt):
            pruning.prune(ledger, before=AT, at=AT)
    assert shown(here) == before
    is_whole(here)
    assert here.run("ledger", "prune", "--keep", "0m").code == 0
    assert shown(here) == before
    is_whole(here)


def test_nothing_is_taken_out_of_a_history_that_does_not_fit_its_seals(here):
    path = here.folder / "syncer.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("DROP TRIGGER items_no_update")
        database.execute("UPDATE items SET line = line + 1 WHERE id = 1")
        database.execute(next(one for one in triggers() if "items_no_update" in one))
    items = rows_of(path, "items")
    with (
        Ledger.open_to_write(f"sqlite:///{path}", at=AT) as ledger,
        pytest.raises(LedgerCorruptError, match="nothing was"),
    ):
        pruning.prune(ledger, before=AT, at=AT)
    assert rows_of(path, "items") == items


def triggers():
    from syncer.ledger.schema import append_only_triggers

    return append_only_triggers()


def test_what_is_open_is_never_moved(here):
    here.box.faults.replace([{"kind": "status", "on": "any", "every": 1, "status_code": 503}])
    here.sync(here.write("e.csv", HEADER, [("K000003", "PT")]), "--approve")
    here.box.faults.replace([])
    assert here.run("ledger", "prune", "--keep", "0m", "--json").code == 0
    assert here.run("resume").code == 0
    assert here.server()["K000003"]["market"] == "PT"
    is_whole(here)


def test_words_for_a_field_that_is_not_taken_stay_and_are_sent_once_it_is(tmp_path):
    """Each night's file of changes says them anew for one value alone; the others' words are as old as the first night."""
    header = (*HEADER, "pallet")
    with open_night(tmp_path, codes=codes(4), campaigns={1: frozenset({"market"})}) as here:
        here.config('[jobs.default]\nexport = "changes"\n')
        for name, market in (("a.csv", "DE"), ("b.csv", "FR"), ("c.csv", "IT"), ("c2.csv", "ES")):
            rows = [(f"K{n:06d}", market, "P1") for n in range(4)]
            assert here.sync(here.write(name, header, rows), "--approve").code == 3
        # Of the second night alone; and of the first the one value that asked, which said its word anew.
        assert here.run("ledger", "prune", "--keep", "0m", "--json").document["items"] == 5
        is_whole(here)
        here.box.world.campaigns = {1: frozenset(header)}
        assert here.sync(here.write("d.csv", header, [("K000000", "IT", "P1")])).code == 0
        assert [code["pallet"] for code in here.server().values()] == ["P1"] * 4
        is_whole(here)


def test_backups_rotate_and_nothing_foreign_goes(here):
    folder = here.folder / "backups"
    folder.mkdir(mode=0o700)
    foreign = ["syncer-20200101T000000000Z.db", "syncer-notes.txt", "other-20200101T000000000Z.db"]
    for name in foreign:
        (folder / name).write_text("mine")
    shutil.copy(here.folder / "syncer.db", folder / "syncer-20200102T000000000Z.db")  # no backup: it is not marked
    made = [here.run("ledger", "backup", "backups", "--keep", "2", "--json").document for _ in range(4)]
    assert [len(one["removed"]) for one in made] == [0, 0, 1, 1]
    left = {path.name for path in folder.iterdir()}
    assert left == {*foreign, "syncer-20200102T000000000Z.db", *(one["file"].rpartition("/")[2] for one in made[2:])}
    assert here.run("ledger", "backup", "one.db").code == 0
    for slip in (("nowhere", "--keep", "2"), ("nowhere/b.db",)):
        refused = here.run("ledger", "backup", *slip, "--json")
        assert (refused.code, refused.document["error"]["next"]) == (2, "mkdir -p nowhere")
    assert not (here.folder / "nowhere").exists()
    status = here.run("status", "--json", SYNCER_LEDGER__URL=f"sqlite:///{folder}/{made[3]['file'].rpartition('/')[2]}")
    assert [run["id"] for run in status.document["runs"]] == [4, 3, 2, 1]


COLUMNS = {
    "v_codes": "key_columns key known uncertain refused absent batch",
    "v_runs": "run job key_columns state started_at ended_at exit_code error rows_read rows_changed rows_new rows_invalid minimum_updates program",
    "v_batches": "batch run job kind state values unmatched codes_affected task_id attempts message changed_at split",
    "v_changes": "change run batch job key data file line outcome message changed_at",
}  # fmt: skip


def test_the_views_say_what_the_documents_say(here):
    assert set(COLUMNS) == set(VIEWS)
    with closing(sqlite3.connect(here.folder / "syncer.db")) as database:
        for view, columns in COLUMNS.items():
            assert [one[0] for one in database.execute(f"SELECT * FROM {view}").description] == columns.split()
        known = dict(database.execute("SELECT key, known FROM v_codes").fetchall())
        assert (json.loads(known["K000000"]), json.loads(known["K000002"])) == ({"market": "ES"}, {"market": "DE"})
        assert database.execute("SELECT absent FROM v_codes WHERE key = 'NOPE0001'").fetchone() == (1,)
        runs = database.execute("SELECT run, job, rows_read, rows_invalid, exit_code FROM v_runs").fetchall()
        assert runs[0] == (1, "default", 5, 1, 3)
        changes = database.execute("SELECT file, line, outcome FROM v_changes WHERE key = 'NOPE0001'").fetchall()
        assert changes == [("a.csv", 5, "unmatched")]
        assert database.execute('SELECT sum("values") FROM v_batches WHERE NOT split').fetchone()[0] >= 4
