"""Whatever is changed, taken out, put in or moved in a ledger's history below its triggers, `audit verify` finds it.

One small ledger has seen all kinds of things; of it others were made, which lived on (were restored, pruned …). Each column of each sealed table is changed in rows that the sample
draws, rows are taken out, put in twice and exchanged; each time inside a transaction that is rolled back. Columns that
no seal covers stand in docs/morning.md, and there alone.
"""

from __future__ import annotations

import random
import re
import shutil
import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import sampling
from conftest import codes, open_night

from syncer.ledger import archives, check, pruning, recovery, seals
from syncer.ledger.database import open_engine
from syncer.ledger.ledger import Ledger, upgrade_ledger
from syncer.process.clock import Uptime

HEADER = ["extended_id", "market", "shipment"]
HISTORY = (
    "sources", "payloads", "batches", "items", "attempts", "events", "item_origins", "outcomes", "rejections", "runs",
    "seals", "uploads", "upload_parts", "upload_codes", "upload_errors", "upload_events",
)  # fmt: skip
DOCUMENT = Path(__file__).parents[2] / "docs" / "morning.md"
ROWS_TRIED = 6
"""Of each table, drawn anew for each commit."""
ROWS_TRIED_LATER = 2
WITH_ID = [name for name in HISTORY if name not in {"item_origins", "outcomes", "upload_codes"}]
OLD = Path(__file__).parents[1] / "migrations" / "ledger_0005.sql"
AT = "2099-01-01T00:00:00.000Z"
OPEN_STATES = "'planned', 'sending', 'in_doubt', 'submitted'"


@pytest.fixture(scope="module")
def ledger(tmp_path_factory):
    """The ledger of some nights: values confirmed, unmatched, rejected, invalid, lost, merged, of two jobs; own codes."""
    folder = tmp_path_factory.mktemp("history")
    with open_night(folder, codes=(*codes(150), {"extended_id": "TAKEN0001"})) as here:
        here.config(
            "[limits]\nmax_changed_percent = 100\nmax_missing_percent = 100\n[jobs.a]\ncampaign = 7\n[jobs.b]\n"
        )
        first = [[f"K{n:06d}", "DE", "S1"] for n in range(120)]
        here.sync(here.write("a.csv", HEADER, [*first, ["NOPE0001", "FR", ""], ["", "IT", ""]]), "--job", "a")
        here.box.faults.replace([{"kind": "status", "status_code": 429, "on": "any", "every": 1}])
        here.sync(here.write("b.csv", HEADER, [["K000000", "FR", "S2"]]), "--job", "a", "--deadline", "2")
        here.box.faults.replace([{"kind": "drop_after", "on": "sync", "nth": 1}])
        here.sync(here.write("c.csv", HEADER, [["K000000", "", "S3"], ["K000001", "IT", "S4"]]), "--job", "b")
        here.box.faults.replace([{"kind": "task_fail", "on": "async", "nth": 1}])
        here.sync(here.write("d.csv", HEADER, [[f"K{n:06d}", "ES", ""] for n in range(110)]), "--job", "a")
        here.run("resume")
        here.write("own.csv", ("id", "lot"), [(f"ABCD{n:05d}", f"L{n}") for n in range(9)])
        assert here.run("codes", "upload", "own.csv").code == 0
        taken = here.write("taken.csv", ("id", "lot"), [("TAKEN0001", "L"), ("ABCD10001", "L")])
        assert here.run("codes", "upload", taken).code == 3
        here.sync(here.write("e.csv", HEADER, [["K000002", "PT", "S9"]]), "--job", "b")
        assert here.run("audit", "verify").code == 0
    return folder / "syncer.db"


def recovered(path):
    """A ledger that was told to believe nothing any more."""
    recovery.recover(path, at=AT)


def restored(path):
    """A backup of a ledger in its place."""
    backup = path.with_name("backup.db")
    check.backup(path, backup, marked_at=AT)
    recovery.restore(path, backup, at=AT)


def migrated(path):
    """A ledger of the version before seals, cut in the middle of a night."""
    path.unlink()
    with closing(sqlite3.connect(path)) as raw:
        raw.executescript(OLD.read_text(encoding="utf-8"))
    upgrade_ledger(f"sqlite:///{path}", at=AT)


def pruned(path):
    """A ledger whose old history lies in an archive."""
    with Ledger.open_to_write(f"sqlite:///{path}", at=AT) as ledger:
        assert pruning.prune(ledger, before=AT, at=AT) is not None


def interleaved(path):
    """A ledger in which a run of a job died, one of another ended, and the first one was resumed."""
    with Ledger.open_to_write(f"sqlite:///{path}", at=AT) as ledger:
        first, second = begin(ledger, "a"), begin(ledger, "b")
        ledger.doubt_interrupted(second.id, at=AT, uptime=Uptime("boot", 1.0))
        end(ledger, second)
        end(ledger, first)


