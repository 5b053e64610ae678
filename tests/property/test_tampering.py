"""Whatever is changed, taken out, put in or moved in a ledger's history below its triggers, `audit verify` finds it.

One small ledger has seen all kinds of things. Each column of each sealed table is changed in rows that the sample
draws, rows are taken out, put in twice and exchanged; each time inside a transaction that is rolled back. Columns that
no seal covers stand in docs/morning.md, and there alone.
"""

from __future__ import annotations

import random
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sampling
from conftest import codes, open_night

from syncer.ledger import seals
from syncer.ledger.database import open_engine

HEADER = ["extended_id", "market", "shipment"]
HISTORY = (
    "sources", "payloads", "batches", "items", "attempts", "events", "item_origins", "outcomes", "rejections", "runs",
    "seals", "uploads", "upload_parts", "upload_codes", "upload_errors", "upload_events",
)  # fmt: skip
DOCUMENT = Path(__file__).parents[2] / "docs" / "morning.md"
ROWS_TRIED = 6
"""Of each table, drawn anew for each commit."""
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
        here.sync(here.write("b.csv", HEADER, [["K000000", "FR", "S2"]]), "--job", "a", "--deadline", "0.5")
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


@pytest.fixture(scope="module")
def tampered(ledger):
    """Give what does not fit after statements below the triggers; whatever they did is rolled back."""
    with closing(sqlite3.connect(ledger, isolation_level=None)) as raw:
        for (trigger,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            raw.execute(f"DROP TRIGGER {trigger}")
    with closing(open_engine(ledger).connect()) as connection:
        driver = connection.connection.driver_connection
        driver.execute("PRAGMA foreign_keys = OFF")
        driver.execute("PRAGMA ignore_check_constraints = ON")

        def tamper(*statements):
            with connection.begin() as moment:
                changed = sum(driver.execute(*statement).rowcount for statement in statements)
                found = seals.verify(connection)
                moment.rollback()
            assert changed == len(statements), statements
            return found

        yield driver, tamper


def columns_of(driver, table):
    return [(row[1], row[2]) for row in driver.execute(f"PRAGMA table_info({table})")]


def rows_of(driver, table, draw):
    """Rows of a table by what finds them; of batches those that came to their end."""
    ended = f" WHERE state NOT IN ({OPEN_STATES})" if table == "batches" else ""
    keys = [row[1] for row in driver.execute(f"PRAGMA table_info({table})") if row[5]]
    rows = driver.execute(f"SELECT {', '.join(keys)} FROM {table}{ended}").fetchall()
    assert rows, f"the ledger has no {table}"
    chosen = draw.sample(rows, min(ROWS_TRIED, len(rows)))
    return " AND ".join(f"{key} = ?" for key in keys), chosen


def not_sealed():
    """The columns that the document says no seal covers."""
    text = DOCUMENT.read_text(encoding="utf-8")
    lines = text[text.index("| not sealed |") :].partition("\n\n")[0].splitlines()[2:]
    return {name for line in lines for name in re.findall(r"`(\w+\.\w+)`", line.split("|")[1])}


@pytest.mark.parametrize("table", HISTORY)
def test_each_changed_cell_is_found_or_documented_as_not_sealed(tampered, table):
    driver, tamper = tampered
    draw = random.Random(f"{sampling.seed()} {table}")
    where, rows = rows_of(driver, table, draw)
    missed = set()
    for name, kind in columns_of(driver, table):
        for row in rows:
            (value,) = driver.execute(f"SELECT {name} FROM {table} WHERE {where}", row).fetchone()
            other = 77 if value is None and "INT" in kind else "x" if value is None else None
            if other is None:
                other = value + 100_000 if isinstance(value, int | float) else f"{value}x"
            if not tamper((f"UPDATE {table} SET {name} = ? WHERE {where}", (other, *row))):
                missed.add(f"{table}.{name}")
    assert missed == {name for name in not_sealed() if name.startswith(f"{table}.")}


@pytest.mark.parametrize("table", HISTORY)
def test_each_row_taken_out_or_put_in_is_found(tampered, table):
    driver, tamper = tampered
    draw = random.Random(f"{sampling.seed()} {table}")
    where, rows = rows_of(driver, table, draw)
    unique = {"reference": "reference || {0}", "fingerprint": "fingerprint || {0}", "number": "number + {0}"}
    first, *others = (name for name, _ in columns_of(driver, table))
    for row in rows:
        assert tamper((f"DELETE FROM {table} WHERE {where}", row)), row
        for number in (-draw.randrange(1, 1000), draw.randrange(10**6, 10**9)):
            put_in = [unique.get(name, name).format(abs(number)) for name in others]
            place = f"code || {number}" if table == "upload_codes" else f"{number}"
            found = tamper(
                (f"INSERT INTO {table} SELECT {', '.join([place, *put_in])} FROM {table} WHERE {where}", row)
            )
            later = table.startswith("upload") and number > 0  # of own codes the end waits for the next run's seal
            assert found or later, (first, row, number)


@pytest.mark.parametrize(
    "table", [name for name in HISTORY if name not in {"item_origins", "outcomes", "upload_codes"}]
)
def test_rows_that_changed_places_are_found(tampered, table):
    driver, tamper = tampered
    ids = [one for (one,) in driver.execute(f"SELECT id FROM {table}")]
    if len(ids) < 2:
        return
    one, other = random.Random(f"{sampling.seed()} {table}").sample(ids, 2)
    move = f"UPDATE {table} SET id = ? WHERE id = ?"
    assert tamper((move, (-10, one)), (move, (one, other)), (move, (other, -10)))
