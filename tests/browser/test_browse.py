"""`browse` in a real browser: what is asked most is one click away, views and queries answer, and nothing can be written."""

from __future__ import annotations

import re
import signal
import sqlite3

import pytest
from conftest import codes, open_night

pytest.importorskip("datasette", reason="datasette is not installed: make .venv/.extras")

HEADER = ("extended_id", "market")
VIEWS = {"v_codes": 3, "v_runs": 2, "v_batches": 2, "v_changes": 4}
QUERIES = {"failed_runs": 1, "not_confirmed": 2, "open_batches": 1}
QUERIES_OF_A_KEY = {"history_of_a_key": 2, "what_is_known_of_a_key": 1}
SUBMIT = 'input[type="submit"]'


@pytest.fixture(scope="module")
def copy(browser, tmp_path_factory):
    """The address of a ledger's copy: one night that ended with 3, one that a deadline stopped."""
    folder = tmp_path_factory.mktemp("browse")
    with open_night(folder, codes=codes(2)) as here:
        here.sync(here.write("a.csv", HEADER, [("K000000", "DE"), ("K000001", "DE"), ("NOPE <b>1", "FR")]))
        here.box.faults.replace([{"kind": "status", "status_code": 429, "on": "any", "every": 1}])
        stopped = here.sync(here.write("b.csv", HEADER, [("K000000", "FR")]), "--deadline", "0.5")
        assert stopped.code == 10
        process = here.start("browse", "--port", "0", PYTHONUNBUFFERED="1")
        try:
            yield re.search(r"http://\S+", process.stdout.readline())[0], folder / "syncer.db"
        finally:
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=20)
        assert said == ""  # no trace for whoever mistypes a statement


def follow(page, selector):
    with page.expect_navigation():
        page.locator(selector).first.click()


def rows(page):
    return page.locator("table.rows-and-columns tbody tr").count()


def test_the_first_page_leads_to_every_query_and_view_and_the_programs_own_tables_are_folded_away(copy, tab):
    url, _ = copy
    page = tab()
    page.goto(url)
    assert page.locator("h1").inner_text() == "A copy of syncer.db"
    assert "alembic_version" not in page.locator("section.content h3").all_inner_texts()
    seen = {}
    for name in (*QUERIES, *VIEWS):
        page.goto(url)
        follow(page, f'a[href$="/ledger/{name}"]')
        seen[name] = rows(page)
    assert seen == QUERIES | VIEWS
    assert page.said == []
    assert {asked.split("/")[2] for asked in page.asked} == {url.split("/")[2]}


def test_a_key_is_typed_into_a_form_and_its_history_stands_below(copy, tab):
    url, _ = copy
    page = tab()
    seen = {}
    for name in QUERIES_OF_A_KEY:
        page.goto(f"{url}/{name}")
        page.locator('input[name="key"]').fill("K000000")
        follow(page, SUBMIT)
        seen[name] = rows(page)
    page.goto(f"{url}/history_of_a_key?key=NOPE+%3Cb%3E1")
    assert "NOPE <b>1" in page.locator("table.rows-and-columns").inner_text()
    assert seen == QUERIES_OF_A_KEY
    assert page.said == []


def test_nothing_that_is_typed_writes(copy, tab):
    url, ledger = copy
    before = ledger.read_bytes()
    page = tab()
    page.goto(url)
    page.locator(".CodeMirror").click()
    page.keyboard.press("Control+A")
    page.keyboard.type("delete from runs")
    follow(page, SUBMIT)
    said = page.locator("body").inner_text()
    assert "must be a SELECT" in said, said
    page.goto(f"{url}/v_runs")
    assert rows(page) == VIEWS["v_runs"]
    assert ledger.read_bytes() == before
    with sqlite3.connect(ledger) as raw:
        assert raw.execute("SELECT count(*) FROM runs").fetchone() == (VIEWS["v_runs"],)