def begin(ledger, name):
    """Begin a run at a moment of its own: of two runs that are alike nobody can tell that they changed places."""
    job, at = ledger.ensure_job(name, ["extended_id"]), AT.replace("00:00.000Z", f"{len(ledger.runs()):02}:00.000Z")
    return ledger.begin_run(job, at=at, mode="auto", campaign=None, unique=True, program="test")


def end(ledger, run):
    ledger.writer(run.id).end_run(run.id, AT, state="complete", exit_code=0, error=None, discarded_fields=[])


LIVES = (recovered, restored, migrated, pruned, interleaved)


@contextmanager
def tampering(path):
    """Give what does not fit after statements below the triggers of a copy; whatever they did is rolled back."""
    copy = path.with_name("tampered.db")
    shutil.copyfile(path, copy)
    with closing(sqlite3.connect(copy, isolation_level=None)) as raw:
        for (trigger,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            raw.execute(f"DROP TRIGGER {trigger}")
    with closing(open_engine(copy).connect()) as connection:
        driver = connection.connection.driver_connection
        driver.execute("PRAGMA foreign_keys = OFF")
        driver.execute("PRAGMA ignore_check_constraints = ON")
        apart = archives.known(driver.cursor())
        archives.attach(driver, copy, apart)
        for number, archive in enumerate(apart, 1):  # it is read alone; whoever tampers writes
            driver.execute(f"DETACH archive_{number}")
            driver.execute(f"ATTACH ? AS archive_{number}", (str(path.with_name(archive.file)),))
            for table in archives.MOVED:
                driver.execute(f"DROP TRIGGER archive_{number}.{table}_no_update")
                driver.execute(f"DROP TRIGGER archive_{number}.{table}_no_delete")

        def tamper(*statements, given=None):
            with connection.begin() as moment:
                changed = sum(driver.execute(*statement).rowcount for statement in statements)
                found = seals.verify(connection, given=given)
                moment.rollback()
            assert changed == len(statements), statements
            return found

        assert tamper() == []
        yield driver, tamper


@pytest.fixture(scope="module")
def tampered(ledger):
    with tampering(ledger) as found:
        yield found


@pytest.fixture(scope="module", params=LIVES, ids=lambda life: life.__name__)
def tampered_later(request, ledger, tmp_path_factory):
    """The same, after the ledger has lived on."""
    path = tmp_path_factory.mktemp(request.param.__name__) / "syncer.db"
    shutil.copyfile(ledger, path)
    request.param(path)
    with Ledger.open_to_write(f"sqlite:///{path}", at=AT) as lived:
        end(lived, begin(lived, "a"))
    with tampering(path) as found:
        yield found


def columns_of(driver, table, base="main"):
    return [(row[1], row[2]) for row in driver.execute(f"PRAGMA {base}.table_info({table})")]


def rows_of(driver, table, draw, tried=ROWS_TRIED, base="main", which="1"):
    """Rows of a table by what finds them; of batches those that came to their end."""
    which += f" AND state NOT IN ({OPEN_STATES})" if table == "batches" else ""
    keys = [row[1] for row in driver.execute(f"PRAGMA {base}.table_info({table})") if row[5]]
    rows = driver.execute(f"SELECT {', '.join(keys)} FROM {base}.{table} WHERE {which}").fetchall()
    return " AND ".join(f"{key} = ?" for key in keys), draw.sample(rows, min(tried, len(rows)))


def not_sealed():
    """The columns that the document says no seal covers."""
    text = DOCUMENT.read_text(encoding="utf-8")
    lines = text[text.index("| not sealed |") :].partition("\n\n")[0].splitlines()[2:]
    return {name for line in lines for name in re.findall(r"`(\w+\.\w+)`", line.split("|")[1])}


def cells_missed(driver, tamper, table, where, rows, base="main"):
    """Change each cell of rows; return the columns whose change was not found."""
    missed = set()
    for name, kind in columns_of(driver, table, base):
        for row in rows:
            (value,) = driver.execute(f"SELECT {name} FROM {base}.{table} WHERE {where}", row).fetchone()
            other = 77 if value is None and "INT" in kind else "x" if value is None else None
            if other is None:
                other = value + 100_000 if isinstance(value, int | float) else f"{value}x"
            if not tamper((f"UPDATE {base}.{table} SET {name} = ? WHERE {where}", (other, *row))):
                missed.add(f"{table}.{name}")
    return missed


def rows_missed(driver, tamper, table, where, rows, draw):
    """Take rows out, and put them in twice, before and after all others; return what was not found."""
    unique = {"reference": "reference || {0}", "fingerprint": "fingerprint || {0}", "number": "number + {0}"}
    first, *others = (name for name, _ in columns_of(driver, table))
    missed = set()
    for row in rows:
        if not tamper((f"DELETE FROM main.{table} WHERE {where}", row)):
            missed.add((table, "out", row))
        for number in (-draw.randrange(1, 1000), draw.randrange(10**6, 10**9)):
            put_in = [unique.get(name, name).format(abs(number)) for name in others]
            place = f"code || {number}" if table == "upload_codes" else f"{number}"
            values = f"SELECT {', '.join([place, *put_in])} FROM main.{table} WHERE {where}"
            later = table.startswith("upload") and number > 0  # of own codes the end waits for the next run's seal
            if not tamper((f"INSERT INTO main.{table} {values}", row)) and not later:
                missed.add((table, "in", first, row, number))
    return missed


def moves_missed(driver, tamper, table, draw):
    """Let two rows change places; return them when that was not found."""
    ids = [one for (one,) in driver.execute(f"SELECT id FROM main.{table}")]
    if len(ids) < 2:
        return []
    one, other = draw.sample(ids, 2)
    move = f"UPDATE main.{table} SET id = ? WHERE id = ?"
    return [] if tamper((move, (-10, one)), (move, (one, other)), (move, (other, -10))) else [(table, one, other)]


@pytest.mark.parametrize("table", HISTORY)
def test_each_changed_cell_is_found_or_documented_as_not_sealed(tampered, table):
    driver, tamper = tampered
    where, rows = rows_of(driver, table, random.Random(f"{sampling.seed()} {table}"))
    assert rows, f"the ledger has no {table}"
    missed = cells_missed(driver, tamper, table, where, rows)
    assert missed == {name for name in not_sealed() if name.startswith(f"{table}.")}


@pytest.mark.parametrize("table", HISTORY)
def test_each_row_taken_out_or_put_in_is_found(tampered, table):
    driver, tamper = tampered
    draw = random.Random(f"{sampling.seed()} {table}")
    assert rows_missed(driver, tamper, table, *rows_of(driver, table, draw), draw) == set()


@pytest.mark.parametrize("table", WITH_ID)
def test_rows_that_changed_places_are_found(tampered, table):
    driver, tamper = tampered
    assert moves_missed(driver, tamper, table, random.Random(f"{sampling.seed()} {table}")) == []


def test_it_is_found_after_the_ledger_lived_on(tampered_later):
    """Each change of a cell, row taken out, put in or moved; in archives, too; and an end that was cut off."""
    driver, tamper = tampered_later
    draw = random.Random(sampling.seed())
    cells, rows_lost, moves = set(), set(), []
    known = archives.known(driver.cursor())
    items_to, events_to = (known[-1].items_to, known[-1].events_to) if known else (0, 0)
    # Of what stayed beside its archive, history is read there: it is compared, and may be missing here. But an item that
    # explains what is known may not.
    explains = "EXISTS (SELECT 1 FROM mirror m WHERE m.batch_id = items.batch_id AND m.key = items.key)"
    may_not_miss = {"events": f"id > {events_to}", "items": f"(id > {items_to} OR {explains})"}
    for table in HISTORY:
        which = may_not_miss["events"] if table == "events" else "1"
        cells |= cells_missed(driver, tamper, table, *rows_of(driver, table, draw, ROWS_TRIED_LATER, which=which))
        where, rows = rows_of(driver, table, draw, ROWS_TRIED_LATER, which=may_not_miss.get(table, "1"))
        rows_lost |= rows_missed(driver, tamper, table, where, rows, draw)
        if table in WITH_ID:
            moves += moves_missed(driver, tamper, table, draw)
    for archive in archives.known(driver.cursor()):
        for table, (column, number) in archives.MOVED.items():
            of_history = f"{column} <= {(archive.items_to, archive.events_to)[number]}"
            where, rows = rows_of(driver, table, draw, ROWS_TRIED_LATER, "archive_1", of_history)
            assert rows, table
            cells |= cells_missed(driver, tamper, table, where, rows, "archive_1")
            rows_lost |= {row for row in rows if not tamper((f"DELETE FROM archive_1.{table} WHERE {where}", row))}
    assert (cells - not_sealed(), rows_lost, moves) == (set(), set(), [])
    newest, run_id = driver.execute("SELECT digest, run_id FROM seals ORDER BY id DESC").fetchone()
    cut = (("DELETE FROM seals WHERE digest = ?", (newest,)), ("DELETE FROM runs WHERE id = ?", (run_id,)))
    assert tamper(*cut) == []  # by itself a chain does not know how long it was
    assert tamper(*cut, given=newest) == [
        f"the given seal {newest} is not in this ledger: its end was cut off, or it is another ledger"
    ]
